//! Metrics, in base units and without names of Shoots.

mod exposition;
mod process;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(super) use self::exposition::Format;
use super::ServedCertificate;
use super::body::Refusal;
use super::review::Failure;
use crate::admission::Operation;
use crate::controllers::overlay::Board;
use crate::controllers::{certificates, vpn_shoot};
use crate::landscape::{Answers, Sight};
use crate::net::Family as IpFamily;
use crate::overlap;
use crate::sources::LandscapeCache;
use crate::sources::keeper::Keeper;
use crate::sources::supervise::Supervisor;
use crate::sources::vpn_networks::ToldBoard;

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

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PeeringState {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Port {
    port: &'static str,
}

/// All metrics of one server.
pub struct Metrics {
    registry: Registry,
    /// What every program has; its names have no prefix of network-guard.
    common: Registry,
    tasks: Supervisor,
    reviews: Family<Review, Counter>,
    durations: Family<Handled, Histogram, fn() -> Histogram>,
    decisions: Family<Decided, Counter>,
    findings: Family<Found, Counter>,
    lookups: Family<Looked, Counter>,
    bodies_refused: Family<Why, Counter>,
    connections_refused: Family<Why, Counter>,
    connections: Family<Port, Gauge>,
    handshakes: Family<Port, Gauge>,
    panics: Counter,
    certificate_reloads: Family<Why, Counter>,
    certificate_refused: Gauge,
    certificate_not_before: Gauge,
    certificate_not_after: Gauge,
    ready: Gauge,
    cache_age: Gauge<f64, AtomicU64>,
    cache_synced: Gauge,
    clusters: Gauge,
    clusters_unreadable: Gauge,
    clusters_overlapping: Gauge,
    shoots: Gauge,
    seeds: Gauge,
    peering_entries: Family<PeeringState, Gauge>,
    board: Option<Arc<Board>>,
    told: Option<ToldBoard>,
}

/// Why connections are refused, or closed to make room.
const REFUSED: [&str; 6] =
    ["too-many", "evicted-handshake", "evicted-idle", "evicted-busy", "handshake-failed", "handshake-timeout"];

/// What came of certificate files.
const RELOADS: [&str; 2] = ["replaced", "refused"];

/// From 50 µs, which a small review takes, to 4.5 s, at which live reads end, and 5 s, at which API servers do not wait any
/// longer (`timeoutSeconds` in `webhook-config/`). In seconds.
const BUCKETS: [f64; 15] =
    [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.0, 4.5, 5.0];

/// The words for what a live read of an object can come to, and for an access review.
const FOUND: [&str; 3] = ["found", "absent", "unanswered"];
const SEEN: [&str; 3] = ["visible", "hidden", "unanswered"];

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&Supervisor::default())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics with those of the tasks that this supervises.
    pub fn new(tasks: &Supervisor) -> Self {
        let mut registry = Registry::with_prefix("network_guard");
        tasks.register(&mut registry);
        let durations: Family<Handled, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        macro_rules! registered {
            ($metric:expr, $name:literal, $help:literal) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        let reviews = registered!(Family::default(), "requests", "Admission calls by handler, operation and result");
        registry.register_with_unit(
            "request_duration",
            "Time from the first byte of the body to the answer, by handler",
            Unit::Seconds,
            durations.clone(),
        );
        let decisions = registered!(Family::default(), "decisions", "Decisions by handler");
        let findings = registered!(Family::default(), "findings", "Findings by rule and severity");
        let lookups =
            registered!(Family::default(), "lookups", "Live reads during a call, by what was read and what came of it");
        let bodies_refused = registered!(Family::default(), "bodies_refused", "Request bodies that were not read");
        let connections_refused = registered!(
            Family::default(),
            "connections_refused",
            "Connections that were refused, or closed to make room"
        );
        let connections =
            registered!(Family::default(), "connections", "Open connections that have sent a request, by port");
        let handshakes =
            registered!(Family::default(), "handshakes", "Open connections that have sent no request yet, by port");
        let panics = registered!(Counter::default(), "panics", "Handlers that panicked");
        let certificate_reloads =
            registered!(Family::default(), "certificate_reloads", "Changed certificate files, replaced or refused");
        let certificate_refused = registered!(
            Gauge::default(),
            "certificate_refused",
            "Whether the certificate that lies there cannot be used"
        );
        let certificate_not_before = registered!(
            Gauge::default(),
            "certificate_not_before_timestamp_seconds",
            "When the served certificate begins, in seconds since 1970"
        );
        let certificate_not_after = registered!(
            Gauge::default(),
            "certificate_not_after_timestamp_seconds",
            "When the served certificate ends, in seconds since 1970"
        );
        let ready = registered!(Gauge::default(), "ready", "Whether this replica is ready, as /readyz says");
        let cache_age = registered!(
            Gauge::default(),
            "cache_age_seconds",
            "Time since the source of the landscape last showed a sign of life"
        );
        let cache_synced = registered!(Gauge::default(), "cache_synced", "Whether the landscape was read once");
        let clusters = registered!(Gauge::default(), "clusters", "Clusters in the landscape");
        let clusters_unreadable =
            registered!(Gauge::default(), "clusters_unreadable", "Clusters whose networks cannot be read");
        let clusters_overlapping = registered!(
            Gauge::default(),
            "clusters_overlapping",
            "Clusters whose Shoot has an IPv4 network that overlaps the Seed's Pod network"
        );
        let shoots = registered!(Gauge::default(), "shoots", "Shoots in the landscape");
        let seeds = registered!(Gauge::default(), "seeds", "Seeds in the landscape");
        let peering_entries = registered!(
            Family::default(),
            "peering_entries",
            "Entries of enabled peering configurations: each is reciprocal or one_sided, and may be overlapping, peers_overlapping or stale_seed besides"
        );
        // An alert sees a rise only from what is there before: whatever it looks at is shown from the start.
        let why = |family: &Family<Why, Counter>, reason| drop(family.get_or_create(&Why { reason }));
        for reason in REFUSED {
            why(&connections_refused, reason);
        }
        for refusal in Refusal::ALL {
            why(&bodies_refused, refusal.answer().1);
        }
        for reason in RELOADS {
            why(&certificate_reloads, reason);
        }
        for (what, results) in [("access", SEEN), ("shoot", FOUND), ("seed", FOUND), ("cluster", FOUND)] {
            for result in results {
                drop(lookups.get_or_create(&Looked { what, result }));
            }
        }
        let mut common = Registry::default();
        process::register(&mut common);
        Self {
            registry,
            common,
            tasks: tasks.clone(),
            reviews,
            durations,
            decisions,
            findings,
            lookups,
            bodies_refused,
            connections_refused,
            connections,
            handshakes,
            panics,
            certificate_reloads,
            certificate_refused,
            certificate_not_before,
            certificate_not_after,
            ready,
            cache_age,
            cache_synced,
            clusters,
            clusters_unreadable,
            clusters_overlapping,
            shoots,
            seeds,
            peering_entries,
            board: None,
            told: None,
        }
    }

    /// What supervises tasks.
    pub fn tasks(&self) -> &Supervisor {
        &self.tasks
    }

    /// Metrics with the lines of the log that were lost.
    #[must_use]
    pub fn with_lost_lines(mut self, lost: &Counter) -> Self {
        self.registry.register("log_lines_lost", "Lines of the log that could not be written", lost.clone());
        self
    }

    /// Metrics that say who serves: a release, and a digest of its configuration.
    #[must_use]
    pub fn with_configuration(mut self, version: &'static str, digest: &str) -> Self {
        let labels = [("version", version.to_owned()), ("digest", digest.to_owned())].to_vec();
        self.registry.register("configuration", "The release, and a digest of its configuration", Info::new(labels));
        self
    }

    /// Metrics that say whether this replica leads, where one of all does.
    #[must_use]
    pub fn with_leader(mut self, leads: &Gauge) -> Self {
        self.registry.register("leader", "Whether this replica leads, by its Lease", leads.clone());
        self
    }

    /// Metrics with those of held switches.
    #[must_use]
    pub fn with_board(mut self, board: &Arc<Board>) -> Self {
        board.register(&mut self.registry);
        self.board = Some(Arc::clone(board));
        self
    }

    /// Metrics with those of what kube-apiservers are told about the networks of their VPN.
    #[must_use]
    pub fn with_told(mut self, told: ToldBoard) -> Self {
        told.register(&mut self.registry);
        self.told = Some(told);
        self
    }

    /// Metrics with those of webhooks in Shoots.
    #[must_use]
    pub fn with_registrations(mut self, board: &vpn_shoot::Board) -> Self {
        board.register(&mut self.registry);
        self
    }

    /// Metrics with those of self-managed certificates.
    #[must_use]
    pub fn with_certificates(mut self, keeper: &Keeper, board: &certificates::Board) -> Self {
        keeper.register(&mut self.registry);
        board.register(&mut self.registry);
        self
    }

    /// Shows everything that these handlers may count and an alert looks at, before there is anything to count.
    pub(super) fn expect(&self, handlers: impl Iterator<Item = &'static str>) {
        for handler in handlers {
            drop(self.durations.get_or_create(&Handled { handler }));
            for failure in Failure::ALL {
                for operation in Operation::ALL.map(Operation::name).into_iter().chain([""]) {
                    // What cannot be read says no operation, and everything else does.
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
        for sight in answers.sights.values().chain(answers.grants.values()) {
            looked(
                "access",
                match sight {
                    Sight::Visible => "visible",
                    Sight::Hidden => "hidden",
                    Sight::Unanswered(_) => "unanswered",
                },
            );
        }
        answers.shoots.values().for_each(|answer| looked("shoot", answer.name()));
        answers.seeds.values().for_each(|answer| looked("seed", answer.name()));
        answers.cluster.iter().for_each(|answer| looked("cluster", answer.name()));
    }

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

    pub(super) fn certificate_reloaded(&self, reason: &'static str) {
        self.certificate_reloads.get_or_create(&Why { reason }).inc();
    }

    /// Whether what lies there now cannot be used.
    pub(super) fn certificate_refused(&self, is_refused: bool) {
        self.certificate_refused.set(i64::from(is_refused));
    }

    pub(super) fn certificate_served(&self, served: &ServedCertificate) {
        self.certificate_not_before.set(served.not_before);
        self.certificate_not_after.set(served.not_after);
    }

    /// The text of all metrics. What is a property of the landscape is counted here, when somebody asks.
    pub(super) fn render(
        &self,
        landscape: &LandscapeCache,
        is_ready: bool,
        format: Format,
    ) -> Result<String, fmt::Error> {
        let snapshot = landscape.snapshot();
        let (mut unreadable, mut overlapping) = (0, 0);
        for (_, record) in snapshot.clusters() {
            match record {
                Err(_) => unreadable += 1,
                Ok(facts) => {
                    let overlaps = overlap::overlaps(facts).any(|pair| pair.seed_pods.family() == IpFamily::V4);
                    overlapping += i64::from(overlaps);
                }
            }
        }
        self.ready.set(is_ready.into());
        self.cache_age.set(landscape.age().as_secs_f64());
        self.cache_synced.set(landscape.is_synced().into());
        self.clusters.set(i64::try_from(snapshot.cluster_count()).unwrap_or(i64::MAX));
        self.clusters_unreadable.set(unreadable);
        self.clusters_overlapping.set(overlapping);
        self.shoots.set(i64::try_from(snapshot.shoots.len()).unwrap_or(i64::MAX));
        self.seeds.set(i64::try_from(snapshot.seed_count()).unwrap_or(i64::MAX));
        let census = snapshot.shoots.census();
        for (state, count) in [
            ("reciprocal", census.reciprocal),
            ("one_sided", census.one_sided),
            ("overlapping", census.overlapping),
            ("peers_overlapping", census.peers_overlapping),
            ("stale_seed", census.stale_seed),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.peering_entries.get_or_create(&PeeringState { state }).set(count);
        }
        if let Some(board) = &self.board {
            board.refresh(Timestamp::now());
        }
        if let Some(told) = &self.told {
            told.refresh();
        }
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode(&mut out, &self.common)?;
        Ok(format.of(out))
    }
}
