//! The rules about the overlay: those for the writer of a Shoot, and those for a switch that is held on the Seed.

pub mod configuration;
pub mod families;
pub mod held;
pub mod limits;
mod neighbours;
mod settings;
pub mod vpc;

pub use configuration::check;
pub use settings::GardenSettings;

use crate::diagnostics::ratchet::{Scope, compare};
use crate::diagnostics::{Finding, Policy, Rule};
use crate::landscape::View;

/// The findings about the overlay in a Shoot that is written, with their severities. They are final only when no
/// question is open.
pub fn judge(scope: Scope<'_>, settings: &GardenSettings, policy: &Policy, view: &mut View<'_>) -> Vec<Finding> {
    let Scope { new, old } = scope;
    if old.is_some_and(|old| old.last_operation.is_moving()) {
        // During a migration a finding would be about two Seeds at once; infrastructure extensions skip their checks
        // too.
        return Vec::new();
    }
    let mut findings = own(scope);
    findings.extend(limits::check(new, old, settings));
    let mut findings = policy.apply(findings);
    findings.extend(neighbours::shared(new, old, settings, policy, view));
    findings
}

/// Findings about the configuration of Calico that the Shoot's writer caused.
fn own(scope: Scope<'_>) -> Vec<Finding> {
    if !scope.touches_overlay() {
        return Vec::new();
    }
    let stored = scope.old.map_or_else(Vec::new, |old| check(old, Some(old)));
    compare(check(scope.new, scope.old), &stored).new_only()
}

/// All rules, by file, in the order of the documentation.
pub(crate) const RULES: &[&[&Rule]] = &[configuration::RULES, families::RULES, limits::RULES, vpc::RULES, held::RULES];

#[cfg(test)]
pub(crate) mod tests;
