//! Which Shoots get the webhook, and the actions for existing registrations.

use serde_json::{Value, json};

use super::*;
use network_guard_core::vpn::nat::Own;

fn cluster(change: impl FnOnce(&mut Value)) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gardener/ha-overlap/cluster.json");
    let mut cluster: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(&mut cluster["spec"]);
    cluster
}

fn snapshot(clusters: &[(&str, Value)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, cluster) in clusters {
        snapshot.put_cluster(name, ClusterFacts::parse(&cluster["spec"].to_string()));
    }
    snapshot
}

fn settings() -> ShootWebhook {
    ShootWebhook { url: "https://guard".to_owned(), ca_file: None }
}

#[test]
fn shoots_that_get_the_webhook() {
    let shoot = |path: &'static str, value: Value| {
        cluster(|spec| *spec["shoot"].pointer_mut(path).expect("it is there") = value)
    };
    for (name, cluster, is_concerned) in [
        ("overlap", cluster(|_| ()), true),
        ("no overlap", cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("10.64.0.0/11")), false),
        ("a self-hosted Shoot", cluster(|spec| spec["seed"] = Value::Null), false),
        ("one VPN server", shoot("/spec/controlPlane/highAvailability", Value::Null), false),
        ("no workers", shoot("/spec/provider/workers", json!([])), false),
        (
            "being deleted",
            cluster(|spec| spec["shoot"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            false,
        ),
        ("moving", shoot("/spec/seedName", json!("elsewhere")), false),
        ("without a UID", shoot("/metadata/uid", Value::Null), false),
        ("unreadable", cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("x")), false),
    ] {
        let wanted = wanted(&settings(), None, &Mode::VpnClient, &snapshot(&[("shoot--a--b", cluster)]));
        assert_eq!(wanted.contains_key("shoot--a--b"), is_concerned, "{name}");
    }
}

#[test]
fn actions_for_registrations() {
    let snapshot = snapshot(&[
        ("missing", cluster(|_| ())),
        ("right", cluster(|_| ())),
        ("other", cluster(|_| ())),
        ("apart", cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("10.64.0.0/11"))),
        ("apart-and-clean", cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("10.64.0.0/11"))),
        ("unreadable", cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("x"))),
    ]);
    let wanted = wanted(&settings(), None, &Mode::VpnClient, &snapshot);
    let right = wanted["right"].1.clone();
    let present = [("right", &*right), ("other", "x"), ("apart", "x"), ("unreadable", "x"), ("gone", "x")];
    let present: BTreeMap<_, _> = present.map(|(name, digest)| (name.to_owned(), digest.to_owned())).into();
    let apply = |name: &str| {
        let (text, digest) = wanted[name].clone();
        (name.to_owned(), Task::Apply { text, digest })
    };
    let remove = |name: &str| (name.to_owned(), Task::Remove);
    let want = vec![apply("missing"), apply("other"), remove("apart"), remove("gone")];
    assert_eq!(tasks(wanted.clone(), &present, &snapshot), want);

    // Another URL, CA or mode is another registration; the same input gives the same bytes.
    let digests: std::collections::BTreeSet<String> = [
        (settings(), None, Mode::VpnClient),
        (settings(), Some(&b"PEM"[..]), Mode::VpnClient),
        (ShootWebhook { url: "https://other".to_owned(), ..settings() }, None, Mode::VpnClient),
        (settings(), None, Mode::Own(Own::new("x:1"))),
        // When the containers change, the VPN has to be written again.
        (settings(), None, Mode::Own(Own::new("x:2"))),
    ]
    .iter()
    .map(|(settings, ca, nat)| super::wanted(settings, *ca, nat, &snapshot)["right"].1.clone())
    .collect();
    assert_eq!(digests.len(), 5);
    assert_eq!(super::wanted(&settings(), None, &Mode::VpnClient, &snapshot)["right"].1, right);
}
