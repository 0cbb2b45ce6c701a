//! Nobody reads what the server logs, its disk is full, or it may write nowhere: calls are answered all the same.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::process::Process;
use crate::support::{DAY, write_pair};

/// More lines than a pipe and the queue hold.
const CALLS: usize = 6_000;

/// What becomes of lines that cannot be written, or that nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_log_calls_are_answered() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let broken = || Stdio::from(std::io::pipe().unwrap().1);
    let (reader, unread) = std::io::pipe().unwrap();
    for (name, stderr, calls) in
        [("a full disk", full(), 200), ("nobody is there", broken(), 200), ("nobody reads", Stdio::from(unread), CALLS)]
    {
        let mut server = Process::start(stderr, |_| ()).await;
        let longest = server.calls(name, calls).await;
        let lost = server.metric("network_guard_log_lines_lost_total");
        println!("figure: log: {name}: {calls} calls answered, the longest took {longest:?}, {lost} lines lost");
        // Each call is a line, and there are some more when it starts.
        assert!(lost > 0.0 && lost < 2_000.0, "{name}: {lost}");
        assert!(server.get(2, "/metrics").contains("\nnetwork_guard_panics_total 0\n"), "{name}");
        assert_eq!(server.stop(), Some(0), "{name}");
    }
    drop(reader);

    // Closed altogether.
    let mut server = Process::start(Stdio::null(), |command| {
        let (program, arguments) = (command.get_program().to_owned(), command.get_args().map(ToOwned::to_owned));
        let arguments: Vec<_> = arguments.collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" 2>&-", "sh"]).arg(program).args(arguments);
        *command = shell;
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::null());
        command.process_group(0);
    })
    .await;
    server.calls("closed", 200).await;
    assert_eq!(server.stop(), Some(0), "closed");
}

/// Each call has its line, also the last ones before a stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_no_line() {
    const FEW: usize = 300;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut server = Process::start(File::create(log.path()).unwrap().into(), |_| ()).await;
    server.calls("a file", FEW).await;
    assert_eq!(server.stop(), Some(0));
    let text = fs::read_to_string(log.path()).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains(r#""message":"reviewed""#)).count(), FEW);
    assert!(text.contains("stopping: not accepting") && text.ends_with("}\n"), "{text}");
}

/// Somebody reads again after a while: what was lost is said in the log itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_says_what_it_lost() {
    let (reader, unread) = std::io::pipe().unwrap();
    let mut server = Process::start(Stdio::from(unread), |_| ()).await;
    server.calls("nobody reads", CALLS).await;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let reading = std::thread::spawn({
        let lines = Arc::clone(&lines);
        move || BufReader::new(reader).lines().for_each(|line| lines.lock().unwrap().push(line.unwrap()))
    });
    let said = || -> f64 {
        let lines = lines.lock().unwrap();
        let lines = lines.iter().map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let said = lines.filter(|line| line["message"] == "lines of this log were lost");
        said.map(|line| line["lines"].as_f64().unwrap()).sum()
    };
    let lost = || server.metric("network_guard_log_lines_lost_total");
    assert!(lost() > 0.0);
    server.until("it is said", || (said() - lost()).abs() < f64::EPSILON).await;
    server.calls("somebody reads", 10).await;
    server.until("it is said again, if need be", || (said() - lost()).abs() < f64::EPSILON).await;
    assert_eq!(server.stop(), Some(0));
    reading.join().unwrap();
    assert!(lines.lock().unwrap().iter().any(|line| line.contains("stopping")), "the last lines are there");
}

/// Nothing on the disk can be written, and the volume of the certificate is full in the middle of a rotation: the new
/// certificate arrives empty, then cut off, then whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_stops_nothing() {
    let nowhere = Path::new("/proc/self/nowhere");
    let mut server = Process::start(Stdio::null(), |command| _ = command.env("TMPDIR", nowhere)).await;
    let good = fs::read(server.folder.path().join("tls.crt")).unwrap();
    for (name, content) in [("empty", &b""[..]), ("cut off", &good[..good.len() / 2])] {
        let refused = server.metric("network_guard_certificate_reloads_total{reason=\"refused\"}");
        fs::write(server.folder.path().join("tls.crt"), content).unwrap();
        server
            .until(name, || server.metric("network_guard_certificate_reloads_total{reason=\"refused\"}") > refused)
            .await;
        server.calls(name, 20).await;
        assert!(server.get(1, "/readyz").starts_with("HTTP/1.1 200"), "{name}");
    }
    write_pair(&server.folder, &server.ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap());
    server.until("whole", || server.metric("network_guard_certificate_reloads_total{reason=\"replaced\"}") > 0.0).await;
    server.calls("whole", 20).await;
    assert_eq!(server.stop(), Some(0));
}
