//! The plain ports: `/healthz` and `/readyz` for kubelet, `/metrics` for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};

use super::alive::Pulse;
use super::metrics::Format;
use super::tls::Tls;
use super::{Metrics, Stop};
use crate::sources::LandscapeCache;

#[derive(Clone)]
pub(super) struct State {
    pub(super) landscape: Arc<LandscapeCache>,
    pub(super) tls: Arc<Tls>,
    pub(super) stop: Stop,
    pub(super) pulse: Arc<Pulse>,
}

impl State {
    /// What has to hold for calls to be answered, in words, and whether it does.
    fn conditions(&self) -> [(&'static str, bool); 4] {
        [
            ("landscape read", self.landscape.is_synced()),
            ("certificate valid", self.tls.is_valid()),
            ("not stopping", !self.stop.is_draining()),
            ("runtime moves", self.pulse.is_steady()),
        ]
    }

    fn is_ready(&self) -> bool {
        self.conditions().iter().all(|(_, holds)| *holds)
    }
}

#[derive(Clone)]
pub(super) struct MetricsState {
    pub(super) health: State,
    pub(super) metrics: Arc<Metrics>,
}

/// `/healthz` is true unless the runtime that answers calls hangs; `/readyz` lists its conditions.
pub(super) fn health_routes(state: State) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(state)
}

/// `/metrics`.
pub(super) fn metrics_routes(state: MetricsState) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(state)
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
    let status =
        if conditions.iter().all(|(_, holds)| *holds) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut lines = String::new();
    for (name, holds) in conditions {
        lines += if holds { "[+] " } else { "[-] " };
        lines += name;
        lines.push('\n');
    }
    let age = state.landscape.age().as_secs();
    (status, format!("{lines}the landscape is {age} s old\n")).into_response()
}

async fn metrics(extract::State(state): extract::State<MetricsState>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    match state.metrics.render(&state.health.landscape, state.health.is_ready(), format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
