//! The Helm charts: what they render, whether API servers take it, and whether our server can live with it.

mod alerts;
mod apply;
mod conventions;
mod failure_policy;
mod install;
mod log_level;
mod monitoring;
mod policy;
mod release;
mod render;
mod rights;
mod second;
mod values;

use serde_json::{Value, json};

use crate::harness::Chart;

/// The namespaces that charts are made for.
const SEED: &str = "extension-network-guard";
const RUNTIME: &str = "garden";
const VIRTUAL: &str = "extension-network-guard";

/// What looks like a CA to a schema.
const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// All charts that are installed by themselves, each with a namespace and the least values.
fn charts() -> [(Chart, &'static str, Value); 3] {
    [(Chart::SEED, SEED, json!({})), (Chart::RUNTIME, RUNTIME, json!({})), (Chart::APPLICATION, VIRTUAL, json!({}))]
}

/// Values for certificates that somebody made.
fn by_secret() -> Value {
    json!({"tls": {"mode": "secret", "caBundle": CA}})
}

/// Values for certificates that cert-manager makes.
fn by_cert_manager() -> Value {
    json!({"tls": {"mode": "cert-manager", "caBundle": CA, "certManager": {"issuerRef": {"name": "network-guard"}}}})
}

/// The three ways in which certificates come about; the first one is the default.
fn modes() -> [Value; 3] {
    [json!({}), by_cert_manager(), by_secret()]
}

/// Those with a Deployment, and what gardener-operator or gardenlet add to their values.
fn servers() -> [(Chart, &'static str, Value, Value); 2] {
    let [(seed, seed_namespace, seed_values), (runtime, runtime_namespace, runtime_values), _] = charts();
    let by_gardenlet = json!({"gardener": {"version": "v1.149.0", "seed": {"name": "a"}}, "usablePorts": [1]});
    // The text "true" is what gardener-operator writes.
    let by_operator = json!({"gardener": {
        "runtimeCluster": {"enabled": "true", "priorityClassName": "gardener-garden-system-300"},
        "virtualCluster": {"enabled": true, "namespace": "extension-network-guard"},
    }});
    [(seed, seed_namespace, seed_values, by_gardenlet), (runtime, runtime_namespace, runtime_values, by_operator)]
}

/// Both, the second one's fields first.
fn merged(mut values: Value, over: &Value) -> Value {
    merge(&mut values, over);
    values
}

fn merge(values: &mut Value, over: &Value) {
    match (values, over) {
        (Value::Object(values), Value::Object(over)) => {
            for (name, value) in over {
                merge(values.entry(name).or_insert(Value::Null), value);
            }
        }
        (values, over) => *values = over.clone(),
    }
}
