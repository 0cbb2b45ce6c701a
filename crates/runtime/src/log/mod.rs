//! The log: to standard error, by a thread of its own.
//!
//! The reader of standard error may be slow, stuck, gone, or out of space. A call that waited for it would fail for no
//! reason of its own. So lines wait in a queue of bounded length; lines that find no place in it, or cannot be written,
//! are lost and counted.

mod level;

use std::io::{self, IsTerminal as _, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

pub use self::level::{Level, Targets};
use super::metrics::Collector;

/// How lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON object a line
    Json,
    /// Lines for people
    Text,
}

/// The length of the queue: some seconds of a busy server, some megabytes.
const QUEUE: usize = 4_096;

/// How long the end of the process waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Everything before this has been written.
    Flush(SyncSender<()>),
}

/// The log, while the server runs. When it is dropped, it waits for its last lines, though not for ever.
pub struct Log {
    queue: SyncSender<Message>,
    lost: Counter,
}

impl Log {
    /// Starts the log of this process, and logs the places of panics from now on.
    pub fn start(level: &Level, format: Format) -> io::Result<Self> {
        let filter = level.filter();
        let (queue, lines) = sync_channel(QUEUE);
        let lost = Counter::default();
        std::thread::Builder::new().name("log".to_owned()).spawn({
            let lost = lost.clone();
            move || write(&lines, &lost)
        })?;
        let writer = Queue { queue: queue.clone(), lost: lost.clone() };
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone());
        match format {
            Format::Json => builder.json().flatten_event(true).with_current_span(false).init(),
            Format::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        }
        panic::set_hook(Box::new(panicked));
        Ok(Self { queue, lost })
    }

    /// Counts the lines that were lost.
    pub fn metrics(&self) -> Arc<dyn Collector> {
        Arc::new(LostLines(self.lost.clone()))
    }
}

struct LostLines(Counter);

impl Collector for LostLines {
    fn register(&self, registry: &mut Registry) {
        registry.register("log_lines_lost", "Lines of the log that could not be written", self.0.clone());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_LINES;
        let (done, is_done) = sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() > deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = is_done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// The writing end of the queue; each line is written whole.
#[derive(Clone)]
struct Queue {
    queue: SyncSender<Message>,
    lost: Counter,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_owned())).is_err() {
            self.lost.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes line by line, for ever.
fn write(lines: &Receiver<Message>, lost: &Counter) {
    let (mut said, mut is_written) = (0, false);
    loop {
        let message = lines.try_recv().or_else(|_| {
            // Everything is written, so there is a place for one more line, which waits in the queue like any other.
            let count = lost.get();
            if is_written && count > said {
                tracing::warn!(lines = count - said, "lines of this log were lost");
                said = count;
            }
            lines.recv()
        });
        match message {
            Ok(Message::Line(line)) => {
                is_written = io::stderr().write_all(&line).is_ok();
                if !is_written {
                    lost.inc();
                }
            }
            Ok(Message::Flush(done)) => drop(done.try_send(())),
            Err(_) => return,
        }
    }
}

/// The place of a panic, without its text: that may be a part of an object.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, thread = std::thread::current().name(), "panicked");
}
