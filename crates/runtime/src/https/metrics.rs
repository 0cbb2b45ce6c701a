//! Metrics of connections and bodies.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::body::Refusal;
use crate::metrics::Collector;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Port {
    port: &'static str,
}

/// Why connections are refused, or closed to make room.
const REFUSED: [&str; 6] =
    ["too-many", "evicted-handshake", "evicted-idle", "evicted-busy", "handshake-failed", "handshake-timeout"];

/// The counters of all ports.
#[derive(Debug)]
pub(crate) struct HttpsMetrics {
    bodies_refused: Family<Why, Counter>,
    connections_refused: Family<Why, Counter>,
    connections: Family<Port, Gauge>,
    handshakes: Family<Port, Gauge>,
    panics: Counter,
}

impl Default for HttpsMetrics {
    fn default() -> Self {
        let (bodies_refused, connections_refused) =
            (Family::<Why, Counter>::default(), Family::<Why, Counter>::default());
        // An alert sees an increase only from an existing series: all series that alerts use are shown from the start.
        for reason in REFUSED {
            drop(connections_refused.get_or_create(&Why { reason }));
        }
        for refusal in Refusal::ALL {
            drop(bodies_refused.get_or_create(&Why { reason: refusal.answer().1 }));
        }
        Self {
            bodies_refused,
            connections_refused,
            connections: Family::default(),
            handshakes: Family::default(),
            panics: Counter::default(),
        }
    }
}

impl Collector for HttpsMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Request bodies that were not read";
        registry.register("bodies_refused", help, self.bodies_refused.clone());
        let help = "Connections that were refused, or closed to make room";
        registry.register("connections_refused", help, self.connections_refused.clone());
        let help = "Open connections that have sent a request, by port";
        registry.register("connections", help, self.connections.clone());
        let help = "Open connections that have sent no request yet, by port";
        registry.register("handshakes", help, self.handshakes.clone());
        registry.register("panics", "Handlers that panicked", self.panics.clone());
    }
}

impl HttpsMetrics {
    pub(super) fn body_refused(&self, reason: &'static str) {
        self.bodies_refused.get_or_create(&Why { reason }).inc();
    }

    pub(super) fn connection_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&Why { reason }).inc();
    }

    /// Handshakes and established connections of a port.
    pub(super) fn connected(&self, port: &'static str, (handshakes, established): (usize, usize)) {
        for (gauge, count) in [(&self.handshakes, handshakes), (&self.connections, established)] {
            gauge.get_or_create(&Port { port }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn panicked(&self) {
        self.panics.inc();
    }
}
