//! Counting how the peerings around one Shoot are doing.

use std::collections::HashSet;

use super::Shoots;
use crate::gardener::facts::Peer;
use crate::gardener::{ShootFacts, ShootName};
use crate::landscape::{Census, Grant};
use crate::net::{Cidr, clashing};

/// More targets than nearly all Shoots have.
const MANY: usize = 16;

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

impl Shoots {
    /// Counts the entries from and to this Shoot; one to itself once.
    pub(super) fn count_around(&self, name: &ShootName) -> Census {
        let mut census = Census::default();
        if let Some(facts) = self.by_name.get(name) {
            for peer in facts.peers() {
                census += self.count(name, facts, peer);
            }
            census.peers_overlapping += self.count_beside(name, facts);
        }
        for lister in self.listers(name, &Grant::Everywhere).filter(|lister| *lister != name) {
            if let Some(facts) = self.by_name.get(lister) {
                for peer in facts.peers().iter().filter(|peer| peer.target == *name) {
                    census += self.count(lister, facts, peer);
                }
                census.peers_overlapping += self.count_beside(lister, facts);
            }
        }
        census
    }

    /// How many entries of this Shoot name one that overlaps another that it names, where all list it back.
    fn count_beside(&self, name: &ShootName, facts: &ShootFacts) -> u64 {
        let entries = facts.peers();
        if entries.len() < 2 {
            return 0;
        }
        // The index tells it, too, and faster where the networks of many targets would have to be put in order.
        if entries.len() > MANY && self.listers(name, &Grant::Everywhere).nth(1).is_none() {
            return 0;
        }
        let targets = entries.iter().map(|entry| &entry.target).filter(|target| *target != name);
        let mut networks: Vec<(Cidr, &ShootName)> = Vec::new();
        for (target, facts) in targets.filter_map(|target| Some((target, self.by_name.get(target)?))) {
            networks.extend(facts.networks.nodes().iter().map(|cidr| (*cidr, target)));
        }
        // Where none overlap, as nearly everywhere, none of those that list it back do.
        if !clashing(&networks).contains(&true) {
            return 0;
        }
        networks.retain(|(_, target)| self.listers.contains(&(name.clone(), (*target).clone())));
        let clashes = clashing(&networks);
        let beside: HashSet<&ShootName> =
            networks.iter().zip(clashes).filter(|(_, clashes)| *clashes).map(|((_, target), _)| *target).collect();
        entries.iter().filter(|entry| beside.contains(&entry.target)).count() as u64
    }

    fn count(&self, name: &ShootName, facts: &ShootFacts, peer: &Peer) -> Census {
        let target = self.by_name.get(&peer.target);
        let is_reciprocal = target.is_some_and(|target| target.lists(name));
        let overlaps = peer.target != *name
            && target.is_some_and(|target| overlap(facts.networks.nodes(), target.networks.nodes()));
        let is_stale = target.is_some_and(|target| {
            target.seed.as_deref().is_some_and(|seed| *seed != *peer.seed)
                && target.old_seed.as_deref() != Some(&*peer.seed)
        });
        Census {
            reciprocal: is_reciprocal.into(),
            one_sided: (!is_reciprocal).into(),
            overlapping: overlaps.into(),
            peers_overlapping: 0,
            stale_seed: is_stale.into(),
        }
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
