//! The rules of this module, by what they examine. Each rule is one function, next to its messages.

pub mod defaults;
pub mod entry;
pub mod graph;
pub mod lifecycle;
pub mod networks;
pub(super) mod pair;
pub mod reciprocal;
pub mod shape;
pub mod target;
pub mod target_seed;
pub mod unverified;
mod words;

use crate::diagnostics::{Finding, Rule};
use crate::json::FieldPath;

/// All rules with an example of each, in the order of the documentation.
pub fn documented() -> Vec<(&'static Rule, Finding)> {
    [
        shape::documented(),
        entry::documented(),
        target::documented(),
        networks::documented(),
        defaults::documented(),
        graph::documented(),
        lifecycle::documented(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The rules that deny a conflict of node networks by default. One setting, `peering.conflicts`, configures all of them, for a landscape that has stored conflicts
/// and wants to introduce denials step by step.
pub static CONFLICTS: [&Rule; 4] =
    [&networks::OVERLAP, &networks::IDENTICAL, &networks::BREAKS_PEER, &graph::PEERS_OVERLAP];

/// The path of a configuration in an example.
fn example_config() -> FieldPath {
    FieldPath::from("spec.extensions").index(0).field("providerConfig")
}

/// The path of an entry in an example.
fn example_entry() -> FieldPath {
    example_config().field("shootPeerings").index(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_of_its_rule_and_every_name_is_unique() {
        let documented = documented();
        for (rule, example) in &documented {
            assert_eq!(*rule, example.rule);
            assert!(rule.name.starts_with("peering/"), "{}", rule.name);
        }
        let unique: std::collections::BTreeSet<_> = documented.iter().map(|(rule, _)| rule.name).collect();
        assert_eq!(unique.len(), documented.len());
    }

    /// kubectl prints each warning as one line.
    #[test]
    fn warnings_are_short() {
        for (rule, example) in documented() {
            let path = example.path.below("providerConfig").map_or_else(String::new, |path| format!("{path}: "));
            let line = format!("{path}{}", example.text());
            assert!(line.chars().count() <= 160, "{}: {} characters: {line}", rule.name, line.chars().count());
        }
    }
}
