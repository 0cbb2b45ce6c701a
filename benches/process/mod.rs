//! A server of its own, to see what it needs.

#![allow(dead_code, reason = "each benchmark uses its part")]
#![allow(unreachable_pub, reason = "a benchmark has no outside")]

pub mod stub;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `network-guard serve` with these arguments until it is ready, and shortly after: its resident memory in KiB, now
/// and at its peak, and the time until it was ready.
pub fn served(arguments: &[String]) -> (u64, u64, Duration) {
    // The allocator gives back what the first read needed.
    served_for(arguments, Duration::from_secs(3))
}

/// The same, and how long it goes on before its memory is read.
pub fn served_for(arguments: &[String], settle: Duration) -> (u64, u64, Duration) {
    let health = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_network-guard"))
        .arg("serve")
        .args(arguments)
        .args(["--bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"])
        .arg(format!("--health-bind-address=127.0.0.1:{health}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let guard = Guard(child);
    while !ready(health) {
        assert!(started.elapsed() < Duration::from_secs(300), "not ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed();
    std::thread::sleep(settle);
    let status = fs::read_to_string(format!("/proc/{}/status", guard.0.id())).unwrap();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"), took)
}

fn ready(port: u16) -> bool {
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
