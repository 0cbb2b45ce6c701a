//! The plain HTTP ports: `/healthz` and `/readyz` for kubelet, `/metrics` for Prometheus. The port of the probes has a
//! thread of its own (`alive.rs`).

mod alive;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, extract};
use http::{HeaderMap, StatusCode, header};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use self::alive::Pace;
pub(crate) use self::alive::{Pulse, serve};
use super::metrics::{Collector, Format, Metrics};
use super::stop::Stop;
use super::tls::Tls;

/// Conditions of readiness besides those that every server has.
pub trait Readiness: Send + Sync {
    /// The conditions by name, and whether each holds.
    fn conditions(&self) -> Vec<(&'static str, bool)>;

    /// One more line for people; nothing depends on it.
    fn remark(&self) -> String;
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) readiness: Arc<dyn Readiness>,
    pub(crate) tls: Arc<Tls>,
    pub(crate) stop: Stop,
    pub(crate) pulse: Arc<Pulse>,
}

impl State {
    fn conditions(&self) -> Vec<(&'static str, bool)> {
        let mut conditions = self.readiness.conditions();
        conditions.extend([
            ("certificate valid", self.tls.is_valid()),
            ("not stopping", !self.stop.is_draining()),
            ("runtime moves", self.pulse.is_steady()),
        ]);
        conditions
    }
}

fn hold(conditions: &[(&'static str, bool)]) -> bool {
    conditions.iter().all(|(_, holds)| *holds)
}

/// Whether this replica is ready, as a metric.
pub(crate) struct ReadyMetrics {
    state: State,
    ready: Gauge,
}

impl ReadyMetrics {
    pub(crate) fn new(state: State) -> Self {
        Self { state, ready: Gauge::default() }
    }
}

impl Collector for ReadyMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("ready", "Whether this replica is ready, as /readyz says", self.ready.clone());
    }

    fn collect(&self) {
        self.ready.set(hold(&self.state.conditions()).into());
    }
}

/// `/healthz` succeeds unless the runtime that answers calls hangs; `/readyz` lists its conditions.
pub(crate) fn health_routes(state: State) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(state)
}

/// `/metrics`.
pub(crate) fn metrics_routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(metrics)
}

async fn alive(extract::State(state): extract::State<State>) -> (StatusCode, &'static str) {
    if state.pulse.is_felt() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the runtime has not moved for minutes\n")
    }
}

async fn ready(extract::State(state): extract::State<State>) -> Response {
    let conditions = state.conditions();
    let status = if hold(&conditions) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut lines = String::new();
    for (name, holds) in conditions {
        lines += if holds { "[+] " } else { "[-] " };
        lines += name;
        lines.push('\n');
    }
    (status, format!("{lines}{}\n", state.readiness.remark())).into_response()
}

async fn scrape(extract::State(metrics): extract::State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    match metrics.render(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
