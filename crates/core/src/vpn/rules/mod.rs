//! The rules about the VPN, by what they are about: each is next to its messages.

mod cluster;
mod deployment;
mod sidecar;
mod translation;
mod words;

use crate::diagnostics::Rule;
use crate::gardener::{ClusterFacts, ExpectedVpn, ShootNetwork};
use crate::net::NetworkKind;
pub use cluster::{cluster_missing, cluster_unanswered, cluster_unreadable};
pub use deployment::{conflict, name_taken, unreadable, vpn_incomplete};
pub use sidecar::{change, gardenlet_proxy, kept, other_configuration};
pub use translation::{cannot_translate, nat_containers, variables_corrected, variables_left, variables_unknown};

/// All rules, by file, in the order of the documentation.
pub(crate) const RULES: &[&[&Rule]] = &[cluster::RULES, deployment::RULES, sidecar::RULES, translation::RULES];

/// A highly available Shoot with these networks, on a Seed with these Pods, for examples.
fn facts(kind: NetworkKind, networks: &[&str], seed_pods: &str) -> ClusterFacts {
    let networks = networks.iter().filter_map(|network| Some(ShootNetwork { kind, cidr: network.parse().ok()? }));
    ClusterFacts {
        seed_pods: seed_pods.parse().ok(),
        shoot_networks: networks.collect(),
        expected_vpn: ExpectedVpn::HighlyAvailable,
        switch: None,
        shoot_uid: None,
        is_leaving: false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
