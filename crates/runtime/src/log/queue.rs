//! The lines that wait for the thread that writes them.
//!
//! The thread writes the first line at once, and then rests: the lines of a busy server gather and are written together,
//! because to wake a thread for each of them costs a call more than to decide it.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

/// All lines that wait or are being written, in bytes: some seconds of a busy server.
pub(super) const MOST: usize = 2 << 20;

/// How long lines gather at most before they are written.
pub(super) const REST: Duration = Duration::from_millis(50);

/// So many bytes are written without a rest, and keep their memory.
pub(super) const BATCH: usize = 64 << 10;

/// The queue, bounded.
pub(super) struct Queue {
    /// How long lines gather at most.
    rest: Duration,
    state: Mutex<State>,
    /// Wakes the thread that writes.
    filled: Condvar,
    /// Wakes those that wait until their lines are written.
    emptied: Condvar,
    lost: Counter,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// All bytes that ever came in, and those that have left: written, or lost.
    came: u64,
    left: u64,
    /// What the thread waits for, if it waits.
    awaits: Awaits,
    /// Those that wait until their lines have left.
    flushing: usize,
    /// See [`Queue::is_stuck`].
    is_stuck: bool,
    /// The thread that says just now how many lines were lost.
    speaker: Option<ThreadId>,
    /// Where its line ends, counted like `came`, unless that was lost.
    saying: Option<u64>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Awaits {
    #[default]
    Nothing,
    Line,
    Batch,
}

impl Queue {
    /// An empty one, whose lines gather for so long at most.
    pub(super) fn new(rest: Duration) -> Self {
        Self {
            rest,
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost: Counter::default(),
        }
    }

    /// Adds a line, unless there is no place for it: then it is lost, and counted.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.pending() + line.len() > MOST {
            drop(state);
            self.lost.inc();
            return;
        }
        state.waiting.extend_from_slice(line);
        state.came += line.len() as u64;
        if state.speaker.is_some_and(|speaker| speaker == thread::current().id()) {
            state.saying = Some(state.came);
        }
        let wakes = match state.awaits {
            Awaits::Nothing => false,
            Awaits::Line => true,
            Awaits::Batch => state.is_due(),
        };
        if wakes {
            state.awaits = Awaits::Nothing;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits until all lines that came before have left, but no longer than this.
    pub(super) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let until = state.came;
        state.flushing += 1;
        self.filled.notify_one();
        while state.left < until {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                state.is_stuck = true;
                break;
            }
            state = self.emptied.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.flushing -= 1;
    }

    /// Whether somebody has waited in vain, and nothing has left since then.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().is_stuck
    }

    /// Lines that were lost.
    pub(super) fn lost(&self) -> &Counter {
        &self.lost
    }

    /// Writes lines, for ever. `says` is told how many were lost, when everything is written.
    pub(super) fn write(&self, mut to: impl Write, says: impl Fn(u64)) {
        let (mut batch, mut is_torn) = (Vec::new(), false);
        // Those that a line was written about, and the next line.
        let (mut said, mut about) = (0, 0);
        let mut rests_until = Instant::now();
        loop {
            self.take(&mut batch, rests_until);
            let is_written = self.write_lines(&batch, &mut to, &mut is_torn);
            rests_until = Instant::now() + self.rest;
            batch.clear();
            batch.shrink_to(BATCH);
            let lost = self.lost.get();
            let mut state = self.lock();
            // It was in this batch, because it was in the queue before the batch was taken.
            if state.saying.take().is_some() {
                said = about;
            }
            if is_written && lost > said && state.waiting.is_empty() {
                // There is a place for one more line, which waits in the queue like any other, and may be lost like it.
                state.speaker = Some(thread::current().id());
                drop(state);
                about = lost;
                says(lost - said);
                self.lock().speaker = None;
            }
        }
    }

    /// Waits for lines, lets them gather, and takes them.
    fn take(&self, batch: &mut Vec<u8>, rests_until: Instant) {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.awaits = Awaits::Line;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while !state.is_due() {
            let rest = rests_until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            state.awaits = Awaits::Batch;
            state = self.filled.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.awaits = Awaits::Nothing;
        std::mem::swap(&mut state.waiting, batch);
    }

    /// Whether the last line was written. One that cannot be written whole is lost, and the next one is tried; what was written of
    /// the lost one is ended before that, so that programs can read the next one.
    fn write_lines(&self, mut rest: &[u8], to: &mut impl Write, is_torn: &mut bool) -> bool {
        let (mut is_written, mut is_within) = (true, false);
        while !rest.is_empty() {
            let mut is_lost = false;
            let left = match to.write(if *is_torn { b"\n" } else { rest }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(1..) if *is_torn => {
                    *is_torn = false;
                    continue;
                }
                Ok(written @ 1..) => {
                    is_within = rest[written - 1] != b'\n';
                    is_written = true;
                    written
                }
                Ok(0) | Err(_) => {
                    self.lost.inc();
                    *is_torn |= is_within;
                    (is_within, is_written, is_lost) = (false, false, true);
                    rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1)
                }
            };
            rest = &rest[left..];
            let mut state = self.lock();
            state.left += left as u64;
            if is_lost && state.saying == Some(state.left) {
                state.saying = None;
            }
            state.is_stuck = false;
            if state.flushing > 0 {
                self.emptied.notify_all();
            }
        }
        is_written
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The bytes that wait or are being written.
    fn pending(&self) -> usize {
        usize::try_from(self.came - self.left).unwrap_or(usize::MAX)
    }

    /// Whether lines have gathered for long enough, whatever the time.
    fn is_due(&self) -> bool {
        self.flushing > 0 || self.waiting.len() >= BATCH
    }
}

/// Each line is written whole.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
