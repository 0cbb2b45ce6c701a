//! What happens to a Network while a switch is held: the Shoot stays green, all else goes through.

use serde_json::{Value, json};

use super::{held, native, overlay, released, reported};
use crate::harness::{Patch, Switch, until};

/// Cases 1, 2, 3, 4, 5, 6, 13 and 20: decisions, on one Shoot whose only node runs with the tunnel.
#[test]
fn a_held_switch_disturbs_nobody() {
    let switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");

    // A new Shoot starts as it likes, and nothing is said about one on overlay.
    shoot.reconcile(&overlay()).ok();
    assert_eq!(shoot.held("state"), "");

    // 1: the write of gardenlet is held, and its reconciliation succeeds.
    let report = shoot.reconcile(&native()).ok();
    assert_eq!((report.grew(), shoot.calico(), shoot.held("state")), (0, overlay(), "pending".to_owned()));
    // The extension may look a second time.
    until("the extension is done", || shoot.network()["status"]["lastOperation"]["state"] == "Succeeded");
    assert_eq!(shoot.network()["spec"]["providerConfig"], overlay());
    let (since, requested) = (shoot.held("since"), shoot.held("requested"));
    // From the timestamp of the first write that was held, to the second or better.
    let timestamp = report.after.unwrap().timestamp;
    assert_eq!(since[..19], timestamp[..19], "{since} is not {timestamp}");
    assert_eq!(requested.len(), 64, "{requested}");
    until("it says what is missing", || shoot.held("message").contains("0 of 1 nodes have routes; missing: a"));

    // 2 and 3: gardenlet repeats itself, the extension takes the operation annotation away each time.
    for _ in 0..3 {
        assert_eq!(shoot.reconcile(&native()).ok().grew(), 0);
        assert!(shoot.network()["metadata"]["annotations"]["gardener.cloud/operation"].is_null());
        assert_eq!(
            [shoot.held("state"), shoot.held("since"), shoot.held("requested")],
            ["pending", &since, &requested]
        );
    }
    // So do others who touch the object.
    shoot.seed.patch(&shoot.network_path(), Patch::Merge, &json!({"metadata": {"labels": {"team": "network"}}}));
    assert_eq!([shoot.held("state"), shoot.held("since")], ["pending", &since]);

    // 6: what has nothing to do with the overlay goes through at once.
    let with = |mut config: Value| {
        config["typha"] = json!({"enabled": false});
        config["vethMTU"] = json!("1400");
        config["unknown"] = json!({"kept": [1, {"deep": {}}]});
        config
    };
    assert_eq!(shoot.reconcile(&with(native())).ok().grew(), 1);
    assert_eq!(shoot.calico(), with(overlay()));
    assert_eq!([shoot.held("state"), shoot.held("since"), shoot.held("requested")], ["pending", &since, &requested]);

    // 4: the user reverts it; nothing rolls.
    let rolled = shoot.calico();
    shoot.reconcile(&with(overlay())).ok();
    // Should the news of the Cluster come later than the write, the leader clears it.
    until("nothing is held", || shoot.held("state").is_empty() && shoot.held("message").is_empty());
    assert_eq!(shoot.calico(), rolled);
    until("our objects are gone", || !switch.has_access());

    // 5: a Shoot that never said anything, held as it was: without the key.
    shoot.destroy().ok();
    shoot.reconcile(&Value::Null).ok();
    assert_eq!(shoot.reconcile(&native()).ok().grew(), 0);
    held(shoot);
    assert!(shoot.calico().is_null() || shoot.calico() == json!({}), "{}", shoot.calico());

    // A forced switch passes at once.
    shoot.force(Some("force"));
    released(shoot);
    reported(shoot, "OverlaySwitchForced");
    shoot.force(None);

    // 13: other networks and other providers switch as they like.
    for (provider, network) in [("onprem", "calico"), ("azure", "calico"), ("aws", "cilium")] {
        shoot.destroy().ok();
        shoot.label_namespace(provider, network);
        shoot.update_cluster(|shoot| {
            shoot["spec"]["provider"]["type"] = json!(provider);
            shoot["spec"]["networking"]["type"] = json!(network);
        });
        let further = ["-type", network];
        shoot.reconcile_with(&overlay(), &further).ok();
        shoot.reconcile_with(&native(), &further).ok();
        assert_eq!((shoot.calico(), shoot.held("state")), (native(), String::new()), "{provider} {network}");
    }
    let log = switch.guard().log();
    assert!(!log.contains("forbidden"), "more rights are needed: {}", lines(&log, "forbidden"));

    // 20: IPv6 needs native routing, so it waits as well: Calico must not get both families on overlay.
    shoot.destroy().ok();
    shoot.label_namespace("aws", "calico");
    shoot.update_cluster(|shoot| {
        shoot["spec"]["provider"]["type"] = json!("aws");
        shoot["spec"]["networking"]["type"] = json!("calico");
    });
    shoot.reconcile(&overlay()).ok();
    let (pods, services) = ("100.96.0.0/11,2001:db8:1::/48", "100.64.0.0/13,2001:db8:2::/108");
    let dual = ["-ip-families", "IPv4,IPv6", "-pods", pods, "-services", services];
    shoot.reconcile_with(&native(), &dual).ok();
    held(shoot);
    assert_eq!(shoot.calico_got().pop().unwrap().ip_families, ["IPv4"]);
    shoot.route_created("a");
    released(shoot);
    shoot.reconcile_with(&native(), &dual).ok();
    assert_eq!(shoot.calico_got().pop().unwrap().ip_families, ["IPv4", "IPv6"]);
}

fn lines(log: &str, with: &str) -> String {
    log.lines().filter(|line| line.contains(with)).take(3).collect::<Vec<_>>().join("\n")
}

/// Case 17: while the webhook is down only real switches wait.
#[test]
fn an_outage_stops_real_switches_only() {
    let mut switch = Switch::start();
    switch.shoot.add_node("a");
    switch.shoot.reconcile(&overlay()).ok();
    switch.seed.kill_guard();
    let shoot = &switch.shoot;

    shoot.reconcile(&overlay()).ok();
    let mut changed = overlay();
    changed["typha"] = json!({"enabled": false});
    shoot.reconcile(&changed).ok();
    assert_eq!(shoot.calico(), changed);
    let report = shoot.deploy(&native());
    assert!(report.error.as_deref().unwrap_or_default().contains("failed calling webhook"), "{report:?}");
    assert_eq!(shoot.calico(), changed);
    let annotation = json!({"metadata": {"annotations": {"other": "x"}}});
    shoot.seed.patch(&shoot.network_path(), Patch::Merge, &annotation);

    switch.seed.restart_guard();
    let shoot = &switch.shoot;
    until("the webhook is called again", || shoot.deploy(&native()).error.is_none());
    shoot.wait().ok();
    held(shoot);
    // While it is held only gardenlet's writes wait: what others write passes, and so does the extension.
    switch.seed.kill_guard();
    let annotation = json!({"metadata": {"annotations": {"other": "y", "gardener.cloud/operation": null}}});
    switch.shoot.seed.patch(&switch.shoot.network_path(), Patch::Merge, &annotation);
    let report = switch.shoot.deploy(&native());
    assert!(report.error.as_deref().unwrap_or_default().contains("failed calling webhook"), "{report:?}");
    switch.seed.restart_guard();
    // Deletion always works.
    assert!(switch.shoot.destroy().ok().after.is_none());
}
