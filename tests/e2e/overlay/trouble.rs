//! What is said when a switch does not go well.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{held, native, overlay, pending, reported};
use crate::harness::{Patch, Shoot, Switch, eventually, until};

/// Our record in the status of the Network.
fn record(shoot: &Shoot) -> Value {
    shoot.network()["status"]["state"]["networkGuard"].clone()
}

/// A metric's value, by the beginning of its line.
fn metric(switch: &Switch, name: &str) -> f64 {
    let metrics = switch.guard().metrics();
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{metrics}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// An API server lists events by name. The newest one is told, whatever its name is, and by whatever API it came.
#[test]
fn the_newest_complaint_is_told() {
    let mut switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.node_condition("a", "True", "NoRouteCreated");
    pending(shoot);
    // More than one page of them.
    let now = Timestamp::now() + SignedDuration::from_mins(1);
    for i in 0..260 {
        shoot.route_controller_warned(&format!("a-{i:03}"), "an old one", now);
    }
    shoot.route_controller_warned("z", "the newest one", now + SignedDuration::from_secs(30));
    // They are looked for now and then; a new leader looks at once.
    switch.seed.restart_guard();
    let shoot = &switch.shoot;
    until("it says the newest", || shoot.held("message").contains("the route controller says: the newest one"));
    assert_eq!(record(shoot)["status"]["complaint"], "the newest one");

    let events = "/api/v1/namespaces/kube-system/events";
    shoot.api.delete(events);
    shoot.route_controller_warned("a", "an old one", Timestamp::now() - SignedDuration::from_mins(1));
    shoot.route_controller_repeats("z", "again and again");
    switch.seed.restart_guard();
    let shoot = &switch.shoot;
    until("it says what came again", || shoot.held("message").contains("the route controller says: again and again"));

    // Alibaba's says it in other words.
    for reason in ["CreateRouteFailed", "SyncRouteFailed"] {
        let shoot = &switch.shoot;
        shoot.api.delete(events);
        shoot.warned_for(reason, &format!("by {reason}"));
        switch.seed.restart_guard();
        let words = format!("the route controller says: by {reason}");
        until("it says this too", || switch.shoot.held("message").contains(&words));
    }
}

/// The record has fields, the status prints them, and nothing is written while nothing happens.
#[test]
fn progress_is_data_and_is_written_once() {
    let switch = Switch::start();
    let shoot = &switch.shoot;
    for i in 0..12 {
        shoot.add_node(&format!("n{i:02}"));
    }
    shoot.node_condition("n11", "True", "NoRouteCreated");
    shoot.add_node("lost");
    shoot.node_ready_since("lost", false, 60);
    pending(shoot);
    shoot.route_created("n00");
    until("it counts", || record(shoot)["status"]["routes"]["withRoute"] == 1);
    let record = record(shoot);
    assert_eq!(record["version"], 2);
    let routes = &record["status"]["routes"];
    assert_eq!(
        (&routes["nodes"], &routes["notReady"], &routes["notReadyNodes"]),
        (&json!(12), &json!(1), &json!(["lost"]))
    );
    // One of which somebody said why is among them.
    let missing = routes["missing"].as_array().unwrap();
    assert_eq!((missing.len(), &missing[0]["node"], &missing[9]["node"]), (10, &json!("n01"), &json!("n11")));

    until("the message is there too", || shoot.held("message").starts_with("1 of 12 nodes have routes"));
    let version = || shoot.network()["metadata"]["resourceVersion"].clone();
    let before = version();
    switch.after_looks(4, || assert_eq!(version(), before, "it was written again:\n{:#}", shoot.network()));

    // What people see of the message is nobody's source.
    let mut annotation = json!({"metadata": {"annotations": {}}});
    annotation["metadata"]["annotations"][format!("{}/overlay-switch-message", crate::harness::PREFIX)] =
        json!("7 of 8 nodes have routes");
    shoot.seed.patch(&shoot.network_path(), Patch::Merge, &annotation);
    // It is corrected at the next look; until then it is all that is shown.
    until("the status says it", || switch.switches().contains("1/12"));
    assert!(!switch.switches().contains("7/8"), "{}", switch.switches());
    let rows: Value = serde_json::from_str(&switch.switches_json()).unwrap();
    assert_eq!(
        (&rows[0]["nodesWithRoute"], &rows[0]["nodes"], &rows[0]["waitsFor"]),
        (&json!(1), &json!(12), &json!("routes"))
    );
}

/// A record of an older version is brought up to date; members that a later one has stay.
#[test]
fn records_of_other_versions_are_read() {
    let mut switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.add_node("b");
    pending(shoot);
    shoot.route_created("a");
    until("it is remembered", || record(shoot)["latched"].as_array().is_some_and(|latched| latched.len() == 1));
    until("it is said too", || shoot.held("message").starts_with("1 of 2 nodes have routes"));
    let latched = record(shoot)["latched"].clone();

    switch.seed.kill_guard();
    let shoot = &switch.shoot;
    let write = |member: Value| {
        let path = format!("{}/status", shoot.network_path());
        shoot.seed.patch(&path, Patch::Merge, &json!({"status": {"state": {"networkGuard": member}}}));
    };
    write(json!({"version": null, "status": null}));
    // Calico writes over it, so that only the record knows.
    shoot.node_condition("a", "False", "CalicoIsUp");
    assert!(switch.switches().contains("1 of 2 nodes have routes"), "as it was told: {}", switch.switches());
    switch.seed.restart_guard();
    let shoot = &switch.shoot;
    until("it is brought up to date", || record(shoot)["version"] == 2 && record(shoot)["status"].is_object());
    assert_eq!(record(shoot)["latched"], latched);

    switch.seed.kill_guard();
    let shoot = &switch.shoot;
    let path = format!("{}/status", shoot.network_path());
    let later = json!({"version": 9, "tables": ["rtb-1"], "status": {"zones": 3}});
    shoot.seed.patch(&path, Patch::Merge, &json!({"status": {"state": {"networkGuard": later}}}));
    let before = record(shoot);
    switch.seed.restart_guard();
    switch.after_looks(3, || assert_eq!(record(&switch.shoot), before, "nothing happened"));
    let shoot = &switch.shoot;
    shoot.node_condition("b", "True", "NoRouteCreated");
    until("it has news", || record(shoot)["status"]["routes"]["missing"][0]["reason"] == "NoRouteCreated");
    assert_eq!((&record(shoot)["tables"], &record(shoot)["latched"]), (&json!(["rtb-1"]), &latched));
}

/// A node without a route is replaced after the timeout of its pool: that is said in time, once, with both ways out.
#[test]
fn nodes_that_will_be_replaced_are_told_of() {
    let switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.update_cluster(|shoot| {
        shoot["spec"]["provider"]["workers"][0] =
            json!({"name": "slow", "machineControllerManager": {"machineHealthTimeout": "1h0m0s"}});
    });
    for node in ["a", "b"] {
        shoot.add_node(node);
        shoot.node_pool(node, "slow");
    }
    shoot.node_condition_since("a", "True", "NoRouteCreated", 5);
    shoot.node_condition("b", "False", "CalicoIsUp");
    pending(shoot);
    until("it is told of", || record(shoot)["status"]["replacement"].is_object());
    let replacement = record(shoot)["status"]["replacement"].clone();
    assert_eq!((&replacement["node"], &replacement["nodes"]), (&json!("a"), &json!(1)));
    let deadline: Timestamp = replacement["deadline"].as_str().unwrap().parse().unwrap();
    let left = deadline.duration_since(Timestamp::now());
    assert!((SignedDuration::from_mins(45)..SignedDuration::from_mins(56)).contains(&left), "{left}");
    reported(shoot, "OverlaySwitchNodesAtRisk");
    let words = format!("replaces node a and its successors from {} on", deadline.strftime("%Y-%m-%dT%H:%M:%SZ"));
    until("so does the message", || shoot.held("message").contains(&words));
    let status = switch.switches();
    assert!(status.contains("1 to be replaced") && status.contains(&words), "{status}");
    let name = "network_guard_overlay_switch_replacement_timestamp_seconds";
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    let want = deadline.as_second() as f64;
    until("so does the metric", || (metric(&switch, name) - want).abs() < 0.5);
    switch.after_looks(2, || held(shoot));
    let count = shoot.events().iter().filter(|event| *event == "OverlaySwitchNodesAtRisk").count();
    assert_eq!(count, 1);

    // One way out.
    shoot.reconcile(&overlay()).ok();
    until("it is over", || metric(&switch, name) == 0.0);
}

/// Ours lets a switch through although a node is given up; the gate of networking-calico does not. That is said, until it
/// is over.
#[test]
fn a_failure_after_the_release_is_told_of() {
    let mut switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.add_node("lost");
    shoot.node_condition("lost", "False", "CalicoIsUp");
    shoot.node_ready_since("lost", false, 60);
    pending(shoot);
    switch.seed.extension_gates(&switch.shoot);
    let shoot = &switch.shoot;
    shoot.route_created("a");
    eventually("the extension fails", || {
        let network = shoot.network();
        (network["status"]["lastOperation"]["state"] == "Error").then_some(()).ok_or_else(|| format!("{network:#}"))
    });
    reported(shoot, "OverlaySwitchFailed");
    assert_eq!((record(shoot)["phase"].clone(), shoot.calico()), (json!("released"), overlay()));
    let status = switch.switches();
    assert!(status.contains("extension fails") && status.contains("not ready: lost (+0)"), "{status}");
    let name = "network_guard_overlay_switches{state=\"failed\"}";
    until("so does the metric", || metric(&switch, name) > 0.5);
    // The next one knows it too.
    switch.seed.restart_guard();
    until("so does the metric", || metric(&switch, name) > 0.5);

    let shoot = &switch.shoot;
    shoot.api.delete("/api/v1/nodes/lost");
    shoot.reconcile(&native()).ok();
    until("nothing is left", || record(shoot).is_null() && !switch.has_access());
    assert_eq!(shoot.calico(), native());
    until("the metric is over", || metric(&switch, name) < 0.5);
}

/// A switch that was forced before gardenlet wrote it was never held. It is seen through all the same: the extension that fails
/// is told of, and nodes that an old calico-node left marked are freed.
#[test]
fn a_switch_that_was_forced_beforehand_is_seen_through() {
    let switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");
    shoot.calico_node(&["a"]);
    shoot.reconcile(&overlay()).ok();
    switch.seed.extension_gates(shoot);
    shoot.force(Some("force"));
    // gardenlet's Cluster has its own way to us.
    until("the news are here", || {
        let write = json!({"metadata": {"annotations": {"gardener.cloud/timestamp": Timestamp::now().to_string()}},
            "spec": {"providerConfig": native()}});
        let path = format!("{}?dryRun=All", shoot.network_path());
        shoot.seed.patch(&path, Patch::Merge, &write)["spec"]["providerConfig"] == native()
    });
    shoot.deploy(&native()).ok();
    reported(shoot, "OverlaySwitchForced");
    reported(shoot, "OverlaySwitchFailed");
    until("the status says why", || {
        let status = switch.switches();
        status.contains("extension fails") && status.contains("the switch was forced")
    });
    assert_eq!((record(shoot)["phase"].clone(), shoot.held("passed")), (json!("released"), String::new()));

    // The gate is off, and Calico's Pods are replaced. The node is marked first: as soon as the extension succeeds nothing
    // may be left to watch, because a Pod from shortly before the switch passes for a new one.
    shoot.node_condition("a", "True", "CalicoIsDown");
    switch.seed.extension_is_plain();
    shoot.calico_node_rolls("a");
    until("the node is freed", || shoot.condition("a").is_none_or(|(status, _)| status == "False"));
    shoot.reconcile(&native()).ok();
    until("nothing is left", || record(shoot).is_null() && !switch.has_access());
    assert_eq!(shoot.calico(), native());
}
