//! Resident memory of `serve seed` with 10,000 Clusters of about 20 kB, and its peak while loading them: once from a
//! streaming list, once from pages. The API server is a stub that sends bytes made beforehand.

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod process;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use process::stub;
use serde_json::{Value, json};

const CLUSTERS: usize = 10_000;

/// A Cluster as gardenlet writes it, with managed fields that bring it to the usual 20 kB.
fn cluster(number: usize) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gardener/ha-overlap/cluster.json");
    let mut cluster: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    cluster["metadata"]["name"] = json!(format!("shoot--project--cluster-{number}"));
    cluster["metadata"]["resourceVersion"] = json!("1");
    cluster["metadata"]["managedFields"] =
        json!([{"manager": "gardenlet", "fieldsV1": {"f:spec": "x".repeat(16_000)}}]);
    cluster.to_string()
}

/// Where Clusters are.
const PATH: &str = "/apis/extensions.gardener.cloud/v1alpha1/clusters";

/// Answers lists and watches of Clusters; nothing happens after the first list.
fn stub(clusters: Arc<Vec<String>>, streams: bool) -> u16 {
    stub::listen(move |stream| answer(stream, &clusters, streams))
}

fn answer(mut stream: TcpStream, clusters: &[String], streams: bool) -> std::io::Result<()> {
    stub::serve(&mut stream, |stream, head, listed| {
        let clusters = match listed {
            Some("clusters") => clusters,
            // Of what else is looked at there is nothing.
            Some("networks") => &[],
            _ => return Ok(false),
        };
        let parameter = |name: &str| -> Option<usize> {
            head.split(['?', '&', ' ']).find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        if head.contains("sendInitialEvents=true") && !streams {
            let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":422,"reason":"Invalid","message":"no streaming lists"}"#;
            write!(
                stream,
                "HTTP/1.1 422 x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{status}",
                status.len()
            )?;
        } else if head.contains("watch=true") {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
            if head.contains("sendInitialEvents=true") {
                for cluster in clusters {
                    writeln!(stream, r#"{{"type":"ADDED","object":{cluster}}}"#)?;
                }
                writeln!(
                    stream,
                    r#"{{"type":"BOOKMARK","object":{{"kind":"Cluster","apiVersion":"extensions.gardener.cloud/v1alpha1","metadata":{{"resourceVersion":"1","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}}"#
                )?;
            }
            stream.flush()?;
            stub::stay();
        } else {
            let from = parameter("continue").unwrap_or(0);
            let to = (from + parameter("limit").unwrap_or(CLUSTERS)).min(clusters.len());
            let next = if to < clusters.len() { to.to_string() } else { String::new() };
            let body = format!(
                r#"{{"kind":"ClusterList","apiVersion":"extensions.gardener.cloud/v1alpha1","metadata":{{"resourceVersion":"1","continue":"{next}"}},"items":[{}]}}"#,
                clusters[from..to].join(",")
            );
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
        Ok(true)
    })
}

/// Resident memory in KiB, now and at its peak, and the time until ready.
fn load(folder: &Path, clusters: &Arc<Vec<String>>, streams: bool) -> (u64, u64, Duration) {
    let api = stub(Arc::clone(clusters), streams);
    let kubeconfig = folder.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://127.0.0.1:{api}")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    fs::write(&kubeconfig, config.to_string()).unwrap();
    process::served(&[
        "seed".to_owned(),
        format!("--cert-dir={}", folder.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
    ])
}

/// The time of a bare download that throws everything away.
fn bare_download(clusters: &Arc<Vec<String>>) -> Duration {
    let port = stub(Arc::clone(clusters), true);
    let started = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {PATH}?watch=true&sendInitialEvents=true HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stub::discard(&mut stream, clusters.iter().map(String::len).sum());
    started.elapsed()
}

fn main() {
    let folder = std::env::temp_dir().join(format!("network-guard-memory-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let ca = Authority::new("bench CA", Timestamp::now(), day).unwrap();
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
    fs::write(folder.join("tls.crt"), leaf.certificate).unwrap();
    fs::write(folder.join("tls.key"), leaf.key).unwrap();

    let none = Arc::new(Vec::new());
    let all: Arc<Vec<String>> = Arc::new((0..CLUSTERS).map(cluster).collect());
    let megabytes = all.iter().map(String::len).sum::<usize>() >> 20;
    println!("resident memory of serve seed, KiB; {CLUSTERS} Clusters are {megabytes} MiB of JSON\n");
    println!("{:<24}{:>10}{:>10}{:>12}", "", "now", "peak", "ready, ms");
    let show = |name: &str, (now, peak, took): (u64, u64, Duration)| {
        println!("{name:<24}{now:>10}{peak:>10}{:>12}", took.as_millis());
    };
    show("no Cluster", load(&folder, &none, true));
    show("streaming list", load(&folder, &all, true));
    show("pages", load(&folder, &all, false));
    println!("{:<24}{:>10}{:>10}{:>12}", "a bare download", "", "", bare_download(&all).as_millis());
    let _ = fs::remove_dir_all(&folder);
}
