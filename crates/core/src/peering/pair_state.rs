//! The state of a pair of Shoots, as far as the requesting user may know it.

use crate::gardener::ShootName;
use crate::landscape::Target;

/// The state of a pair of Shoots, with the names that Gardener's dashboard uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairState {
    /// Both list each other.
    ConfiguredOnBoth,
    /// The target does not list this Shoot.
    Incomplete,
    /// The user may not see the target, or it was not verified.
    CannotBeVerified,
}

impl PairState {
    /// The name in audit annotations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfiguredOnBoth => "configured-on-both",
            Self::Incomplete => "incomplete",
            Self::CannotBeVerified => "cannot-be-verified",
        }
    }

    /// The state of a pair. A hidden target cannot be verified even if it consents, as in the dashboard.
    pub fn of(target: &Target, subject: Option<&ShootName>) -> Self {
        match target {
            Target::Visible(facts) if subject.is_some_and(|subject| facts.lists(subject)) => Self::ConfiguredOnBoth,
            Target::Visible(_) | Target::Missing => Self::Incomplete,
            Target::Consenting(_) | Target::Hidden | Target::Unverified(_) => Self::CannotBeVerified,
        }
    }
}
