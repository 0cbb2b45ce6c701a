//! A finding with the objects that it rests on.

use crate::diagnostics::{Finding, Rule};
use crate::gardener::ShootName;

/// A finding with the Shoots that it rests on, which are read again before the finding denies anything.
#[derive(Debug)]
pub(super) struct Ruled {
    /// The finding.
    pub finding: Finding,
    /// The Shoots that the finding rests on.
    pub rests_on: Vec<ShootName>,
    /// Whether the finding rests on the facts of the Shoot's own Seed.
    pub rests_on_seed: bool,
    /// The rule that could not be evaluated, if the finding reports that. The finding is dropped when this rule is off.
    pub instead_of: Option<&'static Rule>,
}

impl Ruled {
    /// A finding that rests on these Shoots.
    pub(super) fn by_targets<'n>(finding: Finding, targets: impl IntoIterator<Item = &'n ShootName>) -> Self {
        let rests_on = targets.into_iter().cloned().collect();
        Self { finding, rests_on, rests_on_seed: false, instead_of: None }
    }

    /// A finding that rests on the Shoot's own Seed.
    pub(super) fn by_seed(finding: Finding) -> Self {
        Self { rests_on_seed: true, ..Self::by_targets(finding, []) }
    }

    /// A finding which reports that this rule could not be evaluated.
    pub(super) fn instead_of(rule: &'static Rule, finding: Finding) -> Self {
        Self { instead_of: Some(rule), ..Self::by_targets(finding, []) }
    }
}
