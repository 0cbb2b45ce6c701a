use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;

use super::json::Lines;
use super::queue::{BATCH, MOST, Queue, REST};
use super::{Format, Level, Log, Targets};

/// Longer than anything takes, however busy the machine is.
const LONG: Duration = Duration::from_secs(90);

/// A reader of the log that takes one write after another, and only when it is told to.
struct Reader {
    written: Receiver<String>,
    /// Each lets one write pass.
    gate: Sender<io::Result<usize>>,
}

/// The other side.
struct Gated {
    written: Sender<String>,
    gate: Receiver<io::Result<usize>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Ok(passes) = self.gate.recv() else { return Ok(bytes.len()) };
        let passes = passes?.min(bytes.len());
        let _ = self.written.send(String::from_utf8(bytes[..passes].to_vec()).unwrap());
        Ok(passes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reader {
    /// A queue that writes to it.
    fn of_queue() -> (Self, Arc<Queue>) {
        Self::of_queue_with(REST)
    }

    /// The same where lines gather for so long.
    fn of_queue_with(rest: Duration) -> (Self, Arc<Queue>) {
        Self::of_queue_that(rest, |queue, lost| queue.push(format!("lost {lost}\n").as_bytes()))
    }

    /// The same where it is said like this how many were lost.
    fn of_queue_that(rest: Duration, says: impl Fn(&Queue, u64) + Send + 'static) -> (Self, Arc<Queue>) {
        let queue = Arc::new(Queue::new(rest));
        let ((written_to, written), (gate, passes)) = (channel(), channel());
        std::thread::spawn({
            let (queue, own) = (Arc::clone(&queue), Arc::clone(&queue));
            let to = Gated { written: written_to, gate: passes };
            move || queue.write(to, |lost| says(&own, lost))
        });
        (Self { written, gate }, queue)
    }

    /// What one write has, which may have so many bytes.
    fn read(&self, most: usize) -> String {
        self.gate.send(Ok(most)).unwrap();
        self.written.recv_timeout(LONG).expect("it is written in time")
    }

    fn fail(&self) {
        self.gate.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    }
}

/// Also a line that comes when others have just been written, and no other comes.
#[test]
fn each_line_is_written_without_a_further_one() {
    let (reader, queue) = Reader::of_queue();
    for number in 0..5 {
        let line = format!("{number}\n");
        queue.push(line.as_bytes());
        assert_eq!(reader.read(MOST), line);
    }
}

#[test]
fn lines_that_come_meanwhile_are_written_together() {
    let (reader, queue) = Reader::of_queue();
    queue.push(b"first\n");
    reader.read(1);
    let many: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    many.split_inclusive('\n').for_each(|line| queue.push(line.as_bytes()));
    assert_eq!(reader.read(MOST), "irst\n");
    assert_eq!(reader.read(MOST), many);
}

/// Nobody wakes the thread for each of them; a flush and a large number of lines end its rest.
#[test]
fn lines_gather_until_a_flush_or_until_they_are_many() {
    let (reader, queue) = Reader::of_queue_with(10 * LONG);
    queue.push(b"first\n");
    assert_eq!(reader.read(MOST), "first\n");
    let few: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    few.split_inclusive('\n').for_each(|line| queue.push(line.as_bytes()));
    std::thread::scope(|scope| {
        scope.spawn(|| queue.flush(LONG));
        assert_eq!(reader.read(MOST), few);
    });
    let line = format!("{}\n", "x".repeat(BATCH / 2));
    (0..2).for_each(|_| queue.push(line.as_bytes()));
    assert_eq!(reader.read(MOST), line.repeat(2));
}

#[test]
fn a_flush_ends_when_all_lines_before_it_are_written() {
    let (reader, queue) = Reader::of_queue();
    for round in 0..20 {
        // The first of them is written at once, and others would gather.
        (0..10).for_each(|number| queue.push(format!("{round} {number}\n").as_bytes()));
        (0..40).for_each(|_| reader.gate.send(Ok(MOST)).unwrap());
        queue.flush(LONG);
        let written: String = reader.written.try_iter().collect();
        assert!(written.ends_with(&format!("{round} 9\n")), "{written}");
    }
    assert!(!queue.is_stuck());
}

#[test]
fn a_flush_does_not_wait_for_ever() {
    let (reader, queue) = Reader::of_queue();
    queue.push(b"line\n");
    queue.flush(Duration::from_millis(1));
    assert!(queue.is_stuck());
    assert_eq!(reader.read(MOST), "line\n");
    queue.push(b"line\n");
    assert_eq!(reader.read(MOST), "line\n");
    assert!(!queue.is_stuck());
}

#[test]
fn what_waits_is_bounded_and_what_is_lost_is_said() {
    let (reader, queue) = Reader::of_queue();
    let line = format!("{}\n", "x".repeat(1_000));
    // Nobody reads, and a push waits for nobody.
    let (came, fits) = (MOST / line.len() + 100, MOST / line.len());
    (0..came).for_each(|_| queue.push(line.as_bytes()));
    queue.push(&vec![b'x'; MOST + 1]);
    assert_eq!(queue.lost().get(), 101);

    let mut written = String::new();
    while !written.contains("lost") {
        written += &reader.read(MOST);
    }
    assert_eq!(written, format!("{}lost 101\n", line.repeat(fits)));
    // There is room again.
    queue.push(b"line\n");
    assert_eq!(reader.read(MOST), "line\n");
}

#[test]
fn a_line_that_cannot_be_written_whole_is_lost_and_ended_and_no_other() {
    let (reader, queue) = Reader::of_queue();
    queue.push(b"first\n");
    assert_eq!(reader.read(3), "fir");
    for line in ["second\n", "third\n", "fourth\n"] {
        queue.push(line.as_bytes());
    }
    reader.fail();
    assert_eq!(reader.read(MOST), "\n");
    assert_eq!(reader.read(4), "seco");
    reader.fail();
    reader.fail();
    assert_eq!(reader.read(MOST), "\n");
    assert_eq!(reader.read(MOST), "fourth\n");
    assert_eq!(reader.read(MOST), "lost 3\n");
    assert_eq!(queue.lost().get(), 3);
}

/// The line that says what was lost may be lost, too: then it is said once more, with that line. Other lines that come at the
/// same time and are lost change nothing of that.
#[test]
fn what_is_lost_is_said_until_that_is_written() {
    for (fails, then) in [("before\n", "lost 1\n"), ("lost 1\n", "lost 2\n"), ("after\n", "lost 1\n")] {
        let (reader, queue) = Reader::of_queue_that(REST, |queue, lost| {
            let others = |line: &[u8]| std::thread::scope(|scope| scope.spawn(|| queue.push(line)).join().unwrap());
            others(b"before\n");
            queue.push(format!("lost {lost}\n").as_bytes());
            others(b"after\n");
        });
        let lose = |sum: u64| {
            reader.fail();
            while queue.lost().get() < sum {
                std::thread::yield_now();
            }
        };
        queue.push(b"first\n");
        lose(1);
        queue.push(b"second\n");
        assert_eq!(reader.read(MOST), "second\n", "{fails}");
        for line in ["before\n", "lost 1\n", "after\n"] {
            if line == fails {
                lose(2);
            } else {
                assert_eq!(reader.read(line.len()), line, "{fails}");
            }
        }
        if fails == "after\n" {
            // There is no sign of room yet.
            queue.push(b"third\n");
            assert_eq!(reader.read(MOST), "third\n");
        }
        assert_eq!(reader.read("before\n".len()), "before\n", "{fails}");
        assert_eq!(reader.read(then.len()), then, "{fails}");
    }
}

/// A place for lines.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Time = fn(&mut Writer<'_>) -> fmt::Result;

const TIME: Time = |writer| writer.write_str("2026-01-02T03:04:05.000006Z");

/// Everything that an event can have.
fn say_it_all() {
    let texts = ["", "plain", "\"quoted\" \\ / \n\r\t\u{8}\u{c}\u{0}\u{1b}\u{7f}", "ä 🔥 \u{2028}\u{200b}"];
    tracing::info!("a message");
    tracing::warn!(target: "another::target", "{} and {:?}", texts[2], texts[3]);
    for text in texts {
        tracing::error!(text, shown = %text, quoted = ?text, some = Some(text), none = None::<&str>, "{text}");
    }
    tracing::debug!(yes = true, no = false, small = i64::MIN, big = u64::MAX, huge = u128::MAX, byte = 7_u8);
    tracing::trace!(one = 1.0, part = -0.25, nan = f64::NAN, endless = f64::INFINITY);
    let error: &(dyn std::error::Error + 'static) = &io::Error::other("a \"bad\"\nthing");
    tracing::info!(error, list = ?[1, 2], odd.name = 1, r#type = "x");
    tracing::info!(target: "log", "as a record of the crate log");
    let span = tracing::info_span!("outer", depth = 1);
    tracing::info!(parent: &span, "in a span that is not entered");
    let _entered = span.entered();
    tracing::info!("in a span");
    tracing::info_span!("inner").in_scope(|| tracing::info!(parent: None, x = 1, "of no span, and in two"));
}

/// Programs read these lines.
#[test]
fn json_is_what_the_formatter_of_the_library_writes() {
    let said = |ours: bool| {
        let kept = Kept::default();
        let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(kept.clone());
        let builder = builder.with_timer(TIME).json().flatten_event(true).with_current_span(false);
        if ours {
            let builder = builder.map_event_format(|others| Lines { others, time: TIME });
            tracing::subscriber::with_default(builder.finish(), say_it_all);
        } else {
            tracing::subscriber::with_default(builder.finish(), say_it_all);
        }
        let kept = kept.0.lock().unwrap();
        String::from_utf8(kept.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (ours, theirs) = (said(true), said(false));
    assert!(ours.len() > 10);
    assert_eq!(ours, theirs);
}

/// How a process of the next test ends.
const ENDS: &str = "NETWORK_GUARD_TEST_LOG_ENDS";

/// A process that logs and then ends: no line before that is lost.
#[test]
fn the_end_of_a_process_loses_no_line() {
    if let Ok(end) = std::env::var(ENDS) {
        return log_and_end(&end);
    }
    let name = "log::tests::the_end_of_a_process_loses_no_line";
    for (end, code, last) in [("drop", Some(7), "line 99"), ("panic", None, "panicked")] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(ENDS, end).stdout(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), code, "{end}: {output:?}");
        assert_eq!(output.status.signal().is_some(), code.is_none(), "{end}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
        assert!(lines.len() > 99, "{end}: {said}");
        for (number, line) in lines[..100].iter().enumerate() {
            assert!(line.contains(&format!("\"line {number}\"")), "{end}: {said}");
        }
        assert!(lines.iter().any(|line| line.contains(last)), "{end}: {said}");
    }
}

fn log_and_end(end: &str) {
    const TARGETS: Targets = Targets { program: "network_guard_runtime", parts: &[], libraries: &[] };
    let log = Log::start(&Level::parse("info", &TARGETS).unwrap(), Format::Json).unwrap();
    (0..100).for_each(|number| tracing::info!("line {number}"));
    if end == "drop" {
        drop(log);
        std::process::exit(7);
    }
    assert!(std::panic::catch_unwind(|| assert!(end.is_empty(), "a planted bug")).is_err());
    // So ends a process in which a destructor panics during another panic.
    std::process::abort();
}
