//! The rules of this room, by what they examine: each is next to its checks and their messages.

pub mod defaults;
pub mod entry;
pub mod graph;
pub mod lifecycle;
pub mod networks;
pub(super) mod own_nodes;
pub(super) mod pair;
pub mod reciprocal;
mod scene;
pub mod shape;
pub mod target;
pub mod target_seed;
pub mod unverified;
mod words;

use crate::diagnostics::{Rule, Severity};
use crate::json::FieldPath;
use pair::About::{FreshNetworks, Seed, Target};
use pair::PairRule;

/// All rules, by file, in the order of the documentation.
pub(crate) const RULES: &[&[&Rule]] = &[
    shape::RULES,
    entry::RULES,
    target_seed::RULES,
    target::RULES,
    reciprocal::RULES,
    unverified::RULES,
    networks::RULES,
    own_nodes::RULES,
    defaults::RULES,
    graph::RULES,
    lifecycle::RULES,
];

/// The checks of an entry and its target, in the order of their findings.
pub(super) static PAIR_RULES: [PairRule; 18] = [
    PairRule::new(Seed, target_seed::seed_missing),
    PairRule::new(Seed, target_seed::seed_wrong).even_stored(),
    PairRule::new(Seed, target_seed::migrating),
    PairRule::new(Seed, target_seed::unscheduled),
    PairRule::new(Target, target::missing).even_stored(),
    PairRule::new(Target, reciprocal::not_reciprocal),
    PairRule::new(Target, target::deleting).even_stored(),
    PairRule::new(Target, target::workerless).even_stored(),
    PairRule::new(Target, reciprocal::disabled),
    PairRule::new(Target, unverified::hidden),
    PairRule::new(Target, unverified::not_verified),
    PairRule::new(Target, networks::overlap).even_stored(),
    PairRule::new(Target, networks::identical).even_stored(),
    PairRule::new(Target, networks::unknown),
    PairRule::new(Target, defaults::of_pair),
    PairRule::new(Target, networks::pods_services),
    PairRule::new(Target, networks::no_common_family),
    PairRule::new(FreshNetworks, networks::breaks_peer),
];

/// The rules that deny a conflict of node networks by default. One setting, `peering.conflicts`, configures all of them, for a
/// landscape that has stored conflicts and wants to introduce denials step by step.
pub fn conflicts() -> impl Iterator<Item = &'static Rule> {
    let rules = [networks::RULES, graph::RULES].into_iter().flatten().copied();
    rules.filter(|rule| rule.severity == Severity::Deny)
}

/// The path of a configuration in an example.
fn example_config() -> FieldPath {
    FieldPath::from("spec.extensions").index(0).field("providerConfig")
}

/// The path of an entry in an example.
fn example_entry(index: usize) -> FieldPath {
    example_config().field("shootPeerings").index(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kubectl prints each warning as one line.
    #[test]
    fn warnings_are_short() {
        for rule in RULES.iter().copied().flatten() {
            let example = rule.example().unwrap();
            let path = example.path.below("providerConfig").map_or_else(String::new, |path| format!("{path}: "));
            let line = format!("{path}{}", example.text());
            assert!(line.chars().count() <= 160, "{}: {} characters: {line}", rule.name, line.chars().count());
        }
    }
}
