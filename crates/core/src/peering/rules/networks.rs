//! Rules about the networks of a pair that cannot be connected, or not yet.

use crate::diagnostics::ratchet::{Touch, compare};
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::facts::Networks;
use crate::gardener::{ShootFacts, ShootName};
use crate::landscape::Target;
use crate::net::{Cidr, Family};

use super::pair::{Clash, NODES, Pair, clash, conflicting};
use super::scene::{SCENE, Scene, nodes, peer, visible};

rules! {
    /// Node networks of the two Shoots overlap, so there can be no routes between them. Where the writer may not see
    /// the target but the target lists this Shoot, the message names no network; a writer who tries one network after
    /// another finds it all the same.
    pub static OVERLAP = {
        name: "peering/overlap",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose node networks that are disjoint from those of all peers, before a Shoot is created.",
        example: || Scene { networking: WIDE, ..SCENE }.pair(overlap, &visible(peer())),
    };

    /// Both Shoots have the same node network: every address is ambiguous.
    pub static IDENTICAL = {
        name: "peering/identical",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose node networks that are disjoint from those of all peers, before a Shoot is created.",
        example: || {
            let networks = nodes("10.5.0.0/24");
            Scene { networking: WIDE, ..SCENE }.pair(identical, &visible(ShootFacts { networks, ..peer() }))
        },
    };

    /// The node network is changed to one that overlaps a Shoot which this one lists already: a working peering would
    /// break.
    pub static BREAKS_PEER = {
        name: "peering/breaks-peer",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose another network, or remove the entry first.",
        example: || {
            let stored = Some(r#"{"nodes": "10.4.0.0/24"}"#);
            Scene { networking: WIDE, stored, are_entries_stored: true, ..SCENE }.pair(breaks_peer, &visible(peer()))
        },
    };

    /// One of the two Shoots has no node network yet, because its spec sets none and its infrastructure is not ready.
    /// Overlaps cannot be checked.
    pub static NODES_UNKNOWN = {
        name: "peering/nodes-unknown",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Unverified,
        fix: "Set spec.networking.nodes, so that conflicts are found before the infrastructure exists.",
        example: || {
            let networks = Networks::default();
            SCENE.pair(unknown, &visible(ShootFacts { networks, ..peer() }))
        },
    };

    /// Node networks of one Shoot overlap Pods or Services of the other. Packets to those nodes never leave the other
    /// Shoot.
    pub static PODS_SERVICES = {
        name: "peering/pods-services",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose node networks that are disjoint from Pods and Services of all peers.",
        example: || Scene { networking: r#"{"pods": "10.5.0.0/16"}"#, ..SCENE }.pair(pods_services, &visible(peer())),
    };

    /// The nodes of one Shoot have IPv4 addresses only, those of the other IPv6 only.
    pub static NO_COMMON_FAMILY = {
        name: "peering/no-common-family",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Give both a node network of the same family.",
        example: || {
            let networks = nodes("fd00::/64");
            Scene { networking: WIDE, ..SCENE }.pair(no_common_family, &visible(ShootFacts { networks, ..peer() }))
        },
    };
}

/// A node network that is wider than the one of the peer.
const WIDE: &str = r#"{"nodes": "10.5.0.0/24"}"#;

const DISJOINT: &str = "choose disjoint node networks";

/// The clash of a new entry, or of a stored one that is reported. Clashes that the writer causes for a stored entry are
/// reported by [`breaks_peer`].
fn told_clash(pair: &Pair<'_>) -> Option<Clash> {
    let is_told = pair.listed.touch == Touch::Added || pair.tells_stored && breaks_peer(pair).is_none();
    is_told.then(|| clash(pair, pair.subject.networks.nodes()))?
}

pub(super) fn overlap(pair: &Pair<'_>) -> Option<Finding> {
    let name = &pair.listed.target;
    match told_clash(pair)? {
        Some((own, other)) if own == other => None,
        Some((own, other)) => {
            Some(OVERLAP.finding(pair.path(), format!("node network {own} overlaps {other} of {name}"), DISJOINT))
        }
        None => Some(OVERLAP.finding(pair.path(), format!("this node network overlaps that of {name}"), DISJOINT)),
    }
}

pub(super) fn identical(pair: &Pair<'_>) -> Option<Finding> {
    let (own, other) = told_clash(pair)??;
    (own == other).then(|| {
        let message = format!("node network {own} is identical to that of {}", pair.listed.target);
        IDENTICAL.finding(pair.path(), message, DISJOINT)
    })
}

/// A stored entry clashes only with new networks, and only if no old one clashed: moving away from a stored conflict,
/// or growing within it, is always permitted.
pub(super) fn breaks_peer(pair: &Pair<'_>) -> Option<Finding> {
    let old = pair.subject.old.as_ref().filter(|_| pair.listed.touch != Touch::Added)?;
    let (fresh, old) = (&pair.subject.fresh_nodes, old.networks.nodes());
    if fresh.is_empty() {
        return None;
    }
    let name = &pair.listed.target;
    match pair.target {
        Target::Visible(facts) => {
            // One for each network of the target, which is what a clash is about; identical ones first.
            let clashes = |nodes: &[Cidr]| -> Vec<Finding> {
                let others = facts.networks.nodes().iter();
                let mut clashes: Vec<_> = others.filter_map(|other| conflicting(nodes, &[*other])).collect();
                clashes.sort_by_key(|(own, other)| own != other);
                let say = |clash: (Cidr, Cidr)| say_breaks_peer(Some(clash), name).about(clash.1.to_string());
                clashes.into_iter().map(say).collect()
            };
            compare(clashes(fresh), &clashes(old)).new_only().into_iter().next()
        }
        Target::Consenting(consent) => consent.newly_overlaps(fresh, old).then(|| say_breaks_peer(None, name)),
        Target::Missing | Target::Hidden | Target::Unverified(_) => None,
    }
}

fn say_breaks_peer(clash: Clash, name: &ShootName) -> Finding {
    let message = match clash {
        Some((own, other)) if other == own => {
            format!("{own} is identical to the node network of {name}, which is listed as a peer")
        }
        Some((own, other)) => format!("{own} overlaps {other} of {name}, which is listed as a peer"),
        None => format!("overlaps the node network of {name}, which is listed as a peer"),
    };
    BREAKS_PEER.finding(NODES, message, "choose another, or remove the entry first")
}

pub(super) fn unknown(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    (facts.networks.nodes().is_empty() && !facts.is_workerless).then(|| {
        let message = format!("the node network of {} is not known yet", pair.listed.target);
        NODES_UNKNOWN.finding(pair.path(), message, "overlaps cannot be checked")
    })
}

pub(super) fn pods_services(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let (own, other) = (&pair.subject.networks, &facts.networks);
    let name = &pair.listed.target;
    let first = |a: &[Cidr], b: &[Cidr]| a.iter().find_map(|a| b.iter().find(|b| a.overlaps(**b)).map(|b| (*a, *b)));
    let message = [("Pods", own.pods()), ("Services", own.services())]
        .into_iter()
        .find_map(|(kind, networks)| {
            let (nodes, captured) = first(other.nodes(), networks)?;
            Some(format!("nodes {nodes} of {name} overlap {kind} {captured} of this Shoot"))
        })
        .or_else(|| {
            [("Pods", other.pods()), ("Services", other.services())].into_iter().find_map(|(kind, networks)| {
                let (nodes, captured) = first(own.nodes(), networks)?;
                Some(format!("nodes {nodes} of this Shoot overlap {kind} {captured} of {name}"))
            })
        })?;
    Some(PODS_SERVICES.finding(pair.path(), message, "they cannot reach each other"))
}

pub(super) fn no_common_family(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let families = |networks: &[Cidr]| {
        [Family::V4, Family::V6].map(|family| networks.iter().any(|network| network.family() == family))
    };
    let (own, other) = (families(pair.subject.networks.nodes()), families(facts.networks.nodes()));
    let is_known = own.contains(&true) && other.contains(&true);
    let in_common = own.iter().zip(other).any(|(own, other)| *own && other);
    (is_known && !in_common).then(|| {
        let message = format!("nodes of {} have addresses of another IP family", pair.listed.target);
        NO_COMMON_FAMILY.finding(pair.path(), message, "give both a node network of the same one")
    })
}
