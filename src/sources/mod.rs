//! What feeds the landscape: watches on an API server, or a folder of manifests; and the live reads of one request.

pub mod files;
pub mod live;
pub mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::landscape::Snapshot;

/// The current snapshot and how fresh it is. Readers take it without a lock; writers take turns.
#[derive(Debug)]
pub struct Landscape {
    current: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    synced: AtomicBool,
    started: Instant,
    /// Milliseconds after `started` when the source last showed a sign of life.
    last_sign: AtomicU64,
}

impl Default for Landscape {
    fn default() -> Self {
        Self {
            current: ArcSwap::default(),
            writing: Mutex::default(),
            synced: AtomicBool::new(false),
            started: Instant::now(),
            last_sign: AtomicU64::new(0),
        }
    }
}

/// The age from which on a snapshot is not trusted to show every change: a watch is renewed each minute, so two without
/// a sign of life mean that it is cut off.
const STALE: Duration = Duration::from_secs(2 * 60);

impl Landscape {
    /// Whether the source has been silent for so long that what matters has to be read live.
    pub fn is_stale(&self) -> bool {
        self.age() > STALE
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Changes a copy of the snapshot and publishes it.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        // A panic while writing leaves the published snapshot as it was, so the lock is as good as new.
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.current.load());
        change(&mut next);
        self.current.store(Arc::new(next));
        self.sign();
    }

    /// Notes that everything has been read once. There is no way back: a source that is cut off leaves an old
    /// snapshot, not none.
    pub fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    /// Whether everything has been read once.
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Notes a sign of life of the source.
    pub fn sign(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_sign.store(now, Ordering::Relaxed);
    }

    /// Time since the source last showed a sign of life.
    pub fn age(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_sign.load(Ordering::Relaxed)))
    }
}
