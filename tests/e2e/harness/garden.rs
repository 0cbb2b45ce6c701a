//! The virtual garden: gardener-apiserver, aggregated into kube-apiserver, with two projects and two Seeds, and our own
//! server registered in it. No controller, no scheduler, no gardenlet: tests play them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_core::gardener::shoot::PEERING_TYPE;
use network_guard_core::peering;
use serde_json::{Value, json};

use super::{ControlPlane, Guard, Kubectl, Output, Process, Scraped, eventually, free_port, tool, until};

/// A garden in which `alice` is a member of the project `shop` and `bob` of `billing`.
pub struct Garden {
    /// Our own server, with the rights of `rights.yaml`.
    pub guard: Guard,
    // Dropped in this order.
    gardener: Gardener,
    control_plane: ControlPlane,
}

/// gardener-apiserver, and how it was started.
struct Gardener {
    process: Process,
    arguments: Vec<String>,
}

/// The APIs that tests use: Shoots and all around them, and the credentials that Shoots with workers name.
const APIS: [(&str, &str); 3] =
    [("core.gardener.cloud", "v1beta1"), ("core.gardener.cloud", "v1"), ("security.gardener.cloud", "v1alpha1")];

/// Both webhook configurations have this name.
const CONFIGURATIONS: &str = "gardener-extension-admission-network-guard";

impl Garden {
    /// Starts everything and waits until our webhooks are called.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with these lines in the configuration of our server.
    pub fn start_with(config: &str) -> Self {
        let garden = Self::start_unregistered_with(config);
        garden.register();
        garden
    }

    /// The same before anybody calls the webhooks.
    pub fn start_unregistered() -> Self {
        Self::start_unregistered_with("")
    }

    fn start_unregistered_with(config: &str) -> Self {
        Self::start_installed(&[], |control_plane| Guard::start_garden(control_plane, config))
    }

    /// The same with further arguments for kube-apiserver, and our server as somebody else starts it.
    pub fn start_installed(further: &[String], install: impl FnOnce(&ControlPlane) -> Guard) -> Self {
        let control_plane = ControlPlane::start_bare(further);
        let gardener = start_gardener(&control_plane);
        let admin = control_plane.admin();
        for file in ["rights", "landscape", "projects"] {
            let file = manifests().join(format!("landscape/{file}.yaml"));
            admin.ok(&["apply", "-f", &file.display().to_string()], None);
        }
        let guard = install(&control_plane);
        Self { guard, gardener, control_plane }
    }

    /// Its API server.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// kubectl as a user who may do everything.
    pub fn admin(&self) -> Kubectl {
        self.control_plane.admin()
    }

    /// kubectl as the member of the project `shop`.
    pub fn alice(&self) -> Kubectl {
        self.control_plane.kubectl("alice", "people")
    }

    /// kubectl as the member of the project `billing`.
    pub fn bob(&self) -> Kubectl {
        self.control_plane.kubectl("bob", "people")
    }

    /// kubectl as gardener-scheduler.
    pub fn scheduler(&self) -> Kubectl {
        self.control_plane.kubectl("scheduler", "schedulers")
    }

    /// kubectl as the gardenlet of a Seed.
    pub fn gardenlet(&self, seed: &str) -> Kubectl {
        self.control_plane.kubectl(&format!("gardener.cloud:system:seed:{seed}"), "gardener.cloud:system:seeds")
    }

    /// kubectl as the gardenlet of a self-hosted Shoot.
    pub fn self_hosted_gardenlet(&self, shoot: &str) -> Kubectl {
        let user = format!("gardener.cloud:system:shoot:{}", shoot.replace('/', ":"));
        self.control_plane.kubectl(&user, "gardener.cloud:system:shoots")
    }

    /// Gives a Shoot a Seed, as gardener-scheduler does.
    pub fn schedule(&self, namespace: &str, name: &str, seed: &str) -> Output {
        bind(&self.scheduler(), namespace, name, seed)
    }

    /// Registers the webhooks and waits until they are called: gardener-apiserver learns of them by a watch.
    pub fn register(&self) {
        self.admin().ok(&["apply", "-f", "-"], Some(&self.guard.configurations()));
        self.wait_until_called();
    }

    /// Waits until the webhooks, which are registered, are called.
    pub fn wait_until_called(&self) {
        let before = self.calls();
        until("the webhooks are called", || {
            self.probe();
            self.calls().iter().zip(before).all(|(now, before)| *now > before)
        });
    }

    /// Removes the webhooks and waits until they are called no more.
    pub fn unregister(&self) {
        let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
        self.admin().ok(&["delete", kinds, CONFIGURATIONS], None);
        until("the webhooks are not called", || {
            let before = self.calls();
            self.probe();
            self.calls().iter().zip(before).all(|(now, before)| *now <= before)
        });
    }

    /// Kills gardener-apiserver and starts it again.
    pub fn restart_gardener(&mut self) {
        self.gardener.process.kill();
        until("gardener-apiserver is missed", || !self.admin().run(&["get", "shoots", "-A"], None).ok);
        let arguments = std::mem::take(&mut self.gardener.arguments);
        self.gardener = run_gardener(&self.control_plane, arguments);
        until("gardener-apiserver is back", || self.admin().run(&["get", "shoots", "-A"], None).ok);
    }

    /// What Prometheus gets of gardener-apiserver.
    pub fn scrape_gardener(&self) -> Scraped {
        let secure = self.gardener.arguments.iter().find_map(|argument| argument.strip_prefix("--secure-port="));
        let server = format!("https://127.0.0.1:{}", secure.expect("it has a port"));
        let text = self.admin().ok(
            &["--server", &server, "--tls-server-name=gardener-apiserver.kube-system.svc", "get", "--raw", "/metrics"],
            None,
        );
        Scraped { content_type: "text/plain; version=0.0.4; charset=utf-8".to_owned(), text }
    }

    /// Waits until our server knows everything that was written so far. Shoots reach it in the order in which they are
    /// written: it has seen a change when it counts a Shoot that came after it.
    pub fn settle(&self) {
        let admin = self.admin();
        // Once before: a deletion that is on its way and the new Shoot would make up for each other.
        self.wait_for_count();
        admin.ok(&["create", "-f", "-"], Some(&mark().to_string()));
        self.wait_for_count();
    }

    fn wait_for_count(&self) {
        let stored = self.admin().ok(&["get", "shoots", "-A", "-o", "name"], None).lines().count();
        eventually("our server knows all Shoots", || {
            let known = self.guard.metric("network_guard_shoots");
            (known.to_string() == stored.to_string()).then_some(()).ok_or_else(|| format!("{known} of {stored}"))
        });
    }

    /// How often our webhooks were called.
    fn calls(&self) -> [f64; 2] {
        ["mutate-shoot", "validate-shoot"]
            .map(|name| self.guard.series("network_guard_requests_total", &format!("handler=\"{name}\"")))
    }

    fn probe(&self) {
        let mut probe = mark();
        let config = json!({"apiVersion": peering::API_VERSION, "kind": peering::KIND});
        probe["spec"]["extensions"] = json!([{"type": PEERING_TYPE, "providerConfig": config}]);
        // Who waits for its effect tries again.
        self.admin().run(&["create", "--dry-run=server", "-f", "-"], Some(&probe.to_string()));
    }
}

/// Writes the subresource that holds a Shoot's Seed.
pub fn bind(kubectl: &Kubectl, namespace: &str, name: &str, seed: &str) -> Output {
    let patch = json!({"spec": {"seedName": seed}}).to_string();
    let arguments = ["patch", "shoot", name, "-n", namespace, "--subresource=binding", "--type=merge", "-p", &patch];
    kubectl.run(&arguments, None)
}

/// The folder of manifests.
pub fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/garden")
}

/// A Shoot that disturbs nobody, in a project of its own.
fn mark() -> Value {
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
        "metadata": {"generateName": "m-", "namespace": "garden-marks"},
        "spec": {
            "cloudProfile": {"kind": "CloudProfile", "name": "metal"}, "region": "eu1",
            "provider": {"type": "metal"}, "kubernetes": {"version": "1.35.4"},
        },
    })
}

/// Makes gardener-apiserver known and starts it.
fn start_gardener(control_plane: &ControlPlane) -> Gardener {
    let admin = control_plane.admin();
    // It reads once, at its start, whom it may believe the names of users; kube-apiserver writes that when it is ready.
    until("kube-apiserver says how it authenticates", || {
        admin.run(&["get", "configmap", "-n", "kube-system", "extension-apiserver-authentication"], None).ok
    });
    let port = free_port();
    let apis: Vec<Value> = APIS.iter().map(|(group, version)| api(control_plane, group, version, port)).collect();
    admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": apis}));
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "gardener-apiserver", "namespace": "kube-system"},
        // A Service without Pods may lead anywhere; endpoints on the loopback are refused.
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
    }));

    // kube-apiserver wants to see the name of the Service.
    let names = ["gardener-apiserver.kube-system.svc".to_owned(), "127.0.0.1".to_owned()];
    let (certificate, key) = control_plane.server_certificate("gardener-apiserver", &names);
    let kubeconfig = control_plane.kubeconfig("gardener-apiserver", "system:masters").display().to_string();
    let arguments = vec![
        "--cluster-identity=test".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", certificate.display()),
        format!("--tls-private-key-file={}", key.display()),
        format!("--etcd-servers={}", control_plane.etcd_url()),
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
    ];
    run_gardener(control_plane, arguments)
}

/// Starts gardener-apiserver and waits until kube-apiserver passes requests on to it.
fn run_gardener(control_plane: &ControlPlane, arguments: Vec<String>) -> Gardener {
    let admin = control_plane.admin();
    let mut process =
        Process::start(control_plane.folder(), "gardener-apiserver", &tool("gardener-apiserver"), &arguments);
    let mut wait = vec!["wait".to_owned(), "--for=condition=Available".to_owned(), "--timeout=1s".to_owned()];
    wait.extend(APIS.iter().map(|(group, version)| format!("apiservice/{version}.{group}")));
    let wait: Vec<&str> = wait.iter().map(String::as_str).collect();
    eventually("gardener-apiserver is ready", || {
        assert!(process.is_running(), "gardener-apiserver ended. {}", process.last_words());
        let output = admin.run(&wait, None);
        output.ok.then_some(()).ok_or(output.stderr)
    });
    // Before kube-apiserver has passed on its schemas, kubectl validates by itself, and more strictly.
    until("the schemas are there", || {
        let paths = admin.ok(&["get", "--raw", "/openapi/v3"], None);
        APIS.iter().all(|(group, version)| paths.contains(&format!("\"apis/{group}/{version}\"")))
    });
    Gardener { process, arguments }
}

fn api(control_plane: &ControlPlane, group: &str, version: &str, port: u16) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("{version}.{group}")},
        "spec": {
            "group": group, "version": version, "groupPriorityMinimum": 10000, "versionPriority": 20,
            "caBundle": STANDARD.encode(control_plane.ca_certificate()),
            "service": {"namespace": "kube-system", "name": "gardener-apiserver", "port": port},
        },
    })
}
