//! The networks of a Seed and a Shoot, and what our server makes of gardenlet's Deployment in it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard::net::Cidr;
use serde_json::{Value, json};

use crate::basics::{eventually, fixture};
use crate::lab::Lab;
use crate::space::{must, run};

/// Networks as they stand in a Cluster.
#[derive(Clone, Copy, Debug)]
pub struct Networks {
    pub seed_pods: &'static str,
    pub pods: &'static [&'static str],
    pub services: &'static [&'static str],
    pub nodes: &'static [&'static str],
    /// The address of the Pod vpn-shoot, one of the Shoot's Pods.
    pub vpn_pod: &'static str,
}

impl Networks {
    /// The Cluster that Gardener wrote, with these networks.
    pub fn cluster(&self) -> Value {
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!(self.seed_pods);
        let shoot = &mut cluster["spec"]["shoot"];
        for (kind, networks) in [("pods", self.pods), ("services", self.services), ("nodes", self.nodes)] {
            shoot["spec"]["networking"][kind] = json!(networks[0]);
            shoot["status"]["networking"][kind] = json!(networks);
        }
        shoot["spec"]["networking"]["ipFamilies"] =
            if self.is_dual_stack() { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
        cluster
    }

    /// The Deployment as gardenlet writes it for these networks: it tells them to the VPN.
    pub fn deployment(&self) -> Value {
        let mut deployment = fixture("ha", "deployment");
        let pod = &mut deployment["spec"]["template"]["spec"];
        for list in ["initContainers", "containers"] {
            let containers = pod[list].as_array_mut().unwrap().iter_mut();
            for variable in containers.filter_map(|container| container["env"].as_array_mut()).flatten() {
                match variable["name"].as_str().unwrap() {
                    "SEED_POD_NETWORK" => variable["value"] = json!(self.seed_pods),
                    "SHOOT_POD_NETWORKS" => variable["value"] = json!(self.pods.join(",")),
                    "SHOOT_SERVICE_NETWORKS" => variable["value"] = json!(self.services.join(",")),
                    "SHOOT_NODE_NETWORKS" => variable["value"] = json!(self.nodes.join(",")),
                    _ => {}
                }
            }
        }
        deployment
    }

    /// All networks of the Shoot.
    pub fn of_the_shoot(&self) -> impl Iterator<Item = &'static str> {
        [self.pods, self.services, self.nodes].into_iter().flatten().copied()
    }

    /// Whether the Seed's Pods have addresses that the Shoot has too.
    pub fn overlap(&self) -> bool {
        let seed: Cidr = self.seed_pods.parse().unwrap();
        self.of_the_shoot().any(|network| network.parse::<Cidr>().unwrap().overlaps(seed))
    }

    /// Whether the Shoot has IPv6 networks too.
    pub fn is_dual_stack(&self) -> bool {
        self.of_the_shoot().any(|network| network.contains(':'))
    }
}

/// Has our server, as a process, review gardenlet's Deployment; gives the Deployment as an API server would store it.
pub fn admitted_deployment(lab: &Lab) -> Value {
    let folder = lab.path("guard");
    fs::create_dir_all(folder.join("landscape")).unwrap();
    fs::write(folder.join("landscape/cluster.json"), lab.networks.cluster().to_string()).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
    must(
        lab.other.command(program).args(["certs", "generate", "--san", "127.0.0.1", "--out"]).arg(folder.join("certs")),
        "",
    );
    let arguments = [
        "serve",
        "all",
        "--landscape",
        &folder.join("landscape").display().to_string(),
        "--cert-dir",
        &folder.join("certs").display().to_string(),
    ];
    let mut guard = lab.other.start(&folder, "network-guard", program, &arguments.map(str::to_owned));

    let mut deployment = lab.networks.deployment();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "name": deployment["metadata"]["name"],
            "namespace": deployment["metadata"]["namespace"],
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "object": deployment,
        },
    });
    let url = format!("https://127.0.0.1:10250{}", network_guard::handlers::KUBE_APISERVER_PATH);
    let answer = eventually("network-guard answers", || {
        assert!(guard.is_running(), "network-guard ended. {}", guard.last_words());
        let mut curl = lab.other.command("curl");
        curl.args(["-sSf", "--header", "Content-Type: application/json", "--data-binary", "@-", "--cacert"]);
        let output = run(curl.arg(folder.join("certs/ca.crt")).arg(&url), &review.to_string());
        output.ok.then_some(output.stdout).ok_or(output.stderr)
    });
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    if let Some(patch) = answer["response"]["patch"].as_str() {
        let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut deployment, &patch).unwrap();
    }
    deployment
}
