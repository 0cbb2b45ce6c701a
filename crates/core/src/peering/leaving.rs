//! Warnings when a Shoot with peers is deleted or moved to another Seed.

use std::collections::BTreeSet;

use super::rules::lifecycle;
use super::rules::unverified::listers_not_verified;
use crate::diagnostics::Finding;
use crate::gardener::{Shoot, ShootFacts, ShootName, facts};
use crate::landscape::{Freshness, Grant, Target, View};

/// The maximum number of peers whose visibility is asked for.
const ASKED: usize = 100;

/// The maximum number of visible Shoots that are checked because they list this one.
const LOOKED_AT: usize = 1_000;

/// The findings when a Shoot with peers is deleted.
pub fn deleted(shoot: &Shoot<'_>, view: &mut View<'_>) -> Vec<Finding> {
    let peers = shoot.enabled_peering().map_or_else(Box::default, |extension| facts::peers(extension.provider_config));
    let name = ShootName::new(&shoot.namespace, &shoot.name);
    let (listers, not_verified) = listers(&name, view);
    let lists = |(other, facts): &(&ShootName, &ShootFacts)| **other != name && facts.lists(&name);
    let mut found: BTreeSet<&ShootName> = listers.take(LOOKED_AT).filter(lists).map(|(other, _)| other).collect();
    for peer in peers.iter().take(ASKED) {
        if let Some(Target::Visible(facts)) = view.shoot(&peer.target, Freshness::Known)
            && lists(&(&peer.target, &facts))
        {
            found.insert(&peer.target);
        }
    }
    let listers: Vec<ShootName> = found.into_iter().cloned().collect();
    let has_peers = !peers.is_empty() || !listers.is_empty();
    let deleted = has_peers.then(|| lifecycle::deleted(peers.len(), &listers));
    deleted.into_iter().chain(not_verified).collect()
}

/// The findings when a Shoot with peers is moved to another Seed.
pub fn moved(old: &Shoot<'_>, new: &Shoot<'_>, view: &mut View<'_>) -> Vec<Finding> {
    let seed = |shoot: &Shoot<'_>| shoot.seed.as_deref().unwrap_or_default().to_owned();
    let (old_seed, new_seed) = (seed(old), seed(new));
    if old_seed.is_empty() || new_seed.is_empty() || old_seed == new_seed {
        return Vec::new();
    }
    let name = ShootName::new(&new.namespace, &new.name);
    let names_old_seed =
        |facts: &ShootFacts| facts.peers().iter().any(|peer| peer.target == name && *peer.seed == *old_seed);
    let (listers, not_verified) = listers(&name, view);
    let listers = listers.take(LOOKED_AT).filter(|(lister, facts)| **lister != name && names_old_seed(facts));
    let listers: Vec<ShootName> = listers.map(|(lister, _)| lister.clone()).collect();
    lifecycle::migrated(&old_seed, &new_seed, &listers).into_iter().chain(not_verified).collect()
}

/// The Shoots that list this one, if the user may see all Shoots of its project, or all Shoots everywhere; and a
/// warning if access reviews failed. Other Shoots are not even counted, or the user could learn how many there are.
fn listers<'s>(
    name: &ShootName,
    view: &mut View<'s>,
) -> (impl Iterator<Item = (&'s ShootName, &'s ShootFacts)> + use<'s>, Option<Finding>) {
    let project = view.sees_all_of(Grant::Namespace(name.namespace().into()));
    let everything = view.sees_all_of(Grant::Everywhere);
    let not_verified = view.unanswered().filter(|_| everything.is_none()).map(listers_not_verified);
    let listers = everything.or(project).map(|sees| view.listers(name, &sees));
    (listers.into_iter().flatten(), not_verified)
}
