//! A graceful stop.
//!
//! An API server never repeats a POST whose connection broke, so a stop must not break one: first the server says
//! that it is not ready and closes every connection *with an answer* (`Connection: close`), while still accepting new
//! ones, until the news has reached everybody; then it stops accepting, but leaves connections that are idle to their
//! clients, one of which may be about to use its own; and only when no client can have one left, the rest is closed and
//! the last calls end. Mostly there is no connection left before that, and nothing more to wait for.

use tokio_util::sync::CancellationToken;

use super::StopSettings;

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
    /// Whether answers shall close their connections and probes fail.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when the stop begins.
    pub fn token(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Ends when nothing shall be accepted any more.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Ends when idle connections shall be closed.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Ends when the webhooks are not served any more.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Notes that the webhooks are not served any more.
    pub fn finish(&self) {
        self.finished.cancel();
    }

    /// Ends when somebody lost patience.
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
