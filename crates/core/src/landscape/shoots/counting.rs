//! Counting how the peerings around one Shoot are doing.

use std::collections::HashSet;

use super::{Shoots, peers};
use crate::gardener::facts::Peer;
use crate::gardener::{ShootFacts, ShootName};
use crate::landscape::{Census, Grant};
use crate::net::{Cidr, clashing};

/// What a count looks at in a Shoot.
#[derive(Eq, PartialEq)]
pub(super) struct Counted<'f> {
    peers: &'f [Peer],
    nodes: &'f [Cidr],
    seeds: [Option<&'f str>; 2],
}

impl<'f> Counted<'f> {
    pub(super) fn of(facts: &'f ShootFacts) -> Self {
        let seeds = [facts.seed.as_deref(), facts.old_seed.as_deref()];
        Self { peers: facts.peers(), nodes: facts.networks.nodes(), seeds }
    }
}

/// A Shoot that changes, and what it was and will be. All others stay as they are, so each is looked up once for both counts.
struct Change<'f> {
    name: &'f ShootName,
    sides: [Option<&'f ShootFacts>; 2],
}

impl Shoots {
    /// Counts the entries from and to this Shoot, one to itself once: as they are with what it was, and with what it will be. Left
    /// out is what is the same in both.
    pub(super) fn count_around(&self, name: &ShootName, sides: [Option<&ShootFacts>; 2]) -> [Census; 2] {
        let change = Change { name, sides };
        let mut counts = [Census::default(); 2];
        self.count_own(&change, &mut counts);
        for lister in self.listers(name, &Grant::Everywhere).filter(|lister| *lister != name) {
            if let Some(facts) = self.by_name.get(lister) {
                self.count_of_lister(&change, lister, facts, &mut counts);
            }
        }
        counts
    }

    /// The entries of the Shoot that changes.
    fn count_own(&self, change: &Change<'_>, counts: &mut [Census; 2]) {
        let entries = change.sides.map(peers);
        let is_same = entries[0] == entries[1];
        let mut targets: Vec<Option<&ShootFacts>> = Vec::new();
        for (side, count) in counts.iter_mut().enumerate() {
            let Some(facts) = change.sides[side] else { continue };
            // Only its own networks are others: whose targets overlap is as before.
            if !is_same {
                count.peers_overlapping += self.count_beside(change.name, facts, None);
            }
            if side == 0 || !is_same {
                targets.clear();
                targets
                    .extend(facts.peers().iter().map(|entry| self.by_name.get(&entry.target).map(|target| &**target)));
            }
            for (entry, target) in facts.peers().iter().zip(&targets) {
                let is_itself = entry.target == *change.name;
                *count += count_entry(change.name, facts, entry, if is_itself { Some(facts) } else { *target });
            }
        }
    }

    /// The entries of this Shoot that name the one that changes, and those beside which it is listed.
    fn count_of_lister(&self, change: &Change<'_>, lister: &ShootName, facts: &ShootFacts, counts: &mut [Census; 2]) {
        let is_beside = self.may_be_beside(change, lister, facts);
        for (count, side) in counts.iter_mut().zip(change.sides) {
            for entry in facts.peers().iter().filter(|entry| entry.target == *change.name) {
                *count += count_entry(lister, facts, entry, side);
            }
            if is_beside {
                count.peers_overlapping += self.count_beside(lister, facts, Some((change.name, side)));
            }
        }
    }

    /// Whether the Shoot that changes lists this one back and overlaps another target of it, before or after: without that, the
    /// change is nothing to the other entries.
    fn may_be_beside(&self, change: &Change<'_>, lister: &ShootName, facts: &ShootFacts) -> bool {
        if facts.peers().len() < 2 {
            return false;
        }
        let mutual = change.sides.map(|side| side.filter(|facts| facts.lists(lister)));
        if mutual.iter().all(Option::is_none) {
            return false;
        }
        let others = facts.peers().iter().filter(|entry| entry.target != *change.name && entry.target != *lister);
        others.filter_map(|entry| self.by_name.get(&entry.target)).any(|other| {
            let overlaps = |facts: &ShootFacts| overlap(facts.networks.nodes(), other.networks.nodes());
            mutual.into_iter().flatten().any(overlaps)
        })
    }

    /// How many entries of this Shoot name one that overlaps another that it names, where all list it back. One of them may be
    /// another than is known here.
    fn count_beside(
        &self,
        name: &ShootName,
        facts: &ShootFacts,
        other: Option<(&ShootName, Option<&ShootFacts>)>,
    ) -> u64 {
        let entries = facts.peers();
        if entries.len() < 2 {
            return 0;
        }
        let known = |target: &ShootName| match other {
            Some((other, facts)) if *target == *other => facts,
            _ => self.by_name.get(target).map(|facts| &**facts),
        };
        let is_mutual = |target: &ShootName| match other {
            Some((other, facts)) if *target == *other => facts.is_some_and(|facts| facts.lists(name)),
            _ => self.listers.contains(&(name.clone(), target.clone())),
        };
        let targets = entries.iter().map(|entry| &entry.target).filter(|target| *target != name);
        let mut networks: Vec<(Cidr, &ShootName)> = Vec::new();
        for (target, facts) in targets.filter_map(|target| Some((target, known(target)?))) {
            networks.extend(facts.networks.nodes().iter().map(|cidr| (*cidr, target)));
        }
        // Where none overlap, as nearly everywhere, none of those that list it back do.
        if !clashing(&networks).contains(&true) {
            return 0;
        }
        networks.retain(|(_, target)| is_mutual(target));
        let clashes = clashing(&networks);
        let beside: HashSet<&ShootName> =
            networks.iter().zip(clashes).filter(|(_, clashes)| *clashes).map(|((_, target), _)| *target).collect();
        entries.iter().filter(|entry| beside.contains(&entry.target)).count() as u64
    }
}

/// An entry of this Shoot, whose target is known or is not there.
fn count_entry(name: &ShootName, facts: &ShootFacts, entry: &Peer, target: Option<&ShootFacts>) -> Census {
    let is_reciprocal = target.is_some_and(|target| target.lists(name));
    let overlaps =
        entry.target != *name && target.is_some_and(|target| overlap(facts.networks.nodes(), target.networks.nodes()));
    let is_stale = target.is_some_and(|target| {
        target.seed.as_deref().is_some_and(|seed| *seed != *entry.seed)
            && target.old_seed.as_deref() != Some(&*entry.seed)
    });
    Census {
        reciprocal: is_reciprocal.into(),
        one_sided: (!is_reciprocal).into(),
        overlapping: overlaps.into(),
        peers_overlapping: 0,
        stale_seed: is_stale.into(),
    }
}

pub(super) fn overlap(a: &[Cidr], b: &[Cidr]) -> bool {
    a.iter().any(|a| b.iter().any(|b| a.overlaps(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gardener::facts::{Networks, PeeringFacts};

    fn name(i: u8) -> ShootName {
        ShootName::new("garden-a", &format!("s{i}"))
    }

    #[test]
    fn counts_what_is_the_matter() {
        let shoot = |peers: &[(u8, &str)], nodes: &str, seed: &str| ShootFacts {
            seed: Some(seed.into()),
            networks: Networks::new(Vec::new(), Vec::new(), vec![nodes.parse().unwrap()]),
            peering: PeeringFacts::Enabled(
                peers.iter().map(|(i, seed)| Peer { target: name(*i), seed: (*seed).into() }).collect(),
            ),
            ..ShootFacts::default()
        };
        let mut shoots = Shoots::default();
        shoots.put(&name(1), shoot(&[(2, "a"), (3, "a")], "10.0.0.0/24", "a"));
        assert_eq!(shoots.census(), Census { one_sided: 2, ..Census::default() });
        shoots.put(&name(2), shoot(&[(1, "x")], "10.0.0.0/27", "a"));
        let both = Census { reciprocal: 2, one_sided: 1, overlapping: 2, stale_seed: 1, ..Census::default() };
        assert_eq!(shoots.census(), both);
        let before = shoots.clone();
        shoots.put(&name(2), shoot(&[], "10.0.1.0/27", "b"));
        assert_eq!(shoots.census(), Census { one_sided: 2, stale_seed: 1, ..Census::default() });
        shoots.remove(&name(1));
        assert_eq!(shoots.census(), Census::default());
        assert_eq!(before.census().reciprocal, 2, "a reader keeps its snapshot");
        assert_eq!(before.listers(&name(3), &Grant::Everywhere).collect::<Vec<_>>(), [&name(1)]);
        // Two peers of one Shoot on the same range, and what becomes of that.
        let beside = |shoots: &Shoots| shoots.census().peers_overlapping;
        shoots.put(&name(1), shoot(&[(2, "a"), (3, "a")], "10.0.9.0/24", "a"));
        shoots.put(&name(2), shoot(&[(1, "a")], "10.0.0.0/24", "a"));
        shoots.put(&name(3), shoot(&[], "10.0.0.32/27", "a"));
        assert_eq!(beside(&shoots), 0, "one of them does not list it back");
        shoots.put(&name(3), shoot(&[(1, "a")], "10.0.0.32/27", "a"));
        assert_eq!(beside(&shoots), 2);
        shoots.put(&name(3), shoot(&[(1, "a")], "10.0.1.0/27", "a"));
        assert_eq!(beside(&shoots), 0, "it moved away");
        // The same with more targets than are compared without a look into the index.
        let many: Vec<(u8, &str)> = (2..60).map(|number| (number, "a")).collect();
        shoots.put(&name(1), shoot(&many, "10.0.9.0/24", "a"));
        shoots.put(&name(3), shoot(&[], "10.0.0.32/27", "a"));
        assert_eq!(beside(&shoots), 0, "only one lists it back");
        shoots.put(&name(3), shoot(&[(1, "a")], "10.0.0.32/27", "a"));
        assert_eq!(beside(&shoots), 2);
    }
}
