//! Switching the overlay off without downtime, on two real API servers with Gardener's own code around them.

mod conditions;
mod families;
mod gardener;
mod hold;
mod restarts;
mod route_controllers;
mod routes;
mod timeline;
mod trouble;

use serde_json::{Value, json};

use crate::harness::{PREFIX, Shoot, Switch, eventually, until};

/// A window in which a test gets done what it wants to do in it, in seconds. The one by default here is over in three looks.
const LONG_WINDOW: u32 = 24 * 60 * 60;
const SHORT_WINDOW: u32 = 1;

/// Looks at nodes after which a switch would have been let through that may be, with a short window: two that agree, a
/// window apart.
const LOOKS: u32 = 4;

/// A Shoot on overlay that says so.
fn overlay() -> Value {
    json!({"overlay": {"enabled": true}})
}

/// The same Shoot without.
fn native() -> Value {
    json!({"overlay": {"enabled": false}})
}

/// Brings a Shoot from overlay into a switch that is held, and remembered. One of its nodes has no route.
#[track_caller]
pub fn pending(shoot: &Shoot) {
    shoot.reconcile(&overlay()).ok();
    shoot.reconcile(&native()).ok();
    eventually("it is remembered", || {
        let network = shoot.network();
        let record = &network["status"]["state"]["networkGuard"];
        let since = &network["metadata"]["annotations"][format!("{PREFIX}/overlay-switch-since")];
        // The record of the last switch may still be there.
        let is_this = record["phase"] == "held" && since.is_string() && record["since"] == *since;
        is_this.then_some(()).ok_or_else(|| format!("{network:#}"))
    });
    held(shoot);
}

/// The switch is held, and Calico knows nothing of it.
#[track_caller]
fn held(shoot: &Shoot) {
    assert_eq!(shoot.held("state"), "pending", "{:#}", shoot.network()["metadata"]["annotations"]);
    assert_ne!(shoot.calico(), native());
}

/// It is held all the time, while our server looks often enough to let it through.
#[track_caller]
fn stays_held(switch: &Switch) {
    switch.after_looks(LOOKS, || held(&switch.shoot));
}

/// All routes are there, and the switch is held for as long as the window is.
#[track_caller]
fn waits_for_window(shoot: &Shoot) {
    until("it waits whether routes stay", || shoot.held("message").contains("waiting to see whether they stay"));
}

/// Something happened to the Network, of which there is an Event. It is reported when it is done.
#[track_caller]
fn reported(shoot: &Shoot, reason: &str) {
    eventually("it is reported", || {
        let events = shoot.events();
        events.iter().any(|event| event == reason).then_some(()).ok_or_else(|| format!("{reason}: {events:?}"))
    });
}

/// It is released in the end: Calico is native, and nothing of network-guard is left on the Network.
#[track_caller]
pub fn released(shoot: &Shoot) {
    eventually("the switch is released", || {
        let is_native = shoot.calico()["overlay"] == native()["overlay"];
        is_native.then_some(()).ok_or_else(|| format!("{:#}", shoot.network()))
    });
    let annotations = shoot.network()["metadata"]["annotations"].to_string();
    // What passed before anything was remembered of it leaves a trace for the leader, who takes it away.
    assert!(!annotations.replace("overlay-switch-passed", "").contains("overlay-switch-"), "{annotations}");
    until("the leader has taken it up", || shoot.held("passed").is_empty());
}
