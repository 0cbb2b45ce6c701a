//! Whether kubelet would restart a replica only because the machine is busy.

#![allow(clippy::print_stdout, reason = "figures are for people")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use network_guard_runtime::health::Pace;

use crate::support::{Setup, TestServer};

/// The answer of the port of probes, as kubelet asks; none within that time.
fn probe(address: SocketAddr, path: &str, timeout: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// Keeps every worker of the runtime that it is called on in code that never gives it back, so no task makes a step.
struct Stuck(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Stuck {
    fn with(workers: usize) -> Self {
        let gate = Arc::new((Mutex::new((0, false)), Condvar::new()));
        for _ in 0..workers {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move {
                let (state, changed) = &*gate;
                let mut state = state.lock().unwrap();
                state.0 += 1;
                changed.notify_all();
                while !state.1 {
                    state = changed.wait(state).unwrap();
                }
            });
        }
        let (state, changed) = &*gate;
        // All workers are in there, and this thread waits as any thread does.
        let mut held = state.lock().unwrap();
        while held.0 < workers {
            held = changed.wait(held).unwrap();
        }
        drop(held);
        Self(gate)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().1 = true;
        changed.notify_all();
    }
}

fn is(status: &str, answer: Option<&str>) -> bool {
    answer.is_some_and(|answer| answer.starts_with(&format!("HTTP/1.1 {status}")))
}

/// Waits for an answer, on this thread alone.
#[track_caller]
fn wait_for(status: &str, address: SocketAddr, path: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = probe(address, path, LIMIT);
        if is(status, answer.as_deref()) {
            return answer.unwrap_or_default();
        }
        assert!(Instant::now() < deadline, "{path} is not {status}, but: {answer:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Probes are answered all the same, and nobody is restarted or called no more for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_while_no_task_makes_a_step() {
    // A moment takes longer where the machine is busy.
    let pace = Pace { stuck: 120, ..Pace::default() };
    let server = TestServer::with(Setup { pace, ..Setup::default() }).await;
    let address = server.addresses.health;
    let stuck = Stuck::with(2);
    let answers = ["/healthz", "/readyz"].map(|path| probe(address, path, LIMIT));
    drop(stuck);
    assert!(answers.iter().all(|answer| is("200", answer.as_deref())), "{answers:?}");
}

/// If it goes on, the replica is not called first, and restarted if that does not help; both are over with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_hangs_is_not_ready_and_restarted_later() {
    let pace = Pace { pause: Duration::from_millis(10), ..Pace::default() };
    let server = TestServer::with(Setup { pace, ..Setup::default() }).await;
    let address = server.addresses.health;
    let stuck = Stuck::with(2);
    let answer = wait_for("503", address, "/readyz");
    assert!(answer.contains("[-] runtime moves\n"), "{answer}");
    wait_for("500", address, "/healthz");
    drop(stuck);
    wait_for("200", address, "/healthz");
    wait_for("200", address, "/readyz");
}

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number behind a word of the liveness probe in a chart.
fn setting(chart: &str, word: &str) -> u64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("charts/{chart}/templates/deployment.yaml"));
    let text = fs::read_to_string(path).unwrap();
    let (_, probe) = text.split_once("livenessProbe:").unwrap();
    let (probe, _) = probe.split_once("readinessProbe:").unwrap();
    let (_, rest) = probe.split_once(&format!("{word}: ")).expect(word);
    rest.lines().next().unwrap().trim().parse().unwrap()
}

/// Kubelet restarts a container after so many probes in a row, each without an answer in its time. On one core that eight
/// others never leave, a server that is also asked all the time is far from that.
#[test]
fn a_busy_core_restarts_nobody() {
    let chart = "gardener-extension-network-guard";
    let [timeout, threshold] = ["timeoutSeconds", "failureThreshold"].map(|word| setting(chart, word));
    for other in ["timeoutSeconds", "failureThreshold", "periodSeconds"] {
        let garden = "gardener-extension-admission-network-guard/charts/runtime";
        assert_eq!(setting(chart, other), setting(garden, other), "{other}");
    }
    assert!(timeout * threshold >= 60, "what is no hang is over in a minute");
    // A runtime that hangs does not see that it is told to stop.
    for chart in [chart, "gardener-extension-admission-network-guard/charts/runtime"] {
        assert!(setting(chart, "terminationGracePeriodSeconds") <= 10, "{chart}");
    }

    // Any core that this process may use.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let core = allowed.split([',', '-']).next().unwrap();
    let on_core = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "taskset", "-c", core, program]).stdin(Stdio::null());
        command
    };
    let _spinners: Vec<Ends> = (0..8)
        .map(|_| Ends(on_core("sh").args(["-c", "while :; do :; done"]).stdout(Stdio::null()).spawn().unwrap()))
        .collect();
    let landscape = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/landscape");
    let arguments = ["serve", "all", "--bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0"];
    let mut server = on_core(env!("CARGO_BIN_EXE_network-guard"))
        .args(arguments)
        .args(["--metrics-bind-address=127.0.0.1:0", "--landscape"])
        .arg(landscape)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let _server = Ends(server);
    let address: SocketAddr = log
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
        .find_map(|line| {
            let address = line.pointer("/fields/health").or_else(|| line.get("health"))?;
            address.as_str()?.parse().ok()
        })
        .expect("it says where it listens");

    let (mut failures, mut longest) = (0, Duration::ZERO);
    for _ in 0..50 {
        let begun = Instant::now();
        let answer = probe(address, "/healthz", Duration::from_secs(timeout));
        longest = longest.max(begun.elapsed());
        let is_alive = answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"));
        failures = if is_alive { 0 } else { failures + 1 };
        assert!(failures < threshold, "kubelet would restart it");
    }
    println!("figure: 50 probes on one core with 8 spinners, the longest took {} ms", longest.as_millis());
}
