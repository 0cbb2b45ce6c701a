//! The overlay switch: one decision of the webhook, one look at 5,000 nodes, and the memory of `serve seed` while 200
//! switches of 100 nodes each are held, against the same server without any.

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod process;

use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use network_guard_core::admission::{self, AskLoop};
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::gardener::list::{List, ListLimits};
use network_guard_core::gardener::node::NodeFacts;
use network_guard_core::landscape::Snapshot;
use network_guard_core::overlay::{RouteTracker, RouteTrackerSettings};
use network_guard_core::webhooks::HoldNetwork;
use process::stub;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Held switches, and nodes of each Shoot.
const SWITCHES: usize = 200;
const NODES: usize = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The median of many runs, in microseconds.
fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..1_001)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A node with what makes real ones large: images, managed fields, annotations. About 8 kB.
fn node(number: usize) -> Value {
    let images: Vec<Value> = (0..40)
        .map(|i| json!({"names": [format!("registry.example.org/some/longer/path/image-{i}@sha256:{i:064}")], "sizeBytes": 1}))
        .collect();
    json!({
        "metadata": {
            "name": format!("ip-10-250-{}-{}.eu-west-1.compute.internal", number / 250, number % 250),
            "uid": format!("00000000-0000-0000-0000-{number:012}"), "resourceVersion": "1",
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": "x".repeat(2_000)}}],
        },
        "spec": {"podCIDR": "100.64.0.0/24", "providerID": format!("aws:///eu-west-1a/i-{number:017}")},
        "status": {
            "images": images,
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"},
                {"type": "NetworkUnavailable", "status": "False", "reason": if number.is_multiple_of(10) { "CalicoIsUp" } else { "RouteCreated" },
                 "message": "m", "lastTransitionTime": "2026-11-20T10:00:00Z"},
            ],
        },
    })
}

fn nodes(count: usize) -> String {
    let items: Vec<Value> = (0..count).map(node).collect();
    json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}).to_string()
}

fn network(number: usize, enabled: bool) -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {
            "name": "orders", "namespace": namespace(number), "uid": format!("n-{number}"), "resourceVersion": "1",
            "generation": 1,
            "annotations": {"gardener.cloud/timestamp": "2026-11-20T10:00:00.123456789Z"},
            "managedFields": [{"manager": "gardenlet", "fieldsV1": {"f:spec": "x".repeat(1_000)}}],
        },
        "spec": {
            "type": "calico", "podCIDR": "100.64.0.0/11", "serviceCIDR": "100.96.0.0/13", "ipFamilies": ["IPv4"],
            "providerConfig": {"apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig",
                "overlay": {"enabled": enabled}, "typha": {"enabled": true}, "ipam": {"type": "host-local", "cidr": "usePodCIDR"}},
        },
        "status": {"lastOperation": {"state": "Succeeded"}, "observedGeneration": 1},
    })
}

fn held(number: usize) -> Value {
    let mut network = network(number, true);
    let annotations = &mut network["metadata"]["annotations"];
    annotations["network-guard.extensions.gardener.cloud/overlay-switch-state"] = json!("pending");
    annotations["network-guard.extensions.gardener.cloud/overlay-switch-since"] = json!("2026-11-20T10:00:00Z");
    annotations["network-guard.extensions.gardener.cloud/overlay-switch-requested"] = json!("x");
    network
}

fn namespace(number: usize) -> String {
    format!("shoot--project--switch-{number}")
}

fn cluster(number: usize) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gardener/ha/cluster.json");
    let mut cluster: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    cluster["metadata"]["name"] = json!(namespace(number));
    cluster["metadata"]["resourceVersion"] = json!("1");
    let shoot = &mut cluster["spec"]["shoot"]["spec"];
    shoot["networking"]["type"] = json!("calico");
    shoot["networking"]["providerConfig"] = json!({"overlay": {"enabled": false}});
    shoot["provider"]["type"] = json!("aws");
    cluster
}

fn decisions() {
    let mut snapshot = Snapshot::default();
    snapshot.put_cluster(&namespace(0), ClusterFacts::parse(&cluster(0)["spec"].to_string()));
    let handler = HoldNetwork::default();
    println!("one decision of the webhook on a Network, median, from the bytes of the call to those of the answer\n");
    for (what, old, new) in [
        ("a switch is held", network(0, true), network(0, false)),
        ("a held one again", held(0), {
            let mut new = held(0);
            new["spec"]["providerConfig"]["overlay"]["enabled"] = json!(false);
            new
        }),
        ("not a switch", network(0, true), network(0, true)),
    ] {
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "UPDATE", "namespace": namespace(0), "name": "orders",
                "resource": {"group": "extensions.gardener.cloud", "version": "v1alpha1", "resource": "networks"},
                "userInfo": {"username": "gardenlet"}, "object": new, "oldObject": old,
            },
        })
        .to_string();
        let micros = median(|| {
            let request = admission::decode(body.as_bytes()).unwrap();
            let verdict = AskLoop::new(&handler, &request, Some(&snapshot)).end().expect("nothing is asked");
            black_box(admission::encode(&request, &verdict));
        });
        println!("{what:<24}{micros:>10.1} us");
    }
}

fn read(text: &str) -> Vec<NodeFacts> {
    let mut list =
        List::new(ListLimits { objects: 50_000, page: 50_000, pages: 1, arriving: 256 << 20, kept: 16 << 20 });
    // In pieces such as hyper reads.
    text.as_bytes().chunks(64 << 10).for_each(|piece| list.read(piece).unwrap());
    list.end_page().unwrap();
    list.into_objects()
}

fn looks() {
    println!("\none look at nodes, median\n");
    for count in [100, 1_000, 5_000] {
        let text = nodes(count);
        let nodes = read(&text);
        let mut tracker = RouteTracker::default();
        let now = Timestamp::now();
        let look = median(|| {
            black_box(tracker.observe(&nodes, now, &RouteTrackerSettings::default()));
        });
        let mut reads: Vec<f64> = (0..11)
            .map(|_| {
                let started = Instant::now();
                black_box(read(&text));
                started.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        reads.sort_by(f64::total_cmp);
        println!(
            "{count:>6} nodes{look:>12.1} us, and{:>12.1} us to read them ({:.1} MiB)",
            reads[reads.len() / 2],
            f64::from(u32::try_from(text.len()).unwrap()) / f64::from(1 << 20)
        );
    }
}

/// What both API servers answer.
struct Stub {
    clusters: String,
    networks: String,
    nodes: String,
    secret: String,
    /// Lists of nodes that were asked for.
    looks: AtomicUsize,
}

impl Stub {
    /// The code and the body of an answer; nothing for what is unknown.
    fn answer(&self, head: &str, listed: Option<&str>) -> Option<(u16, String)> {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if head.contains("sendInitialEvents=true") {
            let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":422,"reason":"Invalid","message":"no"}"#;
            return Some((422, status.to_owned()));
        }
        if path.contains("/secrets/") {
            return Some((200, self.secret.clone()));
        }
        if !head.starts_with("GET") {
            // Whatever is written is there afterwards.
            return Some((200, r#"{"metadata":{"name":"x","namespace":"x","resourceVersion":"1"}}"#.to_owned()));
        }
        let body = match listed {
            Some("nodes") => {
                self.looks.fetch_add(1, Ordering::Relaxed);
                &self.nodes
            }
            Some("events") => r#"{"metadata":{},"items":[]}"#,
            Some("clusters") => &self.clusters,
            Some("networks") => &self.networks,
            // A Lease and a ManagedResource are looked for before they are written.
            _ => return None,
        };
        Some((200, body.to_owned()))
    }

    fn serve(&self, mut stream: impl Read + Write) -> std::io::Result<()> {
        stub::serve(&mut stream, |stream, head, listed| {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body)?;
            if head.contains("watch=true") && !head.contains("sendInitialEvents=true") {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
                stream.flush()?;
                stub::stay();
            }
            let Some((code, body)) = self.answer(head, listed) else { return Ok(false) };
            write!(
                stream,
                "HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            Ok(true)
        })
    }
}

/// Listens, by TLS where there is a configuration for it.
fn listen(stub: &Arc<Stub>, tls: Option<Arc<rustls::ServerConfig>>) -> u16 {
    let stub = Arc::clone(stub);
    stub::listen(move |stream| match &tls {
        Some(tls) => {
            stub.serve(rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(tls)).unwrap(), stream))
        }
        None => stub.serve(stream),
    })
}

fn memory(folder: &Path, ca: &Authority, switches: usize) -> (u64, u64, usize) {
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), DAY).unwrap();
    let list = |kind: &str, items: Vec<Value>| {
        json!({"kind": kind, "apiVersion": "extensions.gardener.cloud/v1alpha1", "metadata": {"resourceVersion": "1"}, "items": items})
            .to_string()
    };
    let data = json!({"token": STANDARD.encode("token"), "bundle.crt": STANDARD.encode(ca.certificate())});
    let stub = Arc::new(Stub {
        clusters: list("ClusterList", (0..SWITCHES).map(cluster).collect()),
        networks: list("NetworkList", (0..switches).map(held).collect()),
        nodes: nodes(NODES),
        secret: json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "resourceVersion": "1"}, "data": data}).to_string(),
        looks: AtomicUsize::new(0),
    });
    let chain = vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (seed, shoots) = (listen(&stub, None), listen(&stub, Some(Arc::new(tls))));
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://127.0.0.1:{seed}")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).unwrap();
    fs::write(
        folder.join("config.yaml"),
        format!(
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n\
             overlay: {{pollSeconds: 5, shootServer: 'https://127.0.0.1:{shoots}'}}\n"
        ),
    )
    .unwrap();
    let arguments = [
        "seed".to_owned(),
        format!("--cert-dir={}", folder.display()),
        format!("--kubeconfig={}", folder.join("kubeconfig").display()),
        format!("--config={}", folder.join("config.yaml").display()),
    ];
    // Some rounds of looks, so that all connections are open and everything was needed once.
    let (now, peak, _) = process::served_for(&arguments, Duration::from_secs(20));
    (now, peak, stub.looks.load(Ordering::Relaxed))
}

fn main() {
    decisions();
    looks();
    let folder = std::env::temp_dir().join(format!("network-guard-overlay-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let ca = Authority::new("bench CA", Timestamp::now(), DAY).unwrap();
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), DAY).unwrap();
    fs::write(folder.join("tls.crt"), &leaf.certificate).unwrap();
    fs::write(folder.join("tls.key"), &leaf.key).unwrap();
    println!("\nresident memory of serve seed with {SWITCHES} Clusters, KiB; a Shoot has {NODES} nodes\n");
    println!("{:<24}{:>10}{:>10}{:>18}", "held switches", "now", "peak", "lists of nodes");
    for switches in [0, SWITCHES] {
        let (now, peak, looks) = memory(&folder, &ca, switches);
        println!("{switches:<24}{now:>10}{peak:>10}{looks:>18}");
    }
    let _ = fs::remove_dir_all(&folder);
}
