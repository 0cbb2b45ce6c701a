//! What the VPN of a kube-apiserver is told about the networks, compared with the Cluster, on a real API server.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, fixture, until};

const NAMESPACE: &str = "shoot--local--ha";
const DIFFER: &str = "network_guard_vpn_networks_differ";
const COMPARED: &str = "network_guard_vpn_networks_compared";

/// The webhook is not registered, as while a Cluster grows and nobody writes the Deployment.
struct Scene {
    control_plane: ControlPlane,
    guard: Guard,
}

impl Scene {
    fn start() -> Self {
        let control_plane = ControlPlane::start();
        let guard = Guard::start(&control_plane);
        Self { control_plane, guard }
    }

    /// The Shoot's Cluster, with these node networks in its status.
    fn cluster(&self, nodes: &Value) {
        let mut cluster = fixture("ha-overlap", "cluster");
        cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = nodes.clone();
        self.control_plane.apply_cluster(&cluster);
    }

    /// Its kube-apiserver, whose VPN is told these.
    fn deployment(&self, nodes: &str) {
        let mut deployment = fixture("ha-overlap", "deployment");
        for list in ["containers", "initContainers"] {
            let containers = deployment["spec"]["template"]["spec"][list].as_array_mut().unwrap();
            let env = containers.iter_mut().filter_map(|container| container.get_mut("env")?.as_array_mut()).flatten();
            for variable in env.filter(|variable| variable["name"] == "SHOOT_NODE_NETWORKS") {
                variable["value"] = json!(nodes);
            }
        }
        let output = self.control_plane.admin().run(&["apply", "-f", "-"], Some(&deployment.to_string()));
        assert!(output.ok, "{output:?}");
    }

    /// What `overlap report` prints, its exit code first.
    fn report(&self) -> String {
        let kubeconfig = self.control_plane.kubeconfig("admin", "system:masters");
        let program = Command::new(env!("CARGO_BIN_EXE_network-guard"));
        let output = { program }.args(["overlap", "report", "--kubeconfig"]).arg(kubeconfig).output().unwrap();
        format!("{} {}", output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn other_networks_than_the_cluster_has_are_counted_until_they_are_right() {
    let scene = Scene::start();
    scene.cluster(&json!(["10.250.0.0/16"]));
    scene.deployment("10.250.0.0/16");
    until("they are compared", || scene.guard.metric(COMPARED) >= 1.0);
    assert!(scene.guard.metric(DIFFER) == 0.0);
    let report = scene.report();
    assert!(report.starts_with("0 ") && report.contains("gardenlet's  same  pods"), "{report}");

    // The nodes grow, and gardenlet has not come to the kube-apiserver yet.
    scene.cluster(&json!(["10.250.0.0/16", "10.251.0.0/16"]));
    until("it differs", || scene.guard.metric(DIFFER) >= 1.0);
    let report = scene.report();
    assert!(report.starts_with("1 ") && report.contains("gardenlet's  OTHER  pods"), "{report}");
    let said = "shoot--local--ha: its kube-apiserver is told other networks: nodes `10.250.0.0/16`, the Cluster says \
                `10.250.0.0/16,10.251.0.0/16`";
    assert!(report.contains(said), "{report}");

    // It does.
    scene.deployment("10.250.0.0/16,10.251.0.0/16");
    until("it differs no more", || scene.guard.metric(DIFFER) == 0.0);
    assert!(scene.guard.metric(COMPARED) >= 1.0);

    // It grows again, and gardenlet tells the same in another order, of which the same mapping comes.
    scene.cluster(&json!(["10.9.0.0/24", "10.250.0.0/16", "10.251.0.0/16"]));
    until("it differs", || scene.guard.metric(DIFFER) >= 1.0);
    scene.deployment("10.250.0.0/16,10.251.0.0/16,10.9.0.0/24");
    until("it differs no more", || scene.guard.metric(DIFFER) == 0.0);

    // A Shoot that sleeps maps nothing.
    scene.control_plane.admin().ok(&["scale", "deployment", "kube-apiserver", "-n", NAMESPACE, "--replicas=0"], None);
    until("it is compared no more", || scene.guard.metric(COMPARED) == 0.0);
}

/// The watch is for the metric alone: without the right to it the server is ready, and its webhooks do their work.
#[test]
fn without_the_right_to_watch_everything_else_goes_on() {
    let mut scene = Scene::start();
    scene.cluster(&json!(["10.250.0.0/16"]));
    scene.deployment("10.250.0.0/16");
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
    admin.ok(&["delete", "deployment", "kube-apiserver", "-n", NAMESPACE], None);
    let mut plain = fixture("ha", "deployment");
    plain["metadata"]["namespace"] = json!(NAMESPACE);
    let output = admin.run(&["apply", "-f", "-"], Some(&plain.to_string()));
    assert!(output.ok && output.stderr.contains("added envoy-proxy and egress selector"), "{output:?}");
    assert!(scene.guard.health("/readyz").starts_with("HTTP/1.1 200"));
    assert!(scene.guard.metric(COMPARED) == 0.0 && scene.guard.metric(DIFFER) == 0.0);
}
