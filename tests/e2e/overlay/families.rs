//! A second IP family: as a switch of its own, and together with one.

use serde_json::{Value, json};

use super::{held, native, overlay, released, reported};
use crate::harness::{Patch, Shoot, Switch, eventually, until};

const DUAL: [&str; 6] = [
    "-ip-families",
    "IPv4,IPv6",
    "-pods",
    "100.96.0.0/11,2001:db8:1::/48",
    "-services",
    "100.64.0.0/13,2001:db8:2::/108",
];

/// The Shoot asks for these families from now on.
fn ask(shoot: &Shoot, families: &[&str]) {
    shoot.update_cluster(|shoot| shoot["spec"]["networking"]["ipFamilies"] = json!(families));
}

/// What gardenlet says of its nodes; none takes it away.
fn constrain(shoot: &Shoot, status: Option<&str>) {
    let constraint = status.map(|status| json!({"type": "DualStackNodesMigrationReady", "status": status}));
    shoot.update_cluster(|shoot| shoot["status"]["constraints"] = constraint.into_iter().collect());
}

/// The families that Calico was told last.
fn families(shoot: &Shoot) -> Vec<String> {
    shoot.calico_got().pop().unwrap().ip_families
}

#[track_caller]
fn says(shoot: &Shoot, words: &str) {
    eventually("it says why", || {
        let message = shoot.held("message");
        message.contains(words).then_some(()).ok_or(message)
    });
}

/// A Shoot without a word about the overlay, which IPv6 ends.
#[test]
fn a_family_that_ends_the_overlay_is_held_and_let_through() {
    let switch = Switch::start();
    let shoot = &switch.shoot;
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");
    shoot.reconcile(&Value::Null).ok();
    assert_eq!((shoot.held("state"), families(shoot)), (String::new(), vec!["IPv4".to_owned()]));

    // Nodes are not dual-stack yet, as gardenlet says before it writes the Network.
    ask(shoot, &["IPv4", "IPv6"]);
    constrain(shoot, Some("Progressing"));
    let report = shoot.reconcile_with(&Value::Null, &DUAL).ok();
    assert_eq!((report.grew(), families(shoot)), (0, vec!["IPv4".to_owned()]));
    held(shoot);
    let (since, requested) = (shoot.held("since"), shoot.held("requested"));
    says(shoot, "DualStackNodesMigrationReady");
    assert!(switch.switches().contains("DualStackNodesMigrationReady"), "{}", switch.switches());

    // They are; now routes are waited for, and the message says what brings them.
    constrain(shoot, Some("True"));
    says(shoot, "0 of 1 nodes have routes; missing: a");
    assert!(shoot.held("message").contains("write overlay: {enabled: false} into it"), "{}", shoot.held("message"));
    assert_eq!(shoot.reconcile_with(&Value::Null, &DUAL).ok().grew(), 0);
    assert_eq!([shoot.held("state"), shoot.held("since"), shoot.held("requested")], ["pending", &since, &requested]);

    // What has nothing to do with it passes, and nothing is said about the overlay for the Shoot.
    let typha = json!({"typha": {"enabled": false}});
    shoot.reconcile_with(&typha, &DUAL).ok();
    assert_eq!((shoot.calico(), families(shoot)), (typha.clone(), vec!["IPv4".to_owned()]));

    // It is taken back, and asked for again.
    ask(shoot, &["IPv4"]);
    assert_eq!(shoot.reconcile(&typha).ok().grew(), 0);
    // Should the news of the Cluster come later than the write, the leader clears it.
    until("nothing is held", || shoot.held("state").is_empty());
    ask(shoot, &["IPv4", "IPv6"]);
    assert_eq!(shoot.reconcile_with(&typha, &DUAL).ok().grew(), 0);
    held(shoot);

    shoot.route_created("a");
    until("the families are let through", || families(shoot) == ["IPv4", "IPv6"]);
    assert_eq!(shoot.network()["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!((shoot.calico(), shoot.held("state")), (typha.clone(), String::new()));
    reported(shoot, "OverlaySwitchReleased");
    assert_eq!(shoot.reconcile_with(&typha, &DUAL).ok().grew(), 0, "what gardenlet writes is what is there");
    assert_eq!(shoot.held("state"), "");
}

/// A Shoot on GCP that gives up its overlay and asks for IPv6 in one edit, which is held.
fn both_at_once() -> Switch {
    let switch = Switch::start_with(&json!({"providers": ["gcp"]}));
    let shoot = &switch.shoot;
    shoot.label_namespace("gcp", "calico");
    shoot.update_cluster(|shoot| shoot["spec"]["provider"]["type"] = json!("gcp"));
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");
    shoot.reconcile(&overlay()).ok();

    ask(shoot, &["IPv4", "IPv6"]);
    assert_eq!(shoot.reconcile_with(&native(), &DUAL).ok().grew(), 0, "it is not refused, and changes nothing");
    held(shoot);
    says(shoot, "gcp makes no routes for a Shoot with two IP families");
    switch
}

/// Where no routes will ever come, an operator's word on the Network is the way out.
#[test]
fn an_operator_forces_what_no_routes_come_for() {
    let switch = both_at_once();
    let shoot = &switch.shoot;
    let word = json!({"metadata": {"annotations": {
        "network-guard.extensions.gardener.cloud/overlay-switch-state": "forced",
    }}});
    shoot.seed.patch(&shoot.network_path(), Patch::Merge, &word);
    released(shoot);
    assert_eq!(families(shoot), ["IPv4", "IPv6"]);
    reported(shoot, "OverlaySwitchForced");
    assert_eq!(shoot.reconcile_with(&native(), &DUAL).ok().grew(), 0, "what gardenlet writes is what is there");
}

/// The overlay off and IPv6 in one edit, on GCP.
#[test]
fn both_at_once_on_gcp_wait_with_the_reason_until_the_edit_is_split() {
    let switch = both_at_once();
    let shoot = &switch.shoot;
    let status = switch.switches();
    assert!(status.contains("can be taken back instead, and added when the overlay is off"), "{status}");
    // A condition from before says nothing any more.
    shoot.route_created("a");
    switch.after_looks(super::LOOKS, || held(shoot));
    assert_eq!((shoot.calico(), families(shoot)), (overlay(), vec!["IPv4".to_owned()]));

    // The owner splits it: first the overlay …
    ask(shoot, &["IPv4"]);
    shoot.reconcile(&native()).ok();
    released(shoot);
    assert_eq!(families(shoot), ["IPv4"]);
    // … then the families.
    ask(shoot, &["IPv4", "IPv6"]);
    shoot.reconcile_with(&native(), &DUAL).ok();
    assert_eq!((families(shoot), shoot.held("state")), (vec!["IPv4".to_owned(), "IPv6".to_owned()], String::new()));
}
