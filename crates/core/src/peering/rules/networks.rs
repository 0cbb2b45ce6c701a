//! Rules about node networks that cannot be connected, or not yet.

use std::fmt::Display;

use crate::diagnostics::ratchet::{Touch, compare};
use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::landscape::{Seed, Target, View};
use crate::net::{Cidr, Family};

use super::super::ruled::Ruled;
use super::super::settings::Settings;
use super::super::subject::Subject;
use super::defaults;
use super::pair::{Clash, NODES, Pair, PairRule, clash, conflicting};

/// Node networks of both overlap.
pub static OVERLAP: Rule = Rule {
    name: "peering/overlap",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Node networks of the two Shoots overlap, so there can be no routes between them. Where the writer may not see the target but the target lists this Shoot, the message names no network; a writer who tries one network after another finds it all the same.",
    fix: "Choose node networks that are disjoint from those of all peers, before a Shoot is created.",
};

/// Node networks of both are the same.
pub static IDENTICAL: Rule = Rule {
    name: "peering/identical",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Both Shoots have the same node network: every address is ambiguous.",
    fix: "Choose node networks that are disjoint from those of all peers, before a Shoot is created.",
};

/// A new node network overlaps that of a peer.
pub static BREAKS_PEER: Rule = Rule {
    name: "peering/breaks-peer",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The node network is changed to one that overlaps a Shoot which this one lists already: a working peering would break.",
    fix: "Choose another network, or remove the entry first.",
};

/// A node network is unknown.
pub static NODES_UNKNOWN: Rule = Rule {
    name: "peering/nodes-unknown",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Unverified,
    summary: "One of the two Shoots has no node network yet, because its spec sets none and its infrastructure is not ready. Overlaps cannot be checked.",
    fix: "Set spec.networking.nodes, so that conflicts are found before the infrastructure exists.",
};

/// Peers get routes later.
pub static PEERS_FOLLOW: Rule = Rule {
    name: "peering/peers-follow",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Notice,
    summary: "The node network of a Shoot with peers changes. Its peers have routes to it only after both sides have been reconciled.",
    fix: "Reconcile the peers afterwards.",
};

/// The new node network does not contain the old one.
pub static NODES_SHRINK: Rule = Rule {
    name: "peering/nodes-shrink",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Risk,
    summary: "The new node network does not contain the old one. Networks can be grown, not moved or shrunk; the platform will refuse it.",
    fix: "Choose a network that contains the old one.",
};

/// The node network is removed from the spec.
pub static NODES_REMOVED: Rule = Rule {
    name: "peering/nodes-removed",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Risk,
    summary: "spec.networking.nodes of a Shoot with peers is removed. The networks in its status still count.",
    fix: "Keep the field.",
};

/// Nodes of one overlap Pods or Services of the other.
pub static PODS_SERVICES: Rule = Rule {
    name: "peering/pods-services",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Node networks of one Shoot overlap Pods or Services of the other. Packets to those nodes never leave the other Shoot.",
    fix: "Choose node networks that are disjoint from Pods and Services of all peers.",
};

/// No family in common.
pub static NO_COMMON_FAMILY: Rule = Rule {
    name: "peering/no-common-family",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The nodes of one Shoot have IPv4 addresses only, those of the other IPv6 only.",
    fix: "Give both a node network of the same family.",
};

/// The nodes of the Shoot and of its Seed overlap.
pub static SEED_NODES: Rule = Rule {
    name: "peering/seed-nodes",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Only with `peering.privateStack` in the configuration, where every Shoot is peered with its Seed: their node networks overlap.",
    fix: "Choose a node network that is disjoint from the Seed's.",
};

/// The rules about the networks of one pair.
pub(in crate::peering) static RULES: [PairRule; 6] =
    [overlap, identical, unknown, defaults::of_pair, pods_services, no_common_family];

/// The subset that is also evaluated for stored, unchanged entries when the list is edited.
pub(in crate::peering) static STORED_RULES: [PairRule; 2] = [overlap, identical];

const DISJOINT: &str = "choose disjoint node networks";

/// The clash of a new entry, or of a stored one that is reported. Clashes that the writer causes for a stored entry are
/// reported by [`breaks_peer`].
fn told_clash(pair: &Pair<'_>) -> Option<Clash> {
    let is_told = pair.listed.touch == Touch::Added || pair.tells_stored && breaks_peer(pair).is_none();
    is_told.then(|| clash(pair, &pair.subject.networks.nodes))?
}

fn overlap(pair: &Pair<'_>) -> Option<Finding> {
    let name = &pair.listed.target;
    match told_clash(pair)? {
        Some((own, other)) if own == other => None,
        Some((own, other)) => Some(say_overlap(&pair.path(), own, other, name)),
        None => Some(OVERLAP.finding(&pair.path(), format!("this node network overlaps that of {name}"), DISJOINT)),
    }
}

fn identical(pair: &Pair<'_>) -> Option<Finding> {
    let (own, other) = told_clash(pair)??;
    (own == other).then(|| say_identical(&pair.path(), own, &pair.listed.target))
}

/// A stored entry clashes only with new networks, and only if no old one clashed: moving away from a stored conflict,
/// or growing within it, is always permitted.
pub(in crate::peering) fn breaks_peer(pair: &Pair<'_>) -> Option<Finding> {
    let old = pair.subject.old.as_ref().filter(|_| pair.listed.touch != Touch::Added)?;
    let (fresh, old) = (&pair.subject.fresh_nodes, &old.networks.nodes);
    if fresh.is_empty() {
        return None;
    }
    let name = &pair.listed.target;
    match pair.target {
        Target::Visible(facts) => {
            // One for each network of the target, which is what a clash is about; identical ones first.
            let clashes = |nodes: &[Cidr]| -> Vec<Finding> {
                let others = facts.networks.nodes.iter();
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

fn say_identical(path: &str, own: Cidr, name: &dyn Display) -> Finding {
    IDENTICAL.finding(path, format!("node network {own} is identical to that of {name}"), DISJOINT)
}

fn say_overlap(path: &str, own: Cidr, other: Cidr, name: &dyn Display) -> Finding {
    OVERLAP.finding(path, format!("node network {own} overlaps {other} of {name}"), DISJOINT)
}

fn say_breaks_peer(clash: Clash, name: &dyn Display) -> Finding {
    let message = match clash {
        Some((own, other)) if other == own => {
            format!("{own} is identical to the node network of {name}, which is listed as a peer")
        }
        Some((own, other)) => format!("{own} overlaps {other} of {name}, which is listed as a peer"),
        None => format!("overlaps the node network of {name}, which is listed as a peer"),
    };
    BREAKS_PEER.finding(NODES, message, "choose another, or remove the entry first")
}

fn unknown(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    (facts.networks.nodes.is_empty() && !facts.is_workerless).then(|| {
        let message = format!("the node network of {} is not known yet", pair.listed.target);
        NODES_UNKNOWN.finding(&pair.path(), message, "overlaps cannot be checked")
    })
}

fn pods_services(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let (own, other) = (&pair.subject.networks, &facts.networks);
    let name = &pair.listed.target;
    let first = |a: &[Cidr], b: &[Cidr]| a.iter().find_map(|a| b.iter().find(|b| a.overlaps(**b)).map(|b| (*a, *b)));
    let message = [("Pods", &own.pods), ("Services", &own.services)]
        .into_iter()
        .find_map(|(kind, networks)| {
            let (nodes, captured) = first(&other.nodes, networks)?;
            Some(format!("nodes {nodes} of {name} overlap {kind} {captured} of this Shoot"))
        })
        .or_else(|| {
            [("Pods", &other.pods), ("Services", &other.services)].into_iter().find_map(|(kind, networks)| {
                let (nodes, captured) = first(&own.nodes, networks)?;
                Some(format!("nodes {nodes} of this Shoot overlap {kind} {captured} of {name}"))
            })
        })?;
    Some(PODS_SERVICES.finding(&pair.path(), message, "they cannot reach each other"))
}

fn no_common_family(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let families = |networks: &[Cidr]| {
        [Family::V4, Family::V6].map(|family| networks.iter().any(|network| network.family() == family))
    };
    let (own, other) = (families(&pair.subject.networks.nodes), families(&facts.networks.nodes));
    let is_known = own.contains(&true) && other.contains(&true);
    let in_common = own.iter().zip(other).any(|(own, other)| *own && other);
    (is_known && !in_common).then(|| {
        let message = format!("nodes of {} have addresses of another IP family", pair.listed.target);
        NO_COMMON_FAMILY.finding(&pair.path(), message, "give both a node network of the same one")
    })
}

/// The findings about the Shoot as a whole, not about one entry.
pub(in crate::peering) fn of_subject(
    subject: &Subject<'_>,
    targets: &[Option<Target>],
    settings: &Settings,
) -> Vec<Ruled> {
    if !subject.is_touched() {
        return Vec::new();
    }
    let findings = [
        own_unknown(subject, settings),
        defaults::own(subject, settings),
        defaults::prefix(subject, settings),
        shrinks(subject),
        peers_follow(subject),
        removed(subject, targets),
    ];
    findings.into_iter().flatten().map(|finding| Ruled::by_targets(finding, [])).collect()
}

fn own_unknown(subject: &Subject<'_>, settings: &Settings) -> Option<Finding> {
    (subject.networks.nodes.is_empty() && !subject.is_workerless).then(|| {
        defaults::own_to_come(subject, settings).unwrap_or_else(|| {
            let message = "is not known yet, so overlaps with peers cannot be checked".to_owned();
            NODES_UNKNOWN.finding(NODES, message, "set it to have conflicts found now")
        })
    })
}

/// The node network before and after, where both are set and differ.
fn changed(subject: &Subject<'_>) -> Option<(Cidr, Cidr)> {
    let old = subject.old.as_ref()?;
    old.nodes.zip(old.new_nodes).filter(|(before, after)| before != after)
}

fn shrinks(subject: &Subject<'_>) -> Option<Finding> {
    let (before, after) = changed(subject)?;
    let contains = after.overlaps(before) && after.prefix_len() <= before.prefix_len();
    (!contains).then(|| {
        let message = format!("{after} does not contain {before}, which it replaces");
        NODES_SHRINK.finding(NODES, message, "networks can only grow")
    })
}

fn peers_follow(subject: &Subject<'_>) -> Option<Finding> {
    let old = subject.old.as_ref()?;
    (old.new_nodes.is_some() && !subject.fresh_nodes.is_empty()).then(|| {
        let message = "peers have routes to the new network when both sides are reconciled".to_owned();
        PEERS_FOLLOW.finding(NODES, message, "")
    })
}

/// Only if there is a peer that lists this Shoot back, as far as the writer may know.
fn removed(subject: &Subject<'_>, targets: &[Option<Target>]) -> Option<Finding> {
    let old = subject.old.as_ref()?;
    let before = old.nodes.filter(|_| old.new_nodes.is_none())?;
    let is_peer = |target: &Target| match target {
        Target::Visible(facts) => subject.name.as_ref().is_some_and(|name| facts.lists(name)),
        Target::Consenting(_) => true,
        Target::Missing | Target::Hidden | Target::Unverified(_) => false,
    };
    targets.iter().flatten().any(is_peer).then(|| {
        let message = format!("{before} is removed although there are peers");
        NODES_REMOVED.finding(NODES, message, "keep it, overlaps are checked with it")
    })
}

pub(in crate::peering) fn seed_nodes(
    subject: &Subject<'_>,
    settings: &Settings,
    view: &mut View<'_>,
) -> Option<Finding> {
    let name = subject.seed.filter(|_| settings.is_private_stack && !subject.fresh_nodes.is_empty())?;
    let Seed::Found(facts) = view.seed(name) else { return None };
    let seed = facts.nodes?;
    // The Seed is a peer of every Shoot, whatever the Shoot lists.
    let of = |nodes: &[Cidr]| {
        let own = nodes.iter().find(|own| own.overlaps(seed))?;
        let message = format!("{own} overlaps the node network {seed} of Seed {name}");
        let help = "the Shoot is peered with its Seed too, choose another";
        Some(SEED_NODES.finding(NODES, message, help).about(""))
    };
    // Growing within a stored conflict is always permitted.
    compare(of(&subject.fresh_nodes), of(subject.old_nodes()).as_slice()).first()
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = "spec.extensions[0].providerConfig.shootPeerings[0]";
    let target: &dyn Display = &"garden-shop/orders";
    let cidr = |text: &str| -> Cidr { text.parse().expect("a constant") };
    let (wide, narrow) = (cidr("10.5.0.0/24"), cidr("10.5.0.32/27"));
    vec![
        (&OVERLAP, say_overlap(path, wide, narrow, target)),
        (&IDENTICAL, say_identical(path, wide, target)),
        (&BREAKS_PEER, say_breaks_peer(Some((wide, narrow)), target)),
        (
            &NODES_UNKNOWN,
            NODES_UNKNOWN.finding(
                path,
                format!("the node network of {target} is not known yet"),
                "overlaps cannot be checked",
            ),
        ),
        (
            &PEERS_FOLLOW,
            PEERS_FOLLOW.finding(
                NODES,
                "peers have routes to the new network when both sides are reconciled".to_owned(),
                "",
            ),
        ),
        (
            &NODES_SHRINK,
            NODES_SHRINK.finding(
                NODES,
                "10.5.0.0/28 does not contain 10.5.0.0/27, which it replaces".to_owned(),
                "networks can only grow",
            ),
        ),
        (
            &NODES_REMOVED,
            NODES_REMOVED.finding(
                NODES,
                "10.5.0.0/27 is removed although there are peers".to_owned(),
                "keep it, overlaps are checked with it",
            ),
        ),
        (
            &PODS_SERVICES,
            PODS_SERVICES.finding(
                path,
                format!("nodes {narrow} of {target} overlap Pods 10.5.0.0/16 of this Shoot"),
                "they cannot reach each other",
            ),
        ),
        (
            &NO_COMMON_FAMILY,
            NO_COMMON_FAMILY.finding(
                path,
                format!("nodes of {target} have addresses of another IP family"),
                "give both a node network of the same one",
            ),
        ),
        (
            &SEED_NODES,
            SEED_NODES.finding(
                NODES,
                "10.5.0.0/24 overlaps the node network 10.0.0.0/8 of Seed eu1-a".to_owned(),
                "the Shoot is peered with its Seed too, choose another",
            ),
        ),
    ]
}
