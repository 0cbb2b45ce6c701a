//! A recorded object, changed here and there. Bytes that are mutated blindly are JSON too seldom.

use serde_json::{Value, json};

use super::bytes::Bytes;

/// The most changes of one object.
const MOST: usize = 12;

/// The most steps from an object to what is changed.
const DEEPEST: usize = 12;

/// Values that mean something somewhere.
const KNOWN: [&str; 36] = [
    "",
    "10.0.0.0/8",
    "10.64.0.0/11",
    "10.250.0.0/16",
    "240.0.0.0/4",
    "::ffff:10.250.0.0/112",
    "fd00::/8",
    "0.0.0.0/0",
    "172.20.0.0/24",
    "10.250.0.0/16,10.251.0.0/16",
    "calico",
    "cilium",
    "aws",
    "IPv6",
    "Never",
    "Always",
    "bird",
    "none",
    "migrate",
    "restore",
    "reconcile",
    "Succeeded",
    "2026-11-20T10:00:00Z",
    "2026-11-20T10:00:00.123456789Z",
    "network-guard-envoy",
    "envoy-proxy",
    "envoy-config",
    "kube-apiserver",
    "kube-apiserver-http-proxy",
    "vpn-client-0",
    "SHOOT_NODE_NETWORKS",
    "osc-peering-service",
    "garden-shop",
    "orders",
    "ledger",
    "eu1-a",
];

/// Members that mean something somewhere.
const MEMBERS: [&str; 24] = [
    "name",
    "namespace",
    "seed",
    "value",
    "valueFrom",
    "type",
    "disabled",
    "enabled",
    "overlay",
    "createPodRoutes",
    "ipv4",
    "ipv6",
    "mode",
    "backend",
    "nodes",
    "pods",
    "services",
    "seedName",
    "deletionTimestamp",
    "annotations",
    "gardener.cloud/operation",
    "hostAliases",
    "initContainers",
    "providerConfig",
];

/// Changes an object in up to twelve places, which the bytes name.
pub(super) fn edited(mut object: Value, bytes: &mut Bytes<'_>) -> Value {
    for _ in 0..bytes.below(MOST + 1) {
        let steps = bytes.below(DEEPEST);
        let mut at = &mut object;
        for _ in 0..steps {
            let Some(place) = choose(at, bytes) else { break };
            // Only on the way: the last step is the edit's.
            match child(at, place) {
                Some(next) if next.is_object() || next.is_array() => at = child(at, place).expect("it was there"),
                _ => break,
            }
        }
        change(at, bytes);
    }
    object
}

fn choose(at: &Value, bytes: &mut Bytes<'_>) -> Option<usize> {
    let count = match at {
        Value::Array(list) => list.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    };
    (count > 0).then(|| bytes.below(count))
}

fn child(at: &mut Value, place: usize) -> Option<&mut Value> {
    match at {
        Value::Array(list) => list.get_mut(place),
        Value::Object(members) => members.values_mut().nth(place),
        _ => None,
    }
}

fn change(at: &mut Value, bytes: &mut Bytes<'_>) {
    let kind = bytes.below(8);
    if kind == 0 {
        let (name, value) = (name(bytes), value(bytes));
        match at {
            Value::Object(members) => drop(members.insert(name, value)),
            Value::Array(list) => list.push(value),
            _ => {}
        }
        return;
    }
    let Some(place) = choose(at, bytes) else { return };
    match (kind, at) {
        (1, Value::Array(list)) => drop(list.remove(place)),
        (1, Value::Object(members)) => {
            let key = members.keys().nth(place).cloned().expect("it was chosen of them");
            members.remove(&key);
        }
        (2, Value::Array(list)) => list.insert(place, list[place].clone()),
        (3, Value::Array(list)) => list.swap(0, place),
        (2 | 3, Value::Object(members)) => {
            let key = members.keys().nth(place).cloned().expect("it was chosen of them");
            let value = members.remove(&key).expect("it is a key of theirs");
            members.insert(name(bytes), value);
        }
        (_, at) => {
            if let Some(child) = child(at, place) {
                *child = value(bytes);
            }
        }
    }
}

fn name(bytes: &mut Bytes<'_>) -> String {
    if bytes.flag() { (*bytes.choose(&MEMBERS)).to_owned() } else { bytes.text() }
}

fn value(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(10) {
        0 => Value::Null,
        1 => json!(bytes.flag()),
        2 => json!(bytes.number()),
        3 => json!(bytes.text()),
        4 => json!([]),
        5 => json!({}),
        6 => json!([*bytes.choose(&KNOWN)]),
        7 => json!({ name(bytes): *bytes.choose(&KNOWN) }),
        _ => json!(*bytes.choose(&KNOWN)),
    }
}
