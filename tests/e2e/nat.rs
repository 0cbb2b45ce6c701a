//! The double NAT behind the sidecar, on a real API server: what vpn2's containers are told, and containers of network-guard.

use serde_json::{Value, json};

use crate::harness::{Output, Scene, fixture, until};

const NAMESPACE: &str = Scene::NAMESPACE;
const SEED_PODS: &str = "10.0.0.0/8";
const OWN: &str = "vpn: {nat: {mode: own, image: 'registry.example.org/network-guard:v1', keepSeconds: 30, shootWebhook: {url: 'https://network-guard.example.org'}}}\n";

/// With a Shoot whose nodes overlap its Seed.
fn start(configuration: &str) -> Scene {
    let scene = Scene::start(configuration);
    scene.seed_pods(SEED_PODS);
    scene
}

fn apply(scene: &Scene, deployment: &Value) -> Output {
    let output = scene.control_plane.admin().run(&["apply", "-f", "-"], Some(&deployment.to_string()));
    assert!(output.ok, "{output:?}");
    output
}

/// gardenlet writes its own desired object again and again: the generation, and the template, stay.
fn gardenlet_moves_nothing(scene: &Scene, desired: &Value) {
    scene.control_plane.gardenlet_writes(desired);
    let before = scene.stored();
    for round in 0..3 {
        let output = scene.control_plane.gardenlet_writes(desired);
        assert!(output.ok, "round {round}: {output:?}");
        let after = scene.stored();
        assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"], "round {round}");
        assert_eq!(after["spec"]["template"], before["spec"]["template"], "round {round}");
    }
}

/// gardenlet's Deployment, its VPN told these networks of the Seed's Pods and of nodes.
fn told(seed_pods: &str, nodes: &str) -> Value {
    let mut deployment = fixture("ha", "deployment");
    for list in ["containers", "initContainers"] {
        for container in deployment["spec"]["template"]["spec"][list].as_array_mut().unwrap() {
            tell(container, "SEED_POD_NETWORK", seed_pods);
            tell(container, "SHOOT_NODE_NETWORKS", nodes);
        }
    }
    deployment
}

fn tell(container: &mut Value, name: &str, value: &str) {
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if variable["name"] == name {
            variable["value"] = json!(value);
        }
    }
}

fn container<'o>(object: &'o Value, list: &str, name: &str) -> &'o Value {
    let containers = object["spec"]["template"]["spec"][list].as_array().unwrap();
    containers.iter().find(|container| container["name"] == name).unwrap_or_else(|| panic!("no container {name}"))
}

/// What the containers of the VPN are told about nodes, each value once.
fn told_nodes(object: &Value) -> Vec<String> {
    let pod = &object["spec"]["template"]["spec"];
    let containers = ["initContainers", "containers"].into_iter().flat_map(|list| pod[list].as_array().unwrap());
    let env = containers.flat_map(|container| container["env"].as_array().into_iter().flatten());
    let mut values: Vec<String> = env
        .filter(|variable| variable["name"] == "SHOOT_NODE_NETWORKS")
        .map(|variable| variable["value"].as_str().unwrap().to_owned())
        .collect();
    values.dedup();
    values
}

#[test]
fn wrong_variables_are_corrected_and_right_ones_are_not() {
    let scene = start("");
    let right = told(SEED_PODS, "10.250.0.0/16");

    // As gardenlet writes them: nobody asks the API server, and nothing is said of them.
    let output = apply(&scene, &right);
    assert!(!output.stderr.contains("NETWORK"), "{}", output.stderr);
    assert!(scene.guard.series("network_guard_lookups_total", "what=\"cluster\"") == 0.0);
    let injected = scene.stored();
    scene.delete();

    // One container is told another network.
    let mut wrong = right.clone();
    let containers = wrong["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    tell(
        containers.iter_mut().find(|container| container["name"] == "vpn-client-1").unwrap(),
        "SHOOT_NODE_NETWORKS",
        "10.9.0.0/16",
    );
    let output = apply(&scene, &wrong);
    assert!(
        output.stderr.contains(
            "`SHOOT_NODE_NETWORKS` of `vpn-client-1` says `10.9.0.0/16`, the Cluster says `10.250.0.0/16`: corrected"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(scene.stored()["spec"], injected["spec"], "as if gardenlet had written the right one");
    assert!(scene.guard.series("network_guard_findings_total", "vpn/vpn-variables-corrected") > 0.0);
    gardenlet_moves_nothing(&scene, &wrong);
    assert_eq!(told_nodes(&scene.stored()), ["10.250.0.0/16"]);
    assert!(!scene.control_plane.log().contains("Failed to set admission audit annotation"));

    // Somebody changes one in what is stored.
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "vpn-client-0", "env": [{"name": "SHOOT_NODE_NETWORKS", "value": "10.8.0.0/16"}]},
    ]}}}});
    let arguments = ["patch", "deployment", "kube-apiserver", "-n", NAMESPACE, "-p", &patch.to_string()];
    scene.control_plane.admin().ok(&arguments, None);
    assert_eq!(told_nodes(&scene.stored()), ["10.250.0.0/16"]);
    assert!(scene.guard.series("network_guard_decisions_total", "decision=\"corrected\"") > 0.0);
}

/// gardenlet writes the Cluster, and the Deployment a moment later. A webhook that has not heard of the Cluster by then
/// takes nothing back; here it never hears of it, because it may not watch any more.
#[test]
fn a_grown_cluster_is_not_corrected_back() {
    let mut scene = start("");
    scene.seed_pods("10.64.0.0/11");
    let rights = |verbs: &[&str]| json!([{"op": "replace", "path": "/rules/0/verbs", "value": verbs}]).to_string();
    let permit = |scene: &Scene, verbs: &[&str], refused: &str| {
        let admin = scene.control_plane.admin();
        admin.ok(&["patch", "clusterrole", "network-guard", "--type=json", "-p", &rights(verbs)], None);
        let guard = scene.control_plane.kubectl("network-guard", "webhooks");
        let question = ["auth", "can-i", refused, "clusters.extensions.gardener.cloud"];
        until("the rights are gone", || guard.run(&question, None).stdout.starts_with("no"));
    };
    permit(&scene, &["get"], "watch");
    // The watch that is still open ends.
    scene.control_plane.stop_api_server();
    scene.control_plane.start_api_server();

    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.65.0.0/16"]);
    scene.control_plane.apply_cluster(&cluster);
    let grown = told("10.64.0.0/11", "10.250.0.0/16,10.65.0.0/16");
    let output = apply(&scene, &grown);
    assert!(scene.guard.metric("network_guard_clusters_overlapping") == 0.0, "it has not heard of it");
    assert!(output.stderr.contains("nodes 10.65.0.0/16 overlaps Seed pods 10.64.0.0/11: added"), "{}", output.stderr);
    assert!(!output.stderr.contains("NETWORK"), "{}", output.stderr);
    let stored = scene.stored();
    assert_eq!(told_nodes(&stored), ["10.250.0.0/16,10.65.0.0/16"]);
    assert!(scene.guard.series("network_guard_lookups_total", "result=\"found\"") > 0.0);

    // When it may not even ask, it changes nothing and says so.
    permit(&scene, &["create"], "get");
    let output = apply(&scene, &grown);
    assert!(output.stderr.contains("left as it is, the Cluster could not be read again"), "{}", output.stderr);
    assert_eq!(scene.stored()["spec"], stored["spec"]);
}

#[test]
fn own_containers_are_complete_and_go_with_the_overlap() {
    let scene = start(OWN);
    let desired = told(SEED_PODS, "10.250.0.0/16");
    let output = apply(&scene, &desired);
    assert!(output.stderr.contains("Warning: added the containers that translate"), "{}", output.stderr);

    // What the API server stored is what we wrote: no default was added, so nothing will look changed.
    let stored = scene.stored();
    let own = network_guard_core::vpn::nat::Own {
        keep_seconds: std::num::NonZeroU32::new(30),
        ..network_guard_core::vpn::nat::Own::new("registry.example.org/network-guard:v1")
    };
    let facts = network_guard_core::gardener::ClusterFacts::parse(&{
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!(SEED_PODS);
        cluster["spec"].to_string()
    });
    let networks = network_guard_core::vpn::Networks::of(&facts.unwrap());
    let ours = network_guard_core::vpn::nat::Containers::new(&own, network_guard_core::vpn::nat::Side::Seed, &networks);
    let [init, agent] = [ours.init(), ours.agent()].map(|piece| piece.unwrap().value());
    assert_eq!(container(&stored, "initContainers", "network-guard-nat-init"), init);
    assert_eq!(container(&stored, "containers", "network-guard-nat"), agent);
    assert_eq!(stored["spec"]["template"]["spec"]["initContainers"].as_array().unwrap().len(), 2);
    assert_eq!(stored["metadata"]["generation"], 1);
    gardenlet_moves_nothing(&scene, &desired);
    assert_eq!(scene.stored()["metadata"]["generation"], 1);

    // The command line is one that the program takes: it plans the same.
    let command: Vec<&str> = init["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let end = command.iter().position(|word| *word == "--settings").unwrap();
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_network-guard"));
    let planned = { program }.args(["nat", "plan"]).args(&command[3..end]).output().unwrap();
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    assert!(String::from_utf8_lossy(&planned.stdout).contains("242.0.0.0/16"), "{planned:?}");

    // Without overlap: as without a webhook.
    scene.seed_pods("10.64.0.0/11");
    let desired = fixture("ha", "deployment");
    let output = scene.control_plane.gardenlet_writes(&desired);
    assert!(output.ok, "{output:?}");
    assert!(!scene.stored()["spec"].to_string().contains("network-guard"), "nothing of ours");
}
