//! The command blocks of `docs/operations`, run as people run them, on real API servers. Nobody starts Pods here but we.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_controllers::certificates::pem::ca_pair;
use serde_json::{Value, json};

use self::markdown::Page;
use crate::harness::{Chart, ControlPlane, Guard, Output, charts, documents, fixture, run, tool, until};

#[allow(dead_code, reason = "the tests of the documents use all of it")]
#[path = "../it/documents/markdown.rs"]
mod markdown;

const NAME: &str = "gardener-extension-network-guard";
/// As gardenlet names it.
const NAMESPACE: &str = "extension-network-guard-x7k2p";
const SECRET: &str = "network-guard-certificates";

/// The block of a page of `docs/operations` that has these words.
#[track_caller]
fn block(page: &str, words: &str) -> String {
    let path = format!("docs/operations/{page}");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).expect(&path);
    let blocks = Page::read(&text, path).blocks.into_iter().map(|block| block.text);
    let mut found: Vec<String> = blocks.filter(|text| text.contains(words)).collect();
    assert_eq!(found.len(), 1, "{page}: {words}");
    found.remove(0)
}

/// A shell in the folder of the project, with these variables.
fn shell(kubeconfig: &Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let path = format!("{}:{}", tool("kubectl").parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-e", "-u", "-c", script]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("PATH", path).env("KUBECONFIG", kubeconfig).envs(variables.iter().copied());
    let folder = kubeconfig.parent().unwrap();
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, folder);
    }
    run(&mut command, None)
}

#[track_caller]
fn ok(kubeconfig: &Path, script: &str, variables: &[(&str, &str)]) -> String {
    let output = shell(kubeconfig, script, variables);
    assert!(output.ok, "{script}\n{output:?}");
    output.stdout
}

/// Runs commands that keep a secret in memory, and sees that they leave nothing there. They get a folder of their own for
/// that: other tests run such commands at the same time.
#[track_caller]
fn leaves_nothing_in_memory(commands: &str, run: impl FnOnce(&str) -> String) {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let moved = commands.replace("/dev/shm/", &format!("{}/", memory.path().display()));
    assert_ne!(moved, commands, "it is kept in memory");
    run(&moved);
    assert_eq!(std::fs::read_dir(memory.path()).unwrap().count(), 0, "a secret was left behind");
}

/// A Seed on which the server looks after itself, in the namespace of gardenlet's choice. Its Deployment is there for the commands;
/// its only Pod is the one that the test starts.
struct Seed {
    control_plane: ControlPlane,
    guard: Guard,
    kubeconfig: PathBuf,
}

impl Seed {
    fn start() -> Self {
        let control_plane = ControlPlane::start();
        control_plane.apply_cluster(&fixture("ha", "cluster"));
        let admin = control_plane.admin();
        admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        let mut rights = crate::harness::seed_rights();
        for item in rights["items"].as_array_mut().unwrap() {
            if item["metadata"]["namespace"] == "garden" {
                item["metadata"]["namespace"] = NAMESPACE.into();
            }
        }
        admin.apply(&rights);
        let labels = json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": "network-guard"});
        admin.apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "b"}]},
            }},
        }));
        let lines = format!(
            "certificates: {{namespace: {NAMESPACE}, marginSeconds: 0, registration: {{url: OWN_URL, owner: network-guard}}}}\n\
             overlay: {{leaseNamespace: {NAMESPACE}}}\n"
        );
        let guard = Guard::start_configured(&control_plane, &lines);
        guard.wait_until_ready();
        guard.wait_until_called(&control_plane);
        let kubeconfig = control_plane.kubeconfig("admin", "system:masters");
        Self { control_plane, guard, kubeconfig }
    }

    fn ok(&self, script: &str) -> String {
        ok(&self.kubeconfig, &format!("{}\n{script}", block("README.md", "NAMESPACE=")), &[])
    }

    fn secret(&self) -> Value {
        self.control_plane.admin().get(&["secret", SECRET, "-n", NAMESPACE])
    }

    fn registered(&self) -> Value {
        self.control_plane.admin().get(&["mutatingwebhookconfiguration", NAME])
    }

    /// The certificates that API servers are told to trust, as text.
    fn trusted(&self) -> String {
        let bundle =
            self.registered()["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned();
        String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap()
    }

    fn ca(&self) -> String {
        let text = self.secret()["data"]["ca.crt"].as_str().unwrap_or_default().to_owned();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap().trim().to_owned()
    }
}

/// The namespace is found; the CA is rotated, replaced by one that somebody made, and distrusted at once.
#[test]
fn commands_for_certificates_on_a_seed() {
    let mut seed = Seed::start();
    assert_eq!(seed.ok("echo found: $NAMESPACE").lines().last(), Some(&*format!("found: {NAMESPACE}")));

    let first = seed.ca();
    seed.ok(&block("certificates.md", "annotate secret"));
    until("another CA signs", || seed.ca() != first);

    leaves_nothing_in_memory(&block("certificates.md", "openssl"), |commands| seed.ok(commands));
    let made = seed.secret();
    let text = |key: &str| String::from_utf8(STANDARD.decode(made["data"][key].as_str().unwrap()).unwrap()).unwrap();
    ca_pair(&text("ca.crt"), &text("ca.key")).unwrap();
    let own = text("ca.crt").trim().to_owned();
    until("it is published", || seed.trusted().contains(&own));

    // Somebody has its key.
    let page = "certificates.md";
    // gardenlet makes it. gardener-resource-manager, which heeds the annotation, does not run here.
    let of_gardenlet = NAMESPACE.strip_prefix("extension-").unwrap();
    seed.control_plane.admin().apply(&json!({
        "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
        "metadata": {"name": of_gardenlet, "namespace": "garden"}, "spec": {"class": "seed", "secretRefs": [{"name": "x"}]},
    }));
    let is_ignored = || {
        let resource = seed.control_plane.admin().get(&["managedresource", of_gardenlet, "-n", "garden"]);
        resource["metadata"]["annotations"]["resources.gardener.cloud/ignore"] == "true"
    };
    seed.ok(&block(page, "ignore=true"));
    assert!(is_ignored());
    let commands = block(page, "kubectl delete secret");
    // Its Pods go when they are told, and nobody but we tells them.
    seed.guard.kill();
    seed.ok(&commands);
    let deployment = || seed.control_plane.admin().get(&["deployment", NAME, "-n", NAMESPACE]);
    assert_eq!(deployment()["spec"]["replicas"], 0);
    assert_eq!(seed.trusted(), "");
    assert!(seed.registered()["webhooks"][1]["clientConfig"]["caBundle"].is_null(), "of all webhooks");
    seed.ok(&block(page, "kubectl scale deployment gardener-extension-network-guard "));
    assert_eq!(deployment()["spec"]["replicas"], 2);
    seed.ok(&block(page, "ignore-"));
    assert!(!is_ignored());
    seed.guard.restart();
    until("a new CA is published", || !seed.trusted().is_empty());
    assert!(!seed.trusted().contains(&own), "the old one is trusted again");
    seed.guard.wait_until_called(&seed.control_plane);

    // At night: the switch is the chart's, and what is left goes by hand.
    seed.guard.kill();
    seed.ok(&block("stop.md", "kubectl delete mutatingwebhookconfiguration gardener-extension-network-guard"));
    assert!(!seed.control_plane.admin().run(&["get", "mutatingwebhookconfiguration", NAME], None).ok);
}

/// The lasting switch of both charts, and a way back.
#[test]
fn commands_for_releases() {
    let control_plane = ControlPlane::start_bare(&[]);
    let admin = control_plane.admin();
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters");
    for namespace in [NAMESPACE, "garden"] {
        admin.ok(&["create", "namespace", namespace], None);
    }
    let plain = json!({"image": {"repository": "registry.example.com/network-guard"}, "vpa": {"enabled": false}, "priorityClassName": "", "metrics": {
        "serviceMonitor": {"enabled": false}, "prometheusRule": {"enabled": false}, "dashboard": {"enabled": false},
    }});
    let install = |chart: Chart, namespace: &str, values: &Value| {
        let flags = ["--namespace", namespace, "--kubeconfig", &kubeconfig.display().to_string()];
        let output = chart.helm(&["install", "network-guard"], &flags, values);
        assert!(output.ok, "{output:?}");
    };
    install(Chart::SEED, NAMESPACE, &plain);
    install(Chart::RUNTIME, "garden", &plain);
    install(Chart::APPLICATION, "kube-system", &json!({}));
    let path = kubeconfig.display().to_string();
    let clusters = [("VIRTUAL", &*path), ("RUNTIME", &*path)];
    let find = block("README.md", "NAMESPACE=");
    let config = |namespace: &str, name: &str| {
        let map = admin.get(&["configmap", &format!("{name}-config"), "-n", namespace]);
        serde_saphyr::from_str::<Value>(map["data"]["config.yaml"].as_str().unwrap()).unwrap()
    };
    let is_registered =
        |namespace: &str, name: &str| config(namespace, name)["certificates"]["registration"]["enabled"].clone();
    let garden = "gardener-extension-admission-network-guard";
    assert_eq!((is_registered(NAMESPACE, NAME), is_registered("garden", garden)), (json!(true), json!(true)));

    // Somebody has the key of the garden's CA. Nobody starts Pods here.
    admin.ok(&["create", "secret", "generic", "network-guard-garden-certificates", "-n", "garden"], None);
    for mut configuration in documents(&Chart::APPLICATION.file("files/webhooks.yaml")) {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = json!(STANDARD.encode("the old one"));
        }
        admin.apply(&configuration);
    }
    ok(&kubeconfig, &block("certificates.md", "validatingwebhookconfiguration"), &clusters);
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        for webhook in admin.get(&[kind, garden])["webhooks"].as_array().unwrap() {
            assert!(webhook["clientConfig"]["caBundle"].is_null(), "{webhook}");
        }
    }
    assert!(!admin.run(&["get", "secret", "network-guard-garden-certificates", "-n", "garden"], None).ok);
    assert_eq!(admin.get(&["deployment", garden, "-n", "garden"])["spec"]["replicas"], 2);

    ok(&kubeconfig, &format!("{find}{}", block("stop.md", "charts/gardener-extension-network-guard ")), &clusters);
    ok(&kubeconfig, &block("stop.md", "charts/runtime"), &clusters);
    ok(&kubeconfig, &block("stop.md", "mutatingwebhookconfiguration,validating"), &clusters);
    assert_eq!((is_registered(NAMESPACE, NAME), is_registered("garden", garden)), (json!(false), json!(false)));

    // The configuration goes back with the release.
    let commands = block("upgrade.md", "helm rollback");
    let (rollback, _) = commands.split_once("kubectl rollout").expect("nobody rolls Pods out here");
    ok(&kubeconfig, &format!("{find}{rollback}"), &clusters);
    assert_eq!(is_registered(NAMESPACE, NAME), json!(true));

    // With gardener-operator it is a value of both sides.
    let crd = tool("further-crds").join("10-crd-operator.gardener.cloud_extensions.yaml");
    admin.ok(&["apply", "--server-side", "-f", &crd.display().to_string()], None);
    admin.ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"], None);
    // What is established is found by its name a moment later.
    until("the kind is found", || admin.run(&["get", "extensions.operator.gardener.cloud"], None).ok);
    admin.ok(&["apply", "-f", &charts().join("examples/extension.yaml").display().to_string()], None);
    ok(&kubeconfig, &block("stop.md", "extensions.operator.gardener.cloud"), &[]);
    let extension = admin.get(&["extensions.operator.gardener.cloud", "network-guard"]);
    for side in ["extension", "admission"] {
        let values = &extension["spec"]["deployment"][side]["values"];
        assert_eq!(values["webhooks"]["enabled"], false, "{side}");
        assert_eq!(values["image"]["repository"], "registry.example.com/network-guard", "{side}: other values stay");
    }
}

/// The kubeconfig of the garden is made, and it is that of the ServiceAccount.
#[test]
fn commands_for_the_kubeconfig_of_the_garden() {
    let control_plane = ControlPlane::start_bare(&[]);
    let admin = control_plane.admin();
    admin.ok(&["create", "namespace", "garden"], None);
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters");
    let (path, url) = (kubeconfig.display().to_string(), control_plane.url());
    let variables = [("VIRTUAL", &*path), ("RUNTIME", &*path), ("SERVER", &*url)];
    let page = "install.md";
    let account = block(page, "create serviceaccount");
    // The token is filled in by kube-controller-manager, which nobody starts here: this takes its place.
    let (make, wait) = account.rsplit_once("kubectl --kubeconfig \"$VIRTUAL\" wait").unwrap();
    ok(&kubeconfig, make, &variables);
    let name = "extension-admission-network-guard";
    let token = admin.ok(&["create", "token", name, "-n", "kube-system", "--duration=2h"], None);
    let filled = json!({"data": {"token": STANDARD.encode(token.trim())}}).to_string();
    admin.ok(&["patch", "secret", name, "-n", "kube-system", "--type=merge", "-p", &filled], None);
    ok(&kubeconfig, &format!("kubectl --kubeconfig \"$VIRTUAL\" wait{wait}"), &variables);

    leaves_nothing_in_memory(&block(page, "kind: Config"), |commands| ok(&kubeconfig, commands, &variables));
    let secret = admin.get(&["secret", "network-guard-garden", "-n", "garden"]);
    let text = STANDARD.decode(secret["data"]["kubeconfig"].as_str().unwrap()).unwrap();
    let result = control_plane.folder().join("garden-kubeconfig");
    std::fs::write(&result, text).unwrap();
    let who = ok(&result, "kubectl auth whoami -o jsonpath='{.status.userInfo.username}'", &[]);
    assert_eq!(who, format!("system:serviceaccount:kube-system:{name}"));
}
