//! The routes of the HTTPS port.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;

use super::review::{Edge, review};
use super::{Limits, Metrics, Stop, body};
use crate::admission::Handler;
use crate::sources::LandscapeCache;
use crate::sources::live::LiveReads;

/// One POST route a handler; anything else is a 404 or 405 that says what there is.
pub(super) fn routes(
    handlers: Vec<Arc<dyn Handler>>,
    landscape: &Arc<LandscapeCache>,
    live: &LiveReads,
    limits: &Limits,
    metrics: &Arc<Metrics>,
    stop: &Stop,
) -> Router {
    let paths: Vec<&str> = handlers.iter().map(|handler| handler.path()).collect();
    let paths: Arc<str> = format!("POST {}\n", paths.join("\nPOST ")).into();
    let (limits, room) = (Arc::new(limits.clone()), Arc::new(body::Room::new(limits)));
    let mut router = Router::new();
    for handler in handlers {
        let edge = Edge {
            handler: Arc::clone(&handler),
            landscape: Arc::clone(landscape),
            live: live.clone(),
            limits: Arc::clone(&limits),
            room: Arc::clone(&room),
            metrics: Arc::clone(metrics),
        };
        let path = if handler.has_tail() { format!("{}/{{*tail}}", handler.path()) } else { handler.path().to_owned() };
        router = router.route(&path, post(review).with_state(edge));
    }
    #[cfg(feature = "bench")]
    let router = super::fixed::add(router, &limits, &room);
    let (on_panic, stop) = (Arc::clone(metrics), stop.clone());
    router
        .fallback(move || async move { (StatusCode::NOT_FOUND, format!("this server answers\n{paths}")) })
        .layer(CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| panicked(&on_panic)))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            close_when_draining(stop.clone(), request, next)
        }))
}

/// A handler that panics costs its call, and nothing else. Its text may hold what somebody else wrote: of a panic its
/// place is logged, by the hook of the process.
fn panicked(metrics: &Metrics) -> Response {
    tracing::error!("a handler panicked");
    metrics.panicked();
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}

async fn close_when_draining(stop: Stop, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if stop.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
