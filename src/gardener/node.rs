//! The `Node` of a Shoot, as far as its route is concerned.

use jiff::Timestamp;
use serde::Deserialize;

/// The condition that tells whether a node's route exists. Route controllers and Calico both write it.
pub const NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";

/// The reason by which a route controller says that the route exists.
pub const ROUTE_CREATED: &str = "RouteCreated";

/// The reason by which calico-node says that it stops.
pub const CALICO_IS_DOWN: &str = "CalicoIsDown";

/// The taint by which cluster-autoscaler marks a node that it is about to remove.
const AUTOSCALER_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// The condition by which machine-controller-manager marks a node whose machine it is removing.
const TERMINATING: &str = "Terminating";

/// A node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeFacts {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// Whether it is on its way out: deleted, or marked by cluster-autoscaler or machine-controller-manager.
    pub is_leaving: bool,
    /// Whether it has a Pod network that a route could lead to.
    pub has_pod_cidr: bool,
    /// Since when it is not ready; `None` when it is.
    pub not_ready_since: Option<Timestamp>,
    /// The condition [`NETWORK_UNAVAILABLE`].
    pub route: Option<RouteCondition>,
}

/// What the condition [`NETWORK_UNAVAILABLE`] says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteCondition {
    /// `True`, `False` or `Unknown`.
    pub status: Box<str>,
    /// Who says so, and why.
    pub reason: Box<str>,
    /// The same for people.
    pub message: Box<str>,
    /// `lastTransitionTime`, as it is written.
    pub transition: Box<str>,
}

impl RouteCondition {
    /// Whether a route controller says that the route exists.
    pub fn is_route_created(&self) -> bool {
        &*self.status == "False" && &*self.reason == ROUTE_CREATED
    }
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    metadata: PageMetadata,
    /// What is on it.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// What asks for the next page; `None` after the last.
    pub fn next(&self) -> Option<&str> {
        self.metadata.next.as_deref().filter(|next| !next.is_empty())
    }
}

#[derive(Debug, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Box<str>,
    #[serde(default)]
    uid: Box<str>,
    #[serde(default)]
    resource_version: Box<str>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Box<str>,
    taints: Vec<Taint>,
}

#[derive(Deserialize)]
struct Taint {
    key: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    condition: Box<str>,
    status: Box<str>,
    #[serde(default)]
    reason: Box<str>,
    #[serde(default)]
    message: Box<str>,
    last_transition_time: Option<Box<str>>,
}

impl<'de> Deserialize<'de> for NodeFacts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        let marked = spec.taints.iter().any(|taint| &*taint.key == AUTOSCALER_TAINT);
        let mut node = Self {
            is_leaving: metadata.deletion_timestamp.is_some() || marked,
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            has_pod_cidr: !spec.pod_cidr.is_empty(),
            not_ready_since: None,
            route: None,
        };
        for condition in status.conditions {
            let transition = condition.last_transition_time.unwrap_or_default();
            match &*condition.condition {
                NETWORK_UNAVAILABLE => {
                    let Condition { status, reason, message, .. } = condition;
                    node.route = Some(RouteCondition { status, reason, message, transition });
                }
                // Without a time nobody knows how long: then it is not long.
                "Ready" if &*condition.status != "True" => node.not_ready_since = transition.parse().ok(),
                TERMINATING if &*condition.status == "True" => node.is_leaving = true,
                _ => {}
            }
        }
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(change: impl FnOnce(&mut Value)) -> NodeFacts {
        let mut node = json!({
            "metadata": {"name": "a", "uid": "u-a", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"podCIDR": "100.64.0.0/24", "providerID": "aws:///x"},
            "status": {
                "images": [{"names": ["x"]}],
                "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"},
                    {"type": "NetworkUnavailable", "status": "False", "reason": "RouteCreated", "message": "m",
                     "lastTransitionTime": "2026-11-20T10:00:00Z", "lastHeartbeatTime": null},
                ],
            },
        });
        change(&mut node);
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn what_counts_of_a_node() {
        let plain = node(|_| ());
        assert!(plain.has_pod_cidr && !plain.is_leaving && plain.not_ready_since.is_none());
        assert!(plain.route.unwrap().is_route_created());
        let table: [(&str, fn(&mut Value), fn(&NodeFacts) -> bool); 7] = [
            ("deleted", |n| n["metadata"]["deletionTimestamp"] = json!("x"), |n| n.is_leaving),
            (
                "marked",
                |n| n["spec"]["taints"] = json!([{"key": AUTOSCALER_TAINT, "effect": "NoSchedule"}]),
                |n| n.is_leaving,
            ),
            (
                "terminating",
                |n| n["status"]["conditions"][0] = json!({"type": "Terminating", "status": "True"}),
                |n| n.is_leaving,
            ),
            ("cordoned", |n| n["spec"]["unschedulable"] = json!(true), |n| !n.is_leaving),
            ("no network", |n| n["spec"] = json!({}), |n| !n.has_pod_cidr),
            (
                "not ready",
                |n| n["status"]["conditions"][0]["status"] = json!("Unknown"),
                |n| n.not_ready_since.is_some(),
            ),
            (
                "Calico",
                |n| n["status"]["conditions"][1]["reason"] = json!("CalicoIsUp"),
                |n| !n.route.as_ref().unwrap().is_route_created(),
            ),
        ];
        for (what, change, want) in table {
            let node = node(change);
            assert!(want(&node), "{what}: {node:?}");
        }
    }

    #[test]
    fn a_page_says_whether_there_is_another() {
        let page: Page<NodeFacts> =
            serde_json::from_str(r#"{"metadata":{"continue":"x"},"items":[{"metadata":{"name":"a"}}]}"#).unwrap();
        assert_eq!((page.next(), page.items.len()), (Some("x"), 1));
        let page: Page<NodeFacts> = serde_json::from_str(r#"{"metadata":{"continue":""},"items":[]}"#).unwrap();
        assert_eq!(page.next(), None);
    }
}
