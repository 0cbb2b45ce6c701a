//! File systems that are full, or read-only: real ones, in a mount namespace. That needs root; without it the tests say that
//! they are skipped, which they are never in CI.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, REVIEW};
use crate::support::PATH;

/// Whether file systems can be mounted; where they cannot, it is reported.
fn can_mount() -> bool {
    let mount = ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"];
    if Command::new("unshare").args(mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "file systems cannot be mounted, and have to be in CI");
    // Not by a macro of printing, whose output the test runner hides by default.
    let _ = writeln!(std::io::stderr(), "\n#### SKIPPED: no right to mount full and read-only file systems ####\n");
    false
}

/// Where the log goes: a file system that is full, of which two files can be removed.
const LOG: &str = r#"
mount -t tmpfs -o size=256k log "$scene/log"
head -c 131072 /dev/zero > "$scene/log/second"
cat /dev/zero > "$scene/log/first" 2>&- || true
for folder in . "$folders" "$HOME" "$scene/log"; do
  if (echo x > "$folder/probe") 2>&-; then echo "$folder can be written"; exit 9; fi
done
exec "$@" >> "$scene/log/out" 2>&1
"#;

/// The folder of temporary folders, the home and the working folder are read-only.
const READ_ONLY: &str = r#"
set -e
scene=$1 folders=$(dirname "$1"); shift 2
export HOME="$scene/home"
for folder in "$PWD" "$folders"; do
  mount --bind "$folder" "$folder"
  mount -o remount,bind,ro "$folder"
done
cd "$PWD"
"#;

/// They are on a file system that is full; folders of this test stay where they are.
const FULL: &str = r#"
set -e
scene=$1 certificates=$2 folders=$(dirname "$1"); shift 2
export HOME="$folders/home"
mount -t tmpfs -o size=64k full "$scene/cover"
mkdir "$scene/cover/home" "$scene/cover/work"
for folder in "$scene" "$certificates"; do
  mkdir "$scene/cover/$(basename "$folder")"
  mount --bind "$folder" "$scene/cover/$(basename "$folder")"
done
cat /dev/zero > "$scene/cover/fill" 2>&- || true
mount --rbind "$scene/cover" "$folders"
cd "$folders/work"
"#;

/// Has a shell do this first, which gets the folder of this test and that of the certificates.
fn after(script: &str, scene: &Path, command: &mut Command) {
    let arguments: Vec<OsString> = command.get_args().map(ToOwned::to_owned).collect();
    let certificates = arguments.iter().position(|argument| argument == "--cert-dir").unwrap() + 1;
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", &format!("{script}{LOG}"), "sh"]).arg(scene).arg(&arguments[certificates]);
    shell.arg(command.get_program()).args(&arguments);
    shell.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::null());
    *command = shell;
}

/// The log as it is now, and how many lines it says were lost. What it has is whole lines, unless the file system was full in
/// the middle of one.
struct Read {
    lines: Vec<Value>,
    torn: usize,
    lost: f64,
}

impl Read {
    fn of(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        // The last line may be on its way.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let (lines, torn): (Vec<_>, Vec<_>) = whole.lines().map(serde_json::from_str).partition(Result::is_ok);
        let lines: Vec<Value> = lines.into_iter().flatten().collect();
        let said = lines.iter().filter(|line| line["message"] == "lines of this log were lost");
        let lost = said.map(|line| line["lines"].as_f64().unwrap()).sum();
        Self { lines, torn: torn.len(), lost }
    }

    /// The number of the review with this uid.
    fn at(&self, uid: &str) -> Option<usize> {
        let mut reviews = self.lines.iter().filter(|line| line["message"] == "reviewed");
        reviews.position(|line| line["uid"] == format!("{uid:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_needs_no_room() {
    if !can_mount() {
        return;
    }
    for (name, script) in [("read-only", READ_ONLY), ("full", FULL)] {
        let scene = tempfile::tempdir().unwrap();
        for folder in ["log", "home", "cover"] {
            fs::create_dir(scene.path().join(folder)).unwrap();
        }
        let mut server = Process::start(Stdio::null(), |command| after(script, scene.path(), command)).await;
        let root = PathBuf::from(format!("/proc/{}/root", server.child.id()));
        let file = |name: &str| root.join(scene.path().strip_prefix("/").unwrap()).join("log").join(name);
        let read = || Read::of(&file("out"));
        let lost = || server.metric("network_guard_log_lines_lost_total");
        let is_told = || (read().lost - lost()).abs() < f64::EPSILON;

        // Full from the start.
        server.calls(name, 300).await;
        server.until("lines are lost", || lost() >= 300.0).await;
        assert_eq!(read().lines.len(), 0, "{name}: there is no room");
        for path in ["/healthz", "/readyz"] {
            assert!(server.get(1, path).starts_with("HTTP/1.1 200"), "{name}: {path}");
        }

        // There is room, which the log fills by itself, in the middle of a line.
        fs::remove_file(file("first")).unwrap();
        server.calls(name, 10).await;
        server.until("it is said what was lost", is_told).await;
        let before = lost();
        while lost() <= before {
            server.calls(name, 50).await;
        }

        // There is room again. From then on nothing is lost.
        fs::remove_file(file("second")).unwrap();
        server.calls(name, 10).await;
        server.until("it is said what was lost again", is_told).await;
        let before = lost();
        for mark in ["mark-1", "mark-2"] {
            let call = REVIEW.replace("3f1e7c1c-0d6f-4d0c-9d3c-6a2f0a3f5b11", mark);
            assert_eq!(server.connect().await.post(PATH, &call).await.status, 200, "{name}");
            server.until(mark, || read().at(mark).is_some()).await;
            server.calls(name, 20).await;
        }
        let log = read();
        assert_eq!(log.at("mark-2"), log.at("mark-1").map(|first| first + 21), "{name}: each call has its line");
        println!("figure: full: {name}: {} lines, {} torn, {before} lost, no call", log.lines.len(), log.torn);
        assert!((lost() - before).abs() < f64::EPSILON && log.torn <= 2, "{name}: {} torn, {} lost", log.torn, lost());
        assert!(server.get(2, "/metrics").contains("\nnetwork_guard_panics_total 0\n"), "{name}");

        // The end needs no room either.
        let log = File::open(file("out")).unwrap();
        let is_filled = name == "full";
        if is_filled {
            let mut filling = File::create(file("third")).unwrap();
            while filling.write(&[0; 512]).is_ok() {}
        }
        assert_eq!(server.stop(), Some(0), "{name}");
        let text = std::io::read_to_string(log).unwrap();
        assert!(is_filled || text.contains("stopping: not accepting"), "{name}");
    }
}

/// Runs this in a folder of its own that is such a file system, as `$1`, with the program as `$2`. Gives exit code, standard
/// output and standard error. Whatever hangs in there is killed.
fn run(folder: &TempDir, script: &str) -> (Option<i32>, String, String) {
    let script = format!("set -e\nmount -t tmpfs -o size=64k,nr_inodes=100 none \"$1\"\n{script}");
    let output = Command::new("timeout")
        .args(["--signal=KILL", LIMIT, "unshare", "--mount", "sh", "-c", &script, "sh"])
        .arg(folder.path())
        .arg(env!("CARGO_BIN_EXE_network-guard"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_ne!(output.status.signal(), Some(9), "killed after {LIMIT} s: {script}\n{}", text(output.stderr));
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// In seconds: longer than anything here takes, however busy the machine is.
const LIMIT: &str = "90";

const FILL: &str = "cat /dev/zero > \"$1/fill\" 2>&- || true\n";

/// Certificates stay as they were, all of them, where there is no room for all: one of another CA would be of no use to the
/// others.
#[test]
fn files_that_cannot_be_written_stay() {
    if !can_mount() {
        return;
    }
    let room = |pages: usize| format!("{FILL}truncate -s -{} \"$1/fill\"\n", pages * 4096);
    let rows = [
        ("full", FILL.to_owned(), "ca.crt: No space left on device"),
        ("room for one", room(1), "tls.key: No space left on device"),
        ("room for two", room(2), "tls.crt: No space left on device"),
        ("read-only", "mount -o remount,ro \"$1\"\n".to_owned(), "ca.crt: Read-only file system"),
    ];
    for (name, spoil, error) in rows {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "\"$2\" certs generate --out \"$1/certs\" > /dev/null\n\
             {spoil}\
             cd \"$1/certs\"; ls -A; cat *\necho -- now\n\
             \"$2\" certs generate --out \"$1/certs\" || code=$?\n\
             ls -A; cat *\nexit $code"
        );
        let (code, printed, said) = run(&folder, &script);
        assert_eq!(code, Some(2), "{name}: {said}");
        let expected = format!("error: cannot write {}/certs/{error} (os error ", folder.path().display());
        assert!(said.starts_with(&expected), "{name}: {said}");
        let (before, now) = printed.split_once("-- now\n").unwrap();
        assert!(before.starts_with("ca.crt\ntls.crt\ntls.key\n-----BEGIN CERTIFICATE"), "{name}: {before}");
        assert!(before == now, "{name}: they are others now");
    }
}

/// A temporary certificate that cannot be made is an error that names the file, and leaves nothing behind.
#[test]
fn a_temporary_certificate_needs_room() {
    if !can_mount() {
        return;
    }
    let room = format!("{FILL}truncate -s -{} \"$1/fill\"\n", 3 * 4096);
    let rows = [
        ("full", FILL, "ca.crt: No space left on device"),
        ("room for the certificate", &room, "review.json: No space left on device"),
        ("read-only", ": > \"$1/fill\"; mount -o remount,ro \"$1\"\n", "Read-only file system"),
    ];
    for (name, spoil, error) in rows {
        let folder = tempfile::tempdir().unwrap();
        let landscape = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape");
        let script =
            format!("{spoil}TMPDIR=$1 \"$2\" serve all --landscape {landscape} || code=$?\nls -A \"$1\"\nexit $code");
        let (code, left, said) = run(&folder, &script);
        let place = format!("{}/network-guard-", folder.path().display());
        let last = said.lines().last().unwrap_or_default();
        assert_eq!((code, &*left), (Some(2), "fill\n"), "{name}: {said}");
        assert!(last.starts_with("error: cannot ") && last.contains(&place) && last.contains(error), "{name}: {said}");
    }
}
