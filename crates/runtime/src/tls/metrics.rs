//! Metrics of the served certificate.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ServedCertificate;
use crate::metrics::Collector;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Why {
    reason: &'static str,
}

/// The results of reading certificate files.
const RELOADS: [&str; 2] = ["replaced", "refused"];

/// The metrics.
#[derive(Debug)]
pub(super) struct TlsMetrics {
    reloads: Family<Why, Counter>,
    refused: Gauge,
    not_before: Gauge,
    not_after: Gauge,
}

impl Default for TlsMetrics {
    fn default() -> Self {
        let reloads = Family::<Why, Counter>::default();
        // An alert sees an increase only from an existing series.
        for reason in RELOADS {
            drop(reloads.get_or_create(&Why { reason }));
        }
        Self { reloads, refused: Gauge::default(), not_before: Gauge::default(), not_after: Gauge::default() }
    }
}

impl Collector for TlsMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Changed certificate files, replaced or refused";
        registry.register("certificate_reloads", help, self.reloads.clone());
        let help = "Whether the present certificate files cannot be used";
        registry.register("certificate_refused", help, self.refused.clone());
        let help = "When the served certificate begins, in seconds since 1970";
        registry.register("certificate_not_before_timestamp_seconds", help, self.not_before.clone());
        let help = "When the served certificate ends, in seconds since 1970";
        registry.register("certificate_not_after_timestamp_seconds", help, self.not_after.clone());
    }
}

impl TlsMetrics {
    pub(super) fn reloaded(&self, reason: &'static str) {
        self.reloads.get_or_create(&Why { reason }).inc();
    }

    /// Sets whether the present files cannot be used.
    pub(super) fn set_refused(&self, is_refused: bool) {
        self.refused.set(i64::from(is_refused));
    }

    pub(super) fn serves(&self, served: &ServedCertificate) {
        self.not_before.set(served.not_before);
        self.not_after.set(served.not_after);
    }
}
