//! A Shoot that somebody may not see: whatever is the matter with it, they read the same words.

use serde_json::{Value, json};

use super::{apply, apply_dry, delete, entries, patch, peer, place, refused, shoot, silent, warned};
use crate::harness::{Garden, Output, eventually, until};

const LEDGER: &str = "garden-billing/ledger";
const CRM: &str = "garden-shop/crm";

/// What kubectl prints and how it ends when `alice` lists `ledger`: in a new Shoot, in one that is stored, and without
/// a Seed. Nothing is stored by that.
fn told(garden: &Garden) -> Vec<(bool, String, String)> {
    let alice = garden.alice();
    let without_seed = json!({"name": "ledger", "namespace": "garden-billing"});
    let outputs: Vec<Output> = vec![
        apply_dry(&alice, &shoot("garden-shop/web", "10.5.0.0/27", &[peer(LEDGER, "eu1-a")])),
        apply_dry(&alice, &shoot("garden-shop/web", "10.5.0.0/27", &[without_seed])),
        apply_dry(&alice, &shoot(CRM, "10.5.0.0/27", &[peer(LEDGER, "eu1-a")])),
    ];
    outputs.into_iter().map(|output| (output.ok, output.stdout, output.stderr)).collect()
}

#[test]
fn a_hidden_shoot_is_told_from_an_absent_one_by_nobody() {
    let garden = Garden::start();
    let (alice, bob) = (garden.alice(), garden.bob());
    assert!(alice.run(&["get", "shoot", "-n", "garden-billing"], None).stderr.contains("Forbidden"));
    place(&garden, "eu1-a", &shoot(CRM, "10.5.0.0/27", &[]));
    garden.settle();

    let absent = told(&garden);
    let warning = "Warning: shootPeerings[0]: garden-billing/ledger cannot be verified with your permissions; its owner \
                   must list this Shoot, and node networks must differ\n";
    assert_eq!(absent[0], (true, "shoot.core.gardener.cloud/web created (server dry run)\n".into(), warning.into()));
    assert!(!absent[1].0 && absent[1].2.contains("(peering/seed-missing)"), "{absent:?}");
    assert_eq!(absent[2], (true, "shoot.core.gardener.cloud/crm configured (server dry run)\n".into(), warning.into()));

    let ledger = |nodes: &str, peers: &[Value]| shoot(LEDGER, nodes, peers);
    let workerless = {
        let mut ledger = ledger("", &[]);
        for field in ["networking", "credentialsBindingName"] {
            ledger["spec"].as_object_mut().unwrap().remove(field);
        }
        ledger["spec"]["provider"] = json!({"type": "metal"});
        ledger
    };
    for (what, seed, target) in [
        ("disjoint", Some("eu1-a"), ledger("10.6.0.0/27", &[])),
        ("overlapping", Some("eu1-a"), ledger("10.5.0.0/24", &[])),
        ("identical", Some("eu1-a"), ledger("10.5.0.0/27", &[])),
        ("on another Seed", Some("eu1-b"), ledger("10.6.0.0/27", &[])),
        ("without a Seed", None, ledger("10.6.0.0/27", &[])),
        ("without workers", Some("eu1-a"), workerless),
        ("listing another", Some("eu1-a"), ledger("10.5.0.0/24", &[peer("garden-billing/other", "eu1-a")])),
    ] {
        match seed {
            Some(seed) => place(&garden, seed, &target),
            None => silent(&apply(&bob, &target)),
        }
        garden.settle();
        assert_eq!(told(&garden), absent, "{what}");
        let (_, deleted) = delete(&bob, LEDGER);
        assert!(deleted.ok, "{what}: {deleted:?}");
    }

    // Being deleted.
    let mut deleting = ledger("10.5.0.0/24", &[]);
    deleting["metadata"]["finalizers"] = json!(["example.com/wait"]);
    place(&garden, "eu1-a", &deleting);
    assert!(delete(&bob, LEDGER).1.ok);
    assert!(super::get(&bob, LEDGER)["metadata"]["deletionTimestamp"].is_string());
    garden.settle();
    assert_eq!(told(&garden), absent, "being deleted");
}

#[test]
fn consent_tells_a_verdict_and_no_network() {
    let garden = Garden::start();
    let (alice, bob) = (garden.alice(), garden.bob());
    place(&garden, "eu1-b", &shoot(CRM, "10.5.0.0/27", &[]));
    place(&garden, "eu1-a", &shoot(LEDGER, "10.5.0.0/24", &[]));
    garden.settle();

    // bob lists her Shoot, and is told as little of it as she is of his.
    let hidden =
        "cannot be verified with your permissions; its owner must list this Shoot, and node networks must differ";
    warned(
        &apply(&bob, &shoot(LEDGER, "10.5.0.0/24", &[peer(CRM, "eu1-b")])),
        &[&format!("shootPeerings[0]: garden-shop/crm {hidden}")],
    );
    garden.settle();

    let listing = json!([{"op": "add", "path": "/spec/extensions/0/providerConfig/shootPeerings/0", "value": peer(LEDGER, "eu1-a")}]);
    let add = ["patch", "shoot", "crm", "-n", "garden-shop", "--type=json", "-p", &listing.to_string()];
    let output = alice.run(&add, None);
    assert_eq!(
        refused(&output),
        "Shoot garden-shop/crm is refused:\n\
         - spec.extensions[0].providerConfig.shootPeerings[0]: this node network overlaps that of garden-billing/ledger; \
         choose disjoint node networks (peering/overlap)\n"
    );
    assert!(!output.stderr.contains("10.5."), "{output:?}");

    // bob chooses another one: the peering comes about, and nobody had to tell.
    assert!(patch(&bob, LEDGER, &json!({"spec": {"networking": {"nodes": "10.6.0.0/24"}}})).ok);
    garden.settle();
    silent(&alice.run(&add, None));
    garden.settle();
    assert_eq!(entries(&garden, "reciprocal"), "2");
}

#[test]
fn who_is_let_in_sees_more() {
    let garden = Garden::start();
    let (admin, alice) = (garden.admin(), garden.alice());
    place(&garden, "eu1-a", &shoot(LEDGER, "10.5.0.0/24", &[]));
    garden.settle();
    let listing = shoot(CRM, "10.5.0.0/27", &[peer(LEDGER, "eu1-a")]);
    assert!(apply_dry(&alice, &listing).ok);
    let rights = ["create", "rolebinding", "guest", "-n", "garden-billing", "--role=member", "--user=alice"];
    admin.ok(&rights, None);
    // Answers to access reviews are remembered for some seconds.
    let output = eventually("alice is told more", || {
        let output = apply_dry(&alice, &listing);
        if output.ok { Err(output.stderr) } else { Ok(output) }
    });
    assert!(refused(&output).contains("node network 10.5.0.0/27 overlaps 10.5.0.0/24 of garden-billing/ledger"));
    admin.ok(&["delete", "rolebinding", "guest", "-n", "garden-billing"], None);
    until("alice is told less", || apply_dry(&alice, &listing).ok);
}
