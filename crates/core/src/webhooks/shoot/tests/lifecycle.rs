//! A Shoot's life: what must always pass, and what is said on the way.

use super::*;
use crate::overlay::rules::tests::{NEIGHBOUR, OWN, PODS, native, overlay};
use crate::peering::rules::tests::broken;

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
fn on_its_way_out_everything_passes() {
    let deleting = |shoot: Value| with(shoot, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let garden = Garden::of(&[b(), native(NEIGHBOUR, PODS, "vpc-1")]);
    let new = with(with(broken(), "/metadata/finalizers", json!([])), "/spec/networking/nodes", json!("x"));
    let own = native(OWN, PODS, "vpc-1");
    for (old, new) in [(broken(), new), (overlay(own.clone()), own)] {
        assert_eq!(garden.update(&deleting(old), &deleting(new)).decision, "deleting");
    }
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

#[test]
fn networks_of_a_seed_are_confirmed_too() {
    let dual = with(a(), "/spec/networking/ipFamilies", json!(["IPv4", "IPv6"]));
    let dual = with(dual, "/spec/networking/pods", json!("fd00:5e::/48"));
    let mut garden = Garden::of(&[b()]);
    let seed = SeedFacts { services: "fd00:5e::/112".parse().ok(), ..SeedFacts::default() };
    garden.snapshot.put_seed("eu1-a", seed);
    garden.create(&dual).denies(&["networks/seed-ipv6-overlap"]);
    assert!(garden.asked.take().seeds.contains("eu1-a"));
    garden.is_down = true;
    let said = garden.create(&dual);
    assert!(said.denied.is_empty() && said.warned.contains(&"not-verified"), "{said:#?}");
}

/// The same of a deletion and of a move: who lists the Shoot was not looked for.
#[test]
fn unanswered_deletions_say_so() {
    let alone = shoot(A, "10.5.0.0/27", &[]);
    let lister = shoot(B, "10.5.0.32/27", &[peer(A, "eu1-a")]);
    for shoots in [&[][..], std::slice::from_ref(&lister)] {
        let mut garden = Garden::of(shoots);
        garden.is_down = true;
        let said = garden.advise(&garden.request(Some(&alone), None));
        said.warns(&["not-verified"]);
        said.says("Shoots that list this one were not looked up: no answer in time; correct or remove their entries");
        let mut request = garden.request(Some(&alone), Some(&with(alone.clone(), "/spec/seedName", json!("eu1-b"))));
        request["subResource"] = json!("binding");
        garden.advise(&request).warns(&["not-verified"]);
    }
}

/// Who edits neither peerings nor networks hears nothing about them.
#[test]
fn peerings_are_left_alone_by_other_edits() {
    let stored = listing(json!([with(peer(B, "eu1-a"), "/x", json!(1)), peer("garden-shop/gone", "EU9")]));
    let garden = Garden::of(&[b()]);
    let calico = with(stored.clone(), "/spec/networking/providerConfig", json!({"typha": {"enabled": true}}));
    garden.update(&stored, &calico).warns(&[]);
    let confirmed = with(stored.clone(), "/metadata/annotations", json!({CONFIRMATION: "true"}));
    garden.update(&stored, &confirmed).warns(&["deletion-confirmed"]);
    assert!(garden.asked.take().is_empty());
    let grown = with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/28"));
    assert!(garden.update(&stored, &grown).warned.contains(&"unknown-field"));
}
