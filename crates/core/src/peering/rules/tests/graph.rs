//! Shoots that conflict over a peer that they share.

use super::pair::{a, to_b};
use super::*;

const C: &str = "garden-bank/ledger";

/// B, which lists A and C.
fn between() -> Value {
    shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a"), peer(C, "eu1-a")])
}

/// C on these nodes, which lists B.
fn far(nodes: &str) -> Value {
    shoot(C, nodes, &[to_b()])
}

#[test]
fn peers_of_peers_are_told_where_both_are_visible() {
    let stored = a(&[to_b()]);
    let garden = || Garden::of(&[stored.clone(), between(), far("10.5.0.32/27")]);
    let grown = with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"));
    let said = garden().update(&stored, &grown);
    said.warns(&["peers-follow", "peer-of-peer"]);
    said.says(
        "spec.networking.nodes: node network 10.5.0.0/26 overlaps 10.5.0.32/27 of garden-bank/ledger, which is a peer of \
         garden-shop/orders too; choose another one",
    );
    garden().hiding(&[C]).update(&stored, &grown).warns(&["peers-follow"]);
    // One that stays as it is is not compared.
    garden().update(&stored, &with(stored.clone(), "/spec/networking/pods", json!("10.128.0.0/16"))).warns(&[]);
    // Peers that do not peer with each other, and those that form a ring, are fine.
    let ring = shoot(C, "10.7.0.0/27", &[to_b(), peer(A, "eu1-a")]);
    let all = a(&[to_b(), peer(C, "eu1-a")]);
    Garden::of(&[between(), ring]).create(&all).warns(&[]);
    let apart = shoot(C, "10.7.0.0/27", &[peer(A, "eu1-a")]);
    Garden::of(&[shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a")]), apart]).create(&all).warns(&[]);
}

/// A new Shoot, or a new entry, on the range of somebody whom the peer lists already: that one's peering would go without a
/// word.
#[test]
fn who_comes_new_is_told_whose_range_it_takes() {
    let alone = a(&[]);
    for nodes in ["10.5.0.0/27", "10.5.0.0/24", "10.5.0.0/28"] {
        let garden = || Garden::of(&[between(), far(nodes)]);
        garden().create(&a(&[to_b()])).warns(&["peer-of-peer"]);
        garden().update(&alone, &a(&[to_b()])).warns(&["peer-of-peer"]);
        // Nobody learns of one who cannot be seen, be it the peer or its peer.
        garden().hiding(&[C]).create(&a(&[to_b()])).warns(&[]);
        garden().hiding(&[B]).create(&a(&[to_b()])).warns(&[]);
        garden().hiding(&[C]).update(&alone, &a(&[to_b()])).warns(&[]);
    }
    let said = Garden::of(&[between(), far("10.5.0.0/27")]).create(&a(&[to_b()]));
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[0]: node network 10.5.0.0/27 is identical to that of \
         garden-bank/ledger, which is a peer of garden-shop/orders too; choose another one",
    );
    // What is no peering is in nobody's way: disjoint, not listed by the peer, or one of the two does not list the other.
    for shoots in [
        [between(), far("10.7.0.0/27")],
        [shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a")]), far("10.5.0.0/27")],
        [between(), shoot(C, "10.5.0.0/27", &[])],
    ] {
        Garden::of(&shoots).create(&a(&[to_b()])).warns(&[]);
    }
    let lonely = shoot(B, "10.9.0.0/27", &[peer(C, "eu1-a")]);
    Garden::of(&[lonely, far("10.5.0.0/27")]).create(&a(&[to_b()])).warns(&["not-reciprocal"]);
    // A stored entry is not judged for what its writer left alone: another Seed for it, another entry beside it.
    let other = shoot("garden-shop/other", "10.8.0.0/27", &[peer(A, "eu1-a")]);
    let garden = Garden::of(&[between(), far("10.5.0.0/27"), other]);
    let stored = a(&[to_b()]);
    garden.update(&stored, &a(&[to_b(), peer("garden-shop/other", "eu1-a")])).warns(&[]);
    garden.update(&a(&[peer(B, "eu1-b")]), &stored).warns(&[]);
}

/// Operators may refuse it: then it rests on a live read, and blocks nobody who did not cause it.
#[test]
fn operators_may_refuse_who_takes_a_range() {
    let new = a(&[to_b()]);
    let garden = strict(&[between(), far("10.5.0.0/27")]);
    garden.create(&new).denies(&["peer-of-peer"]);
    let ledger = ShootName::new("garden-bank", "ledger");
    assert!(garden.asked.take().shoots.contains(&ledger), "a refusal is preceded by a live read");
    strict(&[between(), far("10.5.0.0/27")]).hiding(&[C]).create(&new).warns(&[]);
    let mut moved = strict(&[between(), far("10.5.0.0/27")]);
    moved.live = vec![(ledger.clone(), Answer::Found(Arc::new(facts_of(&far("10.7.0.0/27")))))];
    moved.create(&new).warns(&[]);
    moved.live = vec![(ledger, Answer::Absent)];
    moved.create(&new).warns(&[]);
    // It is stored: growing within it, and any other edit, passes.
    let garden = strict(&[new.clone(), between(), far("10.5.0.0/24")]);
    garden
        .update(&new, &with(new.clone(), "/spec/networking/nodes", json!("10.5.0.0/26")))
        .warns(&["peers-follow", "peer-of-peer"]);
    garden
        .update(&new, &with(new.clone(), "/spec/networking/nodes", json!("10.7.0.0/27")))
        .warns(&["nodes-shrink", "peers-follow"]);
    let garden = strict(&[new.clone(), between(), far("10.5.0.32/27")]);
    garden.update(&new, &with(new.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"))).denies(&["peer-of-peer"]);
}

fn strict(shoots: &[Value]) -> Garden {
    let mut garden = Garden::of(shoots);
    assert!(garden.settings.policy.set(&peering::rules::graph::PEER_OF_PEER, Some(Severity::Deny)));
    garden
}

/// A Shoot of the writer's that lists A and others.
fn own(i: u32, others: &[Value]) -> Value {
    let peers = [&[peer(A, "eu1-a")], others].concat();
    shoot(&format!("garden-sales/x{i}"), &format!("10.20.{i}.0/27"), &peers)
}

/// Long lists of other peers take nobody out of sight, wherever they stand.
#[test]
fn no_list_displaces_another() {
    let invented: Vec<Value> = (0..64).map(|i| peer(&format!("garden-0/n{i}"), "eu1-a")).collect();
    let garden = || strict(&[between(), far("10.5.0.0/27"), own(0, &invented)]);
    let x = || peer("garden-sales/x0", "eu1-a");
    for entries in [vec![to_b(), x()], vec![x(), to_b()]] {
        let said = garden().create(&a(&entries));
        assert_eq!((&*said.denied, &*said.warned), (&["peer-of-peer"][..], &["not-verified"][..]), "{said:#?}");
        said.says(
            "spec.extensions[0].providerConfig.shootPeerings: 1 peer of a peer was not compared: one request asks about 64; \
             their node networks may conflict",
        );
    }
    // Nobody misses a rule that is off.
    let mut garden = garden();
    assert!(garden.settings.policy.set(&peering::rules::graph::PEER_OF_PEER, None));
    garden.create(&a(&[to_b(), x()])).warns(&[]);
}

/// Peers that list somebody who does not list them are between nobody.
#[test]
fn one_sided_paths_count_for_nothing() {
    let to_c = || peer(C, "eu1-a");
    let all: Vec<Value> = (0..12).map(|i| own(i, &[to_c()])).chain([between(), far("10.5.0.0/27")]).collect();
    let own: Vec<Value> = (0..12).map(|i| peer(&format!("garden-sales/x{i}"), "eu1-a")).collect();
    for entries in [[&[to_b()], &*own].concat(), [&*own, &[to_b()]].concat()] {
        let said = strict(&all).create(&a(&entries));
        assert_eq!((&*said.denied, &*said.warned), (&["peer-of-peer"][..], &[][..]), "{said:#?}");
    }
}

#[test]
fn peers_of_peers_that_nobody_answers_about_are_told() {
    let other = peer("garden-bank/other", "eu1-a");
    let b = shoot(B, "10.9.0.0/27", &[peer(A, "eu1-a"), peer(C, "eu1-a"), other]);
    let mut garden = strict(&[b, far("10.5.0.0/27")]);
    garden.unanswered = ["ledger", "other"].map(|name| ShootName::new("garden-bank", name)).into();
    let said = garden.create(&a(&[to_b()]));
    said.warns(&["not-verified"]);
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings: 2 peers of peers were not compared: no answer in time; \
         their node networks may conflict",
    );
    // Nor is it silent where the live read before the refusal has no answer.
    garden.unanswered.clear();
    garden.live = vec![(ShootName::new("garden-bank", "ledger"), Answer::Unanswered("no answer in time".to_owned()))];
    garden.create(&a(&[to_b()])).warns(&["not-verified"]);
}

/// The lists of many peers are read up to a bound, each to the same part, and what was not read is told.
#[test]
fn no_more_entries_of_peers_are_read_than_there_is_room_for() {
    let others =
        |i: u32, count: u32| (0..count).map(|j| peer(&format!("garden-{i}/n{j}"), "eu1-a")).collect::<Vec<_>>();
    let entries: Vec<Value> = (0..150).map(|i| peer(&format!("garden-sales/x{i}"), "eu1-a")).collect();
    for (count, said) in [
        // 150 lists of 133 entries, the first of which is A.
        (132, "19736 peers of peers were not compared: one request asks about 64; "),
        (
            133,
            "up to 19886 peers of peers were not compared: one request asks about 64, and reads 20000 entries of peers; ",
        ),
        (
            160,
            "up to 23936 peers of peers were not compared: one request asks about 64, and reads 20000 entries of peers; ",
        ),
    ] {
        let mut garden = Garden::of(&(0..150).map(|i| own(i, &others(i, count))).collect::<Vec<_>>());
        garden.settings.peering.max_peers = 150;
        let texts = garden.create(&a(&entries)).texts;
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains(&format!(": {said}")), "{texts:?}");
    }
}
