//! The known state of the landscape: one immutable snapshot, replaced as a whole.
//!
//! The maps are persistent: a writer clones the snapshot in constant time, changes its clone in O(log n) and publishes
//! it; a reader keeps the snapshot that it loaded. Nothing here locks, waits or talks to an API server.

mod access;
mod census;
mod questions;
mod shoots;
mod snapshot;
mod target;
mod view;

pub use access::{Access, Grant, Subject};
pub use census::Census;
pub use questions::{Answer, Answers, Questions, Visibility};
pub use shoots::Shoots;
pub use snapshot::{ClusterRecord, NetworkName, Snapshot, switch_facts};
pub use target::{Consent, Target};
pub use view::{Seed, View};
