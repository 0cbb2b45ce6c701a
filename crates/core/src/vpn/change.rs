//! What was done to a Pod, and what stands in the way.

use crate::json::FieldPath;

/// What was changed of network-guard's parts of a Pod: the sidecar, or the containers that translate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It was not there and was added.
    Added,
    /// What others had in its place was there and was replaced.
    Replaced,
    /// It was there, differed from what it should be, and was corrected.
    Updated,
    /// It was there and was removed.
    Removed,
    /// Nothing had to be done.
    Unchanged,
}

impl Change {
    /// The name of the decision.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "injected",
            Self::Replaced => "replaced",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Somebody else's object has the name or the place of one of network-guard's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The path in the object.
    pub path: FieldPath,
    /// What is there.
    pub what: String,
}
