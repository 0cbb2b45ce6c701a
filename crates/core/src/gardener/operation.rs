//! `status.lastOperation`, as gardenlet writes it for a Shoot, and an extension for its own object.

use serde::Deserialize;

/// The last operation on a Shoot.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct LastOperation {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Option<OperationKind>,
    /// How far it is.
    pub state: Option<OperationState>,
}

/// What an operation is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum OperationKind {
    /// The control plane leaves its Seed.
    Migrate,
    /// It arrives on another one.
    Restore,
    /// Any other.
    #[serde(other)]
    Other,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum OperationState {
    /// It waits to begin.
    Pending,
    /// It is under way.
    Processing,
    /// It is done.
    Succeeded,
    /// It failed, and is repeated.
    Error,
    /// It failed for good, and is repeated only when somebody asks for that.
    Failed,
    /// Any other.
    #[serde(other)]
    Other,
}

impl LastOperation {
    /// Whether it is a migration, or a restoration that has not succeeded: the control plane is on its way to another
    /// Seed.
    pub(crate) fn is_moving(self) -> bool {
        match self.kind {
            Some(OperationKind::Migrate) => true,
            Some(OperationKind::Restore) => self.state != Some(OperationState::Succeeded),
            Some(OperationKind::Other) | None => false,
        }
    }
}

impl OperationState {
    /// Whether it is under way, or about to be.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Processing)
    }
}
