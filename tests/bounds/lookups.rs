//! How much is looked up for one review, whatever rules weigh.

use std::collections::BTreeSet;

use network_guard_core::admission::{self, AskLoop};
use network_guard_core::diagnostics::{Policy, Severity};
use network_guard_core::landscape::{Questions, Snapshot};
use network_guard_core::peering::rules::shape::TOO_MANY;
use network_guard_core::webhooks::{ShootSettings, ValidateShoot};
use network_guard_sources::live;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scene::MOST_LOOKUPS;

fn shoot(nodes: &str, entries: &[Value]) -> Value {
    json!({
        "metadata": {"namespace": "garden-shop", "name": "crm"},
        "spec": {
            "seedName": "eu1-a", "networking": {"nodes": nodes}, "provider": {"workers": [{}]},
            "extensions": [{"type": "osc-peering-service", "providerConfig": {
                "apiVersion": "service.peering.extensions.osc.t-systems.com/v1", "kind": "PeeringConfig", "shootPeerings": entries,
            }}],
        },
    })
}

fn entry(i: usize) -> Value {
    json!({"name": format!("s{i}"), "namespace": "garden-a", "seed": format!("eu{i}")})
}

fn settings(max_peers: usize) -> ShootSettings {
    let mut settings = ShootSettings::default();
    settings.peering.max_peers = max_peers;
    let mut policy = Policy::default();
    assert!(policy.set(&TOO_MANY, Some(Severity::Warn)));
    settings.policy = policy;
    settings
}

/// All that is asked, in the order in which it is, and what is said.
fn asked(settings: &ShootSettings, old: Option<&Value>, new: &Value) -> (Vec<Questions>, Vec<String>) {
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "resource": {"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"},
        "namespace": "garden-shop", "name": "crm", "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
        "userInfo": {"username": "alice"}, "object": new, "oldObject": old,
    }})
    .to_string();
    let request = admission::decode(body.as_bytes()).unwrap();
    let (snapshot, handler, mut all) = (Snapshot::default(), ValidateShoot::new(settings), Vec::new());
    let verdict = AskLoop::new(&handler, &request, Some(&snapshot)).run(|questions| {
        all.push(questions.clone());
        live::from_snapshot(&snapshot, &request.user_info().unwrap(), questions)
    });
    (all, verdict.unwrap().findings.iter().map(ToString::to_string).collect())
}

fn visibilities(asked: &[Questions]) -> BTreeSet<String> {
    asked.iter().flat_map(|questions| &questions.visibilities).map(ToString::to_string).collect()
}

/// Nine thousand entries that only warn were stored, and every later change of the node network asked about all of them.
#[test]
fn more_entries_than_permitted_are_not_looked_up() {
    let many: Vec<Value> = (0..9_000).map(entry).collect();
    let settings = settings(100);
    let (old, new) = (shoot("10.5.0.0/24", &many), shoot("10.5.0.0/23", &many));
    let (all, said) = asked(&settings, Some(&old), &new);
    assert_eq!(visibilities(&all).len(), 100);
    assert!(all.iter().map(Questions::len).sum::<usize>() <= MOST_LOOKUPS);
    let grouped: Vec<&String> = said.iter().filter(|said| said.contains("were not verified")).collect();
    assert_eq!(
        grouped,
        [
            "spec.extensions[0].providerConfig.shootPeerings: 8900 entries were not verified: one request looks up 100; remove some"
        ],
        "those that are read, and those that are not"
    );
}

/// The same of a new Shoot, and of entries that are added at the end: all are counted that nobody looks at.
#[test]
fn what_nobody_looks_at_is_counted() {
    let many: Vec<Value> = (0..9_000).map(entry).collect();
    let settings = settings(100);
    for (what, old, new, count) in [
        ("created", None, 9_000, Some(8_900)),
        ("a few more than permitted", None, 150, Some(50)),
        ("no more than permitted", None, 100, None),
        ("appended", Some(100), 9_000, Some(8_900)),
        ("appended beyond all that is read", Some(8_999), 9_000, Some(8_900)),
        ("appended to a few more", Some(150), 151, Some(51)),
    ] {
        let old = old.map(|count: usize| shoot("10.5.0.0/24", &many[..count]));
        let (all, said) = asked(&settings, old.as_ref(), &shoot("10.5.0.0/24", &many[..new]));
        assert!(visibilities(&all).len() <= 100, "{what}");
        let counted: Vec<&String> = said.iter().filter(|said| said.contains("were not verified")).collect();
        let want = count.map(|count| format!(": {count} entries were not verified: one request looks up 100; "));
        let is_said = counted.len() == 1 && want.as_ref().is_some_and(|want| counted[0].contains(want));
        assert!(is_said || want.is_none() && counted.is_empty(), "{what}: {counted:?}");
    }
}

/// A writer who adds one beyond the others has that one looked up.
#[test]
fn new_entries_come_first() {
    let mut many: Vec<Value> = (0..150).map(entry).collect();
    let old = shoot("10.5.0.0/24", &many);
    many[0]["seed"] = json!("another");
    many[149] = entry(999);
    let mut new = shoot("10.5.0.0/24", &many);
    new["metadata"]["labels"] = json!({"a": "b"});
    let (all, _) = asked(&settings(100), Some(&old), &new);
    let visibilities = visibilities(&all);
    assert_eq!(visibilities.len(), 101);
    assert!(visibilities.contains("garden-a/s999"), "it is new");
    assert!(visibilities.contains("garden-a/s0"), "it has another Seed");
    assert!(visibilities.contains("garden-a/s149"), "it is gone");
    assert!(!visibilities.contains("garden-a/s148"), "it is the last of those that stay as they are");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever the configuration permits and whatever rules weigh, and always the same questions.
    #[test]
    fn lookups_are_bounded(max_peers in 1usize..3_000, stored in 0usize..4_000, count in 0usize..4_000, moves in any::<bool>()) {
        let entries = |count| (0..count).map(entry).collect::<Vec<_>>();
        let old = shoot("10.5.0.0/24", &entries(stored));
        let new = shoot(if moves { "10.5.0.0/23" } else { "10.5.0.0/24" }, &entries(count));
        let settings = settings(max_peers);
        let (all, _) = asked(&settings, Some(&old), &new);
        let most = max_peers.min(1_000);
        // One hundred that were removed, and a few for its own networks.
        prop_assert!(visibilities(&all).len() <= most + 100, "{} of {most}", visibilities(&all).len());
        prop_assert!(all.iter().map(Questions::len).sum::<usize>() <= 3 * most + 500);
        prop_assert_eq!(all, asked(&settings, Some(&old), &new).0);
    }
}
