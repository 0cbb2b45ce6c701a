//! Two replicas with different configurations behind one registration: each corrects the other, and both say so.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{fs, io, thread};

use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, fixture, until};

const NAMESPACE: &str = "shoot--local--ha";

/// An address that leads to one replica, and on demand to the other. Connections do not outlive the turn.
struct Turnstile {
    port: u16,
    open: Arc<Mutex<(u16, Vec<TcpStream>)>>,
}

impl Turnstile {
    fn to(guard: &Guard) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(Mutex::new((guard.port(), Vec::new())));
        let state = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = state.lock().unwrap();
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, state.0)) else { continue };
                state.1.push(client.try_clone().unwrap());
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port, open }
    }

    fn turn(&self, guard: &Guard) {
        let mut open = self.open.lock().unwrap();
        open.0 = guard.port();
        for connection in open.1.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn configure(guard: &Guard, overlap: &str) {
    let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
    fs::write(guard.certificates().join("config.yaml"), format!("{head}{overlap}")).unwrap();
}

/// By what a replica tells its configuration.
fn digest(guard: &Guard) -> String {
    let metrics = guard.metrics();
    let line = metrics.lines().find(|line| line.starts_with("network_guard_configuration_info{")).unwrap();
    assert!(line.ends_with("} 1") && line.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), '"')), "{line}");
    let digest = line.split("digest=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // The log is written by a thread of its own.
    until("the log says it at the start", || guard.log().contains(&format!("\"configuration\":\"{digest}\"")));
    digest
}

fn corrections(guard: &Guard) -> f64 {
    guard.series("network_guard_findings_total", "rule=\"vpn/other-configuration\"")
}

#[test]
fn replicas_that_differ_are_told_of() {
    let control_plane = ControlPlane::start();
    let first = Guard::start(&control_plane);
    // The file is read once, at the start.
    configure(&first, "vpn: {envoy: {image: 'envoy:other', maxHosts: 100}}\n");
    let mut second = first.replica("network-guard-2");
    second.wait_until_ready();
    assert_ne!(digest(&first), digest(&second));

    let turnstile = Turnstile::to(&first);
    first.register_at(&format!("https://127.0.0.1:{}", turnstile.port), &control_plane);
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    control_plane.apply_cluster(&cluster);
    until("both know the Cluster", || {
        [&first, &second].iter().all(|guard| guard.metric("network_guard_clusters_overlapping") > 0.0)
    });
    let desired = fixture("ha", "deployment");
    let written_by = |guard: &Guard| -> (i64, Value) {
        turnstile.turn(guard);
        // gardenlet repeats what was cut off.
        until("gardenlet writes", || control_plane.gardenlet_writes(&desired).ok);
        let stored = control_plane.admin().get(&["deployment", "kube-apiserver", "-n", NAMESPACE]);
        let containers = stored["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        let envoy = containers.iter().find(|container| container["name"] == "envoy-proxy").unwrap();
        (stored["metadata"]["generation"].as_i64().unwrap(), envoy["image"].clone())
    };

    // The first write, and gardenlet's next one to the same replica: nobody is corrected.
    let (created, ours) = written_by(&first);
    let (repeated, _) = written_by(&first);
    assert_eq!((repeated, corrections(&first).to_string()), (created, "0".to_owned()));
    // With each turn the object flips, which rolls the API server, and the replica that flips it reports that.
    for turn in 1..=2 {
        for (guard, image) in [(&second, json!("envoy:other")), (&first, ours.clone())] {
            let before = generation(&control_plane);
            let (after, found) = written_by(guard);
            assert_eq!((after, found), (before + 1, image), "turn {turn}");
            assert_eq!(corrections(guard).to_string(), turn.to_string());
        }
    }
    until("its log says so too", || first.log().contains("vpn/other-configuration"));

    // The same configuration for both, and it is over.
    second.kill();
    configure(&second, Guard::CONFIGURATION);
    second.restart();
    until("the digest is that of the other", || digest(&first) == digest(&second));
    until("it knows the Cluster", || second.metric("network_guard_clusters_overlapping") > 0.0);
    let before = generation(&control_plane);
    assert_eq!(written_by(&second), (before, ours));
    assert_eq!(corrections(&second).to_string(), "0");
}

fn generation(control_plane: &ControlPlane) -> i64 {
    let stored = control_plane.admin().get(&["deployment", "kube-apiserver", "-n", NAMESPACE]);
    stored["metadata"]["generation"].as_i64().unwrap()
}
