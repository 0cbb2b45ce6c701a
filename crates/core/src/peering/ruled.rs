//! A finding, and what it rests on.

use crate::diagnostics::{Finding, Rule};
use crate::gardener::ShootName;

/// A finding, and the Shoots that it rests on: before it refuses anything they are read again.
#[derive(Debug)]
pub(super) struct Ruled {
    /// The finding.
    pub finding: Finding,
    /// Whom it rests on.
    pub rests_on: Vec<ShootName>,
    /// Whether it rests on what the Shoot's own Seed is.
    pub rests_on_seed: bool,
    /// The rule that could not look, where the finding says so: nobody misses one that is off.
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

    /// A finding that says that this rule could not look.
    pub(super) fn instead_of(rule: &'static Rule, finding: Finding) -> Self {
        Self { instead_of: Some(rule), ..Self::by_targets(finding, []) }
    }
}
