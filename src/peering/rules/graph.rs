//! Conflicts between Shoots that this one joins.

use std::collections::{BTreeMap, HashSet};

use crate::admission::{Finding, Rule, Severity, Sight};
use crate::gardener::ShootName;
use crate::net::{Cidr, for_overlapping_pairs};

use super::super::{Knowledge, Ruled, Subject, Target, Touch};

/// Two peers overlap each other.
pub static PEERS_OVERLAP: Rule = Rule {
    name: "peering/peers-overlap",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "Two Shoots that this one lists have overlapping node networks. It cannot hold two routes for one range. It is said too of two that the writer may not see and that both list this one: that is their owners' consent to verdicts.",
    fix: "Remove one of the two entries.",
};

/// A peer of a peer overlaps.
pub static PEER_OF_PEER: Rule = Rule {
    name: "peering/peer-of-peer",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    summary: "The new node network overlaps another peer of one of this Shoot's peers: for that peer one of the two becomes ambiguous. Said only where the writer may see both; up to 64 peers of peers are asked about by name.",
    fix: "Choose another network, or agree with the owners.",
};

/// The most pairs that are named: a hundred peers on one network are five thousand pairs, and one cause.
const PAIRS: usize = 20;

/// The most peers of peers whose visibility is asked for.
const AROUND: usize = 64;

/// Pairs of peers that overlap, at least one of which is new.
pub(in super::super) fn peers_overlap(subject: &Subject<'_>, targets: &[Option<Target>]) -> Vec<Ruled> {
    let mut networks: Vec<Cidr> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        for cidr in target.iter().flat_map(Target::nodes_for_verdicts) {
            networks.push(*cidr);
            owners.push(i);
        }
    }
    let is_new = |i: usize| subject.peers[i].touch == Touch::Added;
    // The first in the order of the list. Only so many are kept: a thousand peers on one network are half a million pairs.
    let mut pairs: BTreeMap<(usize, usize), (Cidr, Cidr)> = BTreeMap::new();
    for_overlapping_pairs(&networks, |a, b| {
        let (pair, found) = ((owners[a], owners[b]), (networks[a], networks[b]));
        if pair.0 != pair.1 && (is_new(pair.0) || is_new(pair.1)) {
            pairs.entry(pair).and_modify(|known| *known = found.min(*known)).or_insert(found);
            if pairs.len() > PAIRS {
                pairs.pop_last();
            }
        }
    });
    pairs
        .into_iter()
        .map(|((a, b), (first, second))| {
            let (one, other) = (&subject.peers[a], &subject.peers[b]);
            let sees = |i: usize| targets[i].as_ref().is_some_and(|target| target.visible().is_some());
            // A network next to the name of a hidden Shoot would be that Shoot's, or nearly so.
            let message = if sees(a) && sees(b) {
                format!("node networks {first} of {} and {second} of {} overlap", one.target, other.target)
            } else {
                format!("node networks of {} and {} overlap", one.target, other.target)
            };
            let finding = PEERS_OVERLAP.finding(&subject.entry_path(&other.entry), message, "remove one of the two");
            Ruled::by_targets(finding, [&one.target, &other.target])
        })
        .collect()
}

/// Peers of peers that the new node network overlaps, where the user may see both. Who is asked about, and whose networks
/// are compared, follows from what the user sees: neither what a hidden Shoot is nor how many there are shapes an answer, or
/// how long it takes.
pub(in super::super) fn peer_of_peer(
    subject: &Subject<'_>,
    targets: &[Option<Target>],
    knowledge: &mut Knowledge<'_>,
) -> Vec<Ruled> {
    let Some(own) = subject.name.as_ref().filter(|_| !subject.is_new() && !subject.fresh_nodes.is_empty()) else {
        return Vec::new();
    };
    let listed: HashSet<&ShootName> = subject.peers.iter().map(|listed| &listed.target).collect();
    // Peers of peers, and the peer between. The first in the order of names, and no more of them at any time.
    let mut around: BTreeMap<&ShootName, &ShootName> = BTreeMap::new();
    for (peer, target) in subject.peers.iter().zip(targets) {
        let Some(facts) = target.as_ref().and_then(Target::visible).filter(|facts| facts.lists(own)) else { continue };
        for other in facts.peers().iter().map(|peer| &peer.target) {
            if other != own && !listed.contains(other) {
                around.entry(other).or_insert(&peer.target);
                if around.len() > AROUND {
                    around.pop_last();
                }
            }
        }
    }
    let mut is_visible = |other: &ShootName| knowledge.sight(other) == Some(&Sight::Visible);
    let visible: Vec<(&ShootName, &ShootName)> = around.into_iter().filter(|(other, _)| is_visible(other)).collect();

    let shoots = &knowledge.snapshot().shoots;
    let overlapping = |theirs: &[Cidr]| {
        let pairs = subject.fresh_nodes.iter().flat_map(|own| theirs.iter().map(move |theirs| (*own, *theirs)));
        pairs.into_iter().find(|(own, theirs)| own.overlaps(*theirs))
    };
    let found = visible.into_iter().filter_map(|(other, between)| {
        let facts = shoots.get(other).filter(|facts| facts.lists(between))?;
        let (fresh, cidr) = overlapping(&facts.networks.nodes)?;
        let message = format!("{fresh} overlaps {cidr} of {other}, which is a peer of {between} too");
        let finding = PEER_OF_PEER.finding("spec.networking.nodes", message, "agree with the owners");
        Some(Ruled::by_targets(finding, [other, between]))
    });
    found.collect()
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = "spec.extensions[0].providerConfig.shootPeerings[1]";
    vec![
        (
            &PEERS_OVERLAP,
            PEERS_OVERLAP.finding(
                path,
                "node networks 10.5.0.0/24 of garden-shop/orders and 10.5.0.32/27 of garden-crm/leads overlap"
                    .to_owned(),
                "remove one of the two",
            ),
        ),
        (
            &PEER_OF_PEER,
            PEER_OF_PEER.finding(
                "spec.networking.nodes",
                "10.5.0.0/26 overlaps 10.5.0.32/27 of garden-crm/leads, which is a peer of garden-shop/orders too"
                    .to_owned(),
                "agree with the owners",
            ),
        ),
    ]
}
