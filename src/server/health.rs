//! The plain ports: `/healthz` and `/readyz` for kubelet, `/metrics` for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::alive::Pulse;
use super::tls::Tls;
use super::{Metrics, Stop};
use crate::sources::Landscape;

#[derive(Clone)]
pub(super) struct State {
    pub(super) landscape: Arc<Landscape>,
    pub(super) tls: Arc<Tls>,
    pub(super) stop: Stop,
    pub(super) pulse: Arc<Pulse>,
}

#[derive(Clone)]
pub(super) struct MetricsState {
    pub(super) landscape: Arc<Landscape>,
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
    let conditions = [
        ("landscape read", state.landscape.is_synced()),
        ("certificate valid", state.tls.is_valid()),
        ("not stopping", !state.stop.is_draining()),
    ];
    let is_ready = conditions.iter().all(|(_, holds)| *holds);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut lines = String::new();
    for (name, holds) in conditions {
        lines += if holds { "[+] " } else { "[-] " };
        lines += name;
        lines.push('\n');
    }
    let age = state.landscape.age().as_secs();
    (status, format!("{lines}the landscape is {age} s old\n")).into_response()
}

async fn metrics(extract::State(state): extract::State<MetricsState>) -> Response {
    match state.metrics.render(&state.landscape) {
        Ok(text) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
