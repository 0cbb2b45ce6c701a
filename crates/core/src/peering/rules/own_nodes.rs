//! Rules about the node networks of a Shoot with peers, whatever these are.

use crate::diagnostics::ratchet::compare;
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::SeedFacts;
use crate::landscape::{Answers, Seed, Snapshot, Target, View};
use crate::net::Cidr;

use super::super::ruled::Ruled;
use super::super::settings::Settings;
use super::super::subject::Subject;
use super::defaults;
use super::networks::NODES_UNKNOWN;
use super::pair::NODES;
use super::scene::{SCENE, Scene, peer, visible};

rules! {
    /// The node network of a Shoot with peers changes. Its peers have routes to it only after both sides have been
    /// reconciled.
    pub(in crate::peering) static PEERS_FOLLOW = {
        name: "peering/peers-follow",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Reconcile the peers afterwards.",
        example: || {
            let stored = Some(r#"{"nodes": "10.5.0.0/28"}"#);
            Scene { networking: r#"{"nodes": "10.5.0.0/27"}"#, stored, ..SCENE }.of(peers_follow).into_iter().collect()
        },
    };

    /// The new node network does not contain the old one. Networks can be grown, not moved or shrunk; the platform will
    /// refuse it.
    static NODES_SHRINK = {
        name: "peering/nodes-shrink",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Risk,
        fix: "Choose a network that contains the old one.",
        example: || {
            let stored = Some(r#"{"nodes": "10.5.0.0/27"}"#);
            Scene { networking: r#"{"nodes": "10.5.0.0/28"}"#, stored, ..SCENE }.of(shrinks).into_iter().collect()
        },
    };

    /// spec.networking.nodes of a Shoot with peers is removed. The networks in its status still count.
    static NODES_REMOVED = {
        name: "peering/nodes-removed",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Risk,
        fix: "Keep the field.",
        example: || {
            let stored = Some(r#"{"nodes": "10.5.0.0/27"}"#);
            let targets = [Some(visible(peer()))];
            Scene { stored, ..SCENE }.of(|subject| removed(subject, &targets)).into_iter().collect()
        },
    };

    /// Only with `peering.privateStack` in the configuration, where every Shoot is peered with its Seed: their node
    /// networks overlap.
    static SEED_NODES = {
        name: "peering/seed-nodes",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose a node network that is disjoint from the Seed's.",
        example: || {
            let settings = Settings { is_private_stack: true, ..Settings::default() };
            let mut snapshot = Snapshot::default();
            snapshot.put_seed("eu1-b", SeedFacts { nodes: "10.0.0.0/8".parse().ok(), ..SeedFacts::default() });
            let answers = Answers::default();
            Scene { networking: r#"{"nodes": "10.5.0.0/24"}"#, ..SCENE }
                .of(|subject| seed_nodes(subject, &settings, &mut View::new(Some(&snapshot), &answers)))
                .into_iter()
                .collect()
        },
    };
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
    (subject.networks.nodes().is_empty() && !subject.is_workerless).then(|| {
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
