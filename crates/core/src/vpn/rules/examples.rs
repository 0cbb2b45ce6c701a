//! Examples of findings.

use super::{
    cannot_translate, change, cluster_missing, cluster_unanswered, cluster_unreadable, conflict, gardenlet_proxy, kept,
    name_taken, nat_containers, other_configuration, unreadable, variables_corrected, variables_left, vpn_incomplete,
};
use crate::diagnostics::Finding;
use crate::gardener::{ExpectedVpn, FieldError, ShootNetwork};
use crate::json::FieldPath;
use crate::net::NetworkKind;
use crate::vpn::{Change, Conflict, Overlap, Taken};

/// A finding of each rule, in the order of [`super::RULES`], for the documentation.
pub fn examples() -> Vec<Finding> {
    let cidr = |text: &str| text.parse().expect("a constant");
    let pair = |kind, shoot, seed_pods| Overlap {
        shoot: ShootNetwork { kind, cidr: cidr(shoot) },
        seed_pods: cidr(seed_pods),
    };
    let namespace = "shoot--garden--demo";
    let nodes = pair(NetworkKind::Nodes, "10.250.0.0/16", "10.0.0.0/8");
    let error = FieldError {
        path: FieldPath::from("spec.shoot.status.networking.nodes").index(1),
        value: "\"10.250.0.0/33\"".to_owned(),
        problem: "is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`".to_owned(),
    };
    let taken = Taken {
        path: FieldPath::from("spec.template.spec.volumes").index(3).field("name"),
        what: "volume `network-guard-socket` is not network-guard's: its source differs".to_owned(),
    };
    let nat = "the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 11.0.0.0/8";
    let mut examples = vec![
        cluster_missing(namespace),
        cluster_unanswered(namespace, "no answer within 4500 ms"),
        cluster_unreadable(namespace, &error),
        vpn_incomplete(&[nodes], &["vpn-client-1"]),
        name_taken(&taken),
        unreadable(&FieldError {
            path: FieldPath::from("request.object.spec.template.spec.containers").index(17).field("name"),
            value: "\"vpn-client-1\"".to_owned(),
            problem: "there are more than 16 containers of the VPN, while gardenlet writes three".to_owned(),
        }),
        conflict(&Conflict::OtherVpn { expected: ExpectedVpn::HighlyAvailable }),
        gardenlet_proxy(),
    ];
    examples.extend(change(Change::Replaced, &[nodes]));
    examples.push(conflict(&Conflict::Ipv6(pair(NetworkKind::Pods, "fd00:1::/64", "fd00::/16"))));
    examples.extend([Change::Added, Change::Updated].into_iter().filter_map(|done| change(done, &[nodes])));
    examples.extend(kept(Change::Added));
    examples.extend(change(Change::Removed, &[]));
    let variable = "`SHOOT_NODE_NETWORKS` of `vpn-client-1` says `10.9.0.0/16`, the Cluster says `10.250.0.0/16`";
    let path = || FieldPath::from("spec.template.spec.containers").index(3).field("env").index(3).field("value");
    examples.extend([
        variables_left(path(), &[variable], "the Cluster could not be read again: no answer within 4500 ms"),
        variables_corrected(path(), &[variable]),
    ]);
    examples.extend(nat_containers(Change::Added));
    examples.extend([cannot_translate(&[nodes], nat), other_configuration()]);
    examples
}
