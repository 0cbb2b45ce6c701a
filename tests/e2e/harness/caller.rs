//! Somebody who never stops calling: `webhook-caller`, which has the code of the API server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::{tool, until};

/// A running `webhook-caller`.
pub struct Caller {
    child: Child,
    input: Option<ChildStdin>,
    lines: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    taken: String,
    reports: Vec<CallerReport>,
    has_ended: bool,
}

/// What it says of its calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerReport {
    /// All that were answered or failed.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// How the first ones did.
    pub failures: Option<Vec<String>>,
    /// How many connections were made.
    pub dialled: u64,
    /// How long half of the calls took at most.
    pub p50_milliseconds: f64,
    /// How long all but one of a hundred took at most.
    pub p99_milliseconds: f64,
    /// How long the slowest one took.
    pub max_milliseconds: f64,
}

impl Caller {
    /// Starts it.
    pub fn start(mode: &str, arguments: &[(&str, &str)]) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(tool("webhook-caller"))
            .arg(mode)
            .args(arguments.iter().map(|(flag, value)| format!("-{flag}={value}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Arc<(Mutex<Lines>, Condvar)> = Arc::default();
        let (output, written) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut lines = written.0.lock().unwrap();
                match line.strip_prefix("taken ") {
                    Some(version) => version.clone_into(&mut lines.taken),
                    None => lines.reports.push(serde_json::from_str(&line).expect(&line)),
                }
                written.1.notify_all();
            }
            written.0.lock().unwrap().has_ended = true;
            written.1.notify_all();
        });
        Self { input: child.stdin.take(), child, lines }
    }

    /// Waits until it calls by this version of the configuration.
    pub fn wait_until_taken(&self, resource_version: &str) {
        until("the caller has the configuration", || self.lines.0.lock().unwrap().taken == resource_version);
    }

    /// What happened so far.
    pub fn report(&mut self) -> CallerReport {
        let before = self.lines.0.lock().unwrap().reports.len();
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
        self.next(before)
    }

    /// Ends it, all of its calls included, and gives what happened.
    pub fn finish(mut self) -> CallerReport {
        let before = self.lines.0.lock().unwrap().reports.len();
        drop(self.input.take());
        self.next(before)
    }

    fn next(&self, before: usize) -> CallerReport {
        let (lines, news) = &*self.lines;
        let waiting = |lines: &mut Lines| lines.reports.len() == before && !lines.has_ended;
        let (lines, _) = news.wait_timeout_while(lines.lock().unwrap(), Duration::from_secs(180), waiting).unwrap();
        lines.reports.get(before).expect("it says what happened").clone()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
