//! Edits of networks: a stored clash excuses itself, and nothing else.

use super::*;

/// What only warned before, because nothing was translated, refuses when the writer makes it matter.
#[test]
fn a_stored_warning_does_not_excuse_a_new_refusal() {
    let large = with(shoot("10.5.0.0/27"), "/spec/networking/pods", json!("16.0.0.0/7"));
    let garden = Garden::of(&[]);
    garden.create(&large).warns(&["networks/does-not-fit"]);
    let overlapping = with(large.clone(), "/spec/networking/nodes", json!("10.70.0.0/24"));
    garden.update(&large, &overlapping).denies(&["networks/does-not-fit"]);
}

/// A network in IPv6's spelling: refused where it is new, left alone where it is stored, and free to be written plainly.
#[test]
fn ipv4_written_as_ipv6() {
    let (mapped, plain) = (shoot("::ffff:10.5.0.0/123"), shoot("10.5.0.0/27"));
    let pods = |object: &Value, text: &str| with(object.clone(), "/spec/networking/pods", json!(text));
    let rule = ["networks/ipv4-as-ipv6"];
    let garden = Garden::of(&[]);
    for (what, stored, new, denied) in [
        ("from plain", &plain, mapped.clone(), &rule[..]),
        ("in another way", &mapped, shoot("::ffff:a05:0/123"), &rule),
        ("another network", &mapped, shoot("::ffff:10.5.0.0/122"), &rule),
        ("one more", &mapped, pods(&mapped, "::ffff:100.96.0.0/107"), &rule),
        ("to plain", &mapped, plain.clone(), &[]),
        ("to plain and wider", &mapped, shoot("10.5.0.0/24"), &[]),
        ("something else", &mapped, pods(&mapped, "100.96.0.0/11"), &[]),
        ("something else that overlaps it", &mapped, pods(&mapped, "10.0.0.0/11"), &["networks/overlap"]),
    ] {
        let said = garden.update(stored, &new);
        assert_eq!(said.denied, denied, "{what}: {said:#?}");
    }
    // In a reserved range both are wrong; what is left after the first is corrected was stored.
    let reserved = |text: &str| shoot(text);
    garden.create(&reserved("::ffff:242.5.0.0/112")).denies(&["networks/ipv4-as-ipv6", "networks/reserved-range"]);
    garden.update(&reserved("::ffff:242.5.0.0/112"), &reserved("242.5.0.0/16")).warns(&[]);
}

#[test]
fn less_that_does_not_fit_is_better() {
    let seed = SeedFacts { pods: "10.64.0.0/11".parse().ok(), ..SeedFacts::default() };
    let mut garden = Garden::of(&[]);
    garden.snapshot.put_seed("eu1-a", seed);
    let stored = with(shoot("10.64.0.0/10"), "/status", json!({"networking": {"nodes": ["16.0.0.0/8"]}}));
    let smaller = with(stored.clone(), "/spec/networking/nodes", json!("172.16.0.0/27"));
    garden.update(&stored, &smaller).warns(&[]);
}

/// Connections into the Shoot fail by it, and nobody else says so: it is told at each edit of networks, and refuses none.
#[test]
fn what_cannot_be_translated_is_told_while_it_lasts() {
    let on = |pods: &str| {
        let mut garden = Garden::of(&[]);
        garden.snapshot.put_seed("eu1-a", SeedFacts { pods: pods.parse().ok(), ..SeedFacts::default() });
        garden
    };
    let nodes = json!({"networking": {"nodes": ["10.0.0.0/9", "11.0.0.0/9", "12.0.0.0/9"]}});
    let many = with(shoot("10.0.0.0/9"), "/status", nodes);
    let edited = |stored: &Value| with(stored.clone(), "/spec/networking/services", json!("100.64.0.0/13"));
    for (pods, stored, rule) in [
        ("10.0.0.0/8", &many, "networks/does-not-fit"),
        ("10.0.0.0/7", &shoot("10.5.0.0/27"), "networks/seed-too-wide"),
    ] {
        let garden = on(pods);
        garden.update(stored, &edited(stored)).warns(&[rule]);
        assert!(!is_judged(stored, &with(stored.clone(), "/metadata/labels", json!({"a": "b"}))));
    }
    on("10.0.0.0/7").create(&shoot("10.5.0.0/27")).warns(&["networks/seed-too-wide", "networks/double-nat"]);
    // Apart from the Seed's Pods nothing is translated.
    on("172.16.0.0/12").update(&many, &edited(&many)).warns(&[]);
    on("12.0.0.0/7").create(&shoot("10.5.0.0/27")).warns(&[]);
}

/// It is the Seed that is too wide, whichever network comes first.
#[test]
fn a_wide_seed_is_no_news_for_another_network() {
    let mut garden = Garden::of(&[]);
    garden.snapshot.put_seed("eu1-a", SeedFacts { pods: "10.0.0.0/7".parse().ok(), ..SeedFacts::default() });
    assert!(garden.settings.policy.set(&rules::SEED_TOO_WIDE, Some(Severity::Deny)));
    let status = json!({"networking": {"nodes": ["10.250.0.0/16", "10.240.0.0/16"]}});
    let stored = with(shoot("10.250.0.0/16"), "/status", status);
    let other = with(stored.clone(), "/spec/networking/nodes", json!("10.240.0.0/16"));
    garden.update(&stored, &other).warns(&["networks/seed-too-wide"]);
    let pods = with(stored.clone(), "/spec/networking/pods", json!("11.0.0.0/16"));
    let said = garden.update(&stored, &pods);
    assert!(said.denied.is_empty(), "{said:#?}");
    garden.create(&shoot("10.250.0.0/16")).denies(&["networks/seed-too-wide"]);
}

#[test]
fn the_shoots_own_networks() {
    let garden = Garden::of(&[]);
    let new = |pods: &str| with(shoot("10.5.0.0/27"), "/spec/networking/pods", json!(pods));
    garden.create(&new("10.64.0.0/16")).warns(&["networks/double-nat"]);
    garden.create(&new("244.0.0.0/16")).denies(&["networks/reserved-range"]);
    garden.create(&new("10.5.0.0/16")).denies(&["networks/overlap"]);
    // Stored problems block nobody, new ones do.
    let stored = new("244.0.0.0/16");
    garden.update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&[]);
    garden
        .update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.1/26")))
        .denies(&["networks/not-canonical"]);
}
