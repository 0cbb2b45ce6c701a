//! What a watch needs to know of the objects that it follows.

use std::time::Duration;

use kube::runtime::watcher;
use serde::de;

use network_guard_core::landscape::Snapshot;

/// What a watch needs to know of a kind of objects.
pub trait Watched:
    kube::Resource<DynamicType = ()> + de::DeserializeOwned + Clone + std::fmt::Debug + Send + 'static
{
    /// What is kept of an object: its name and what is known of it.
    type Item: Send;

    /// The longest pause between two attempts. Few replicas watch, so there is no need to wait for long where calls wait
    /// for what is watched.
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);

    /// Which objects are watched: all, unless this says otherwise.
    fn choose(settings: watcher::Config) -> watcher::Config {
        settings
    }

    /// What is kept of this object.
    fn into_item(self) -> Self::Item;

    /// Lets go of what is not needed once the snapshot is known that the item is meant for: a long list waits until it is
    /// complete.
    fn trim(_item: &mut Self::Item, _snapshot: &Snapshot) {}

    /// Replaces all objects of this kind.
    fn replace(snapshot: &mut Snapshot, items: Vec<Self::Item>);

    /// Adds or replaces one.
    fn put(snapshot: &mut Snapshot, item: Self::Item);

    /// Forgets one.
    fn remove(snapshot: &mut Snapshot, item: Self::Item);
}
