//! A garden for tests: what is there, what a live read shows, who sees what, and what comes of a write in it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Answer, Answers, Grant, Questions, Snapshot, View, Visibility};
use crate::diagnostics::ratchet::Scope;
use crate::diagnostics::{Finding, Severity};
use crate::gardener::{SeedFacts, Shoot, ShootFacts, ShootName};

/// The judging function of a room, with its settings.
pub(crate) trait Judge: Default {
    /// What it finds in a write.
    fn judge(&self, scope: Scope<'_>, view: &mut View<'_>) -> Vec<Finding>;
}

/// A garden, and the settings of those who judge what is written in it.
pub(crate) struct Garden<S> {
    pub(crate) snapshot: Snapshot,
    /// What a live read shows where it is something else than the cache.
    pub(crate) live: Vec<(ShootName, Answer<Arc<ShootFacts>>)>,
    pub(crate) hidden: BTreeSet<ShootName>,
    /// Nobody answers whether these may be seen.
    pub(crate) unanswered: BTreeSet<ShootName>,
    pub(crate) settings: S,
    /// The groups of who writes.
    pub(crate) groups: Vec<&'static str>,
    /// The cache does not count.
    pub(crate) is_stale: bool,
    /// Nobody answers.
    pub(crate) is_down: bool,
    /// All that was asked.
    pub(crate) asked: RefCell<Questions>,
}

impl<S: Default> Garden<S> {
    pub(crate) fn of(shoots: &[Value]) -> Self {
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
            settings: S::default(),
            groups: vec!["system:authenticated"],
            is_stale: false,
            is_down: false,
            asked: RefCell::default(),
        }
    }

    pub(crate) fn hiding(mut self, names: &[&str]) -> Self {
        self.hidden =
            names.iter().map(|name| name.split_once('/').unwrap()).map(|(a, b)| ShootName::new(a, b)).collect();
        self
    }

    /// What counts as cached.
    pub(crate) fn cache(&self) -> Option<&Snapshot> {
        (!self.is_stale).then_some(&self.snapshot)
    }

    pub(crate) fn answer(&self, questions: &Questions) -> Answers {
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
}

impl<J: Judge> Garden<J> {
    pub(crate) fn create(&self, new: &Value) -> Said {
        self.validate(None, new)
    }

    pub(crate) fn update(&self, old: &Value, new: &Value) -> Said {
        self.validate(Some(old), new)
    }

    pub(crate) fn validate(&self, old: Option<&Value>, new: &Value) -> Said {
        Said::of(&self.findings(old.map(Value::to_string).as_deref(), &new.to_string()), "")
    }

    /// What is found in a write when nothing is left to ask.
    pub(crate) fn findings(&self, old: Option<&str>, new: &str) -> Vec<Finding> {
        let read = |text| Shoot::read(text).unwrap();
        let (new, old) = (read(new), old.map(read));
        let scope = Scope { new: &new, old: old.as_ref() };
        let mut answers = Answers::default();
        // More rounds than any judging function needs.
        for _ in 0..6 {
            let mut view = View::new(self.cache(), &answers);
            let findings = self.settings.judge(scope, &mut view);
            let questions = view.into_questions();
            if questions.is_empty() {
                return findings;
            }
            let given = self.answer(&questions);
            answers.add(questions, given);
        }
        panic!("asks without end: {new:?}")
    }
}

/// The rules that spoke, by severity; those of peerings without their room.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) denied: Vec<&'static str>,
    pub(crate) warned: Vec<&'static str>,
    pub(crate) noted: Vec<&'static str>,
    /// What a webhook made of it.
    pub(crate) decision: &'static str,
    pub(crate) texts: Vec<String>,
}

impl Said {
    pub(crate) fn of(findings: &[Finding], decision: &'static str) -> Self {
        let rules = |severity| {
            let of = |rule: &'static str| rule.strip_prefix("peering/").unwrap_or(rule);
            findings.iter().filter(|f| f.severity == severity).map(|f| of(f.rule.name)).collect::<Vec<_>>()
        };
        Self {
            denied: rules(Severity::Deny),
            warned: rules(Severity::Warn),
            noted: rules(Severity::Note),
            decision,
            texts: findings.iter().map(ToString::to_string).collect(),
        }
    }

    #[track_caller]
    pub(crate) fn denies(&self, rules: &[&str]) {
        assert_eq!(self.denied, rules, "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn warns(&self, rules: &[&str]) {
        assert_eq!((&*self.denied, &*self.warned), (&[][..], rules), "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.texts.iter().any(|said| said == text), "{self:#?}");
    }
}

/// Whether a write touches anything that is judged.
pub(crate) fn is_judged(old: &Value, new: &Value) -> bool {
    let (old, new) = (old.to_string(), new.to_string());
    let (old, new) = (Shoot::read(&old).unwrap(), Shoot::read(&new).unwrap());
    !Scope { new: &new, old: Some(&old) }.is_empty()
}

pub(crate) fn name_of(object: &Value) -> ShootName {
    let text = |pointer| object.pointer(pointer).unwrap().as_str().unwrap();
    ShootName::new(text("/metadata/namespace"), text("/metadata/name"))
}

pub(crate) fn facts_of(object: &Value) -> ShootFacts {
    ShootFacts::of(&Shoot::read(&object.to_string()).unwrap())
}

/// Changes a value at a JSON pointer, and creates the last member if need be.
pub(crate) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match key.parse::<usize>() {
        Ok(index) if parent.is_array() => parent[index] = value,
        _ => parent[key] = value,
    }
    object
}
