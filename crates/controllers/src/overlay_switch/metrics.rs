//! Metrics of all held switches.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use network_guard_core::gardener::network::{Phase, Replacement, Routes, SwitchState, SwitchingNetwork};
use network_guard_core::json::Written;
use network_guard_core::landscape::NetworkName;
use network_guard_core::overlay::{Outcome, outcome};
use network_guard_runtime::metrics::Collector;
use network_guard_sources::LandscapeCache;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Why {
    reason: &'static str,
}

/// From a minute to a week, in seconds.
const WAITS: [f64; 9] = [60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

/// What the leader saw of one Shoot's nodes.
#[derive(Debug)]
struct Seen {
    /// Nodes with a route.
    ready: usize,
    /// Nodes that count.
    total: usize,
    /// Nodes that will be replaced.
    at_risk: usize,
    /// When the first of them will be.
    replacement: Option<Timestamp>,
}

/// Whether the extension fails to carry out a switch that was let through.
fn fails(network: &SwitchingNetwork) -> bool {
    network.record().is_some_and(|record| matches!(outcome(network, record), Outcome::Fails(_)))
}

/// Counts for all replicas, and progress where this one leads.
#[derive(Debug)]
pub struct SwitchMetrics {
    switching: Arc<LandscapeCache>,
    progress: Mutex<HashMap<NetworkName, Seen>>,
    switches: Family<State, Gauge>,
    nodes: Family<State, Gauge>,
    at_risk: Gauge,
    replacement: Gauge,
    oldest: Gauge,
    age: Gauge<f64, AtomicU64>,
    releases: Family<Why, Counter>,
    waits: Histogram,
    failures: Counter,
}

impl SwitchMetrics {
    /// For the Networks of this landscape.
    pub fn new(switching: Arc<LandscapeCache>) -> Self {
        Self {
            switching,
            progress: Mutex::default(),
            switches: Family::default(),
            nodes: Family::default(),
            at_risk: Gauge::default(),
            replacement: Gauge::default(),
            oldest: Gauge::default(),
            age: Gauge::default(),
            releases: Family::default(),
            waits: Histogram::new(WAITS),
            failures: Counter::default(),
        }
    }
}

impl Collector for SwitchMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("overlay_switches", "Networks with a switch of the overlay, by state", self.switches.clone());
        registry.register(
            "overlay_switch_nodes",
            "Nodes of Shoots whose switch is held, as the leader saw them last: with a route, or missing one",
            self.nodes.clone(),
        );
        registry.register(
            "overlay_switch_nodes_at_risk",
            "Nodes without a route that machine-controller-manager will replace, as the leader saw them last",
            self.at_risk.clone(),
        );
        registry.register(
            "overlay_switch_replacement_timestamp_seconds",
            "When the first of them will be replaced, as Unix time; 0 while none will be",
            self.replacement.clone(),
        );
        registry.register(
            "overlay_switch_oldest_seconds",
            "How long the oldest switch has been held",
            self.oldest.clone(),
        );
        registry.register(
            "overlay_cache_age_seconds",
            "Time since the watch of Networks last sent a heartbeat",
            self.age.clone(),
        );
        registry.register(
            "overlay_switch_releases",
            "Switches that were let through, by reason",
            self.releases.clone(),
        );
        registry.register(
            "overlay_switch_wait_seconds",
            "How long switches were held before they were let through",
            self.waits.clone(),
        );
        registry.register("overlay_switch_failures", "Turns of the controller that failed", self.failures.clone());
    }

    /// Counts what the landscape shows now.
    fn collect(&self) {
        let now = Timestamp::now();
        let snapshot = self.switching.snapshot();
        let [pending, approved, forced] = SwitchState::ALL.map(SwitchState::name);
        let (released, failed) = (Phase::Released.name(), "failed");
        let mut counts = [pending, approved, forced, released, failed].map(|state| (state, 0));
        let mut oldest = 0;
        for (_, network) in snapshot.switches() {
            let switch = &network.switch;
            let state = match switch.state.as_ref().and_then(Written::value) {
                Some(state) => state.name(),
                None if fails(network) => failed,
                None => released,
            };
            counts.iter_mut().filter(|(counted, _)| *counted == state).for_each(|(_, count)| *count += 1);
            if switch.state.is_some()
                && let Some(since) = switch.since.as_ref().and_then(Written::value)
            {
                oldest = oldest.max(now.duration_since(since).as_secs());
            }
        }
        for (state, count) in counts {
            self.switches.get_or_create(&State { state }).set(count);
        }
        self.oldest.set(oldest);
        self.age.set(self.switching.age().as_secs_f64());
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let ready: usize = progress.values().map(|seen| seen.ready).sum();
        let total: usize = progress.values().map(|seen| seen.total).sum();
        let at_risk: usize = progress.values().map(|seen| seen.at_risk).sum();
        self.at_risk.set(i64::try_from(at_risk).unwrap_or(i64::MAX));
        let first = progress.values().filter_map(|seen| seen.replacement).min();
        self.replacement.set(first.map_or(0, Timestamp::as_second));
        for (state, count) in [("routed", ready), ("missing", total - ready)] {
            self.nodes.get_or_create(&State { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl SwitchMetrics {
    pub(super) fn saw(&self, name: &NetworkName, routes: &Routes, replacement: Option<&Replacement>) {
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Seen {
            ready: routes.with_route.min(routes.nodes),
            total: routes.nodes,
            at_risk: replacement.map_or(0, |replacement| replacement.nodes),
            replacement: replacement.map(|replacement| replacement.deadline),
        };
        all.insert(name.clone(), seen);
    }

    pub(super) fn forget(&self, name: &NetworkName) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(super) fn released(&self, reason: &'static str, since: Option<Timestamp>, now: Timestamp) {
        self.releases.get_or_create(&Why { reason }).inc();
        if let Some(since) = since {
            self.waits.observe(now.duration_since(since).as_secs_f64());
        }
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// Resets what only a leader sees.
    pub(super) fn forget_all(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
