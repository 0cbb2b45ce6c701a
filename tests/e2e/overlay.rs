//! Switching the overlay off without downtime, on two real API servers with Gardener's own code around them.

mod gardener;

use serde_json::{Value, json};

/// A Shoot on overlay that says so.
fn overlay() -> Value {
    json!({"overlay": {"enabled": true}})
}

/// The same Shoot without.
fn native() -> Value {
    json!({"overlay": {"enabled": false}})
}
