//! Network namespaces.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Process;

/// What all names of these tests begin with; the process id follows.
const PREFIX: &str = "network-guard-";

/// A network namespace. It goes with the value.
pub struct Space {
    name: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Output {
    pub ok: bool,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Space {
    /// A namespace of a name that no other test has, with loopback up.
    pub fn new(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let space = Self { name: format!("{PREFIX}{}-{number}-{role}", std::process::id()) };
        must(Command::new("ip").args(["netns", "add", &space.name]), "");
        space.run("ip link set lo up");
        space
    }

    /// A command in this namespace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command line, words separated by spaces, which has to succeed. Gives what it printed.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        self.feed(line, "")
    }

    /// The same with this on its standard input.
    #[track_caller]
    pub fn feed(&self, line: &str, input: &str) -> String {
        let mut words = line.split_whitespace();
        must(self.command(words.next().unwrap()).args(words), input)
    }

    /// Starts a program that goes on.
    pub fn start(&self, folder: &Path, name: &str, program: &Path, arguments: &[String]) -> Process {
        let words = ["netns", "exec", &self.name].map(str::to_owned).into_iter();
        let words = words.chain([program.display().to_string()]).chain(arguments.iter().cloned());
        Process::start(folder, name, Path::new("ip"), &words.collect::<Vec<_>>())
    }

    /// Whether no process is in it.
    pub fn is_empty(&self) -> bool {
        let pids = must(Command::new("ip").args(["netns", "pids", &self.name]), "");
        pids.trim().is_empty()
    }

    /// Has these addresses from now on.
    pub fn place(&self, addresses: &[&str]) {
        for address in addresses {
            self.run(&format!("ip address add {address} dev lo"));
        }
    }

    /// Has this address no more.
    pub fn displace(&self, address: &str) {
        self.run(&format!("ip address del {address} dev lo"));
    }

    /// Joins two namespaces by a wire with these ends.
    pub fn join(&self, end: &str, peer: &Self, peer_end: &str) {
        let line = format!("ip link add {end} type veth peer name {peer_end} netns {}", peer.name);
        self.run(&line);
        for (space, end) in [(self, end), (peer, peer_end)] {
            // Neither duplicate address detection nor link-local addresses: they are of no use here, and take seconds.
            space.run(&format!("ip link set {end} addrgenmode none"));
            space.run(&format!("ip link set {end} up"));
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes what test processes left behind that were killed.
pub fn remove_leftovers() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().display().to_string();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    let ip = |command: &str| run(Command::new("ip").args(["netns", command, name]), "");
    for id in ip("pids").stdout.split_whitespace() {
        run(Command::new("kill").args(["-KILL", id]), "");
    }
    ip("delete");
}

/// Runs a command with this on its standard input.
pub fn run(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A child that ends early is reported by its output, not by a broken pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Output {
        ok: output.status.success(),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same for a command that has to succeed; gives its standard output.
#[track_caller]
pub fn must(command: &mut Command, input: &str) -> String {
    let output = run(command, input);
    assert!(output.ok, "{command:?}: {}{}\n{input}", output.stdout, output.stderr);
    output.stdout
}
