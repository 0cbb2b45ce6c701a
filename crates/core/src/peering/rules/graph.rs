//! Conflicts between Shoots that this Shoot connects.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::diagnostics::ratchet::{Touch, compare};
use crate::diagnostics::{Rank, Severity, rules};
use crate::gardener::{ShootFacts, ShootName};
use crate::landscape::{Answers, Freshness, Snapshot, Target, View};
use crate::net::{Cidr, for_overlapping_pairs};

use super::super::ruled::Ruled;
use super::super::subject::{Listed, Subject};
use super::pair::conflicting;
use super::scene::{SCENE, Scene, lists, nodes, peer, shoot, visible};
use super::unverified::not_compared;

rules! {
    /// Two Shoots that this one lists have overlapping node networks. This Shoot cannot have two routes for one range.
    /// The rule also reports two Shoots that the writer may not see, if both list this one: that is their owners'
    /// consent to verdicts.
    pub static PEERS_OVERLAP = {
        name: "peering/peers-overlap",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove one of the two entries.",
        example: || {
            let networks = nodes("10.5.0.0/24");
            let targets = [Some(visible(ShootFacts { networks, ..peer() })), Some(visible(peer()))];
            let found = Scene { also: "leads", ..SCENE }.of(|subject| peers_overlap(subject, &targets, true));
            found.into_iter().map(|ruled| ruled.finding).collect()
        },
    };

    /// The node network overlaps another peer of one of this Shoot's peers: that peer cannot have two routes for one
    /// range, and one of the two Shoots loses its route. The rule covers new entries and new node networks, where the
    /// peer lists both Shoots, and only where the writer may see both. Up to 64 peers of peers, out of 20,000 entries,
    /// are asked about by name, one of each peer's list in turn, and `peering/not-verified` reports how many were left
    /// out. `peering.conflicts` of the configuration does not set its severity, because the peers belong to others;
    /// `rules` does.
    pub static PEER_OF_PEER = {
        name: "peering/peer-of-peer",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose another network, or agree with the owners.",
        example: || {
            let between = visible(ShootFacts { peering: lists(&["crm", "leads"]), ..peer() });
            let mut snapshot = Snapshot::default();
            snapshot.shoots.put(&shoot("leads"), ShootFacts { peering: lists(&["orders"]), ..peer() });
            let answers = Answers::default();
            let mut all = View::new(Some(&snapshot), &answers);
            all.see_everything();
            let found = Scene { networking: r#"{"nodes": "10.5.0.0/26"}"#, ..SCENE }
                .of(|subject| peer_of_peer(subject, &[Some(between)], &mut all));
            found.into_iter().map(|ruled| ruled.finding).collect()
        },
    };
}

/// The maximum number of reported pairs: a hundred peers with one network are five thousand pairs with one cause.
const PAIRS: usize = 20;

/// The maximum number of peers of peers whose visibility is asked for.
const AROUND: usize = 64;

/// The maximum number of entries that are read from peers' lists. It is enough for a hundred peers with a hundred
/// entries each, the default limits. A thousand peers with a thousand entries each would be a million entries at each
/// write.
const REFERENCES: usize = 20_000;

/// Pairs of peers that overlap: those with a new peer, and stored pairs too if the list is edited.
pub(in crate::peering) fn peers_overlap(
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
    let most = |a: usize, b: usize| subject.peers[a].touch.max(subject.peers[b].touch).most(Touch::Added);
    // New pairs first, then in the order of the list. Only `PAIRS` are kept: a thousand peers with one network are half
    // a million pairs.
    let mut pairs: BTreeMap<(bool, usize, usize), (Cidr, Cidr)> = BTreeMap::new();
    for_overlapping_pairs(&networks, |a, b| {
        let is_stored = most(owners[a], owners[b]) < Severity::Deny;
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
        .map(|((_, a, b), (first, second))| {
            let (one, other) = (&subject.peers[a], &subject.peers[b]);
            let sees = |i: usize| targets[i].as_ref().is_some_and(|target| target.visible().is_some());
            // A network next to the name of a hidden Shoot would reveal that Shoot's network, or most of it.
            let message = if sees(a) && sees(b) {
                format!("node networks {first} of {} and {second} of {} overlap", one.target, other.target)
            } else {
                format!("node networks of {} and {} overlap", one.target, other.target)
            };
            let finding = PEERS_OVERLAP.finding(subject.entry_path(&other.entry), message, "remove one of the two");
            Ruled::by_targets(finding.at_most(most(a, b)), [&one.target, &other.target])
        })
        .collect()
}

/// Peers of peers that overlap this Shoot, where the user may see both. For a new peer all networks of this Shoot
/// count, for a stored one only the new ones. Which Shoots are asked about and compared depends only on what the user
/// may see: hidden Shoots and their number influence neither the answer nor how long it takes. Peers that were not
/// compared are reported.
pub(in crate::peering) fn peer_of_peer(
    subject: &Subject<'_>,
    targets: &[Option<Target>],
    view: &mut View<'_>,
) -> Vec<Ruled> {
    let Some(own) = &subject.name else { return Vec::new() };
    let counting = |peer: &Listed<'_>| -> &[Cidr] {
        if peer.touch == Touch::Added { subject.networks.nodes() } else { &subject.fresh_nodes }
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
    // Peers for which more networks count come first, then by name. The order of the entries does not matter.
    between.sort_by_key(|(peer, _)| (Reverse(peer.touch), &peer.target));
    let listed: HashSet<&ShootName> = subject.peers.iter().map(|listed| &listed.target).collect();
    let is_other = |other: &&ShootName| *other != own && !listed.contains(other);
    // Each list has the same share of the limit.
    let share = (REFERENCES / between.len()).max(1);
    let unread: usize = between.iter().map(|(_, facts)| facts.peers().len().saturating_sub(share)).sum();
    let lists = between
        .iter()
        .map(|(_, facts)| facts.peers().iter().take(share).map(|peer| &peer.target).filter(is_other).collect());
    let (around, left) = around(&lists.collect::<Vec<Vec<&ShootName>>>());

    let mut found = Vec::new();
    let (mut unanswered, mut reason) = (0, None);
    for (other, paths) in around {
        match view.shoot(other, Freshness::Known) {
            Some(Target::Visible(facts)) => {
                let theirs: HashSet<&ShootName> = facts.peers().iter().map(|peer| &peer.target).collect();
                let mut mutual = paths.into_iter().map(|i| between[i].0).filter(|peer| theirs.contains(&peer.target));
                // For the other mutual peers no more networks count than for the first.
                found.extend(
                    mutual.next().and_then(|between| of_path(subject, counting(between), between, other, &facts)),
                );
            }
            None | Some(Target::Missing | Target::Hidden | Target::Consenting(_)) => {}
            Some(Target::Unverified(why)) => {
                unanswered += 1;
                reason.get_or_insert(why);
            }
        }
    }
    let not_compared = |count, is_exact, why: &str| {
        (count > 0).then(|| Ruled::instead_of(&PEER_OF_PEER, not_compared(subject.path.clone(), count, is_exact, why)))
    };
    let why = match unread {
        0 => format!("one request asks about {AROUND}"),
        // Entries that were not read may name Shoots that are counted already, so the number is an upper bound.
        _ => format!("one request asks about {AROUND}, and reads {REFERENCES} entries of peers"),
    };
    found.extend(not_compared(left + unread, unread == 0, &why));
    found.extend(not_compared(unanswered, true, &reason.unwrap_or_default()));
    found
}

/// The names that are asked about, each with the lists that contain it, and the number of names that are left out.
/// Takes one name of each list in turn, by name, so that a long list does not displace names of another.
fn around<'n>(lists: &[Vec<&'n ShootName>]) -> (BTreeMap<&'n ShootName, Vec<usize>>, usize) {
    let first = |list: &Vec<&'n ShootName>| {
        let mut first = BTreeSet::new();
        for name in list {
            first.insert(*name);
            if first.len() > AROUND {
                first.pop_last();
            }
        }
        first.into_iter()
    };
    let mut turns: Vec<_> = lists.iter().map(first).collect();
    let mut around: BTreeMap<&ShootName, Vec<usize>> = BTreeMap::new();
    loop {
        let before = around.len();
        for turn in &mut turns {
            if around.len() < AROUND
                && let Some(name) = turn.find(|name| !around.contains_key(name))
            {
                around.insert(name, Vec::new());
            }
        }
        if around.len() == before {
            break;
        }
    }
    let mut left = HashSet::new();
    for (i, list) in lists.iter().enumerate() {
        for name in list {
            match around.get_mut(name) {
                Some(paths) if paths.last() == Some(&i) => {}
                Some(paths) => paths.push(i),
                None => _ = left.insert(*name),
            }
        }
    }
    (around, left.len())
}

/// The conflict of this Shoot's networks with those of a peer of this peer.
fn of_path(
    subject: &Subject<'_>,
    counting: &[Cidr],
    between: &Listed<'_>,
    other: &ShootName,
    facts: &ShootFacts,
) -> Option<Ruled> {
    let (_, theirs) = conflicting(counting, facts.networks.nodes())?;
    let of = |nodes: &[Cidr]| {
        let (own, theirs) = conflicting(nodes, &[theirs])?;
        let clash = if own == theirs { "is identical to that".to_owned() } else { format!("overlaps {theirs}") };
        let message = format!("node network {own} {clash} of {other}, which is a peer of {} too", between.target);
        let finding = PEER_OF_PEER.finding(subject.peer_path(between), message, "choose another one");
        Some(finding.about(theirs.to_string()))
    };
    // With a stored peer, a conflict that was there before is not new.
    let before = if between.touch == Touch::Added { &[] } else { subject.old_nodes() };
    let finding = compare(of(counting), of(before).as_slice()).first()?;
    Some(Ruled::by_targets(finding, [other, &between.target]))
}
