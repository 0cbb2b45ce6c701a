//! CPU of the server for each request: our handler, the ceiling of the same stack, and a Go peer that does the same
//! with Gardener's extension library. All in one run, in turns; medians of the rounds. A ratio is taken within each
//! round, because a shared machine changes its speed from one second to the next, and its median is printed.
//!
//! The server has one core for itself and the client (h2load) the other, because a share of a core means nothing.

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use network_guard_core::vpn::sidecar::{ENVOY_CONTAINER, Injection, Settings};
use serde_json::{Value, json};

const ROUNDS: usize = 11;
const PATH: &str = "/webhooks/mutate/kube-apiserver";

struct Server {
    name: &'static str,
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(name: &'static str, port: u16, program: &Path, arguments: &[String]) -> Self {
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(arguments)
            .env("GOMAXPROCS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { name, child, port };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "{name} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The folder of manifests is read right after the port is taken.
        std::thread::sleep(Duration::from_secs(1));
        server
    }

    /// Nanoseconds on the CPU, of all threads.
    fn cpu(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/task", self.child.id()))
            .unwrap()
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Resident memory in KiB, now and at its peak.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Microseconds of CPU for each of these requests.
    fn measure(&self, path: &str, body: &Path, requests: u32) -> f64 {
        let before = self.cpu();
        let output = Command::new("taskset")
            .args(["-c", "1", "h2load", "--h1", "-c", "8", "-t", "1", "-n", &requests.to_string()])
            .args(["-H", "content-type: application/json", "-d"])
            .arg(body)
            .arg(format!("https://127.0.0.1:{}{path}?timeout=5s", self.port))
            .output()
            .expect("h2load is there: tests/tools/build.sh bench");
        let said = String::from_utf8_lossy(&output.stdout);
        let wanted = format!("{requests} total, {requests} started, {requests} done, {requests} succeeded");
        assert!(said.contains(&wanted), "{} {path}: {said}", self.name);
        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a minute fit")]
        let micros = (self.cpu() - before) as f64 / 1_000.0;
        micros / f64::from(requests)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn guard(folder: &Path, landscape: &Path) -> Server {
    let port = free_port();
    let arguments = [
        "serve".to_owned(),
        "all".to_owned(),
        format!("--landscape={}", landscape.display()),
        format!("--cert-dir={}", folder.display()),
        format!("--bind-address=127.0.0.1:{port}"),
        "--health-bind-address=127.0.0.1:0".to_owned(),
        "--metrics-bind-address=127.0.0.1:0".to_owned(),
    ];
    Server::start("network-guard", port, Path::new(env!("CARGO_BIN_EXE_network-guard")), &arguments)
}

fn peer(folder: &Path, cluster: &Path) -> Option<Server> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools/peer");
    if !program.exists() {
        eprintln!("the Go peer is missing, run `make tools`: NO COMPARISON WITH IT");
        return None;
    }
    let injection = Injection::new(&Settings::default());
    let additions = folder.join("additions.json");
    fs::write(&additions, additions_for_the_peer(&injection).to_string()).unwrap();
    let port = free_port();
    let arguments = [
        "-addr".to_owned(),
        format!("127.0.0.1:{port}"),
        "-tls-cert".to_owned(),
        folder.join("tls.crt").display().to_string(),
        "-tls-key".to_owned(),
        folder.join("tls.key").display().to_string(),
        "-cluster".to_owned(),
        cluster.display().to_string(),
        "-additions".to_owned(),
        additions.display().to_string(),
    ];
    Some(Server::start("Go peer", port, &program, &arguments))
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

fn main() {
    // `cargo bench` passes flags for harnesses that this is none of.
    let folder = std::env::temp_dir().join(format!("network-guard-bench-{}", std::process::id()));
    let landscape = folder.join("landscape");
    fs::create_dir_all(&landscape).unwrap();
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gardener/ha-overlap/cluster.json");
    fs::copy(&cluster, landscape.join("cluster.json")).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let ca = Authority::new("bench CA", Timestamp::now(), day).unwrap();
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
    fs::write(folder.join("tls.crt"), leaf.certificate).unwrap();
    fs::write(folder.join("tls.key"), leaf.key).unwrap();

    let bodies: Vec<(&str, PathBuf, usize)> =
        [("create", support::create()), ("create-lean", support::create_lean()), ("update", support::update())]
            .into_iter()
            .map(|(name, body)| {
                let path = folder.join(format!("{name}.json"));
                fs::write(&path, &body).unwrap();
                (name, path, body.len())
            })
            .collect();

    let guard = guard(&folder, &landscape);
    let peer = peer(&folder, &cluster);
    // The second fixed answer is the first body that it gets: what our handler answers.
    let answer = folder.join("answer.json");
    fs::write(&answer, support::Scene::new().call(support::create().as_bytes())).unwrap();
    guard.measure("/fixed-same", &answer, 8);

    println!("CPU of the server for each request in microseconds, median of {ROUNDS} rounds in turns\n");
    println!(
        "{:<14}{:>8}{:>9}{:>12}{:>10}{:>10}{:>12}{:>9}{:>9}",
        "body", "bytes", "fixed", "fixed-same", "ours", "Go peer", "fixed/ours", "same/ours", "Go/ours"
    );
    for (name, body, bytes) in &bodies {
        let mut rounds: Vec<[f64; 4]> = Vec::new();
        // A round that nobody counts, for caches and allocators to settle.
        for round in 0..=ROUNDS {
            let measured = [
                guard.measure("/fixed", body, 2_000),
                guard.measure(PATH, body, 2_000),
                guard.measure("/fixed-same", body, 2_000),
                peer.as_ref().map_or(f64::NAN, |peer| peer.measure(PATH, body, 100)),
            ];
            if round > 0 {
                rounds.push(measured);
            }
        }
        eprintln!("{name}: rounds of fixed, ours, fixed-same, Go peer: {rounds:.1?}");
        let all = |pick: fn(&[f64; 4]) -> f64| median(&mut rounds.iter().map(pick).collect::<Vec<_>>());
        println!(
            "{name:<14}{bytes:>8}{:>9.1}{:>12.1}{:>10.1}{:>10.0}{:>12.2}{:>9.2}{:>9.0}",
            all(|r| r[0]),
            all(|r| r[2]),
            all(|r| r[1]),
            all(|r| r[3]),
            all(|r| r[0] / r[1]),
            all(|r| r[2] / r[1]),
            all(|r| r[3] / r[1]),
        );
    }

    println!("\nresident memory after all of that, in MiB (now, peak)");
    for server in [Some(&guard), peer.as_ref()].into_iter().flatten() {
        let (now, peak) = server.memory();
        println!("{:<14}{:>8}{:>8}", server.name, now / 1024, peak / 1024);
    }
    drop((guard, peer));
    let _ = fs::remove_dir_all(&folder);
}
