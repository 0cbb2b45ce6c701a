//! An API server in trouble: a proxy by plain HTTP in front of a real one, which passes on what it should, and the rest as
//! it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body as KubeBody;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What happens to lists and watches of a kind of objects.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Each is answered with this status, and what is open is cut.
    Status(u16),
    /// The same with the wish to be asked again after a second.
    RetryAfter(u16),
    /// Each watch gets an error of this code as its first event.
    ErrorEvent(u16),
    /// Each watch gets these bytes, and ends.
    Bytes(&'static str),
    /// Each ends at once, in good order.
    Ends,
    /// Each is cut in the middle of its next piece.
    Cut,
    /// Nobody answers, and what is open falls silent.
    Silent,
    /// Each begins well and falls silent.
    Mute,
    /// Each piece takes this long.
    Slow(Duration),
}

/// The proxy; it ends with the test.
pub struct Faults {
    port: u16,
    fault: watch::Sender<Fault>,
    seen: Arc<Seen>,
    _runtime: Arc<Runtime>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    gone: AtomicUsize,
}

#[derive(Clone)]
struct Proxy {
    upstream: kube::Client,
    collection: &'static str,
    fault: watch::Receiver<Fault>,
    seen: Arc<Seen>,
}

impl Faults {
    /// Starts it in front of an API server, with the credentials of these. Faults are those of a collection; an empty one
    /// means all that is asked.
    pub fn start(runtime: &Arc<Runtime>, upstream: kube::Client, collection: &'static str) -> Self {
        let (fault, receiver) = watch::channel(Fault::Pass);
        let seen = Arc::<Seen>::default();
        let proxy = Proxy { upstream, collection, fault: receiver, seen: Arc::clone(&seen) };
        let routes = Router::new().fallback(answer).with_state(proxy);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { port, fault, seen, _runtime: Arc::clone(runtime) }
    }

    /// How to talk to it.
    pub fn config(&self) -> kube::Config {
        let mut config = kube::Config::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap());
        config.read_timeout = None;
        config
    }

    /// What happens from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The lists and watches of Clusters that were asked for.
    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// How often the real API server said by itself that what was asked for is gone.
    pub fn gone(&self) -> usize {
        self.seen.gone.load(Ordering::SeqCst)
    }
}

fn failure(code: u16) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": if code == 410 { "Expired" } else { "" }, "message": "planted"})
    .to_string()
}

fn error_event(code: u16) -> String {
    format!(r#"{{"type":"ERROR","object":{}}}"#, failure(code)) + "\n"
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    if !request.uri().path().ends_with(proxy.collection) {
        return proxy.pass(request, None).await;
    }
    if request.uri().path().ends_with("/clusters") {
        proxy.seen.requests.fetch_add(1, Ordering::SeqCst);
    }
    let mut changes = proxy.fault.clone();
    let fault = changes.borrow_and_update().clone();
    match fault {
        Fault::Pass | Fault::Cut | Fault::Mute => proxy.pass(request, Some(changes)).await,
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            proxy.pass(request, Some(changes)).await
        }
        Fault::Status(code) => (StatusCode::from_u16(code).unwrap(), failure(code)).into_response(),
        Fault::RetryAfter(code) => {
            (StatusCode::from_u16(code).unwrap(), [(header::RETRY_AFTER, "1")], failure(code)).into_response()
        }
        Fault::ErrorEvent(code) => error_event(code).into_response(),
        Fault::Bytes(bytes) => bytes.into_response(),
        Fault::Ends => StatusCode::OK.into_response(),
        Fault::Silent => {
            let _ = changes.changed().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// A body on its way.
struct Passing {
    body: KubeBody,
    changes: watch::Receiver<Fault>,
    /// What is sent before it breaks off.
    is_cut: bool,
    is_over: bool,
    seen: Arc<Seen>,
}

impl Proxy {
    async fn pass(&self, request: Request, changes: Option<watch::Receiver<Fault>>) -> Response {
        let (mut parts, body) = request.into_parts();
        parts.headers.remove(header::HOST);
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let Ok(response) = self.upstream.send(http::Request::from_parts(parts, KubeBody::from(body))).await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::TRANSFER_ENCODING);
        if parts.status == StatusCode::GONE {
            self.seen.gone.fetch_add(1, Ordering::SeqCst);
        }
        let body = match changes {
            None => Body::new(body),
            Some(changes) => {
                parts.headers.remove(header::CONTENT_LENGTH);
                let seen = Arc::clone(&self.seen);
                let passing = Passing { body, changes, is_cut: false, is_over: false, seen };
                Body::from_stream(stream::unfold(passing, Passing::next))
            }
        };
        Response::from_parts(parts, body)
    }
}

impl Passing {
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        if self.is_cut {
            (self.is_cut, self.is_over) = (false, true);
            return Some((Err(std::io::Error::other("cut")), self));
        }
        if self.is_over {
            return None;
        }
        loop {
            let fault = self.changes.borrow_and_update().clone();
            let (pause, is_cut) = match fault {
                Fault::Pass => (Duration::ZERO, false),
                Fault::Slow(pause) => (pause, false),
                Fault::Cut => (Duration::ZERO, true),
                Fault::Silent | Fault::Mute => {
                    self.changes.changed().await.ok()?;
                    continue;
                }
                Fault::Ends => return None,
                Fault::Status(_) | Fault::RetryAfter(_) => {
                    self.is_over = true;
                    return Some((Err(std::io::Error::other("cut")), self));
                }
                Fault::ErrorEvent(code) => {
                    self.is_over = true;
                    return Some((Ok(error_event(code).into()), self));
                }
                Fault::Bytes(bytes) => {
                    self.is_over = true;
                    return Some((Ok(bytes.into()), self));
                }
            };
            let frame = tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    continue;
                }
                frame = self.body.frame() => frame?,
            };
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => {
                    self.is_over = true;
                    return Some((Err(std::io::Error::other(error)), self));
                }
            };
            if data.windows(12).any(|bytes| bytes == br#""code":410}}"#) {
                self.seen.gone.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(pause).await;
            self.is_cut = is_cut;
            // On a busy machine one piece may have several events; none of them gets through.
            let first = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
            let data = if is_cut { data.slice(..first / 2) } else { data };
            return Some((Ok(data), self));
        }
    }
}
