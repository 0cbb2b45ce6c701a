//! The limits of one port.

use std::time::Duration;

/// Protects the server from its callers. The defaults are those of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes: an API server sends at most two objects of 3 MiB and some (7 MiB, the limit that
    /// controller-runtime uses).
    pub body_bytes: usize,
    /// All bodies in flight together, in bytes. One further body may be read when nothing is left, so that some body
    /// always completes.
    pub bodies_in_flight_bytes: usize,
    /// How long a body may wait for memory before its sender is told to retry later.
    pub body_wait: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Connections of one port that have sent a request. One more replaces the connection that has been idle for
    /// longest, of the address that has most of those with an idle one. If no connection is idle, the caller is told to
    /// retry later, unless addresses with more connections have requests that do not arrive or calls that do not end.
    pub connections: usize,
    /// Connections of one port that have sent no request yet: during their TLS handshake, or after it. As many more wait. For one of
    /// them a handshake is closed that has lasted for a second, or whose client has said nothing in a tenth of one, of the address that has most
    /// of them.
    pub handshakes: usize,
    /// The same for one address (one /64 of IPv6) while all places are taken. API servers behind one node may share an
    /// address.
    pub handshakes_per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the headers of a request may take, including the idle time before them. It has to be longer than the 90
    /// s for which an API server keeps an idle connection, or its next call would race with our close.
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
            // Each costs at most 64 KiB. A handshake takes about a millisecond of CPU, so half of these is what one
            // core does in a quarter of a second: far more than an API server begins at the same time.
            handshakes: 512,
            handshakes_per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// The limits for kubelet and Prometheus, which have a few connections.
    pub(crate) fn for_probes(&self) -> Self {
        Self {
            connections: self.connections.min(64),
            handshakes: self.handshakes.min(64),
            handshakes_per_address: self.handshakes_per_address.min(32),
            ..self.clone()
        }
    }
}
