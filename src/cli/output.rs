//! What commands print. A result waits for its reader, and has to arrive whole; what a process says that goes on or ends
//! all the same is lost when nobody reads it.

use std::io::{self, ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// Writes a result to standard output. A reader that went away, such as `head`, is no failure; a full disk is one, because
/// part of the result may be in the file.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    written(io::stdout().write_all(text.as_bytes()))
}

/// What is still to be done and said of something that was written to standard output.
pub(super) fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Says something on standard output, by a process that goes on.
pub(super) fn tell(text: String) {
    static IS_BUSY: AtomicBool = AtomicBool::new(false);
    within(LIMIT, &IS_BUSY, move || {
        let mut out = io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
}

/// Says something on standard error, by a process that goes on, or that ends.
pub(super) fn warn(text: String) {
    warn_by(move || {
        let _ = io::stderr().write_all(text.as_bytes());
    });
}

/// The same for something that writes by itself.
pub(super) fn warn_by(write: impl FnOnce() + Send + 'static) {
    static IS_BUSY: AtomicBool = AtomicBool::new(false);
    within(LIMIT, &IS_BUSY, write);
}

/// How long a reader is waited for: as long as the log waits for its last lines.
const LIMIT: Duration = Duration::from_secs(1);

/// Lets a thread write, and waits for it no longer than this. While an earlier one is still at it, what comes later is
/// lost: it would wait in the same place, and there would be more and more of them.
fn within(limit: Duration, is_busy: &'static AtomicBool, write: impl FnOnce() + Send + 'static) {
    if is_busy.swap(true, Ordering::SeqCst) {
        return;
    }
    let (done, is_done) = mpsc::channel::<()>();
    let writing = thread::Builder::new().name("output".to_owned()).spawn(move || {
        write();
        is_busy.store(false, Ordering::SeqCst);
        drop(done);
    });
    match writing {
        Ok(_) => _ = is_done.recv_timeout(limit),
        // Without a thread nothing is said.
        Err(_) => is_busy.store(false, Ordering::SeqCst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_waited_for_once() {
        static IS_BUSY: AtomicBool = AtomicBool::new(false);
        let (reads, is_read) = mpsc::channel::<()>();
        let (says, said) = mpsc::channel();
        let say = |text: &'static str, limit: Duration| {
            let says = says.clone();
            within(limit, &IS_BUSY, move || says.send(text).unwrap());
        };
        let long = Duration::from_secs(3600);

        say("first", long);
        assert_eq!(said.try_recv(), Ok("first"), "who writes has written when it goes on");

        within(Duration::from_millis(10), &IS_BUSY, move || _ = is_read.recv());
        say("lost", long);
        assert!(said.try_recv().is_err(), "nobody has read what came before");

        drop(reads);
        while IS_BUSY.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        say("last", long);
        assert_eq!(said.try_recv(), Ok("last"), "somebody reads again");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        for (kind, is_fine) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
            assert_eq!(written(Err(kind.into())).is_ok(), is_fine, "{kind}");
        }
    }
}
