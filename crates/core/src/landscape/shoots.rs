//! All Shoots, with the indexes that keep the cost of a decision independent of their number: who lists whom, and which
//! Shoots without an overlay are in one VPC.

mod counting;

use std::sync::Arc;

use self::counting::Counted;
use super::access::Grant;
use super::census::Census;
use crate::gardener::facts::Peer;
use crate::gardener::{ShootFacts, ShootName, Vpc, VpcKey, Vpcs};

/// The Shoots of a landscape. Persistent, as the snapshot around it.
///
/// All maps are B-trees: the nodes of a hash trie are half a kilobyte long however few entries they have, and have few in most sizes.
/// Of each name there is one allocation, which all maps and lists of peers share.
#[derive(Clone, Debug, Default)]
pub struct Shoots {
    by_name: imbl::OrdMap<ShootName, Arc<ShootFacts>>,
    /// For each Shoot those whose enabled configuration lists it; also for Shoots that do not exist.
    listers: Index<ShootName>,
    /// The Shoots without an overlay of each VPC that is named.
    by_vpc: Index<VpcKey>,
    /// Where Shoots name their VPC.
    vpcs: Arc<Vpcs>,
    census: Census,
}

/// Which Shoots have something in common.
type Index<K> = imbl::OrdSet<(K, ShootName)>;

/// The Shoots that have this in common and are in this place, sorted by name. Others cost nothing: not even the time for an answer
/// tells how many there are.
fn found<'s, K: Clone + Ord>(
    index: &'s Index<K>,
    key: &K,
    place: &Grant,
) -> impl Iterator<Item = &'s ShootName> + use<'s, K> {
    let (key, place) = (key.clone(), place.clone());
    let first = match &place {
        Grant::Namespace(namespace) => ShootName::new(namespace, ""),
        Grant::Everywhere => ShootName::default(),
    };
    let all = index.range((key.clone(), first)..);
    let names = all.take_while(move |(other, _)| *other == key).map(|(_, name)| name);
    names.take_while(move |name| place.covers(name.namespace()))
}

/// What is equal to this in the index, in the allocation that is shared.
fn kept<'s, K: Clone + Ord>(index: &'s Index<K>, key: &K) -> Option<&'s K> {
    let (first, _) = index.range((key.clone(), ShootName::default())..).next()?;
    (first == key).then_some(first)
}

impl Shoots {
    /// No Shoots yet; `vpcs` says in which fields Shoots name their VPC.
    pub fn with_vpcs(vpcs: Arc<Vpcs>) -> Self {
        Self { vpcs, ..Self::default() }
    }

    /// The fields in which Shoots name their VPC.
    pub fn vpcs(&self) -> &Arc<Vpcs> {
        &self.vpcs
    }

    /// The Shoot of this name.
    pub fn get(&self, name: &ShootName) -> Option<&Arc<ShootFacts>> {
        self.by_name.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All Shoots, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&ShootName, &ShootFacts)> {
        self.by_name.iter().map(|(name, facts)| (name, &**facts))
    }

    /// The Shoots in this place that list this one, sorted by name.
    pub(super) fn listers(&self, name: &ShootName, place: &Grant) -> impl Iterator<Item = &ShootName> + use<'_> {
        found(&self.listers, name, place)
    }

    /// The Shoots of this VPC that are in this place, sorted by name.
    pub fn in_vpc(&self, vpc: &VpcKey, place: &Grant) -> impl Iterator<Item = &ShootName> + use<'_> {
        found(&self.by_vpc, vpc, place)
    }

    /// How all peerings are doing.
    pub fn census(&self) -> Census {
        self.census
    }

    /// Adds or replaces a Shoot. Where nothing of it changed, the cost is a comparison. Otherwise it grows with its peers, with
    /// those who list it and their peers or, when its list changes, those who list one of its peers, and with the logarithm of
    /// all others.
    pub fn put(&mut self, name: &ShootName, mut facts: ShootFacts) {
        facts.vpc = self.vpcs.named(name.namespace(), &facts.vpc);
        self.change(name, Some(facts));
    }

    /// Forgets a Shoot.
    pub fn remove(&mut self, name: &ShootName) {
        self.change(name, None);
    }

    fn change(&mut self, name: &ShootName, facts: Option<ShootFacts>) {
        let stored = self.by_name.get_key_value(name);
        // Most writes of a Shoot are of its status.
        if stored.map(|(_, facts)| &**facts) == facts.as_ref() {
            return;
        }
        let name = &stored.map_or_else(|| self.shared(name), |(name, _)| name.clone());
        let before = stored.map(|(_, facts)| Arc::clone(facts));
        let old = before.as_deref();
        let facts = facts.map(|facts| Arc::new(self.sharing(facts, old)));
        let new = facts.as_deref();
        if old.map(Counted::of) != new.map(Counted::of) {
            let [before, after] = self.count_around(name, [old, new]);
            self.census -= before;
            self.census += after;
        }
        match &facts {
            Some(facts) => drop(self.by_name.insert(name.clone(), Arc::clone(facts))),
            None => drop(self.by_name.remove(name)),
        }
        let (old_peers, new_peers) = (peers(old), peers(new));
        if old_peers != new_peers {
            for peer in old_peers {
                self.listers.remove(&(peer.target.clone(), name.clone()));
            }
            for peer in new_peers {
                self.listers.insert((peer.target.clone(), name.clone()));
            }
        }
        let (old_vpc, new_vpc) = (vpc(old), vpc(new));
        if old_vpc != new_vpc {
            if let Some(vpc) = old_vpc {
                self.by_vpc.remove(&(vpc.clone(), name.clone()));
            }
            if let Some(vpc) = new_vpc {
                self.by_vpc.insert((vpc.clone(), name.clone()));
            }
        }
    }

    /// The name in the allocation that is shared.
    fn shared(&self, name: &ShootName) -> ShootName {
        let own = self.by_name.get_key_value(name).map(|(name, _)| name);
        own.or_else(|| kept(&self.listers, name)).unwrap_or(name).clone()
    }

    /// The facts with all names in the allocations that are shared. What the Shoot had before is one of them.
    fn sharing(&self, mut facts: ShootFacts, before: Option<&ShootFacts>) -> ShootFacts {
        let mut before_peers = before.map_or(&[][..], ShootFacts::all_peers).iter();
        for peer in facts.peers_mut() {
            peer.target = match before_peers.next() {
                Some(before) if before.target == peer.target => before.target.clone(),
                _ => self.shared(&peer.target),
            };
        }
        if let Vpc::Named(key) = &mut facts.vpc
            && let Some(kept) = vpc(before).filter(|before| *before == key).or_else(|| kept(&self.by_vpc, key))
        {
            *key = kept.clone();
        }
        facts
    }
}

fn peers(facts: Option<&ShootFacts>) -> &[Peer] {
    facts.map_or(&[], ShootFacts::peers)
}

fn vpc(facts: Option<&ShootFacts>) -> Option<&VpcKey> {
    match facts.map(|facts| &facts.vpc) {
        Some(Vpc::Named(key)) => Some(key),
        Some(Vpc::Absent | Vpc::Written(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::counting::overlap;
    use super::*;
    use crate::gardener::Shoot;
    use crate::gardener::facts::{Networks, PeeringFacts};
    use crate::net::Cidr;

    fn name(i: u8) -> ShootName {
        ShootName::new("garden-a", &format!("s{i}"))
    }

    /// What a Shoot without an overlay says of its VPC.
    fn written(id: u8, provider: u8) -> Vpc {
        let (provider, network) = [("aws", "id"), ("gcp", "name")][usize::from(provider)];
        let shoot = serde_json::json!({"spec": {
            "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": false}}},
            "provider": {
                "type": provider, "workers": [{}],
                "infrastructureConfig": {"networks": {"vpc": {network: format!("vpc-{id}")}}},
            },
        }});
        Vpc::of(&Shoot::read(&shoot.to_string()).unwrap(), None)
    }

    fn facts() -> impl Strategy<Value = ShootFacts> {
        let peer = (0u8..5, 0u8..3)
            .prop_map(|(target, seed)| Peer { target: name(target), seed: format!("seed{seed}").into() });
        let nodes = prop::collection::vec(
            (0u32..8, 26u8..=30).prop_map(|(base, len)| Cidr::v4(0x0a00_0000 + base * 16, len).unwrap()),
            0..3,
        );
        let vpc = prop_oneof![Just(Vpc::Absent), (0u8..3, 0u8..2).prop_map(|(id, provider)| written(id, provider))];
        let all = (prop::collection::vec(peer, 0..4), nodes, 0u8..4, 0u8..6, prop::bool::weighted(0.8), vpc);
        all.prop_map(|(peers, nodes, seed, old_seed, enabled, vpc)| {
            let peers: Box<[Peer]> = peers.into();
            ShootFacts {
                seed: (seed < 3).then(|| format!("seed{seed}").into()),
                old_seed: (old_seed < 3 && old_seed != seed).then(|| format!("seed{old_seed}").into()),
                networks: Networks::new(Vec::new(), Vec::new(), nodes),
                vpc,
                peering: if enabled { PeeringFacts::Enabled(peers) } else { PeeringFacts::Disabled(peers) },
                ..ShootFacts::default()
            }
        })
    }

    proptest! {
        /// Whatever happened before, the indexes are those of the Shoots that are there. They are few, so that some list each other
        /// and overlap.
        #[test]
        fn indexes_follow_every_event(events in prop::collection::vec((0u8..5, prop::option::weighted(0.8, facts())), 0..40)) {
            let mut shoots = Shoots::default();
            for (i, facts) in events {
                match facts {
                    Some(facts) => shoots.put(&name(i), facts),
                    None => shoots.remove(&name(i)),
                }
            }
            let mut fresh = Shoots::default();
            for (name, facts) in shoots.iter() {
                fresh.put(name, facts.clone());
            }
            prop_assert_eq!(shoots.census(), fresh.census());
            prop_assert_eq!(&shoots.listers, &fresh.listers);
            prop_assert_eq!(&shoots.by_vpc, &fresh.by_vpc);
            let in_vpcs: Vec<_> = shoots.iter().filter_map(|(name, facts)| Some((vpc(Some(facts))?, name))).collect();
            prop_assert_eq!(in_vpcs.len(), shoots.by_vpc.len());
            for (vpc, name) in in_vpcs {
                for place in [Grant::Everywhere, Grant::Namespace(name.namespace().into())] {
                    prop_assert!(shoots.in_vpc(vpc, &place).any(|other| other == name));
                }
            }

            // The census, counted in one look at everything.
            let mut census = Census::default();
            for (name, facts) in shoots.iter() {
                let mutual = |target: &ShootName| shoots.get(target).filter(|other| target != name && other.lists(name));
                let overlaps = |one: &ShootFacts, other: &ShootFacts| overlap(one.networks.nodes(), other.networks.nodes());
                for peer in facts.peers() {
                    prop_assert!(shoots.listers(&peer.target, &Grant::Everywhere).any(|lister| lister == name));
                    let target = shoots.get(&peer.target);
                    let is_reciprocal = target.is_some_and(|target| target.lists(name));
                    census.reciprocal += u64::from(is_reciprocal);
                    census.one_sided += u64::from(!is_reciprocal);
                    census.overlapping += u64::from(target.is_some_and(|target| peer.target != *name && overlaps(facts, target)));
                    census.stale_seed += u64::from(target.is_some_and(|target| {
                        target.seed.is_some() && target.seed.as_ref() != Some(&peer.seed) && target.old_seed.as_ref() != Some(&peer.seed)
                    }));
                    let Some(one) = mutual(&peer.target) else { continue };
                    census.peers_overlapping += u64::from(facts.peers().iter().any(|other| {
                        other.target != peer.target && mutual(&other.target).is_some_and(|other| overlaps(one, other))
                    }));
                }
            }
            prop_assert_eq!(shoots.census(), census);
        }
    }

    #[test]
    fn neighbours_are_found_by_vpc() {
        let mut shoots = Shoots::default();
        let of = |vpc| ShootFacts { vpc, ..ShootFacts::default() };
        for (name, vpc) in [
            (ShootName::new("garden-a", "x"), written(1, 0)),
            (ShootName::new("garden-a-b", "x"), written(1, 0)),
            (ShootName::new("garden-a", "y"), written(1, 0)),
            (ShootName::new("garden-a", "z"), written(2, 0)),
            (ShootName::new("garden-a", "g"), written(1, 1)),
            (ShootName::new("garden-b", "g"), written(1, 1)),
            (ShootName::new("garden-a", "o"), Vpc::Absent),
        ] {
            shoots.put(&name, of(vpc));
        }
        let key =
            |name: &str| vpc(shoots.get(&ShootName::new("garden-a", name)).map(|facts| &**facts)).unwrap().clone();
        let names = |names: &mut dyn Iterator<Item = &ShootName>| names.map(ToString::to_string).collect::<Vec<_>>();
        let (aws, in_project) = (key("x"), |project: &str| Grant::Namespace(project.into()));
        let all = Grant::Everywhere;
        assert_eq!(names(&mut shoots.in_vpc(&aws, &all)), ["garden-a-b/x", "garden-a/x", "garden-a/y"]);
        assert_eq!(names(&mut shoots.in_vpc(&aws, &in_project("garden-a"))), ["garden-a/x", "garden-a/y"]);
        assert_eq!(names(&mut shoots.in_vpc(&aws, &in_project("garden-c"))), Vec::<String>::new());
        assert_eq!(names(&mut shoots.in_vpc(&key("g"), &all)), ["garden-a/g"], "names of another project mean nothing");
    }

    #[test]
    fn listers_of_the_same_project_are_a_part_of_all() {
        let (target, peer) = (name(1), Peer { target: name(1), seed: "a".into() });
        let lister = ShootFacts { peering: PeeringFacts::Enabled([peer].into()), ..ShootFacts::default() };
        let mut shoots = Shoots::default();
        let project = Grant::Namespace("garden-a".into());
        assert_eq!(shoots.listers(&target, &project).count(), 0);
        for namespace in ["garden", "garden-", "garden-a-b", "garden-a", "garden-aa", "garden-b"] {
            for name in ["x", "y"] {
                shoots.put(&ShootName::new(namespace, name), lister.clone());
            }
        }
        assert_eq!(shoots.listers(&target, &Grant::Everywhere).count(), 12);
        let listers: Vec<String> = shoots.listers(&target, &project).map(ToString::to_string).collect();
        assert_eq!(listers, ["garden-a/x", "garden-a/y"]);
    }
}
