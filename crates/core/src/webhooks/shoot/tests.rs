//! The scenarios of a garden: what its users do, and what they are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admission::{AskLoop, Handler, Outcome, Verdict, decode, encode};
use crate::diagnostics::Severity;
use crate::gardener::shoot::{CONFIRMATION, PEERING_TYPE};
use crate::gardener::{SeedFacts, ShootFacts, ShootName};
use crate::landscape::{Answer, Answers, Grant, Questions, Snapshot, Visibility};

mod confirmed;
mod disclosure;
mod filled_in;
mod graph;
mod hidden;
mod laws;
mod lifecycle;
mod limits;
mod networks;
mod node_networks;
mod nodes;
mod overlay;
mod pair;
mod peerings;
mod providers;
mod ratchet;
mod shapes;
mod stored;
mod vpc;
mod vpc_hidden;

/// Two Shoots that list each other.
const A: &str = "garden-sales/crm";
const B: &str = "garden-shop/orders";

fn a() -> Value {
    shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")])
}

fn b() -> Value {
    shoot(B, "10.5.0.32/27", &[peer(A, "eu1-a")])
}

/// An entry of `shootPeerings`.
fn peer(name: &str, seed: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({"name": name, "namespace": namespace, "seed": seed})
}

fn config(peers: &[Value]) -> Value {
    json!({"apiVersion": peering::API_VERSION, "kind": peering::KIND, "shootPeerings": peers})
}

/// Shoot A with other entries.
fn listing(entries: Value) -> Value {
    with(a(), "/spec/extensions/0/providerConfig/shootPeerings", entries)
}

/// A scheduled Shoot with workers.
fn shoot(name: &str, nodes: &str, peers: &[Value]) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "Shoot",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "seedName": "eu1-a",
            "networking": {"nodes": nodes},
            "provider": {"workers": [{"name": "w"}]},
            "extensions": [{"type": PEERING_TYPE, "providerConfig": config(peers)}],
        },
    })
}

/// So many entries of one list, all of which list A back where they are there.
fn numbered(range: std::ops::Range<u32>) -> Vec<Value> {
    range.map(|i| peer(&format!("garden-shop/s{i}"), "eu1-a")).collect()
}

/// Shoots that list A, on networks of their own.
fn mutual(range: std::ops::Range<u32>) -> Vec<Value> {
    let nodes = |i: u32| format!("10.{}.{}.0/27", 8 + i / 256, i % 256);
    range.map(|i| shoot(&format!("garden-shop/s{i}"), &nodes(i), &[peer(A, "eu1-a")])).collect()
}

/// Changes a value at a JSON pointer, and creates the last member if need be.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match key.parse::<usize>() {
        Ok(index) if parent.is_array() => parent[index] = value,
        _ => parent[key] = value,
    }
    object
}

/// A garden: what is cached, what a live read shows, who sees what.
struct Garden {
    snapshot: Snapshot,
    /// What a live read shows where it is something else than the cache.
    live: Vec<(ShootName, Answer<Arc<ShootFacts>>)>,
    hidden: BTreeSet<ShootName>,
    /// Nobody answers whether these may be seen.
    unanswered: BTreeSet<ShootName>,
    settings: ShootSettings,
    groups: Vec<&'static str>,
    /// The cache does not count.
    is_stale: bool,
    /// Nobody answers.
    is_down: bool,
    /// All that was asked.
    asked: std::cell::RefCell<Questions>,
}

fn name_of(object: &Value) -> ShootName {
    let text = |pointer| object.pointer(pointer).unwrap().as_str().unwrap();
    ShootName::new(text("/metadata/namespace"), text("/metadata/name"))
}

fn facts_of(object: &Value) -> ShootFacts {
    ShootFacts::of(&Shoot::read(&object.to_string()).unwrap())
}

impl Garden {
    fn of(shoots: &[Value]) -> Self {
        let mut snapshot = Snapshot::default();
        for object in shoots {
            snapshot.shoots.put(&name_of(object), facts_of(object));
        }
        for seed in ["eu1-a", "eu1-b"] {
            snapshot.put_seed(seed, SeedFacts { pods: "10.64.0.0/11".parse().ok(), ..SeedFacts::default() });
        }
        Self {
            snapshot,
            live: Vec::new(),
            hidden: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            settings: ShootSettings::default(),
            groups: vec!["system:authenticated"],
            is_stale: false,
            is_down: false,
            asked: std::cell::RefCell::default(),
        }
    }

    fn hiding(mut self, names: &[&str]) -> Self {
        self.hidden =
            names.iter().map(|name| name.split_once('/').unwrap()).map(|(a, b)| ShootName::new(a, b)).collect();
        self
    }

    fn answer(&self, questions: &Questions) -> Answers {
        let mut asked = self.asked.borrow_mut();
        asked.visibilities.extend(questions.visibilities.iter().cloned());
        asked.grants.extend(questions.grants.iter().cloned());
        asked.shoots.extend(questions.shoots.iter().cloned());
        asked.seeds.extend(questions.seeds.iter().cloned());
        let down = || "no answer in time".to_owned();
        let shoot = |name: &ShootName| {
            if self.is_down {
                return Answer::Unanswered(down());
            }
            let live = self.live.iter().find(|(other, _)| other == name).map(|(_, answer)| answer.clone());
            live.unwrap_or_else(|| self.snapshot.shoots.get(name).cloned().map_or(Answer::Absent, Answer::Found))
        };
        let visibility =
            |name: &ShootName| match (self.is_down || self.unanswered.contains(name), self.hidden.contains(name)) {
                (true, _) => Visibility::Unanswered(down()),
                (false, true) => Visibility::Hidden,
                (false, false) => Visibility::Visible,
            };
        // Who may see all Shoots of a place can have nothing hidden there.
        let all = |place: &Grant| match (self.is_down, self.hidden.iter().any(|name| place.covers(name.namespace()))) {
            (true, _) => Visibility::Unanswered(down()),
            (false, true) => Visibility::Hidden,
            (false, false) => Visibility::Visible,
        };
        Answers {
            cluster: None,
            visibilities: questions.visibilities.iter().map(|name| (name.clone(), visibility(name))).collect(),
            grants: questions.grants.iter().map(|place| (place.clone(), all(place))).collect(),
            shoots: questions.shoots.iter().map(|name| (name.clone(), shoot(name))).collect(),
            seeds: (questions.seeds.iter())
                .map(|name| {
                    let answer = self.snapshot.seed(name).copied().map_or(Answer::Absent, Answer::Found);
                    (name.clone(), if self.is_down { Answer::Unanswered(down()) } else { answer })
                })
                .collect(),
        }
    }

    /// The answer of a handler, as the server would fetch and encode it.
    fn call(&self, handler: &dyn Handler, request: &Value) -> (Verdict, Vec<u8>) {
        let body =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
        self.call_text(handler, &body)
    }

    fn call_text(&self, handler: &dyn Handler, body: &str) -> (Verdict, Vec<u8>) {
        let request = decode(body.as_bytes()).unwrap();
        let cache = (!self.is_stale).then_some(&self.snapshot);
        let verdict = AskLoop::new(handler, &request, cache).run(|questions| self.answer(questions)).unwrap();
        let bytes = encode(&request, &verdict);
        (verdict, bytes)
    }

    fn request(&self, old: Option<&Value>, new: Option<&Value>) -> Value {
        let object = new.or(old).unwrap();
        json!({
            "uid": "u",
            "resource": {"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"},
            "namespace": object.pointer("/metadata/namespace"),
            "name": object.pointer("/metadata/name"),
            "operation": match (old, new) { (None, _) => "CREATE", (_, None) => "DELETE", _ => "UPDATE" },
            "userInfo": {"username": "alice", "groups": self.groups},
            "object": new,
            "oldObject": old,
        })
    }

    fn validate(&self, old: Option<&Value>, new: &Value) -> Said {
        let (verdict, _) = self.call(&ValidateShoot::new(&self.settings), &self.request(old, Some(new)));
        Said::of(&verdict)
    }

    fn create(&self, new: &Value) -> Said {
        self.validate(None, new)
    }

    fn update(&self, old: &Value, new: &Value) -> Said {
        self.validate(Some(old), new)
    }

    fn advise(&self, request: &Value) -> Said {
        let (verdict, _) = self.call(&AdviseShoot::new(&self.settings), request);
        Said::of(&verdict)
    }

    /// What the mutating webhook makes of a new Shoot.
    fn mutated(&self, new: &Value) -> Value {
        let (verdict, _) = self.call(&MutateShoot::new(&self.settings), &self.request(None, Some(new)));
        let mut new = new.clone();
        if let Outcome::Patched(patch) = &verdict.outcome {
            let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
            json_patch::patch(&mut new, &patch).unwrap();
        }
        new
    }
}

/// What came of a request: the rules that spoke, by severity.
#[derive(Debug, Eq, PartialEq)]
struct Said {
    denied: Vec<&'static str>,
    warned: Vec<&'static str>,
    noted: Vec<&'static str>,
    decision: &'static str,
    texts: Vec<String>,
}

impl Said {
    fn of(verdict: &Verdict) -> Self {
        let rules = |severity| {
            let of = |rule: &'static str| rule.strip_prefix("peering/").unwrap_or(rule);
            verdict.findings.iter().filter(|f| f.severity == severity).map(|f| of(f.rule.name)).collect::<Vec<_>>()
        };
        let said = Self {
            denied: rules(Severity::Deny),
            warned: rules(Severity::Warn),
            noted: rules(Severity::Note),
            decision: verdict.decision,
            texts: verdict.findings.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(verdict.outcome == Outcome::Denied, !said.denied.is_empty(), "{said:?}");
        said
    }

    #[track_caller]
    fn denies(&self, rules: &[&str]) {
        assert_eq!(self.denied, rules, "{self:#?}");
    }

    #[track_caller]
    fn warns(&self, rules: &[&str]) {
        assert_eq!((&*self.denied, &*self.warned), (&[][..], rules), "{self:#?}");
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.texts.iter().any(|said| said == text), "{self:#?}");
    }
}
