//! What is stored blocks nobody; what is new is judged, whatever is stored beside it.

use super::*;

/// The entries of a Shoot replaced.
fn listing(entries: Value) -> Value {
    with(a(), "/spec/extensions/0/providerConfig/shootPeerings", entries)
}

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

/// Another Seed for an entry: it is judged anew by its Seed, and by nothing else.
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

/// What operators raise to a refusal still blocks no edit of something else, and rests on a live read.
#[test]
fn raised_rules_are_ratcheted_and_confirmed() {
    let strict = |shoots: &[Value]| {
        let mut garden = Garden::of(shoots);
        garden.settings.peering.default_node_networks = vec!["10.250.0.0/16".parse().unwrap()];
        for (rule, _) in peering::rules::documented() {
            garden.settings.policy.set(rule, Some(Severity::Deny));
        }
        garden
    };
    let grown = with(a(), "/spec/networking/nodes", json!("10.5.0.0/28"));
    let states = [
        shoot(B, "10.5.0.32/27", &[]),
        with(b(), "/status", json!({"seedName": "eu1-b"})),
        with(b(), "/spec/extensions/0/disabled", json!(true)),
        with(b(), "/spec/networking/pods", json!("10.5.0.0/24")),
        shoot(B, "fd00::/64", &[peer(A, "eu1-a")]),
        shoot(B, "10.250.0.0/27", &[peer(A, "eu1-a")]),
    ];
    for target in states {
        let said = strict(std::slice::from_ref(&target)).update(&a(), &grown);
        assert!(said.denied.is_empty(), "{target}: {said:#?}");
    }
    let said = strict(&[b()]).hiding(&[B]).update(&a(), &grown);
    assert!(said.denied.is_empty(), "{said:#?}");

    let mut garden = strict(&[shoot(B, "10.250.0.0/27", &[peer(A, "eu1-a")])]);
    garden.live = vec![(ShootName::new("garden-shop", "orders"), Answer::Found(Arc::new(facts_of(&b()))))];
    garden.create(&a()).warns(&[]);
    // Out of the default network one may always go.
    let default = with(a(), "/spec/networking/nodes", json!("10.250.1.0/27"));
    let said = strict(&[b()]).update(&default, &a());
    assert!(said.denied.is_empty(), "{said:#?}");
}

#[test]
fn a_rule_that_is_off_hides_no_other() {
    let mut garden = Garden::of(&[b()]);
    garden.settings.policy.set(&peering::rules::target::SEED_WRONG, None);
    garden.update(&shoot(A, "10.5.0.0/27", &[]), &listing(json!([peer(B, "eu9")]))).denies(&["seed-unknown"]);
    let mut garden = Garden::of(&[a(), b()]);
    garden.settings.policy.set(&peering::rules::networks::BREAKS_PEER, None);
    garden.update(&a(), &with(a(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&["peers-follow"]);
}

/// Stale caches of many targets, each of which hides a conflict behind it, end in two reads.
#[test]
fn many_stale_targets_end_soon() {
    let name = |i: u32| format!("garden-shop/s{i}");
    let stale = |i: u32| shoot(&name(i), "10.5.0.0/27", &[peer(A, "eu1-a")]);
    let mut garden = Garden::of(&(0..20).map(stale).collect::<Vec<_>>());
    garden.live = (0..20)
        .map(|i| {
            let live = shoot(&name(i), &format!("10.9.{i}.0/27"), &[peer(A, "eu1-a")]);
            (name_of(&live), Answer::Found(Arc::new(facts_of(&live))))
        })
        .collect();
    let entries: Vec<Value> = (0..20).map(|i| peer(&name(i), "eu1-a")).collect();
    garden.create(&listing(entries.into())).warns(&[]);
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

/// What only warned before, because nothing was translated, refuses when the writer makes it matter.
#[test]
fn a_stored_warning_does_not_excuse_a_new_refusal() {
    let large = with(shoot(A, "10.5.0.0/27", &[]), "/spec/networking/pods", json!("16.0.0.0/7"));
    let garden = Garden::of(&[]);
    garden.create(&large).warns(&["networks/does-not-fit"]);
    let overlapping = with(large.clone(), "/spec/networking/nodes", json!("10.70.0.0/24"));
    garden.update(&large, &overlapping).denies(&["networks/does-not-fit"]);
}

#[test]
fn growing_within_a_stored_overlap() {
    let garden = Garden::of(&[a(), shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")])]);
    garden.update(&a(), &with(a(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&["peers-follow"]);
}

/// Without access reviews the mutating webhook fills in nothing: that must not refuse what it would have filled in.
#[test]
fn what_could_not_be_filled_in_is_not_refused() {
    let mut garden = Garden::of(&[b()]);
    garden.is_down = true;
    let lacking = listing(json!([{"name": "orders", "namespace": "garden-shop"}]));
    garden.create(&garden.mutated(&lacking)).warns(&["seed-missing", "not-verified"]);
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

/// More entries than are permitted: what is beyond the limit is judged all the same, and not given up.
#[test]
fn beyond_the_limit_nothing_is_hidden() {
    let many =
        |count: usize| -> Vec<Value> { (0..count).map(|i| peer(&format!("garden-shop/s{i}"), "eu1-a")).collect() };
    let with_last = |last: Value| {
        let mut entries = many(100);
        entries.push(last);
        listing(entries.into())
    };
    let identical = shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")]);
    let garden = Garden::of(&[identical, shoot("garden-shop/other", "10.8.0.0/27", &[peer(A, "eu1-a")])]);
    let stored = with_last(peer("garden-shop/other", "eu1-a"));
    garden.update(&stored, &with_last(peer(B, "eu1-a"))).denies(&["identical"]);
    garden.update(&stored, &with_last(peer(A, "eu1-a"))).denies(&["self"]);
    let mut edited = stored.clone();
    edited.pointer_mut("/spec/extensions/0/providerConfig/shootPeerings/0/seed").unwrap().clone_from(&json!("eu1-b"));
    let said = garden.update(&stored, &edited);
    assert!(!said.warned.contains(&"left-one-sided"), "{said:#?}");
}

/// A hundred things wrong hide nothing that is wrong besides, and one of them may always go.
#[test]
fn many_stored_mistakes_are_no_cover() {
    let wrong = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|i| with(with(peer(&format!("garden-shop/s{i}"), "eu1-a"), "/x", json!(1)), "/y", json!(1)))
            .collect()
    };
    let shoots: Vec<Value> =
        (0..60).map(|i| shoot(&format!("garden-shop/s{i}"), &format!("10.8.{i}.0/27"), &[peer(A, "eu1-a")])).collect();
    let garden = Garden::of(&shoots);
    let said = garden.update(&listing(wrong(60).into()), &listing(wrong(60)[1..].into()));
    assert!(said.denied.is_empty(), "{said:#?}");
    let mut more = wrong(50);
    more.push(json!({"name": "s55", "namespace": "garden-shop", "seed": "eu1-a", "seedName": 1}));
    more.push(json!(7));
    garden.update(&listing(wrong(50).into()), &listing(more.into())).denies(&["unknown-field", "malformed"]);
}

/// One network that clashes is no excuse for another one.
#[test]
fn a_stored_clash_excuses_only_itself() {
    let dual =
        |object: Value, nodes: &str| with(object, "/status", json!({"networking": {"nodes": [nodes, "fd00::/64"]}}));
    let stored = dual(a(), "10.5.0.0/27");
    let target = dual(shoot(B, "10.6.0.0/27", &[peer(A, "eu1-a")]), "10.6.0.0/27");
    let moved = with(stored.clone(), "/spec/networking/nodes", json!("10.6.0.0/27"));
    let garden = Garden::of(&[stored.clone(), target.clone()]);
    garden.update(&stored, &moved).denies(&["breaks-peer"]);
    garden.hiding(&[B]).update(&stored, &moved).denies(&["breaks-peer"]);
    Garden::of(&[target])
        .update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/26")))
        .warns(&["peers-follow"]);
}

/// A field that goes does not take the network with it.
#[test]
fn a_network_that_is_not_asked_for_still_counts() {
    let stored = shoot(A, "10.5.0.0/27", &[]);
    let new = with(a(), "/spec/networking", json!({}));
    Garden::of(&[shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")])]).update(&stored, &new).denies(&["identical"]);
}

/// A network in IPv6's spelling: refused where it is new, left alone where it is stored, and free to be written plainly.
#[test]
fn ipv4_written_as_ipv6() {
    let (mapped, plain) = (shoot(A, "::ffff:10.5.0.0/123", &[]), shoot(A, "10.5.0.0/27", &[]));
    let pods = |object: &Value, text: &str| with(object.clone(), "/spec/networking/pods", json!(text));
    let rule = ["networks/ipv4-as-ipv6"];
    let garden = Garden::of(&[]);
    for (what, stored, new, denied) in [
        ("from plain", &plain, mapped.clone(), &rule[..]),
        ("in another way", &mapped, shoot(A, "::ffff:a05:0/123", &[]), &rule),
        ("another network", &mapped, shoot(A, "::ffff:10.5.0.0/122", &[]), &rule),
        ("one more", &mapped, pods(&mapped, "::ffff:100.96.0.0/107"), &rule),
        ("to plain", &mapped, plain.clone(), &[]),
        ("to plain and wider", &mapped, shoot(A, "10.5.0.0/24", &[]), &[]),
        ("something else", &mapped, pods(&mapped, "100.96.0.0/11"), &[]),
        ("something else that overlaps it", &mapped, pods(&mapped, "10.0.0.0/11"), &["networks/overlap"]),
    ] {
        let said = garden.update(stored, &new);
        assert_eq!(said.denied, denied, "{what}: {said:#?}");
    }
    // In a reserved range both are wrong; what is left after the first is corrected was stored.
    let reserved = |text: &str| shoot(A, text, &[]);
    garden.create(&reserved("::ffff:242.5.0.0/112")).denies(&["networks/ipv4-as-ipv6", "networks/reserved-range"]);
    garden.update(&reserved("::ffff:242.5.0.0/112"), &reserved("242.5.0.0/16")).warns(&[]);
}

#[test]
fn less_that_does_not_fit_is_better() {
    let seed = SeedFacts { pods: "10.64.0.0/11".parse().ok(), ..SeedFacts::default() };
    let mut garden = Garden::of(&[]);
    garden.snapshot.put_seed("eu1-a", seed);
    let stored = with(shoot(A, "10.64.0.0/10", &[]), "/status", json!({"networking": {"nodes": ["16.0.0.0/8"]}}));
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
    let many = with(shoot(A, "10.0.0.0/9", &[]), "/status", nodes);
    let edited = |stored: &Value| with(stored.clone(), "/spec/networking/services", json!("100.64.0.0/13"));
    for (pods, stored, rule) in [
        ("10.0.0.0/8", &many, "networks/does-not-fit"),
        ("10.0.0.0/7", &shoot(A, "10.5.0.0/27", &[]), "networks/seed-too-wide"),
    ] {
        let garden = on(pods);
        garden.update(stored, &edited(stored)).warns(&[rule]);
        let labelled = with(stored.clone(), "/metadata/labels", json!({"a": "b"}));
        garden.update(stored, &labelled).warns(&[]);
    }
    on("10.0.0.0/7").create(&shoot(A, "10.5.0.0/27", &[])).warns(&["networks/seed-too-wide", "networks/double-nat"]);
    // Apart from the Seed's Pods nothing is translated.
    on("172.16.0.0/12").update(&many, &edited(&many)).warns(&[]);
    on("12.0.0.0/7").create(&shoot(A, "10.5.0.0/27", &[])).warns(&[]);
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

/// So many entries of one list, all of which list A back where they are there.
fn numbered(range: std::ops::Range<u32>) -> Vec<Value> {
    range.map(|i| peer(&format!("garden-shop/s{i}"), "eu1-a")).collect()
}

/// Shoots that list A, on networks of their own.
fn mutual(range: std::ops::Range<u32>) -> Vec<Value> {
    let nodes = |i: u32| format!("10.{}.{}.0/27", 8 + i / 256, i % 256);
    range.map(|i| shoot(&format!("garden-shop/s{i}"), &nodes(i), &[peer(A, "eu1-a")])).collect()
}

/// Where operators let too many entries pass, what is wrong beyond the limit is found all the same.
#[test]
fn entries_beyond_a_weakened_limit_are_judged() {
    let garden = |shoots: &[Value]| {
        let mut garden = Garden::of(shoots);
        assert!(garden.settings.policy.set(&peering::rules::shape::TOO_MANY, Some(Severity::Warn)));
        garden
    };
    let identical = shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")]);
    let stored = listing(numbered(0..100).into());
    let and = |last: Value| listing(numbered(0..100).into_iter().chain([last]).collect::<Vec<_>>().into());
    let mut shoots = mutual(0..101);
    shoots.push(identical);
    for (what, last, created, appended) in [
        ("itself", peer(A, "eu1-a"), "self", "self"),
        ("an unknown field", with(peer(B, "eu1-a"), "/x", json!(1)), "unknown-field", "unknown-field"),
        ("twice", peer("garden-shop/s7", "eu1-a"), "duplicate", "duplicate"),
    ] {
        let said = garden(&shoots).create(&and(last.clone()));
        assert!(said.denied.contains(&created), "{what}, created: {said:#?}");
        let said = garden(&shoots).update(&stored, &and(last));
        assert!(said.denied.contains(&appended), "{what}, appended: {said:#?}");
    }
    garden(&shoots).update(&stored, &and(peer(B, "eu1-a"))).denies(&["identical"]);
    // More than any configuration permits: what is beyond all that is read is counted.
    let said = garden(&mutual(0..101)).create(&listing(numbered(0..3_000).into()));
    let counted = "2900 entries were not verified: one request looks up 100";
    assert!(said.texts.iter().any(|text| text.contains(counted)), "{:?}", said.texts);
    let said = garden(&[]).update(&listing(numbered(0..2_500).into()), &listing(numbered(0..2_501).into()));
    assert!(said.texts.iter().any(|text| text.contains("entries were not verified")), "{:?}", said.texts);
}

/// Who lists one more in front gives up nobody, however many there are.
#[test]
fn what_is_out_of_view_is_not_given_up() {
    for (permitted, stored) in [(100, 100), (1, 100), (100, 2_000), (100, 2_200)] {
        let mut garden = Garden::of(&mutual(0..2_201));
        garden.settings.peering.max_peers = permitted;
        let entries = numbered(0..stored);
        let more: Vec<Value> = numbered(2_200..2_201).into_iter().chain(entries.clone()).collect();
        let said = garden.update(&listing(entries.into()), &listing(more.into()));
        assert!(!said.warned.contains(&"left-one-sided"), "{stored} of {permitted}: {:?}", said.texts);
    }
    // Entries that cannot be read have places too.
    let garden = Garden::of(&mutual(0..90));
    let odd = |count: usize| vec![json!(7); count].into_iter().chain(numbered(0..90)).collect::<Vec<_>>();
    let said = garden.update(&listing(odd(60).into()), &listing(odd(59).into()));
    assert_eq!((&*said.denied, said.warned.contains(&"left-one-sided")), (&[][..], false), "{said:#?}");
}

/// Of more entries than are read some go: what was stored behind them comes into view, and refuses nothing.
#[test]
fn what_comes_into_view_blocks_nobody() {
    let mut entries = numbered(0..2_500);
    entries[2_400] = with(entries[2_400].clone(), "/x", json!(1));
    entries[2_410] = json!(7);
    entries[2_420] = peer(B, "eu1-b");
    let garden = Garden::of(&[b()]);
    for gone in [1, 500, 2_000] {
        let said = garden.update(&listing(entries.clone().into()), &listing(entries[gone..].to_vec().into()));
        assert!(said.denied.is_empty(), "{gone} are gone: {:?}", said.denied);
    }
    // The same of mistakes.
    let wrong = |count: usize| vec![json!(7); count].into_iter().collect::<Value>();
    let mut last = vec![json!({"a": 1, "b": 1, "c": 1}); 1_000];
    last.push(with(peer(B, "eu1-a"), "/x", json!(1)));
    let said = garden.update(&listing(last.clone().into()), &listing(last[900..].to_vec().into()));
    assert!(said.denied.is_empty(), "{:?}", said.denied);
    let said = garden.update(&listing(wrong(3_000)), &listing(wrong(2_999)));
    assert!(said.denied.is_empty(), "{:?}", said.denied);
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

/// It is the Seed that is too wide, whichever network comes first.
#[test]
fn a_wide_seed_is_no_news_for_another_network() {
    let mut garden = Garden::of(&[]);
    garden.snapshot.put_seed("eu1-a", SeedFacts { pods: "10.0.0.0/7".parse().ok(), ..SeedFacts::default() });
    assert!(garden.settings.policy.set(&crate::networks::rules::SEED_TOO_WIDE, Some(Severity::Deny)));
    let status = json!({"networking": {"nodes": ["10.250.0.0/16", "10.240.0.0/16"]}});
    let stored = with(shoot(A, "10.250.0.0/16", &[]), "/status", status);
    let other = with(stored.clone(), "/spec/networking/nodes", json!("10.240.0.0/16"));
    garden.update(&stored, &other).warns(&["networks/seed-too-wide"]);
    let pods = with(stored.clone(), "/spec/networking/pods", json!("11.0.0.0/16"));
    let said = garden.update(&stored, &pods);
    assert!(said.denied.is_empty(), "{said:#?}");
    garden.create(&shoot(A, "10.250.0.0/16", &[])).denies(&["networks/seed-too-wide"]);
}

/// A refusal that the live read confirms costs that read; all are read only where it brought something else to light.
#[test]
fn a_true_refusal_reads_only_what_it_rests_on() {
    let mut shoots = mutual(0..50);
    shoots.push(shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")]));
    let entries: Vec<Value> = numbered(0..50).into_iter().chain([peer(B, "eu1-a")]).collect();
    let new = listing(entries.into());
    let garden = Garden::of(&shoots);
    garden.create(&new).denies(&["identical"]);
    assert_eq!(garden.asked.take().shoots, [ShootName::new("garden-shop", "orders")].into());
    // What was read overlaps another one now: that one is read, and all others that may be seen, but not those that may not.
    let mut garden = Garden::of(&shoots).hiding(&["garden-shop/s49"]);
    let stranger = shoot("garden-shop/s49", "10.8.49.0/27", &[]);
    garden.snapshot.shoots.put(&name_of(&stranger), facts_of(&stranger));
    let moved = shoot(B, "10.8.7.0/27", &[peer(A, "eu1-a")]);
    garden.live = vec![(name_of(&moved), Answer::Found(Arc::new(facts_of(&moved))))];
    garden.create(&new).denies(&["peers-overlap"]);
    let asked = garden.asked.take().shoots;
    assert_eq!((asked.len(), asked.contains(&name_of(&stranger))), (50, false));
}
