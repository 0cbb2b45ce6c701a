//! File descriptors: each connection takes one, and their number in a process is limited.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Limits;

/// File descriptors besides those of connections: ports, watches, files, the runtime.
const OTHERS: usize = 128;

/// The most that all ports need.
fn needed<'l>(ports: impl Iterator<Item = &'l Limits>) -> u64 {
    // As many wait for their handshake as are in one.
    let of = |limits: &Limits| limits.connections.saturating_add(limits.handshakes).saturating_add(limits.handshakes);
    ports.fold(OTHERS, |sum, port| sum.saturating_add(of(port))) as u64
}

/// Raises the soft limit to the hard one. The soft limit is low for the sake of programs that use `select`, which this
/// one does not.
pub(crate) fn raise<'l>(ports: impl Iterator<Item = &'l Limits>) {
    let has = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: has.maximum, ..has };
    let has = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            has.current
        }
    };
    let needed = needed(ports);
    if let Some(has) = has.filter(|has| *has < needed) {
        tracing::warn!(
            has,
            needed,
            "the limit of open files is lower than what all connections may need: idle ones are closed when it is reached; \
             raise it, or lower server.maxConnections and server.maxHandshakes"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed() {
        let huge = Limits { connections: usize::MAX, ..Limits::default() };
        let (usual, plain) = (Limits::default(), Limits::default().for_probes());
        for (ports, want) in [(vec![&usual], 2_560), (vec![&usual, &usual], 4_608), (vec![&huge, &huge], u64::MAX)] {
            assert_eq!(needed(ports.into_iter().chain([&plain, &plain])), want);
        }
    }
}
