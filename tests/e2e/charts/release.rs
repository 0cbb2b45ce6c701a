//! Releases on a Seed from beginning to end, with self-managed certificates: Helm installs, our server registers itself,
//! the real garbage collector takes away what went with the release.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use serde_json::{Value, json};

use super::apply::apply_crds;
use super::{SEED, merged};
use crate::harness::{
    Chart, ControlPlane, Guard, Kubectl, Output, Process, Service, documents, fixture, free_port, run, tool, until,
};

const NAME: &str = "gardener-extension-network-guard";
const CONFIGURATION: [&str; 2] = ["mutatingwebhookconfiguration", NAME];

/// A Seed as Gardener has it, with a Shoot that overlaps it, and nothing of network-guard.
struct Seed {
    control_plane: ControlPlane,
    kubeconfig: String,
    deployment: String,
}

impl Seed {
    fn start() -> Self {
        let control_plane = ControlPlane::start();
        apply_crds(
            &control_plane.admin(),
            &[
                ("seed-crds", "autoscaling.k8s.io_verticalpodautoscalers"),
                ("seed-crds", "monitoring.coreos.com_servicemonitors"),
                ("seed-crds", "monitoring.coreos.com_prometheusrules"),
            ],
        );
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
        control_plane.apply_cluster(&cluster);
        let kubeconfig = control_plane.kubeconfig("admin", "system:masters").display().to_string();
        Self { control_plane, kubeconfig, deployment: fixture("ha", "deployment").to_string() }
    }

    fn admin(&self) -> Kubectl {
        self.control_plane.admin()
    }

    /// A command of the documentation, in the folder of the project.
    fn command(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let mut command = Command::new(tool(words.next().unwrap()));
        command.args(words).args(["--kubeconfig", &self.kubeconfig]).current_dir(env!("CARGO_MANIFEST_DIR"));
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.control_plane.folder());
        }
        run(&mut command, None)
    }

    fn ok(&self, line: &str) -> String {
        let output = self.command(line);
        assert!(output.ok, "{line}: {output:?}");
        output.stdout
    }

    /// What Helm has installed.
    fn installed(&self) -> Vec<Value> {
        documents(&self.ok(&format!("helm get manifest network-guard -n {SEED}")))
    }

    /// There is no network of Services: this one leads to this machine, so its port is that of the server.
    fn lead_here(&self) {
        let here = json!({"spec": {"type": "ExternalName", "externalName": "127.0.0.1", "clusterIP": null, "clusterIPs": null}});
        self.admin().ok(&["patch", "service", NAME, "-n", SEED, "--type=merge", "-p", &here.to_string()], None);
    }

    /// The Pod of the release; nobody starts it here but we.
    fn start_pod(&self, name: &str, tls: Option<(Authority, &[String])>, port: u16) -> Guard {
        let folder = self.control_plane.folder().join(name);
        let account = self.control_plane.service_account(SEED, NAME);
        Guard::start_rendered(&folder, &self.installed(), [Some(&account), None], tls, [port, free_port()])
    }

    /// gardenlet's write, as far as the webhook.
    fn write(&self) -> Output {
        self.admin().run(&["create", "--dry-run=server", "-o", "name", "-f", "-"], Some(&self.deployment))
    }

    fn is_registered(&self) -> bool {
        self.admin().run(&[&["get"][..], &CONFIGURATION].concat(), None).ok
    }

    fn bundle(&self) -> Value {
        self.admin().get(&CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"].clone()
    }
}

fn is_called(seed: &Seed, guard: &Guard) -> bool {
    let before = guard.metric("network_guard_requests_total");
    seed.write().ok && guard.metric("network_guard_requests_total") > before
}

/// The commands under the heading of the page.
fn commands_of_the_page() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/install.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Five commands on a Seed\n").expect("the section is there");
    let (_, block) = section.split_once("\n```\n").unwrap();
    let (block, _) = block.split_once("\n```\n").unwrap();
    block.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn five_commands_install_it_and_one_takes_it_away() {
    let commands = commands_of_the_page();
    let five: [&str; 5] = commands.iter().map(String::as_str).collect::<Vec<_>>().try_into().expect("five commands");
    let [build, push, namespace, install, check] = five;
    let image =
        build.strip_prefix("docker build -t ").and_then(|rest| rest.strip_suffix(" .")).expect("an image is built");
    assert_eq!(push, format!("docker push {image}"));
    let (repository, tag) = image.rsplit_once(':').unwrap();

    let seed = Seed::start();
    let admin = seed.admin();
    seed.ok(namespace);
    let port = free_port();
    // Nobody starts Pods here, so there is nothing to wait for.
    let here = install.replace(" --wait", &format!(" --set webhookConfig.servicePort={port}"));
    assert_ne!(here, install);
    seed.ok(&here);
    let objects = seed.installed();
    let pod = &objects.iter().find(|object| object["kind"] == "Deployment").unwrap()["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], format!("{repository}:{tag}"), "what was pushed is what is run");
    assert!(!seed.is_registered(), "nobody is told to call before somebody answers");
    seed.lead_here();
    let mut guard = seed.start_pod("first", None, port);
    seed.ok(check);
    guard.wait_until_ready();
    until("it is called", || is_called(&seed, &guard));
    let bundle = seed.bundle();

    let kubeconfig = format!("-kubeconfig={}", seed.kubeconfig);
    let folder = seed.control_plane.folder();
    let collector = Process::start(folder, "garbage-collector", &tool("garbage-collector"), &[kubeconfig]);
    // It has looked at everything when it takes away what has no owner.
    let orphan = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "orphan", "namespace": SEED, "ownerReferences": [{
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "nobody", "uid": "0",
        }],
    }});
    admin.apply(&orphan);
    until("the garbage collector works", || !admin.run(&["get", "configmap", "orphan", "-n", SEED], None).ok);
    assert!(seed.is_registered(), "{}", collector.last_words());

    let begin = Instant::now();
    seed.ok(&format!("helm uninstall network-guard -n {SEED}"));
    guard.process().signal("TERM");
    until("the registration is gone", || !seed.is_registered());
    let gone = begin.elapsed();
    until("nothing is refused any more", || seed.write().ok);
    say!(
        "figure: {:.1} s from helm uninstall to the end of the registration, {:.1} s until writes pass",
        gone.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    guard.kill();
    assert!(!seed.is_registered(), "nobody registers it again");

    // What docs/operations/uninstall.md says is left, and it is of use to the next release.
    let left = admin.ok(
        &[
            "get",
            "secrets,leases,configmaps,serviceaccounts,roles,rolebindings,services,deployments,pdb",
            "-n",
            SEED,
            "-o",
            "name",
        ],
        None,
    );
    assert_eq!(
        left.lines().collect::<Vec<_>>(),
        ["secret/network-guard-certificates", "lease.coordination.k8s.io/network-guard-certificates"]
    );
    let roles = admin.ok(&["get", "clusterroles,clusterrolebindings", "-o", "name"], None);
    assert!(!roles.contains("extension-network-guard"), "{roles}");
    seed.ok(&here);
    seed.lead_here();
    let guard = seed.start_pod("second", None, port);
    seed.ok(check);
    until("it is called", || is_called(&seed, &guard));
    assert_eq!(seed.bundle(), bundle, "the CA is the same");
}

/// From certificates that somebody made to those of our own, as docs/operations/upgrade.md has it: the configuration is kept, what
/// it trusts stays trusted until the new CA is published, and no write fails or passes unseen.
#[test]
fn certificates_change_hands_without_a_failed_write() {
    let seed = Seed::start();
    let admin = seed.admin();
    admin.ok(&["create", "namespace", SEED], None);
    let ports = [free_port(), free_port()];
    let service = Service::start(ports.to_vec());
    let port: u16 = service.url().rsplit(':').next().unwrap().parse().unwrap();
    let flags = ["--namespace", SEED, "--kubeconfig", &seed.kubeconfig];
    let values = json!({"webhookConfig": {"servicePort": port}, "tls": {"selfManaged": {"marginSeconds": 5}}});
    let ca = Authority::new("somebody's CA", Timestamp::now(), Duration::from_secs(86_400)).unwrap();
    let made = merged(values.clone(), &json!({"tls": {"mode": "secret", "caBundle": ca.certificate()}}));
    let output = Chart::SEED.helm(&["install", "network-guard"], &flags, &made);
    assert!(output.ok, "{output:?}");
    seed.lead_here();
    let names = [format!("{NAME}.{SEED}.svc")];
    let mut old = seed.start_pod("old", Some((ca, &names)), ports[0]);
    old.wait_until_ready();
    until("it is called", || is_called(&seed, &old));
    let bundle = seed.bundle();
    until("it leads", || old.metric("network_guard_leader") > 0.0);

    seed.ok(&format!("kubectl annotate {} {} helm.sh/resource-policy=keep", CONFIGURATION[0], CONFIGURATION[1]));
    let output = Chart::SEED.helm(&["upgrade", "network-guard"], &flags, &values);
    assert!(output.ok, "{output:?}");
    assert_eq!(seed.bundle(), bundle, "Helm left it alone");
    seed.lead_here();
    // The old Pod goes when the new one is ready.
    let new = seed.start_pod("new", None, ports[1]);
    let (begin, mut writes) = (Instant::now(), 0);
    let mut writes_well = |seed: &Seed| {
        let output = seed.write();
        assert!(output.ok, "after {writes} writes: {output:?}\n{}", new.log());
        writes += 1;
    };
    until("the new one is ready", || {
        writes_well(&seed);
        new.health("/readyz").starts_with("HTTP/1.1 200")
    });
    let ready = begin.elapsed();
    old.process().signal("TERM");
    until("the new one is called", || {
        writes_well(&seed);
        new.metric("network_guard_requests_total") > 0.0
    });
    old.kill();
    for _ in 0..10 {
        writes_well(&seed);
    }
    // Not back without a word to the leader.
    let output = Chart::SEED.helm(&["upgrade", "network-guard"], &flags, &made);
    assert!(!output.ok && output.stderr.contains("invalid ownership metadata"), "{output:?}");
    say!("figure: certificates changed hands, ready after {:.1} s, {writes} writes, 0 failed", ready.as_secs_f64());
}
