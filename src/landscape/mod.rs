//! What we know of the landscape: one immutable snapshot, replaced as a whole.
//!
//! The maps are persistent: a writer clones the snapshot in constant time, changes its clone in O(log n) and publishes
//! it; whoever reads keeps the snapshot that it loaded. Nothing here locks, waits or talks to an API server.

use std::sync::Arc;

use crate::gardener::{ClusterFacts, FieldError};

/// What is known of one Cluster: its facts, or why they cannot be used.
pub type ClusterRecord = Result<ClusterFacts, Vec<FieldError>>;

/// The landscape at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    clusters: imbl::HashMap<Arc<str>, Arc<ClusterRecord>>,
}

impl Snapshot {
    /// The Cluster of this name: its name is also that of the Shoot's control-plane namespace.
    pub fn cluster(&self, name: &str) -> Option<&Arc<ClusterRecord>> {
        self.clusters.get(name)
    }

    /// All Clusters, in no particular order.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, &ClusterRecord)> {
        self.clusters.iter().map(|(name, record)| (&**name, &**record))
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

    /// Replaces all Clusters, as after a complete list.
    pub fn replace_clusters(&mut self, clusters: impl IntoIterator<Item = (Arc<str>, ClusterRecord)>) {
        self.clusters = clusters.into_iter().map(|(name, record)| (name, Arc::new(record))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_its_snapshot() {
        let mut snapshot = Snapshot::default();
        snapshot.put_cluster("shoot--a--b", Err(vec![]));
        let reader = snapshot.clone();
        snapshot.remove_cluster("shoot--a--b");
        assert_eq!((reader.cluster_count(), snapshot.cluster_count()), (1, 0));
        snapshot.replace_clusters([("x".into(), Err(vec![])), ("y".into(), Err(vec![]))]);
        assert!(snapshot.cluster("x").is_some() && snapshot.cluster("shoot--a--b").is_none());
    }
}
