//! What gardenlet writes: Deployments and Clusters of its own code.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::net::Cidr;

/// A Deployment or Cluster as gardenlet writes it (see `tests/fixtures/gardener`).
pub(crate) fn fixture(case: &'static str, file: &'static str) -> Value {
    static READ: Mutex<BTreeMap<(&str, &str), Value>> = Mutex::new(BTreeMap::new());
    READ.lock().unwrap().entry((case, file)).or_insert_with(|| read_fixture(case, file)).clone()
}

fn read_fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/../../tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// The Deployment as gardenlet writes it for this Cluster: the VPN's containers are told its networks.
pub(crate) fn told(mut deployment: Value, cluster: &Value) -> Value {
    let list = |kind: &str| {
        let networking = |part: &str| cluster["spec"]["shoot"][part]["networking"][kind].clone();
        // Without host bits, and of what is in `status` all but what is written like that in `spec`.
        let masked = |text: &str| text.parse().map_or_else(|_| text.to_owned(), |cidr: Cidr| cidr.to_string());
        let in_spec = networking("spec").as_str().map(masked);
        let in_status = networking("status");
        let in_status = in_status.as_array().into_iter().flatten().filter_map(Value::as_str);
        let in_status = in_status.filter(|text| in_spec.as_deref() != Some(text)).map(masked);
        in_spec.clone().into_iter().chain(in_status).collect::<Vec<_>>().join(",")
    };
    let pod = &mut deployment["spec"]["template"]["spec"];
    for part in ["containers", "initContainers"] {
        for container in pod.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten() {
            for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                let value = match variable["name"].as_str().unwrap() {
                    "SEED_POD_NETWORK" => cluster["spec"]["seed"]["spec"]["networks"]["pods"].clone(),
                    "SHOOT_POD_NETWORKS" => json!(list("pods")),
                    "SHOOT_SERVICE_NETWORKS" => json!(list("services")),
                    "SHOOT_NODE_NETWORKS" => json!(list("nodes")),
                    _ => continue,
                };
                variable["value"] = value;
            }
        }
    }
    deployment
}
