//! On a Seed, with certificates of both kinds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use serde_json::{Value, json};

use super::{Said, doctor};
use crate::harness::{ControlPlane, Guard, eventually, fixture, seed_rights};

const NAMESPACE: &str = "shoot--local--ha";
const CONFIGURATION: [&str; 2] = ["mutatingwebhookconfiguration", "gardener-extension-network-guard"];

/// A Seed with a Shoot that has a kube-apiserver, and a Network whose switches would be held.
struct Seed {
    control_plane: ControlPlane,
    guard: Guard,
}

impl Seed {
    fn start(configuration: &str) -> Self {
        let control_plane = ControlPlane::start();
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
        cluster["spec"]["shoot"]["spec"]["provider"]["type"] = json!("aws");
        control_plane.apply_cluster(&cluster);
        let admin = control_plane.admin();
        let labels = json!({
            "gardener.cloud/role": "shoot", "networking.shoot.gardener.cloud/provider": "calico",
            "shoot.gardener.cloud/provider": "aws",
        });
        admin.apply(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}),
        );
        let guard = Guard::start_configured(&control_plane, configuration);
        guard.wait_until_ready();
        guard.register(&control_plane);
        let admin = control_plane.admin();
        admin.apply(&fixture("ha", "deployment"));
        admin.apply(&json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
            "metadata": {"name": "ha", "namespace": NAMESPACE},
            "spec": {"type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13"},
        }));
        Self { control_plane, guard }
    }

    fn ask(&self, user: &str, group: &str, further: &[&str]) -> Said {
        let config = self.guard.certificates().join("config.yaml").display().to_string();
        let all = [&["--config", &config, "--user", "network-guard", "--namespace", "garden"][..], further].concat();
        doctor("seed", &self.control_plane.kubeconfig(user, group), &all)
    }

    fn ask_as_admin(&self) -> Said {
        let metrics = format!("127.0.0.1:{}", self.guard.metrics_port());
        self.ask("admin", "system:masters", &["--metrics", &metrics])
    }

    /// What is stored of the objects that it asks about.
    fn stored(&self) -> [Value; 2] {
        let admin = self.control_plane.admin();
        [admin.get(&["deployment", "kube-apiserver", "-n", NAMESPACE]), admin.get(&["network", "ha", "-n", NAMESPACE])]
    }

    /// Asks until these checks end so, and no others.
    #[track_caller]
    fn until(&self, state: &str, names: &[&str]) -> Said {
        eventually(&format!("{state}: {names:?}"), || {
            let said = self.ask_as_admin();
            if said.named(state) == names { Ok(said) } else { Err(said.text) }
        })
    }
}

/// The server looks after itself: what an operator sees, what it sees itself in its Pod, and what somebody sees who may not
/// see anything.
#[test]
fn a_healthy_seed_and_few_rights() {
    let seed = Seed::start("certificates: {namespace: garden, registration: {url: OWN_URL, owner: network-guard}}\n");
    let admin = seed.control_plane.admin();
    let before = seed.stored();

    let said = seed.until("ok", &["registered", "reachable", "trusted", "led", "fresh", "allowed"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    let (_, reachable) = said.check("reachable");
    assert!(
        reachable.starts_with(&format!("dry run of Deployment {NAMESPACE}/kube-apiserver: release ")),
        "{reachable}"
    );
    println!("{}", said.text);

    // With its own few rights it asks by a Network, and for itself.
    let said = eventually("all is well", || {
        let said = seed.ask("network-guard", "webhooks", &[]);
        if (said.code, said.named("ok").len()) == (Some(0), 6) { Ok(said) } else { Err(said.text) }
    });
    assert!(
        said.check("reachable").1.starts_with(&format!("dry run of Network {NAMESPACE}/ha: release ")),
        "{}",
        said.text
    );
    assert_eq!(seed.stored(), before, "nothing was stored");

    // Who may do nothing is told which rights are missing, and that nothing is known.
    let said = seed.ask("stranger", "people", &[]);
    assert_eq!((said.code, said.named("problem").len()), (Some(2), 0), "{}", said.text);
    assert_eq!(said.named("unknown").len(), 6, "{}", said.text);
    for (name, right) in [
        (
            "registered",
            "get mutatingwebhookconfigurations.admissionregistration.k8s.io/gardener-extension-network-guard",
        ),
        ("reachable", "list deployments.apps in all namespaces, or give --control-plane"),
        ("led", "get leases.coordination.k8s.io/network-guard-certificates in garden"),
        ("allowed", "create subjectaccessreviews.authorization.k8s.io"),
    ] {
        let (state, text) = said.check(name);
        assert!(state == "unknown" && text.contains(&format!("missing right: {right}")), "{name}: {text}");
    }

    // One right less, and it says which.
    let mut rights = seed_rights();
    for item in rights["items"].as_array_mut().unwrap().iter_mut().filter(|item| item["kind"] == "ClusterRole") {
        item["rules"][0]["verbs"] = json!(["get", "list"]);
    }
    admin.apply(&rights);
    let said = seed.until("problem", &["allowed"]);
    assert_eq!(said.code, Some(1));
    let (_, allowed) = said.check("allowed");
    assert!(
        allowed.contains("network-guard may not watch clusters.extensions.gardener.cloud: networks of Shoots"),
        "{allowed}"
    );

    // Nobody answers at all: that is neither well nor ill.
    let nowhere = seed.control_plane.folder().join("nowhere");
    let text = std::fs::read_to_string(seed.control_plane.kubeconfig("admin", "system:masters")).unwrap();
    std::fs::write(&nowhere, text.replace(&seed.control_plane.url(), "https://127.0.0.1:1")).unwrap();
    let said = doctor("seed", &nowhere, &[]);
    assert!(said.code == Some(2) && said.text.contains("https://127.0.0.1:1 does not answer"), "{}", said.text);
}

/// With certificates in files, which nobody repairs: each fault, one after the other.
#[test]
fn each_fault_of_a_seed_is_named() {
    let mut seed = Seed::start("");
    let admin = seed.control_plane.admin();
    seed.until("ok", &["registered", "reachable", "trusted", "led", "fresh", "allowed"]);

    // Another CA than that of what is served.
    let good = admin.get(&CONFIGURATION);
    let other = Authority::new("another CA", Timestamp::now(), std::time::Duration::from_secs(86_400)).unwrap();
    let with = |bundle: &str| {
        let mut changed = good.clone();
        changed["metadata"]["resourceVersion"] = Value::Null;
        for webhook in changed["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = json!(bundle);
        }
        changed.to_string()
    };
    admin.ok(&["replace", "-f", "-"], Some(&with(&STANDARD.encode(other.certificate()))));
    let said = seed.until("problem", &["reachable", "trusted"]);
    assert!(said.check("reachable").1.contains("x509"), "{}", said.text);
    assert!(said.check("trusted").1.contains("UnknownIssuer"), "{}", said.text);
    admin.ok(&["replace", "-f", "-"], Some(&good_again(&good)));
    seed.until("problem", &[]);

    // The server is gone, and with it who leads.
    seed.guard.kill();
    let said = seed.until("problem", &["reachable", "led"]);
    assert_eq!(said.named("unknown"), ["trusted", "fresh"], "{}", said.text);
    assert!(said.check("reachable").1.contains("connection refused"), "{}", said.text);
    assert!(said.check("led").1.contains("has not renewed it for"), "{}", said.text);

    // It is back, and may not read what it needs: it answers no call.
    let mut rights = seed_rights();
    for item in rights["items"].as_array_mut().unwrap().iter_mut().filter(|item| item["kind"] == "ClusterRole") {
        item["rules"].as_array_mut().unwrap().remove(0);
    }
    admin.apply(&rights);
    seed.guard.start_again();
    let said = seed.until("problem", &["reachable", "fresh", "allowed"]);
    assert!(said.check("fresh").1.contains("has not read the landscape yet"), "{}", said.text);
    admin.apply(&seed_rights());
    seed.until("problem", &[]);

    // Somebody took the registration away.
    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    let said = seed.until("problem", &["registered", "reachable"]);
    assert!(said.check("registered").1.contains("is not there: nothing is checked"), "{}", said.text);
    assert!(said.check("reachable").1.contains("was not asked or did not answer"), "{}", said.text);
}

fn good_again(good: &Value) -> String {
    let mut good = good.clone();
    good["metadata"]["resourceVersion"] = Value::Null;
    good.to_string()
}

/// Where the registration calls a Service, its ready Pods are counted; where it is gone, the label of the Service tells where to look.
#[test]
fn pods_behind_the_service_are_counted() {
    let control_plane = ControlPlane::start_bare(&[]);
    let (admin, kubeconfig) = (control_plane.admin(), control_plane.kubeconfig("admin", "system:masters"));
    let (name, namespace) = (CONFIGURATION[1], "extension-network-guard-x7k2p");
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_network-guard"))
        .args(["webhooks", "seed", "--service", &format!("{namespace}/{name}")])
        .output()
        .unwrap();
    admin.ok(&["apply", "-f", "-"], Some(&String::from_utf8(printed.stdout).unwrap()));
    admin.ok(&["create", "namespace", namespace], None);
    let ask = || doctor("seed", &kubeconfig, &[]);
    assert!(ask().check("registered").1.contains(&format!("there is no Service {namespace}/{name}")));

    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name}},
        "spec": {"ports": [{"port": 443}]},
    }));
    assert!(ask().check("registered").1.contains(&format!("no ready Pod is behind the Service {namespace}/{name}")));
    let endpoint = |address: &str, ready: bool| json!({"addresses": [address], "conditions": {"ready": ready}});
    admin.apply(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "a", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [endpoint("10.9.0.1", true), endpoint("10.9.0.2", true), endpoint("10.9.0.3", false)],
    }));
    let said = ask();
    assert!(
        said.check("registered").1.contains(&format!("2 ready Pods are behind the Service {namespace}/{name}")),
        "{}",
        said.text
    );
    assert!(said.check("registered").1.contains("kube-apiserver has no caBundle"), "{}", said.text);
    // Asked about another installation, which is called by nobody.
    let displaced = doctor("seed", &kubeconfig, &["--namespace", "second"]);
    for word in ["kube-apiserver", "network"] {
        let want = format!("{word} calls the Service {namespace}/{name}:443, and this installation is in second");
        assert!(displaced.check("registered").1.contains(&want), "{}", displaced.text);
    }
    assert!(!said.check("registered").1.contains("this installation"), "{}", said.text);
    // This is no Seed.
    assert!(said.check("reachable").1.contains("does not know networks.extensions.gardener.cloud"), "{}", said.text);

    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    let said = ask();
    assert_eq!(said.report["namespace"], namespace, "{}", said.text);
    assert!(said.check("led").1.contains(&format!("there is no Lease {namespace}/")), "{}", said.text);
}
