//! CPU of the server for each call, against a fixed answer of the same server, and against a Go peer that does the same with
//! Gardener's extension library.

use std::fs;
use std::path::Path;

use network_guard_core::vpn::sidecar::{ENVOY_CONTAINER, Injection, Settings};
use serde_json::{Value, json};

use crate::goals::Figures;
use crate::load::{Connection, Load, Target};
use crate::objects::Shoots;
use crate::server::{Folder, Server, free_port, pinned};
use crate::{Size, median, support};

const KUBE_APISERVER: &str = "/webhooks/mutate/kube-apiserver";

/// Connections that call at the same time.
const CALLERS: usize = 8;

/// A server with the connections to it.
struct Called {
    server: Server,
    connections: Vec<Connection>,
}

impl Called {
    fn new(server: Server, load: &Load) -> Self {
        let connections = load.connect(server.port, CALLERS);
        Self { server, connections }
    }

    fn target(&self, path: &str, body: &str) -> Target {
        Target::new(self.server.port, path, body)
    }

    /// CPU for each of these calls.
    #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a minute fit")]
    fn cpu(&mut self, load: &Load, target: &Target, calls: usize) -> f64 {
        let before = self.server.cpu();
        load.closed(&mut self.connections, target, calls);
        (self.server.cpu() - before) as f64 / calls as f64
    }

    /// What a fixed answer takes by what a webhook takes.
    fn against_fixed(&mut self, load: &Load, path: &str, body: &str, size: Size) -> f64 {
        let (ours, fixed) = (self.target(path, body), self.target("/fixed", body));
        // For caches and allocators to settle.
        for target in [&ours, &fixed] {
            self.cpu(load, target, CALLERS * 20);
        }
        median((0..size.rounds).map(|_| self.cpu(load, &fixed, size.calls) / self.cpu(load, &ours, size.calls)))
    }
}

/// A server that knows the Cluster of the reviews, which overlaps its Seed and has Calico.
fn guard(folder: &Folder) -> Server {
    let cluster = serde_json::from_str(&support::file("gardener/ha-overlap/cluster.json")).unwrap();
    folder.write("small/cluster.json", &support::with_calico(cluster).to_string());
    Server::guard(folder, &["all", &format!("--landscape={}", folder.path.join("small").display())])
}

/// A server that knows 100,000 Shoots, and a review of one more that adds its tenth peer.
pub fn garden(folder: &Folder) -> (Server, String) {
    let count = 100_000;
    let shoots = Shoots::new(count);
    for number in 0..40 {
        let name = format!("eu1-{number}");
        let seed = json!({
            "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Seed", "metadata": {"name": name},
            "spec": {"networks": {"pods": "192.168.0.0/16", "services": "192.169.0.0/16"}},
        });
        folder.write(&format!("large/{name}.json"), &seed.to_string());
    }
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let items: Vec<String> = chunk.iter().map(|number| shoots.json(*number).to_string()).collect();
        let head = r#"{"apiVersion":"core.gardener.cloud/v1beta1","kind":"ShootList","items":["#;
        folder.write(&format!("large/{}.json", chunk[0]), &format!("{head}{}]}}", items.join(",")));
    }
    let server = Server::guard(folder, &["all", &format!("--landscape={}", folder.path.join("large").display())]);
    (server, shoots.review("update", 10))
}

/// Asserts that a call is answered as it should be.
fn check(load: &Load, target: &Target, is_patched: bool) {
    let answer = load.once(target);
    assert!(answer.contains(r#""allowed":true"#) && answer.contains(r#""patch":"#) == is_patched, "{answer}");
}

pub fn measure(figures: &mut Figures, folder: &Folder, load: &Load, size: Size) {
    let mut guard = Called::new(guard(folder), load);
    let mut other: Value = serde_json::from_str(&support::create()).unwrap();
    for object in ["/request", "/request/object/metadata"] {
        other.pointer_mut(object).unwrap()["name"] = json!("kube-scheduler");
    }
    for (id, path, body, is_patched) in [
        ("calls/create", KUBE_APISERVER, support::create(), true),
        ("calls/create-lean", KUBE_APISERVER, support::create_lean(), true),
        ("calls/update", KUBE_APISERVER, support::update(), true),
        ("calls/other", KUBE_APISERVER, other.to_string(), false),
        ("calls/network", "/webhooks/mutate/network", support::network_switch(), true),
    ] {
        check(load, &guard.target(path, &body), is_patched);
        figures.put(id, guard.against_fixed(load, path, &body, size));
    }
    let Some(peer) = peer(folder) else { return };
    let mut peer = Called::new(peer, load);
    for (id, body) in [("peer/create", support::create()), ("peer/update", support::update())] {
        let [ours, theirs] = [&guard, &peer].map(|called| called.target(KUBE_APISERVER, &body));
        check(load, &theirs, true);
        // The peer collects its garbage every few dozen calls.
        let (few, calls) = (CALLERS * 8, CALLERS * 15);
        peer.cpu(load, &theirs, few);
        guard.cpu(load, &ours, few);
        let rounds = (0..size.rounds).map(|_| peer.cpu(load, &theirs, calls) / guard.cpu(load, &ours, size.calls));
        figures.put(id, median(rounds));
    }
    figures.put("peer/memory", guard.server.memory()[0] / peer.server.memory()[0]);
}

pub fn measure_garden(figures: &mut Figures, load: &Load, server: Server, body: &str, size: Size) -> Server {
    let mut server = Called::new(server, load);
    check(load, &server.target(crate::overload::PATH, body), false);
    figures.put("calls/shoot", server.against_fixed(load, crate::overload::PATH, body, size));
    server.server
}

fn peer(folder: &Folder) -> Option<Server> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools/peer");
    if !program.exists() {
        eprintln!("the Go peer is missing, run `make tools`: NO COMPARISON WITH IT");
        return None;
    }
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gardener/ha-overlap/cluster.json");
    let additions = folder.path.join("additions.json");
    fs::write(&additions, additions_for_the_peer(&Injection::new(&Settings::default())).to_string()).unwrap();
    let port = free_port();
    let mut command = pinned(&program);
    command.env("GOMAXPROCS", "1").arg("-addr").arg(format!("127.0.0.1:{port}"));
    command.arg("-tls-cert").arg(folder.path.join("tls.crt")).arg("-tls-key").arg(folder.path.join("tls.key"));
    command.arg("-cluster").arg(&cluster).arg("-additions").arg(&additions);
    Some(Server::start(command, port, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()))
}

/// The same pieces that we inject.
fn additions_for_the_peer(injection: &Injection) -> Value {
    let container = injection.container().clone();
    assert_eq!(container["name"], ENVOY_CONTAINER);
    json!({
        "container": container,
        "egressArgument": "--egress-selector-config-file=/etc/network-guard/egress-selector.json",
        "mounts": container["volumeMounts"],
        "volumes": [
            {"name": "network-guard-config", "downwardAPI": {"defaultMode": 420, "items": [
                {"path": "envoy.json", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['network-guard.extensions.gardener.cloud/envoy-config']"}},
                {"path": "egress-selector.json", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['network-guard.extensions.gardener.cloud/egress-selector-config']"}},
            ]}},
            {"name": "network-guard-socket", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
        "templateAnnotations": {
            "network-guard.extensions.gardener.cloud/envoy-config": injection.envoy_config(),
            "network-guard.extensions.gardener.cloud/egress-selector-config": injection.egress_selector_config(),
        },
        "deploymentAnnotations": {
            "network-guard.extensions.gardener.cloud/overlaps": "nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17",
        },
    })
}
