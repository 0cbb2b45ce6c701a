//! What a user may not see must not shape the answer.

use super::*;
use crate::peering::rules::tests::stored::{THIRD, faults, third};

/// Everything that can be the matter with a target which does not list A, and that it is not there at all.
fn strangers() -> Vec<(&'static str, Option<Value>)> {
    let b = |nodes: &str| shoot(B, nodes, &[]);
    let disabled = with(shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")]), "/spec/extensions/0/disabled", json!(true));
    vec![
        ("absent", None),
        ("disjoint", Some(b("10.6.0.0/27"))),
        ("overlapping", Some(b("10.5.0.0/24"))),
        ("identical", Some(b("10.5.0.0/27"))),
        ("of another family", Some(b("fd00::/64"))),
        ("on another seed", Some(with(b("10.6.0.0/27"), "/spec/seedName", json!("eu1-b")))),
        ("moving", Some(with(b("10.6.0.0/27"), "/status", json!({"seedName": "eu1-b"})))),
        ("unscheduled", Some(with(b("10.6.0.0/27"), "/spec/seedName", Value::Null))),
        ("deleting", Some(with(b("10.6.0.0/27"), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")))),
        ("workerless", Some(with(b("10.6.0.0/27"), "/spec/provider", json!({})))),
        ("without networks", Some(with(b("10.6.0.0/27"), "/spec/networking", json!({})))),
        ("listing A, but disabled", Some(disabled)),
        ("listing others", Some(shoot(B, "10.5.0.0/24", &[peer("garden-bank/ledger", "eu1-a")]))),
        ("hibernated", Some(with(b("10.5.0.0/24"), "/spec/hibernation", json!({"enabled": true})))),
    ]
}

fn garden(target: Option<Value>) -> Garden {
    let third = shoot("garden-sales/web", "10.7.0.0/27", &[peer(A, "eu1-a")]);
    let shoots: Vec<Value> = target.into_iter().chain([third]).collect();
    Garden::of(&shoots).hiding(&[B])
}

/// Every request that names a stranger is answered with the same bytes, whatever is the matter with it, and after the
/// same questions.
#[test]
fn a_stranger_is_a_stranger_whatever_is_the_matter() {
    let alone = shoot(A, "10.5.0.0/27", &[]);
    let listed = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a"), peer("garden-sales/web", "eu1-a")]);
    let without_seed = shoot(A, "10.5.0.0/27", &[peer(B, "")]);
    let grown = with(listed.clone(), "/spec/networking/nodes", json!("10.5.0.0/24"));
    let no_nodes = with(listed.clone(), "/spec/networking", json!({}));
    let confirmed = with(listed.clone(), "/metadata/annotations", json!({CONFIRMATION: "true"}));
    let requests: Vec<(&str, Option<&Value>, Option<&Value>)> = vec![
        ("create", None, Some(&listed)),
        ("create without seed", None, Some(&without_seed)),
        ("create without nodes", None, Some(&no_nodes)),
        ("add", Some(&alone), Some(&listed)),
        ("add without seed", Some(&alone), Some(&without_seed)),
        ("grow", Some(&listed), Some(&grown)),
        ("lose nodes", Some(&listed), Some(&no_nodes)),
        ("remove", Some(&listed), Some(&alone)),
        ("confirm", Some(&listed), Some(&confirmed)),
        ("delete", Some(&listed), None),
    ];
    for (request, old, new) in requests {
        for stale in [false, true] {
            let mut first: Option<(Vec<Vec<u8>>, Questions)> = None;
            for (what, target) in strangers() {
                let mut garden = garden(target);
                if stale {
                    let live = garden.snapshot.shoots.iter();
                    garden.live =
                        live.map(|(name, facts)| (name.clone(), Answer::Found(Arc::new(facts.clone())))).collect();
                    garden.snapshot = Snapshot::default();
                    garden.is_stale = true;
                }
                let body = garden.request(old, new);
                let settings = &garden.settings;
                let handlers: [&dyn Handler; 3] =
                    [&MutateShoot::new(settings), &ValidateShoot::new(settings), &AdviseShoot::new(settings)];
                let answers: Vec<Vec<u8>> = handlers.iter().map(|handler| garden.call(*handler, &body).1).collect();
                let asked = garden.asked.take();
                match &first {
                    None => first = Some((answers, asked)),
                    Some((want, want_asked)) => {
                        assert_eq!(&answers, want, "{request}, {what}, stale: {stale}");
                        assert_eq!(&asked, want_asked, "{request}, {what}, stale: {stale}: other questions");
                    }
                }
            }
        }
    }
}

#[test]
fn the_words_for_a_stranger() {
    let said = garden(None).create(&shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")]));
    said.warns(&["target-hidden"]);
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[0]: garden-shop/orders cannot be verified with your \
         permissions; its owner must list this Shoot, and node networks must differ",
    );
}

/// Which Seed would be right is not told, and a guess is worded as one.
#[test]
fn the_words_for_another_seed() {
    let target = with(shoot(B, "10.6.0.0/27", &[peer(A, "eu1-a")]), "/spec/seedName", json!("eu1-b"));
    garden(Some(target)).create(&shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")])).says(
        "spec.extensions[0].providerConfig.shootPeerings[0].seed: eu1-a is probably not the Seed of garden-shop/orders; \
         ask the owner of the target",
    );
}

/// A hidden Shoot that lists A: verdicts are known, fields are not.
#[test]
fn consent_opens_verdicts_only() {
    let b = |nodes: &str| shoot(B, nodes, &[peer(A, "eu1-a")]);
    let a = |seed: &str| shoot(A, "10.5.0.0/27", &[peer(B, seed)]);
    for (what, target, seed, denied, warned) in [
        ("well", b("10.6.0.0/27"), "eu1-a", vec![], vec![]),
        ("overlapping", b("10.5.0.0/24"), "eu1-a", vec!["overlap"], vec![]),
        ("identical", b("10.5.0.0/27"), "eu1-a", vec!["overlap"], vec![]),
        ("other seed", with(b("10.6.0.0/27"), "/spec/seedName", json!("eu1-b")), "eu1-a", vec![], vec!["seed-wrong"]),
        (
            "moving",
            with(b("10.6.0.0/27"), "/status", json!({"seedName": "eu1-b"})),
            "eu1-b",
            vec![],
            vec!["target-hidden"],
        ),
        ("unscheduled", with(b("10.6.0.0/27"), "/spec/seedName", Value::Null), "eu1-a", vec![], vec!["target-hidden"]),
        (
            "deleting",
            with(b("10.6.0.0/27"), "/metadata/deletionTimestamp", json!("x")),
            "eu1-a",
            vec![],
            vec!["target-deleting"],
        ),
        ("workerless", with(b("10.6.0.0/27"), "/spec/provider", json!({})), "eu1-a", vec!["target-workerless"], vec![]),
        (
            "without networks",
            with(b("10.6.0.0/27"), "/spec/networking", json!({})),
            "eu1-a",
            vec![],
            vec!["target-hidden"],
        ),
        (
            "pods in the way",
            with(b("10.6.0.0/27"), "/spec/networking/pods", json!("10.5.0.0/16")),
            "eu1-a",
            vec![],
            vec![],
        ),
    ] {
        let garden = garden(Some(target));
        let body = garden.request(None, Some(&a(seed)));
        let (verdict, bytes) = garden.call(&ValidateShoot::new(&garden.settings), &body);
        let said = said(&verdict);
        assert_eq!((&said.denied, &said.warned), (&denied, &warned), "{what}");
        let bytes = String::from_utf8(bytes).unwrap();
        for secret in ["10.5.0", "10.6.0", "eu1-b", "identical"] {
            let in_request = secret == seed;
            assert!(in_request || !bytes.contains(secret), "{what} tells {secret}: {bytes}");
        }
    }
    // A network that grows into it.
    let stored = a("eu1-a");
    let grown = with(stored.clone(), "/spec/networking/nodes", json!("10.4.0.0/15"));
    let said = garden(Some(b("10.5.128.0/27"))).update(&stored, &grown);
    said.denies(&["breaks-peer"]);
    said.says(
        "spec.networking.nodes: overlaps the node network of garden-shop/orders, which is listed as a peer; \
         choose another, or remove the entry first",
    );
}

/// Consent that is gone when the live read looks counts no more.
#[test]
fn consent_is_read_anew() {
    let consenting = shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")]);
    let a = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")]);
    let name = ShootName::new("garden-shop", "orders");
    for live in [
        Answer::Absent,
        Answer::Unanswered("late".to_owned()),
        Answer::Found(Arc::new(facts_of(&shoot(B, "10.5.0.0/24", &[])))),
    ] {
        let mut garden = garden(Some(consenting.clone()));
        garden.live = vec![(name.clone(), live)];
        garden.create(&a).warns(&["target-hidden"]);
    }
}

/// Nobody learns who lists a Shoot, unless they may see them.
#[test]
fn listers_are_named_to_those_who_see_them() {
    let a = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")]);
    let lister = shoot(B, "10.6.0.0/27", &[peer(A, "eu1-a")]);
    let told = |garden: &Garden| garden.advise(&garden.request(Some(&a), None)).texts;
    let open = Garden::of(&[a.clone(), lister.clone()]);
    assert_eq!(told(&open), ["still listing this Shoot: garden-shop/orders; have them removed"]);
    let hidden = ["this Shoot lists 1 peer, and any entries for it stay where they are; have them removed"];
    assert_eq!(told(&Garden::of(&[a.clone(), lister]).hiding(&[B])), hidden);
    assert_eq!(told(&Garden::of(std::slice::from_ref(&a))), hidden);
}

/// However many strangers list a Shoot: their number is not told either.
#[test]
fn hidden_listers_are_not_counted() {
    let a = shoot(A, "10.5.0.0/27", &[]);
    let visible = |i: u32| shoot(&format!("garden-sales/v{i:02}"), "10.6.0.0/27", &[peer(A, "eu1-a")]);
    let hidden = |i: u32| shoot(&format!("garden-a/h{i:02}"), "10.6.0.0/27", &[peer(A, "eu1-a")]);
    let told = |strangers: u32| {
        let shoots: Vec<Value> = (0..25).map(visible).chain((0..strangers).map(hidden)).collect();
        let names: Vec<String> = (0..strangers).map(|i| format!("garden-a/h{i:02}")).collect();
        let garden = Garden::of(&shoots).hiding(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let said = garden.advise(&garden.request(Some(&a), None));
        (said.texts, garden.asked.take())
    };
    let alone = told(0);
    assert_eq!(alone.0.len(), 1);
    assert!(alone.0[0].ends_with("garden-sales/v04, and others; have them removed"), "{alone:?}");
    for strangers in [1, 2, 30, 200] {
        assert_eq!(told(strangers), alone, "{strangers} strangers");
    }
}

/// Peers of peers that cannot be seen: whether they overlap shapes neither the answer nor what is asked.
#[test]
fn peers_of_peers_are_asked_about_whatever_they_are() {
    const C: &str = "garden-bank/ledger";
    let stored = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")]);
    let grown = with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"));
    let between = shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a"), peer(C, "eu1-a")]);
    for hidden in [&[B, C][..], &[C]] {
        let told = |third: Option<Value>| {
            let shoots: Vec<Value> = third.into_iter().chain([stored.clone(), between.clone()]).collect();
            let garden = Garden::of(&shoots).hiding(hidden);
            let (_, bytes) = garden.call(&ValidateShoot::default(), &garden.request(Some(&stored), Some(&grown)));
            (bytes, garden.asked.take())
        };
        let absent = told(None);
        assert_eq!(told(Some(shoot(C, "10.5.0.32/27", &[peer(B, "eu1-a")]))), absent, "overlapping, {hidden:?}");
        assert_eq!(told(Some(shoot(C, "10.7.0.0/27", &[peer(B, "eu1-a")]))), absent, "disjoint, {hidden:?}");
        assert_eq!(told(Some(shoot(C, "10.5.0.32/27", &[]))), absent, "not a peer, {hidden:?}");
    }
}

/// An entry without a Seed is an entry: who writes it has agreed.
#[test]
fn consent_without_a_seed_is_consent() {
    for seed in [Value::Null, json!("")] {
        let b = shoot(B, "10.5.0.0/24", &[with(peer(A, ""), "/seed", seed)]);
        let a = shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")]);
        garden(Some(b.clone())).create(&a).denies(&["overlap"]);
        let said = Garden::of(&[b]).create(&a);
        assert_eq!((said.denied, said.warned), (vec!["overlap"], vec![]));
    }
}

/// A stored entry for a stranger, whatever is the matter with it, is as if it were not there.
#[test]
fn stored_strangers_stay_hidden() {
    for (what, target, seed, _) in faults() {
        let of_third = |third: &str| shoot(A, "10.5.0.0/27", &[peer(B, seed), peer(THIRD, third)]);
        let (stored, new) = (of_third("eu1-b"), of_third("eu1-a"));
        let told = |target: Option<Value>| {
            let shoots: Vec<Value> = target.into_iter().chain([third()]).collect();
            let garden = Garden::of(&shoots).hiding(&[B]);
            let (_, bytes) = garden.call(&ValidateShoot::default(), &garden.request(Some(&stored), Some(&new)));
            (bytes, garden.asked.take())
        };
        let stranger = target.map(|target| with(target, "/spec/extensions", json!([])));
        assert_eq!(told(stranger), told(None), "{what}");
    }
}
