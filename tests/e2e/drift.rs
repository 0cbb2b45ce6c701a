//! What the VPN of a kube-apiserver is told about the networks, compared with the Cluster, on a real API server.

use serde_json::{Value, json};

use crate::harness::{Guard, Scene, fixture, until};

const NAMESPACE: &str = Scene::NAMESPACE;
const DIFFER: &str = "network_guard_vpn_networks_differ";
const COMPARED: &str = "network_guard_vpn_networks_compared";

/// The webhook is not registered, as while a Cluster grows and nobody writes the Deployment.
fn start() -> Scene {
    Scene::unregistered("")
}

/// The Shoot's Cluster, with these node networks in its status.
fn cluster(scene: &Scene, nodes: &Value) {
    let mut cluster = fixture("ha-overlap", "cluster");
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = nodes.clone();
    scene.control_plane.apply_cluster(&cluster);
}

/// Its kube-apiserver, whose VPN is told these.
fn deployment(scene: &Scene, nodes: &str) {
    let mut deployment = fixture("ha-overlap", "deployment");
    for list in ["containers", "initContainers"] {
        let containers = deployment["spec"]["template"]["spec"][list].as_array_mut().unwrap();
        let env = containers.iter_mut().filter_map(|container| container.get_mut("env")?.as_array_mut()).flatten();
        for variable in env.filter(|variable| variable["name"] == "SHOOT_NODE_NETWORKS") {
            variable["value"] = json!(nodes);
        }
    }
    let output = scene.control_plane.admin().run(&["apply", "-f", "-"], Some(&deployment.to_string()));
    assert!(output.ok, "{output:?}");
}

#[test]
fn other_networks_than_the_cluster_has_are_counted_until_they_are_right() {
    let scene = start();
    cluster(&scene, &json!(["10.250.0.0/16"]));
    deployment(&scene, "10.250.0.0/16");
    until("they are compared", || scene.guard.metric(COMPARED) >= 1.0);
    assert!(scene.guard.metric(DIFFER) == 0.0);
    let report = scene.report();
    assert!(report.contains("gardenlet's  same  pods"), "{report}");

    // The nodes grow, and gardenlet has not come to the kube-apiserver yet.
    cluster(&scene, &json!(["10.250.0.0/16", "10.251.0.0/16"]));
    until("it differs", || scene.guard.metric(DIFFER) >= 1.0);
    let report = scene.report();
    assert!(report.contains("gardenlet's  OTHER  pods"), "{report}");
    let said = "shoot--local--ha: its kube-apiserver is told other networks: nodes `10.250.0.0/16`, the Cluster says \
                `10.250.0.0/16,10.251.0.0/16`";
    assert!(report.contains(said), "{report}");

    // It does.
    deployment(&scene, "10.250.0.0/16,10.251.0.0/16");
    until("it differs no more", || scene.guard.metric(DIFFER) == 0.0);
    assert!(scene.guard.metric(COMPARED) >= 1.0);

    // It grows again, and gardenlet tells the same in another order, of which the same mapping comes.
    cluster(&scene, &json!(["10.9.0.0/24", "10.250.0.0/16", "10.251.0.0/16"]));
    until("it differs", || scene.guard.metric(DIFFER) >= 1.0);
    deployment(&scene, "10.250.0.0/16,10.251.0.0/16,10.9.0.0/24");
    until("it differs no more", || scene.guard.metric(DIFFER) == 0.0);

    // A Shoot that sleeps maps nothing.
    scene.control_plane.admin().ok(&["scale", "deployment", "kube-apiserver", "-n", NAMESPACE, "--replicas=0"], None);
    until("it is compared no more", || scene.guard.metric(COMPARED) == 0.0);
}

/// The watch is for the metric alone: without the right to it the server is ready, and its webhooks do their work.
#[test]
fn without_the_right_to_watch_everything_else_goes_on() {
    let mut scene = start();
    cluster(&scene, &json!(["10.250.0.0/16"]));
    deployment(&scene, "10.250.0.0/16");
    until("they are compared", || scene.guard.metric(COMPARED) >= 1.0);
    scene.guard.kill();

    let admin = scene.control_plane.admin();
    let mut role = admin.get(&["clusterrole", "network-guard"]);
    role["rules"].as_array_mut().unwrap().retain(|rule| rule["resources"] != json!(["deployments"]));
    admin.ok(&["replace", "-f", "-"], Some(&role.to_string()));
    let guard = scene.control_plane.kubectl("network-guard", "webhooks");
    let question = ["auth", "can-i", "watch", "deployments.apps/kube-apiserver", "-A"];
    until("the right is gone", || guard.run(&question, None).stdout.starts_with("no"));

    scene.guard = Guard::start(&scene.control_plane);
    scene.guard.register(&scene.control_plane);
    until("the watch is refused", || scene.guard.log().contains("deployments.apps"));
    scene.delete();
    let mut plain = fixture("ha", "deployment");
    plain["metadata"]["namespace"] = json!(NAMESPACE);
    let output = admin.run(&["apply", "-f", "-"], Some(&plain.to_string()));
    assert!(output.ok && output.stderr.contains("added envoy-proxy and egress selector"), "{output:?}");
    assert!(scene.guard.health("/readyz").starts_with("HTTP/1.1 200"));
    assert!(scene.guard.metric(COMPARED) == 0.0 && scene.guard.metric(DIFFER) == 0.0);
}
