//! The interface of objects that are watched.

use std::time::Duration;

use kube::runtime::watcher;
use serde::de;

use network_guard_core::landscape::Snapshot;

/// A kind of objects that can be watched.
pub trait Watched:
    kube::Resource<DynamicType = ()> + de::DeserializeOwned + Clone + std::fmt::Debug + Send + 'static
{
    /// What is kept of an object: its name and its facts.
    type Item: Send;

    /// The longest pause between two attempts. Few replicas watch, so there is no need for long pauses while calls wait
    /// for the objects.
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);

    /// Selects the watched objects: all by default.
    fn choose(settings: watcher::Config) -> watcher::Config {
        settings
    }

    /// Reduces this object to what is kept.
    fn into_item(self) -> Self::Item;

    /// Adds or replaces one.
    fn put(snapshot: &mut Snapshot, item: Self::Item);

    /// Removes one.
    fn remove(snapshot: &mut Snapshot, item: Self::Item);

    /// Replaces all objects of this kind by those of a complete list, at a cost that does not depend on their number.
    fn take(snapshot: &mut Snapshot, listed: Snapshot);
}
