use std::process::Command;

use network_guard_core::net::Cidr;
use serde_json::{Value, json};

use super::{ControlPlane, Guard, fixture, until};

/// A Seed's API server with one Shoot on it, and network-guard beside it.
pub struct Scene {
    pub control_plane: ControlPlane,
    pub guard: Guard,
}

impl Scene {
    /// The namespace of the Shoot, as its fixtures have it.
    pub const NAMESPACE: &str = "shoot--local--ha";

    /// Nothing is registered yet.
    pub fn unregistered(configuration: &str) -> Self {
        let control_plane = ControlPlane::start();
        let guard = Guard::start_configured(&control_plane, configuration);
        guard.wait_until_ready();
        Self { control_plane, guard }
    }

    /// With the webhooks registered.
    pub fn start(configuration: &str) -> Self {
        let scene = Self::unregistered(configuration);
        scene.guard.register(&scene.control_plane);
        scene
    }

    /// Sets the Seed's Pod network in the Shoot's Cluster and waits until the webhook knows.
    pub fn seed_pods(&self, cidr: &str) {
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!(cidr);
        let nodes: Cidr = cluster["spec"]["shoot"]["spec"]["networking"]["nodes"].as_str().unwrap().parse().unwrap();
        let overlaps = nodes.overlaps(cidr.parse().unwrap());
        let is_known = || {
            self.guard.metric("network_guard_clusters") >= 1.0
                && (self.guard.metric("network_guard_clusters_overlapping") > 0.0) == overlaps
        };
        let was_so_before = is_known();
        self.control_plane.apply_cluster(&cluster);
        if was_so_before {
            self.wait_for_news(cluster);
        }
        until("the webhook knows the Cluster", is_known);
    }

    /// Waits until the webhook knows all Clusters as they are stored now. It learns of them in the order in which they are
    /// written, so it does when it has seen one more come and go.
    fn wait_for_news(&self, mut further: Value) {
        let admin = self.control_plane.admin();
        let kind = "clusters.extensions.gardener.cloud";
        let wait = || {
            let stored = admin.ok(&["get", kind, "-o", "name"], None).lines().count();
            until("the webhook knows as many Clusters as there are", || {
                self.guard.metric("network_guard_clusters").to_string() == stored.to_string()
            });
        };
        // Before that: what has not come yet must not be taken for the further one.
        wait();
        further["metadata"] = json!({"name": "further"});
        admin.apply(&further);
        wait();
        admin.ok(&["delete", kind, "further"], None);
        wait();
    }

    /// The Shoot's kube-apiserver, as it is stored.
    pub fn stored(&self) -> Value {
        self.control_plane.admin().get(&["deployment", "kube-apiserver", "-n", Self::NAMESPACE])
    }

    /// Takes it away.
    pub fn delete(&self) {
        self.control_plane.admin().ok(&["delete", "deployment", "kube-apiserver", "-n", Self::NAMESPACE], None);
    }

    /// What `network-guard overlaps` prints. Its exit code says whether somebody should do something about it.
    pub fn report(&self) -> String {
        let kubeconfig = self.control_plane.kubeconfig("admin", "system:masters");
        let output = Command::new(env!("CARGO_BIN_EXE_network-guard"))
            .args(["overlaps", "--kubeconfig"])
            .arg(kubeconfig)
            .output()
            .unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let code = i32::from(["MISSING", "OTHER"].iter().any(|trouble| report.contains(trouble)));
        assert_eq!(output.status.code(), Some(code), "{report}{}", String::from_utf8_lossy(&output.stderr));
        report
    }
}
