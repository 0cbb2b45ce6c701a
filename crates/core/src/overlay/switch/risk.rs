//! Nodes that are replaced because they have no route.
//!
//! A node whose condition `NetworkUnavailable` is not `False` counts as unhealthy for machine-controller-manager
//! (`isHealthy` in `pkg/util/provider/machinecontroller/machine_util.go`, v0.62.1; `NetworkUnavailable` is among the
//! conditions by default, see `--node-conditions`). After the health timeout of its pool it is replaced, and since the
//! reason has not gone away, so is its successor.

use jiff::{SignedDuration, Timestamp};

use super::time::seconds;
use crate::gardener::network::Replacement;
use crate::gardener::node::NodeFacts;
use crate::gardener::providers::Routes;
use crate::gardener::{Provider, SwitchFacts};
use crate::net::Family;

/// How long a route controller must have reported a missing route before it is a risk: most nodes get one at the next
/// try.
const ALARM: SignedDuration = SignedDuration::from_mins(2);

impl Replacement {
    /// The nodes that have been without a route for long; `None` when none of them is replaced.
    pub fn of(nodes: &[NodeFacts], shoot: &SwitchFacts, now: Timestamp) -> Option<Self> {
        let due = |node: &NodeFacts| {
            let route = node.route.as_ref().filter(|route| route.is_no_route_created() && !node.is_leaving)?;
            let since = route.transition.value()?;
            // A node without a pool was not made by machine-controller-manager.
            let timeout = shoot.pools.health_timeout(node.pool.as_deref()?)?;
            (now.duration_since(since) >= ALARM).then(|| since.saturating_add(timeout)).and_then(Result::ok)
        };
        let mut all: Vec<(Timestamp, &NodeFacts)> =
            nodes.iter().filter_map(|node| due(node).map(|due| (due, node))).collect();
        all.sort_unstable_by(|(a, a_node), (b, b_node)| a.cmp(b).then_with(|| a_node.name.cmp(&b_node.name)));
        let (deadline, first) = all.first()?;
        Some(Self {
            node: first.name.to_string(),
            deadline: *deadline,
            nodes: all.len(),
            has_ipv6: shoot.families.contains(&Family::V6),
            routes_stay: Provider::of(&shoot.provider).is_some_and(|provider| provider.routes == Routes::Always),
        })
    }

    /// The message, with the remedies.
    pub fn message(&self) -> String {
        let whom = match self.nodes {
            0 | 1 => format!("node {} and its successors", self.node),
            nodes => format!("{nodes} nodes and their successors, {} first,", self.node),
        };
        let or = match (self.routes_stay, self.has_ipv6) {
            (true, _) => "",
            (false, true) => ", or set the overlay back and take IPv6 back",
            (false, false) => ", or set the overlay back",
        };
        format!(
            "without a route, machine-controller-manager replaces {whom} from {} on: raise the quota of routes{or}",
            seconds(self.deadline)
        )
    }

    /// Whether it was due so long ago that its result is not known without an observation.
    pub(crate) fn is_past(&self, now: Timestamp) -> bool {
        now.duration_since(self.deadline) >= ALARM
    }

    /// Whether this is another wave of replacements than the reported one: none was reported, or its node is gone by
    /// now.
    pub fn is_news(&self, reported: Option<&Self>, now: Timestamp) -> bool {
        reported.is_none_or(|reported| reported.node != self.node && reported.deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    /// A node of a pool with this condition, which it has had since this minute.
    fn node(name: &str, pool: &str, condition: &str, since: i64) -> NodeFacts {
        let (status, reason) = condition.split_once('/').unwrap();
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"worker.gardener.cloud/pool": pool}},
            "status": {"conditions": [{
                "type": "NetworkUnavailable", "status": status, "reason": reason,
                "lastTransitionTime": at(since).to_string(),
            }]},
        }))
        .unwrap()
    }

    const DENIED: &str = "True/NoRouteCreated";

    #[test]
    fn which_node_and_when() {
        let pools = crate::gardener::pools::Pools::read(
            r#"[{"name":"plain"},{"name":"slow","machineControllerManager":{"machineHealthTimeout":"1h30m"}},
                {"name":"never","machineControllerManager":{"disableHealthTimeout":true}},
                {"name":"blind","machineControllerManager":{"nodeConditions":["DiskPressure"]}}]"#,
        );
        let shoot = SwitchFacts { pools, ..SwitchFacts::default() };
        let changed = |node: NodeFacts, change: fn(&mut NodeFacts)| {
            let mut node = node;
            change(&mut node);
            node
        };
        // Now is minute 10.
        let table: [(&str, Vec<NodeFacts>, Option<(&str, i64, usize)>); 15] = [
            ("none", vec![], None),
            ("the default", vec![node("a", "plain", DENIED, 5)], Some(("a", 15, 1))),
            ("just now", vec![node("a", "plain", DENIED, 9)], None),
            ("long enough", vec![node("a", "plain", DENIED, 8)], Some(("a", 18, 1))),
            ("overdue", vec![node("a", "plain", DENIED, -60)], Some(("a", -50, 1))),
            ("of its pool", vec![node("a", "slow", DENIED, 5)], Some(("a", 95, 1))),
            ("switched off", vec![node("a", "never", DENIED, 5)], None),
            ("another list of conditions", vec![node("a", "blind", DENIED, 5)], None),
            ("a pool that is not known", vec![node("a", "gone", DENIED, 5)], Some(("a", 15, 1))),
            ("a node without a pool", vec![changed(node("a", "plain", DENIED, 5), |n| n.pool = None)], None),
            ("leaving", vec![changed(node("a", "plain", DENIED, 5), |n| n.is_leaving = true)], None),
            (
                "without a time",
                vec![changed(node("a", "plain", DENIED, 5), |n| n.route.as_mut().unwrap().transition = "x".into())],
                None,
            ),
            (
                "other words",
                ["False/RouteCreated", "False/CalicoIsUp", "True/CalicoIsDown", "Unknown/NoRouteCreated"]
                    .map(|condition| node("a", "plain", condition, 0))
                    .into(),
                None,
            ),
            (
                "the earliest first",
                vec![node("a", "slow", DENIED, 0), node("b", "plain", DENIED, 6), node("c", "plain", DENIED, 5)],
                Some(("c", 15, 3)),
            ),
            (
                "by name where they are due together",
                vec![node("b", "plain", DENIED, 5), node("a", "plain", DENIED, 5)],
                Some(("a", 15, 2)),
            ),
        ];
        for (what, nodes, want) in table {
            let is = Replacement::of(&nodes, &shoot, at(10));
            let want = want.map(|(node, minute, nodes)| Replacement {
                node: node.into(),
                deadline: at(minute),
                nodes,
                has_ipv6: false,
                routes_stay: false,
            });
            assert_eq!(is, want, "{what}");
        }
    }

    #[test]
    fn the_message_names_remedies_that_help() {
        for (provider, families, want) in [
            ("aws", &[Family::V4][..], "raise the quota of routes, or set the overlay back"),
            ("gcp", &[Family::V4, Family::V6], "raise the quota of routes, or set the overlay back and take IPv6 back"),
            ("alicloud", &[Family::V4], " on: raise the quota of routes"),
            ("alicloud", &[Family::V4, Family::V6], " on: raise the quota of routes"),
        ] {
            let (provider, families) = (provider.into(), families.into());
            let shoot = SwitchFacts { provider, families, ..SwitchFacts::default() };
            let replacement = Replacement::of(&[node("a", "plain", DENIED, 0)], &shoot, at(10)).unwrap();
            assert!(replacement.message().ends_with(want), "{}", replacement.message());
            let text = serde_json::to_string(&replacement).unwrap();
            assert_eq!(serde_json::from_str::<Replacement>(&text).unwrap(), replacement);
        }
    }

    #[test]
    fn one_wave_is_news_once() {
        let of = |node: &str, minute: i64| Replacement {
            node: node.into(),
            deadline: at(minute),
            nodes: 1,
            has_ipv6: false,
            routes_stay: false,
        };
        assert!(of("a", 15).is_news(None, at(10)));
        assert!(!of("a", 15).is_news(Some(&of("a", 15)), at(16)), "the same, overdue");
        assert!(!of("b", 20).is_news(Some(&of("a", 15)), at(12)), "a got its route");
        assert!(of("b", 30).is_news(Some(&of("a", 15)), at(22)), "a was replaced");
        assert!(!of("a", 15).is_past(at(16)) && of("a", 15).is_past(at(17)));
    }
}
