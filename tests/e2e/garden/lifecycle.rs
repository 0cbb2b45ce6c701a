//! A Shoot's life: scheduled, moved to another Seed, deleted. And its own networks.

use serde_json::json;

use super::{apply, delete, get, on, patch, patch_with, peer, shoot, silent, warned};
use crate::harness::{Garden, bind};

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

#[test]
fn scheduled_moved_and_deleted() {
    let garden = Garden::start();
    let (admin, alice) = (garden.admin(), garden.alice());
    silent(&apply(&alice, &shoot(ORDERS, "10.5.0.0/24", &[])));
    garden.settle();

    // Scheduling waits for nobody and is told nothing.
    silent(&garden.schedule("garden-shop", "orders", "eu1-a"));
    garden.settle();
    assert!(apply(&alice, &shoot(CRM, "10.5.1.0/24", &[peer(ORDERS, "eu1-a")])).ok);
    silent(&garden.schedule("garden-shop", "crm", "eu1-b"));
    garden.settle();
    silent(&apply(&alice, &shoot(ORDERS, "10.5.0.0/24", &[peer(CRM, "eu1-b")])));
    let status = json!({"status": {
        "seedName": "eu1-a",
        "networking": {"nodes": ["10.5.0.0/24"], "pods": ["100.96.0.0/11"], "services": ["100.64.0.0/13"]},
        "lastOperation": {"type": "Create", "state": "Succeeded", "progress": 100, "description": "", "lastUpdateTime": "2026-01-01T00:00:00Z"},
    }});
    silent(&patch_with(&garden.gardenlet("eu1-a"), ORDERS, &status, &["--subresource=status"]));
    garden.settle();

    // A move makes the entries of its peers stale: writers who may see those are told.
    warned(
        &bind(&admin, "garden-shop", "orders", "eu1-b"),
        &["spec.seedName: listing this Shoot with seed eu1-a: garden-shop/crm; change it to eu1-b there"],
    );
    garden.settle();
    // From then on the old Seed is the one that it comes from.
    let touched = shoot(CRM, "10.5.1.0/25", &[peer(ORDERS, "eu1-a")]);
    assert!(apply(&alice, &touched).stderr.contains("is moving from eu1-a to eu1-b; write eu1-b"));
    let moved = json!({"status": {"seedName": "eu1-b"}});
    silent(&patch_with(&garden.gardenlet("eu1-b"), ORDERS, &moved, &["--subresource=status"]));
    garden.settle();
    assert_eq!(super::entries(&garden, "stale_seed"), "1");
    // gardener-scheduler may see no Shoots here, and learns of none.
    silent(&garden.schedule("garden-shop", "crm", "eu1-a"));
    garden.settle();

    // Switched off and on again.
    let mut disabled = shoot(CRM, "10.5.1.0/25", &[peer(ORDERS, "eu1-b")]);
    let enabled = disabled.clone();
    assert!(apply(&alice, &enabled).ok);
    garden.settle();
    disabled["spec"]["extensions"][0]["disabled"] = json!(true);
    warned(
        &apply(&alice, &disabled),
        &[
            "spec.extensions[0]: is disabled and still lists 1 peer, not connected; remove them, or enable it",
            "garden-shop/orders still lists this Shoot; its entry has no effect any more, have it removed",
        ],
    );
    garden.settle();
    assert_eq!(["reciprocal", "one_sided"].map(|state| super::entries(&garden, state)), ["0", "1"]);
    assert!(apply(&alice, &enabled).ok);
    garden.settle();

    // The end: warnings, no refusal.
    let (confirmed, deleted) = delete(&alice, ORDERS);
    warned(
        &confirmed,
        &["metadata.annotations: this Shoot still lists 1 peer, and nobody removes entries for it; \
           remove them on both sides first"],
    );
    warned(&deleted, &["still listing this Shoot: garden-shop/crm; have them removed"]);
    assert!(!alice.run(&["get", "shoot", "orders", "-n", "garden-shop"], None).ok, "gone");
    garden.settle();

    // All at once.
    assert!(apply(&alice, &shoot(ORDERS, "10.5.0.0/24", &[peer(CRM, "eu1-a")])).ok);
    let confirm = ["annotate", "shoot", "--all", "-n", "garden-shop", "confirmation.gardener.cloud/deletion=true"];
    assert!(alice.run(&confirm, None).ok);
    let all = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots";
    let output = alice.run(&["delete", "--raw", all], None);
    assert!(output.ok, "{output:?}");
    assert_eq!(alice.ok(&["get", "shoots", "-n", "garden-shop", "-o", "name"], None), "");
}

#[test]
fn networks_of_shoot_and_seed() {
    let garden = Garden::start();
    let admin = garden.admin();
    let with = |field: &str, network: &str| {
        let mut shoot = on("eu1-a", shoot(CRM, "10.5.0.0/24", &[]));
        shoot["spec"]["networking"][field] = json!(network);
        shoot
    };
    // What double NAT takes care of is permitted, and said.
    warned(
        &apply(&admin, &with("pods", "10.64.0.0/16")),
        &["spec.networking.pods: 10.64.0.0/16 overlaps the Pods 10.64.0.0/11 of Seed eu1-a; \
           allowed, double NAT translates between them"],
    );
    // Said once: a writer who edits something else is left alone.
    silent(&patch(&admin, CRM, &json!({"spec": {"purpose": "testing"}})));
    silent(&patch(&admin, CRM, &json!({"spec": {"networking": {"nodes": "10.5.0.0/23"}}})));
    assert_eq!(get(&admin, CRM)["spec"]["networking"]["pods"], "10.64.0.0/16");
    assert!(delete(&admin, CRM).1.ok);

    // What Gardener refuses stays refused, in its own words.
    for (field, network) in [("pods", "243.0.0.0/16"), ("services", "10.5.0.0/16"), ("pods", "10.0.0.1/16")] {
        let output = apply(&admin, &with(field, network));
        assert!(!output.ok && !output.stderr.contains("network-guard"), "{field} {network}: {output:?}");
    }
}
