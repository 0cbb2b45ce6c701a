//! Decisions on Shoots in landscapes of 1,000 to 100,000 Shoots, with 1 to 50 peers; what one more Shoot costs to
//! index and to hold.

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod process;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use network_guard_core::admission::{self, AskLoop};
use network_guard_core::gardener::{SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::{Answers, Snapshot, Visibility};
use network_guard_core::webhooks::ValidateShoot;
use network_guard_sources::{LandscapeCache, files};
use process::stub;
use serde_json::{Value, json};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const PEERS: [usize; 3] = [1, 10, 50];

/// One Shoot in four peers, with two others that list it back.
fn shoot(number: usize, size: usize, template: &Value) -> Value {
    let mut shoot = template.clone();
    shoot["metadata"]["name"] = json!(format!("shoot-{number}"));
    shoot["metadata"]["namespace"] = json!(namespace(number));
    shoot["metadata"]["resourceVersion"] = json!("1");
    shoot["spec"]["seedName"] = json!(format!("eu1-{}", number % 40));
    shoot["spec"]["networking"]["nodes"] = json!(nodes(number));
    let peers: Vec<usize> =
        if number.is_multiple_of(4) { vec![(number + 4) % size, (number + size - 4) % size] } else { vec![] };
    shoot["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = entries(&peers);
    shoot
}

fn namespace(number: usize) -> String {
    format!("garden-project-{}", number / 20)
}

/// A network of its own for every Shoot.
fn nodes(number: usize) -> String {
    let base = 0x0a00_0000 + u32::try_from(number * 32).unwrap();
    format!("{}/27", std::net::Ipv4Addr::from(base))
}

fn entries(peers: &[usize]) -> Value {
    peers
        .iter()
        .map(|peer| json!({"name": format!("shoot-{peer}"), "namespace": namespace(*peer), "seed": format!("eu1-{}", peer % 40)}))
        .collect()
}

fn review(operation: &str) -> Value {
    let path = format!("{}/tests/fixtures/reviews/shoot-{operation}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn template() -> Value {
    review("create")["request"]["object"].clone()
}

fn facts(shoot: &Value) -> (ShootName, ShootFacts) {
    let text = shoot.to_string();
    let shoot = Shoot::read(&text).unwrap();
    (ShootName::new(&shoot.namespace, &shoot.name), ShootFacts::of(&shoot))
}

fn landscape(size: usize) -> Snapshot {
    let template = template();
    let mut snapshot = Snapshot::default();
    for number in 0..40 {
        snapshot.put_seed(
            &format!("eu1-{number}"),
            SeedFacts { pods: "192.168.0.0/16".parse().ok(), ..SeedFacts::default() },
        );
    }
    for number in 0..size {
        let (name, facts) = facts(&shoot(number, size, &template));
        snapshot.shoots.put(&name, facts);
    }
    snapshot
}

/// A review of a Shoot that is no other, with this many peers: a creation, or an update that adds the last one.
fn body(operation: &str, peers: usize, size: usize) -> String {
    let mut review = review(operation);
    let listed: Vec<usize> = (0..peers).map(|i| i * (size / peers / 4) * 4 + 1).collect();
    let set = |object: &mut Value, listed: &[usize]| {
        object["metadata"]["name"] = json!("mine");
        object["metadata"]["namespace"] = json!("garden-mine");
        object["spec"]["seedName"] = json!("eu1-1");
        object["spec"]["networking"]["nodes"] = json!("172.16.0.0/27");
        object["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = entries(listed);
    };
    let request = &mut review["request"];
    request["name"] = json!("mine");
    request["namespace"] = json!("garden-mine");
    set(&mut request["object"], &listed);
    if operation == "update" {
        set(&mut request["oldObject"], &listed[..peers - 1]);
    }
    review.to_string()
}

/// Bytes to bytes. Access reviews are answered at once: what is measured is ours.
fn call(handler: &ValidateShoot, snapshot: &Snapshot, body: &[u8]) -> Vec<u8> {
    let request = admission::decode(body).unwrap();
    let review = AskLoop::new(handler, &request, Some(snapshot));
    let verdict = review.run(|questions| {
        assert!(questions.shoots.is_empty() && questions.seeds.is_empty(), "nothing is refused here");
        let visibilities = questions.visibilities.iter().map(|name| (name.clone(), Visibility::Visible)).collect();
        let grants = questions.grants.iter().map(|place| (place.clone(), Visibility::Visible)).collect();
        Answers { visibilities, grants, ..Answers::default() }
    });
    admission::encode(&request, &verdict.expect("a decision"))
}

/// The median time of one run, in microseconds.
fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..301)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[150].as_secs_f64() * 1e6
}

/// The times of all sizes, and how the largest compares with the smallest.
fn show(times: &[f64]) {
    for time in times {
        print!("{time:>14.1}");
    }
    println!("{:>22.2}", times[2] / times[0]);
}

fn decisions() {
    let handler = ValidateShoot::default();
    println!("validation of a Shoot, median, microseconds of one core, without remote calls\n");
    print!("{:<28}", "");
    for size in SIZES {
        print!("{:>14}", format!("{size} Shoots"));
    }
    println!("{:>22}", "largest / smallest");
    let snapshots: Vec<Snapshot> = SIZES.iter().map(|size| landscape(*size)).collect();
    for operation in ["create", "update"] {
        for peers in PEERS {
            let times: Vec<f64> = SIZES
                .iter()
                .zip(&snapshots)
                .map(|(size, snapshot)| {
                    let body = body(operation, peers, *size);
                    call(&handler, snapshot, body.as_bytes());
                    median(|| drop(black_box(call(&handler, snapshot, black_box(body.as_bytes())))))
                })
                .collect();
            print!("{:<28}", format!("{operation}, peers: {peers} ({} B)", body(operation, peers, 1_000).len()));
            show(&times);
        }
    }
    let unchanged = {
        let mut review = review("update");
        review["request"]["oldObject"] = review["request"]["object"].clone();
        review["request"]["object"]["metadata"]["labels"]["a"] = json!("b");
        review.to_string()
    };
    print!("{:<28}", format!("a label ({} B)", unchanged.len()));
    let times: Vec<f64> = snapshots
        .iter()
        .map(|snapshot| median(|| drop(black_box(call(&handler, snapshot, black_box(unchanged.as_bytes()))))))
        .collect();
    show(&times);

    println!("\none update event, from its facts to the published snapshot, median, microseconds\n");
    print!("{:<28}", "");
    for (size, snapshot) in SIZES.iter().zip(snapshots) {
        let landscape = Arc::new(LandscapeCache::new(1));
        let feed = landscape.feed(0);
        feed.update(|current| *current = snapshot);
        let template = template();
        let events: Vec<_> = (0..301).map(|i| facts(&shoot(i * 3, *size, &template))).collect();
        let mut events = events.into_iter();
        print!(
            "{:>14.1}",
            median(|| {
                let (name, mut facts) = events.next().unwrap();
                facts.is_being_deleted = true;
                feed.update(|snapshot| snapshot.shoots.put(&name, facts));
            })
        );
    }
    println!();
}

// === memory and first read ===

fn write_folder(folder: &Path, size: usize) -> u64 {
    let template = template();
    let mut bytes = 0;
    for (number, chunk) in (0..size).collect::<Vec<_>>().chunks(1_000).enumerate() {
        let path = folder.join(format!("{number}.json"));
        let mut file = BufWriter::new(fs::File::create(&path).unwrap());
        write!(file, r#"{{"apiVersion":"core.gardener.cloud/v1beta1","kind":"ShootList","items":["#).unwrap();
        for (i, number) in chunk.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(file, "{comma}{}", shoot(*number, size, &template)).unwrap();
        }
        write!(file, "]}}").unwrap();
        file.flush().unwrap();
        drop(file);
        bytes += fs::metadata(path).unwrap().len();
    }
    bytes
}

/// An API server that streams Shoots, made as they are sent, and one Seed; nothing happens after that.
fn api_server(size: usize) -> u16 {
    let template = template();
    stub::listen(move |stream| stream_objects(&stream, size, &template))
}

fn stream_objects(mut stream: &TcpStream, size: usize, template: &Value) -> std::io::Result<()> {
    stub::serve(&mut stream, |stream, _, listed| match listed {
        Some("shoots") => stream_all(stream, "Shoot", size, template),
        Some("seeds") => stream_all(stream, "Seed", size, template),
        _ => Ok(false),
    })
}

fn stream_all(stream: &TcpStream, kind: &str, size: usize, template: &Value) -> std::io::Result<bool> {
    let mut out = BufWriter::new(stream);
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
    if kind == "Shoot" {
        for number in 0..size {
            writeln!(out, r#"{{"type":"ADDED","object":{}}}"#, shoot(number, size, template))?;
        }
    } else {
        writeln!(
            out,
            r#"{{"type":"ADDED","object":{{"metadata":{{"name":"eu1-0","resourceVersion":"1"}},"spec":{{}}}}}}"#
        )?;
    }
    writeln!(
        out,
        r#"{{"type":"BOOKMARK","object":{{"kind":"{kind}","apiVersion":"core.gardener.cloud/v1beta1","metadata":{{"resourceVersion":"1","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}}"#
    )?;
    out.flush()?;
    stub::stay();
    Ok(true)
}

fn memory() {
    let folder = std::env::temp_dir().join(format!("network-guard-garden-{}", std::process::id()));
    let (full, empty) = (folder.join("full"), folder.join("empty"));
    fs::create_dir_all(&full).unwrap();
    fs::create_dir_all(&empty).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let ca = Authority::new("bench CA", Timestamp::now(), day).unwrap();
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
    fs::write(folder.join("tls.crt"), leaf.certificate).unwrap();
    fs::write(folder.join("tls.key"), leaf.key).unwrap();
    let size = SIZES[2];
    let bytes = write_folder(&full, size);
    let started = Instant::now();
    let read = files::read(&full).unwrap();
    let took = started.elapsed();
    println!(
        "\nfirst read of {} Shoots from a folder ({} MiB of JSON): {} ms; {} peering entries, {} of them reciprocal",
        read.shoots.len(),
        bytes >> 20,
        took.as_millis(),
        read.shoots.census().reciprocal + read.shoots.census().one_sided,
        read.shoots.census().reciprocal,
    );
    drop(read);

    println!("\nresident memory, KiB; {size} Shoots\n");
    println!("{:<34}{:>10}{:>10}{:>12}{:>18}", "", "now", "peak", "ready, ms", "bytes a Shoot");
    let certificates = format!("--cert-dir={}", folder.display());
    let garden = |size: usize| {
        let kubeconfig = folder.join(format!("kubeconfig-{size}"));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": format!("http://127.0.0.1:{}", api_server(size))}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        });
        fs::write(&kubeconfig, config.to_string()).unwrap();
        process::served(&["garden".to_owned(), certificates.clone(), format!("--kubeconfig={}", kubeconfig.display())])
    };
    let all = |folder: &Path| {
        process::served(&["all".to_owned(), certificates.clone(), format!("--landscape={}", folder.display())])
    };
    for (name, without, with) in
        [("serve garden, streaming list", garden(0), garden(size)), ("serve all, a folder", all(&empty), all(&full))]
    {
        let mut line = String::new();
        for (name, (now, peak, took), each) in [
            (format!("{name}, none"), without, String::new()),
            (name.to_owned(), with, ((with.0.saturating_sub(without.0)) * 1_024 / size as u64).to_string()),
        ] {
            let _ = writeln!(line, "{name:<34}{now:>10}{peak:>10}{:>12}{each:>18}", took.as_millis());
        }
        print!("{line}");
    }
    let _ = fs::remove_dir_all(&folder);
}

fn main() {
    // `cargo test --benches` runs this too, to see that it still works.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    decisions();
    memory();
}
