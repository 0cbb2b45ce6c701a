//! Real servers for the tests.

mod api;
mod control_plane;
mod garden;
mod guard;
mod overlay;
mod process;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use api::{Api, Patch};
pub use control_plane::{ControlPlane, Kubectl, Output};
pub use garden::{Garden, bind, manifests};
pub use guard::Guard;
pub use overlay::{PREFIX, Service, Shoot, Switch};
pub use process::Process;
use serde_json::Value;

/// A program that `make tools` built or installed.
pub fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("NETWORK_GUARD_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path
}

/// A Deployment or Cluster as Gardener's own code wrote it.
pub fn fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// A loopback port that is free. It lies below those that the kernel gives to connections on their way out, one of which
/// would otherwise take it before the server does; and no two tests get the same.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Where other tests run at the same time, they most likely begin elsewhere.
    let start = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).expect("less than COUNT");
    (0..COUNT)
        .map(|_| FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of twelve thousand ports is free")
}

/// Repeats until something is there; fails with what was seen last.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => panic!("{what}: not in 90 s, last: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()).ok_or_else(|| "still not".to_owned()));
}
