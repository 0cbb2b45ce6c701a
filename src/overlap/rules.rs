//! The rules of this room: each says one thing, and this file is where its words are.

use std::fmt;

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::gardener::{ExpectedVpn, FieldError, ShootNetwork};
use crate::net::NetworkKind;

use super::mutate::Taken;
use super::{Change, Conflict, Overlap};

/// No Cluster of the namespace's name.
pub static CLUSTER_MISSING: Rule = Rule {
    name: "overlap/cluster-missing",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "The Deployment carries the containers of a highly available VPN, but there is no Cluster named like its namespace, so nobody can tell whether networks overlap.",
    fix: "Wait for gardenlet to write the Cluster, or restore it; then repeat the write.",
};

/// The Cluster could not be read in time.
pub static CLUSTER_UNANSWERED: Rule = Rule {
    name: "overlap/cluster-unanswered",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "The Cluster is not in the cache and the API server did not answer in time, or did not permit the read.",
    fix: "Repeat the write; if it stays, check the webhook's rights on clusters.extensions.gardener.cloud and its connection to the API server.",
};

/// The Cluster has networks that are none.
pub static CLUSTER_UNREADABLE: Rule = Rule {
    name: "overlap/cluster-unreadable",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "A network in the Cluster cannot be read, so nobody can tell whether it overlaps.",
    fix: "Correct the named field in the Shoot or Seed; gardenlet copies it into the Cluster.",
};

/// Networks overlap and containers of the VPN are missing.
pub static VPN_INCOMPLETE: Rule = Rule {
    name: "overlap/vpn-incomplete",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and the Deployment has only some of the containers of a highly available VPN: with the sidecar its API server would send traffic into a tunnel that is not there.",
    fix: "Write the Deployment with all of vpn-client-0, vpn-client-1, vpn-path-controller and the init container vpn-client-init.",
};

/// Something of somebody else has one of our names.
pub static NAME_TAKEN: Rule = Rule {
    name: "overlap/name-taken",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and something that is not ours stands where the sidecar, a volume, a mount or the egress selector would go.",
    fix: "Remove or rename what stands there.",
};

/// An object that cannot be read passes.
pub static UNREADABLE: Rule = Rule {
    name: "overlap/unreadable",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "The kube-apiserver's Deployment, or the StatefulSet of the VPN's end in the Shoot, cannot be read. It passes as it came, because nothing relies on network-guard there: the failure policy is `Ignore`. With `Fail` it is refused.",
    fix: "Correct the named field. If gardenlet writes it, please report this.",
};

/// Shoot and Deployment disagree about the VPN.
pub static HA_VPN_MISMATCH: Rule = Rule {
    name: "overlap/ha-vpn-mismatch",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Risk,
    summary: "The Shoot asks for another VPN than its Deployment carries. It may be on its way to or from high availability; what the Deployment carries decides.",
    fix: "Nothing, if the Shoot is being changed; otherwise reconcile it.",
};

/// gardenlet injected its own proxy.
pub static GARDENLET_PROXY: Rule = Rule {
    name: "overlap/gardenlet-proxy",
    severity: Severity::Note,
    up_to: None,
    rank: Rank::Notice,
    summary: "gardenlet already injected its own envoy-proxy, which serves the same end. It is left as it is: because `overlap.sidecar` is `whereMissing`, or because with `always` it could not be replaced, for which another rule has the reason if there is one.",
    fix: "Nothing. To have the sidecar in its place, set `overlap.sidecar: always`.",
};

/// The sidecar took the place of gardenlet's proxy.
pub static REPLACED: Rule = Rule {
    name: "overlap/replaced",
    severity: Severity::Note,
    up_to: None,
    rank: Rank::Notice,
    summary: "Networks overlap, and the sidecar took the place of gardenlet's own envoy-proxy (`overlap.sidecar: always`). gardenlet sends its own with each write, so each write says this.",
    fix: "Nothing.",
};

/// IPv6 networks overlap.
pub static IPV6_OVERLAP: Rule = Rule {
    name: "overlap/ipv6",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "IPv6 networks of Shoot and Seed overlap. Only IPv4 can be translated.",
    fix: "Give the Shoot other IPv6 networks.",
};

/// The sidecar was added.
pub static INJECTED: Rule = Rule {
    name: "overlap/injected",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "Networks overlap: the sidecar and the egress selector were added.",
    fix: "Nothing.",
};

/// The sidecar was put right.
pub static UPDATED: Rule = Rule {
    name: "overlap/updated",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The sidecar was there, but not as it is configured now, and was put right.",
    fix: "Nothing.",
};

/// The sidecar stays, because nobody can tell whether it is still needed.
pub static KEPT: Rule = Rule {
    name: "overlap/kept",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Risk,
    summary: "The Cluster cannot be used, and the stored Deployment carries the sidecar: it stays.",
    fix: "See the rule that is named beside this one.",
};

/// The sidecar was removed.
pub static REMOVED: Rule = Rule {
    name: "overlap/removed",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The sidecar is not needed any more and was removed.",
    fix: "Nothing.",
};

/// What the VPN's containers are told is not what the Cluster says, and stays so.
pub static VPN_VARIABLES: Rule = Rule {
    name: "overlap/vpn-variables",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Fault,
    summary: "A container of the VPN is told other networks than the Cluster says, so both ends of the tunnel may translate differently. It was left as it is: the Cluster could not be read anew, or the variable takes its value from elsewhere.",
    fix: "Repeat the write; if the message names a reference, write the value itself.",
};

/// What the VPN's containers are told was put right.
pub static VPN_VARIABLES_CORRECTED: Rule = Rule {
    name: "overlap/vpn-variables-corrected",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "A container of the VPN was told other networks than the Cluster says, so both ends of the tunnel would have translated differently. It was put right.",
    fix: "Find out who changes the variables that gardenlet writes.",
};

/// The containers that translate were changed.
pub static NAT_CONTAINERS: Rule = Rule {
    name: "overlap/nat-containers",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The containers that translate in place of the VPN (`nat.mode: own`) were added, put right or removed.",
    fix: "Nothing.",
};

/// Networks overlap and there is no way to translate them.
pub static CANNOT_TRANSLATE: Rule = Rule {
    name: "overlap/cannot-translate",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "Networks overlap, and nothing can translate between them: there is no room for all networks of the Shoot in the ranges that Gardener reserves, or the Seed's Pod network is wider than a /8. With `nat.mode: own` the containers that translate would not start, so the write is refused. With `nat.mode: vpn-client` vpn2 cannot translate either, with or without a proxy: then this is a warning.",
    fix: "Give the Shoot fewer or smaller networks, or networks that do not overlap the Seed's Pods.",
};

/// What is stored was made by somebody who is configured otherwise.
pub static OTHER_CONFIGURATION: Rule = Rule {
    name: "overlap/other-configuration",
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

/// There is no such Cluster.
pub fn cluster_missing(namespace: &str) -> Finding {
    CLUSTER_MISSING.finding(
        "metadata.namespace",
        format!("there is no Cluster `{namespace}` to read the networks from"),
        "wait for gardenlet to write it, then repeat",
    )
}

/// There was no answer.
pub fn cluster_unanswered(namespace: &str, why: &str) -> Finding {
    CLUSTER_UNANSWERED.finding(
        "metadata.namespace",
        format!("the Cluster `{namespace}` could not be read: {why}"),
        "repeat; if it stays, check the webhook's rights and connection",
    )
}

/// A field of the Cluster cannot be used.
pub fn cluster_unreadable(namespace: &str, error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{} ", error.value) };
    CLUSTER_UNREADABLE.finding(
        &format!("cluster {namespace}: {}", error.path),
        format!("{value}{}", error.problem),
        "correct it in the Shoot or Seed",
    )
}

/// Containers are missing.
pub fn vpn_incomplete(overlaps: &[Overlap], missing: &[&str]) -> Finding {
    let missing = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    VPN_INCOMPLETE.finding(
        "spec.template.spec",
        format!("{}, but the Deployment lacks {missing}", first_and_more(overlaps)),
        "write all containers of the VPN",
    )
}

/// Something stands in our way.
pub fn name_taken(taken: &Taken) -> Finding {
    NAME_TAKEN.finding(&taken.path, taken.what.clone(), "remove or rename it, the overlap sidecar needs the place")
}

/// An object passes though it cannot be read.
pub fn unreadable(error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{}: ", error.value) };
    UNREADABLE.finding(&error.path, format!("{value}{}; left as it is", error.problem), "")
}

/// A conflict that does not stop the write.
pub fn conflict(conflict: &Conflict) -> Finding {
    match conflict {
        Conflict::OtherVpn { expected } => {
            let (asks, carries) = match expected {
                ExpectedVpn::HighlyAvailable => ("a highly available VPN", "has no container of one yet"),
                ExpectedVpn::Single => ("a single VPN", "still carries a highly available one"),
                ExpectedVpn::Absent => ("no VPN", "still carries a highly available one"),
            };
            HA_VPN_MISMATCH.finding(
                "spec.template.spec",
                format!("the Shoot asks for {asks}, the Deployment {carries}"),
                "",
            )
        }
        Conflict::Ipv6(pair) => IPV6_OVERLAP.finding(
            "",
            format!("{pair}, and IPv6 cannot be translated"),
            "give the Shoot other IPv6 networks",
        ),
    }
}

/// gardenlet's own proxy stays.
pub fn gardenlet_proxy() -> Finding {
    GARDENLET_PROXY.finding("", "gardenlet's own envoy-proxy is there, left as it is".to_owned(), "")
}

/// What was changed, if anything.
pub fn change(change: Change, overlaps: &[Overlap]) -> Option<Finding> {
    let (rule, text) = match change {
        Change::Injected => (&INJECTED, format!("{}: added envoy-proxy and egress selector", first_and_more(overlaps))),
        Change::Replaced => {
            (&REPLACED, format!("{}: replaced gardenlet's envoy-proxy and egress selector", first_and_more(overlaps)))
        }
        Change::Updated => (&UPDATED, "put envoy-proxy and egress selector right".to_owned()),
        Change::Removed => (&REMOVED, "no IPv4 overlap to bridge: removed envoy-proxy and egress selector".to_owned()),
        Change::Unchanged => return None,
    };
    Some(rule.finding("", text, ""))
}

/// The sidecar stays as it was.
pub fn kept(change: Change) -> Option<Finding> {
    (change != Change::Unchanged)
        .then(|| KEPT.finding("", "kept envoy-proxy and egress selector as they were".to_owned(), ""))
}

/// What was wrong about variables of the VPN's containers, the first at this path, and was put right.
pub fn variables_corrected<T: fmt::Display>(path: &str, wrong: &[T]) -> Finding {
    VPN_VARIABLES_CORRECTED.finding(path, format!("{}: corrected", first_and_more(wrong)), "")
}

/// What is wrong about variables of the VPN's containers, the first at this path, and why it was left so.
pub fn variables_left<T: fmt::Display>(path: &str, wrong: &[T], why: &str) -> Finding {
    VPN_VARIABLES.finding(path, format!("{}: left as it is, {why}", first_and_more(wrong)), "repeat the write")
}

/// Variables of the VPN's containers, the first at this path, that nobody can judge.
pub fn variables_unknown<T: fmt::Display>(path: &str, unknown: &[T]) -> Finding {
    VPN_VARIABLES.finding(path, format!("{}: left as it is", first_and_more(unknown)), "write the value itself")
}

/// What was done about the containers that translate.
pub fn nat_containers(done: &str) -> Finding {
    NAT_CONTAINERS.finding("", format!("{done} the containers that translate"), "")
}

/// Why there is no translation.
pub fn cannot_translate(overlaps: &[Overlap], why: &str) -> Finding {
    CANNOT_TRANSLATE.finding(
        "",
        format!("{}, and cannot be translated: {why}", first_and_more(overlaps)),
        "give the Shoot fewer or smaller networks, or networks apart from the Seed's Pods",
    )
}

/// The stored sidecar is replaced by one of ours.
pub fn other_configuration() -> Finding {
    let text = "what is stored was made by another configuration or release: replaced, the API server's Pods roll";
    OTHER_CONFIGURATION.finding("", text.to_owned(), "")
}

fn first_and_more<T: fmt::Display>(all: &[T]) -> String {
    match all {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// A finding of each rule, in the order of [`RULES`], for the documentation.
pub fn examples() -> Vec<Finding> {
    let cidr = |text: &str| text.parse().expect("a constant");
    let pair = |kind, shoot, seed_pods| Overlap {
        shoot: ShootNetwork { kind, cidr: cidr(shoot) },
        seed_pods: cidr(seed_pods),
    };
    let namespace = "shoot--garden--demo";
    let nodes = pair(NetworkKind::Nodes, "10.250.0.0/16", "10.0.0.0/8");
    let error = FieldError {
        path: "spec.shoot.status.networking.nodes[1]".to_owned(),
        value: "\"10.250.0.0/33\"".to_owned(),
        problem: "is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`".to_owned(),
    };
    let taken = Taken {
        path: "spec.template.spec.volumes[3].name".to_owned(),
        what: "volume `network-guard-socket` is not ours, its source is another".to_owned(),
    };
    let nat = "the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 11.0.0.0/8";
    let mut examples = vec![
        cluster_missing(namespace),
        cluster_unanswered(namespace, "no answer within 4500 ms"),
        cluster_unreadable(namespace, &error),
        vpn_incomplete(&[nodes], &["vpn-client-1"]),
        name_taken(&taken),
        unreadable(&FieldError {
            path: "request.object.spec.template.spec.containers[17].name".to_owned(),
            value: "\"vpn-client-1\"".to_owned(),
            problem: "there are more than 16 containers of the VPN, while gardenlet writes three".to_owned(),
        }),
        conflict(&Conflict::OtherVpn { expected: ExpectedVpn::HighlyAvailable }),
        gardenlet_proxy(),
    ];
    examples.extend(change(Change::Replaced, &[nodes]));
    examples.push(conflict(&Conflict::Ipv6(pair(NetworkKind::Pods, "fd00:1::/64", "fd00::/16"))));
    examples.extend([Change::Injected, Change::Updated].into_iter().filter_map(|done| change(done, &[nodes])));
    examples.extend(kept(Change::Injected));
    examples.extend(change(Change::Removed, &[]));
    let variable = "`SHOOT_NODE_NETWORKS` of `vpn-client-1` says `10.9.0.0/16`, the Cluster says `10.250.0.0/16`";
    let path = "spec.template.spec.containers[3].env[3].value";
    examples.extend([
        variables_left(path, &[variable], "the Cluster could not be read anew: no answer within 4500 ms"),
        variables_corrected(path, &[variable]),
        nat_containers("added"),
        cannot_translate(&[nodes], nat),
        other_configuration(),
    ]);
    examples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_example_and_a_name_of_its_own() {
        let examples: Vec<&str> = examples().iter().map(|finding| finding.rule).collect();
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(examples, rules);
        let unique: std::collections::BTreeSet<_> = rules.iter().collect();
        assert_eq!(unique.len(), rules.len());
    }
}
