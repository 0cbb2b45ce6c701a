//! A server of its own, on a core of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::sync::Arc;

/// The program that is measured.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_network-guard");

/// The core of the server that is measured. What calls it has another one, because a share of a core means nothing.
pub const SERVER: usize = 0;
/// The core of everything else.
pub const CALLER: usize = 1;

/// Keeps this thread, and what it starts, on a core.
pub fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).expect("it takes two cores");
}

/// A folder with a certificate for servers, and with whatever else they need.
pub struct Folder {
    pub path: PathBuf,
    pub ca: Authority,
    leaf: [String; 2],
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("network-guard-bench-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let ca = Authority::new("bench CA", Timestamp::now(), day).unwrap();
        let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
        fs::write(path.join("tls.crt"), &leaf.certificate).unwrap();
        fs::write(path.join("tls.key"), &leaf.key).unwrap();
        Self { path, ca, leaf: [leaf.certificate, leaf.key] }
    }

    /// Writes a file, and says where it is.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Leads to an API server on this port.
    pub fn kubeconfig(&self, port: u16) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        });
        format!("--kubeconfig={}", self.write(&format!("kubeconfig-{port}"), &config.to_string()).display())
    }

    /// What a server needs to use the certificate.
    pub fn tls(&self) -> Arc<rustls::ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.leaf[0].as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.leaf[1].as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(tls.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }
}

/// A process that serves.
pub struct Server {
    child: Child,
    pub port: u16,
    /// The time until it was ready.
    pub took: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `network-guard serve` with these arguments, when it is ready.
    pub fn guard(folder: &Folder, arguments: &[&str]) -> Self {
        let [port, health] = [free_port(), free_port()];
        let mut command = pinned(Path::new(PROGRAM));
        command.arg("serve").args(arguments).arg(format!("--cert-dir={}", folder.path.display()));
        command.arg(format!("--bind-address=127.0.0.1:{port}")).arg("--metrics-bind-address=127.0.0.1:0");
        command.arg(format!("--health-bind-address=127.0.0.1:{health}"));
        Self::start(command, port, || is_ready(health))
    }

    /// Starts it, and waits until it is there.
    pub fn start(mut command: Command, port: u16, is_there: impl Fn() -> bool) -> Self {
        let started = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, port, took: Duration::ZERO };
        while !is_there() {
            assert!(server.child.try_wait().unwrap().is_none(), "{command:?} ended");
            assert!(started.elapsed() < Duration::from_secs(300), "{command:?} is not ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        server.took = started.elapsed();
        server
    }

    /// Nanoseconds on the CPU, of all threads.
    pub fn cpu(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Resident memory in MB, now and at its peak.
    pub fn memory(&self) -> [f64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|name| {
            let kib = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            kib.unwrap_or(f64::NAN) * 1_024.0 / 1e6
        })
    }

    /// Forgets the peak so far.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }
}

/// A program on the server's core.
pub fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &SERVER.to_string()]).arg(program);
    command
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_ready(port: u16) -> bool {
    let mut answer = String::new();
    TcpStream::connect(("127.0.0.1", port))
        .and_then(|mut stream| {
            // One that takes the connection and says nothing is not ready.
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        })
        .is_ok_and(|_| answer.starts_with("HTTP/1.1 200"))
}
