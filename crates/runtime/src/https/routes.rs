//! The routes of an HTTPS port.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, StatusCode, header};
use tower::util::MapResponseLayer;
use tower_http::catch_panic::CatchPanicLayer;

use super::endpoint::{Route, call};
use super::{Endpoint, HttpsMetrics, Limits, body};
use crate::stop::Stop;

/// One POST route for each endpoint; anything else gets a 404 or 405 that lists the routes.
pub(crate) fn routes(
    endpoints: Vec<Arc<dyn Endpoint>>,
    limits: &Limits,
    metrics: &Arc<HttpsMetrics>,
    stop: &Stop,
) -> Router {
    let paths: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.path()).collect();
    let paths: Arc<str> = format!("POST {}\n", paths.join("\nPOST ")).into();
    let (limits, room) = (Arc::new(limits.clone()), Arc::new(body::Room::new(limits)));
    let mut router = Router::new();
    for endpoint in endpoints {
        let path = endpoint.path();
        let path = if endpoint.has_path_suffix() { format!("{path}/{{*suffix}}") } else { path.to_owned() };
        let route =
            Route { endpoint, limits: Arc::clone(&limits), room: Arc::clone(&room), metrics: Arc::clone(metrics) };
        router = router.route(&path, post(call).with_state(route));
    }
    #[cfg(feature = "bench")]
    let router = super::fixed::add(router, &limits, &room);
    // Shared: to clone it takes locks, which each call would pay for.
    let (on_panic, stop) = (Arc::clone(metrics), Arc::new(stop.clone()));
    router
        .fallback(move || async move { (StatusCode::NOT_FOUND, format!("this server answers\n{paths}")) })
        .layer(CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| panicked(&on_panic)))
        .layer(MapResponseLayer::new(move |response| close_when_draining(&stop, response)))
}

/// A handler that panics fails its own call, and nothing else. The text of a panic may hold what somebody else wrote,
/// so only its place is logged, by the panic hook of the process.
fn panicked(metrics: &HttpsMetrics) -> Response {
    tracing::error!("a handler panicked");
    metrics.panicked();
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}

fn close_when_draining(stop: &Stop, mut response: Response) -> Response {
    if stop.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::future::BoxFuture;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::https::{Call, Plain, Ports, Reply, serve};

    /// Replies with what it was given.
    struct Echo;

    impl Endpoint for Echo {
        fn path(&self) -> &'static str {
            "/echo"
        }

        fn has_path_suffix(&self) -> bool {
            true
        }

        fn answer<'c>(&'c self, call: Call<'c>) -> BoxFuture<'c, Reply> {
            let Call { body, path_suffix, started, deadline } = call;
            let time = deadline.duration_since(started).as_millis();
            let text = format!("{path_suffix} {time} {}", String::from_utf8_lossy(body));
            Box::pin(ready(Reply::text(StatusCode::IM_A_TEAPOT, text)))
        }
    }

    async fn post(address: std::net::SocketAddr, path: &str, content_type: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\n");
        stream.write_all(format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_endpoint_gets_the_body_the_path_suffix_and_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (limits, metrics, ports) = (Limits::default(), Arc::new(HttpsMetrics::default()), Ports::default());
        let routes = routes(vec![Arc::new(Echo)], &limits, &metrics, &Stop::default());
        let phases = (pending(), pending());
        let serving = serve(("test", listener), Arc::new(Plain), routes, &limits, (&ports, &metrics), phases);
        let calls = async {
            for (path, content_type, status, end) in [
                ("/echo/a/b?timeout=3s", "application/json", 418, "\r\n\r\na/b 2500 {}"),
                ("/echo/a", "text/plain", 415, "application/json`\n"),
                ("/echo", "application/json", 404, "this server answers\nPOST /echo\n"),
            ] {
                let answer = post(address, path, content_type).await;
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(end),
                    "{path}: {answer}"
                );
            }
        };
        tokio::select! {
            () = serving => panic!("it ended"),
            () = calls => {}
        }
    }
}
