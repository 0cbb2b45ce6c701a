//! The known state of the landscape: one immutable snapshot, replaced as a whole; and the [`View`] of it, in which a decision finds
//! facts, or asks for them.
//!
//! The maps are persistent: a writer clones the snapshot in constant time, changes its clone in O(log n) and publishes
//! it; a reader keeps the snapshot that it loaded. Nothing here locks, waits or talks to an API server.

mod access;
mod census;
mod freshness;
#[cfg(test)]
pub(crate) mod garden;
mod known;
mod questions;
mod shoots;
mod snapshot;
mod target;
mod view;

pub use access::{Access, Grant, Subject};
pub use census::Census;
pub use freshness::Freshness;
pub use known::{Cluster, Known, Seed, WhyOld};
pub use questions::{Answer, Answers, Questions, Visibility};
pub use shoots::Shoots;
pub use snapshot::{ClusterRecord, NetworkName, Snapshot, switch_facts};
pub use target::{Consent, Target};
pub use view::{Asked, View};
