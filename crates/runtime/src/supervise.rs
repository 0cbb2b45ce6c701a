//! Tasks that must not end: a task that panics is restarted.
//!
//! What it published stays in use meanwhile, and ages as if its source were silent. Only the place of the panic is
//! known here: its text may hold what somebody else wrote.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::metrics::Collector;

/// The pause after the first panic of a task; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause. A task that ran for longer than this has recovered, and starts with the first pause again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Task {
    task: &'static str,
}

/// Restarts tasks that panic, and counts their panics; and counts the turns of periodic tasks. Clones share their
/// counters.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    panics: Family<Task, Counter>,
    turns: Family<Task, Counter>,
}

impl Collector for Supervisor {
    fn register(&self, registry: &mut Registry) {
        registry.register("task_panics", "Panics of tasks in the background, by task", self.panics.clone());
        let turns = "Turns that tasks in the background have ended, well or not, by task";
        registry.register("task_turns", turns, self.turns.clone());
    }
}

impl Supervisor {
    /// Shows the series of a task before anything is counted, so that its first panic is seen as an increase.
    pub fn expect(&self, task: &'static str) {
        drop(self.panics.get_or_create(&Task { task }));
    }

    /// Runs a task until it ends by itself.
    pub async fn run<F: Future>(&self, task: &'static str, mut begin: impl FnMut() -> F) -> F::Output {
        self.expect(task);
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        loop {
            let started = Instant::now();
            // Tasks share state by locks and atomics only, which recover.
            let running = AssertUnwindSafe(async { begin().await }).catch_unwind();
            if let Ok(ended) = running.await {
                return ended;
            }
            self.panicked(task);
            let next = next_pause(&mut backoff, started.elapsed());
            tracing::error!(task, again_in = ?next, "a task panicked; what it published last stays in use");
            sleep(next).await;
        }
    }

    /// Counts a turn that a task has ended. The counter of a task that hangs stops.
    pub(crate) fn turned(&self, task: &'static str) {
        self.turns.get_or_create(&Task { task }).inc();
    }

    /// Counts a panic of a task that its caller restarts.
    pub fn panicked(&self, task: &'static str) {
        self.panics.get_or_create(&Task { task }).inc();
    }
}

/// The pause after a panic, by how long the task ran since the last one.
fn next_pause(backoff: &mut Backoff, ran: Duration) -> Duration {
    if ran > LONGEST_PAUSE {
        backoff.reset();
    }
    backoff.pause()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_reset_after_a_long_run() {
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        let mut pause = |ran| next_pause(&mut backoff, Duration::from_secs(ran)).as_secs();
        assert_eq!([0, 0, 5, 30, 0, 0, 0].map(&mut pause), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([31, 0].map(&mut pause), [1, 2]);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_restarted_and_counted() {
        let supervisor = Supervisor::default();
        let mut runs = 0;
        let started = Instant::now();
        let begin = || {
            runs += 1;
            assert!(runs != 1, "planted, before there is anything to wait for");
            let run = runs;
            async move {
                tokio::task::yield_now().await;
                assert!(run != 2, "planted, while it runs");
                run
            }
        };
        assert_eq!(supervisor.run("test", begin).await, 3);
        assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
        assert_eq!(supervisor.panics.get_or_create(&Task { task: "test" }).get(), 2);
    }
}
