//! A server as a process, whose environment a test may spoil.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ports::free_port;
use crate::support::{Client, DAY, PATH, client_config, write_pair};

/// A review of the example landscape, which gets the sidecar.
pub const REVIEW: &str = include_str!("../../examples/admission-review.json");

/// A server as a process of its own, on the example landscape.
pub struct Process {
    pub child: Child,
    pub ports: [u16; 3],
    pub ca: Authority,
    pub folder: tempfile::TempDir,
}

/// The answer of a path on a plain port of this machine; empty while nobody answers.
pub fn get(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
        use std::io::Write as _;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer).map(drop));
    }
    answer
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it with this standard error, changed as its case wants it.
    pub async fn start(stderr: Stdio, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Authority::new("CA", Timestamp::now(), DAY).unwrap();
        write_pair(&folder, &ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap());
        let ports = [(); 3].map(|()| free_port());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_network-guard"), "serve", "all"]);
        let landscape = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape");
        command.args(["--landscape", landscape, "--log-level", "debug", "--cert-dir"]).arg(folder.path());
        for (flag, port) in ["--bind-address", "--health-bind-address", "--metrics-bind-address"].iter().zip(ports) {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        change(&mut command);
        let process = Self { child: command.spawn().unwrap(), ports, ca, folder };
        process.until("it is ready", || process.get(1, "/readyz").starts_with("HTTP/1.1 200")).await;
        process
    }

    pub async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !condition() {
            assert!(Instant::now() < deadline, "not in time: {what}\n{}", self.get(2, "/metrics"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The answer of a path on one of its plain ports; empty while nobody answers.
    pub fn get(&self, port: usize, path: &str) -> String {
        get(self.ports[port], path)
    }

    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get(2, "/metrics");
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub async fn connect(&self) -> Client {
        let tcp = TcpStream::connect(("127.0.0.1", self.ports[0])).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(std::sync::Arc::new(client_config(&self.ca, None)));
        Client { stream: connector.connect(name, tcp).await.unwrap() }
    }

    /// Calls it so often, none of which may hang, and gives the time of the longest.
    pub async fn calls(&self, name: &str, count: usize) -> Duration {
        let mut client = self.connect().await;
        let mut longest = Duration::ZERO;
        for call in 0..count {
            let started = Instant::now();
            let answer = tokio::time::timeout(Duration::from_secs(60), client.post(PATH, REVIEW)).await;
            let answer = answer.unwrap_or_else(|_| panic!("{name}: call {call} hangs"));
            assert_eq!(answer.status, 200, "{name}: call {call}");
            assert!(answer.body.contains("\"patch\":"), "{name}: call {call}: {}", answer.body);
            longest = longest.max(started.elapsed());
        }
        longest
    }

    /// Ends it politely, and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(90);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }

    /// The most memory that it ever had, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}
