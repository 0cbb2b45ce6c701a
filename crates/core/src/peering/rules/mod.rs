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
    PairRule::of_seed(target_seed::seed_missing),
    PairRule::of_seed(target_seed::seed_wrong).even_stored(),
    PairRule::of_seed(target_seed::migrating),
    PairRule::of_seed(target_seed::unscheduled),
    PairRule::of_entry(target::missing).even_stored(),
    PairRule::of_entry(reciprocal::not_reciprocal),
    PairRule::of_entry(target::deleting).even_stored(),
    PairRule::of_entry(target::workerless).even_stored(),
    PairRule::of_entry(reciprocal::disabled),
    PairRule::of_entry(unverified::hidden),
    PairRule::of_entry(unverified::not_verified),
    PairRule::of_entry(networks::overlap).even_stored(),
    PairRule::of_entry(networks::identical).even_stored(),
    PairRule::of_entry(networks::unknown),
    PairRule::of_entry(defaults::of_pair),
    PairRule::of_entry(networks::pods_services),
    PairRule::of_entry(networks::no_common_family),
    PairRule::of_networks(networks::breaks_peer),
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
pub(crate) mod tests;
