//! Whether the process is alive, measured by a thread that does nothing else.
//!
//! Liveness asks whether a restart would help. It helps where the runtime hangs, and never where the machine is busy:
//! then every replica would be restarted, and none would be left to answer. So `/healthz` and `/readyz` are served by a
//! thread and a runtime of their own, which wait for nothing else, and the delay of the main runtime is counted in
//! turns of this thread. A process that gets no CPU takes no turns.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::https::{self, HttpsMetrics, Limits, Plain, Ports};
use crate::stop::Stop;

/// When the main runtime counts as stuck, in turns of the watching thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// The pause between two heartbeats, and between two turns that check for one.
    pub pause: Duration,
    /// Turns without a heartbeat after which the replica is not ready: callers can use other replicas.
    pub stuck: u64,
    /// Turns without a heartbeat after which the process is not alive, so that kubelet restarts it.
    pub hangs: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(1),
            // Twice the 5 s that an API server waits for an answer.
            stuck: 10,
            // Two minutes of a thread that has CPU, far longer than any task keeps a worker busy.
            hangs: 120,
        }
    }
}

/// The heartbeat of the runtime that answers calls.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pace: Pace,
    beats: AtomicU64,
    /// Turns since the last heartbeat.
    missed: AtomicU64,
}

impl Pulse {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Sends heartbeats for as long as the runtime that this runs on makes progress.
    pub(crate) async fn beat(&self) {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            sleep(self.pace.pause).await;
        }
    }

    /// Whether the main runtime makes progress, so that calls may be sent here.
    pub(crate) fn is_steady(&self) -> bool {
        self.missed.load(Ordering::Relaxed) < self.pace.stuck
    }

    /// Whether the main runtime made progress recently enough that a restart would not help.
    pub(crate) fn is_felt(&self) -> bool {
        self.missed.load(Ordering::Relaxed) < self.pace.hangs
    }

    /// One turn: checks for a heartbeat since the last one.
    fn turn(&self, seen: &mut u64) {
        let beats = self.beats.load(Ordering::Relaxed);
        if std::mem::replace(seen, beats) == beats {
            self.missed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.missed.store(0, Ordering::Relaxed);
        }
    }

    async fn watch(&self) {
        let mut seen = 0;
        loop {
            sleep(self.pace.pause).await;
            self.turn(&mut seen);
        }
    }
}

/// Serves the port of the probes on a thread of its own until the stop is complete; the future ends with it.
pub(crate) fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    (ports, metrics): (Arc<Ports>, Arc<HttpsMetrics>),
    stop: Stop,
    pulse: Arc<Pulse>,
) -> io::Result<impl Future<Output = ()>> {
    let listener = listener.into_std()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel::<()>();
    std::thread::Builder::new().name("health".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let phases = (stop.finished(), stop.finished());
            tokio::select! {
                () = https::serve(("health", listener), Arc::new(Plain), routes, &limits, (&ports, &metrics), phases) => {}
                () = pulse.watch() => {}
            }
            io::Result::Ok(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "the port of the probes is not served");
        }
        drop(ended);
    })?;
    Ok(async {
        let _ = end.await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_stuck_after_some_turns_without_a_heartbeat_and_hangs_after_many() {
        let (pulse, mut seen) = (Pulse::default(), 0);
        for missed in 1..=120 {
            pulse.turn(&mut seen);
            assert_eq!((pulse.is_steady(), pulse.is_felt()), (missed < 10, missed < 120), "{missed}");
        }
        // A late heartbeat counts as one.
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.turn(&mut seen);
        assert!(pulse.is_steady() && pulse.is_felt());
    }
}
