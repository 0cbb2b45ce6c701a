//! Pairs and groups of Shoots.

use super::pair::{a, b, no_peers, to_b};
use super::*;

#[test]
fn one_side_is_first_and_the_other_follows() {
    let lonely = shoot(B, "10.5.0.32/27", &[]);
    let garden = Garden::of(std::slice::from_ref(&lonely));
    let said = garden.create(&a(&[to_b()]));
    said.warns(&["not-reciprocal"]);
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[0]: garden-shop/orders does not list this Shoot; \
         add there: - {name: crm, namespace: garden-sales, seed: eu1-a}",
    );
    let garden = Garden::of(&[a(&[to_b()]), lonely.clone()]);
    garden.update(&lonely, &b("10.5.0.32/27")).warns(&[]);
}

/// Who lists many is told what is wrong first, and of those that do not list it back once, and last.
#[test]
fn those_that_do_not_list_back_are_one_line_and_the_last() {
    let name = |i: usize| format!("garden-shop/s{i}");
    let target = |i: usize| shoot(&name(i), &format!("10.9.{i}.0/27"), &[]);
    let none = |i: usize| with(target(i), "/spec/extensions", json!([{"type": PEERING_TYPE}]));
    let without = |i: usize| with(target(i), "/spec/extensions", json!([]));
    let disabled = |i: usize| with(target(i), "/spec/extensions/0/disabled", json!(true));
    let listing = |count: usize| a(&(0..count).map(|i| peer(&name(i), "eu1-a")).collect::<Vec<_>>());
    let entry = "{name: crm, namespace: garden-sales, seed: eu1-a}";
    let extension = format!(
        "- {{type: osc-peering-service, providerConfig: {{apiVersion: service.peering.extensions.osc.t-systems.com/v1, \
         kind: PeeringConfig, shootPeerings: [{entry}]}}}}"
    );
    let list = format!(
        "add there, to the extension, what is missing of: providerConfig: {{apiVersion: \
         service.peering.extensions.osc.t-systems.com/v1, kind: PeeringConfig, shootPeerings: [{entry}]}}"
    );
    let copied =
        |said: &str| said.rsplit_once(": - ").map_or("", |(_, yaml)| yaml).split(';').next().unwrap().to_owned();
    let path = "spec.extensions[0].providerConfig.shootPeerings";
    for (what, shoots, said) in [
        (
            "one with the extension",
            vec![target(0)],
            format!("[0]: garden-shop/s0 does not list this Shoot; add there: - {entry}"),
        ),
        (
            "one without",
            vec![without(0)],
            format!("[0]: garden-shop/s0 does not list this Shoot; add there, to spec.extensions: {extension}"),
        ),
        (
            "one that is disabled",
            vec![disabled(0)],
            format!("[0]: garden-shop/s0 does not list this Shoot; add there: - {entry}; and enable the extension"),
        ),
        ("one without a list", vec![none(0)], format!("[0]: garden-shop/s0 does not list this Shoot; {list}")),
        (
            "one that is disabled, without a list",
            vec![with(none(0), "/spec/extensions/0/disabled", json!(true))],
            format!("[0]: garden-shop/s0 does not list this Shoot; {list}; and enable the extension"),
        ),
        (
            "two, one of which has no list",
            vec![target(0), none(1)],
            format!(": 2 Shoots do not list this one: garden-shop/s0, garden-shop/s1; {list}"),
        ),
        (
            "two, one of which is disabled",
            vec![target(0), disabled(1)],
            format!(
                ": 2 Shoots do not list this one: garden-shop/s0, garden-shop/s1; add there: - {entry}; and enable it where it \
                 is disabled"
            ),
        ),
        (
            "two with it",
            vec![target(0), target(1)],
            format!(": 2 Shoots do not list this one: garden-shop/s0, garden-shop/s1; add there: - {entry}"),
        ),
        (
            "two without it",
            vec![without(0), without(1)],
            format!(
                ": 2 Shoots do not list this one: garden-shop/s0, garden-shop/s1; add there, to spec.extensions: {extension}"
            ),
        ),
        (
            "one without it",
            vec![target(0), without(1)],
            format!(
                ": 2 Shoots do not list this one: garden-shop/s0, garden-shop/s1; add there, to spec.extensions, \
                 what is missing of: {extension}"
            ),
        ),
    ] {
        let said_now = Garden::of(&shoots).create(&listing(shoots.len()));
        assert_eq!(said_now.texts, [format!("{path}{said}")], "{what}");
        assert!(serde_saphyr::from_str::<Value>(&copied(&said)).is_ok(), "{what}");
    }

    // Where operators refuse that, each says where it is.
    let mut strict = Garden::of(&[target(0), target(1)]);
    strict.settings.policy.set(&peering::rules::reciprocal::NOT_RECIPROCAL, Some(Severity::Deny));
    strict.create(&listing(2)).denies(&["not-reciprocal", "not-reciprocal"]);
}

#[test]
fn two_new_shoots_that_list_each_other() {
    let garden = Garden::of(&[]);
    garden.create(&a(&[to_b()])).warns(&["target-missing"]);
    assert!(garden.asked.borrow().shoots.is_empty(), "nothing is refused, so nothing is read live");
    let garden = Garden::of(&[with(a(&[to_b()]), "/spec/seedName", Value::Null)]);
    // The first one is not scheduled yet when the second one comes.
    garden.create(&b("10.5.0.32/27")).warns(&["target-unscheduled"]);
}

/// The state of a visible target: what is said of a new entry, and of one that was stored when the own network grows.
#[test]
fn the_target() {
    let b = || b("10.5.0.32/27");
    let migrating = with(b(), "/status", json!({"seedName": "eu1-b"}));
    let deleting = with(b(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let workerless = with(with(b(), "/spec/provider", json!({})), "/spec/networking", json!({}));
    let disabled = with(b(), "/spec/extensions/0/disabled", json!(true));
    let unknown = with(b(), "/spec/networking", json!({}));
    let hibernated = with(b(), "/spec/hibernation", json!({"enabled": true}));
    let unscheduled = with(b(), "/spec/seedName", Value::Null);
    let pods = with(b(), "/spec/networking/pods", json!("10.5.0.0/28"));
    for (what, target, seed, added, stored) in [
        ("fine", Some(b()), "eu1-a", vec![], vec!["peers-follow"]),
        ("hibernated", Some(hibernated), "eu1-a", vec![], vec!["peers-follow"]),
        ("missing", None, "eu1-a", vec!["deny target-missing"], vec!["target-missing", "peers-follow"]),
        ("other seed", Some(b()), "eu1-b", vec!["deny seed-wrong"], vec!["seed-wrong", "peers-follow"]),
        ("no such seed", Some(b()), "eu9", vec!["deny seed-wrong"], vec!["seed-unknown", "seed-wrong", "peers-follow"]),
        ("no seed given", Some(b()), "", vec!["deny seed-missing"], vec!["seed-missing", "peers-follow"]),
        (
            "moving, old seed",
            Some(migrating.clone()),
            "eu1-b",
            vec!["target-migrating"],
            vec!["target-migrating", "peers-follow"],
        ),
        ("moving, new seed", Some(migrating), "eu1-a", vec![], vec!["peers-follow"]),
        (
            "unscheduled",
            Some(unscheduled.clone()),
            "eu1-b",
            vec!["target-unscheduled"],
            vec!["target-unscheduled", "peers-follow"],
        ),
        (
            "unscheduled, no seed given",
            Some(unscheduled),
            "",
            vec!["seed-missing"],
            vec!["seed-missing", "peers-follow"],
        ),
        ("deleting", Some(deleting), "eu1-a", vec!["deny target-deleting"], vec!["target-deleting", "peers-follow"]),
        (
            "workerless",
            Some(workerless),
            "eu1-a",
            vec!["deny target-workerless"],
            vec!["target-workerless", "peers-follow"],
        ),
        ("disabled", Some(disabled), "eu1-a", vec!["target-disabled"], vec!["target-disabled", "peers-follow"]),
        ("nodes unknown", Some(unknown), "eu1-a", vec!["nodes-unknown"], vec!["nodes-unknown", "peers-follow"]),
        ("nodes in pods", Some(pods), "eu1-a", vec!["pods-services"], vec!["pods-services", "peers-follow"]),
    ] {
        let garden = Garden::of(&target.into_iter().collect::<Vec<_>>());
        let listed = a(&[peer(B, seed)]);
        let said = garden.update(&no_peers(), &listed);
        let all: Vec<String> = (said.denied.iter().map(|rule| format!("deny {rule}")))
            .chain(said.warned.iter().map(|rule| (*rule).to_owned()))
            .collect();
        assert_eq!(all, added, "{what}: {said:#?}");
        let grown = with(listed.clone(), "/spec/networking", json!({"nodes": "10.5.0.0/28"}));
        let said = garden.update(&listed, &grown);
        assert!(said.denied.is_empty(), "{what}: a stored problem blocks nothing: {said:#?}");
        let warned: Vec<&str> = said.warned.iter().copied().filter(|rule| *rule != "nodes-shrink").collect();
        assert_eq!(warned, stored, "{what}, stored: {said:#?}");
        // Labels, versions, hibernation: not even looked at.
        let edited = with(listed.clone(), "/metadata/labels", json!({"a": "b"}));
        let edited = with(edited, "/spec/hibernation", json!({"enabled": true}));
        assert!(!is_judged(&listed, &edited), "{what}");
    }
}

#[test]
fn a_hibernated_shoot_is_judged_like_any_other() {
    let asleep = |peers: &[Value]| with(a(peers), "/spec/hibernation", json!({"enabled": true}));
    Garden::of(&[b("10.5.0.0/24")]).update(&asleep(&[]), &asleep(&[to_b()])).denies(&["overlap"]);
}

#[test]
fn operators_weigh_rules() {
    let garden = |rule: &'static Rule, choice| {
        let mut garden = Garden::of(&[b("10.5.0.0/24")]);
        assert!(garden.settings.policy.set(rule, choice));
        garden
    };
    garden(&peering::rules::networks::OVERLAP, Some(Severity::Warn)).create(&a(&[to_b()])).warns(&["overlap"]);
    garden(&peering::rules::networks::OVERLAP, None).create(&a(&[to_b()])).warns(&[]);
    let mut strict = Garden::of(&[shoot(B, "10.5.0.32/27", &[])]);
    strict.settings.policy.set(&peering::rules::reciprocal::NOT_RECIPROCAL, Some(Severity::Deny));
    strict.create(&a(&[to_b()])).denies(&["not-reciprocal"]);
}
