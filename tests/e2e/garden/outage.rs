//! While the webhook is down, only what could break a peering has to wait.

use serde_json::{Value, json};

use super::{apply, apply_dry, delete, patch, peer, peers_of, place, refused, shoot, silent, warned};
use crate::harness::{Garden, eventually, until};

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

#[test]
fn an_outage_stops_new_peerings_only() {
    let mut garden = Garden::start();
    let alice = garden.alice();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    garden.settle();
    assert!(apply(&alice, &shoot(CRM, "10.5.1.0/24", &[peer(ORDERS, "eu1-a")])).ok);
    assert!(apply(&alice, &shoot("garden-shop/old", "10.5.2.0/24", &[peer(ORDERS, "eu1-a")])).ok);

    garden.guard.kill();
    // Shoots with peers live on: edits, scheduling, gardenlet, deletion.
    silent(&alice.run(&["label", "shoot", "crm", "-n", "garden-shop", "team=crm"], None));
    silent(&patch(&alice, CRM, &json!({"spec": {"hibernation": {"enabled": true}}})));
    let overlay = json!({"spec": {"networking": {"providerConfig": {"overlay": {"enabled": true}}}}});
    silent(&patch(&alice, CRM, &overlay));
    silent(&garden.schedule("garden-shop", "crm", "eu1-b"));
    silent(&patch(&garden.gardenlet("eu1-b"), CRM, &json!({"spec": {"networking": {"nodes": "10.5.1.0/25"}}})));
    let (confirmed, deleted) = delete(&alice, "garden-shop/old");
    silent(&confirmed);
    silent(&deleted);
    // So do Shoots that have nothing to do with peering.
    let mut plain = shoot("garden-shop/plain", "10.5.0.0/24", &[]);
    plain["spec"].as_object_mut().unwrap().remove("extensions");
    silent(&apply(&alice, &plain));
    silent(&patch(&alice, "garden-shop/plain", &json!({"spec": {"networking": {"nodes": "10.5.0.0/23"}}})));
    silent(&delete(&alice, "garden-shop/plain").1);

    // A new peering waits, also one to be created, and so does a new network.
    let mut more = shoot(ORDERS, "10.5.0.0/24", &[peer(CRM, "eu1-b")]);
    for (what, output) in [
        ("adding", apply(&alice, &more)),
        ("creating", apply(&alice, &shoot("garden-shop/new", "10.5.3.0/24", &[peer(ORDERS, "eu1-a")]))),
        ("growing", patch(&alice, CRM, &json!({"spec": {"networking": {"nodes": "10.5.0.0/23"}}}))),
    ] {
        let is_refused = !output.ok && output.stderr.contains("failed calling webhook \"validator.");
        assert!(is_refused, "{what}: {output:?}");
    }

    // Back: all is well without anybody doing anything.
    garden.guard.restart();
    until("the webhook is used again", || apply(&alice, &more).ok);
    peers_of(&mut more).as_array_mut().unwrap().push(peer(ORDERS, "eu1-a"));
    assert!(refused(&apply(&alice, &more)).contains("(peering/self)"));
}

#[test]
fn without_rights_nobody_is_refused() {
    let garden = Garden::start();
    let (admin, alice) = (garden.admin(), garden.alice());
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    garden.settle();
    let grant = |rules: &Value| {
        let rules = json!({"rules": rules}).to_string();
        admin.ok(&["patch", "clusterrole", "network-guard", "--type=merge", "-p", &rules], None);
    };
    let watch =
        json!({"apiGroups": ["core.gardener.cloud"], "resources": ["shoots", "seeds"], "verbs": ["list", "watch"]});
    let ask =
        json!({"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]});
    let overlapping = shoot(CRM, "10.5.0.0/27", &[peer(ORDERS, "eu1-a")]);
    // It cannot ask who may see what; then it cannot read again what it would refuse for.
    for rules in [json!([watch]), json!([watch, ask])] {
        grant(&rules);
        // The API server learns of new rights by a watch, and what was answered before is kept for a few seconds.
        let unverified = eventually("it is refused", || {
            let output = apply_dry(&alice, &overlapping);
            if output.stderr.contains("answers 403") { Ok(output) } else { Err(output.stderr) }
        });
        warned(
            &unverified,
            &["shootPeerings[0]: garden-shop/orders was not verified: the API server answers 403; \
               apply again to have it checked"],
        );
    }
}

#[test]
fn follows_an_api_server_that_comes_back() {
    let mut garden = Garden::start();
    let alice = garden.alice();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    garden.settle();
    garden.restart_gardener();
    assert!(garden.guard.health("/readyz").starts_with("HTTP/1.1 200"), "the last snapshot stays in use");
    place(&garden, "eu1-a", &shoot(CRM, "10.5.1.0/24", &[]));
    garden.settle();
    let overlapping = shoot("garden-shop/web", "10.5.1.0/24", &[peer(CRM, "eu1-a")]);
    until("the webhook is called again", || apply_dry(&alice, &overlapping).stderr.contains("(peering/identical)"));
}
