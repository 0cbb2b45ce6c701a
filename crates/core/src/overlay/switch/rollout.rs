//! Whether the rollout of Calico's Pods after a switch is finished, and which nodes it left with an outdated condition.
//!
//! A calico-node that stops sets the node's condition, and its successor, which has no routing daemon any more, never
//! resets it: the node keeps a taint, and machine-controller-manager replaces it after some minutes. Shoots with a
//! MutatingAdmissionPolicy for this do not have the problem; in others the condition has to be removed.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::gardener::list::Listed;
use crate::gardener::node::{CALICO_IS_DOWN, NodeFacts};

/// How far clocks of Seed and Shoot may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(10);

/// The shortest limit for the rollout of Calico's Pods.
const ROLLOUT: SignedDuration = SignedDuration::from_hours(1);

/// The additional time for each node: the DaemonSet replaces two Pods at a time (`maxUnavailable` in
/// networking-calico's chart), so this is four minutes for a Pod that stops, starts and becomes ready.
const EACH: SignedDuration = SignedDuration::from_mins(2);

/// More nodes than these do not make it longer: Kubernetes is made for so many. The limit is then almost a week.
const MOST: usize = 5_000;

/// How long after a switch the controller waits for the rollout of Calico's Pods at most, by the number of nodes.
pub(super) fn longest_rollout(nodes: usize) -> SignedDuration {
    let nodes = i32::try_from(nodes.min(MOST)).unwrap_or(i32::MAX);
    ROLLOUT.max(EACH * nodes)
}

/// A Pod of calico-node.
#[derive(Clone, Debug)]
pub struct CalicoPod {
    /// The node that it runs on.
    pub node: Box<str>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is ready, and stays.
    pub is_ready: bool,
}

/// The DaemonSet of calico-node, as far as we read it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CalicoDaemonSet {
    #[serde(default)]
    status: DaemonSetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DaemonSetStatus {
    desired_number_scheduled: usize,
}

/// The progress of the rollout.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rollout {
    /// Nodes whose condition is out of date, by their index in the list.
    pub marked: Vec<usize>,
    /// Whether every Pod was made after the switch, and is ready.
    pub is_over: bool,
}

/// Evaluates nodes and Pods after a switch.
pub fn rollout(
    nodes: &[NodeFacts],
    pods: &[CalicoPod],
    daemon_set: Option<&CalicoDaemonSet>,
    released: Timestamp,
) -> Rollout {
    let is_new = |pod: &CalicoPod| {
        pod.created.is_some_and(|created| created >= released.saturating_sub(SKEW).unwrap_or(released))
    };
    let new: HashSet<&str> = pods.iter().filter(|pod| pod.is_ready && is_new(pod)).map(|pod| &*pod.node).collect();
    let has_new_pod = |node: &NodeFacts| new.contains(&*node.name);
    let is_marked = |node: &NodeFacts| {
        node.route.as_ref().is_some_and(|route| &*route.status == "True" && &*route.reason == CALICO_IS_DOWN)
    };
    let marked = nodes.iter().enumerate().filter(|(_, node)| is_marked(node) && has_new_pod(node)).map(|(i, _)| i);
    let is_over = daemon_set.is_none_or(|daemon_set| {
        pods.len() >= daemon_set.status.desired_number_scheduled && pods.iter().all(|pod| pod.is_ready && is_new(pod))
    });
    Rollout { marked: marked.collect(), is_over }
}

#[derive(Deserialize)]
struct WirePod {
    metadata: PodMetadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    conditions: Vec<PodCondition>,
}

#[derive(Deserialize)]
struct PodCondition {
    #[serde(rename = "type")]
    condition: Box<str>,
    status: Box<str>,
}

impl<'de> Deserialize<'de> for CalicoPod {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WirePod { metadata, spec, status } = WirePod::deserialize(deserializer)?;
        let ready = status.conditions.iter().any(|c| &*c.condition == "Ready" && &*c.status == "True");
        Ok(Self {
            node: spec.node_name,
            created: metadata.creation_timestamp,
            is_ready: ready && metadata.deletion_timestamp.is_none(),
        })
    }
}

impl Listed for CalicoPod {
    fn heap(&self) -> usize {
        self.node.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, status: &str, reason: &str) -> NodeFacts {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "status": {"conditions": [{"type": "NetworkUnavailable", "status": status, "reason": reason}]},
        }))
        .unwrap()
    }

    fn pod(node: &str, created: &str, ready: &str) -> Value {
        json!({
            "metadata": {"creationTimestamp": format!("2026-11-20T{created}Z")},
            "spec": {"nodeName": node},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    #[test]
    fn the_longest_rollout_grows_with_the_nodes() {
        for (nodes, minutes) in
            [(0, 60), (1, 60), (30, 60), (31, 62), (600, 1_200), (5_000, 10_000), (5_001, 10_000), (usize::MAX, 10_000)]
        {
            assert_eq!(longest_rollout(nodes), SignedDuration::from_mins(minutes), "{nodes} nodes");
        }
    }

    #[test]
    fn marks_are_taken_away_where_the_new_pod_runs() {
        let released = "2026-11-20T10:00:00Z".parse().unwrap();
        let nodes = [
            node("new", "True", "CalicoIsDown"),
            node("old", "True", "CalicoIsDown"),
            node("starting", "True", "CalicoIsDown"),
            node("routeless", "True", "NoRouteCreated"),
            node("fine", "False", "RouteCreated"),
        ];
        let pods: Vec<CalicoPod> = [
            pod("new", "10:01:00", "True"),
            pod("old", "09:00:00", "True"),
            pod("starting", "10:01:00", "False"),
            pod("routeless", "10:01:00", "True"),
            pod("fine", "10:01:00", "True"),
        ]
        .into_iter()
        .map(|pod| serde_json::from_value(pod).unwrap())
        .collect();
        let daemon_set = |desired: usize| -> CalicoDaemonSet {
            serde_json::from_value(json!({"status": {"desiredNumberScheduled": desired}})).unwrap()
        };
        let at = |nodes: &[NodeFacts], pods: &[CalicoPod], desired| {
            rollout(nodes, pods, Some(&daemon_set(desired)), released)
        };
        assert_eq!(at(&nodes, &pods, 5), Rollout { marked: vec![0], is_over: false });
        assert!(at(&nodes, &pods[..1], 1).is_over);
        assert!(!at(&nodes, &pods[..1], 2).is_over, "a Pod is missing");
        assert!(!at(&nodes, &pods[2..3], 1).is_over, "not ready");
        assert!(at(&[], &[], 0).is_over, "no nodes");
        assert!(rollout(&nodes, &pods, None, released).is_over, "no DaemonSet");
        let mut leaving = pod("new", "10:01:00", "True");
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:02:00Z");
        let leaving = [serde_json::from_value(leaving).unwrap()];
        assert!(!at(&nodes, &leaving, 1).is_over && at(&nodes, &leaving, 1).marked.is_empty());
    }
}
