//! The current snapshot of the landscape, its sources, and its age.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use network_guard_core::gardener::Vpcs;
use network_guard_core::landscape::Snapshot;
use network_guard_runtime::clock::Clock;

/// The current snapshot and its age. Readers take it without a lock; writers take turns.
#[derive(Debug)]
pub struct LandscapeCache {
    current: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    started: Instant,
    stale_after: Duration,
    pub(super) feeds: Box<[FeedState]>,
    clock: Arc<Clock>,
}

#[derive(Debug, Default)]
pub(super) struct FeedState {
    is_synced: AtomicBool,
    /// Whether it follows its source: everything was read, and nothing was lost since.
    is_following: AtomicBool,
    /// Milliseconds after `started` when the source last sent a heartbeat.
    pub(super) last_sign: AtomicU64,
}

/// One source of a landscape: a kind of objects that is watched, or a folder.
#[derive(Clone, Debug)]
pub struct Feed {
    pub(super) landscape: Arc<LandscapeCache>,
    index: usize,
}

/// The age from which a snapshot may have missed changes: a watch is renewed each minute, so two minutes without a
/// heartbeat mean that it is cut off.
pub const STALE: Duration = Duration::from_secs(2 * 60);

impl LandscapeCache {
    /// A landscape with this many sources.
    pub fn new(feeds: usize) -> Self {
        Self::with_vpcs(feeds, Arc::default())
    }

    /// The same, with the paths at which its Shoots name their VPC.
    pub fn with_vpcs(feeds: usize, vpcs: Arc<Vpcs>) -> Self {
        Self {
            current: ArcSwap::from_pointee(Snapshot::with_vpcs(vpcs)),
            writing: Mutex::default(),
            started: Instant::now(),
            stale_after: STALE,
            feeds: (0..feeds).map(|_| FeedState::default()).collect(),
            clock: Arc::default(),
        }
    }

    /// The same with another age from which it may have missed changes.
    #[must_use]
    pub fn stale_after(mut self, age: Duration) -> Self {
        self.stale_after = age;
        self
    }

    /// The source of this number, counted from 0.
    ///
    /// # Panics
    /// When the landscape has fewer.
    pub fn feed(self: &Arc<Self>, index: usize) -> Feed {
        assert!(index < self.feeds.len(), "a landscape knows from the start how many sources it has");
        Feed { landscape: Arc::clone(self), index }
    }

    /// Whether a source has been silent for so long that important objects have to be read live.
    pub fn is_stale(&self) -> bool {
        self.age() > self.stale_after
    }

    /// The time at the API server.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The current snapshot, unless it may have missed changes: then no decision rests on it.
    pub fn fresh(&self) -> Option<Arc<Snapshot>> {
        (!self.is_stale()).then(|| self.snapshot())
    }

    /// The current snapshot, however old it is.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Whether every source has been read once.
    pub fn is_synced(&self) -> bool {
        self.feeds.iter().all(|feed| feed.is_synced.load(Ordering::Acquire))
    }

    /// Time since the most silent source last sent a heartbeat.
    pub fn age(&self) -> Duration {
        let last = self.feeds.iter().map(|feed| feed.last_sign.load(Ordering::Relaxed)).min().unwrap_or_default();
        self.started.elapsed().saturating_sub(Duration::from_millis(last))
    }
}

impl Feed {
    /// Changes a copy of the snapshot and publishes it.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        // A panic while writing leaves the published snapshot as it was, so the lock is as good as new.
        let turn = self.landscape.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.landscape.current.load());
        change(&mut next);
        let before = self.landscape.current.swap(Arc::new(next));
        drop(turn);
        // After the turn: after a new list this may be the last one who holds all former objects, and has to free them.
        drop(before);
        self.heartbeat();
    }

    /// Marks that everything has been read once. This is never undone: a source that is cut off leaves an old snapshot,
    /// not none.
    pub fn set_synced(&self) {
        self.state().is_synced.store(true, Ordering::Release);
        self.state().is_following.store(true, Ordering::Relaxed);
        self.heartbeat();
    }

    /// Marks that changes may have been lost: until everything has been read again, no heartbeat of the source shows
    /// that the snapshot is up to date.
    pub(crate) fn mark_stale(&self) {
        self.state().is_following.store(false, Ordering::Relaxed);
    }

    /// Records a heartbeat of the source, if the snapshot follows it.
    pub fn heartbeat(&self) {
        if !self.state().is_following.load(Ordering::Relaxed) {
            return;
        }
        let now = u64::try_from(self.landscape.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state().last_sign.store(now, Ordering::Relaxed);
    }

    fn state(&self) -> &FeedState {
        &self.landscape.feeds[self.index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_fresh_as_its_most_silent_source() {
        let landscape = Arc::new(LandscapeCache::new(2));
        let (one, other) = (landscape.feed(0), landscape.feed(1));
        std::thread::sleep(Duration::from_millis(5));
        one.set_synced();
        one.heartbeat();
        assert!(!landscape.is_synced() && landscape.age() >= Duration::from_millis(5));
        other.set_synced();
        other.update(|_| ());
        assert!(landscape.is_synced() && !landscape.is_stale());
    }

    #[test]
    fn a_source_that_is_read_again_ages_until_it_is_read() {
        let landscape = Arc::new(LandscapeCache::new(1).stale_after(Duration::from_millis(1)));
        let feed = landscape.feed(0);
        let last_sign = || landscape.feeds[0].last_sign.load(Ordering::Relaxed);
        feed.set_synced();
        feed.mark_stale();
        let before = last_sign();
        std::thread::sleep(Duration::from_millis(5));
        feed.heartbeat();
        feed.update(|_| ());
        assert!(landscape.is_synced() && landscape.is_stale());
        assert_eq!(last_sign(), before);
        feed.set_synced();
        assert!(last_sign() > before);
    }
}
