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

use super::connections::Ports;
use super::{Limits, Metrics, Stop, accept};

/// The pause between two beats, and between two turns that look for one.
const PAUSE: Duration = Duration::from_secs(1);

/// Turns without a beat after which the runtime counts as hanging: two minutes of a thread that has CPU, and many more than
/// any task keeps a worker.
const HANGS: u64 = 120;

/// The beat of the runtime that answers calls.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    /// Turns since a beat was seen.
    missed: AtomicU64,
}

impl Pulse {
    /// Beats as long as the runtime that this runs on does.
    pub(super) async fn beat(&self) {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    }

    /// Whether the other runtime makes its turns.
    pub(super) fn is_felt(&self) -> bool {
        self.missed.load(Ordering::Relaxed) < HANGS
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
            sleep(PAUSE).await;
            self.turn(&mut seen);
        }
    }
}

/// Serves the port of probes on a thread of its own, until the stop has run its course; the future ends with it.
pub(super) fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    (ports, metrics): (Arc<Ports>, Arc<Metrics>),
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
                () = accept::serve(("health", listener), &accept::Plain, routes, &limits, (&ports, &metrics), phases) => {}
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
    fn a_runtime_hangs_after_many_turns_without_a_beat() {
        let (pulse, mut seen) = (Pulse::default(), 0);
        for _ in 1..HANGS {
            pulse.turn(&mut seen);
        }
        assert!(pulse.is_felt());
        pulse.turn(&mut seen);
        assert!(!pulse.is_felt());
        // However late it comes, a beat is a beat.
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.turn(&mut seen);
        assert!(pulse.is_felt());
    }
}
