//! What one port takes of its callers.

use std::time::Duration;

/// What protects the server from its callers. The defaults are those of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes: an API server sends at most two objects of 3 MiB and some (7 MiB, the limit that
    /// controller-runtime uses).
    pub body_bytes: usize,
    /// All bodies in flight together, in bytes; one more is read when there is no room left, so that there will be some.
    pub bodies_in_flight_bytes: usize,
    /// How long a body may wait for room among those before its sender is told to come again.
    pub body_wait: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Connections of one port that have sent a request. For one more that one is closed which has been idle for longest,
    /// of the address that has most of those that have an idle one; if there is none, the caller is told to retry, unless
    /// others with more have requests that do not arrive, or calls that do not end.
    pub connections: usize,
    /// Connections of one port that have sent no request yet: in their TLS handshake, or after it. For one more one is
    /// closed that has said nothing for a second, of the address that has most of them; if there is none, the oldest.
    pub handshakes: usize,
    /// The same for one address, or one /64 of IPv6, while all of that is taken. API servers behind one node may have one address.
    pub handshakes_per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a request's headers may take, idle time before them included. It has to be longer than the 90 s for
    /// which an API server keeps an idle connection, or its next call would race our closing.
    pub header_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 7 << 20,
            bodies_in_flight_bytes: 64 << 20,
            body_wait: Duration::from_secs(1),
            body_timeout: Duration::from_secs(10),
            connections: 1_024,
            // Each costs 64 KiB at most. A handshake takes about a millisecond of CPU, so half of these is what one
            // core does in a quarter of a second: far more than an API server begins at the same time.
            handshakes: 512,
            handshakes_per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// What kubelet and Prometheus need, which have a few connections.
    pub(crate) fn for_probes(&self) -> Self {
        Self {
            connections: self.connections.min(64),
            handshakes: self.handshakes.min(64),
            handshakes_per_address: self.handshakes_per_address.min(32),
            ..self.clone()
        }
    }
}
