//! Calico's word in the place where a route controller would put its own.
//!
//! Calico and route controllers write the same condition of a node, `NetworkUnavailable`. When calico-node starts, it writes
//! `False`, `CalicoIsUp`. Many route controllers compare nothing but the status, so where that is `False` already they never
//! say that the route exists, and a switch that waits for it would be held for ever. Without a condition they write theirs
//! in their next round. So while a switch is held, Calico's word is taken away where it stays, on the infrastructures of which the
//! table of providers says so ([`Reports::UnlessFalse`](crate::gardener::providers::Reports)).
//!
//! What that does to a node:
//!
//! - A node without the condition is as good as one with `False`. The node lifecycle controller makes a taint of `True` only
//!   (`nodeConditionToTaintKeyStatusMap`), the scheduler looks at taints, machine-controller-manager counts a condition that
//!   is there and not `False` (`isHealthy`), and gardenlet's health check passes over one that is not there (`CheckNode`). It
//!   may stay so for ever: the node merely counts as one without a route, and the switch stays held.
//! - Where the route cannot be made, the upstream route controller writes `True`, `NoRouteCreated`. That it does over Calico's
//!   `False` as well: nothing becomes of a node that would not have become of it anyway. Alibaba's writes nothing then
//!   (`batchAddRoutes` in its `pkg/controller/route`, v2.14.0): the node stays without the condition.
//! - calico-node writes again when it starts, and half a minute later (networking-calico's container
//!   `network-unavailable-condition-ensurer`), and then never. The condition is taken away again only when it stayed again,
//!   so nobody fights.
//! - provider-gcp and provider-openstack take it away too: once, when a Shoot gives up its overlay. Nodes that join later, or
//!   whose calico-node restarts, have it again, where no policy keeps calico-node from writing it (Kubernetes before
//!   1.36). Those policies are about calico-node's own writes. provider-gcp's webhook for `nodes/status` undoes "Node created
//!   without a route" only. Alibaba's node controller writes just that where there is no condition, but only on a node that
//!   it has not initialized yet: that happens to a new node anyway, unless calico-node was faster.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::desired::{Desired, desired};
use super::obstacle::{hint, obstacle};
use super::route_tracker::{RouteTracker, digest};
use crate::gardener::SwitchFacts;
use crate::gardener::node::{CALICO_IS_UP, NodeFacts};

/// How long Calico's word must have been there, in every look. A route controller that writes over it does so in one round, by
/// default of 10 s (`--route-reconciliation-period`), and calico-node writes twice within half a minute.
const STAYS: SignedDuration = SignedDuration::from_mins(1);

/// Where routes need not stay for long (`overlay.windowSeconds`), twice that time is enough, if it was so many looks.
const LOOKS: u32 = 6;

/// Where Calico's word was seen.
#[derive(Clone, Debug, Default)]
pub struct Relief {
    /// By the digest of the node's UID, in looks in a row.
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
    /// Whether Calico's word is in the way: nobody has said anything else of this node, and somebody could.
    fn is_concerned(node: &NodeFacts, tracker: &RouteTracker) -> bool {
        let says_calico =
            node.route.as_ref().is_some_and(|route| &*route.status == "False" && &*route.reason == CALICO_IS_UP);
        // Without a Pod network there is nothing that a route controller could say.
        says_calico && node.has_pod_cidr && !node.is_leaving && !tracker.has_seen(node)
    }

    /// Whether the route controller of this Shoot may need help: on one of these infrastructures, and where it makes routes at
    /// all. Elsewhere Calico's word is in nobody's way.
    pub fn is_wanted(shoot: &SwitchFacts, providers: &[String]) -> bool {
        let is_listed = providers.iter().any(|provider| **provider == *shoot.provider);
        let makes_routes = |desired: Desired| hint(shoot, &desired).is_none() && obstacle(shoot, &desired).is_none();
        is_listed && desired(shoot).is_some_and(makes_routes)
    }

    /// The nodes from which the condition is to be taken away, by their place, after a look at all of them. `window` is how
    /// long routes must stay.
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

    /// It was taken away: should it come back, the node is waited for again.
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

    /// Looks at nodes as the worker does, and says how often each lost its condition.
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
        /// With a look every so many seconds, where routes must stay for so many.
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

        /// The first of so many looks in which something was due.
        fn first(&mut self, looks: u32, nodes: &[NodeFacts]) -> Option<u32> {
            (1..=looks).find(|_| !self.look(nodes).is_empty())
        }
    }

    #[test]
    fn only_what_calico_wrote_and_nobody_else_said_is_taken_away() {
        let bare = NodeFacts { has_pod_cidr: false, ..node("x", CALICO) };
        let leaving = NodeFacts { is_leaving: true, ..node("x", CALICO) };
        let lost = NodeFacts { not_ready_since: Some(Timestamp::UNIX_EPOCH), ..node("x", CALICO) };
        for (what, node, want) in [
            ("calico-node runs", node("x", CALICO), true),
            ("it is not ready", lost, true),
            ("calico-node stopped", node("x", Some(("True", "CalicoIsDown"))), false),
            ("a reason of Calico with another status", node("x", Some(("True", "CalicoIsUp"))), false),
            ("a status that nobody knows", node("x", Some(("Unknown", "CalicoIsUp"))), false),
            ("a route", node("x", CREATED), false),
            ("no route", node("x", Some(("True", "NoRouteCreated"))), false),
            ("somebody else", node("x", Some(("False", "CiliumIsUp"))), false),
            ("nothing", node("x", None), false),
            ("no Pod network", bare, false),
            ("on its way out", leaving, false),
        ] {
            assert_eq!(Looks::default().first(2 * LOOKS, &[node]), want.then_some(LOOKS), "{what}");
        }
        // Calico wrote over the route controller's word: the route is known, and nothing is missing.
        let mut looks = Looks::default();
        assert!(looks.look(&[node("x", CREATED)]).is_empty());
        assert_eq!(looks.first(2 * LOOKS, &[node("x", CALICO)]), None);
        // ... until somebody denied it.
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
        // Forced, where no routes come.
        let gcp = SwitchFacts { provider: "gcp".into(), config: Some(off.into()), ..SwitchFacts::default() };
        let both: Box<[Family]> = [Family::V4, Family::V6].into();
        for (what, shoot) in [
            ("two families", SwitchFacts { families: both, ..gcp.clone() }),
            ("two networks of nodes", SwitchFacts { has_two_node_networks: true, ..gcp }),
        ] {
            assert!(!Relief::is_wanted(&shoot, &crate::gardener::providers::silenced()), "{what}");
        }
    }

    /// The first look in which something is due, by the pace of looks and the time for which routes must stay, in seconds.
    #[test]
    fn it_takes_a_minute_whatever_the_pace() {
        for (pace, window, want) in
            [(10, 30, 7), (1, 30, 61), (600, 30, 2), (60, 30, 2), (30, 30, 3), (10, 3_600, 7), (1, 1, 6), (1, 5, 11)]
        {
            let first = Looks::at(pace, window).first(100, &[node("x", CALICO)]);
            assert_eq!(first, Some(want), "every {pace} s, for {window} s");
        }
    }

    #[test]
    fn nobody_is_fought_with() {
        let held = [node("x", CALICO)];
        let mut looks = Looks::default();
        // A route controller that writes over it in time is never disturbed, nor one that takes turns with Calico.
        for _ in 0..3 {
            assert_eq!(looks.first(LOOKS - 1, &held), None);
            assert!(looks.look(&[node("x", None)]).is_empty());
        }
        // What could not be taken away is due in the next look again.
        assert_eq!(looks.first(LOOKS, &held), Some(LOOKS));
        assert_eq!(looks.first(1, &held), Some(1));
        // What comes back at once must stay for as long again.
        looks.relief.done(&held[0]);
        assert_eq!(looks.first(2 * LOOKS, &held), Some(LOOKS));
        // A node that joins has a time of its own, also one of an old name.
        let other = NodeFacts { uid: "another".into(), ..node("x", CALICO) };
        assert_eq!(looks.first(2 * LOOKS, &[other]), Some(LOOKS));
        assert!(looks.look(&[]).is_empty() && looks.relief.seen.is_empty(), "what is gone is forgotten");
    }
}
