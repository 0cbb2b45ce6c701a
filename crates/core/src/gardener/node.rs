//! The `Node` of a Shoot, as far as its route is concerned.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Error as _;

use super::list::Listed;
use super::name::LONGEST_POOL;
use super::{LONGEST_NAME, is_dns_subdomain};
use crate::json::{Written, excerpt};

/// The longest name that is kept, in bytes. UIDs and versions are shorter.
const NAME: usize = LONGEST_NAME;

/// The longest text of a condition, in bytes; the rest is cut. More would not be reported.
const WORDS: usize = 300;

/// The condition that says whether a node's route exists. Route controllers and Calico both write it.
pub const NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";

/// The reason by which a route controller reports that the route exists.
pub const ROUTE_CREATED: &str = "RouteCreated";

/// The reason by which calico-node reports that it runs.
pub const CALICO_IS_UP: &str = "CalicoIsUp";

/// The reason by which a route controller reports that it could not make the route.
pub const NO_ROUTE_CREATED: &str = "NoRouteCreated";

/// The reason by which calico-node reports that it stops.
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
    /// Whether it is leaving: deleted, or marked by cluster-autoscaler or machine-controller-manager.
    pub is_leaving: bool,
    /// Whether it has a Pod network that a route could lead to.
    pub has_pod_cidr: bool,
    /// Since when it is not ready; `None` when it is.
    pub not_ready_since: Option<Timestamp>,
    /// The worker pool of a node without a route (label `worker.gardener.cloud/pool`); of others it is not kept.
    pub pool: Option<Box<str>>,
    /// The condition [`NETWORK_UNAVAILABLE`].
    pub route: Option<RouteCondition>,
}

/// What the condition [`NETWORK_UNAVAILABLE`] says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteCondition {
    /// `True`, `False` or `Unknown`.
    pub status: Box<str>,
    /// The reason, which also shows the writer.
    pub reason: Box<str>,
    /// The message.
    pub message: Box<str>,
    /// `lastTransitionTime`.
    pub transition: Written<Box<str>, Timestamp>,
}

impl RouteCondition {
    /// Whether a route controller reports that the route exists.
    pub fn is_route_created(&self) -> bool {
        &*self.status == "False" && &*self.reason == ROUTE_CREATED
    }

    /// Whether calico-node reports that it stopped. That does not remove a route.
    pub(crate) fn is_calico_down(&self) -> bool {
        &*self.status == "True" && &*self.reason == CALICO_IS_DOWN
    }

    /// Whether a route controller reports that it could not make the route.
    pub(crate) fn is_no_route_created(&self) -> bool {
        &*self.status == "True" && &*self.reason == NO_ROUTE_CREATED
    }
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
    labels: Option<Labels>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "worker.gardener.cloud/pool")]
    pool: Option<Box<str>>,
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
    last_transition_time: Option<Written<Box<str>, Timestamp>>,
}

impl<'de> Deserialize<'de> for NodeFacts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        // The name becomes part of a URL path.
        if !is_dns_subdomain(&metadata.name)
            || [&metadata.uid, &metadata.resource_version].iter().any(|text| text.len() > NAME)
        {
            return Err(D::Error::custom("a name, UID or version that no API server makes"));
        }
        let marked = spec.taints.iter().any(|taint| &*taint.key == AUTOSCALER_TAINT);
        let mut node = Self {
            is_leaving: metadata.deletion_timestamp.is_some() || marked,
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            has_pod_cidr: !spec.pod_cidr.is_empty(),
            not_ready_since: None,
            pool: None,
            route: None,
        };
        for condition in status.conditions {
            let transition = condition.last_transition_time.unwrap_or_default().map(cut);
            match &*condition.condition {
                NETWORK_UNAVAILABLE => {
                    let [status, reason, message] = [condition.status, condition.reason, condition.message].map(cut);
                    node.route = Some(RouteCondition { status, reason, message, transition });
                }
                // Without a time it is unknown for how long: then it does not count as long.
                "Ready" if &*condition.status != "True" => node.not_ready_since = transition.value(),
                TERMINATING if &*condition.status == "True" => node.is_leaving = true,
                _ => {}
            }
        }
        if node.route.as_ref().is_some_and(RouteCondition::is_no_route_created) {
            node.pool = metadata.labels.and_then(|labels| labels.pool).filter(|pool| pool.len() <= LONGEST_POOL);
        }
        Ok(node)
    }
}

impl Listed for NodeFacts {
    fn heap(&self) -> usize {
        let route = self
            .route
            .as_ref()
            .map_or(0, |route| route.status.len() + route.reason.len() + route.message.len() + route.transition.len());
        let pool = self.pool.as_ref().map_or(0, |pool| pool.len());
        self.name.len() + self.uid.len() + self.resource_version.len() + pool + route
    }
}

fn cut(text: Box<str>) -> Box<str> {
    if text.len() > WORDS { excerpt(&text).into() } else { text }
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
    fn reads_what_counts_of_a_node() {
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

    /// However long the texts of other writers are, a node is small, and names are never cut.
    #[test]
    fn long_texts_are_cut_and_long_names_are_refused() {
        let long = || json!("x".repeat(5_000));
        let node = |change: fn(&mut Value, Value)| {
            let mut node = json!({
                "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"}, "spec": {"podCIDR": "x"},
                "status": {"conditions": [{"type": "NetworkUnavailable", "status": "False", "reason": "RouteCreated"}]},
            });
            change(&mut node, long());
            serde_json::from_value::<NodeFacts>(node)
        };
        for (what, change, want) in [
            ("name", (|node, long| node["metadata"]["name"] = long) as fn(&mut Value, Value), false),
            ("no name", |node, _| node["metadata"]["name"] = json!("a b"), false),
            ("a path", |node, _| node["metadata"]["name"] = json!("../pods"), false),
            ("uid", |node, long| node["metadata"]["uid"] = long, false),
            ("version", |node, long| node["metadata"]["resourceVersion"] = long, false),
            ("network", |node, long| node["spec"]["podCIDR"] = long, true),
            ("message", |node, long| node["status"]["conditions"][0]["message"] = long, true),
            ("reason", |node, long| node["status"]["conditions"][0]["reason"] = long, true),
            ("status", |node, long| node["status"]["conditions"][0]["status"] = long, true),
            ("time", |node, long| node["status"]["conditions"][0]["lastTransitionTime"] = long, true),
            ("type", |node, long| node["status"]["conditions"][0]["type"] = long, true),
        ] {
            let node = node(change);
            assert_eq!(node.is_ok(), want, "{what}");
            if let Ok(node) = node {
                assert!(node.heap() < 400, "{what}: {} bytes", node.heap());
            }
        }
    }
}
