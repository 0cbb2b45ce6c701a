//! What of a Shoot is read.

use proptest::prelude::*;
use serde_json::json;

use super::super::ShootFacts;
use super::super::facts::PeeringFacts;
use super::*;

#[test]
fn reads_what_decisions_need() {
    let text = json!({
        "metadata": {
            "namespace": "garden-shop", "name": "orders", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"a": "b", CONFIRMATION: "true"}, "managedFields": [{}],
        },
        "spec": {
            "seedName": "eu1-a",
            "networking": {"type": "calico", "providerConfig": {"nodes": 5}, "nodes": "10.5.0.0/27", "ipFamilies": ["IPv6"]},
            "provider": {"type": "onmetal", "workers": [{"name": "w"}]},
            "extensions": [
                {"type": "shoot-dns-service", "providerConfig": {"shootPeerings": []}},
                {"providerConfig": {"shootPeerings": [{"name": "crm"}]}, "disabled": true, "type": PEERING_TYPE},
            ],
        },
        "status": {"seedName": "eu1-b", "networking": {"nodes": ["10.5.0.0/26"], "egressCIDRs": ["1.2.3.4/32"]}},
    })
    .to_string();
    let shoot = Shoot::read(&text).unwrap();
    assert_eq!((&*shoot.namespace, &*shoot.name), ("garden-shop", "orders"));
    assert!(shoot.is_being_deleted && shoot.is_deletion_confirmed && shoot.has_workers);
    assert_eq!((shoot.seed.as_deref(), shoot.status_seed.as_deref()), (Some("eu1-a"), Some("eu1-b")));
    assert!(shoot.networking.has_family(Family::V6) && !shoot.networking.has_family(Family::V4));
    assert_eq!(
        shoot.peering,
        Some(Extension { index: 1, is_disabled: true, provider_config: Some(r#"{"shootPeerings":[{"name":"crm"}]}"#) })
    );
    let facts = ShootFacts::of(&shoot);
    assert_eq!((facts.seed.as_deref(), facts.old_seed.as_deref()), (Some("eu1-a"), Some("eu1-b")));
    assert_eq!(format!("{:?}", facts.networks.nodes), "[10.5.0.0/27, 10.5.0.0/26]");
    assert_eq!(facts.peering, PeeringFacts::Disabled([].into()), "an entry without a namespace names nobody");
}

#[test]
fn counts_nodes_and_knows_native_routing() {
    let of = |spec: &serde_json::Value| json!({"spec": spec}).to_string();
    let native = json!({"overlay": {"enabled": false}});
    for (spec, is_native, nodes) in [
        (json!({}), false, 0),
        (json!({"provider": {"workers": [{"maximum": 3}, {"minimum": 1}, {"maximum": 4}]}}), false, 7),
        (json!({"provider": {"workers": [{"maximum": -1}]}, "networking": {"type": "calico"}}), false, 0),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "calico", "providerConfig": native}}), true, 0),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "cilium", "providerConfig": native}}), false, 0),
        (json!({"provider": {}, "networking": {"type": "calico", "providerConfig": native}}), false, 0),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "calico", "ipFamilies": ["IPv6"]}}), true, 0),
    ] {
        let text = of(&spec);
        let shoot = Shoot::read(&text).unwrap();
        assert_eq!((shoot.is_native(), shoot.max_nodes()), (is_native, nodes), "{spec}");
    }
}

#[test]
fn knows_when_the_control_plane_moves() {
    for (last_operation, want) in [
        (json!(null), false),
        (json!({"type": "Reconcile", "state": "Processing"}), false),
        (json!({"type": "Migrate", "state": "Succeeded"}), true),
        (json!({"type": "Restore", "state": "Processing"}), true),
        (json!({"type": "Restore", "state": "Succeeded"}), false),
        (json!("Migrate"), false),
    ] {
        let text = json!({"status": {"lastOperation": last_operation}}).to_string();
        assert_eq!(Shoot::read(&text).unwrap().is_moving, want, "{text}");
    }
}

#[test]
fn absent_and_null_are_the_same() {
    for text in [
        "{}",
        r#"{"metadata":null,"spec":null,"status":null}"#,
        r#"{"metadata":{"annotations":null,"deletionTimestamp":null},"spec":{"seedName":null,"networking":null,"provider":null,"extensions":null},"status":{"networking":null}}"#,
        r#"{"spec":{"provider":{"workers":null},"extensions":[]}}"#,
        r#"{"spec":{"provider":{"workers":[]},"networking":{"nodes":null,"ipFamilies":null}}}"#,
    ] {
        let shoot = Shoot::read(text).unwrap();
        assert!(shoot.networking.has_family(Family::V4) && !shoot.has_workers && !shoot.is_being_deleted, "{text}");
        let facts = ShootFacts::of(&shoot);
        assert_eq!(facts, ShootFacts { is_workerless: true, ..ShootFacts::default() }, "{text}");
    }
}

#[test]
fn says_what_is_no_shoot() {
    for (text, want) in [
        ("[]", "is a list, not a mapping"),
        (r#"{"spec":{"networking":{"nodes":5}}}"#, "spec.networking.nodes: invalid type: integer `5`"),
        (r#"{"spec":{"extensions":{}}}"#, "spec.extensions: is a mapping, not a list"),
        (r#"{"spec":{"extensions":[5]}}"#, "spec.extensions[0]: is a number, not a mapping"),
        (r#"{"spec":{"extensions":[null]}}"#, "spec.extensions[0]: is empty"),
        (r#"{"spec":{"extensions":[{"disabled":"no"}]}}"#, "spec.extensions[0]: invalid type"),
        (r#"{"spec":{"provider":{"workers":{}}}}"#, "spec.provider.workers: is a mapping, not a list"),
        (r#"{"metadata":{"name":5}}"#, "metadata.name: invalid type"),
        (r#"{"status":{"networking":{"nodes":"10.0.0.0/8"}}}"#, "status.networking: invalid type"),
    ] {
        let error = Shoot::read(text).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}

proptest! {
    /// Whatever it is, it is read or refused; and what is read can be kept.
    #[test]
    fn any_text_is_answered(text in prop_oneof![
        ".{0,80}",
        prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"metadata\"", "\"spec\"", "\"status\"", "\"extensions\"", "\"networking\"",
            "\"nodes\"", "\"type\"", "\"osc-peering-service\"", "\"providerConfig\"", "null", "5", "true", " ",
        ]), 0..40).prop_map(|pieces| pieces.concat()),
    ]) {
        if let Ok(shoot) = Shoot::read(&text) {
            let _ = ShootFacts::of(&shoot);
        }
    }
}
