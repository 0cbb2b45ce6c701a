//! The text of a PeeringConfig, as any bytes that are text.

use std::sync::LazyLock;

use network_guard_core::webhooks::{MutateShoot, ValidateShoot};
use serde_json::{Value, json};

use super::scene::{Scene, overlapping, peering, review};

static JUDGED: LazyLock<Scene> = LazyLock::new(|| Scene::new(ValidateShoot::default(), &overlapping()));
static FILLED_IN: LazyLock<Scene> = LazyLock::new(|| Scene::new(MutateShoot::default(), &overlapping()));

/// A review around a configuration.
static AROUND: LazyLock<(String, String)> = LazyLock::new(|| {
    let mut shoot = peering();
    shoot["spec"]["extensions"] = json!([{"type": "osc-peering-service", "providerConfig": "HERE"}]);
    let text = review(("core.gardener.cloud", "shoots"), &shoot, None).to_string();
    let (before, after) = text.split_once("\"HERE\"").expect("it was put there");
    (before.to_owned(), after.to_owned())
});

pub(super) fn law(bytes: &[u8]) {
    let Ok(config) = std::str::from_utf8(bytes) else { return };
    let (before, after) = &*AROUND;
    let body = format!("{before}{config}{after}");
    JUDGED.answers(body.as_bytes());
    FILLED_IN.answers(body.as_bytes());
    // An API server sends what it has read itself: each member once.
    let Ok(config) = serde_json::from_str::<Value>(config) else { return };
    let review: Value = serde_json::from_str(&format!("{before}{config}{after}")).expect("it is JSON now");
    JUDGED.obeys(review.clone(), &[]);
    let Some(done) = FILLED_IN.obeys(review, &["/spec/extensions/0/providerConfig"]) else { return };
    if !has_fraction(&config) {
        only_filled_in(&config, &done.object["spec"]["extensions"][0]["providerConfig"]);
    }
}

/// Whether there is a number that serde_json may round each time when it reads it.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

/// What was there is there, and in its place; entries got a namespace or a Seed, and nothing else.
fn only_filled_in(before: &Value, after: &Value) {
    if before == after {
        return;
    }
    let without = |config: &Value, field: &str| {
        let mut config = config.clone();
        config.as_object_mut().expect("only a configuration is filled in").remove(field);
        config
    };
    assert_eq!(without(before, "shootPeerings"), without(after, "shootPeerings"));
    let entries = |config: &Value| config["shootPeerings"].as_array().expect("only entries are filled in").clone();
    let (before, after) = (entries(before), entries(after));
    assert_eq!(before.len(), after.len());
    for (mut before, after) in before.into_iter().zip(after) {
        for field in ["namespace", "seed"] {
            if before.get(field).is_none_or(|value| value.is_null() || value == "")
                && let Some(filled) = after.get(field).filter(|value| value.is_string())
            {
                before[field] = filled.clone();
            }
        }
        assert_eq!(before, after);
    }
}
