//! The rules about the VPN, with the texts of their documentation.

mod examples;
mod findings;

use crate::diagnostics::{Rank, Rule, Severity};
pub use examples::examples;
pub use findings::{
    cannot_translate, change, cluster_missing, cluster_unanswered, cluster_unreadable, conflict, gardenlet_proxy, kept,
    name_taken, nat_containers, other_configuration, unreadable, variables_corrected, variables_left,
    variables_unknown, vpn_incomplete,
};

/// There is no Cluster with the name of the namespace.
pub static CLUSTER_MISSING: Rule = Rule {
    name: "vpn/cluster-missing",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "The Deployment carries the containers of a highly available VPN, but there is no Cluster named like its namespace, so it is unknown whether networks overlap.",
    fix: "Wait for gardenlet to write the Cluster, or restore it; then repeat the write.",
};

/// The Cluster could not be read in time.
pub static CLUSTER_UNANSWERED: Rule = Rule {
    name: "vpn/cluster-unanswered",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "The Cluster is not in the cache and the API server did not answer in time, or did not permit the read.",
    fix: "Repeat the write; if it fails again, check the webhook's rights on clusters.extensions.gardener.cloud and its connection to the API server.",
};

/// A network of the Cluster cannot be read.
pub static CLUSTER_UNREADABLE: Rule = Rule {
    name: "vpn/cluster-unreadable",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "A network in the Cluster cannot be read, so it is unknown whether it overlaps.",
    fix: "Correct the named field in the Shoot or Seed; gardenlet copies it into the Cluster.",
};

/// Networks overlap and containers of the VPN are missing.
pub static VPN_INCOMPLETE: Rule = Rule {
    name: "vpn/vpn-incomplete",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and the Deployment has only some of the containers of a highly available VPN: with the sidecar its API server would send traffic into a tunnel that is not there.",
    fix: "Write the Deployment with all of vpn-client-0, vpn-client-1, vpn-path-controller and the init container vpn-client-init.",
};

/// Somebody else's object has one of network-guard's names.
pub static NAME_TAKEN: Rule = Rule {
    name: "vpn/name-taken",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and something that is not network-guard's is in the place of the sidecar, a volume, a mount or the egress selector.",
    fix: "Remove or rename it.",
};

/// An object that cannot be read passes.
pub static UNREADABLE: Rule = Rule {
    name: "vpn/unreadable",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "The kube-apiserver's Deployment, or the StatefulSet of the VPN's end in the Shoot, cannot be read. It passes as it came, because nothing relies on network-guard there: the failure policy is `Ignore`. With `Fail` it is refused.",
    fix: "Correct the named field. If gardenlet writes it, please report this.",
};

/// Shoot and Deployment disagree about the VPN.
pub static HA_VPN_MISMATCH: Rule = Rule {
    name: "vpn/ha-vpn-mismatch",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Risk,
    summary: "The Shoot asks for another VPN than its Deployment carries. It may be on its way to or from high availability; what the Deployment carries decides.",
    fix: "Nothing, if the Shoot is being changed; otherwise reconcile it.",
};

/// gardenlet injected its own proxy.
pub static GARDENLET_PROXY: Rule = Rule {
    name: "vpn/gardenlet-proxy",
    severity: Severity::Note,
    up_to: None,
    rank: Rank::Notice,
    summary: "gardenlet already injected its own envoy-proxy, which serves the same end. It is left as it is: because `vpn.sidecar` is `whereMissing`, or because with `always` it could not be replaced, for which another rule has the reason if there is one.",
    fix: "Nothing. To have the sidecar in its place, set `vpn.sidecar: always`.",
};

/// The sidecar took the place of gardenlet's proxy.
pub static REPLACED: Rule = Rule {
    name: "vpn/replaced",
    severity: Severity::Note,
    up_to: None,
    rank: Rank::Notice,
    summary: "Networks overlap, and the sidecar took the place of gardenlet's own envoy-proxy (`vpn.sidecar: always`). gardenlet sends its own with each write, so each write says this.",
    fix: "Nothing.",
};

/// IPv6 networks overlap.
pub static IPV6_OVERLAP: Rule = Rule {
    name: "vpn/ipv6",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "IPv6 networks of Shoot and Seed overlap. Only IPv4 can be translated.",
    fix: "Give the Shoot other IPv6 networks.",
};

/// The sidecar was added.
pub static INJECTED: Rule = Rule {
    name: "vpn/injected",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "Networks overlap: the sidecar and the egress selector were added.",
    fix: "Nothing.",
};

/// The sidecar was corrected.
pub static UPDATED: Rule = Rule {
    name: "vpn/updated",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The sidecar was there, but not as it is configured now, and was corrected.",
    fix: "Nothing.",
};

/// The sidecar stays, because it is unknown whether it is still needed.
pub static KEPT: Rule = Rule {
    name: "vpn/kept",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Risk,
    summary: "The Cluster cannot be used, and the stored Deployment carries the sidecar: it stays.",
    fix: "See the rule that is named beside this one.",
};

/// The sidecar was removed.
pub static REMOVED: Rule = Rule {
    name: "vpn/removed",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The sidecar is not needed any more and was removed.",
    fix: "Nothing.",
};

/// Variables of the VPN's containers differ from the Cluster, and are left as they are.
pub static VPN_VARIABLES: Rule = Rule {
    name: "vpn/vpn-variables",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "The variables of a VPN container name other networks than the Cluster, so both ends of the tunnel may translate differently. They were left as they are: the Cluster could not be read again, or a variable takes its value from elsewhere.",
    fix: "Repeat the write; if the message names a reference, write the value itself.",
};

/// Variables of the VPN's containers were corrected.
pub static VPN_VARIABLES_CORRECTED: Rule = Rule {
    name: "vpn/vpn-variables-corrected",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The variables of a VPN container named other networks than the Cluster, so both ends of the tunnel would have translated differently. They were corrected.",
    fix: "Find out who changes the variables that gardenlet writes.",
};

/// The containers that translate were changed.
pub static NAT_CONTAINERS: Rule = Rule {
    name: "vpn/nat-containers",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The containers that translate in place of the VPN (`vpn.nat.mode: own`) were added, corrected or removed.",
    fix: "Nothing.",
};

/// Networks overlap and cannot be translated.
pub static CANNOT_TRANSLATE: Rule = Rule {
    name: "vpn/cannot-translate",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and nothing can translate between them: there is no room for all networks of the Shoot in the ranges that Gardener reserves, or the Seed's Pod network is wider than a /8. With `vpn.nat.mode: own` the containers that translate would not start, so the write is refused. With `vpn.nat.mode: vpn-client` vpn2 cannot translate either, with or without a proxy: then this is a warning.",
    fix: "Give the Shoot fewer or smaller networks, or networks that do not overlap the Seed's Pods.",
};

/// The stored sidecar was made by another configuration or release.
pub static OTHER_CONFIGURATION: Rule = Rule {
    name: "vpn/other-configuration",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The stored Deployment carries the sidecar as another configuration or another release makes it. It was replaced, so the Pods of the API server roll.",
    fix: "Nothing, after a change of the configuration or the release: each Shoot says it once. If it goes on, replicas with different configurations correct each other: compare `network_guard_configuration_info` of all of them.",
};

/// All rules, in the order of the documentation.
pub static RULES: [&Rule; 19] = [
    &CLUSTER_MISSING,
    &CLUSTER_UNANSWERED,
    &CLUSTER_UNREADABLE,
    &VPN_INCOMPLETE,
    &NAME_TAKEN,
    &UNREADABLE,
    &HA_VPN_MISMATCH,
    &GARDENLET_PROXY,
    &REPLACED,
    &IPV6_OVERLAP,
    &INJECTED,
    &UPDATED,
    &KEPT,
    &REMOVED,
    &VPN_VARIABLES,
    &VPN_VARIABLES_CORRECTED,
    &NAT_CONTAINERS,
    &CANNOT_TRANSLATE,
    &OTHER_CONFIGURATION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_example_and_a_name_of_its_own() {
        let examples: Vec<&str> = examples().iter().map(|finding| finding.rule.name).collect();
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(examples, rules);
        let unique: std::collections::BTreeSet<_> = rules.iter().collect();
        assert_eq!(unique.len(), rules.len());
    }
}
