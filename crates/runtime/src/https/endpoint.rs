//! One call of an endpoint: reads its body within limits, and sends the reply of the endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};

use super::body::{self, Refusal};
use super::connections::Caller;
use super::{HttpsMetrics, Limits};

/// Answers the calls of one path, each of them a POST with a JSON body.
pub trait Endpoint: Send + Sync {
    /// The path.
    fn path(&self) -> &str;

    /// Whether the endpoint has the paths below this one instead of the path alone.
    fn has_path_suffix(&self) -> bool {
        false
    }

    /// Answers one call.
    fn answer<'c>(&'c self, call: Call<'c>) -> BoxFuture<'c, Reply>;
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// The body.
    pub body: &'c [u8],
    /// The rest of the path after that of the endpoint, without the slash between them.
    pub path_suffix: &'c str,
    /// When the headers had arrived.
    pub started: Instant,
    /// The deadline for look-ups.
    pub deadline: Instant,
}

/// What an endpoint replies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    status: StatusCode,
    body: Content,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Content {
    Json(Vec<u8>),
    Text(String),
}

impl Reply {
    /// A JSON object, with status 200.
    pub const fn json(body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, body: Content::Json(body) }
    }

    /// A text with a status.
    pub const fn text(status: StatusCode, text: String) -> Self {
        Self { status, body: Content::Text(text) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.body {
            Content::Json(body) => {
                let mut response = Response::new(Body::from(Bytes::from(body)));
                *response.status_mut() = self.status;
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Content::Text(text) => (self.status, text).into_response(),
        }
    }
}

/// The state of an endpoint's route.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) endpoint: Arc<dyn Endpoint>,
    pub(super) limits: Arc<Limits>,
    pub(super) room: Arc<body::Room>,
    pub(super) metrics: Arc<HttpsMetrics>,
}

/// The part of the API server's deadline that is kept for sending the answer back.
const MARGIN: Duration = Duration::from_millis(500);

/// The API server's default `timeoutSeconds`, for callers that do not send theirs.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers one call.
pub(super) async fn call(State(route): State<Route>, request: Request) -> Response {
    let started = Instant::now();
    let deadline = started + timeout(request.uri().query());
    let (mut parts, http_body) = request.into_parts();
    let caller = parts.extensions.remove::<Caller>().expect("each request has its caller");
    let held = match body::read(&parts.headers, http_body, &caller, &route.limits, &route.room).await {
        Ok(held) => held,
        Err(refusal) => {
            route.metrics.body_refused(refusal.answer().1);
            return refused(refusal);
        }
    };
    let path_suffix = parts.uri.path().strip_prefix(route.endpoint.path()).unwrap_or_default();
    let path_suffix = path_suffix.strip_prefix('/').unwrap_or_default();
    let call = Call { body: &held.bytes, path_suffix, started, deadline };
    route.endpoint.answer(call).await.into_response()
}

/// The time that an endpoint may take for look-ups: the API server's own `?timeout=`, in whole seconds, less the time
/// to send the answer back.
fn timeout(query: Option<&str>) -> Duration {
    let seconds = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(|value| value.strip_suffix('s')?.parse::<u64>().ok())
        .filter(|seconds| (1..=30).contains(seconds));
    seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs).saturating_sub(MARGIN)
}

fn refused(refusal: Refusal) -> Response {
    let (status, _, message) = refusal.answer();
    let mut response = (status, message).into_response();
    if matches!(refusal, Refusal::Busy | Refusal::GivesWay) {
        // The API server waits this long and repeats the call within its deadline.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if refusal == Refusal::GivesWay {
        // The rest of the body is not waited for.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_comes_from_the_caller() {
        for (query, want) in [
            (None, 9_500),
            (Some("timeout=5s"), 4_500),
            (Some("a=b&timeout=1s"), 500),
            (Some("timeout=30s"), 29_500),
            (Some("timeout=31s"), 9_500),
            (Some("timeout=0s"), 9_500),
            (Some("timeout=99999999999999999999s"), 9_500),
            (Some("timeout="), 9_500),
        ] {
            assert_eq!(timeout(query), Duration::from_millis(want), "{query:?}");
        }
    }
}
