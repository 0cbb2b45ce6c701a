//! Faults where the charts of the garden are installed, behind the real gardener-apiserver.

use std::process::Command;

use serde_json::json;

use super::super::RUNTIME;
use super::super::rights::garden::{AT_HOME, NAME, NAMESPACE, install_charts};
use super::Place;
use super::play::{Walk, again, gardener, monitored, patiently};
use super::self_managed::{Installed, take};
use crate::garden::{apply, peer, place, shoot};
use crate::harness::{Garden, Guard, eventually, only, until};

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";
const PAY: &str = "garden-shop/pay";

#[test]
fn alerts_of_the_garden_fire() {
    let mut rendered = Default::default();
    let mut garden = Garden::start_installed(&[], |virtual_garden| {
        let (guard, objects) = install_charts(virtual_garden);
        rendered = objects;
        guard
    });
    let [registered, at_home] = rendered;
    let folder = garden.control_plane().folder().to_owned();
    garden.guard.wait_until_ready();
    let mut second = garden.guard.replica("second");
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
    let installed = Installed {
        admin: garden.admin(),
        namespace: RUNTIME,
        ca: "network-guard-garden-certificates",
        accounts: [format!("{RUNTIME}:{AT_HOME}"), format!("{NAMESPACE}:{NAME}")],
        roles: [only(&at_home, "Role").clone(), only(&registered, "ClusterRole").clone()],
        registration: (kinds, AT_HOME),
    };
    let [_, chart] = monitored();
    let mut walk = Walk::new(Place::Garden, [chart]);
    installed.walk(&mut walk, &garden.guard, &second);
    garden.wait_until_called();
    let healthy = take(&garden.guard, &second);

    // Nobody answers: what has to be reviewed is refused, and the API server counts why. It counts nothing before.
    let mut before = healthy.clone();
    before.push(gardener(garden.scrape_gardener()));
    garden.guard.kill();
    second.kill();
    let failed = again(|| {
        let output = apply(&garden.alice(), &shoot(CRM, "10.5.0.0/24", &[]));
        assert!(!output.ok && output.stderr.contains("failed calling webhook"), "{output:?}");
        let mut after = healthy.clone();
        after.push(gardener(garden.scrape_gardener()));
        after
    });
    let validator = [("name", "validator.admission-network-guard.extensions.gardener.cloud")];
    walk.fires("NetworkGuardCallsFail", &validator, &before, &failed);
    // One call, as while a node is lost; and old ones, of which nobody heard for a while.
    walk.fires_not("NetworkGuardCallsFail", &before, &failed[..1]);
    walk.fires_not("NetworkGuardCallsFail", &healthy, &failed[..1]);

    // Meanwhile, and with nothing registered, peerings are stored that carry nothing.
    garden.admin().ok(&["delete", kinds, AT_HOME], None);
    let entries = [
        (ORDERS, "10.5.0.0/24", vec![peer(CRM, "eu1-a"), peer(PAY, "eu1-a")]),
        (CRM, "10.5.0.0/25", vec![peer(ORDERS, "eu1-a")]),
        (PAY, "10.5.0.0/26", vec![peer(ORDERS, "eu1-a")]),
    ];
    for (name, nodes, peers) in &entries {
        eventually("they are stored", || {
            let output = apply(&garden.alice(), &shoot(name, nodes, peers));
            if output.ok { Ok(()) } else { Err(output.stderr) }
        });
        place(&garden, "eu1-a", &shoot(name, nodes, peers));
    }
    garden.guard.start_again();
    second.start_again();
    installed.settle([&garden.guard, &second]);
    for (alert, state) in
        [("NetworkGuardPeeringsOverlap", "overlapping"), ("NetworkGuardPeersOfOneShootOverlap", "peers_overlapping")]
    {
        until(state, || garden.guard.series("network_guard_peering_entries", &format!("state=\"{state}\"")) > 0.5);
        walk.fires(alert, &[], &healthy, &[take(&garden.guard, &second)]);
    }

    installed.walk_with_other_settings(&mut walk, &mut garden.guard, &mut second, &folder);
    second.start_again();
    installed.settle([&garden.guard, &second]);

    // The virtual garden answers nothing any more. What it is asked live takes its time, and has no answer in the end.
    let healthy = take(&garden.guard, &second);
    garden.control_plane().pause_api_server();
    let mut asker = 0;
    let slow = again(|| {
        asker += 1;
        ask(&garden.guard, &format!("somebody-{asker}"));
        take(&garden.guard, &second)
    });
    walk.fires("NetworkGuardSlow", &[("handler", "validate-shoot")], &healthy, &slow);
    walk.fires("NetworkGuardLookupsUnanswered", &[("what", "access")], &healthy, &slow);
    patiently("the landscape is old", || garden.guard.metric("network_guard_cache_age_seconds") > 120.0);
    walk.fires("NetworkGuardLandscapeStale", &[("pod", "a")], &healthy, &[take(&garden.guard, &second)]);
    walk.end();
}

/// Sends a review of a new Shoot with a peer, in the name of somebody of whom nothing is remembered, as an API server that
/// waits for five seconds.
fn ask(guard: &Guard, user: &str) {
    let mut object = shoot(CRM, "10.6.0.0/24", &[peer(ORDERS, "eu1-a")]);
    object["apiVersion"] = json!("core.gardener.cloud/v1beta1");
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "CREATE", "namespace": "garden-shop", "name": "crm",
            "resource": {"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"},
            "userInfo": {"username": user}, "object": object,
        },
    })
    .to_string();
    let url = format!("{}/webhooks/validate/shoot?timeout=5s", guard.url());
    let arguments = ["-s", "-k", "-m", "90", "-H", "Content-Type: application/json", "-d", &review, &url];
    assert!(Command::new("curl").args(arguments).output().unwrap().status.success());
}
