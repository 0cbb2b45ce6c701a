//! More entries, or more mistakes, than are read: what is stored beyond a limit blocks nobody, and hides nothing.

use super::*;

/// More entries than are permitted: what is beyond the limit is judged all the same, and not given up.
#[test]
fn beyond_the_limit_nothing_is_hidden() {
    let with_last = |last: Value| {
        let mut entries = numbered(0..100);
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
