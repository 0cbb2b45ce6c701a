//! Fixed answers, the upper bound of this stack's throughput: the body is read, and nothing is done with it. Built for
//! benchmarks only.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, header};

use super::connections::Caller;
use super::{Limits, body};

#[derive(Clone)]
struct Edge {
    limits: Arc<Limits>,
    room: Arc<body::Room>,
    answer: Arc<OnceLock<Bytes>>,
}

/// `/fixed` answers that nothing is to be done. `/fixed-same` answers with the bytes of the first body that it was
/// sent, so that a benchmark can have it answer exactly what a webhook would.
pub(super) fn add(router: Router, limits: &Arc<Limits>, room: &Arc<body::Room>) -> Router {
    let edge = |answer| Edge { limits: Arc::clone(limits), room: Arc::clone(room), answer: Arc::new(answer) };
    let allowed =
        br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}"#;
    router
        .route("/fixed", post(fixed).with_state(edge(OnceLock::from(Bytes::from_static(allowed)))))
        .route("/fixed-same", post(fixed).with_state(edge(OnceLock::new())))
}

async fn fixed(State(edge): State<Edge>, request: Request) -> Response {
    let (mut parts, http_body) = request.into_parts();
    let caller = parts.extensions.remove::<Caller>().expect("each request has its caller");
    match body::read(&parts.headers, http_body, &caller, &edge.limits, &edge.room).await {
        Err(refusal) => refusal.answer().0.into_response(),
        Ok(held) => {
            let answer = edge.answer.get_or_init(|| Bytes::from(held.bytes)).clone();
            let mut response = Response::new(Body::from(answer));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    }
}
