//! One call at a time in a network namespace: between reading a firewall and writing it, no other call of network-guard
//! may write.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Held until it is dropped, however the process ends.
pub(super) struct Lock(#[expect(dead_code, reason = "it only has to be open")] UnixListener);

/// A name that belongs to the network namespace, as the firewall does, and to no file system.
const NAME: &str = "network-guard-nat";

/// How long to wait for another call.
const PATIENCE: Duration = Duration::from_secs(30);

impl Lock {
    /// Waits until no other call holds it.
    pub(super) fn take() -> anyhow::Result<Self> {
        let address = SocketAddr::from_abstract_name(NAME)?;
        let begun = Instant::now();
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok(Self(listener)),
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
