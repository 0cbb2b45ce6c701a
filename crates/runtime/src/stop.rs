//! A graceful stop.
//!
//! An API server never repeats a POST whose connection broke, so a stop must not break one. First the server reports
//! that it is not ready and closes every connection *with an answer* (`Connection: close`), while it still accepts new
//! ones, until all API servers have followed. Then it stops accepting, but leaves idle connections to their clients,
//! one of which may be about to use its own. Only when no client can have one left, the rest is closed and the last
//! calls end. Usually no connection is left before that, and nothing remains to wait for.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The timing of a stop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StopSettings {
    /// How long the server goes on, not ready and closing connections after each answer, until no API server sends new
    /// calls. Endpoints and their proxies take a few seconds to follow.
    pub propagation_delay: Duration,
    /// How long connections that are idle by then are left to their clients. A POST that meets our close is a failed
    /// call, so this has to be longer than clients keep an idle connection: 90 s for an API server. A connection that
    /// was used since the stop began was closed with its answer, so none that is left was used later; but one may have
    /// been opened in the last moment of the propagation delay, and never used. It counts in its client's pool from the
    /// end of its handshake, for which there are 10 s.
    pub idle_timeout: Duration,
    /// How long calls in flight may take after that.
    pub drain_timeout: Duration,
}

impl Default for StopSettings {
    fn default() -> Self {
        Self {
            propagation_delay: Duration::from_secs(15),
            // 90 s in the pool, 10 s for a handshake, and a margin.
            idle_timeout: Duration::from_secs(105),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// The phases of a stop, shared by all tasks.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    draining: CancellationToken,
    closing: CancellationToken,
    leaving: CancellationToken,
    aborted: CancellationToken,
    finished: CancellationToken,
}

impl Stop {
    /// Whether answers close their connections and probes fail.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when the stop begins.
    pub fn token(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Ends when nothing may be accepted any more.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Ends when idle connections have to be closed.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Ends when the HTTPS ports are not served any more.
    pub(crate) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Records that the HTTPS ports are not served any more.
    pub fn finish(&self) {
        self.finished.cancel();
    }

    /// Ends when the stop is to be immediate.
    pub async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    /// Goes through all phases.
    pub async fn run(&self, settings: &StopSettings) {
        self.draining.cancel();
        tracing::info!(delay = ?settings.propagation_delay, "stopping: not ready, still serving");
        tokio::time::sleep(settings.propagation_delay).await;
        self.closing.cancel();
        tracing::info!(timeout = ?settings.idle_timeout, "stopping: not accepting, leaving idle connections to clients");
        tokio::select! {
            () = self.finished() => return,
            () = tokio::time::sleep(settings.idle_timeout) => {}
        }
        self.leaving.cancel();
        tracing::info!(timeout = ?settings.drain_timeout, "stopping: finishing calls in flight");
        tokio::select! {
            () = self.finished() => {}
            () = tokio::time::sleep(settings.drain_timeout) => {
                tracing::warn!("stopping: calls in flight took too long");
                self.aborted.cancel();
            }
        }
    }

    /// Ends everything at once.
    pub fn abort(&self) {
        self.draining.cancel();
        self.closing.cancel();
        self.leaving.cancel();
        self.aborted.cancel();
    }
}
