//! The log: to standard error, by a thread of its own.
//!
//! The reader of standard error may be slow, stuck, gone, or out of space. A call that waited for it would fail for no
//! reason of its own. So lines wait in a queue of bounded size; lines that find no place in it, or cannot be written, are
//! lost and counted. A line is written at once, or, when there are many, within 50 ms; the end of the process and a panic
//! wait for all lines before them, though not for ever.

mod json;
mod level;
mod queue;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing_subscriber::fmt::time::SystemTime;

use self::json::Lines;
pub use self::level::{Level, Targets};
use self::queue::Queue;
use super::metrics::Collector;

/// How lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON object a line
    Json,
    /// Lines for people
    Text,
}

/// How long the end of the process waits for its last lines, and a panic, after which it may end, for its own.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log, while the server runs. When it is dropped, it waits for its last lines, though not for ever.
pub struct Log(Arc<Queue>);

impl Log {
    /// Starts the log of this process, and logs the places of panics from now on.
    pub fn start(level: &Level, format: Format) -> io::Result<Self> {
        let filter = level.filter();
        let queue = Arc::new(Queue::new(queue::REST));
        std::thread::Builder::new().name("log".to_owned()).spawn({
            let queue = Arc::clone(&queue);
            move || queue.write(io::stderr(), |lines| tracing::warn!(lines, "lines of this log were lost"))
        })?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Arc::clone(&queue));
        match format {
            Format::Json => {
                let builder = builder.json().flatten_event(true).with_current_span(false);
                builder.map_event_format(|others| Lines { others, time: SystemTime }).init();
            }
            Format::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        }
        let of_panics = Arc::clone(&queue);
        panic::set_hook(Box::new(move |panic| {
            panicked(panic);
            // Many calls may panic while nobody reads, and each of them would keep others waiting.
            if !of_panics.is_stuck() {
                of_panics.flush(LAST_LINES);
            }
        }));
        Ok(Self(queue))
    }

    /// Counts the lines that were lost.
    pub fn metrics(&self) -> Arc<dyn Collector> {
        Arc::new(LostLines(self.0.lost().clone()))
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
        self.0.flush(LAST_LINES);
    }
}

/// The place of a panic, without its text: that may be a part of an object.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, thread = std::thread::current().name(), "panicked");
}
