//! Tracks the nodes of a Shoot until every one has its route, and for a while after that.
//!
//! One observation of a condition is no proof: Calico and route controllers write the same one, and a route controller
//! may write "yes" for one route table and "no" for the next. So a route counts once a route controller reported it for
//! this very node, until the contrary is reported; and all routes must count for a while without a change. A stopped
//! calico-node is not the contrary: its node counts again when calico-node runs, or when a route controller repeats its
//! report.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use jiff::Timestamp;

use super::settings::RouteTrackerSettings;
use crate::gardener::node::NodeFacts;
use crate::json::excerpt;

/// Nodes that are remembered beyond a restart, at most: Kubernetes is made for so many. They are 100 KB. Of a Shoot with more
/// nodes, those that are left out must be reported once more after a restart.
const REMEMBERED: usize = 5_000;

/// The least number of observations that must agree, however short the window.
const SAMPLES: u32 = 2;

/// What has been observed so far.
#[derive(Clone, Debug, Default)]
pub struct RouteTracker {
    /// Which switch this is about: since when it is held. Routes that were reported during another one do not count.
    since: Box<str>,
    /// Nodes whose route was reported, by the digest of their UID.
    seen: Seen,
    ready_since: Option<Timestamp>,
    samples: u32,
    /// Whether a whole window was observed, or something happened in it. Before that, this process knows no more than
    /// its predecessor.
    is_settled: bool,
}

/// Nodes whose route was reported, and when their route controller last changed the condition: a digest of the time as
/// it is written, 0 where it is not known.
type Seen = HashMap<u64, u64, BuildHasherDefault<Itself>>;

/// Digests need no hashing.
#[derive(Clone, Copy, Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// The result of one observation of all nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Nodes that count.
    pub total: usize,
    /// Those of them with a route.
    pub ready: usize,
    /// Names of the others, with the reason, by name.
    pub missing: Vec<Missing>,
    /// Names of nodes that do not count because they have not been ready for long.
    pub given_up: Vec<Box<str>>,
    /// Nodes that do not count because they are leaving.
    pub leaving: usize,
}

/// A node without a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Its name.
    pub name: Box<str>,
    /// The reason, if one was reported; may be empty.
    pub why: String,
}

impl Progress {
    /// Whether every node that counts has its route. Where there are nodes and none of them counts, that is not known.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && (self.total > 0 || (self.given_up.is_empty() && self.leaving == 0))
    }
}

impl RouteTracker {
    /// Resumes from a record: the switch that has been held since `since`, and the nodes whose route was reported.
    pub fn resume(since: &str, latched: &BTreeSet<String>) -> Self {
        let seen = latched.iter().filter_map(|key| Some((u64::from_str_radix(key, 16).ok()?, 0))).collect();
        Self { since: since.into(), seen, ..Self::default() }
    }

    /// Restarts when the switch is another one than before.
    pub(crate) fn track(&mut self, since: &str) {
        if *self.since != *since {
            *self = Self::resume(since, &BTreeSet::new());
        }
    }

    /// Whether the route of a node was reported, and has not been denied since.
    pub(crate) fn has_seen(&self, node: &NodeFacts) -> bool {
        self.seen.contains_key(&digest(&node.uid))
    }

    /// The nodes whose route was reported, for the record: of too many always the same ones, as long as they exist.
    pub fn latched(&self) -> BTreeSet<String> {
        let mut keys: Vec<u64> = self.seen.keys().copied().collect();
        if keys.len() > REMEMBERED {
            keys.select_nth_unstable(REMEMBERED);
            keys.truncate(REMEMBERED);
        }
        keys.into_iter().map(|key| format!("{key:016x}")).collect()
    }

    /// Observes all nodes.
    pub fn observe(&mut self, nodes: &[NodeFacts], now: Timestamp, settings: &RouteTrackerSettings) -> Progress {
        let mut progress = Progress::default();
        let mut seen = Seen::with_capacity_and_hasher(nodes.len(), BuildHasherDefault::default());
        let mut wavers = false;
        for node in nodes {
            let key = digest(&node.uid);
            let state = self.route(node, key);
            match &node.route {
                Some(route) if state == Route::Present => {
                    let transition = digest(&route.transition);
                    wavers |= self.seen.get(&key).is_some_and(|before| *before != 0 && *before != transition);
                    seen.insert(key, transition);
                }
                _ if matches!(state, Route::Remembered | Route::Interrupted) => drop(seen.insert(key, 0)),
                _ => {}
            }
            if node.is_leaving {
                progress.leaving += 1;
                continue;
            }
            let has_route = matches!(state, Route::Present | Route::Remembered) && node.has_pod_cidr;
            if !has_route && node.not_ready_since.is_some_and(|since| now.duration_since(since) > settings.not_ready) {
                progress.given_up.push(node.name.clone());
                continue;
            }
            progress.total += 1;
            if has_route {
                progress.ready += 1;
            } else {
                progress.missing.push(Missing { name: node.name.clone(), why: why(node) });
            }
        }
        progress.missing.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        progress.given_up.sort_unstable();
        self.seen = seen;
        if wavers || !progress.is_complete() {
            self.reset();
        }
        if progress.is_complete() {
            self.ready_since.get_or_insert(now);
            self.samples = self.samples.saturating_add(1);
        }
        progress
    }

    /// Whether all routes have been there for the whole window.
    pub fn is_over(&self, now: Timestamp, settings: &RouteTrackerSettings) -> bool {
        self.samples >= SAMPLES && self.ready_since.is_some_and(|since| now.duration_since(since) >= settings.window)
    }

    /// Restarts the window, as when nodes could not be listed.
    pub fn reset(&mut self) {
        self.ready_since = None;
        self.samples = 0;
        self.is_settled = true;
    }

    /// Whether less than a whole window has been observed, and nothing happened yet.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.is_settled
    }

    fn route(&self, node: &NodeFacts, key: u64) -> Route {
        match &node.route {
            Some(route) if route.is_route_created() => Route::Present,
            // The scheduler places no Pods there meanwhile, so its route does not count.
            Some(route) if route.is_calico_down() && self.seen.contains_key(&key) => Route::Interrupted,
            Some(route) if &*route.status != "False" => Route::Absent,
            // Calico overwrote the condition, or it was removed. Neither removes the route.
            _ if self.seen.contains_key(&key) => Route::Remembered,
            _ => Route::Unreported,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Route {
    Present,
    Remembered,
    /// Its route was reported, and calico-node is stopped.
    Interrupted,
    Absent,
    Unreported,
}

/// Why a node has no route, as the writer of its condition says.
fn why(node: &NodeFacts) -> String {
    if !node.has_pod_cidr {
        return "it has no Pod network (spec.podCIDR)".to_owned();
    }
    match &node.route {
        Some(route) if &*route.status != "False" => {
            let text = if route.message.is_empty() { &route.reason } else { &route.message };
            excerpt(text)
        }
        _ => String::new(),
    }
}

/// FNV-1a, 64 bits. It distinguishes the nodes of one Shoot; an API server generates their UIDs, so no attacker chooses
/// them. It is stored, so it must be the same in every version.
pub(super) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gardener::network::{Routes, SwitchStatus};
    use crate::overlay::switch::fixtures::{CALICO, CREATED, NOT_CREATED, node};

    fn settings() -> RouteTrackerSettings {
        RouteTrackerSettings::default()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    const DOWN: Option<(&str, &str)> = Some(("True", "CalicoIsDown"));

    #[test]
    fn a_route_counts_from_when_it_is_reported_until_it_is_denied() {
        for (what, history, want) in [
            ("created", &[CREATED][..], true),
            ("never reported", &[CALICO], false),
            ("no condition", &[None], false),
            ("denied", &[NOT_CREATED], false),
            ("unknown", &[Some(("Unknown", "RouteCreated"))], false),
            ("overwritten by Calico", &[CREATED, CALICO], true),
            ("removed", &[CREATED, None], true),
            ("denied, then Calico", &[CREATED, NOT_CREATED, CALICO], false),
            ("denied, then created", &[CREATED, NOT_CREATED, CREATED], true),
            ("Calico stopped", &[CREATED, DOWN], false),
            ("Calico stopped and started", &[CREATED, DOWN, CALICO], true),
            ("Calico stopped and started before", &[DOWN, CALICO], false),
            ("Calico stopped, and the condition was removed", &[CREATED, DOWN, None], true),
            ("Calico stopped, then denied", &[CREATED, DOWN, NOT_CREATED, CALICO], false),
            ("stopped by another writer", &[CREATED, Some(("True", "CiliumIsDown")), CALICO], false),
        ] {
            let mut tracker = RouteTracker::default();
            let mut ready = 0;
            for (i, condition) in history.iter().enumerate() {
                let second = i64::try_from(i).unwrap();
                ready = tracker.observe(&[node("a", *condition)], at(second), &settings()).ready;
                // A restart in between forgets nothing.
                tracker = RouteTracker::resume("", &tracker.latched());
            }
            assert_eq!(ready == 1, want, "{what}");
        }
    }

    #[test]
    fn a_node_of_the_same_name_is_another_node() {
        let mut tracker = RouteTracker::default();
        tracker.observe(&[node("a", CREATED)], at(0), &settings());
        let other = NodeFacts { uid: "another".into(), ..node("a", CALICO) };
        assert_eq!(tracker.observe(&[other], at(1), &settings()).ready, 0);
        assert!(tracker.latched().is_empty(), "what is gone is forgotten");
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_stays_the_same() {
        let nodes: Vec<NodeFacts> = (0..2 * REMEMBERED).map(|i| node(&format!("n{i}"), CREATED)).collect();
        let mut tracker = RouteTracker::default();
        tracker.observe(&nodes, at(0), &settings());
        let latched = tracker.latched();
        assert_eq!(latched.len(), REMEMBERED);
        let all: BTreeSet<String> = nodes.iter().map(|node| format!("{:016x}", digest(&node.uid))).collect();
        assert!(latched.iter().eq(all.iter().take(REMEMBERED)), "the first, whatever order they come in");
        // In this process all count.
        let calico: Vec<NodeFacts> = (0..2 * REMEMBERED).map(|i| node(&format!("n{i}"), CALICO)).collect();
        assert!(tracker.observe(&calico, at(1), &settings()).is_complete());
        // One that joins displaces one at most.
        let more: Vec<NodeFacts> = nodes.into_iter().chain([node("new", CREATED)]).collect();
        tracker.observe(&more, at(2), &settings());
        assert!(tracker.latched().difference(&latched).count() <= 1);
    }

    #[test]
    fn digests_stay_the_same_in_every_version() {
        // The vectors of the algorithm's authors.
        assert_eq!(
            [digest(""), digest("a"), digest("foobar")],
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
        let mut tracker = RouteTracker::default();
        tracker.observe(&[node("a", CREATED)], at(0), &settings());
        assert_eq!(tracker.latched(), ["8a6b4025215ee3d3".to_owned()].into());
    }

    #[test]
    fn who_counts() {
        let leaving = NodeFacts { is_leaving: true, ..node("leaving", NOT_CREATED) };
        let long = NodeFacts { not_ready_since: Some(at(-601)), ..node("long", CALICO) };
        let short = NodeFacts { not_ready_since: Some(at(-599)), ..node("short", CALICO) };
        let routed = NodeFacts { not_ready_since: Some(at(-9999)), ..node("routed", CREATED) };
        let bare = NodeFacts { has_pod_cidr: false, ..node("bare", CREATED) };
        for (what, nodes, want) in [
            ("no nodes", vec![], (true, "0 of 0 nodes have routes")),
            ("only leaving ones", vec![leaving.clone()], (false, "0 of 0 nodes have routes")),
            ("a leaving one", vec![leaving, node("a", CREATED)], (true, "1 of 1 nodes have routes")),
            (
                "not ready for long",
                vec![long.clone(), node("a", CREATED)],
                (true, "1 of 1 nodes have routes; not counted because they are not ready: long (+0)"),
            ),
            (
                "only ones that are not ready",
                vec![long],
                (false, "0 of 0 nodes have routes; not counted because they are not ready: long (+0)"),
            ),
            (
                "not ready for a moment",
                vec![short],
                (false, "0 of 1 nodes have routes; missing: short (+0); no route has been reported for short yet"),
            ),
            ("not ready, with a route", vec![routed], (true, "1 of 1 nodes have routes")),
            (
                "no Pod network",
                vec![bare],
                (false, "0 of 1 nodes have routes; missing: bare (+0); bare: it has no Pod network (spec.podCIDR)"),
            ),
            (
                "many",
                "edcba"
                    .chars()
                    .map(|name| node(&name.to_string(), if name == 'b' { NOT_CREATED } else { CALICO }))
                    .collect(),
                (false, "0 of 5 nodes have routes; missing: a, b, c (+2); b: NoRouteCreated"),
            ),
        ] {
            let progress = RouteTracker::default().observe(&nodes, at(0), &settings());
            let status = SwitchStatus { routes: Some(Routes::from(&progress)), ..SwitchStatus::default() };
            assert_eq!((progress.is_complete(), &*status.message()), want, "{what}");
        }
    }

    #[test]
    fn all_must_be_well_for_a_while() {
        let over = |looks: &[(i64, Vec<NodeFacts>)]| {
            let mut tracker = RouteTracker::default();
            let mut now = at(0);
            for (second, nodes) in looks {
                now = at(*second);
                tracker.observe(nodes, now, &settings());
            }
            tracker.is_over(now, &settings())
        };
        let good = || vec![node("a", CREATED)];
        let changed = || {
            let mut node = node("a", CREATED);
            node.route.as_mut().unwrap().transition = "later".into();
            vec![node]
        };
        assert!(over(&[(0, good()), (30, good())]));
        assert!(!over(&[(0, good()), (29, good())]), "too short");
        assert!(!over(&[(0, good())]) && !over(&[(31, good())]), "one observation");
        assert!(!over(&[(0, good()), (10, vec![node("a", NOT_CREATED)]), (30, good())]), "it flapped");
        assert!(!over(&[(0, good()), (10, changed()), (30, changed())]), "it flapped between two observations");
        assert!(
            !over(&[(0, good()), (10, vec![node("a", CREATED), node("b", CALICO)]), (30, good())]),
            "a node joined"
        );
        assert!(over(&[(0, vec![]), (30, vec![])]), "no nodes at all");
        let mut tracker = RouteTracker::default();
        tracker.observe(&good(), at(0), &settings());
        tracker.reset();
        tracker.observe(&good(), at(30), &settings());
        assert!(!tracker.is_over(at(30), &settings()), "there was no observation in between");
    }
}
