//! Tests with objects that Gardener's own code wrote.

use serde_json::{Value, json};

use super::*;
use crate::vpn::Networks;
use crate::vpn::nat::{Containers, Own, Side};
use crate::vpn::rules::tests::fixture;

/// The differences between this Deployment and this Cluster.
fn judged(deployment: &Value, cluster: &Value) -> Option<Vec<String>> {
    let text = deployment.to_string();
    let facts = ClusterFacts::parse(&cluster["spec"].to_string()).unwrap();
    let told = told(&Deployment::read(&text).unwrap())?;
    Some(differences(&told, &facts).iter().map(ToString::to_string).collect())
}

fn containers(deployment: &mut Value) -> impl Iterator<Item = &mut Value> {
    let pod = deployment["spec"]["template"]["spec"].as_object_mut().unwrap();
    let lists = pod.iter_mut().filter(|(name, _)| *name == "containers" || *name == "initContainers");
    lists.flat_map(|(_, list)| list.as_array_mut().unwrap())
}

/// Sets a variable of all containers of the VPN, or only of the one of this name.
fn tell(deployment: &mut Value, only: &str, variable: &str, value: &Value) {
    for container in containers(deployment).filter(|container| only.is_empty() || container["name"] == only) {
        for entry in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
            if entry["name"] == variable {
                *entry = json!({"name": variable, "value": value});
            }
        }
    }
}

const NODES: &str = "SHOOT_NODE_NETWORKS";

#[test]
fn what_gardener_writes_does_not_differ() {
    for (case, is_told) in [
        ("ha", true),
        ("ha-overlap", true),
        ("ha-dual-stack", true),
        ("ha-several-nodes", true),
        ("ha-repeated-nodes", true),
        ("non-ha", false),
        ("workerless", false),
    ] {
        let (mut deployment, mut cluster) = (fixture(case, "deployment"), fixture(case, "cluster"));
        for seed_pods in ["", "0.0.0.0/0"] {
            // On any Seed, also one that overlaps.
            if !seed_pods.is_empty() {
                cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!(seed_pods);
                tell(&mut deployment, "", "SEED_POD_NETWORK", &json!(seed_pods));
            }
            assert_eq!(judged(&deployment, &cluster), is_told.then(Vec::new), "{case}");
        }
        let text = deployment.to_string();
        let sets = told(&Deployment::read(&text).unwrap()).map_or(0, |told| told.sets.len());
        assert_eq!(sets, usize::from(is_told), "{case}: all containers have the same set, which is kept once");
    }
}

/// A name, the configured node networks, the Cluster's node networks in its status, and what differs.
#[test]
fn what_counts_is_the_mapping() {
    let grown = json!(["10.250.0.0/16", "10.251.0.0/16", "10.4.0.0/24"]);
    for (name, told, status, want) in [
        ("as they were", "10.250.0.0/16", json!(["10.250.0.0/16"]), ""),
        (
            "the Cluster has grown",
            "10.250.0.0/16",
            grown.clone(),
            "nodes `10.250.0.0/16`, the Cluster says `10.250.0.0/16,10.251.0.0/16,10.4.0.0/24`",
        ),
        (
            "the Cluster has shrunk",
            "10.250.0.0/16,10.251.0.0/16",
            json!(["10.250.0.0/16"]),
            "nodes `10.250.0.0/16,10.251.0.0/16`, the Cluster says `10.250.0.0/16`",
        ),
        ("another order of other sizes", "10.4.0.0/24,10.250.0.0/16,10.251.0.0/16", grown.clone(), ""),
        (
            "another order of equal sizes",
            "10.251.0.0/16,10.250.0.0/16,10.4.0.0/24",
            grown.clone(),
            "nodes `10.251.0.0/16,10.250.0.0/16,10.4.0.0/24`, the Cluster says `10.250.0.0/16,10.251.0.0/16,10.4.0.0/24`",
        ),
        (
            "a repetition that both have",
            "10.250.0.0/16,10.9.0.0/16,10.9.0.0/16",
            json!(["10.9.0.0/16", "10.9.0.0/16"]),
            "",
        ),
        (
            "a repetition that only the Cluster has",
            "10.250.0.0/16,10.9.0.0/16",
            json!(["10.9.0.0/16", "10.9.0.0/16"]),
            "nodes `10.250.0.0/16,10.9.0.0/16`, the Cluster says `10.250.0.0/16,10.9.0.0/16,10.9.0.0/16`",
        ),
        ("IPv6 of its own", "10.250.0.0/16,fd00::/64", json!(["10.250.0.0/16"]), ""),
        ("only IPv6 for now", "fd00::/64", json!(["10.250.0.0/16", "fd00::/64"]), ""),
        ("unknown before the Pod starts", "$(NODES)", grown, ""),
    ] {
        let (mut deployment, mut cluster) = (fixture("ha-overlap", "deployment"), fixture("ha-overlap", "cluster"));
        cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = status;
        tell(&mut deployment, "", NODES, &json!(told));
        assert_eq!(judged(&deployment, &cluster).unwrap().join("; "), want, "{name}");
    }
}

/// A name, what becomes of a Deployment and a Cluster that differ, and whether they are compared and still differ.
#[test]
fn where_nothing_is_mapped_nothing_differs() {
    type Change = fn(&mut Value, &mut Value);
    let rows: [(&str, Change, Option<bool>); 8] = [
        ("they differ", |_, _| (), Some(true)),
        ("hibernated", |deployment, _| deployment["spec"]["replicas"] = json!(0), None),
        (
            "being deleted",
            |deployment, _| deployment["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            None,
        ),
        (
            "the Shoot is being deleted",
            |_, cluster| cluster["spec"]["shoot"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            Some(false),
        ),
        ("the Shoot moves", |_, cluster| cluster["spec"]["shoot"]["spec"]["seedName"] = json!("other"), Some(false)),
        (
            "no overlap",
            |deployment, cluster| {
                cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("192.168.0.0/16");
                tell(deployment, "", "SEED_POD_NETWORK", &json!("192.168.0.0/16"));
            },
            Some(false),
        ),
        (
            "no overlap any more, and one container knows it",
            |_, cluster| cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("192.168.0.0/16"),
            Some(true),
        ),
        ("no Seed", |_, cluster| cluster["spec"]["seed"] = Value::Null, Some(false)),
    ];
    for (name, change, want) in rows {
        let (mut deployment, mut cluster) = (fixture("ha-overlap", "deployment"), fixture("ha-overlap", "cluster"));
        tell(&mut deployment, "vpn-client-1", NODES, &json!("10.250.0.0/16,10.9.0.0/16"));
        change(&mut deployment, &mut cluster);
        assert_eq!(judged(&deployment, &cluster).map(|found| !found.is_empty()), want, "{name}");
    }
}

/// Beside an old vpn2 network-guard's containers translate, so only their networks count.
#[test]
fn our_own_containers_count_where_they_are() {
    let (mut deployment, mut cluster) = (fixture("ha-overlap", "deployment"), fixture("ha-overlap", "cluster"));
    tell(&mut deployment, "", NODES, &json!("10.9.0.0/16"));
    assert_eq!(judged(&deployment, &cluster).unwrap().len(), 1);
    let networks = Networks::of(&ClusterFacts::parse(&cluster["spec"].to_string()).unwrap());
    let ours = Containers::new(&Own::new("network-guard:1"), Side::Seed, &networks);
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["initContainers"].as_array_mut().unwrap().push(ours.init().unwrap().value().clone());
    pod["containers"].as_array_mut().unwrap().push(ours.agent().unwrap().value().clone());
    assert_eq!(judged(&deployment, &cluster), Some(vec![]));
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.251.0.0/16"]);
    assert_eq!(
        judged(&deployment, &cluster).unwrap(),
        ["nodes `10.250.0.0/16`, the Cluster says `10.250.0.0/16,10.251.0.0/16`"]
    );
}
