//! Readiness and metrics of a landscape.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::LandscapeCache;
use network_guard_core::vpn;
use network_guard_runtime::health::Readiness;
use network_guard_runtime::metrics::Collector;

impl Readiness for LandscapeCache {
    fn conditions(&self) -> Vec<(&'static str, bool)> {
        vec![("landscape read", self.is_synced())]
    }

    fn remark(&self) -> String {
        format!("the landscape is {} s old", self.age().as_secs())
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct State {
    state: &'static str,
}

/// The metrics of the landscape that webhooks decide from.
#[derive(Debug)]
pub struct LandscapeMetrics {
    landscape: Arc<LandscapeCache>,
    age: Gauge<f64, AtomicU64>,
    synced: Gauge,
    clusters: Gauge,
    clusters_unreadable: Gauge,
    clusters_overlapping: Gauge,
    shoots: Gauge,
    seeds: Gauge,
    peering_entries: Family<State, Gauge>,
}

impl LandscapeMetrics {
    /// The metrics of this landscape.
    pub fn new(landscape: Arc<LandscapeCache>) -> Self {
        Self {
            landscape,
            age: Gauge::default(),
            synced: Gauge::default(),
            clusters: Gauge::default(),
            clusters_unreadable: Gauge::default(),
            clusters_overlapping: Gauge::default(),
            shoots: Gauge::default(),
            seeds: Gauge::default(),
            peering_entries: Family::default(),
        }
    }
}

impl Collector for LandscapeMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Time since the source of the landscape last sent a heartbeat";
        registry.register("cache_age_seconds", help, self.age.clone());
        registry.register("cache_synced", "Whether the landscape was read once", self.synced.clone());
        registry.register("clusters", "Clusters in the landscape", self.clusters.clone());
        let help = "Clusters whose networks cannot be read";
        registry.register("clusters_unreadable", help, self.clusters_unreadable.clone());
        let help = "Clusters whose Shoot has an IPv4 network that overlaps the Seed's Pod network";
        registry.register("clusters_overlapping", help, self.clusters_overlapping.clone());
        registry.register("shoots", "Shoots in the landscape", self.shoots.clone());
        registry.register("seeds", "Seeds in the landscape", self.seeds.clone());
        let help = "Entries of enabled peering configurations: each is reciprocal or one_sided, and may be overlapping, peers_overlapping or stale_seed besides";
        registry.register("peering_entries", help, self.peering_entries.clone());
    }

    fn collect(&self) {
        let snapshot = self.landscape.snapshot();
        let (mut unreadable, mut overlapping) = (0, 0);
        for (_, record) in snapshot.clusters() {
            match record {
                Err(_) => unreadable += 1,
                Ok(facts) => {
                    let overlaps = vpn::overlaps(facts).any(|pair| pair.is_ipv4());
                    overlapping += i64::from(overlaps);
                }
            }
        }
        let set = |gauge: &Gauge, count: usize| _ = gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.age.set(self.landscape.age().as_secs_f64());
        self.synced.set(self.landscape.is_synced().into());
        set(&self.clusters, snapshot.cluster_count());
        self.clusters_unreadable.set(unreadable);
        self.clusters_overlapping.set(overlapping);
        set(&self.shoots, snapshot.shoots.len());
        set(&self.seeds, snapshot.seed_count());
        let census = snapshot.shoots.census();
        for (state, count) in [
            ("reciprocal", census.reciprocal),
            ("one_sided", census.one_sided),
            ("overlapping", census.overlapping),
            ("peers_overlapping", census.peers_overlapping),
            ("stale_seed", census.stale_seed),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.peering_entries.get_or_create(&State { state }).set(count);
        }
    }
}
