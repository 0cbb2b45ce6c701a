//! What is read of a Shoot.

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
    assert_eq!(format!("{:?}", facts.networks.nodes()), "[10.5.0.0/27, 10.5.0.0/26]");
    assert_eq!(facts.peering, PeeringFacts::Disabled([].into()), "an entry without a namespace names no Shoot");
}

#[test]
fn counts_nodes_and_knows_native_routing() {
    let of = |spec: &serde_json::Value| json!({"spec": spec}).to_string();
    let native = json!({"overlay": {"enabled": false}});
    for (spec, is_native, nodes) in [
        (json!({}), false, 0),
        (json!({"provider": {"workers": [{"maximum": 3}, {"minimum": 1}, {"maximum": 4}]}}), false, 10),
        (json!({"provider": {"workers": [{"maximum": -1}]}, "networking": {"type": "calico"}}), false, 0),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "calico", "providerConfig": native}}), true, 1),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "cilium", "providerConfig": native}}), true, 1),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "other", "providerConfig": native}}), true, 1),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "other"}}), false, 1),
        (
            json!({"provider": {"workers": [{}]}, "networking": {"type": "cilium", "providerConfig": {"tunnel": "disabled"}}}),
            true,
            1,
        ),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "cilium"}}), false, 1),
        (json!({"provider": {}, "networking": {"type": "calico", "providerConfig": native}}), false, 0),
        (json!({"provider": {"workers": [{}]}, "networking": {"type": "calico", "ipFamilies": ["IPv6"]}}), true, 1),
    ] {
        let text = of(&spec);
        let shoot = Shoot::read(&text).unwrap();
        assert_eq!((shoot.may_need_routes(Some(&shoot)), shoot.max_nodes()), (is_native, nodes), "{spec}");
    }
}

/// One row for each worker: what Gardener and the machine-controller-manager make of `maxSurge`.
#[test]
fn nodes_that_are_replaced_count_twice() {
    for (worker, want) in [
        (json!({"maximum": 10}), 11),
        (json!({"maximum": 10, "maxSurge": null}), 11),
        (json!({"maximum": 10, "maxSurge": 0}), 10),
        (json!({"maximum": 10, "maxSurge": 4}), 14),
        (json!({"maximum": 10, "maxSurge": "25%"}), 13),
        (json!({"maximum": 10, "maxSurge": "100%"}), 20),
        (json!({"maximum": 10, "maxSurge": "many"}), 10),
        (json!({"maximum": 10, "maxSurge": -3}), 10),
        (json!({"maximum": 10, "updateStrategy": "AutoRollingUpdate"}), 11),
        (json!({"maximum": 10, "updateStrategy": "AutoInPlaceUpdate"}), 10),
        (json!({"maximum": 10, "updateStrategy": "AutoInPlaceUpdate", "maxSurge": 2}), 12),
        (json!({"maximum": 10, "updateStrategy": "ManualInPlaceUpdate"}), 10),
        (json!({"maximum": u32::MAX, "maxSurge": "4294967295%"}), 184_467_444_946_163_466),
    ] {
        let text = json!({"spec": {"provider": {"workers": [worker]}}}).to_string();
        assert_eq!(Shoot::read(&text).unwrap().max_nodes(), want, "{text}");
    }
}

#[test]
fn knows_who_is_hibernated() {
    let of = |enabled: bool, hibernated: bool| {
        json!({"spec": {"hibernation": {"enabled": enabled}}, "status": {"hibernated": hibernated}}).to_string()
    };
    for (enabled, hibernated, want) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let (text, liar) = (of(enabled, hibernated), of(enabled, !hibernated));
        let (shoot, liar) = (Shoot::read(&text).unwrap(), Shoot::read(&liar).unwrap());
        assert_eq!(shoot.is_asleep(None), want, "{text}");
        assert_eq!(liar.is_asleep(Some(&shoot)), want, "{text}: the stored status counts");
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
        assert_eq!(Shoot::read(&text).unwrap().last_operation.is_moving(), want, "{text}");
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
fn reports_what_is_not_a_shoot() {
    for (text, want) in [
        ("[]", "is a list, not a mapping"),
        (r#"{"spec":{"networking":{"nodes":5}}}"#, "spec.networking.nodes: invalid type: integer `5`"),
        (r#"{"spec":{"extensions":{}}}"#, "spec.extensions: is a mapping, not a list"),
        (r#"{"spec":{"extensions":[5]}}"#, "spec.extensions[0]: is a number, not a mapping"),
        (r#"{"spec":{"extensions":[null]}}"#, "spec.extensions[0]: is empty"),
        (r#"{"spec":{"extensions":[{"disabled":"no"}]}}"#, "spec.extensions[0]: invalid type"),
        (r#"{"spec":{"provider":{"workers":{}}}}"#, "spec.provider.workers: is a mapping, not a list"),
        (r#"{"metadata":{"name":5}}"#, "metadata.name: invalid type"),
        (r#"{"status":{"networking":{"nodes":"10.0.0.0/8"}}}"#, "status.networking.nodes: is a text, not a list"),
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
