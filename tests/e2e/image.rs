//! The image: what it holds, and that this is all it takes. `make image-root` makes it.

mod contents;
mod dockerfile;
mod names;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use serde_json::Value;
use tempfile::TempDir;

use self::names::NameServer;
use crate::harness::{ControlPlane, Process, fixture, free_port, http_get, run, until};

const PROGRAM: &str = "/usr/bin/network-guard";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder that the image holds: the one that `make image-root` makes, or another one of `image/root.sh`.
fn image() -> PathBuf {
    let path = std::env::var_os("NETWORK_GUARD_IMAGE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/image-root"), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make image-root`", path.display());
    path
}

/// Whether a root of its own can be given to a process; nothing where not, which is reported.
fn enter() -> Option<()> {
    let line = "test $(id -u) = 0 && unshare --mount true";
    let why = run(Command::new("sh").args(["-c", line]), None);
    if why.ok {
        return Some(());
    }
    let required = ["CI", "NETWORK_GUARD_REQUIRE_DATAPATH"].map(|name| std::env::var_os(name).is_some());
    assert!(!required.contains(&true), "the image has to be run, which takes root: {why:?}");
    // Not by a macro of printing, whose output the test runner hides by default.
    let said = writeln!(std::io::stderr(), "\n#### SKIPPED: the image cannot be run here, which takes root ####\n");
    said.unwrap();
    None
}

/// A copy of what the image holds, with what a Pod would mount into it.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("image-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let copy = run(Command::new("cp").args(["-r", "-T"]).arg(image()).arg(folder.path()), None);
        assert!(copy.ok, "{copy:?}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// Mounts a file, for everybody to read.
    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path.trim_start_matches('/'))).unwrap();
    }

    /// The certificate of a server on this machine; gives the file of its CA.
    fn put_certificate(&self) -> PathBuf {
        let ca = Authority::new("image CA", Timestamp::now(), DAY).unwrap();
        let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), DAY).unwrap();
        self.put("/etc/network-guard/tls/tls.crt", leaf.certificate);
        self.put("/etc/network-guard/tls/tls.key", leaf.key);
        self.put("/etc/network-guard/tls/ca.crt", ca.certificate());
        self.0.path().join("etc/network-guard/tls/ca.crt")
    }

    /// A command that runs the program as the chart has it run: that user, nothing to write on, no other file.
    fn command(&self, arguments: &[&str]) -> Vec<String> {
        let line = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" \
            && exec env -i \"$(command -v chroot)\" --userspec=65532:65532 --groups= \"$0\" \"$@\"";
        let root = self.0.path().display().to_string();
        let words = ["--mount", "sh", "-c", line, &root, PROGRAM];
        words.iter().chain(arguments).map(|&word| word.to_owned()).collect()
    }

    fn output(&self, arguments: &[&str]) -> crate::harness::Output {
        run(Command::new("unshare").args(self.command(arguments)), None)
    }

    /// Serves, and gives the process with the ports of its webhooks and of its health.
    fn serve(&self, what: &[&str]) -> (Process, u16, u16) {
        let ports = [free_port(), free_port(), free_port(), free_port()];
        let [webhooks, health, metrics, shoots] = ports.map(|port| format!("127.0.0.1:{port}"));
        let mut arguments = vec!["serve"];
        arguments.extend(what);
        arguments.extend(["--bind-address", &webhooks, "--health-bind-address", &health]);
        arguments.extend(["--metrics-bind-address", &metrics, "--cert-dir", "/etc/network-guard/tls"]);
        if what[0] == "seed" {
            arguments.extend(["--shoots-bind-address", &shoots]);
        }
        let folder = self.0.path().parent().unwrap();
        let name = self.0.path().file_name().unwrap().to_str().unwrap();
        let process = Process::start(folder, name, Path::new("unshare"), &self.command(&arguments));
        (process, ports[0], ports[1])
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.path().with_extension("log"));
    }
}

fn is_ready(health: u16) -> bool {
    http_get(health, "/readyz").starts_with("HTTP/1.1 200")
}

#[test]
fn serves_a_landscape_without_another_file() {
    let Some(()) = enter() else { return };
    let root = Root::new();
    let version = root.output(&["--version"]);
    assert_eq!(version.stdout, concat!("network-guard ", env!("CARGO_PKG_VERSION"), "\n"), "{version:?}");
    let whoever = root.output(&["serve", "all", "--landscape", "/nowhere"]);
    assert!(!whoever.ok && whoever.stderr.contains("the landscape cannot be read"), "{whoever:?}");

    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = run(Command::new("cp").arg("-r").arg(sources.join("examples/landscape")).arg(root.0.path()), None);
    assert!(copy.ok, "{copy:?}");
    let ca = root.put_certificate();
    let (mut process, port, health) = root.serve(&["all", "--landscape", "/landscape"]);
    until("it is ready", || is_ready(health) || !process.is_running());

    // It is that user, and nothing else came along.
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    assert_eq!(
        (of("Uid:").as_str(), of("Gid:").as_str()),
        ("65532\t65532\t65532\t65532", "65532\t65532\t65532\t65532")
    );
    assert_eq!(of("CapEff:"), "0000000000000000");
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.id())).unwrap();
    let files: Vec<&str> = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    assert!(files.iter().all(|file| file.starts_with('[') || file.ends_with(PROGRAM)), "{files:?}");

    let review = sources.join("examples/admission-review.json");
    let answer = run(
        Command::new("curl")
            .args(["-sS", "-H", "Content-Type: application/json", "--cacert"])
            .arg(&ca)
            .arg("--data-binary")
            .arg(format!("@{}", review.display()))
            .arg(format!("https://127.0.0.1:{port}/webhooks/mutate/kube-apiserver")),
        None,
    );
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"));
    assert_eq!(answer["response"]["allowed"], true);
    assert!(answer["response"]["patch"].as_str().unwrap().len() > 1_000);
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

/// How it finds its API server: by address with nothing else there, and by name with what kubelet mounts into every Pod.
#[test]
fn finds_its_api_server() {
    let Some(()) = enter() else { return };
    let control_plane = ControlPlane::start();
    control_plane.apply_cluster(&fixture("ha", "cluster"));
    let root = Root::new();
    root.put_certificate();
    let kubeconfig = fs::read_to_string(control_plane.kubeconfig("network-guard", "webhooks")).unwrap();
    let by_name = kubeconfig.replace("https://127.0.0.1:", "https://localhost:");
    assert_ne!(by_name, kubeconfig);
    let server = NameServer::start();

    for (how, kubeconfig, file, content) in [
        ("by its address", &kubeconfig, None, String::new()),
        ("by its name in the file", &by_name, Some("/etc/hosts"), "127.0.0.1 localhost\n".to_owned()),
        ("by its name in DNS", &by_name, Some("/etc/resolv.conf"), format!("nameserver {}\n", server.address())),
    ] {
        root.put("/etc/network-guard/kubeconfig", kubeconfig);
        if let Some(file) = file {
            root.put(file, content);
        }
        let (mut process, _, health) = root.serve(&["seed", "--kubeconfig", "/etc/network-guard/kubeconfig"]);
        until(&format!("ready, {how}"), || is_ready(health) || !process.is_running());
        assert!(is_ready(health), "{how}: {}", process.last_words());
        process.kill();
        if let Some(file) = file {
            root.remove(file);
        }
        assert_eq!(server.was_asked(), how == "by its name in DNS", "{how}");
    }
}
