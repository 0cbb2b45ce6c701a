//! What is filled in, and what is guessed.

use super::*;

#[test]
fn what_is_missing_is_filled_in() {
    let lacking = with(
        a(),
        "/spec/extensions/0/providerConfig/shootPeerings",
        json!([{"name": "web"}, {"namespace": "garden-shop", "name": "orders"}]),
    );
    let web = shoot("garden-sales/web", "10.7.0.0/27", &[]);
    let garden = || Garden::of(&[web.clone(), with(b(), "/spec/seedName", json!("eu1-b"))]);
    let mutated = garden().mutated(&lacking);
    let want = json!([
        {"name": "web", "namespace": "garden-sales", "seed": "eu1-a"},
        {"name": "orders", "namespace": "garden-shop", "seed": "eu1-b"},
    ]);
    assert_eq!(mutated.pointer("/spec/extensions/0/providerConfig/shootPeerings").unwrap(), &want);
    assert_eq!(garden().mutated(&mutated), mutated, "a second time changes nothing");
    garden().create(&mutated).warns(&["not-reciprocal"]);

    let hidden = garden().hiding(&[B]).mutated(&lacking);
    let entry = hidden.pointer("/spec/extensions/0/providerConfig/shootPeerings/1").unwrap();
    assert_eq!(entry, &json!({"namespace": "garden-shop", "name": "orders"}), "nobody learns a Seed this way");
    garden().hiding(&[B]).create(&hidden).denies(&["seed-missing"]);
    let mut down = garden();
    down.is_down = true;
    assert_eq!(down.mutated(&lacking), lacking);
}

/// A Shoot of this name in the own namespace need not be the one that is meant: the Seed says so.
#[test]
fn a_namespace_is_guessed_only_where_the_seed_agrees() {
    const WEB: &str = "garden-sales/web";
    let on = |seed: Value| with(shoot(WEB, "10.8.0.0/27", &[peer(A, "eu1-a")]), "/spec/seedName", seed);
    let moving = with(on(json!("eu1-a")), "/status", json!({"seedName": "eu1-b"}));
    for (what, target, seed, is_filled) in [
        ("no Seed is said", on(json!("eu1-a")), Value::Null, true),
        ("that Seed", on(json!("eu1-a")), json!("eu1-a"), true),
        ("that Seed, with capitals", on(json!("eu1-a")), json!(" EU1-a"), true),
        ("another Seed", on(json!("eu1-a")), json!("eu1-b"), false),
        ("the Seed that it comes from", moving.clone(), json!("eu1-b"), true),
        ("neither of the two", moving, json!("eu1-c"), false),
        ("it has none yet", on(Value::Null), json!("eu1-b"), true),
    ] {
        let garden = Garden::of(&[target]);
        let new = shoot(A, "10.5.0.0/27", &[json!({"name": "web", "seed": seed})]);
        let request = |old: Option<&Value>| garden.request(old, Some(&new));
        let mutate = MutateShoot::new(&garden.settings);
        let (verdict, _) = garden.call(&mutate, &request(None));
        let said = said(&verdict);
        let namespace = |shoot: &Value| {
            shoot.pointer("/spec/extensions/0/providerConfig/shootPeerings/0/namespace").cloned().unwrap_or_default()
        };
        let filled = garden.mutated(&new);
        if is_filled {
            assert_eq!(namespace(&filled), "garden-sales", "{what}");
            assert_eq!(
                said.texts,
                [
                    "spec.extensions[0].providerConfig.shootPeerings[0].namespace: was missing, garden-sales was filled in: the \
                  peer is garden-sales/web; write it into the manifest"
                ],
                "{what}"
            );
            // Who applies the manifest again was told.
            let (verdict, _) = garden.call(&mutate, &request(Some(&filled)));
            assert!(
                verdict.findings.is_empty() && matches!(verdict.outcome, Outcome::Patched(_)),
                "{what}: {verdict:?}"
            );
        } else {
            assert_eq!(verdict.outcome, Outcome::Allowed, "{what}");
            assert_eq!((namespace(&filled), said.texts), (Value::Null, vec![]), "{what}");
            garden.create(&filled).denies(&["namespace-missing"]);
        }
    }
    // An entry that says its namespace is left alone, whatever its Seed.
    let garden = Garden::of(&[on(json!("eu1-a"))]);
    let written = shoot(A, "10.5.0.0/27", &[peer(WEB, "eu1-b")]);
    assert_eq!(garden.mutated(&written), written);
    // Operators may have it silent.
    let mut garden = Garden::of(&[on(json!("eu1-a"))]);
    garden.settings.policy.set(&peering::rules::entry::NAMESPACE_FILLED_IN, None);
    let new = shoot(A, "10.5.0.0/27", &[json!({"name": "web"})]);
    assert!(garden.call(&MutateShoot::new(&garden.settings), &garden.request(None, Some(&new))).0.findings.is_empty());
}

/// The mutating webhook and the validating one, as an API server calls them.
#[test]
fn what_is_filled_in_refuses_no_edit_of_something_else() {
    let overlapping = shoot("garden-sales/over", "10.5.0.0/24", &[peer(A, "eu1-a")]);
    let ok = shoot("garden-shop/ok", "10.8.0.0/27", &[peer(A, "eu1-a")]);
    let garden = Garden::of(&[overlapping, ok]);
    for stored in [json!({"name": "over", "namespace": "garden-sales"}), json!({"name": "over", "seed": "eu1-a"})] {
        let (old, new) = (listing(json!([stored])), listing(json!([stored, peer("garden-shop/ok", "eu1-a")])));
        let (verdict, _) = garden.call(&MutateShoot::default(), &garden.request(Some(&old), Some(&new)));
        assert_eq!(verdict.outcome, Outcome::Allowed, "what is stored is left as it is");
        let said = garden.update(&old, &new);
        assert!(said.denied.is_empty(), "{said:#?}");
    }
}

/// Without access reviews the mutating webhook fills in nothing: that must not refuse what it would have filled in.
#[test]
fn what_could_not_be_filled_in_is_not_refused() {
    let mut garden = Garden::of(&[b()]);
    garden.is_down = true;
    let lacking = listing(json!([{"name": "orders", "namespace": "garden-shop"}]));
    garden.create(&garden.mutated(&lacking)).warns(&["seed-missing", "not-verified"]);
}
