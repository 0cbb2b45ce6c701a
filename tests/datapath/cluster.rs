//! The networks of a Seed and a Shoot, and what our server makes of gardenlet's Deployment in it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_core::net::Cidr;
use network_guard_core::webhooks::{KUBE_APISERVER_PATH, VPN_SHOOT_PATH};
use serde_json::{Value, json};

use crate::basics::{eventually, fixture};
use crate::lab::Lab;
use crate::process::Process;
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
        self.tell(fixture("ha", "deployment"))
    }

    /// Tells these networks to the VPN's containers.
    pub fn tell(&self, mut object: Value) -> Value {
        let pod = &mut object["spec"]["template"]["spec"];
        for list in ["initContainers", "containers"] {
            let containers = pod[list].as_array_mut().into_iter().flatten();
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
        object
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

/// Our server, as a process, with the laboratory's Cluster.
pub struct Guard<'a> {
    lab: &'a Lab,
    process: RefCell<Process>,
    folder: PathBuf,
}

impl<'a> Guard<'a> {
    /// Starts it with these lines of configuration.
    pub fn start(lab: &'a Lab, configuration: &str) -> Self {
        let folder = lab.path("guard");
        fs::create_dir_all(folder.join("landscape")).unwrap();
        fs::write(folder.join("landscape/cluster.json"), lab.networks.cluster().to_string()).unwrap();
        let head =
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
        fs::write(folder.join("config.yaml"), format!("{head}{configuration}")).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
        let mut generate = lab.other.command(program);
        must(generate.args(["certs", "generate", "--san", "127.0.0.1", "--out"]).arg(folder.join("certs")), "");
        let path = |name: &str| folder.join(name).display().to_string();
        let flags = [("--landscape", "landscape"), ("--cert-dir", "certs"), ("--config", "config.yaml")];
        let mut arguments = vec!["serve".to_owned(), "all".to_owned()];
        arguments.extend(flags.into_iter().flat_map(|(flag, name)| [flag.to_owned(), path(name)]));
        let process = RefCell::new(lab.other.start(&folder, "network-guard", program, &arguments));
        Self { lab, process, folder }
    }

    /// Has it review an object; gives the object as an API server would store it.
    fn admit(&self, webhook: &str, resource: &str, mut object: Value) -> Value {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "1", "operation": "CREATE", "name": object["metadata"]["name"],
                "namespace": object["metadata"]["namespace"],
                "resource": {"group": "apps", "version": "v1", "resource": resource},
                "object": object,
            },
        });
        let url = format!("https://127.0.0.1:10250{webhook}");
        let answer = eventually("network-guard answers", || {
            let mut process = self.process.borrow_mut();
            assert!(process.is_running(), "network-guard ended. {}", process.last_words());
            let mut curl = self.lab.other.command("curl");
            curl.args(["-sSf", "--header", "Content-Type: application/json", "--data-binary", "@-", "--cacert"]);
            let output = run(curl.arg(self.folder.join("certs/ca.crt")).arg(&url), &review.to_string());
            output.ok.then_some(output.stdout).ok_or(output.stderr)
        });
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        if let Some(patch) = answer["response"]["patch"].as_str() {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut object, &patch).unwrap();
        }
        object
    }

    /// gardenlet's Deployment of the kube-apiserver.
    pub fn deployment(&self) -> Value {
        self.admit(KUBE_APISERVER_PATH, "deployments", self.lab.networks.deployment())
    }

    /// The same with gardenlet's own proxy, as gardenlet writes it from v1.124 on.
    pub fn deployment_with_proxy(&self) -> Value {
        let deployment = self.lab.networks.tell(fixture("ha-overlap", "deployment"));
        self.admit(KUBE_APISERVER_PATH, "deployments", deployment)
    }

    /// gardenlet's StatefulSet of the VPN in the Shoot, which that Shoot's API server sends.
    pub fn vpn_shoot(&self) -> Value {
        let cluster = self.lab.networks.cluster();
        let (name, uid) = (&cluster["metadata"]["name"], &cluster["spec"]["shoot"]["metadata"]["uid"]);
        let path = format!("{VPN_SHOOT_PATH}/{}/{}", name.as_str().unwrap(), uid.as_str().unwrap());
        self.admit(&path, "statefulsets", self.lab.networks.tell(fixture("ha", "vpn-shoot")))
    }
}

/// gardenlet's Deployment, as our server has it.
pub fn admitted_deployment(lab: &Lab) -> Value {
    Guard::start(lab, "").deployment()
}
