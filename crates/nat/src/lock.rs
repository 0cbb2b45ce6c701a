//! One call at a time in a network namespace: between reading a firewall and writing it, no other call of network-guard
//! may write.
//!
//! A program that a call has started keeps the lock as long as it runs, so a call that is killed alone leaves no
//! iptables behind that writes while another call does.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::io::{FdFlags, fcntl_setfd};

/// Held until it is dropped and the programs that were started meanwhile have ended, however the process ends.
pub(super) struct Lock(#[expect(dead_code, reason = "it only has to be open")] UnixListener);

/// A name that belongs to the network namespace, as the firewall does, and to no file system.
const NAME: &str = "network-guard-nat";

/// How long to wait for another call.
const PATIENCE: Duration = Duration::from_secs(30);

impl Lock {
    /// Waits until no other call holds it.
    pub(super) fn take() -> anyhow::Result<Self> {
        Self::take_named(NAME)
    }

    fn take_named(name: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from_abstract_name(name)?;
        let begun = Instant::now();
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => {
                    fcntl_setfd(&listener, FdFlags::empty()).context("programs cannot keep the lock")?;
                    return Ok(Self(listener));
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    bail!("another call of `network-guard nat` has been at work here for {} s", PATIENCE.as_secs());
                }
                Err(error) => return Err(error).context("cannot keep other calls out"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// When a call is killed, its iptables may still be at work.
    #[test]
    fn a_program_that_was_started_meanwhile_keeps_it() {
        let name = format!("network-guard-nat-test-{}", std::process::id());
        let lock = Lock::take_named(&name).unwrap();
        let mut program = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(lock);
        let is_held = || UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).is_err();
        assert!(is_held(), "it runs");
        drop(program.stdin.take());
        program.wait().unwrap();
        assert!(!is_held(), "it has ended");
    }
}
