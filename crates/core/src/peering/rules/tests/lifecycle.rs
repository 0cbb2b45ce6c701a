//! What is said on the way of a Shoot's life.

use super::*;

#[test]
fn what_is_stored_blocks_no_other_edit_of_the_same_configuration() {
    let old = broken();
    let mut new = old.clone();
    let entries = new.pointer_mut("/spec/extensions/0/providerConfig/shootPeerings").unwrap();
    entries.as_array_mut().unwrap().push(peer("garden-bank/ledger", "eu1-a"));
    let ledger = shoot("garden-bank/ledger", "10.9.0.0/27", &[peer(A, "eu1-a")]);
    let said = Garden::of(&[ledger.clone(), b()]).update(&old, &new);
    assert!(said.denied.is_empty(), "{said:#?}");
    // And what is new is refused all the same.
    let entries = new.pointer_mut("/spec/extensions/0/providerConfig/shootPeerings").unwrap();
    entries.as_array_mut().unwrap().push(json!({"name": "x", "namespace": "shop"}));
    Garden::of(&[ledger, b()]).update(&old, &new).denies(&["namespace"]);
}

#[test]
fn without_peers_there_is_nothing_to_say() {
    let garden = Garden::of(&[]);
    let none = |config: Value| with(a(), "/spec/extensions/0/providerConfig", config);
    for (what, new) in [
        ("no extension", with(a(), "/spec/extensions", json!([]))),
        ("extensions null", with(a(), "/spec/extensions", Value::Null)),
        (
            "another extension only",
            with(a(), "/spec/extensions", json!([{"type": "shoot-dns-service", "providerConfig": {"x": 1}}])),
        ),
        (
            "enabled for all, with no entry of its own",
            with(
                with(a(), "/spec/extensions", json!([])),
                "/metadata/labels",
                json!({"extensions.extensions.gardener.cloud/osc-peering-service": "true"}),
            ),
        ),
        ("empty list", none(config(&[]))),
        ("no list", none(json!({"apiVersion": peering::API_VERSION, "kind": peering::KIND}))),
        ("null list", none(json!({"apiVersion": peering::API_VERSION, "kind": peering::KIND, "shootPeerings": null}))),
        ("disabled", with(none(config(&[])), "/spec/extensions/0/disabled", json!(true))),
        ("disabled garbage", with(none(json!("garbage")), "/spec/extensions/0/disabled", json!(true))),
    ] {
        garden.create(&new).warns(&[]);
        garden.update(&with(new.clone(), "/spec/networking/nodes", json!("10.1.0.0/27")), &new).warns(&[]);
        assert_eq!(garden.asked.take(), Questions::default(), "{what}");
    }
}

#[test]
fn being_switched_off_and_on() {
    let off = with(a(), "/spec/extensions/0/disabled", json!(true));
    let garden = Garden::of(&[shoot(B, "10.5.0.0/24", &[])]);
    garden.create(&off).warns(&["switched-off"]);
    garden.update(&off, &a()).denies(&["overlap"]);
    let garden = Garden::of(&[a(), b()]);
    garden.update(&a(), &off).warns(&["switched-off", "left-one-sided"]);
    // Said when it is switched off, not for ever.
    garden.update(&off, &with(off.clone(), "/spec/networking/nodes", json!("10.5.0.0/28"))).warns(&[]);
    let broken_off = with(broken(), "/spec/extensions/0/disabled", json!(true));
    let denied = garden.update(&broken_off, &broken()).denied;
    assert!(denied.contains(&"self"), "what is enabled is judged: {denied:?}");
}

#[test]
fn leaving_a_peer() {
    let alone = shoot(A, "10.5.0.0/27", &[]);
    let said = Garden::of(&[a(), b()]).update(&a(), &alone);
    said.warns(&["left-one-sided"]);
    said.says("garden-shop/orders still lists this Shoot; its entry has no effect any more, have it removed");
    Garden::of(&[a(), shoot(B, "10.5.0.32/27", &[])]).update(&a(), &alone).warns(&[]);
    Garden::of(&[a(), b()]).hiding(&[B]).update(&a(), &alone).warns(&[]);
    // The whole extension goes.
    let gone = with(a(), "/spec/extensions", json!([]));
    Garden::of(&[a(), b()]).update(&a(), &gone).warns(&["left-one-sided"]);
}

/// After a peer has moved: its stale entry is nobody's business until somebody touches it.
#[test]
fn after_a_peer_has_moved() {
    let moved = with(b(), "/spec/seedName", json!("eu1-b"));
    let garden = Garden::of(&[a(), moved]);
    assert!(!is_judged(&a(), &with(a(), "/metadata/labels", json!({"x": "y"}))));
    let touched = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-c")]);
    garden.update(&a(), &touched).denies(&["seed-wrong"]);
    let again = shoot(A, "10.5.0.0/27", &[peer("garden-shop/orders", "eu1-b")]);
    garden.update(&a(), &again).warns(&[]);
}

#[test]
fn a_shoot_without_workers_has_no_peers() {
    let none = with(with(a(), "/spec/provider", json!({"type": "x"})), "/spec/networking", json!({}));
    let said = Garden::of(&[b()]).create(&none);
    said.denies(&["workerless"]);
    assert_eq!(said.warned, Vec::<&str>::new());
    Garden::of(&[]).create(&with(none, "/spec/extensions/0/providerConfig", config(&[]))).warns(&[]);
}
