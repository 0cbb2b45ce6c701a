//! The metrics of reviews.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Failure;
use network_guard_core::admission::Operation;
use network_guard_core::landscape::{Answers, Visibility};
use network_guard_runtime::metrics::Collector;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Review {
    handler: &'static str,
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Handled {
    handler: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Decided {
    handler: &'static str,
    decision: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Found {
    rule: &'static str,
    severity: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Looked {
    what: &'static str,
    result: &'static str,
}

/// From 50 µs, the time of a small review, to 4.5 s, when live reads end, and 5 s, when API servers stop waiting
/// (`timeoutSeconds` in `webhook-config/`). In seconds.
const BUCKETS: [f64; 15] =
    [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.0, 4.5, 5.0];

/// The results of a live read of an object, and of an access review.
const FOUND: [&str; 3] = ["found", "absent", "unanswered"];
const SEEN: [&str; 3] = ["visible", "hidden", "unanswered"];

/// The metrics of all handlers.
#[derive(Debug)]
pub(in crate::wiring) struct ReviewMetrics {
    reviews: Family<Review, Counter>,
    durations: Family<Handled, Histogram, fn() -> Histogram>,
    decisions: Family<Decided, Counter>,
    findings: Family<Found, Counter>,
    lookups: Family<Looked, Counter>,
}

impl Default for ReviewMetrics {
    fn default() -> Self {
        let lookups = Family::<Looked, Counter>::default();
        // An alert sees an increase only from an existing series: all series that alerts use are shown from the start.
        for (what, results) in [("access", SEEN), ("shoot", FOUND), ("seed", FOUND), ("cluster", FOUND)] {
            for result in results {
                drop(lookups.get_or_create(&Looked { what, result }));
            }
        }
        Self {
            reviews: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            decisions: Family::default(),
            findings: Family::default(),
            lookups,
        }
    }
}

impl Collector for ReviewMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Admission calls by handler, operation and result";
        registry.register("requests", help, self.reviews.clone());
        let help = "Time from the first byte of the body to the answer, by handler";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("decisions", "Decisions by handler", self.decisions.clone());
        registry.register("findings", "Findings by rule and severity", self.findings.clone());
        let help = "Live reads during a call, by what was read and what came of it";
        registry.register("lookups", help, self.lookups.clone());
    }
}

impl ReviewMetrics {
    /// Shows all series of these handlers that alerts use, before there is anything to count.
    pub(in crate::wiring) fn expect(&self, handlers: impl Iterator<Item = &'static str>) {
        for handler in handlers {
            drop(self.durations.get_or_create(&Handled { handler }));
            for failure in Failure::ALL {
                for operation in Operation::ALL.map(Operation::name).into_iter().chain([""]) {
                    // An unreadable review has no operation; all others have one.
                    if (failure == Failure::BadReview) == operation.is_empty() {
                        let review = Review { handler, operation, result: failure.name() };
                        drop(self.reviews.get_or_create(&review));
                    }
                }
            }
        }
    }

    pub(super) fn reviewed(
        &self,
        handler: &'static str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        self.reviews.get_or_create(&Review { handler, operation, result }).inc();
        self.durations.get_or_create(&Handled { handler }).observe(took.as_secs_f64());
    }

    pub(super) fn decided(&self, handler: &'static str, decision: &'static str) {
        self.decisions.get_or_create(&Decided { handler, decision }).inc();
    }

    pub(super) fn found(&self, rule: &'static str, severity: &'static str) {
        self.findings.get_or_create(&Found { rule, severity }).inc();
    }

    pub(super) fn answered(&self, answers: &Answers) {
        let looked = |what, result| _ = self.lookups.get_or_create(&Looked { what, result }).inc();
        for visibility in answers.visibilities.values().chain(answers.grants.values()) {
            looked(
                "access",
                match visibility {
                    Visibility::Visible => "visible",
                    Visibility::Hidden => "hidden",
                    Visibility::Unanswered(_) => "unanswered",
                },
            );
        }
        answers.shoots.values().for_each(|answer| looked("shoot", answer.name()));
        answers.seeds.values().for_each(|answer| looked("seed", answer.name()));
        answers.cluster.iter().for_each(|answer| looked("cluster", answer.name()));
    }
}
