//! How large the program is, how fast it is there, and what it holds while nothing happens: the release as it is built
//! here, and the static one of the image (`make image-root`).

#![allow(clippy::print_stdout, reason = "its output is all it is for")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Starts of each, of which the median counts.
const STARTS: usize = 21;

/// Between two looks whether it is there: short against what is measured.
const PAUSE: Duration = Duration::from_micros(200);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Start {
    listening: Duration,
    ready: Duration,
    resident: u64,
}

fn main() {
    // `cargo test --benches` only wants to see that it is built.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let image = sources.join(".cache/image-root");
    let programs = [
        ("release", PathBuf::from(env!("CARGO_BIN_EXE_network-guard"))),
        ("image", image.join("usr/bin/network-guard")),
    ];
    let certificates = std::env::temp_dir().join(format!("network-guard-start-{}", std::process::id()));
    let out = certificates.display().to_string();
    let made = Command::new(&programs[0].1).args(["certs", "generate", "--out", &out]).output().unwrap();
    assert!(made.status.success(), "{made:?}");

    for (name, program) in programs.iter().filter(|(_, program)| program.exists()) {
        let version = median((0..STARTS).map(|_| version(program)).collect());
        let starts: Vec<Start> =
            (0..STARTS).map(|_| start(program, &sources.join("examples/landscape"), &certificates)).collect();
        let of = |part: fn(&Start) -> Duration| median(starts.iter().map(part).collect());
        let (listening, ready) = (of(|start| start.listening), of(|start| start.ready));
        println!("figure: {name}: program {:.1} MB", megabytes(program.metadata().unwrap().len()));
        println!(
            "figure: {name}: --version {}, listening {} ({:.1} times that), ready {} ({:.1} times); medians of {STARTS}",
            milliseconds(version),
            milliseconds(listening),
            listening.as_secs_f64() / version.as_secs_f64(),
            milliseconds(ready),
            ready.as_secs_f64() / version.as_secs_f64(),
        );
        let resident = median(starts.iter().map(|start| start.resident).collect());
        println!("figure: {name}: {:.1} MB resident when ready, nothing asked yet", megabytes(resident));
    }
    if image.exists() {
        println!("figure: image: {:.1} MB in all", megabytes(size(&image)));
    } else {
        println!("the image is not measured: `make image-root` makes it");
    }
    fs::remove_dir_all(certificates).unwrap();
}

fn version(program: &Path) -> Duration {
    let started = Instant::now();
    assert!(Command::new(program).arg("--version").stdout(Stdio::null()).status().unwrap().success());
    started.elapsed()
}

fn start(program: &Path, landscape: &Path, certificates: &Path) -> Start {
    let ports: [u16; 3] = std::array::from_fn(|_| {
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
    });
    let [webhooks, health, metrics] = ports.map(|port| format!("127.0.0.1:{port}"));
    let started = Instant::now();
    let child = Command::new(program)
        .args(["serve", "all", "--bind-address", &webhooks, "--health-bind-address", &health])
        .args(["--metrics-bind-address", &metrics, "--landscape"])
        .arg(landscape)
        .arg("--cert-dir")
        .arg(certificates)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    let wait = |is_there: &dyn Fn() -> bool| {
        while !is_there() {
            assert!(started.elapsed() < Duration::from_secs(30), "it does not start");
            sleep(PAUSE);
        }
        started.elapsed()
    };
    let listening = wait(&|| TcpStream::connect(&webhooks).is_ok());
    let ready = wait(&|| is_ready(&health));
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    Start { listening, ready, resident: resident * 1_024 }
}

fn is_ready(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    let request = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() }).sum()
}

fn median<T: Copy + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[allow(clippy::cast_precision_loss, reason = "nobody has files of that size")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
