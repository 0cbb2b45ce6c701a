//! The rules about the overlay: those for the writer of a Shoot, and those for a switch that is held on the Seed.

pub mod configuration;
pub mod families;
pub mod held;
pub mod limits;
mod neighbours;
mod settings;
pub mod vpc;

pub use configuration::{check, is_untouched};
pub use settings::GardenSettings;

use crate::diagnostics::{Finding, Policy, Rule, without_stored};
use crate::gardener::Shoot;
use crate::json;
use crate::landscape::View;

/// The findings about the overlay in a Shoot that is written, with their severities. They are final only when no
/// question is open.
pub fn judge(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    settings: &GardenSettings,
    policy: &Policy,
    view: &mut View<'_>,
) -> Vec<Finding> {
    if old.is_some_and(|old| old.last_operation.is_moving()) {
        // During a migration a finding would be about two Seeds at once; infrastructure extensions skip their checks
        // too.
        return Vec::new();
    }
    let mut findings = own(new, old);
    findings.extend(limits::check(new, old, settings));
    let mut findings = policy.apply(findings);
    findings.extend(neighbours::shared(new, old, settings, policy, view));
    findings
}

/// Findings about the configuration of Calico that the Shoot's writer caused.
fn own(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    // With IPv6, Calico's configuration may mean something else.
    let is_as_before = |old: &Shoot<'_>| {
        json::are_same(old.network_config, new.network_config)
            && old.networking.ip_families == new.networking.ip_families
    };
    if old.is_some_and(is_as_before) {
        return Vec::new();
    }
    let stored = old.map_or_else(Vec::new, |old| check(old, Some(old)));
    without_stored(check(new, old), stored, |finding, old| {
        // With VXLAN the IPv4 part works, but the rule is the same.
        finding.rule == families::ON_WITH_IPV6.name && old.path == finding.path
    })
}

/// All rules of the garden, each with an example, in the order of the documentation.
pub fn documented() -> Vec<(&'static Rule, Finding)> {
    let mut all = configuration::documented();
    all.extend(families::documented());
    all.extend(limits::documented());
    all.extend(vpc::documented());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_of_its_rule_and_every_name_is_unique() {
        let documented = documented();
        for (rule, example) in &documented {
            assert_eq!(rule.name, example.rule);
            assert!(rule.name.starts_with("overlay/"), "{}", rule.name);
        }
        let unique: std::collections::BTreeSet<_> = documented.iter().map(|(rule, _)| rule.name).collect();
        assert_eq!(unique.len(), documented.len());
    }
}
