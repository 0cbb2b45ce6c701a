//! The laws of the ratchet, for any findings, any lists and any Shoots.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::gardener::Shoot;
use crate::gardener::shoot::{CONFIRMATION, PEERING_TYPE};
use crate::json::FieldPath;

const fn rule(name: &'static str, severity: Severity) -> Rule {
    Rule::for_test(name, severity, Some(Severity::Deny), Rank::Fault)
}

static RULES: [Rule; 3] =
    [rule("a/refuses", Severity::Deny), rule("a/warns", Severity::Warn), rule("a/refuses-too", Severity::Deny)];

/// More than any problem is worth.
const WORST: u64 = 1_000;

/// A problem, apart from its place in a list.
#[derive(Clone, Debug)]
struct Problem {
    rule: usize,
    /// A finding of an entry, one that stands alone, or neither.
    kind: u8,
    name: &'static str,
    is_weakened: bool,
    magnitude: u64,
}

fn problem(names: &'static [&'static str]) -> impl Strategy<Value = Problem> {
    (0..RULES.len(), 0u8..3, prop::sample::select(names), any::<bool>(), 0..4u64)
        .prop_map(|(rule, kind, name, is_weakened, magnitude)| Problem { rule, kind, name, is_weakened, magnitude })
}

/// Few, so that several are the same.
fn problems() -> impl Strategy<Value = Vec<Problem>> {
    prop::collection::vec(problem(&["x", "y", "z"]), 0..12)
}

impl Problem {
    /// The finding at this place of a list.
    fn at(&self, place: usize) -> Finding {
        let path = FieldPath::from("spec.list").index(place).field(self.name);
        let finding = RULES[self.rule].finding(path, format!("{} is wrong", self.name), "");
        let finding = match self.kind {
            0 => finding,
            1 => finding.of_entry(self.name.into()),
            _ => finding.about(self.name),
        };
        let finding = finding.magnitude(self.magnitude);
        if self.is_weakened { finding.at_most(Severity::Warn) } else { finding }
    }
}

/// The findings of an object in which the problems stand in this order.
fn found(problems: &[Problem]) -> Vec<Finding> {
    problems.iter().enumerate().map(|(place, problem)| problem.at(place)).collect()
}

/// How many findings there are of each rule, name and kind.
fn counted(findings: &[Finding]) -> Vec<String> {
    let mut all: Vec<String> = findings
        .iter()
        .map(|it| format!("{} {} {:?} {:?}", it.rule.name, it.message, it.subject, it.severity))
        .collect();
    all.sort();
    all
}

proptest! {
    /// Some of what is stored goes, and the rest changes places.
    #[test]
    fn a_stored_problem_blocks_nobody(
        (stored, kept) in problems().prop_flat_map(|all| {
            let most = all.len();
            (Just(all.clone()), prop::sample::subsequence(all, 0..=most).prop_shuffle())
        }),
    ) {
        let compared = compare(found(&kept), &found(&stored));
        prop_assert_eq!(compared.clone().new_only(), vec![]);
        let told = compared.all();
        prop_assert_eq!(told.len(), kept.len(), "each may be told");
        prop_assert!(told.iter().all(|finding| finding.severity < Severity::Deny), "{:#?}", told);
    }

    #[test]
    fn what_was_added_is_judged_in_full(
        stored in problems(),
        fresh in prop::collection::vec(problem(&["new", "newer"]), 0..6),
        (kept, turn) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let mut all: Vec<Problem> = stored[..kept.index(stored.len() + 1)].to_vec();
        all.extend(fresh);
        if !all.is_empty() {
            let turn = turn.index(all.len());
            all.rotate_left(turn);
        }
        let written = found(&all);
        let is_fresh = |finding: &&Finding| finding.message.starts_with("new");
        let want: Vec<Finding> = written.iter().filter(is_fresh).cloned().collect();
        let compared = compare(written, &found(&stored));
        prop_assert_eq!(compared.clone().new_only(), want.clone());
        let told = compared.clone().all();
        prop_assert_eq!(told.into_iter().filter(|finding| is_fresh(&finding)).collect::<Vec<_>>(), want.clone());
        if let Some(first) = want.into_iter().next() {
            prop_assert_eq!(compared.first(), Some(first));
        }
    }

    #[test]
    fn moving_and_reordering_are_no_change(
        (old, reordered) in problems().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        (new, moved) in problems().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let written = found(&new);
        let all = compare(written.clone(), &found(&old));
        prop_assert_eq!(&all, &compare(written, &found(&reordered)), "of what is stored");
        let moved = compare(found(&moved), &found(&old)).new_only();
        prop_assert_eq!(all.new_only().len(), moved.len(), "of what is written");
        prop_assert_eq!(compare(found(&reordered), &found(&old)).new_only(), vec![]);
    }

    /// One problem is worse than any that is stored, and the others are as they were.
    #[test]
    fn what_got_worse_counts_as_new(stored in problems(), one in any::<prop::sample::Index>()) {
        prop_assume!(!stored.is_empty());
        let mut worse = stored.clone();
        let at = one.index(stored.len());
        worse[at].magnitude = WORST;
        worse[at].is_weakened = false;
        let written = found(&worse);
        let want = vec![written[at].clone()];
        prop_assert_eq!(compare(written, &found(&stored)).new_only(), want);
        // And the other way it gets better.
        prop_assert_eq!(compare(found(&stored), &found(&worse)).new_only(), vec![]);
    }

    #[test]
    fn a_write_without_a_change_finds_nothing_new(stored in problems()) {
        let findings = found(&stored);
        let compared = compare(findings.clone(), &findings);
        prop_assert_eq!(compared.clone().new_only(), vec![]);
        let weakened: Vec<Finding> = findings.into_iter().map(as_stored).collect();
        prop_assert_eq!(compared.clone().first(), weakened.first().cloned());
        prop_assert_eq!(compared.all(), weakened);
    }

    /// The same once more is one more, unless it stands alone.
    #[test]
    fn as_often_as_before(problem in problem(&["x"]), before in 1usize..4, more in 0usize..4) {
        let stored = found(&vec![problem.clone(); before]);
        let new = compare(found(&vec![problem.clone(); before + more]), &stored).new_only();
        prop_assert_eq!(new.len(), if problem.kind == 2 { 0 } else { more });
    }

    /// Where a limit cut what is stored, nothing is new but what has a magnitude.
    #[test]
    fn what_was_not_read_may_have_been_stored(old in problems(), new in problems()) {
        let compared = compare(found(&new), &found(&old));
        let mut want = compared.clone().new_only();
        prop_assert_eq!(compared.clone().cut(false), compared.clone());
        want.retain(|finding| finding.magnitude > 0);
        prop_assert_eq!(counted(&compared.cut(true).new_only()), counted(&want));
    }
}

/// One row a problem: what it weighed, what it weighs, and whether that is news.
#[test]
fn worse_is_by_severity_and_then_by_magnitude() {
    let (warn, deny) = (Severity::Warn, Severity::Deny);
    for (before, after, is_new) in [
        ((deny, 0), (deny, 0), false),
        ((warn, 0), (deny, 0), true),
        ((deny, 0), (warn, 0), false),
        ((deny, 500), (deny, 501), true),
        ((deny, 501), (deny, 500), false),
        ((deny, 500), (warn, 501), false),
        ((warn, 501), (deny, 500), true),
    ] {
        let mk = |(severity, magnitude)| {
            RULES[0].finding("spec", format!("{magnitude}"), "").at_most(severity).about("").magnitude(magnitude)
        };
        let new = compare(vec![mk(after)], &[mk(before)]).new_only();
        assert_eq!(!new.is_empty(), is_new, "{before:?} to {after:?}");
    }
}

/// One row a pair of paths: whether a problem of the one is stored as that of the other.
#[test]
fn only_places_in_lists_make_no_difference() {
    let (at, list) = (FieldPath::from, |place, field| FieldPath::from("spec.list").index(place).field(field));
    for (before, after, is_same) in [
        (list(12, "x"), list(1, "x"), true),
        (list(12, "x").index(3).index(0), list(1, "x").index(0).index(4), true),
        (at("list").index(0), at("list").index(1), true),
        (at("spec.x"), at("spec.y"), false),
        (list(0, "x"), list(0, "y"), false),
        (list(0, "x"), at("spec.other").index(0).field("x"), false),
        (list(0, "x[0]"), list(0, "x[1]"), false),
    ] {
        let mk = |path: &FieldPath| RULES[0].finding(path.clone(), String::new(), "");
        let new = compare(vec![mk(&after)], &[mk(&before)]).new_only();
        assert_eq!(new.is_empty(), is_same, "{before} to {after}");
    }
}

/// The stored entries of a list, each with what it says.
fn entries() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0u8..20, 0u8..3), 1..8)
}

proptest! {
    /// Entries change places, and some go: none is touched.
    #[test]
    fn entries_that_move_are_not_touched(
        (stored, kept) in entries().prop_flat_map(|all| {
            let most = all.len();
            (Just(all.clone()), prop::sample::subsequence(all, 0..=most).prop_shuffle())
        }),
    ) {
        let list = Entries::stored(stored.clone());
        for (key, value) in &kept {
            prop_assert_eq!(list.touch(key, value, false), Touch::Stored);
            prop_assert_eq!(list.touch(key, value, true), Touch::Beside);
        }
        prop_assert_eq!(added(&kept, &stored), vec![]);
        prop_assert_eq!(are_edited(kept.iter(), stored.iter()), kept.len() != stored.len());
        let keys: HashSet<&u8> = list.keys().collect();
        prop_assert_eq!(keys, stored.iter().map(|(key, _)| key).collect());
    }

    /// One entry is added and another one edited: no other one is touched.
    #[test]
    fn entries_are_touched_one_by_one(
        stored in entries(),
        (place, edited) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        is_beside in any::<bool>(),
    ) {
        let list = Entries::stored(stored.clone());
        let mut new = stored.clone();
        let edited = edited.index(new.len());
        new[edited].1 += 3;
        let (edited, fresh) = (new[edited], (100, 0));
        new.insert(place.index(new.len() + 1), fresh);
        for (key, value) in &new {
            let want = match (*key, *value) {
                it if it == fresh => Touch::Added,
                it if it == edited => Touch::Edited,
                _ if is_beside => Touch::Beside,
                _ => Touch::Stored,
            };
            prop_assert_eq!(list.touch(key, value, is_beside), want);
        }
        prop_assert_eq!(added(&new, &stored), new.iter().copied().filter(|it| [fresh, edited].contains(it)).collect::<Vec<_>>());
        prop_assert!(are_edited(new.iter(), stored.iter()));
    }
}

/// What is about a touch of its own refuses; with less it was stored.
#[test]
fn less_than_its_cause_is_stored() {
    let all = [Touch::Stored, Touch::Beside, Touch::Edited, Touch::Added];
    for (touch, want) in all.into_iter().zip([[false; 2], [false; 2], [true, false], [true; 2]]) {
        let refuses = [Touch::Edited, Touch::Added].map(|cause| touch.most(cause) == Severity::Deny);
        assert_eq!(refuses, want, "{touch:?}");
    }
}

/// A Shoot without an overlay.
fn shoot() -> Value {
    json!({
        "metadata": {"namespace": "garden-sales", "name": "crm"},
        "spec": {
            "seedName": "eu1-a",
            "networking": {
                "type": "calico", "nodes": "10.5.0.0/27",
                "providerConfig": {"overlay": {"enabled": false}, "backend": "none"},
            },
            "provider": {
                "type": "aws", "workers": [{"name": "w", "maximum": 3}],
                "infrastructureConfig": {"networks": {"vpc": {"id": "vpc-1"}, "zones": []}},
            },
            "extensions": [{
                "type": PEERING_TYPE,
                "providerConfig": {"kind": "PeeringConfig", "shootPeerings": [{"name": "orders", "seed": "eu1-a"}]},
            }],
        },
    })
}

fn with(mut shoot: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    shoot.pointer_mut(parent).unwrap()[key] = value;
    shoot
}

/// What of the scope is touched, in the order of its methods.
fn touched(old: Option<&str>, new: &str) -> Vec<&'static str> {
    let old = old.map(|old| Shoot::read(old).unwrap());
    let new = Shoot::read(new).unwrap();
    let scope = Scope { new: &new, old: old.as_ref() };
    let all = [
        ("more", scope.touches_more_than_nodes()),
        ("pairs", scope.touches_pairs()),
        ("peerings", scope.touches_peerings()),
        ("networks", scope.touches_networks()),
        ("overlay", scope.touches_overlay()),
        ("nodes", scope.touches_nodes()),
    ];
    let touched: Vec<&str> = all.into_iter().filter(|(_, is)| *is).map(|(what, _)| what).collect();
    assert_eq!(scope.is_empty(), touched.is_empty());
    touched
}

/// The same value, with the members of objects in another order.
fn turned(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().rev().map(|(key, value)| format!("{} : {}", json!(key), turned(value))).collect();
            format!("{{ {} }}", members.join(" , "))
        }
        Value::Array(elements) => format!("[ {} ]", elements.iter().map(turned).collect::<Vec<_>>().join(" , ")),
        other => other.to_string(),
    }
}

/// One row an edit: what of the scope it touches.
#[test]
fn a_scope_is_what_was_edited() {
    let off = "/spec/extensions/0/disabled";
    let none = with(shoot(), "/spec/extensions", json!([]));
    let peerings = "/spec/extensions/0/providerConfig/shootPeerings";
    let (pairs, all) = (&["more", "pairs", "peerings"][..], &["more", "pairs", "networks", "overlay", "nodes"][..]);
    for (what, old, new, want) in [
        ("a new Shoot", None, shoot(), &["more", "pairs", "peerings", "networks", "overlay", "nodes"][..]),
        ("a new Shoot without peerings", None, none.clone(), all),
        ("nothing", Some(shoot()), shoot(), &[]),
        ("a label", Some(shoot()), with(shoot(), "/metadata/labels", json!({"a": "b"})), &[]),
        ("Kubernetes", Some(shoot()), with(shoot(), "/spec/kubernetes", json!({"version": "1.36.1"})), &[]),
        ("an entry", Some(shoot()), with(shoot(), peerings, json!([])), pairs),
        ("the extension goes", Some(shoot()), none.clone(), pairs),
        ("the extension comes", Some(none.clone()), shoot(), pairs),
        ("the extension is switched off", Some(shoot()), with(shoot(), off, json!(true)), pairs),
        ("it was on", Some(shoot()), with(shoot(), off, json!(false)), &[]),
        (
            "a network",
            Some(shoot()),
            with(shoot(), "/spec/networking/pods", json!("100.96.0.0/11")),
            &["more", "pairs", "networks"],
        ),
        (
            "a family",
            Some(shoot()),
            with(shoot(), "/spec/networking/ipFamilies", json!(["IPv4", "IPv6"])),
            &["more", "pairs", "networks", "overlay"],
        ),
        ("Calico", Some(shoot()), with(shoot(), "/spec/networking/providerConfig", json!({})), &["more", "overlay"]),
        ("workers go", Some(shoot()), with(shoot(), "/spec/provider/workers", json!([])), &["more", "pairs"]),
        ("a deletion", Some(shoot()), with(shoot(), "/metadata/annotations", json!({CONFIRMATION: "true"})), &["more"]),
        ("more nodes", Some(shoot()), with(shoot(), "/spec/provider/workers/0/maximum", json!(4)), &["nodes"]),
        ("fewer nodes", Some(shoot()), with(shoot(), "/spec/provider/workers/0/maximum", json!(2)), &[]),
        (
            "another VPC",
            Some(shoot()),
            with(shoot(), "/spec/provider/infrastructureConfig", json!({"networks": {"vpc": {"id": "vpc-2"}}})),
            &["nodes"],
        ),
    ] {
        assert_eq!(touched(old.map(|old| old.to_string()).as_deref(), &new.to_string()), want, "{what}");
    }
}

/// Written in another way, with another extension in front, and with whatever has happened to its status.
#[test]
fn a_scope_is_empty_where_nothing_is_edited() {
    let stored = shoot();
    let mut moved = with(shoot(), "/status", json!({"networking": {"nodes": ["10.5.0.0/27"]}}));
    moved["spec"]["extensions"].as_array_mut().unwrap().insert(0, json!({"type": "other", "providerConfig": {"a": 1}}));
    for new in [shoot(), moved] {
        for text in [new.to_string(), serde_json::to_string_pretty(&new).unwrap(), turned(&new)] {
            assert_eq!(touched(Some(&stored.to_string()), &text), [""; 0], "{text}");
            assert_eq!(touched(Some(&text), &stored.to_string()), [""; 0], "{text}");
        }
    }
}
