//! How much a finding weighs, and how soon people should read of it.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The request passes silently; only logs and metrics know.
    Note,
    /// The request passes and its sender is told.
    Warn,
    /// The request is refused.
    Deny,
}

impl Severity {
    /// The word used in configuration, logs, metrics and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

/// What a finding asks of people, and so how soon they should read it: the first comes first, and is the last to be left out
/// where there is no room for all.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// Something does not work, or breaks something else, until it is corrected.
    Fault,
    /// Something may break.
    Risk,
    /// Something is not known, or was not looked at: there may be a fault in it.
    Unverified,
    /// Something happened, or follows.
    Notice,
    /// It is somebody else's turn, as it has to be at first.
    Awaited,
}

impl Rank {
    /// All ranks, in the order in which they are read.
    pub const ALL: [Self; 5] = [Self::Fault, Self::Risk, Self::Unverified, Self::Notice, Self::Awaited];

    /// The word used in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Risk => "risk",
            Self::Unverified => "unverified",
            Self::Notice => "notice",
            Self::Awaited => "awaited",
        }
    }
}
