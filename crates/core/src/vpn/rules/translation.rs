//! Rules about the double NAT: the variables of the VPN, and the containers that translate in its place.

use std::fmt;

use super::facts;
use super::words::first_and_more;
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::deployment::PodSpec;
use crate::json::{FieldPath, Members};
use crate::net::NetworkKind;
use crate::vpn::nat::Correction;
use crate::vpn::nat::corrections;
use crate::vpn::{Change, Overlap, overlaps};

rules! {
    /// The variables of a VPN container name other networks than the Cluster, so both ends of the tunnel may translate
    /// differently. They were left as they are: the Cluster could not be read again, or a variable takes its value from
    /// elsewhere.
    static VPN_VARIABLES = {
        name: "vpn/vpn-variables",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Fault,
        fix: "Repeat the write; if the message names a reference, write the value itself.",
        example: || {
            let found = found();
            let why = "the Cluster could not be read again: no answer within 4500 ms";
            found.iter().map(|wrong| variables_left(wrong.path(), std::slice::from_ref(wrong), why)).collect()
        },
    };

    /// The variables of a VPN container named other networks than the Cluster, so both ends of the tunnel would have
    /// translated differently. They were corrected.
    static VPN_VARIABLES_CORRECTED = {
        name: "vpn/vpn-variables-corrected",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Find out who changes the variables that gardenlet writes.",
        example: || {
            let found = found();
            found.iter().map(|wrong| variables_corrected(wrong.path(), std::slice::from_ref(wrong))).collect()
        },
    };

    /// The containers that translate in place of the VPN (`vpn.nat.mode: own`) were added, corrected or removed.
    static NAT_CONTAINERS = {
        name: "vpn/nat-containers",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || nat_containers(Change::Added).into_iter().collect(),
    };

    /// Networks overlap, and nothing can translate between them: there is no room for all networks of the Shoot in the
    /// ranges that Gardener reserves, or the Seed's Pod network is wider than a /8. With `vpn.nat.mode: own` the
    /// containers that translate would not start, so the write is refused. With `vpn.nat.mode: vpn-client` vpn2 cannot
    /// translate either, with or without a proxy: then this is a warning.
    static CANNOT_TRANSLATE = {
        name: "vpn/cannot-translate",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Give the Shoot fewer or smaller networks, or networks that do not overlap the Seed's Pods.",
        example: || {
            let facts = facts(NetworkKind::Nodes, &["10.250.0.0/16", "11.0.0.0/8"], "10.0.0.0/8");
            let why = crate::vpn::cannot_translate(&facts);
            let overlaps: Vec<Overlap> = overlaps(&facts).collect();
            why.map(|why| cannot_translate(&overlaps, &why.to_string())).into_iter().collect()
        },
    };
}

/// Wrong variables of the VPN's containers, the first at this path, that were corrected.
pub fn variables_corrected<T: fmt::Display>(path: FieldPath, wrong: &[T]) -> Finding {
    VPN_VARIABLES_CORRECTED.finding(path, format!("{}: corrected", first_and_more(wrong)), "")
}

/// Wrong variables of the VPN's containers, the first at this path, and why they were left as they are.
pub fn variables_left<T: fmt::Display>(path: FieldPath, wrong: &[T], why: &str) -> Finding {
    VPN_VARIABLES.finding(path, format!("{}: left as it is, {why}", first_and_more(wrong)), "repeat the write")
}

/// Variables of the VPN's containers, the first at this path, whose value is not known before the Pod starts.
pub fn variables_unknown<T: fmt::Display>(path: FieldPath, unknown: &[T]) -> Finding {
    VPN_VARIABLES.finding(path, format!("{}: left as it is", first_and_more(unknown)), "write the value itself")
}

/// What was done about the containers that translate, if anything.
pub fn nat_containers(change: Change) -> Option<Finding> {
    let done = match change {
        Change::Added => "added",
        Change::Replaced | Change::Updated => "corrected",
        Change::Removed => "removed",
        Change::Unchanged => return None,
    };
    Some(NAT_CONTAINERS.finding("", format!("{done} the containers that translate"), ""))
}

/// Why there is no translation.
pub fn cannot_translate(overlaps: &[Overlap], why: &str) -> Finding {
    CANNOT_TRANSLATE.finding(
        "",
        format!("{}, and cannot be translated: {why}", first_and_more(overlaps)),
        "give the Shoot fewer or smaller networks, or networks apart from the Seed's Pods",
    )
}

/// A variable that names another network than the Cluster, for examples.
fn found() -> Vec<Correction> {
    let pod = r#"{"containers": [{"name": "kube-apiserver"}, {"name": "a"}, {"name": "b"}, {"name": "vpn-client-1", "env": [
        {"name": "SEED_POD_NETWORK", "value": "10.0.0.0/8"}, {"name": "SHOOT_POD_NETWORKS", "value": "100.96.0.0/11"},
        {"name": "SHOOT_SERVICE_NETWORKS", "value": "100.64.0.0/13"},
        {"name": "SHOOT_NODE_NETWORKS", "value": "10.9.0.0/16"}]}]}"#;
    let pod = PodSpec::read(&mut Members::of(pod)).expect("a constant");
    corrections(&pod, &facts(NetworkKind::Nodes, &["10.250.0.0/16"], "10.0.0.0/8"))
}
