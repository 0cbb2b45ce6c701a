//! Faults where the chart of a Seed is installed, with a Shoot.

use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::SEED;
use super::super::rights::seed::{NAME, install_chart};
use super::Place;
use super::play::{Walk, again, monitored, patiently};
use super::self_managed::{Installed, take};
use crate::harness::{Guard, PREFIX, Patch, Shoot, Switch, eventually, fixture, only, review, until};

fn overlay() -> Value {
    json!({"overlay": {"enabled": true}})
}

fn native() -> Value {
    json!({"overlay": {"enabled": false}})
}

/// A switch that is held.
fn pending(shoot: &Shoot) {
    shoot.reconcile(&overlay()).ok();
    shoot.reconcile(&native()).ok();
    assert_eq!(shoot.held("state"), "pending");
}

#[test]
fn alerts_of_a_seed_fire() {
    let mut objects = Vec::new();
    let mut switch = Switch::start_installed(&[], |seed, shoot_server| {
        let (guard, rendered) = install_chart(seed, shoot_server, true);
        objects = rendered;
        guard
    });
    let folder = switch.seed.control_plane.folder().to_owned();
    let mut first = switch.seed.take_guard();
    first.wait_until_ready();
    let mut second = first.replica("second");
    let account = format!("{SEED}:{NAME}");
    let installed = Installed {
        admin: switch.seed.control_plane.admin(),
        namespace: SEED,
        ca: "network-guard-certificates",
        accounts: [account.clone(), account],
        roles: ["Role", "ClusterRole"].map(|kind| only(&objects, kind).clone()),
        registration: ("mutatingwebhookconfigurations", NAME),
    };
    let [seed, _] = monitored();
    let mut walk = Walk::new(Place::Seed, [seed]);
    installed.walk(&mut walk, &first, &second);
    clusters(&mut walk, &switch, &first, &second);
    webhooks_in_shoots(&mut walk, &switch, &installed, &first, &second);
    walk_switches(&mut walk, &switch, &first, &second);
    installed.walk_with_other_settings(&mut walk, &mut first, &mut second, &folder);

    // Nothing comes from the API server any more. It is asked live then, and what it does not answer takes its time.
    second.start_again();
    installed.settle([&first, &second]);
    let healthy = take(&first, &second);
    switch.seed.control_plane.pause_api_server();
    let slow = again(|| {
        ask(&first, &review("shoot--nobody--knows"));
        take(&first, &second)
    });
    walk.fires("NetworkGuardSlow", &[("handler", "kube-apiserver")], &healthy, &slow);
    for (alert, metric) in [
        ("NetworkGuardLandscapeStale", "network_guard_cache_age_seconds"),
        ("NetworkGuardVpnNetworksStale", "network_guard_vpn_networks_age_seconds"),
        ("NetworkGuardOverlayStale", "network_guard_overlay_cache_age_seconds"),
    ] {
        patiently(metric, || first.metric(metric) > 120.0);
        walk.fires(alert, &[("pod", "a")], &healthy, &[take(&first, &second)]);
    }
    walk.end();
    drop((first, second));
    drop(switch);
}

/// Sends a review as an API server that waits for five seconds.
fn ask(guard: &Guard, review: &str) {
    let url = format!("{}/webhooks/mutate/kube-apiserver?timeout=5s", guard.url());
    let arguments = ["-s", "-k", "-m", "90", "-H", "Content-Type: application/json", "-d", review, &url];
    assert!(Command::new("curl").args(arguments).output().unwrap().status.success());
}

/// A Cluster whose networks nobody can read, and one that has grown before its kube-apiserver was told.
fn clusters(walk: &mut Walk, switch: &Switch, first: &Guard, second: &Guard) {
    let control_plane = &switch.seed.control_plane;
    let admin = control_plane.admin();
    let healthy = take(first, second);
    let mut cluster = fixture("ha-overlap", "cluster");
    let good = cluster.clone();
    cluster["spec"]["shoot"]["spec"]["networking"]["pods"] = json!("100.96.0.0/33");
    control_plane.apply_cluster(&cluster);
    until("it is seen", || first.metric("network_guard_clusters_unreadable") > 0.5);
    walk.fires("NetworkGuardClustersUnreadable", &[], &healthy, &[take(first, second)]);

    cluster = good;
    control_plane.apply_cluster(&cluster);
    until("it is read", || first.metric("network_guard_clusters_unreadable") < 0.5);
    let output = eventually("the Deployment is taken", || {
        let output = admin.run(&["apply", "-f", "-"], Some(&fixture("ha-overlap", "deployment").to_string()));
        if output.ok { Ok(output) } else { Err(output.stderr) }
    });
    assert!(output.ok);
    until("it is compared", || first.metric("network_guard_vpn_networks_compared") > 0.5);
    assert!(first.metric("network_guard_vpn_networks_differ") < 0.5);
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.251.0.0/16"]);
    control_plane.apply_cluster(&cluster);
    until("it differs", || first.metric("network_guard_vpn_networks_differ") > 0.5);
    walk.fires("NetworkGuardVpnNetworksDiffer", &[], &healthy, &[take(first, second)]);

    let namespace = cluster["metadata"]["name"].as_str().unwrap();
    admin.ok(&["delete", "deployment", "kube-apiserver", "-n", namespace], None);
    admin.ok(&["delete", "clusters.extensions.gardener.cloud", namespace], None);
    until("it is over", || first.metric("network_guard_vpn_networks_differ") < 0.5);
}

/// The webhook of the VPN cannot be written into a Shoot that needs it.
fn webhooks_in_shoots(walk: &mut Walk, switch: &Switch, installed: &Installed, first: &Guard, second: &Guard) {
    let healthy = take(first, second);
    let failures = || {
        let name = "network_guard_vpn_shoot_registration_failures_total";
        first.metric(name) + second.metric(name)
    };
    switch.shoot.reconcile(&overlay()).ok();
    let question = ["patch", "managedresources.resources.gardener.cloud/network-guard-vpn-shoot"];
    let keep = |rule: &Value| (!rule.to_string().contains("network-guard-vpn-shoot")).then(|| rule.clone());
    installed.restrict(1, keep, &question);
    switch.shoot.seed_pods("10.250.128.0/17");
    let after = again(|| {
        let count = failures();
        until("it fails", || failures() > count);
        take(first, second)
    });
    walk.fires("NetworkGuardShootWebhooksFail", &[], &healthy, &after);
    installed.give_back(1, &question);
    switch.shoot.seed_pods("10.64.0.0/11");
}

/// Switches that are held for long, whose nodes are about to be replaced, and that the extension fails over.
fn walk_switches(walk: &mut Walk, switch: &Switch, first: &Guard, second: &Guard) {
    let shoot = &switch.shoot;
    let take = || take(first, second);
    let most = |name: &str| first.metric(name).max(second.metric(name));
    let healthy = take();
    shoot.update_cluster(|shoot| {
        shoot["spec"]["provider"]["workers"][0] =
            json!({"name": "slow", "machineControllerManager": {"machineHealthTimeout": "1h0m0s"}});
    });
    shoot.add_node("a");
    shoot.node_pool("a", "slow");
    shoot.node_condition_since("a", "True", "NoRouteCreated", 5);
    pending(shoot);
    let replacement = "network_guard_overlay_switch_replacement_timestamp_seconds";
    until("it is told of", || most(replacement) > 0.0);
    walk.fires("NetworkGuardOverlayNodesAtRisk", &[], &healthy, &[take()]);

    // It was begun two hours ago.
    let since = (Timestamp::now() - SignedDuration::from_hours(2)).to_string();
    let mut patch = json!({"metadata": {"annotations": {}}});
    patch["metadata"]["annotations"][format!("{PREFIX}/overlay-switch-since")] = json!(since);
    shoot.seed.patch(&shoot.network_path(), Patch::Merge, &patch);
    until("it is old", || most("network_guard_overlay_switch_oldest_seconds") > 3_600.0);
    walk.fires("NetworkGuardOverlaySwitchSlow", &[], &healthy, &[take()]);

    // The gate of networking-calico waits for a node that is given up.
    shoot.add_node("lost");
    shoot.node_condition("lost", "False", "CalicoIsUp");
    shoot.node_ready_since("lost", false, 60);
    switch.seed.extension_gates(shoot);
    shoot.route_created("a");
    let failed = || {
        let series = |guard: &Guard| guard.series("network_guard_overlay_switches", "state=\"failed\"");
        series(first).max(series(second))
    };
    until("it fails", || failed() > 0.5);
    walk.fires("NetworkGuardOverlaySwitchFailed", &[], &healthy, &[take()]);
    shoot.api.delete("/api/v1/nodes/lost");
    shoot.reconcile(&native()).ok();
    until("it is over", || failed() < 0.5);
}
