//! A Shoot's life: what must always pass, and what is said on the way.

use super::*;

/// A Shoot with everything wrong that can be stored.
fn broken() -> Value {
    let entries = [peer(A, "eu9"), peer(B, "eu9"), peer(B, "x"), json!({"name": ""}), json!(5)];
    let broken = with(shoot(A, "10.5.0.1/27", &entries), "/spec/extensions/0/providerConfig/surprise", json!(1));
    with(broken, "/spec/networking/pods", json!("10.5.0.0/16"))
}

#[test]
fn unrelated_edits_pass_without_a_lookup() {
    let old = broken();
    let edits: Vec<(&str, Value)> = vec![
        ("nothing", old.clone()),
        ("labels", with(old.clone(), "/metadata/labels", json!({"a": "b"}))),
        ("annotations", with(old.clone(), "/metadata/annotations", json!({"a": "b"}))),
        ("finalizers", with(old.clone(), "/metadata/finalizers", json!([]))),
        ("hibernation", with(old.clone(), "/spec/hibernation", json!({"enabled": true}))),
        ("version", with(old.clone(), "/spec/kubernetes", json!({"version": "1.36.0"}))),
        ("more workers", with(old.clone(), "/spec/provider/workers", json!([{}, {}]))),
        ("another extension", {
            let mut new = old.clone();
            let extensions = new.pointer_mut("/spec/extensions").unwrap().as_array_mut().unwrap();
            extensions.insert(0, json!({"type": "shoot-dns-service"}));
            new
        }),
    ];
    for (what, new) in edits {
        let garden = Garden::of(&[b()]);
        assert_eq!(garden.update(&old, &new).decision, "unchanged", "{what}");
        assert_eq!(garden.asked.take(), Questions::default(), "{what}");
        let (verdict, _) = garden.call(&MutateShoot::default(), &garden.request(Some(&old), Some(&new)));
        assert_eq!(verdict.outcome, Outcome::Allowed, "{what}");
    }
}

/// The same configuration in another order, and with other white space, is the same.
#[test]
fn an_order_of_keys_is_no_change() {
    let old = a().to_string();
    let new = serde_json::to_string_pretty(&a()).unwrap();
    let new = new.replacen("\"kind\": \"PeeringConfig\",", "", 1).replacen(
        "\"shootPeerings\"",
        "\"kind\": \"PeeringConfig\",\n\"shootPeerings\"",
        1,
    );
    let body = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"UPDATE",
        "resource":{{"group":"core.gardener.cloud","resource":"shoots"}},"object":{new},"oldObject":{old}}}}}"#
    );
    let (verdict, _) = Garden::of(&[]).call_text(&ValidateShoot::default(), &body);
    assert_eq!(verdict.decision, "unchanged");
}

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
fn on_its_way_out_everything_passes() {
    let old = with(broken(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let garden = Garden::of(&[b()]);
    let new = with(with(old.clone(), "/metadata/finalizers", json!([])), "/spec/networking/nodes", json!("x"));
    assert_eq!(garden.update(&old, &new).decision, "deleting");
    assert_eq!(garden.asked.take(), Questions::default());
}

#[test]
fn gardenlet_is_never_refused_and_leaves_a_trace() {
    for group in ["gardener.cloud:system:seeds", "gardener.cloud:system:shoots"] {
        let old = with(a(), "/spec/networking", json!({}));
        let mut garden = Garden::of(&[b()]);
        garden.groups = vec!["system:authenticated", group];
        garden.is_down = true;
        let said = garden.update(&old, &with(old.clone(), "/spec/networking/nodes", json!("10.5.0.0/24")));
        assert_eq!((said.decision, &*said.denied, &*said.warned), ("gardener", &[][..], &[][..]));
        assert_eq!(said.noted, ["breaks-peer"], "metrics and log know");
        assert_eq!(garden.asked.take(), Questions::default());
        let stored = with(broken(), "/spec/networking", json!({}));
        let said = garden.update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/24")));
        assert!(said.denied.is_empty() && said.warned.is_empty() && said.noted.len() > 3, "{group}: {said:#?}");
        if group == "gardener.cloud:system:seeds" {
            let said = garden.update(&old, &with(broken(), "/spec/networking/nodes", json!("10.5.0.0/24")));
            assert!(said.denied.is_empty() && said.noted.len() > 3);
        }
    }
}

/// The gardenlet of a self-hosted Shoot runs where its owner is at home: entries of peerings are judged as the owner's, by
/// what that one may see, and networks are let be.
#[test]
fn gardenlets_of_self_hosted_shoots_write_no_peerings() {
    let garden = |shoots: &[Value]| {
        let mut garden = Garden::of(shoots);
        garden.groups = vec!["system:authenticated", "gardener.cloud:system:shoots"];
        garden
    };
    let alone = shoot(A, "10.5.0.0/27", &[]);
    let clashing = || shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")]);
    garden(&[clashing()]).update(&alone, &a()).denies(&["overlap"]);
    garden(&[clashing()]).create(&a()).denies(&["overlap"]);
    // What may not be seen is hidden here too.
    let stranger = shoot(B, "10.5.0.0/24", &[]);
    garden(&[stranger]).hiding(&[B]).update(&alone, &a()).warns(&["target-hidden"]);
    garden(&[]).hiding(&[B]).update(&alone, &a()).warns(&["target-hidden"]);
    // What is missing is filled in as for anybody.
    let lacking = shoot(A, "10.5.0.0/27", &[json!({"name": "orders", "namespace": "garden-shop"})]);
    let filled = garden(&[b()]).mutated(&lacking);
    assert_eq!(filled.pointer("/spec/extensions/0/providerConfig/shootPeerings/0/seed"), Some(&json!("eu1-a")));
    // Networks are gardenlet's, also beside entries; so is a Shoot without any.
    let reserved = |shoot: Value| with(shoot, "/spec/networking/pods", json!("244.0.0.0/16"));
    let said = garden(&[b()]).update(&alone, &reserved(a()));
    assert_eq!((&*said.denied, &*said.noted, said.decision), (&[][..], &["networks/reserved-range"][..], "accepted"));
    let plain = with(reserved(alone.clone()), "/spec/extensions", json!([]));
    let said = garden(&[]).create(&plain);
    assert_eq!((&*said.denied, said.decision), (&[][..], "gardener"));
    let said = garden(&[a(), clashing()]).update(&a(), &with(a(), "/spec/networking/nodes", json!("10.5.0.0/26")));
    assert_eq!((&*said.denied, &*said.warned, said.decision), (&[][..], &[][..], "gardener"));
    // The network that gardenlet writes, and an entry beside it: the entry is judged, the network is not.
    let both = with(a(), "/spec/networking/nodes", json!("10.5.0.0/26"));
    let third = shoot("garden-shop/third", "10.5.0.32/27", &[peer(A, "eu1-a")]);
    let listing = shoot(A, "10.5.0.0/27", &[peer("garden-shop/third", "eu1-a")]);
    let new = with(
        both,
        "/spec/extensions/0/providerConfig",
        config(&[peer("garden-shop/third", "eu1-a"), peer(B, "eu1-a")]),
    );
    let said = garden(&[third, shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a")])]).update(&listing, &new);
    assert_eq!((&*said.denied, said.noted.contains(&"breaks-peer")), (&[][..], true), "{said:#?}");
}

#[test]
fn subresources_and_other_operations_are_not_concerned() {
    let garden = Garden::of(&[]);
    for (operation, sub_resource) in
        [("UPDATE", "status"), ("UPDATE", "binding"), ("CREATE", "adminkubeconfig"), ("CONNECT", "")]
    {
        let mut request = garden.request(Some(&broken()), Some(&a()));
        request["operation"] = json!(operation);
        request["subResource"] = json!(sub_resource);
        for handler in [&ValidateShoot::default() as &dyn Handler, &MutateShoot::default()] {
            let (verdict, _) = garden.call(handler, &request);
            assert_eq!(
                (verdict.outcome, verdict.decision),
                (Outcome::Allowed, "not-concerned"),
                "{operation} {sub_resource}"
            );
        }
    }
}

#[test]
fn a_dry_run_is_answered_like_any_other_request() {
    let garden = Garden::of(&[shoot(B, "10.5.0.0/27", &[])]);
    let mut request = garden.request(None, Some(&a()));
    let (_, wet) = garden.call(&ValidateShoot::default(), &request);
    request["dryRun"] = json!(true);
    let (_, dry) = garden.call(&ValidateShoot::default(), &request);
    assert_eq!(wet, dry);
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

#[test]
fn deletion_is_announced_and_done() {
    let confirmed = with(a(), "/metadata/annotations", json!({CONFIRMATION: "true"}));
    let garden = Garden::of(&[a(), b()]);
    let said = garden.update(&a(), &confirmed);
    said.warns(&["deletion-confirmed"]);
    said.says(
        "metadata.annotations: this Shoot still lists 1 peer, and nobody removes entries for it; \
         remove them on both sides first",
    );
    garden.update(&confirmed, &confirmed).warns(&[]);
    garden.advise(&garden.request(Some(&confirmed), None)).warns(&["deleted"]);

    // A collection is deleted: the name is in the object only.
    let mut request = garden.request(Some(&confirmed), None);
    request.as_object_mut().unwrap().remove("name");
    garden.advise(&request).warns(&["deleted"]);
    request["oldObject"] = Value::Null;
    garden.advise(&request).warns(&[]);
    request["oldObject"] = json!({"metadata": 5});
    assert_eq!(garden.advise(&request).decision, "unreadable", "and deleted all the same");

    let quiet = shoot(A, "10.5.0.0/27", &[]);
    let garden = Garden::of(std::slice::from_ref(&quiet));
    garden.advise(&garden.request(Some(&quiet), None)).warns(&[]);
}

#[test]
fn deletion_never_waits_for_an_answer() {
    let mut garden = Garden::of(&[a(), b()]);
    garden.is_down = true;
    let said = garden.advise(&garden.request(Some(&a()), None));
    said.warns(&["deleted", "not-verified"]);
    // Whatever operators make of the rules.
    for rule in peering::rules::RULES.iter().copied().flatten() {
        garden.settings.policy.set(rule, Some(Severity::Deny));
    }
    garden.advise(&garden.request(Some(&a()), None)).warns(&["deleted", "not-verified"]);
}

#[test]
fn moving_to_another_seed() {
    let binding = |garden: &Garden, old: Value, new: Value| {
        let mut request = garden.request(Some(&old), Some(&new));
        request["subResource"] = json!("binding");
        garden.advise(&request)
    };
    let on = |seed: Value| with(a(), "/spec/seedName", seed);
    let garden = Garden::of(&[a(), b()]);
    let said = binding(&garden, on(json!("eu1-a")), on(json!("eu1-b")));
    said.warns(&["migrated"]);
    said.says("spec.seedName: listing this Shoot with seed eu1-a: garden-shop/orders; change it to eu1-b there");
    binding(&garden, on(Value::Null), on(json!("eu1-a"))).warns(&[]);
    binding(&garden, on(json!("eu1-a")), on(json!("eu1-a"))).warns(&[]);
    let hidden = Garden::of(&[a(), b()]).hiding(&[B]);
    binding(&hidden, on(json!("eu1-a")), on(json!("eu1-b"))).warns(&[]);
}

/// After a peer has moved: its stale entry is nobody's business until somebody touches it.
#[test]
fn after_a_peer_has_moved() {
    let moved = with(b(), "/spec/seedName", json!("eu1-b"));
    let garden = Garden::of(&[a(), moved]);
    assert_eq!(garden.update(&a(), &with(a(), "/metadata/labels", json!({"x": "y"}))).decision, "unchanged");
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
