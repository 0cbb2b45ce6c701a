//! What was stored before the webhook came blocks nobody, gardenlet least of all.

use serde_json::{Value, json};

use super::{apply, delete, entries, get, patch, patch_with, peer, peers_of, place, refused, shoot, silent, warned};
use crate::harness::{Garden, Kubectl};

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

/// A Shoot whose peering configuration has everything wrong that can be wrong.
fn broken() -> Value {
    let entries = [
        peer(CRM, "eu1-a"),
        peer(ORDERS, "eu1-b"),
        peer(ORDERS, "eu9"),
        peer("garden-shop/", "EU1"),
        json!({"name": "lost", "seedname": "eu1-a"}),
    ];
    let mut broken = shoot(CRM, "10.5.0.0/27", &entries);
    broken["metadata"]["finalizers"] = json!(["example.com/wait"]);
    broken
}

fn set_finalizers(kubectl: &Kubectl, finalizers: &Value) {
    silent(&patch(kubectl, CRM, &json!({"metadata": {"finalizers": finalizers}})));
}

#[test]
fn what_is_stored_blocks_nothing() {
    let garden = Garden::start_unregistered();
    let (admin, alice) = (garden.admin(), garden.alice());
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    place(&garden, "eu1-a", &broken());
    garden.settle();
    // Nobody said no, but the metrics know.
    assert_eq!(["overlapping", "stale_seed"].map(|state| entries(&garden, state)), ["2", "2"]);
    garden.register();

    // Everyday edits: no refusal, no warning.
    let crm = ["shoot", "crm", "-n", "garden-shop"];
    for (verb, change) in [("label", "team=crm"), ("annotate", "example.com/note=x"), ("label", "team-")] {
        silent(&alice.run(&[&[verb], &crm[..], &[change]].concat(), None));
    }
    for change in [
        json!({"spec": {"hibernation": {"enabled": true}}}),
        json!({"spec": {"hibernation": {"enabled": false}}}),
        json!({"spec": {"purpose": "testing"}}),
        json!({"spec": {"provider": {"workers": [{"name": "pool", "minimum": 2, "maximum": 5, "machine": {"type": "m1"}}]}}}),
    ] {
        silent(&patch(&alice, CRM, &change));
    }
    set_finalizers(&admin, &json!(["example.com/wait", "example.com/more"]));
    set_finalizers(&admin, &json!(["example.com/wait"]));
    // The same manifest again, and the same with one problem less.
    let mut less = broken();
    less["metadata"]["finalizers"] = json!(["example.com/wait"]);
    silent(&apply(&alice, &less));
    peers_of(&mut less).as_array_mut().unwrap().remove(3);
    let output = apply(&alice, &less);
    assert!(output.ok && output.stderr.contains("names this Shoot itself"), "{output:?}");
    // What is new is refused, and only that.
    let mut more = less.clone();
    peers_of(&mut more).as_array_mut().unwrap().push(peer("garden-shop/none", "eu1-a"));
    assert_eq!(
        refused(&apply(&alice, &more)),
        "Shoot garden-shop/crm is refused:\n\
         - spec.extensions[0].providerConfig.shootPeerings[4]: garden-shop/none does not exist; \
         correct the name, or create it first (peering/target-missing)\n"
    );

    // The way out is open: without the extension, and through deletion.
    let removed = patch(&alice, CRM, &json!({"spec": {"extensions": null}}));
    assert!(removed.ok, "{removed:?}");
    let restored = patch(&alice, CRM, &json!({"spec": {"extensions": broken()["spec"]["extensions"]}}));
    assert!(!restored.ok, "{restored:?}");
    garden.unregister();
    assert!(apply(&alice, &broken()).ok);
    garden.register();
    let (confirmed, deleted) = delete(&alice, CRM);
    assert!(confirmed.ok && deleted.ok, "{confirmed:?} {deleted:?}");
    assert!(get(&alice, CRM)["metadata"]["deletionTimestamp"].is_string());
    set_finalizers(&admin, &Value::Null);
    assert!(!alice.run(&["get", "shoot", "crm", "-n", "garden-shop"], None).ok, "gone");
    // That it listed itself need not be told to anybody.
    silent(&removed);
}

#[test]
fn gardenlet_is_never_refused() {
    let garden = Garden::start();
    let (alice, gardenlet) = (garden.alice(), garden.gardenlet("eu1-a"));
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    let mut crm = shoot(CRM, "", &[]);
    crm["spec"]["networking"].as_object_mut().unwrap().remove("nodes");
    place(&garden, "eu1-a", &crm);
    garden.settle();
    *peers_of(&mut crm) = json!([peer(ORDERS, "eu1-a")]);
    warned(
        &apply(&alice, &crm),
        &[
            "spec.networking.nodes: is not known yet, so overlaps with peers cannot be checked; \
             set it to have conflicts found now",
            "shootPeerings[0]: garden-shop/orders does not list this Shoot; \
             add there: - {name: crm, namespace: garden-shop, seed: eu1-a}",
        ],
    );

    let nodes = json!({"spec": {"networking": {"nodes": "10.5.0.0/27"}}});
    assert!(refused(&patch(&alice, CRM, &nodes)).contains("(peering/breaks-peer)"), "people are refused");

    // The infrastructure is ready, and it is what it is.
    let noted =
        || garden.guard.series("network_guard_findings_total", "rule=\"peering/breaks-peer\",severity=\"note\"");
    assert_eq!(noted().to_string(), "0");
    silent(&patch(&gardenlet, CRM, &nodes));
    assert_eq!(get(&alice, CRM)["spec"]["networking"]["nodes"], "10.5.0.0/27");
    assert_eq!(noted().to_string(), "1");
    garden.settle();
    assert_eq!(entries(&garden, "overlapping"), "1");
    // A stored conflict blocks no other write.
    let grown = patch(&alice, CRM, &json!({"spec": {"networking": {"nodes": "10.5.0.0/26"}}}));
    assert!(grown.ok, "{grown:?}");
}

/// The gardenlet of a self-hosted Shoot runs where its owner is at home.
#[test]
fn gardenlets_of_self_hosted_shoots_write_no_peerings() {
    let garden = Garden::start();
    let (alice, gardenlet) = (garden.alice(), garden.self_hosted_gardenlet(CRM));
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    place(&garden, "eu1-a", &shoot(CRM, "10.5.0.0/27", &[]));
    garden.settle();
    let listing = shoot(CRM, "10.5.0.0/27", &[peer(ORDERS, "eu1-a")]);
    let entries = json!({"spec": {"extensions": listing["spec"]["extensions"]}});
    let output = patch(&gardenlet, CRM, &entries);
    assert!(refused(&output).contains("(peering/overlap)"), "{output:?}");
    // What it writes, and everything else that people would be asked about, passes.
    silent(&patch(&gardenlet, CRM, &json!({"spec": {"networking": {"nodes": "10.5.0.0/26"}}})));
    let status = json!({"status": {"networking": {"nodes": ["10.5.0.0/26"]}}});
    silent(&patch_with(&gardenlet, CRM, &status, &["--subresource=status"]));
    assert_eq!(get(&alice, CRM)["spec"]["networking"]["nodes"], "10.5.0.0/26");
}
