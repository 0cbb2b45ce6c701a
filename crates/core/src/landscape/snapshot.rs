//! The snapshot, and how its next one is made.

use std::sync::Arc;

use super::access::Access;
use super::shoots::Shoots;
use crate::gardener::network::SwitchingNetwork;
use crate::gardener::{ClusterFacts, SeedFacts, SwitchFacts, ToldNetworks, Unusable, Vpcs};

/// What is known of one Cluster: its facts, or why they cannot be used.
pub type ClusterRecord = Result<ClusterFacts, Unusable>;

/// What a switch of the overlay depends on; `None` also when the Cluster cannot be used.
pub fn switch_facts(record: &ClusterRecord) -> Option<&SwitchFacts> {
    record.as_ref().ok()?.switch.as_deref()
}

/// A Network: its namespace, which is that of the Shoot's control plane, and its name, which is the Shoot's.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NetworkName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// The landscape at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    clusters: imbl::OrdMap<Arc<str>, Arc<ClusterRecord>>,
    seeds: imbl::OrdMap<Arc<str>, SeedFacts>,
    switches: imbl::OrdMap<NetworkName, Arc<SwitchingNetwork>>,
    told: imbl::OrdMap<Arc<str>, Arc<ToldNetworks>>,
    /// All Shoots, and who lists whom.
    pub shoots: Shoots,
    /// Who may see which Shoots, where there is no API server to ask.
    pub access: Access,
}

impl Snapshot {
    /// An empty snapshot like this one: a list is read into it until it is complete.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::with_vpcs(Arc::clone(self.shoots.vpcs()))
    }

    /// An empty snapshot; `vpcs` says in which fields Shoots name their VPC.
    pub fn with_vpcs(vpcs: Arc<Vpcs>) -> Self {
        Self { shoots: Shoots::with_vpcs(vpcs), ..Self::default() }
    }

    /// The Cluster of this name: its name is also that of the Shoot's control-plane namespace.
    pub fn cluster(&self, name: &str) -> Option<&Arc<ClusterRecord>> {
        self.clusters.get(name)
    }

    /// All Clusters, in no particular order.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, &ClusterRecord)> {
        self.clusters.iter().map(|(name, record)| (&**name, &**record))
    }

    /// What a switch of the overlay in this Cluster's Shoot depends on; `None` also when the Cluster cannot be used.
    pub fn switch_facts(&self, cluster: &str) -> Option<&SwitchFacts> {
        self.cluster(cluster).and_then(|record| switch_facts(record))
    }

    /// How many Clusters are known.
    pub fn cluster_count(&self) -> usize {
        self.clusters.len()
    }

    /// Adds or replaces a Cluster.
    pub fn put_cluster(&mut self, name: &str, record: ClusterRecord) {
        self.clusters.insert(name.into(), Arc::new(record));
    }

    /// Forgets a Cluster.
    pub fn remove_cluster(&mut self, name: &str) {
        self.clusters.remove(name);
    }

    /// Has the Clusters of this list, which is complete, and no others.
    pub fn take_clusters(&mut self, listed: Self) {
        self.clusters = listed.clusters;
    }

    /// The Network of this name, when it has a switch of the overlay.
    pub fn switch(&self, name: &NetworkName) -> Option<&Arc<SwitchingNetwork>> {
        self.switches.get(name)
    }

    /// All Networks with a switch of the overlay, in no particular order.
    pub fn switches(&self) -> impl Iterator<Item = (&NetworkName, &Arc<SwitchingNetwork>)> {
        self.switches.iter()
    }

    /// Notes a Network, or forgets it when it has no switch.
    pub fn put_switch(&mut self, name: NetworkName, network: Option<SwitchingNetwork>) {
        match network {
            Some(network) => drop(self.switches.insert(name, Arc::new(network))),
            None => drop(self.switches.remove(&name)),
        }
    }

    /// Has the Networks of this list, which is complete, and no others.
    pub fn take_switches(&mut self, listed: Self) {
        self.switches = listed.switches;
    }

    /// What each kube-apiserver's VPN is told about the networks, by the namespace of the Shoot's control plane, in no
    /// particular order.
    pub fn told(&self) -> impl Iterator<Item = (&str, &ToldNetworks)> {
        self.told.iter().map(|(name, told)| (&**name, &**told))
    }

    /// Notes what a kube-apiserver's VPN is told, or forgets it.
    pub fn put_told(&mut self, name: Arc<str>, told: Option<ToldNetworks>) {
        match told {
            Some(told) => drop(self.told.insert(name, Arc::new(told))),
            None => drop(self.told.remove(&name)),
        }
    }

    /// Has what those of this list, which is complete, are told, and no others.
    pub fn take_told(&mut self, listed: Self) {
        self.told = listed.told;
    }

    /// The Seed of this name.
    pub fn seed(&self, name: &str) -> Option<&SeedFacts> {
        self.seeds.get(name)
    }

    /// How many Seeds are known.
    pub fn seed_count(&self) -> usize {
        self.seeds.len()
    }

    /// Adds or replaces a Seed.
    pub fn put_seed(&mut self, name: &str, facts: SeedFacts) {
        self.seeds.insert(name.into(), facts);
    }

    /// Forgets a Seed.
    pub fn remove_seed(&mut self, name: &str) {
        self.seeds.remove(name);
    }

    /// Has the Seeds of this list, which is complete, and no others.
    pub fn take_seeds(&mut self, listed: Self) {
        self.seeds = listed.seeds;
    }

    /// Has the Shoots of this list, which is complete, and no others.
    pub fn take_shoots(&mut self, listed: Self) {
        self.shoots = listed.shoots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_its_snapshot() {
        let mut snapshot = Snapshot::default();
        snapshot.put_cluster("shoot--a--b", Err(vec![].into()));
        let reader = snapshot.clone();
        snapshot.remove_cluster("shoot--a--b");
        assert_eq!((reader.cluster_count(), snapshot.cluster_count()), (1, 0));
        let listed = |put: &dyn Fn(&mut Snapshot)| {
            let mut listed = snapshot.emptied();
            put(&mut listed);
            listed
        };
        let clusters = listed(&|list| ["x", "y"].iter().for_each(|name| list.put_cluster(name, Err(vec![].into()))));
        let seeds = listed(&|list| list.put_seed("eu1-b", SeedFacts::default()));
        let name = NetworkName { namespace: "a".into(), name: "b".into() };
        let switches = listed(&|list| list.put_switch(name.clone(), Some(SwitchingNetwork::default())));
        let none = snapshot.emptied();
        snapshot.put_cluster("shoot--a--b", Err(vec![].into()));
        snapshot.take_clusters(clusters);
        assert!(snapshot.cluster("x").is_some() && snapshot.cluster("shoot--a--b").is_none());
        snapshot.put_seed("eu1-a", SeedFacts::default());
        snapshot.take_seeds(seeds);
        assert!(snapshot.seed("eu1-b").is_some() && snapshot.seed("eu1-a").is_none());
        snapshot.remove_seed("eu1-b");
        snapshot.put_switch(name.clone(), Some(SwitchingNetwork::default()));
        assert!(snapshot.switch(&name).is_some() && snapshot.switches().count() == 1);
        snapshot.put_switch(name.clone(), None);
        assert!(snapshot.switch(&name).is_none());
        snapshot.take_switches(switches);
        assert_eq!(snapshot.switches().count(), 1);
        snapshot.take_switches(none);
        assert_eq!((snapshot.switches().count(), snapshot.cluster_count()), (0, 2));
        assert_eq!(snapshot.seed_count(), 0);
    }
}
