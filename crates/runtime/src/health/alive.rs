//! Whether the process is alive, told by a thread that does nothing else.
//!
//! Liveness asks whether a restart would help. It does where the runtime hangs, and never where the machine is busy: then
//! every replica would be restarted, and nobody left to answer. So `/healthz` and `/readyz` have a thread and a runtime of
//! their own, which wait for nobody; and the time that counts for the other one is counted in turns of this thread. A
//! process that gets no CPU takes no turns.

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

/// When a runtime that makes no step is believed to have stopped, in turns of the thread that looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// The pause between two beats, and between two turns that look for one.
    pub pause: Duration,
    /// Turns without a beat after which the replica is not ready: calls have other replicas to go to.
    pub stuck: u64,
    /// Turns without a beat after which it is not alive, so that kubelet restarts it.
    pub hangs: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(1),
            // Twice the 5 s that an API server waits for an answer.
            stuck: 10,
            // Two minutes of a thread that has CPU, and many more than any task keeps a worker.
            hangs: 120,
        }
    }
}

/// The beat of the runtime that answers calls.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pace: Pace,
    beats: AtomicU64,
    /// Turns since a beat was seen.
    missed: AtomicU64,
}

impl Pulse {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Beats as long as the runtime that this runs on does.
    pub(crate) async fn beat(&self) {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            sleep(self.pace.pause).await;
        }
    }

    /// Whether the other runtime makes its turns, so that calls may be sent here.
    pub(crate) fn is_steady(&self) -> bool {
        self.missed.load(Ordering::Relaxed) < self.pace.stuck
    }

    /// Whether the other runtime has made one not too long ago, so that a restart would help nothing.
    pub(crate) fn is_felt(&self) -> bool {
        self.missed.load(Ordering::Relaxed) < self.pace.hangs
    }

    /// One turn: looks for a beat since the last one.
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

/// Serves the port of probes on a thread of its own, until the stop has run its course; the future ends with it.
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
                () = https::serve(("health", listener), &Plain, routes, &limits, (&ports, &metrics), phases) => {}
                () = pulse.watch() => {}
            }
            io::Result::Ok(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "the port of probes is not served");
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
    fn a_runtime_is_stuck_after_some_turns_without_a_beat_and_hangs_after_many() {
        let (pulse, mut seen) = (Pulse::default(), 0);
        for missed in 1..=120 {
            pulse.turn(&mut seen);
            assert_eq!((pulse.is_steady(), pulse.is_felt()), (missed < 10, missed < 120), "{missed}");
        }
        // However late it comes, a beat is a beat.
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.turn(&mut seen);
        assert!(pulse.is_steady() && pulse.is_felt());
    }
}
