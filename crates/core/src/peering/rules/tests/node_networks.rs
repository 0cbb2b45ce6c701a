//! Node networks of two that list each other.

use super::pair::{a, b, no_peers, to_b};
use super::*;

const C: &str = "garden-bank/ledger";

/// A networks, B networks, whether B lists A: what is said about a new entry.
#[test]
fn node_networks_of_a_pair() {
    for (own, other, want) in [
        ("10.5.0.0/27", "10.5.0.32/27", None),
        ("10.5.0.0/24", "10.5.0.32/27", Some("overlap")),
        ("10.5.0.0/27", "10.5.0.0/27", Some("identical")),
        ("10.5.0.0/26", "10.5.0.32/27", Some("overlap")),
        ("10.250.0.0/16", "10.250.7.0/27", Some("overlap")),
        ("0.0.0.0/0", "10.5.0.0/27", Some("overlap")),
        ("2001:db8::/32", "2001:db8:1::/48", Some("overlap")),
        ("10.5.0.0/27", "10.5.0.0/8", Some("overlap")),
        // Written as IPv6 it is still an IPv4 network.
        ("10.5.0.0/27", "::ffff:10.5.0.0/104", Some("overlap")),
        ("::ffff:10.5.0.0/123", "10.5.0.0/27", Some("identical")),
        ("10.5.0.0/27", "::fffe:10.5.0.0/104", None),
    ] {
        let garden = Garden::of(&[b(other)]);
        let new = shoot(A, own, &[to_b()]);
        let about_the_pair =
            |said: Said| said.denied.into_iter().filter(|rule| !rule.contains('/')).collect::<Vec<_>>();
        let denied = about_the_pair(garden.create(&new));
        assert_eq!(denied, want.into_iter().collect::<Vec<_>>(), "{own} {other}");
        let stored = shoot(A, own, &[]);
        let denied: Vec<&str> = garden.update(&stored, &new).denied;
        assert_eq!(denied, want.into_iter().collect::<Vec<_>>(), "{own} {other} on update");
    }
    Garden::of(&[b("fd00::/64")]).create(&a(&[to_b()])).warns(&["no-common-family"]);
}

#[test]
fn the_message_names_both_networks() {
    let said = Garden::of(&[b("10.5.0.32/27")]).create(&shoot(A, "10.5.0.0/24", &[to_b()]));
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[0]: node network 10.5.0.0/24 overlaps 10.5.0.32/27 of \
         garden-shop/orders; choose disjoint node networks",
    );
}

#[test]
fn dual_stack_compares_every_pair() {
    let a = with(no_peers(), "/status", json!({"networking": {"nodes": ["10.5.0.0/27", "fd00:a::/64"]}}));
    let new = with(a.clone(), "/spec/extensions/0/providerConfig", config(&[to_b()]));
    let b = with(b("10.5.0.32/27"), "/status", json!({"networking": {"nodes": ["fd00:a:0:0:1::/80"]}}));
    Garden::of(&[b]).update(&a, &new).denies(&["overlap"]);
}

#[test]
fn the_status_of_a_request_is_not_believed() {
    let new = with(a(&[to_b()]), "/status", json!({"networking": {"nodes": ["10.5.0.32/27"]}}));
    Garden::of(&[b("10.5.0.32/27")]).create(&new).warns(&[]);
}

#[test]
fn a_growing_network_must_not_reach_a_peer() {
    let stored = a(&[to_b()]);
    let garden = Garden::of(&[stored.clone(), b("10.5.0.32/27")]);
    let grown = |nodes: &str| with(stored.clone(), "/spec/networking/nodes", json!(nodes));
    let said = garden.update(&stored, &grown("10.5.0.0/26"));
    said.denies(&["breaks-peer"]);
    said.says(
        "spec.networking.nodes: 10.5.0.0/26 overlaps 10.5.0.32/27 of garden-shop/orders, which is listed as a peer; \
         choose another, or remove the entry first",
    );
    garden.update(&stored, &grown("10.4.0.0/26")).warns(&["nodes-shrink", "peers-follow"]);
    // A peer that only lists this Shoot is none of its business.
    let alone = no_peers();
    let garden = Garden::of(&[alone.clone(), b("10.5.0.32/27")]);
    garden.update(&alone, &with(alone.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&[]);
}

#[test]
fn a_stored_conflict_can_always_be_left() {
    let stored = with(a(&[to_b()]), "/status", json!({"networking": {"nodes": ["10.5.0.0/27"]}}));
    let garden = Garden::of(&[stored.clone(), b("10.5.0.0/27")]);
    garden
        .update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.6.0.0/27")))
        .warns(&["nodes-shrink", "peers-follow"]);
    garden
        .update(&stored, &with(stored.clone(), "/spec/extensions/0/providerConfig", config(&[])))
        .warns(&["left-one-sided"]);
    // Another entry may come while the conflict is there.
    let third = shoot(C, "10.7.0.0/27", &[peer(A, "eu1-a")]);
    let garden = Garden::of(&[stored.clone(), b("10.5.0.0/27"), third]);
    let more = with(stored.clone(), "/spec/extensions/0/providerConfig", config(&[to_b(), peer(C, "eu1-a")]));
    garden.update(&stored, &more).warns(&["identical"]);
}

#[test]
fn two_peers_must_not_overlap() {
    let c = shoot(C, "10.6.0.0/27", &[peer(A, "eu1-a")]);
    let both = a(&[to_b(), peer(C, "eu1-a")]);
    let garden = Garden::of(&[b("10.6.0.0/24"), c.clone()]);
    let said = garden.create(&both);
    said.denies(&["peers-overlap"]);
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[1]: node networks 10.6.0.0/24 of garden-shop/orders and \
         10.6.0.0/27 of garden-bank/ledger overlap; remove one of the two",
    );
    garden.update(&a(&[to_b()]), &both).denies(&["peers-overlap"]);
    // It was stored before, and is not touched.
    garden.update(&both, &with(both.clone(), "/spec/networking/nodes", json!("10.5.0.0/26"))).warns(&["peers-follow"]);
    let garden = Garden::of(&[b("10.6.0.0/24"), c.clone()]).hiding(&[C]);
    let said = garden.create(&both);
    said.denies(&["peers-overlap"]);
    assert!(!format!("{said:?}").contains("10.6.0.0/27"), "{said:?}");
    let stranger = shoot(C, "10.6.0.0/27", &[]);
    Garden::of(&[b("10.6.0.0/24"), stranger]).hiding(&[C]).create(&both).warns(&["target-hidden"]);
}

#[test]
fn networks_that_are_not_known_yet() {
    let new = with(a(&[to_b()]), "/spec/networking", json!({}));
    let said = Garden::of(&[b("10.5.0.32/27")]).create(&new);
    said.warns(&["nodes-unknown"]);
    said.says(
        "spec.networking.nodes: is not known yet, so overlaps with peers cannot be checked; \
         set it to have conflicts found now",
    );
}

#[test]
fn removing_the_node_network() {
    let stored = with(a(&[to_b()]), "/status", json!({"networking": {"nodes": ["10.5.0.0/27"]}}));
    let garden = Garden::of(&[stored.clone(), b("10.5.0.32/27")]);
    garden.update(&stored, &with(stored.clone(), "/spec/networking", json!({}))).warns(&["nodes-removed"]);
    let garden = Garden::of(&[stored.clone(), shoot(B, "10.5.0.32/27", &[])]);
    garden.update(&stored, &with(stored.clone(), "/spec/networking", json!({}))).warns(&["not-reciprocal"]);
}

#[test]
fn growing_within_a_stored_overlap() {
    let garden = Garden::of(&[a(&[to_b()]), shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")])]);
    garden
        .update(&a(&[to_b()]), &with(a(&[to_b()]), "/spec/networking/nodes", json!("10.5.0.0/26")))
        .warns(&["peers-follow"]);
}

/// One network that clashes is no excuse for another one.
#[test]
fn a_stored_clash_excuses_only_itself() {
    let dual =
        |object: Value, nodes: &str| with(object, "/status", json!({"networking": {"nodes": [nodes, "fd00::/64"]}}));
    let stored = dual(a(&[to_b()]), "10.5.0.0/27");
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
    let new = with(a(&[to_b()]), "/spec/networking", json!({}));
    Garden::of(&[shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")])]).update(&stored, &new).denies(&["identical"]);
}

/// Of three on the same networks each pair is told once, whatever number of networks they share.
#[test]
fn pairs_of_dual_stack_peers_are_told_once() {
    let dual = |name: &str| {
        let shoot = shoot(&format!("garden-shop/{name}"), "10.9.0.0/27", &[peer(A, "eu1-a")]);
        with(shoot, "/status", json!({"networking": {"nodes": ["10.9.0.0/27", "fd00::/64"]}}))
    };
    let garden = Garden::of(&[dual("x"), dual("y"), dual("z")]);
    let new = shoot(A, "10.5.0.0/27", &["x", "y", "z"].map(|name| peer(&format!("garden-shop/{name}"), "eu1-a")));
    garden.create(&new).denies(&["peers-overlap", "peers-overlap", "peers-overlap"]);
}
