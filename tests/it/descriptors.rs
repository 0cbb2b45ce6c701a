//! The limit of open files: it is raised as far as it goes, and who runs the server hears where that is too little.

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::Process;

/// What all connections of the ports may need by default (`runtime::https::descriptors`).
const NEEDED: u64 = 2_560;

/// The server with a soft and a hard limit, and the file that its log goes to.
async fn limited(soft: u64, hard: u64) -> (Process, tempfile::NamedTempFile) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let stderr = File::create(log.path()).unwrap();
    let change = |command: &mut Command| {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={soft}:{hard}")).arg(command.get_program()).args(command.get_args());
        limited.current_dir(env!("CARGO_MANIFEST_DIR"));
        limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        *command = limited;
    };
    (Process::start(Stdio::null(), change).await, log)
}

/// The limits that the process has now.
fn limits(server: &Process) -> [u64; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = line.split_whitespace().map(|word| word.parse().unwrap());
    [words.next().unwrap(), words.next().unwrap()]
}

/// What its log says about the limit, when it has ended and so said everything.
fn said(server: &mut Process, log: &tempfile::NamedTempFile) -> Vec<Value> {
    assert_eq!(server.stop(), Some(0));
    let text = std::fs::read_to_string(log.path()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.filter(|line: &Value| line.to_string().contains("open files")).collect()
}

/// A soft limit is low for reasons that are none here. One that cannot be raised far enough is told of once, with what there
/// is and what is needed, and the server runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_or_told_of() {
    for (soft, hard, is_told) in
        [(256, NEEDED, false), (NEEDED, NEEDED, false), (256, NEEDED - 1, true), (512, 512, true)]
    {
        let (mut server, log) = limited(soft, hard).await;
        assert_eq!(limits(&server), [hard, hard], "{soft} {hard}");
        let said = said(&mut server, &log);
        assert_eq!(said.len(), usize::from(is_told), "{soft} {hard}: {said:?}");
        for line in said {
            let text = line.to_string();
            assert_eq!(
                (&line["level"], &line["has"], &line["needed"]),
                (&"WARN".into(), &hard.into(), &NEEDED.into()),
                "{text}"
            );
            for word in ["idle ones are closed", "raise it", "server.maxConnections", "server.maxHandshakes"] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
    }
}
