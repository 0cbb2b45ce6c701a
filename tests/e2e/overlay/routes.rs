//! When a switch is released: what nodes and their route controller say, over time.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    LONG_WINDOW, LOOKS, SHORT_WINDOW, held, native, overlay, pending, released, reported, stays_held, waits_for_window,
};
use crate::harness::{Patch, Shoot, Switch, until};

/// A Pod that is older than this is no new one: more than clocks of Seed and Shoot may be apart.
const OLD: SignedDuration = SignedDuration::from_secs(12);

/// Cases 1, 7, 8, 9, 10 and 19: three nodes, and one that joins.
#[test]
fn every_node_needs_its_route() {
    let mut switch = Switch::start();
    let shoot = &switch.shoot;
    for node in ["a", "b", "c"] {
        shoot.add_node(node);
        shoot.node_condition(node, "False", "CalicoIsUp");
    }
    shoot.calico_node(&["a", "b", "c"]);
    let made = Timestamp::now();
    pending(shoot);
    until("all are missing", || shoot.held("message").contains("0 of 3 nodes have routes; missing: a, b, c (+0)"));

    // 7: one node beyond the quota, with the reason that the route controller gives.
    shoot.route_created("a");
    shoot.route_created("b");
    shoot.node_condition("c", "True", "NoRouteCreated");
    shoot.route_controller_warns("RouteLimitExceeded: the maximum number of routes has been reached");
    until("it names node and quota", || {
        let message = shoot.held("message");
        message.contains("2 of 3 nodes have routes; missing: c (+0)") && message.contains("RouteLimitExceeded")
    });
    stays_held(&switch);
    let status = switch.switches();
    assert!(status.contains(&switch.shoot.namespace) && status.contains("2/3"), "{status}");

    // 8: a route that comes and goes within the window.
    switch.seed.restart_guard_with_window(LONG_WINDOW);
    let shoot = &switch.shoot;
    for _ in 0..3 {
        shoot.route_created("c");
        waits_for_window(shoot);
        shoot.node_condition("c", "True", "NoRouteCreated");
        until("it is missing again", || shoot.held("message").contains("2 of 3 nodes have routes; missing: c"));
    }
    held(shoot);

    // 9: a node that joins must become ready too.
    shoot.route_created("c");
    waits_for_window(shoot);
    shoot.add_node("d");
    until("the new node is missing", || shoot.held("message").contains("3 of 4 nodes have routes; missing: d"));
    switch.seed.restart_guard_with_window(SHORT_WINDOW);
    stays_held(&switch);

    // 10: a node on its way out and one that is long gone do not block; one that is lost just now does.
    let shoot = &switch.shoot;
    shoot.node_ready("d", false);
    stays_held(&switch);
    shoot.add_node("e");
    shoot.mark_for_deletion("e");
    // 19: Calico writes over the reason; the route is there all the same.
    shoot.node_condition("a", "False", "CalicoIsUp");
    stays_held(&switch);
    // All that count have their routes: not before the window is over.
    switch.seed.restart_guard_with_window(LONG_WINDOW);
    let shoot = &switch.shoot;
    shoot.node_ready_since("d", false, 60);
    waits_for_window(shoot);
    stays_held(&switch);
    until("their Pods are old", || Timestamp::now().duration_since(made) > OLD);
    switch.seed.restart_guard_with_window(SHORT_WINDOW);
    let shoot = &switch.shoot;
    released(shoot);
    assert_eq!(shoot.network()["spec"]["providerConfig"], native());
    // The extension says so after it has done it.
    until("the extension is done", || shoot.network()["status"]["lastOperation"]["state"] == "Succeeded");
    for reason in ["OverlaySwitchHeld", "OverlaySwitchProgress", "OverlaySwitchReleased"] {
        reported(shoot, reason);
    }

    // 19: while calico-node rolls, its old Pod leaves its condition behind, which nobody else takes away.
    shoot.node_condition("a", "True", "CalicoIsDown");
    shoot.node_condition("b", "True", "CalicoIsDown");
    shoot.calico_node_rolls("a");
    let is_free = |node: &str| shoot.condition(node).is_none_or(|(status, _)| status == "False");
    until("the node with the new Pod is repaired", || is_free("a"));
    switch.after_looks(2, || {
        assert_eq!(
            shoot.condition("b"),
            Some(("True".to_owned(), "CalicoIsDown".to_owned())),
            "its Pod is the old one"
        );
    });
    shoot.calico_node_rolls("b");
    until("so is the other", || is_free("b"));
    shoot.calico_node_rolls("c");
    until("nothing is left", || !switch.has_access());

    // Once native, later writes are nobody's business; and back again needs no hold.
    assert_eq!(shoot.reconcile(&native()).ok().grew(), 0);
    shoot.reconcile(&overlay()).ok();
    assert_eq!((shoot.calico(), shoot.held("state")), (overlay(), String::new()));
}

/// Cases 11, 15, 16 and 18: what the Shoot and gardenlet do in the meantime.
#[test]
fn the_shoot_decides_when() {
    let mut switch = Switch::start();

    // 11: no nodes, no Pods that could be cut off. It may be approved, or over, before gardenlet is done.
    switch.shoot.reconcile(&overlay()).ok();
    switch.shoot.reconcile(&native()).ok();
    released(&switch.shoot);

    // 11: hibernated, with an API server that does not run; while it wakes up, its nodes come.
    again(&switch.shoot);
    switch.shoot.add_node("a");
    hibernation(&switch.shoot, true, false);
    switch.shoot.reconcile(&native()).ok();
    stays_held(&switch);
    switch.shoot.stop_api_server();
    hibernation(&switch.shoot, true, true);
    released(&switch.shoot);
    // Asleep it passes at once, with gardenlet's own write.
    again(&switch.shoot);
    switch.shoot.reconcile(&native()).ok();
    released(&switch.shoot);
    again(&switch.shoot);
    hibernation(&switch.shoot, false, true);
    // The Cluster's news have their own way; gardenlet has minutes to do before it writes the Network.
    until("the news are here", || would_be_held(&switch.shoot));
    switch.shoot.reconcile(&native()).ok();
    switch.shoot.start_api_server();
    stays_held(&switch);
    hibernation(&switch.shoot, false, false);
    // gardener-resource-manager tries again less and less often while the API server is away.
    until("its nodes are seen", || switch.shoot.held("message").contains("0 of 1 nodes have routes; missing: a"));
    stays_held(&switch);
    switch.shoot.route_created("a");
    released(&switch.shoot);

    // 15: gardenlet waits for a slow extension when the switch becomes ready; its wait succeeds on its own timestamp.
    let shoot = &switch.shoot;
    shoot.node_condition("a", "False", "CalicoIsUp");
    again(shoot);
    pending(shoot);
    switch.seed.pause_extension();
    let mut waiting = shoot.start_reconcile(&native());
    until("gardenlet has written", || {
        shoot.network()["metadata"]["annotations"]["gardener.cloud/operation"] == "reconcile"
    });
    shoot.route_created("a");
    until("it is approved", || shoot.held("state") == "approved");
    switch
        .after_looks(LOOKS, || assert_eq!(shoot.held("state"), "approved", "nobody writes while the extension works"));
    assert!(waiting.is_running(), "gardenlet still waits for the extension");
    switch.seed.resume_extension();
    let report = waiting.join().ok();
    let timestamp = report.after.as_ref().unwrap().timestamp.clone();
    shoot.ended(&report);
    released(shoot);
    assert_eq!(shoot.network()["metadata"]["annotations"]["gardener.cloud/timestamp"], json!(timestamp));

    // 16: changes roll out in the maintenance window only. It is approved, and the next reconciliation carries it.
    shoot.node_condition("a", "False", "CalicoIsUp");
    shoot.update_cluster(|shoot| shoot["spec"]["maintenance"]["confineSpecUpdateRollout"] = json!(true));
    again(shoot);
    pending(shoot);
    shoot.route_created("a");
    until("it is approved", || shoot.held("state") == "approved");
    switch.after_looks(LOOKS, || {
        assert_eq!((shoot.held("state").as_str(), shoot.calico()), ("approved", overlay()));
    });
    reported(shoot, "OverlaySwitchApproved");
    assert_eq!(shoot.reconcile(&native()).ok().grew(), 1);
    assert_eq!((shoot.held("state").as_str(), shoot.calico()), ("", native()));
    shoot.update_cluster(|shoot| shoot["spec"]["maintenance"]["confineSpecUpdateRollout"] = json!(false));

    // 18: the upstream gate on top agrees in the end.
    shoot.node_condition("a", "False", "CalicoIsUp");
    again(shoot);
    switch.seed.extension_gates(shoot);
    shoot.reconcile(&native()).ok();
    held(shoot);
    stays_held(&switch);
    shoot.route_created("a");
    released(shoot);
    switch.seed.extension_is_plain();

    // Back and forth at once: routes that were there for the last switch do not count for the next.
    shoot.node_condition("a", "False", "CalicoIsUp");
    shoot.reconcile(&overlay()).ok();
    shoot.reconcile(&native()).ok();
    stays_held(&switch);
    shoot.route_created("a");
    released(shoot);
}

/// Whether our server would hold a switch of gardenlet's right now, by what it knows.
fn would_be_held(shoot: &Shoot) -> bool {
    let path = format!("{}?dryRun=All", shoot.network_path());
    let write = json!({
        "metadata": {"annotations": {
            "gardener.cloud/operation": "reconcile", "gardener.cloud/timestamp": Timestamp::now().to_string(),
        }},
        "spec": {"providerConfig": native()},
    });
    let written = shoot.seed.patch(&path, Patch::Merge, &write);
    !written["metadata"]["annotations"]["network-guard.extensions.gardener.cloud/overlay-switch-state"].is_null()
}

/// Back on overlay, with nothing left of the last switch.
#[track_caller]
fn again(shoot: &Shoot) {
    shoot.reconcile(&overlay()).ok();
    assert_eq!((shoot.calico(), shoot.held("state")), (overlay(), String::new()));
    until("the last switch is forgotten", || shoot.network()["status"]["state"]["networkGuard"].is_null());
}

fn hibernation(shoot: &Shoot, enabled: bool, is_hibernated: bool) {
    shoot.update_cluster(|shoot| {
        shoot["spec"]["hibernation"] = json!({"enabled": enabled});
        shoot["status"]["hibernated"] = json!(is_hibernated);
    });
}
