//! What does not work of what is stored: who edits the list of peers is told, and is not refused.

use super::*;

/// A, as it is stored and as it is written, with these entries.
fn listing(entries: &[Value]) -> Value {
    shoot(A, "10.5.0.0/27", entries)
}

/// A third Shoot, with nothing the matter.
pub(crate) const THIRD: &str = "garden-shop/third";

pub(crate) fn third() -> Value {
    shoot(THIRD, "10.8.0.0/27", &[peer(A, "eu1-a")])
}

/// Everything that can be the matter with a stored entry for B, which lists A back; and what is told of it.
pub(crate) fn faults() -> Vec<(&'static str, Option<Value>, &'static str, &'static str)> {
    let b = |nodes: &str| shoot(B, nodes, &[peer(A, "eu1-a")]);
    let fine = || b("10.9.0.0/27");
    vec![
        ("overlapping", Some(b("10.5.0.0/24")), "eu1-a", "overlap"),
        ("identical", Some(b("10.5.0.0/27")), "eu1-a", "identical"),
        ("missing", None, "eu1-a", "target-missing"),
        (
            "dying",
            Some(with(fine(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))),
            "eu1-a",
            "target-deleting",
        ),
        (
            "workerless",
            Some(with(with(fine(), "/spec/provider", json!({})), "/spec/networking", json!({}))),
            "eu1-a",
            "target-workerless",
        ),
        ("on another Seed", Some(fine()), "eu1-b", "seed-wrong"),
        ("on no Seed that there is", Some(fine()), "eu9", "seed-wrong"),
        ("beside another peer", Some(b("10.8.0.0/24")), "eu1-a", "peers-overlap"),
    ]
}

#[test]
fn who_edits_the_list_hears_of_the_rest_of_it() {
    for (what, target, seed, rule) in faults() {
        let fourth = shoot("garden-shop/fourth", "10.10.0.0/27", &[peer(A, "eu1-a")]);
        let shoots: Vec<Value> = target.clone().into_iter().chain([third(), fourth]).collect();
        let fault = || peer(B, seed);
        let (third, fourth) = (|| peer(THIRD, "eu1-a"), || peer("garden-shop/fourth", "eu1-a"));
        let stored = listing(&[fault(), third()]);
        for is_strict in [false, true] {
            let garden = || {
                let mut garden = Garden::of(&shoots);
                for rule in peering::rules::RULES.iter().copied().flatten().filter(|_| is_strict) {
                    garden.settings.policy.set(rule, Some(Severity::Deny));
                }
                garden
            };
            for (edit, new) in [
                ("one more", listing(&[fault(), third(), fourth()])),
                ("one more, first", listing(&[fourth(), fault(), third()])),
                ("another Seed for another one", listing(&[fault(), third()])),
            ] {
                let old = match edit {
                    "another Seed for another one" => listing(&[fault(), peer(THIRD, "eu1-b")]),
                    _ => stored.clone(),
                };
                let said = garden().update(&old, &new);
                assert_eq!((&*said.denied, &*said.warned), (&[][..], &[rule][..]), "{what}, {edit}: {said:#?}");
            }
            let said = garden().update(&listing(&[fault(), third(), fourth()]), &stored);
            assert_eq!(
                (&*said.denied, said.warned.iter().filter(|warned| **warned == rule).count()),
                (&[][..], 1),
                "{what}, one less: {said:#?}"
            );
            // Other edits say nothing, and ask nothing.
            let turned = listing(&[third(), fault()]);
            let garden = garden();
            let said = garden.update(&stored, &turned);
            assert!(said.texts.is_empty() && garden.asked.take().is_empty(), "{what}, turned: {said:#?}");
            // The fault itself may go.
            let said = garden.update(&stored, &listing(&[third()]));
            assert!(said.denied.is_empty() && !said.warned.contains(&rule), "{what}, gone: {said:#?}");
        }
    }
}

/// Of those that the writer may not see as little is told as of new entries, and less.
#[test]
fn of_hidden_ones_only_verdicts_are_told() {
    for (what, target, seed, rule) in faults() {
        let new = listing(&[peer(B, seed), peer(THIRD, "eu1-a")]);
        let stored = listing(&[peer(B, seed), peer(THIRD, "eu1-b")]);
        let shoots: Vec<Value> = target.into_iter().chain([third()]).collect();
        let garden = Garden::of(&shoots).hiding(&[B]);
        let said = garden.update(&stored, &new);
        // It lists A, which is consent to verdicts.
        let verdict = match rule {
            "identical" => Some("overlap"),
            "target-missing" => None,
            "seed-wrong" if seed == "eu9" => Some("seed-unknown"),
            rule => Some(rule),
        };
        assert_eq!(said.denied, Vec::<&str>::new(), "{what}");
        assert_eq!(said.warned.first().copied(), verdict, "{what}: {said:#?}");
        assert!(
            !(said.warned.contains(&"seed-unknown") && said.warned.contains(&"seed-wrong")),
            "{what}, twice: {said:#?}"
        );
    }
}

/// What its writer breaks now is refused as ever, beside what was stored.
#[test]
fn new_conflicts_are_refused_beside_stored_ones() {
    // Twenty-five stored pairs, and a new one.
    let stored = numbered(0..8);
    let mut shoots: Vec<Value> =
        (0..8).map(|i| shoot(&format!("garden-shop/s{i}"), "10.8.0.0/24", &[peer(A, "eu1-a")])).collect();
    shoots.push(shoot(B, "10.8.0.0/27", &[peer(A, "eu1-a")]));
    let more: Vec<Value> = stored.iter().cloned().chain([peer(B, "eu1-a")]).collect();
    let said = Garden::of(&shoots).update(&listing(&stored), &listing(&more));
    assert_eq!(said.denied, ["peers-overlap"; 8], "{said:#?}");
    assert!(!said.warned.is_empty(), "{said:#?}");
    // A network that grows into one peer, while the entry of another is added: a stored clash is a warning, a new one is not.
    let clashing = shoot(B, "10.5.0.0/28", &[peer(A, "eu1-a")]);
    let next = shoot("garden-shop/next", "10.5.0.32/27", &[peer(A, "eu1-a")]);
    let garden = Garden::of(&[clashing, next, third()]);
    let (b, next) = (|| peer(B, "eu1-a"), || peer("garden-shop/next", "eu1-a"));
    let new = with(listing(&[b(), next(), peer(THIRD, "eu1-a")]), "/spec/networking/nodes", json!("10.5.0.0/26"));
    let said = garden.update(&listing(&[b(), next()]), &new);
    assert_eq!((&*said.denied, &*said.warned), (&["breaks-peer"][..], &["overlap"][..]), "{said:#?}");
}

/// A landscape may have more entries stored than are permitted now: they can be taken away one by one.
#[test]
fn fewer_entries_are_always_better() {
    let many = |range| listing(&numbered(range));
    let garden = Garden::of(&[]);
    for (new, rules) in [(many(1..150), &["too-many"][..]), (many(0..100), &[])] {
        let mut said = garden.update(&many(0..150), &new);
        // None of them is there, which is told and refuses nothing.
        said.warned.retain(|rule| *rule != "target-missing");
        said.warns(rules);
    }
    let more = many(0..151);
    // What is new is judged too, wherever it stands.
    garden.update(&many(0..150), &more).denies(&["too-many", "target-missing"]);
}
