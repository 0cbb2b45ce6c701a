//! The finding of each rule about a write.

use std::fmt;

use super::{
    CANNOT_TRANSLATE, CLUSTER_MISSING, CLUSTER_UNANSWERED, CLUSTER_UNREADABLE, GARDENLET_PROXY, HA_VPN_MISMATCH,
    INJECTED, IPV6_OVERLAP, KEPT, NAME_TAKEN, NAT_CONTAINERS, OTHER_CONFIGURATION, REMOVED, REPLACED, UNREADABLE,
    UPDATED, VPN_INCOMPLETE, VPN_VARIABLES, VPN_VARIABLES_CORRECTED,
};
use crate::diagnostics::Finding;
use crate::gardener::{ExpectedVpn, FieldError};
use crate::json::FieldPath;
use crate::vpn::{Change, Conflict, Overlap, Taken};

/// The Cluster does not exist.
pub fn cluster_missing(namespace: &str) -> Finding {
    CLUSTER_MISSING.finding(
        "metadata.namespace",
        format!("there is no Cluster `{namespace}` to read the networks from"),
        "wait for gardenlet to write it, then repeat",
    )
}

/// The read of the Cluster was not answered.
pub fn cluster_unanswered(namespace: &str, why: &str) -> Finding {
    CLUSTER_UNANSWERED.finding(
        "metadata.namespace",
        format!("the Cluster `{namespace}` could not be read: {why}"),
        "repeat the write; if it fails again, check the webhook's rights and connection",
    )
}

/// A field of the Cluster cannot be used.
pub fn cluster_unreadable(namespace: &str, error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{} ", error.value) };
    CLUSTER_UNREADABLE.finding(
        FieldPath::of(format!("cluster {namespace}"), error.path.clone()),
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

/// An object of somebody else is in the way of the sidecar.
pub fn name_taken(taken: &Taken) -> Finding {
    NAME_TAKEN.finding(
        taken.path.clone(),
        taken.what.clone(),
        "remove or rename it, it is in the way of network-guard's sidecar",
    )
}

/// An object passes although it cannot be read.
pub fn unreadable(error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{}: ", error.value) };
    UNREADABLE.finding(error.path.clone(), format!("{value}{}; left as it is", error.problem), "")
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
        Change::Added => (&INJECTED, format!("{}: added envoy-proxy and egress selector", first_and_more(overlaps))),
        Change::Replaced => {
            (&REPLACED, format!("{}: replaced gardenlet's envoy-proxy and egress selector", first_and_more(overlaps)))
        }
        Change::Updated => (&UPDATED, "corrected envoy-proxy and egress selector".to_owned()),
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

/// The stored sidecar, of another configuration, is replaced.
pub fn other_configuration() -> Finding {
    let text = "the stored sidecar was made by another configuration or release: replaced, the API server's Pods roll";
    OTHER_CONFIGURATION.finding("", text.to_owned(), "")
}

fn first_and_more<T: fmt::Display>(all: &[T]) -> String {
    match all {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
