//! Why no route will ever come (an obstacle), or why routes may be missing (a hint).

use super::super::families::{TWO_NODE_NETWORKS, has_no_routes_with_two_families};
use super::desired::Desired;
use crate::gardener::providers::Routes;
use crate::gardener::{Provider, SwitchFacts};
use crate::net::Family;

/// Why a held switch cannot end by routes at present, and what to do.
pub(super) fn obstacle(shoot: &SwitchFacts, desired: &Desired) -> Option<&'static str> {
    if has_no_routes_with_two_families(&shoot.provider) {
        if shoot.has_two_node_networks {
            return Some(TWO_NODE_NETWORKS);
        }
        if desired.families.contains(&Family::V6) {
            return Some(
                "gcp makes no routes for a Shoot with two IP families, so none will come: keep the overlay, or replace all nodes, as new ones need no route, and force the switch; only while status.networking.nodes of the Shoot has one network, the second family can be taken back instead, and added when the overlay is off",
            );
        }
    }
    (desired.is_by_families && shoot.counts_one_family).then_some(
        "Calico ends its overlay with the second IP family, which counts only when all nodes have it (constraint DualStackNodesMigrationReady)",
    )
}

/// Why routes may be missing; reported while they are.
pub(super) fn hint(shoot: &SwitchFacts, desired: &Desired) -> Option<&'static str> {
    (wants_the_word(&shoot.provider) && !desired.subset.says_overlay()).then_some(
        "the infrastructure makes routes only where the Shoot says so: write overlay: {enabled: false} into it",
    )
}

/// Whether the provider makes routes only if `overlay.enabled` is `false`.
fn wants_the_word(provider: &str) -> bool {
    Provider::of(provider).is_some_and(|provider| provider.routes == Routes::WhenOff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacles_to_routes() {
        let off = Some(r#"{"overlay":{"enabled":false}}"#);
        let (one, two) = (&[Family::V4][..], &[Family::V4, Family::V6][..]);
        let facts = |provider: &str| SwitchFacts { provider: provider.into(), ..SwitchFacts::default() };
        let dual = |provider, nodes, counts| SwitchFacts {
            has_two_node_networks: nodes,
            counts_one_family: counts,
            ..facts(provider)
        };
        for (what, shoot, config, families, obstacle_word, hint_word) in [
            ("gcp", facts("gcp"), off, one, "", ""),
            ("gcp, both", facts("gcp"), off, two, "can be taken back instead", ""),
            ("gcp, both, and the infrastructure too", dual("gcp", true, false), off, two, "replace all nodes", ""),
            ("gcp, taken back too late", dual("gcp", true, false), off, one, "replace all nodes", ""),
            ("gcp, by the families", facts("gcp"), None, two, "can be taken back instead", "write overlay"),
            ("aws, both", dual("aws", true, true), off, two, "", ""),
            ("openstack, by the families", facts("openstack"), None, two, "", "write overlay"),
            (
                "openstack, on the way",
                dual("openstack", true, true),
                None,
                two,
                "DualStackNodesMigrationReady",
                "write",
            ),
            ("openstack, by the backend", facts("openstack"), Some(r#"{"backend":"none"}"#), one, "", "write overlay"),
            ("alicloud, by the families", facts("alicloud"), None, two, "", ""),
            ("elsewhere", facts("elsewhere"), None, two, "", ""),
        ] {
            let desired = Desired::of(config, families).unwrap();
            for (said, word) in [(obstacle(&shoot, &desired), obstacle_word), (hint(&shoot, &desired), hint_word)] {
                let said = said.unwrap_or_default();
                assert!(said.contains(word) && said.is_empty() == word.is_empty(), "{what}: {said:?}, not {word:?}");
            }
        }
    }
}
