//! Conflicts between Shoots that this one joins.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use crate::admission::{Finding, Rank, Rule, Severity, Sight};
use crate::gardener::{ShootFacts, ShootName};
use crate::net::{Cidr, for_overlapping_pairs};

use super::super::{Knowledge, Listed, Ruled, Subject, Target, Touch};
use super::networks::conflicting;

/// Two peers overlap each other.
pub static PEERS_OVERLAP: Rule = Rule {
    name: "peering/peers-overlap",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Two Shoots that this one lists have overlapping node networks. It cannot hold two routes for one range. It is said too of two that the writer may not see and that both list this one: that is their owners' consent to verdicts.",
    fix: "Remove one of the two entries.",
};

/// A peer of a peer overlaps.
pub static PEER_OF_PEER: Rule = Rule {
    name: "peering/peer-of-peer",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The node network overlaps another peer of one of this Shoot's peers: that peer cannot hold two routes for one range, and one of the two loses it. Said of a new entry, and of a new node network, where the peer lists both. Said only where the writer may see both; up to 64 peers of peers are asked about by name. `peering.conflicts` of the configuration does not weigh it, for the peers are somebody else's; `rules` does.",
    fix: "Choose another network, or agree with the owners.",
};

/// The most pairs that are named: a hundred peers on one network are five thousand pairs, and one cause.
const PAIRS: usize = 20;

/// The most peers of peers whose visibility is asked for.
const AROUND: usize = 64;

/// Pairs of peers that overlap: those with a new one, and the stored ones where the list is edited.
pub(in super::super) fn peers_overlap(
    subject: &Subject<'_>,
    targets: &[Option<Target>],
    is_edited: bool,
) -> Vec<Ruled> {
    let mut networks: Vec<Cidr> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        for cidr in target.iter().flat_map(Target::nodes_for_verdicts) {
            networks.push(*cidr);
            owners.push(i);
        }
    }
    let is_new = |i: usize| subject.peers[i].touch == Touch::Added;
    // The new ones, and then the first in the order of the list. Only so many are kept: a thousand peers on one network are half
    // a million pairs.
    let mut pairs: BTreeMap<(bool, usize, usize), (Cidr, Cidr)> = BTreeMap::new();
    for_overlapping_pairs(&networks, |a, b| {
        let is_stored = !is_new(owners[a]) && !is_new(owners[b]);
        let (pair, found) = ((is_stored, owners[a], owners[b]), (networks[a], networks[b]));
        if pair.1 != pair.2 && (is_edited || !is_stored) {
            pairs.entry(pair).and_modify(|known| *known = found.min(*known)).or_insert(found);
            if pairs.len() > PAIRS {
                pairs.pop_last();
            }
        }
    });
    pairs
        .into_iter()
        .map(|((is_stored, a, b), (first, second))| {
            let (one, other) = (&subject.peers[a], &subject.peers[b]);
            let sees = |i: usize| targets[i].as_ref().is_some_and(|target| target.visible().is_some());
            // A network next to the name of a hidden Shoot would be that Shoot's, or nearly so.
            let message = if sees(a) && sees(b) {
                format!("node networks {first} of {} and {second} of {} overlap", one.target, other.target)
            } else {
                format!("node networks of {} and {} overlap", one.target, other.target)
            };
            let finding = PEERS_OVERLAP.finding(&subject.entry_path(&other.entry), message, "remove one of the two");
            let most = if is_stored { Severity::Warn } else { Severity::Deny };
            Ruled::by_targets(finding.at_most(most), [&one.target, &other.target])
        })
        .collect()
}

/// The most peers between this Shoot and one other that are looked at.
const BETWEEN: usize = 8;

/// Peers of peers that this Shoot overlaps, where the user may see both: all networks count for a peer that is new, and the new
/// ones for all. Who is asked about, and whose networks are compared, follows from what the user sees: neither what a hidden
/// Shoot is nor how many there are shapes an answer, or how long it takes.
pub(in super::super) fn peer_of_peer(
    subject: &Subject<'_>,
    targets: &[Option<Target>],
    knowledge: &mut Knowledge<'_>,
) -> Vec<Ruled> {
    let Some(own) = &subject.name else { return Vec::new() };
    let counting = |peer: &Listed<'_>| -> &[Cidr] {
        if peer.touch == Touch::Added { &subject.networks.nodes } else { &subject.fresh_nodes }
    };
    let mut between: Vec<(&Listed<'_>, &ShootFacts)> = subject
        .peers
        .iter()
        .zip(targets)
        .filter(|(peer, _)| !counting(peer).is_empty())
        .filter_map(|(peer, target)| Some((peer, target.as_ref()?.visible()?)))
        .filter(|(_, facts)| facts.peers().len() > 1 && facts.lists(own))
        .collect();
    if between.is_empty() {
        return Vec::new();
    }
    // Those with whom more counts first.
    between.sort_by_key(|(peer, _)| std::cmp::Reverse(peer.touch));
    let listed: HashSet<&ShootName> = subject.peers.iter().map(|listed| &listed.target).collect();
    // Peers of peers, and the peers between. The first in the order of names, and no more of them at any time.
    let mut around: BTreeMap<&ShootName, Vec<&Listed<'_>>> = BTreeMap::new();
    for (peer, facts) in &between {
        for other in facts.peers().iter().map(|peer| &peer.target) {
            if other != own && !listed.contains(other) {
                let paths = around.entry(other).or_default();
                if paths.len() < BETWEEN {
                    paths.push(peer);
                }
                if around.len() > AROUND {
                    around.pop_last();
                }
            }
        }
    }
    around.retain(|other, _| knowledge.sight(other) == Some(&Sight::Visible));

    let old = subject.old.as_ref().map_or(&[][..], |old| &old.networks.nodes);
    let found = around.into_iter().filter_map(|(other, paths)| {
        let facts = knowledge.known(other)?;
        paths.into_iter().filter(|between| facts.lists(&between.target)).find_map(|between| {
            let (own, theirs) = conflicting(counting(between), &facts.networks.nodes)?;
            let finding = say_peer_of_peer(&subject.peer_path(between), own, theirs, other, &between.target);
            // With a peer that is not new, a clash that was there already is no news.
            let was_there = between.touch != Touch::Added && old.iter().any(|old| old.overlaps(theirs));
            let finding = if was_there { finding.at_most(Severity::Warn) } else { finding };
            Some(Ruled::by_targets(finding, [other, &between.target]))
        })
    });
    found.collect()
}

fn say_peer_of_peer(path: &str, own: Cidr, theirs: Cidr, other: &dyn Display, between: &dyn Display) -> Finding {
    let clash = if own == theirs { "is identical to that".to_owned() } else { format!("overlaps {theirs}") };
    let message = format!("node network {own} {clash} of {other}, which is a peer of {between} too");
    PEER_OF_PEER.finding(path, message, "choose another one")
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = "spec.extensions[0].providerConfig.shootPeerings[1]";
    let cidr = |text: &str| -> Cidr { text.parse().expect("a constant") };
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
            say_peer_of_peer(
                path,
                cidr("10.5.0.0/26"),
                cidr("10.5.0.32/27"),
                &"garden-crm/leads",
                &"garden-shop/orders",
            ),
        ),
    ]
}
