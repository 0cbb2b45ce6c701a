//! What servers hold, and how fast they are there. The API server is a stand-in.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::api::{Api, Kind, discard};
use crate::goals::Figures;
use crate::median;
use crate::objects::{Shoots, clusters, held_network, node, switch_cluster};
use crate::server::{CALLER, Folder, PROGRAM, SERVER, Server, pin};

const EXTENSIONS: &str = "extensions.gardener.cloud/v1alpha1";
const CLUSTERS: [&str; 3] = ["Cluster", "clusters", EXTENSIONS];
const NETWORKS: [&str; 3] = ["Network", "networks", EXTENSIONS];
const GARDEN: &str = "core.gardener.cloud/v1beta1";

/// For how long the allocator may give back what the first read needed.
const SETTLE: Duration = Duration::from_secs(3);

/// Starts `serve` against this API server: the memory then, and at its peak.
fn served(folder: &Folder, what: &str, api: Api) -> [f64; 2] {
    timed(folder, what, api).0
}

/// The same, and the seconds until it was ready.
fn timed(folder: &Folder, what: &str, api: Api) -> ([f64; 2], f64) {
    let server = Server::guard(folder, &[what, &folder.kubeconfig(Arc::new(api).listen(None))]);
    std::thread::sleep(SETTLE);
    (server.memory(), server.took.as_secs_f64())
}

fn garden(folder: &Folder, count: usize) -> [f64; 2] {
    let shoots = Shoots::large(count.max(1));
    let seed = |_| r#"{"metadata":{"name":"eu1-0","resourceVersion":"1"},"spec":{}}"#.to_owned();
    let kinds = vec![
        Kind::new(["Shoot", "shoots", GARDEN], count, move |number| shoots.json(number).to_string()),
        Kind::new(["Seed", "seeds", GARDEN], 1, seed),
    ];
    served(folder, "garden", Api { kinds, streams: true, ..Api::default() })
}

fn seed(count: usize, streams: bool) -> Api {
    let kinds = vec![Kind::new(CLUSTERS, count, clusters()), Kind::none(NETWORKS)];
    Api { kinds, streams, ..Api::default() }
}

#[allow(clippy::cast_precision_loss, reason = "nobody has programs of that size")]
pub fn measure(figures: &mut Figures, folder: &Folder) {
    figures.put("size", std::fs::metadata(PROGRAM).unwrap().len() as f64 / 1e6);
    let [none, _] = garden(folder, 0);
    for (id, count) in [("memory/shoots-10k", 10_000), ("memory/shoots-100k", 100_000)] {
        figures.put(id, garden(folder, count)[0] - none);
    }
    let [none, _] = served(folder, "seed", seed(0, true));
    let ([stream, stream_peak], small) = timed(folder, "seed", seed(10_000, true));
    figures.put("memory/clusters-10k", stream - none);
    let ([many, _], large) = timed(folder, "seed", seed(100_000, true));
    figures.put("memory/clusters-100k", many - none);
    figures.put("growth/start", large / small);
    figures.put("memory/peak-stream", stream_peak - none);
    figures.put("memory/peak-pages", served(folder, "seed", seed(10_000, false))[1] - none);
    let [none, held] = [0, 200].map(|switches| with_switches(folder, switches));
    figures.put("memory/switches", held - none);
    figures.put("start", start(folder));
}

/// The memory of `serve seed` with so many held switches of 100 nodes each.
fn with_switches(folder: &Folder, switches: usize) -> f64 {
    let nodes = Kind::new(["Node", "nodes", "v1"], 100, node);
    let shoots = Arc::new(Api { kinds: vec![nodes, Kind::none(["Event", "events", "v1"])], ..Api::default() });
    let server = format!("https://127.0.0.1:{}", Arc::clone(&shoots).listen(Some(folder.tls())));
    let data = json!({"token": STANDARD.encode("token"), "bundle.crt": STANDARD.encode(folder.ca.certificate())});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "resourceVersion": "1"}, "data": data});
    let kinds = vec![Kind::new(CLUSTERS, 200, switch_cluster), Kind::new(NETWORKS, switches, held_network)];
    let api = Arc::new(Api { kinds, streams: true, secret: secret.to_string() });
    let config = folder.write(
        "config.yaml",
        &format!(
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n\
             overlay: {{pollSeconds: 5, shootServer: '{server}'}}\n"
        ),
    );
    let server = Server::guard(
        folder,
        &["seed", &folder.kubeconfig(api.listen(None)), &format!("--config={}", config.display())],
    );
    // Two rounds of looks, so that all connections are open and everything was needed once.
    let started = Instant::now();
    while shoots.kinds[0].asked() < switches * 2 {
        assert!(started.elapsed() < Duration::from_secs(120), "nobody looks at nodes");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(SETTLE);
    server.memory()[0]
}

/// The time until a server is ready that reads 10,000 Clusters, by that of a download which throws them away.
fn start(folder: &Folder) -> f64 {
    let make = clusters();
    let all: Arc<Vec<String>> = Arc::new((0..10_000).map(make).collect());
    let bytes = all.iter().map(String::len).sum();
    let sent = Arc::clone(&all);
    let kinds = vec![Kind::new(CLUSTERS, all.len(), move |number| sent[number].clone()), Kind::none(NETWORKS)];
    let port = Arc::new(Api { kinds, streams: true, ..Api::default() }).listen(None);
    let kubeconfig = folder.kubeconfig(port);
    let download = || {
        pin(SERVER);
        let started = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let path = format!("/apis/{EXTENSIONS}/clusters?watch=true&sendInitialEvents=true");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        discard(&mut stream, bytes);
        pin(CALLER);
        started.elapsed().as_secs_f64()
    };
    median((0..5).map(|_| Server::guard(folder, &["seed", &kubeconfig]).took.as_secs_f64() / download()))
}
