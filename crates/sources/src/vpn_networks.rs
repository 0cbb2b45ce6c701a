//! Compares the networks that the kube-apiservers' VPNs are given with their Clusters. The result is only counted:
//! nothing depends on it, and without the right to watch Deployments everything else works as before.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::LandscapeCache;
use network_guard_core::vpn::nat;
use network_guard_runtime::metrics::Collector;

/// The metrics.
#[derive(Debug)]
pub struct VpnNetworksMetrics {
    clusters: Arc<LandscapeCache>,
    told: Arc<LandscapeCache>,
    compared: Gauge,
    differing: Gauge,
    age: Gauge<f64, AtomicU64>,
}

impl VpnNetworksMetrics {
    /// For the Clusters of one landscape and the kube-apiservers of another.
    pub fn new(clusters: Arc<LandscapeCache>, told: Arc<LandscapeCache>) -> Self {
        Self { clusters, told, compared: Gauge::default(), differing: Gauge::default(), age: Gauge::default() }
    }
}

impl Collector for VpnNetworksMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Shoots whose kube-apiserver's VPN is compared with the Cluster: which networks it is told";
        registry.register("vpn_networks_compared", help, self.compared.clone());
        let help =
            "Shoots whose kube-apiserver's VPN is told other networks than the Cluster has, so that it maps otherwise";
        registry.register("vpn_networks_differ", help, self.differing.clone());
        let help = "Time since the watch of kube-apiserver Deployments last sent a heartbeat";
        registry.register("vpn_networks_age_seconds", help, self.age.clone());
    }

    /// Counts what both landscapes show now. A landscape that is out of date is not compared.
    fn collect(&self) {
        self.age.set(self.told.age().as_secs_f64());
        let is_known = |landscape: &LandscapeCache| landscape.is_synced() && !landscape.is_stale();
        let (mut compared, mut differing) = (0, 0);
        if is_known(&self.told) && is_known(&self.clusters) {
            let clusters = self.clusters.snapshot();
            for (name, told) in self.told.snapshot().told() {
                let Some(Ok(facts)) = clusters.cluster(name).map(|record| &**record) else { continue };
                compared += 1;
                differing += i64::from(!nat::differences(told, facts).is_empty());
            }
        }
        self.compared.set(compared);
        self.differing.set(differing);
    }
}
