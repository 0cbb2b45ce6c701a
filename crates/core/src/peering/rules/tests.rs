//! What the rules about peerings find in Shoots of a garden, and what they say.

mod confirmed;
mod graph;
mod lifecycle;
mod limits;
mod node_networks;
mod nodes;
mod pair;
mod peerings;
mod ratchet;
mod shapes;
pub(crate) mod stored;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::diagnostics::ratchet::Scope;
use crate::diagnostics::{Finding, Policy};
use crate::gardener::shoot::PEERING_TYPE;
use crate::gardener::{SeedFacts, ShootName};
use crate::landscape::garden::{self, Judge, Said, facts_of, is_judged, name_of, with};
use crate::landscape::{Answer, Questions, Snapshot, View};
use crate::peering;

/// The judging functions of this room, with their settings.
#[derive(Default)]
struct Judging {
    peering: peering::Settings,
    policy: Policy,
}

impl Judge for Judging {
    fn judge(&self, scope: Scope<'_>, view: &mut View<'_>) -> Vec<Finding> {
        let confirmed = self.policy.apply(peering::deletion_confirmed(scope).into_iter().collect());
        let (found, _) = peering::judge(scope, &self.peering, &self.policy, false, view);
        confirmed.into_iter().chain(found).collect()
    }
}

type Garden = garden::Garden<Judging>;

/// Two Shoots that list each other.
pub(crate) const A: &str = "garden-sales/crm";
pub(crate) const B: &str = "garden-shop/orders";

pub(crate) fn a() -> Value {
    shoot(A, "10.5.0.0/27", &[peer(B, "eu1-a")])
}

pub(crate) fn b() -> Value {
    shoot(B, "10.5.0.32/27", &[peer(A, "eu1-a")])
}

/// An entry of `shootPeerings`.
pub(crate) fn peer(name: &str, seed: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({"name": name, "namespace": namespace, "seed": seed})
}

pub(crate) fn config(peers: &[Value]) -> Value {
    json!({"apiVersion": peering::API_VERSION, "kind": peering::KIND, "shootPeerings": peers})
}

/// Shoot A with other entries.
pub(crate) fn listing(entries: Value) -> Value {
    with(a(), "/spec/extensions/0/providerConfig/shootPeerings", entries)
}

/// A scheduled Shoot with workers.
pub(crate) fn shoot(name: &str, nodes: &str, peers: &[Value]) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "Shoot",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "seedName": "eu1-a",
            "networking": {"nodes": nodes},
            "provider": {"workers": [{"name": "w"}]},
            "extensions": [{"type": PEERING_TYPE, "providerConfig": config(peers)}],
        },
    })
}

/// A Shoot with everything wrong that can be stored.
pub(crate) fn broken() -> Value {
    let entries = [peer(A, "eu9"), peer(B, "eu9"), peer(B, "x"), json!({"name": ""}), json!(5)];
    let broken = with(shoot(A, "10.5.0.1/27", &entries), "/spec/extensions/0/providerConfig/surprise", json!(1));
    with(broken, "/spec/networking/pods", json!("10.5.0.0/16"))
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

/// kubectl prints each warning as one line.
#[test]
fn warnings_are_short() {
    for rule in RULES.iter().copied().flatten() {
        let example = rule.example().unwrap();
        let path = example.path.below("providerConfig").map_or_else(String::new, |path| format!("{path}: "));
        let line = format!("{path}{}", example.text());
        assert!(line.chars().count() <= 160, "{}: {} characters: {line}", rule.name, line.chars().count());
    }
}
