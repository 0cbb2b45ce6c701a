//! What is stored blocks nobody; what is new is judged, whatever is stored beside it.

use super::*;

/// An edit of one entry, with something wrong stored in another.
#[test]
fn entries_may_move_and_go_whatever_is_stored() {
    let ok = || peer("garden-shop/ok", "eu1-a");
    let twice = || peer("garden-shop/twice", "eu1-a");
    let twice_more = || peer("garden-shop/twice", "eu1-b");
    let shoots: Vec<Value> = [("ok", "10.8.0.0/27"), ("twice", "10.8.1.0/27"), ("other", "10.8.2.0/27")]
        .iter()
        .map(|(name, nodes)| shoot(&format!("garden-shop/{name}"), nodes, &[peer(A, "eu1-a")]))
        .collect();
    let garden = Garden::of(&shoots);
    let surprise = |entry: Value| with(entry, "/foo", json!(1));
    let other = || peer("garden-shop/other", "eu1-a");
    for (what, old, new, denied) in [
        ("one goes before a duplicate", json!([ok(), twice(), twice_more()]), json!([twice(), twice_more()]), vec![]),
        ("two change places", json!([ok(), twice(), twice_more()]), json!([twice(), ok(), twice_more()]), vec![]),
        (
            "another duplicate",
            json!([ok(), twice(), twice_more()]),
            json!([ok(), ok(), twice(), twice_more()]),
            vec!["duplicate"],
        ),
        ("an unknown field moves", json!([surprise(ok())]), json!([other(), surprise(ok())]), vec![]),
        (
            "an unknown field in another entry",
            json!([surprise(ok())]),
            json!([surprise(other()), surprise(ok())]),
            vec!["unknown-field"],
        ),
        (
            "a field is misspelt in another way",
            json!([with(ok(), "/foo", json!(1))]),
            json!([with(ok(), "/seedName", json!(1))]),
            vec!["unknown-field"],
        ),
        ("capitals are corrected", json!([with(ok(), "/name", json!("Ok"))]), json!([ok()]), vec![]),
        (
            "a seed is corrected, the rest is wrong",
            json!([surprise(with(ok(), "/seed", json!("eu9")))]),
            json!([surprise(ok())]),
            vec![],
        ),
    ] {
        let said = garden.update(&listing(old), &listing(new));
        assert_eq!(said.denied, denied, "{what}: {said:#?}");
    }
    // What is refused is where it was written.
    let said = garden.update(&listing(json!([surprise(ok())])), &listing(json!([surprise(other()), surprise(ok())])));
    let path = "spec.extensions[0].providerConfig.shootPeerings[0].foo: is an unknown field";
    assert!(said.texts.iter().any(|text| text.starts_with(path)), "{said:#?}");
    // Written with capitals an entry is wrong, but not given up.
    let said = garden.update(&listing(json!([ok()])), &listing(json!([with(ok(), "/name", json!("Ok"))])));
    assert_eq!((said.denied, said.warned), (vec!["untidy"], vec![]));
}

/// Another Seed for an entry: it is judged again by its Seed, and by nothing else.
#[test]
fn a_corrected_seed_is_not_refused_for_the_rest() {
    let deleting = with(b(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    for (what, target, warned) in [
        ("overlapping", shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")]), vec!["overlap"]),
        ("deleting", deleting, vec!["target-deleting"]),
    ] {
        let garden = Garden::of(&[target]);
        let said = garden.update(&listing(json!([peer(B, "eu1-b")])), &a());
        assert_eq!((said.denied, said.warned), (vec![], warned), "{what}");
        garden.update(&a(), &listing(json!([peer(B, "eu1-b")]))).denies(&["seed-wrong"]);
    }
}

#[test]
fn a_rule_that_is_off_hides_no_other() {
    let mut garden = Garden::of(&[b()]);
    garden.settings.policy.set(&peering::rules::target_seed::SEED_WRONG, None);
    garden.update(&shoot(A, "10.5.0.0/27", &[]), &listing(json!([peer(B, "eu9")]))).denies(&["seed-unknown"]);
    let mut garden = Garden::of(&[a(), b()]);
    garden.settings.policy.set(&peering::rules::networks::BREAKS_PEER, None);
    garden.update(&a(), &with(a(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&["peers-follow"]);
}

/// An entry with capitals named nobody: corrected, it is new.
#[test]
fn what_comes_into_effect_is_judged() {
    let garden = || Garden::of(&[shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")])]);
    for wrong in ["Orders", " orders", "ORDERS"] {
        let stored = listing(json!([with(peer(B, "eu1-a"), "/name", json!(wrong))]));
        garden().update(&stored, &a()).denies(&["identical"]);
    }
    let b = || b();
    let stored = listing(json!([peer(B, "EU9")]));
    Garden::of(&[b()]).update(&stored, &listing(json!([peer(B, "eu9")]))).denies(&["seed-wrong"]);
    // As it is stored it is told, and not refused.
    let more = listing(json!([peer(B, "EU9"), peer("garden-sales/web", "eu1-a")]));
    let web = shoot("garden-sales/web", "10.8.0.0/27", &[peer(A, "eu1-a")]);
    Garden::of(&[b(), web]).update(&stored, &more).warns(&["untidy", "seed-wrong"]);
}

#[test]
fn without_workers_no_entry_comes() {
    let none =
        |entries: Value| with(with(listing(entries), "/spec/provider", json!({})), "/spec/networking", json!({}));
    let one = || json!([peer(B, "eu1-a")]);
    let two = || json!([peer(B, "eu1-a"), peer("garden-sales/web", "eu1-a")]);
    let garden = Garden::of(&[b(), shoot("garden-sales/web", "10.8.0.0/27", &[peer(A, "eu1-a")])]);
    garden.update(&none(one()), &none(two())).denies(&["workerless"]);
    garden.update(&none(two()), &none(one())).warns(&["workerless", "left-one-sided"]);
}

/// A network that conflicts already may grow, whatever operators raise.
#[test]
fn stored_conflicts_may_grow() {
    let on = |nodes: &str| shoot(A, nodes, &[peer(B, "eu1-a")]);
    let mut garden = Garden::of(&[b()]);
    let settings = &mut garden.settings;
    settings.peering.default_node_networks = vec!["10.250.0.0/16".parse().unwrap(), "10.251.0.0/16".parse().unwrap()];
    settings.peering.node_prefixes = peering::NodePrefixes::new(20, 27);
    settings.peering.is_private_stack = true;
    for rule in peering::rules::RULES.iter().copied().flatten() {
        settings.policy.set(rule, Some(Severity::Deny));
    }
    let seed = SeedFacts { nodes: "10.252.0.0/20".parse().ok(), ..SeedFacts::default() };
    garden.snapshot.put_seed("eu1-a", seed);
    for (old, new, rule, is_denied) in [
        ("10.250.0.0/24", "10.250.0.0/23", "default-nodes", false),
        ("10.249.0.0/24", "10.250.0.0/24", "default-nodes", true),
        ("10.251.0.0/24", "10.250.0.0/24", "default-nodes", true),
        ("10.252.0.0/24", "10.252.0.0/23", "seed-nodes", false),
        ("10.252.16.0/24", "10.252.0.0/24", "seed-nodes", true),
        ("10.4.0.0/19", "10.4.0.0/18", "nodes-prefix", false),
        ("10.4.0.0/30", "10.4.0.0/29", "nodes-prefix", false),
        ("10.4.0.0/20", "10.4.0.0/19", "nodes-prefix", true),
        ("10.4.0.0/30", "10.4.0.0/19", "nodes-prefix", true),
    ] {
        let said = garden.update(&on(old), &on(new));
        assert_eq!(said.denied.contains(&rule), is_denied, "{old} to {new}: {said:#?}");
        assert!(is_denied || said.warned.contains(&rule), "{old} to {new}: {said:#?}");
    }
}

/// A writer who edits an entry that names no Shoot edits the list all the same, and is told what is wrong with the rest of it.
#[test]
fn every_edit_of_the_list_is_one() {
    let (x, y) = (|| peer("garden-shop/gone", "eu1-a"), || peer(B, "eu1-a"));
    let garden = Garden::of(&[b()]);
    for (what, more) in [
        ("a duplicate", y()),
        ("the Shoot itself", peer(A, "eu1-a")),
        ("a name that is none", peer("garden-shop/no--name", "eu1-a")),
    ] {
        let stored = listing(json!([x(), y(), more]));
        garden.update(&stored, &listing(json!([x(), y()]))).warns(&["target-missing"]);
        // Another order is no edit.
        let said = garden.update(&stored, &listing(json!([y(), x(), more])));
        assert!(!said.warned.contains(&"target-missing"), "{what}: {said:#?}");
    }
}
