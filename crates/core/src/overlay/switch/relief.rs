//! Which nodes lose Calico's condition `NetworkUnavailable=False`, because route controllers report no route over it.
//!
//! Calico and route controllers write the same condition of a node, `NetworkUnavailable`. When calico-node starts, it
//! writes `False`, `CalicoIsUp`. Many route controllers compare only the status, so where that is `False` already they
//! never report that the route exists, and a switch that waits for it would be held for ever. Without a condition they
//! write theirs in their next round. So while a switch is held, the controller removes Calico's condition where it
//! persists, on the infrastructures that need it by the table of providers
//! ([`Reports::UnlessFalse`](crate::gardener::providers::Reports)).
//!
//! What the removal does to a node:
//!
//! - A node without the condition is treated like one with `False`. The node lifecycle controller makes a taint of
//!   `True` only (`nodeConditionToTaintKeyStatusMap`), the scheduler looks at taints, machine-controller-manager counts
//!   a condition that is there and not `False` (`isHealthy`), and gardenlet's health check skips a missing condition
//!   (`CheckNode`). It may stay so for ever: the node merely counts as one without a route, and the switch stays held.
//! - Where the route cannot be made, the upstream route controller writes `True`, `NoRouteCreated`. It does so over
//!   Calico's `False` as well, so the removal changes nothing for such a node. Alibaba's writes nothing then
//!   (`batchAddRoutes` in its `pkg/controller/route`, v2.14.0): the node stays without the condition.
//! - calico-node writes again when it starts, and half a minute later (networking-calico's container
//!   `network-unavailable-condition-ensurer`), and then never. The condition is removed again only after it persisted
//!   again, so the two do not fight.
//! - provider-gcp and provider-openstack remove it too: once, when a Shoot gives up its overlay. Nodes that join later,
//!   or whose calico-node restarts, have it again, where no policy keeps calico-node from writing it (Kubernetes before
//!   1.36). Those policies are about calico-node's own writes. provider-gcp's webhook for `nodes/status` undoes "Node
//!   created without a route" only. Alibaba's node controller writes just that where there is no condition, but only on
//!   a node that it has not initialized yet: that happens to a new node anyway, unless calico-node was faster.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::desired::{Desired, desired};
use super::obstacle::{hint, obstacle};
use super::route_tracker::{RouteTracker, digest};
use crate::gardener::SwitchFacts;
use crate::gardener::node::{CALICO_IS_UP, NodeFacts};

/// How long Calico's condition must have been there, in every observation. A route controller that overwrites it does
/// so in one round, by default of 10 s (`--route-reconciliation-period`), and calico-node writes twice within half a
/// minute.
const STAYS: SignedDuration = SignedDuration::from_mins(1);

/// The least number of observations. Where routes need not stay for long (`overlay.windowSeconds`), twice that time is
/// enough.
const LOOKS: u32 = 6;

/// The nodes on which Calico's condition was seen.
#[derive(Clone, Debug, Default)]
pub struct Relief {
    /// By the digest of the node's UID, in consecutive observations.
    seen: HashMap<u64, Stay>,
}

/// How long it was seen.
#[derive(Clone, Copy, Debug)]
struct Stay {
    since: Timestamp,
    looks: u32,
}

impl Stay {
    fn is_over(self, now: Timestamp, window: SignedDuration) -> bool {
        let age = now.duration_since(self.since);
        age >= STAYS || (self.looks >= LOOKS && age >= window.saturating_add(window))
    }
}

impl Relief {
    /// Whether Calico's condition is in the way: nothing else was reported for this node, and a route controller could
    /// report.
    fn is_concerned(node: &NodeFacts, tracker: &RouteTracker) -> bool {
        let says_calico =
            node.route.as_ref().is_some_and(|route| &*route.status == "False" && &*route.reason == CALICO_IS_UP);
        // Without a Pod network there is nothing that a route controller could report.
        says_calico && node.has_pod_cidr && !node.is_leaving && !tracker.has_seen(node)
    }

    /// Whether the route controller of this Shoot may need help: on one of these infrastructures, and where it makes
    /// routes at all. Elsewhere Calico's condition does no harm.
    pub fn is_wanted(shoot: &SwitchFacts, providers: &[String]) -> bool {
        let is_listed = providers.iter().any(|provider| **provider == *shoot.provider);
        let makes_routes = |desired: Desired| hint(shoot, &desired).is_none() && obstacle(shoot, &desired).is_none();
        is_listed && desired(shoot).is_some_and(makes_routes)
    }

    /// The nodes from which the condition is to be removed, by index, after an observation of all of them. `window` is
    /// how long routes must stay.
    pub fn observe(
        &mut self,
        nodes: &[NodeFacts],
        tracker: &RouteTracker,
        now: Timestamp,
        window: SignedDuration,
    ) -> Vec<usize> {
        let mut due = Vec::new();
        let mut seen = HashMap::new();
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| Self::is_concerned(node, tracker)) {
            let key = digest(&node.uid);
            let mut stay = self.seen.get(&key).copied().unwrap_or(Stay { since: now, looks: 0 });
            stay.looks = stay.looks.saturating_add(1);
            if stay.is_over(now, window) {
                due.push(at);
            }
            seen.insert(key, stay);
        }
        self.seen = seen;
        due
    }

    /// The condition was removed: if it returns, the waiting time starts again.
    pub fn done(&mut self, node: &NodeFacts) {
        self.seen.remove(&digest(&node.uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Family;
    use crate::overlay::RouteTrackerSettings;
    use crate::overlay::switch::fixtures::{CALICO, CREATED, node};

    /// Observes nodes as the worker does, and counts how often each lost its condition.
    struct Looks {
        relief: Relief,
        tracker: RouteTracker,
        now: Timestamp,
        pace: SignedDuration,
        window: SignedDuration,
    }

    impl Default for Looks {
        fn default() -> Self {
            Self::at(12, 30)
        }
    }

    impl Looks {
        /// With an observation every so many seconds, where routes must stay for so many.
        fn at(pace: i64, window: i64) -> Self {
            let [pace, window] = [pace, window].map(SignedDuration::from_secs);
            Self {
                relief: Relief::default(),
                tracker: RouteTracker::default(),
                now: Timestamp::UNIX_EPOCH,
                pace,
                window,
            }
        }

        fn look(&mut self, nodes: &[NodeFacts]) -> Vec<String> {
            self.tracker.observe(nodes, self.now, &RouteTrackerSettings::default());
            let due = self.relief.observe(nodes, &self.tracker, self.now, self.window);
            self.now += self.pace;
            due.into_iter().map(|at| nodes[at].name.to_string()).collect()
        }

        /// The first of so many observations in which a removal was due.
        fn first(&mut self, looks: u32, nodes: &[NodeFacts]) -> Option<u32> {
            (1..=looks).find(|_| !self.look(nodes).is_empty())
        }
    }

    #[test]
    fn only_calicos_condition_is_removed_and_only_without_a_report() {
        let bare = NodeFacts { has_pod_cidr: false, ..node("x", CALICO) };
        let leaving = NodeFacts { is_leaving: true, ..node("x", CALICO) };
        let lost = NodeFacts { not_ready_since: Some(Timestamp::UNIX_EPOCH), ..node("x", CALICO) };
        for (what, node, want) in [
            ("calico-node runs", node("x", CALICO), true),
            ("it is not ready", lost, true),
            ("calico-node stopped", node("x", Some(("True", "CalicoIsDown"))), false),
            ("a reason of Calico with another status", node("x", Some(("True", "CalicoIsUp"))), false),
            ("an unknown status", node("x", Some(("Unknown", "CalicoIsUp"))), false),
            ("a route", node("x", CREATED), false),
            ("no route", node("x", Some(("True", "NoRouteCreated"))), false),
            ("somebody else", node("x", Some(("False", "CiliumIsUp"))), false),
            ("nothing", node("x", None), false),
            ("no Pod network", bare, false),
            ("leaving", leaving, false),
        ] {
            assert_eq!(Looks::default().first(2 * LOOKS, &[node]), want.then_some(LOOKS), "{what}");
        }
        // Calico overwrote the route controller's report: the route is known, and nothing is missing.
        let mut looks = Looks::default();
        assert!(looks.look(&[node("x", CREATED)]).is_empty());
        assert_eq!(looks.first(2 * LOOKS, &[node("x", CALICO)]), None);
        // ... until the route was denied.
        assert!(looks.look(&[node("x", Some(("True", "NoRouteCreated")))]).is_empty());
        assert_eq!(looks.first(2 * LOOKS, &[node("x", CALICO)]), Some(LOOKS));
    }

    #[test]
    fn only_a_route_controller_that_makes_routes_needs_help() {
        let off = r#"{"overlay":{"enabled":false}}"#;
        let none = r#"{"backend":"none"}"#;
        for (provider, config, want) in [
            ("gcp", Some(off), true),
            ("gcp", Some(none), false),
            ("openstack", Some(none), false),
            ("openstack", None, false),
            ("alicloud", Some(none), true),
            ("aws", Some(off), false),
            ("gcp", Some(r#"{"overlay":5}"#), false),
        ] {
            let config = config.map(Box::from);
            let shoot = SwitchFacts { provider: provider.into(), config, ..SwitchFacts::default() };
            let is_wanted = Relief::is_wanted(&shoot, &crate::gardener::providers::silenced());
            assert_eq!(is_wanted, want, "{provider} {:?}", shoot.config);
            assert!(!Relief::is_wanted(&shoot, &[]), "switched off");
        }
        // Forced, where no routes are made.
        let gcp = SwitchFacts { provider: "gcp".into(), config: Some(off.into()), ..SwitchFacts::default() };
        let both: Box<[Family]> = [Family::V4, Family::V6].into();
        for (what, shoot) in [
            ("two families", SwitchFacts { families: both, ..gcp.clone() }),
            ("two networks of nodes", SwitchFacts { has_two_node_networks: true, ..gcp }),
        ] {
            assert!(!Relief::is_wanted(&shoot, &crate::gardener::providers::silenced()), "{what}");
        }
    }

    /// The first observation in which a removal is due, by the interval of observations and the time for which routes
    /// must stay, in seconds.
    #[test]
    fn it_takes_a_minute_whatever_the_interval() {
        for (pace, window, want) in
            [(10, 30, 7), (1, 30, 61), (600, 30, 2), (60, 30, 2), (30, 30, 3), (10, 3_600, 7), (1, 1, 6), (1, 5, 11)]
        {
            let first = Looks::at(pace, window).first(100, &[node("x", CALICO)]);
            assert_eq!(first, Some(want), "every {pace} s, for {window} s");
        }
    }

    #[test]
    fn other_writers_are_not_fought() {
        let held = [node("x", CALICO)];
        let mut looks = Looks::default();
        // A route controller that overwrites it in time is never disturbed, nor one that alternates with Calico.
        for _ in 0..3 {
            assert_eq!(looks.first(LOOKS - 1, &held), None);
            assert!(looks.look(&[node("x", None)]).is_empty());
        }
        // A condition that could not be removed is due in the next observation again.
        assert_eq!(looks.first(LOOKS, &held), Some(LOOKS));
        assert_eq!(looks.first(1, &held), Some(1));
        // A condition that returns at once must persist for as long again.
        looks.relief.done(&held[0]);
        assert_eq!(looks.first(2 * LOOKS, &held), Some(LOOKS));
        // A node that joins has its own waiting time, also one with an old name.
        let other = NodeFacts { uid: "another".into(), ..node("x", CALICO) };
        assert_eq!(looks.first(2 * LOOKS, &[other]), Some(LOOKS));
        assert!(looks.look(&[]).is_empty() && looks.relief.seen.is_empty(), "what is gone is forgotten");
    }
}
