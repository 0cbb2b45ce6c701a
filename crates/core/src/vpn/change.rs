//! What was done to a Pod, and what stands in the way.

/// What was done about something of network-guard in a Pod: the sidecar, or the containers that translate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It was not there and was added.
    Added,
    /// What others had in its place was there and was replaced.
    Replaced,
    /// It was there, something of it was not as it should be and was corrected.
    Updated,
    /// It was there and was removed.
    Removed,
    /// Nothing had to be done.
    Unchanged,
}

impl Change {
    /// The decision, in a word.
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

/// Something of somebody else is where something of network-guard would be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The path in the object.
    pub path: String,
    /// What is there.
    pub what: String,
}
