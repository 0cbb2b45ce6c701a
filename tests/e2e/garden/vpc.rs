//! Two Shoots without an overlay in one VPC: who is told that their Pod networks overlap, and who is not.

use serde_json::{Value, json};

use super::{apply, apply_dry, delete, patch, peer, place, shoot, silent, warned};
use crate::harness::{Garden, Output, eventually, until};

const LEDGER: &str = "garden-billing/ledger";
const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

/// Where Shoots of the provider of these tests name a VPC.
const CONFIG: &str = "overlay: {vpcs: {metal: {paths: [network.id], scope: landscape}}, routeLimits: {metal: 4}}";

/// A Shoot with Calico and without an overlay, in the VPC `shared`.
fn native(name: &str, pods: &str, nodes: &str) -> Value {
    let mut shoot = shoot(name, nodes, &[]);
    let spec = &mut shoot["spec"];
    spec.as_object_mut().unwrap().remove("extensions");
    spec["networking"]["type"] = json!("calico");
    spec["networking"]["providerConfig"] = json!({"overlay": {"enabled": false}});
    spec["networking"]["pods"] = json!(pods);
    spec["provider"]["infrastructureConfig"] = json!({"network": {"id": "shared"}});
    shoot
}

fn overlaps(own: &str, whom: &str) -> String {
    format!(
        "spec.networking.pods: {own} overlaps Pods of {whom}, without an overlay in the same VPC shared; \
         choose another Pod network, or keep the overlay"
    )
}

#[test]
fn pod_networks_of_one_vpc_are_compared_as_far_as_they_are_seen() {
    let garden = Garden::start_with(CONFIG);
    let (admin, alice, bob) = (garden.admin(), garden.alice(), garden.bob());
    let told = || {
        let outputs = [
            apply_dry(&alice, &native(CRM, "100.112.0.0/16", "10.5.0.0/27")),
            apply_dry(&alice, &native(CRM, "100.80.0.0/16", "10.5.0.0/27")),
        ];
        outputs.map(|output| (output.ok, output.stdout, output.stderr))
    };
    let absent = told();
    assert!(absent.iter().all(|(ok, _, warnings)| *ok && warnings.is_empty()), "{absent:?}");

    // bob's Shoot: alice is told nothing of it, whatever it is.
    for pods in ["100.112.0.0/16", "100.112.7.0/24", "100.96.0.0/16"] {
        place(&garden, "eu1-a", &native(LEDGER, pods, "10.6.0.0/27"));
        garden.settle();
        assert_eq!(told(), absent, "{pods}");
        assert!(delete(&bob, LEDGER).1.ok);
    }
    place(&garden, "eu1-a", &native(LEDGER, "100.112.0.0/24", "10.6.0.0/27"));
    garden.settle();

    // Her own project's Shoot is named to her, and his is not.
    place(&garden, "eu1-a", &native(ORDERS, "100.112.128.0/17", "10.5.1.0/27"));
    garden.settle();
    let crm = native(CRM, "100.112.0.0/16", "10.5.0.0/27");
    let of_orders = overlaps("100.112.0.0/16", "garden-shop/orders (100.112.128.0/17)");
    warned(&apply_dry(&alice, &crm), &[&of_orders]);
    // Once she may see his project, and her Shoot lists a peer there, it is named too.
    let mut listing = crm.clone();
    listing["spec"]["extensions"] = shoot(CRM, "10.5.0.0/27", &[peer(LEDGER, "eu1-a")])["spec"]["extensions"].clone();
    let output = apply_dry(&alice, &listing);
    assert!(output.ok && output.stderr.contains(&of_orders) && !output.stderr.contains("ledger ("), "{output:?}");
    let rights = ["create", "rolebinding", "guest", "-n", "garden-billing", "--role=member", "--user=alice"];
    admin.ok(&rights, None);
    let of_both =
        overlaps("100.112.0.0/16", "garden-shop/orders (100.112.128.0/17), garden-billing/ledger (100.112.0.0/24)");
    eventually("alice is told more", || {
        let output = apply_dry(&alice, &listing);
        if output.ok && output.stderr.contains(&of_both) { Ok(()) } else { Err(output.stderr) }
    });
    // A Shoot that names nobody of another project is compared with those of its own, and for operators with all.
    warned(&apply_dry(&alice, &crm), &[&of_orders]);
    warned(&apply_dry(&admin, &crm), &[&of_both]);
    admin.ok(&["delete", "rolebinding", "guest", "-n", "garden-billing"], None);
    until("alice is told less", || !apply_dry(&alice, &listing).stderr.contains(&of_both));

    // What is stored is not said again; what she changes is.
    warned(&apply(&alice, &crm), &[&of_orders]);
    garden.settle();
    let crm_name = ["shoot", "crm", "-n", "garden-shop"];
    silent(&alice.run(&[&["label"], &crm_name[..], &["team=crm"]].concat(), None));
    silent(&patch(&alice, CRM, &json!({"spec": {"hibernation": {"enabled": true}}})));
    let workers = |maximum: u32| json!({"spec": {"provider": {"workers": [{"name": "pool", "minimum": 1, "maximum": maximum, "maxSurge": 0, "maxUnavailable": 1, "machine": {"type": "m1"}}]}}});
    silent(&patch(&alice, CRM, &workers(4)));
    warned(
        &patch(&alice, CRM, &workers(5)),
        &["spec.provider.workers: may become 5 nodes, but metal permits 4 routes, one for each node; \
           have the quota raised, or lower the maximum"],
    );
    silent(&patch(&alice, CRM, &workers(3)));
    let overlay =
        |enabled: bool| json!({"spec": {"networking": {"providerConfig": {"overlay": {"enabled": enabled}}}}});
    // Of this provider nothing is known but what the configuration says: nobody claims anything about its routes.
    silent(&patch(&alice, CRM, &overlay(true)));
    garden.settle();
    let output = patch(&alice, CRM, &overlay(false));
    assert!(output.ok, "{output:?}");
    assert!(output.stderr.contains(&of_orders), "{output:?}");
    assert!(!output.stderr.contains("ledger"), "{output:?}");
    assert!(delete(&alice, CRM).1.ok);
}

/// Raised to `deny`, a Shoot that may have more nodes than routes is refused, and the way back stays open.
#[test]
fn a_route_limit_that_denies_refuses() {
    let garden = Garden::start_with(
        "overlay: {vpcs: {metal: {paths: [network.id], scope: landscape}}, routeLimits: {metal: 4}}\nrules: {overlay/route-limit: deny}",
    );
    let alice = garden.alice();
    let workers = |maximum: u32| json!({"name": "pool", "minimum": 1, "maximum": maximum, "maxSurge": 0, "maxUnavailable": 1, "machine": {"type": "m1"}});
    let with = |maximum: u32| {
        let mut shoot = native(CRM, "100.112.0.0/16", "10.5.0.0/27");
        shoot["spec"]["provider"]["workers"] = json!([workers(maximum)]);
        shoot
    };
    let words = "spec.provider.workers: may become 5 nodes, but metal permits 4 routes, one for each node";
    let refused = |output: &Output| {
        let is_ours = output.stderr.contains("observer.admission-network-guard.extensions.gardener.cloud\" denied");
        assert!(!output.ok && is_ours && output.stderr.contains(words), "{output:?}");
    };
    refused(&apply(&alice, &with(5)));
    silent(&apply(&alice, &with(4)));
    garden.settle();
    refused(&patch(&alice, CRM, &json!({"spec": {"provider": {"workers": [workers(5)]}}})));
    silent(&patch(&alice, CRM, &json!({"spec": {"provider": {"workers": [workers(3)]}}})));
    assert!(delete(&alice, CRM).1.ok);
}
