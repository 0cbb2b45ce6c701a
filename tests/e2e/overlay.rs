//! Switching the overlay off without downtime, on two real API servers with Gardener's own code around them.

mod conditions;
mod gardener;
mod hold;
mod restarts;
mod routes;
mod timeline;

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Shoot, eventually, until};

/// A Shoot on overlay that says so.
fn overlay() -> Value {
    json!({"overlay": {"enabled": true}})
}

/// The same Shoot without.
fn native() -> Value {
    json!({"overlay": {"enabled": false}})
}

/// Brings a Shoot from overlay into a switch that is held, and remembered.
#[track_caller]
pub fn pending(shoot: &Shoot) {
    shoot.reconcile(&overlay()).ok();
    shoot.reconcile(&native()).ok();
    until("it is remembered", || {
        shoot.network()["status"]["state"]["networkGuard"].is_object() || shoot.calico() == native()
    });
    // Without nodes it may be over by now.
    assert!(shoot.held("state") == "pending" || shoot.calico() == native(), "{:#}", shoot.network());
}

/// The switch is held, and Calico knows nothing of it.
#[track_caller]
fn held(shoot: &Shoot) {
    assert_eq!(shoot.held("state"), "pending", "{:#}", shoot.network()["metadata"]["annotations"]);
    assert_ne!(shoot.calico(), native());
}

/// It is held all the time.
#[track_caller]
fn stays_held(shoot: &Shoot, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        held(shoot);
        sleep(Duration::from_millis(100));
    }
}

/// It is released in the end: Calico is native, and nothing of ours is left on the Network.
#[track_caller]
pub fn released(shoot: &Shoot) {
    eventually("the switch is released", || {
        let is_native = shoot.calico()["overlay"] == native()["overlay"];
        is_native.then_some(()).ok_or_else(|| format!("{:#}", shoot.network()))
    });
    let annotations = shoot.network()["metadata"]["annotations"].to_string();
    assert!(!annotations.contains("overlay-switch-"), "{annotations}");
}
