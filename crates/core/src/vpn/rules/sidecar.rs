//! Rules that say what became of the sidecar.

use super::facts;
use super::words::first_and_more;
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::net::NetworkKind;
use crate::vpn::{Change, Overlap, overlaps};

rules! {
    /// gardenlet already injected its own envoy-proxy, which serves the same end. It is left as it is: because
    /// `vpn.sidecar` is `whereMissing`, or because with `always` it could not be replaced, for which another rule has
    /// the reason if there is one.
    static GARDENLET_PROXY = {
        name: "vpn/gardenlet-proxy",
        severity: Severity::Note,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing. To have the sidecar in its place, set `vpn.sidecar: always`.",
        example: || vec![gardenlet_proxy()],
    };

    /// Networks overlap, and the sidecar took the place of gardenlet's own envoy-proxy (`vpn.sidecar: always`).
    /// gardenlet sends its own with each write, so each write says this.
    static REPLACED = {
        name: "vpn/replaced",
        severity: Severity::Note,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || of_change(Change::Replaced),
    };

    /// Networks overlap: the sidecar and the egress selector were added.
    static INJECTED = {
        name: "vpn/injected",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || of_change(Change::Added),
    };

    /// The sidecar was there, but not as it is configured now, and was corrected.
    static UPDATED = {
        name: "vpn/updated",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || of_change(Change::Updated),
    };

    /// The Cluster cannot be used, and the stored Deployment carries the sidecar: it stays.
    static KEPT = {
        name: "vpn/kept",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Risk,
        fix: "See the rule that is named beside this one.",
        example: || kept(Change::Added).into_iter().collect(),
    };

    /// The sidecar is not needed any more and was removed.
    static REMOVED = {
        name: "vpn/removed",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || of_change(Change::Removed),
    };

    /// The stored Deployment carries the sidecar as another configuration or another release makes it. It was replaced,
    /// so the Pods of the API server roll.
    static OTHER_CONFIGURATION = {
        name: "vpn/other-configuration",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing, after a change of the configuration or the release: each Shoot says it once. If it goes on, replicas with different configurations correct each other: compare `network_guard_configuration_info` of all of them.",
        example: || vec![other_configuration()],
    };
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

/// The stored sidecar, of another configuration, is replaced.
pub fn other_configuration() -> Finding {
    let text = "the stored sidecar was made by another configuration or release: replaced, the API server's Pods roll";
    OTHER_CONFIGURATION.finding("", text.to_owned(), "")
}

/// What is said of a change because of an overlap, for examples.
fn of_change(done: Change) -> Vec<Finding> {
    let overlaps: Vec<Overlap> = overlaps(&facts(NetworkKind::Nodes, &["10.250.0.0/16"], "10.0.0.0/8")).collect();
    change(done, &overlaps).into_iter().collect()
}
