//! Inside a Shoot: its nodes, and the Pods of calico-node.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Shoot;
use crate::harness::api::Patch;

impl Shoot {
    /// A node that is ready, with a network for its Pods and no route yet.
    pub fn add_node(&self, name: &str) {
        self.nodes.set(self.nodes.get() + 1);
        let pods = format!("100.96.{}.0/24", self.nodes.get());
        self.api.create(
            "/api/v1/nodes",
            &json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
                "spec": {"podCIDR": pods, "podCIDRs": [pods], "providerID": format!("aws:///eu-west-1a/i-{name}")},
            }),
        );
        self.node_ready(name, true);
    }

    /// The condition `NetworkUnavailable`, written as route controllers and calico-node do it.
    pub fn node_condition(&self, name: &str, status: &str, reason: &str) {
        self.write_condition(name, "NetworkUnavailable", status, reason, Timestamp::now());
    }

    /// The same, since some minutes.
    pub fn node_condition_since(&self, name: &str, status: &str, reason: &str, minutes: i64) {
        let since = Timestamp::now() - SignedDuration::from_mins(minutes);
        self.write_condition(name, "NetworkUnavailable", status, reason, since);
    }

    /// Labels a node as one of this worker pool.
    pub fn node_pool(&self, name: &str, pool: &str) {
        let labels = json!({"metadata": {"labels": {"worker.gardener.cloud/pool": pool}}});
        self.api.patch(&format!("/api/v1/nodes/{name}"), Patch::Merge, &labels);
    }

    /// Both of what a route controller writes when a route is there.
    pub fn route_created(&self, name: &str) {
        self.node_condition(name, "False", "RouteCreated");
    }

    /// The condition `Ready`, since now.
    pub fn node_ready(&self, name: &str, ready: bool) {
        self.node_ready_since(name, ready, 0);
    }

    /// The condition `Ready`, since some minutes.
    pub fn node_ready_since(&self, name: &str, ready: bool, minutes: i64) {
        let (status, reason) = if ready { ("True", "KubeletReady") } else { ("Unknown", "NodeStatusUnknown") };
        let since = Timestamp::now() - SignedDuration::from_mins(minutes);
        self.write_condition(name, "Ready", status, reason, since);
    }

    fn write_condition(&self, name: &str, kind: &str, status: &str, reason: &str, since: Timestamp) {
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": reason, "lastTransitionTime": since.round(jiff::Unit::Second).unwrap(),
        });
        let path = format!("/api/v1/nodes/{name}/status");
        self.api.patch(&path, Patch::Strategic, &json!({"status": {"conditions": [condition]}}));
    }

    /// The condition `NetworkUnavailable` of a node as it is stored: status and reason.
    pub fn condition(&self, name: &str) -> Option<(String, String)> {
        let node = self.api.get(&format!("/api/v1/nodes/{name}"))?;
        let conditions = node["status"]["conditions"].as_array()?;
        let condition = conditions.iter().find(|condition| condition["type"] == "NetworkUnavailable")?;
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason")))
    }

    /// Deletes a node that a finalizer keeps, as machine-controller-manager does while it drains.
    pub fn mark_for_deletion(&self, name: &str) {
        let path = format!("/api/v1/nodes/{name}");
        let finalizers = json!({"metadata": {"finalizers": ["node.machine.sapcloud.io/machine-controller"]}});
        self.api.patch(&path, Patch::Merge, &finalizers);
        self.api.delete(&path);
    }

    /// The DaemonSet calico-node with a Pod on each of these nodes.
    pub fn calico_node(&self, nodes: &[&str]) {
        let daemon_sets = "/apis/apps/v1/namespaces/kube-system/daemonsets";
        let labels = json!({"k8s-app": "calico-node"});
        self.api.create(
            daemon_sets,
            &json!({
                "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "calico-node"},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": calico_containers()}},
                },
            }),
        );
        let count = nodes.len();
        let status = json!({"status": {
            "observedGeneration": 1, "desiredNumberScheduled": count, "currentNumberScheduled": count,
            "numberMisscheduled": 0, "numberReady": count, "updatedNumberScheduled": count,
        }});
        self.api.patch(&format!("{daemon_sets}/calico-node/status"), Patch::Merge, &status);
        for node in nodes {
            self.calico_node_rolls(node);
        }
    }

    /// A new Pod of calico-node on this node.
    pub fn calico_node_rolls(&self, node: &str) {
        let pods = "/api/v1/namespaces/kube-system/pods";
        let name = format!("calico-node-{node}");
        self.api.delete(&format!("{pods}/{name}?gracePeriodSeconds=0"));
        self.api.create(
            pods,
            &json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "labels": {"k8s-app": "calico-node"}},
                "spec": {"nodeName": node, "containers": calico_containers()},
            }),
        );
        let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        self.api.patch(&format!("{pods}/{name}/status"), Patch::Strategic, &ready);
    }
}

fn calico_containers() -> Value {
    json!([{"name": "calico-node", "image": "calico/node:v3.31.6"}])
}
