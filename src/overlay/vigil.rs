//! Watching the nodes of a Shoot until every one has its route, and for a while after that.
//!
//! One look at a condition is no proof: Calico and route controllers write the same one, and a route controller may say
//! "yes" for one route table and "no" for the next. So a route counts once a route controller said that it is there, for
//! this very node, until somebody says the contrary; and all routes must count for a while without a change.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use crate::gardener::node::NodeFacts;

/// How long, and how patiently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VigilSettings {
    /// How long all nodes must have had their routes.
    pub window: SignedDuration,
    /// A node that has not been ready for longer than this holds up nobody.
    pub not_ready: SignedDuration,
}

impl Default for VigilSettings {
    /// Half a minute is three looks at the default pace. Ten minutes is when machine-controller-manager gives a node up.
    fn default() -> Self {
        Self { window: SignedDuration::from_secs(30), not_ready: SignedDuration::from_mins(10) }
    }
}

/// Looks that must agree, however short the window.
const SAMPLES: u32 = 2;

/// Nodes that a message names.
const NAMED: usize = 3;

/// Characters of a digest of a UID: 48 bits tell the nodes of one Shoot apart.
const UID_DIGEST: usize = 12;

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct Vigil {
    /// Which switch this is about: since when it is held. Routes that were seen during another one do not count.
    since: Box<str>,
    latched: BTreeSet<String>,
    /// When a route controller last changed its word on a node, by the digest of its UID.
    transitions: HashMap<String, Box<str>>,
    ready_since: Option<Timestamp>,
    samples: u32,
}

/// What one look at all nodes showed.
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
    /// Why, as far as somebody said; may be empty.
    pub why: String,
}

impl Progress {
    /// Whether every node that counts has its route. Where there are nodes and none of them counts, nobody can tell.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && (self.total > 0 || (self.given_up.is_empty() && self.leaving == 0))
    }

    /// For people: `17 of 20 nodes have routes; missing: a, b, c (+0)`.
    pub fn message(&self) -> String {
        let mut text = format!("{} of {} nodes have routes", self.ready, self.total);
        if let Some(first) = self.missing.first() {
            let named: Vec<&str> = self.missing.iter().take(NAMED).map(|node| &*node.name).collect();
            let _ = write!(text, "; missing: {} (+{})", named.join(", "), self.missing.len() - named.len());
            if let Some(node) = self.missing.iter().find(|node| !node.why.is_empty()) {
                let _ = write!(text, "; {}: {}", node.name, node.why);
            } else {
                let _ = write!(text, "; nobody has reported a route for {} yet", first.name);
            }
        }
        if let Some(first) = self.given_up.first() {
            let _ = write!(text, "; not counted because they are not ready: {first} (+{})", self.given_up.len() - 1);
        }
        text
    }
}

impl Vigil {
    /// Goes on where a former one was, as far as it was remembered: the switch that is held since then, and the nodes
    /// whose route was seen.
    pub fn resume(since: &str, latched: BTreeSet<String>) -> Self {
        Self { since: since.into(), latched, ..Self::default() }
    }

    /// Begins anew when the switch is another one than before.
    pub fn attend(&mut self, since: &str) {
        if *self.since != *since {
            *self = Self::resume(since, BTreeSet::new());
        }
    }

    /// The nodes whose route was seen, to be remembered.
    pub fn latched(&self) -> &BTreeSet<String> {
        &self.latched
    }

    /// Looks at all nodes.
    pub fn look(&mut self, nodes: &[NodeFacts], now: Timestamp, settings: &VigilSettings) -> Progress {
        let mut progress = Progress::default();
        let mut transitions = HashMap::with_capacity(nodes.len());
        let mut latched = BTreeSet::new();
        let mut wavers = false;
        for node in nodes {
            let key = uid_digest(&node.uid);
            let state = self.route(node, &key);
            if state != Route::Absent && state != Route::Unreported {
                latched.insert(key.clone());
            }
            if let Some(route) = node.route.as_ref().filter(|route| route.is_route_created()) {
                wavers |= self.transitions.get(&key).is_some_and(|before| *before != route.transition);
                transitions.insert(key, route.transition.clone());
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
        (self.latched, self.transitions) = (latched, transitions);
        if wavers || !progress.is_complete() {
            self.start_over();
        }
        if progress.is_complete() {
            self.ready_since.get_or_insert(now);
            self.samples = self.samples.saturating_add(1);
        }
        progress
    }

    /// Whether all routes have been there for the whole window.
    pub fn is_over(&self, now: Timestamp, settings: &VigilSettings) -> bool {
        self.samples >= SAMPLES && self.ready_since.is_some_and(|since| now.duration_since(since) >= settings.window)
    }

    /// Forgets how long all was well, as when nodes could not be looked at.
    pub fn start_over(&mut self) {
        self.ready_since = None;
        self.samples = 0;
    }

    fn route(&self, node: &NodeFacts, key: &str) -> Route {
        match &node.route {
            Some(route) if route.is_route_created() => Route::Present,
            Some(route) if &*route.status != "False" => Route::Absent,
            // Calico said something else, or somebody took the condition away. Neither takes the route away.
            _ if self.latched.contains(key) => Route::Remembered,
            _ => Route::Unreported,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Route {
    Present,
    Remembered,
    Absent,
    Unreported,
}

/// Why a node has no route, in the words of whoever wrote its condition.
fn why(node: &NodeFacts) -> String {
    if !node.has_pod_cidr {
        return "it has no Pod network (spec.podCIDR)".to_owned();
    }
    match &node.route {
        Some(route) if &*route.status != "False" => {
            let text = if route.message.is_empty() { &route.reason } else { &route.message };
            crate::gardener::excerpt(text)
        }
        _ => String::new(),
    }
}

fn uid_digest(uid: &str) -> String {
    let digest = digest::digest(&digest::SHA256, uid.as_bytes());
    digest.as_ref()[..UID_DIGEST / 2].iter().fold(String::with_capacity(UID_DIGEST), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gardener::node::RouteCondition;

    fn settings() -> VigilSettings {
        VigilSettings::default()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn node(name: &str, route: Option<(&str, &str)>) -> NodeFacts {
        NodeFacts {
            name: name.into(),
            uid: format!("uid-{name}").into(),
            has_pod_cidr: true,
            route: route.map(|(status, reason)| RouteCondition {
                status: status.into(),
                reason: reason.into(),
                ..RouteCondition::default()
            }),
            ..NodeFacts::default()
        }
    }

    const CREATED: Option<(&str, &str)> = Some(("False", "RouteCreated"));
    const NOT_CREATED: Option<(&str, &str)> = Some(("True", "NoRouteCreated"));
    const CALICO: Option<(&str, &str)> = Some(("False", "CalicoIsUp"));

    #[test]
    fn a_route_counts_from_when_it_is_reported_until_it_is_denied() {
        for (what, history, want) in [
            ("created", &[CREATED][..], true),
            ("never reported", &[CALICO], false),
            ("no condition", &[None], false),
            ("denied", &[NOT_CREATED], false),
            ("unknown", &[Some(("Unknown", "RouteCreated"))], false),
            ("overwritten by Calico", &[CREATED, CALICO], true),
            ("taken away", &[CREATED, None], true),
            ("denied, then Calico", &[CREATED, NOT_CREATED, CALICO], false),
            ("denied, then created", &[CREATED, NOT_CREATED, CREATED], true),
            ("Calico stopped", &[CREATED, Some(("True", "CalicoIsDown")), CALICO], false),
        ] {
            let mut vigil = Vigil::default();
            let mut ready = 0;
            for (i, condition) in history.iter().enumerate() {
                let second = i64::try_from(i).unwrap();
                ready = vigil.look(&[node("a", *condition)], at(second), &settings()).ready;
                // A restart in between forgets nothing.
                vigil = Vigil::resume("", vigil.latched().clone());
            }
            assert_eq!(ready == 1, want, "{what}");
        }
    }

    #[test]
    fn a_node_of_the_same_name_is_another_node() {
        let mut vigil = Vigil::default();
        vigil.look(&[node("a", CREATED)], at(0), &settings());
        let other = NodeFacts { uid: "another".into(), ..node("a", CALICO) };
        assert_eq!(vigil.look(&[other], at(1), &settings()).ready, 0);
        assert!(vigil.latched().is_empty(), "what is gone is forgotten");
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
                (false, "0 of 1 nodes have routes; missing: short (+0); nobody has reported a route for short yet"),
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
            let progress = Vigil::default().look(&nodes, at(0), &settings());
            assert_eq!((progress.is_complete(), &*progress.message()), want, "{what}");
        }
    }

    #[test]
    fn all_must_be_well_for_a_while() {
        let over = |looks: &[(i64, Vec<NodeFacts>)]| {
            let mut vigil = Vigil::default();
            let mut now = at(0);
            for (second, nodes) in looks {
                now = at(*second);
                vigil.look(nodes, now, &settings());
            }
            vigil.is_over(now, &settings())
        };
        let good = || vec![node("a", CREATED)];
        let changed = || {
            let mut node = node("a", CREATED);
            node.route.as_mut().unwrap().transition = "later".into();
            vec![node]
        };
        assert!(over(&[(0, good()), (30, good())]));
        assert!(!over(&[(0, good()), (29, good())]), "too short");
        assert!(!over(&[(0, good())]) && !over(&[(31, good())]), "one look");
        assert!(!over(&[(0, good()), (10, vec![node("a", NOT_CREATED)]), (30, good())]), "it flapped");
        assert!(!over(&[(0, good()), (10, changed()), (30, changed())]), "it flapped between two looks");
        assert!(
            !over(&[(0, good()), (10, vec![node("a", CREATED), node("b", CALICO)]), (30, good())]),
            "a node joined"
        );
        assert!(over(&[(0, vec![]), (30, vec![])]), "no nodes at all");
        let mut vigil = Vigil::default();
        vigil.look(&good(), at(0), &settings());
        vigil.start_over();
        vigil.look(&good(), at(30), &settings());
        assert!(!vigil.is_over(at(30), &settings()), "nobody looked in between");
    }
}
