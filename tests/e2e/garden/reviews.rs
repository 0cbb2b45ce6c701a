//! The reviews of Shoots that benchmarks and fuzzing start from are what the real gardener-apiserver sends.
//!
//! `UPDATE_FIXTURES=1 cargo test --test e2e reviews` writes them again.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use serde_json::{Value, json};

use super::{apply, delete, peer, peers_of, shoot};
use crate::harness::{Garden, until};
use crate::reviews::{compare, recorder};

const CRM: &str = "garden-shop/crm";

/// `webhook-config/garden.yaml` with every validating webhook at the recorder.
fn configuration(port: u16, ca: &Authority) -> Value {
    let (_, validating) = include_str!("../../../webhook-config/garden.yaml").split_once("\n---\n").unwrap();
    let mut configuration: Value = serde_saphyr::from_str(validating).unwrap();
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"] = json!({
            "url": format!("https://127.0.0.1:{port}/"),
            "caBundle": STANDARD.encode(ca.certificate()),
        });
    }
    configuration
}

/// A Shoot as people write them, with so many peers.
fn with_peers(count: usize) -> Value {
    let peers: Vec<Value> = (0..count).map(|i| peer(&format!("garden-shop/team-{i}"), "eu1-a")).collect();
    let mut shoot = shoot(CRM, "172.20.0.0/24", &peers);
    // Gardener would choose a time of its own.
    shoot["spec"]["maintenance"] = json!({"timeWindow": {"begin": "220000+0000", "end": "230000+0000"}});
    shoot
}

fn next(reviews: &Receiver<String>) -> String {
    // The writer has the answer to the write, so all webhooks were called by then.
    let review = reviews.try_recv().expect("a webhook is called");
    assert!(reviews.try_recv().is_err(), "one webhook is called, once");
    wait_for_another_second();
    review
}

/// The API server orders `managedFields` by time, in seconds: writes of one second would be ordered by chance.
fn wait_for_another_second() {
    let second = Timestamp::now().as_second();
    until("it is another second", || Timestamp::now().as_second() > second);
}

#[test]
fn recorded_reviews_are_what_gardener_apiserver_sends() {
    let garden = Garden::start_unregistered();
    let (admin, alice) = (garden.admin(), garden.alice());
    let ca = Authority::new("recorder CA", Timestamp::now(), Duration::from_secs(24 * 60 * 60)).unwrap();
    let (port, reviews) = recorder(&ca);
    admin.apply(&configuration(port, &ca));
    until("the recorder is called", || {
        let probe = with_peers(1).to_string();
        alice.ok(&["create", "--dry-run=server", "-f", "-"], Some(&probe));
        reviews.try_recv().is_ok()
    });
    while reviews.try_recv().is_ok() {}

    assert!(apply(&alice, &with_peers(10)).ok);
    compare("shoot-create", &next(&reviews));
    assert!(garden.schedule("garden-shop", "crm", "eu1-a").ok);
    compare("shoot-binding", &next(&reviews));
    // What gardenlet writes makes later reviews larger.
    let status = json!({"status": {
        "seedName": "eu1-a", "technicalID": "shoot--shop--crm",
        "networking": {"nodes": ["172.20.0.0/24"], "pods": ["100.96.0.0/11"], "services": ["100.64.0.0/13"]},
        "lastOperation": {"type": "Create", "state": "Succeeded", "progress": 100, "description": "", "lastUpdateTime": "2026-01-01T00:00:00Z"},
    }});
    let gardenlet = garden.gardenlet("eu1-a");
    assert!(super::patch_with(&gardenlet, CRM, &status, &["--subresource=status"]).ok);
    wait_for_another_second();
    let mut eleven = with_peers(11);
    assert_eq!(peers_of(&mut eleven).as_array().unwrap().len(), 11);
    assert!(apply(&alice, &eleven).ok);
    compare("shoot-update", &next(&reviews));
    assert!(delete(&alice, CRM).1.ok);
    // First the observer is told of the confirmation, then the advisor of the deletion.
    let _confirmation = reviews.try_recv().unwrap();
    compare("shoot-delete", &next(&reviews));
}
