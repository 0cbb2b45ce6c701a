//! What commands print where there is no room for it, and what nobody reads.

use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::pipes::{broken, full};

fn network_guard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_network-guard"));
    command.env_clear().current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stdin(Stdio::null());
    command
}

/// A result is whole, or the exit code says that it is not. Who needs no more of it may go.
#[test]
fn a_result_that_finds_no_room_is_a_failure() {
    let rows: [&[&str]; 7] = [
        &["--help"],
        &["--version"],
        &["rules"],
        &["webhooks", "seed"],
        &["check", "--landscape", "examples/landscape", "examples/landscape/garden/shop.yaml"],
        &["overlaps", "--landscape", "examples/landscape"],
        &["nat", "plan", "--cluster", "examples/landscape/grown.yaml"],
    ];
    for arguments in rows {
        let run = |stdout: Stdio| -> Output { network_guard(arguments).stdout(stdout).output().unwrap() };
        let usual = run(Stdio::piped()).status.code();
        assert!(matches!(usual, Some(0 | 1)), "{arguments:?}: {usual:?}");
        assert_eq!(run(broken()).status.code(), usual, "{arguments:?}");
        let no_room = run(File::options().write(true).open("/dev/full").unwrap().into());
        let said = String::from_utf8(no_room.stderr).unwrap();
        assert_eq!(no_room.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said, "error: cannot write to standard output: No space left on device (os error 28)\n");
    }
}

/// The end of a process does not wait for who does not read: kubelet starts a server again that has ended.
#[test]
fn an_error_that_nobody_reads_holds_up_no_end() {
    let rows: [&[&str]; 4] =
        [&["serve", "seed", "--kubeconfig", "/nowhere"], &["serve", "all"], &["check", "/nowhere"], &["nowhere"]];
    for arguments in rows {
        let (_reader, unread) = full();
        for (name, stderr) in [("gone", broken()), ("not read", unread)] {
            let child = network_guard(arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
            assert_eq!(ended(child), Some(2), "{arguments:?}: {name}");
        }
    }
}

/// Its exit code; none when it does not end, and is killed.
fn ended(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    child.wait().unwrap().code()
}
