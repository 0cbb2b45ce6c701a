//! How two Shoots stand to each other, as far as the requesting user may know it.

use crate::gardener::ShootName;
use crate::landscape::Target;

/// How two Shoots stand to each other, in the words of Gardener's dashboard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairState {
    /// Both list each other.
    ConfiguredOnBoth,
    /// The target does not list this Shoot.
    Incomplete,
    /// The user may not see the target, or nobody answered.
    CannotBeVerified,
}

impl PairState {
    /// The word used in audit annotations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfiguredOnBoth => "configured-on-both",
            Self::Incomplete => "incomplete",
            Self::CannotBeVerified => "cannot-be-verified",
        }
    }

    /// How a pair stands. A hidden target is grey, even if it consents: so it is in the dashboard.
    pub fn of(target: &Target, subject: Option<&ShootName>) -> Self {
        match target {
            Target::Visible(facts) if subject.is_some_and(|subject| facts.lists(subject)) => Self::ConfiguredOnBoth,
            Target::Visible(_) | Target::Missing => Self::Incomplete,
            Target::Consenting(_) | Target::Hidden | Target::Unverified(_) => Self::CannotBeVerified,
        }
    }
}
