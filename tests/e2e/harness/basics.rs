//! What every test on real servers needs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Prints a line that is shown though the test passes: a figure, or what was skipped. What macros of printing print is shown with a
/// failure only, so that it is not lost between lines of others.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let line = format!($($line)*);
        let _ = writeln!(std::io::stderr(), "{line}");
    }};
}

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

/// Repeats until something is there; fails with what was seen last.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let start = Instant::now();
        match attempt() {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => panic!("{what}: not in 90 s, last: {last}"),
            // What takes long to find out is asked for less often: the servers need the cores, too.
            Err(_) => std::thread::sleep(start.elapsed().max(Duration::from_millis(50))),
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()).ok_or_else(|| "still not".to_owned()));
}
