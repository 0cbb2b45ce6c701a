//! The open connections of one port: carries out what [`pool`](super::pool) decides.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;

use super::pool::{Begun, Evicted, FIRST_WORDS, Peer, Places, Pool, Ticket};
use super::{HttpsMetrics, Limits};

/// The longest interval between two log lines about closed connections: an attacker must not fill the log.
pub(super) const TOLD: Duration = Duration::from_secs(60);

/// All open connections of one port.
pub(super) struct Connections {
    /// The port's name in metrics.
    port: &'static str,
    inner: Mutex<Inner>,
    metrics: Arc<HttpsMetrics>,
}

struct Inner {
    pool: Pool,
    /// What is told to each connection.
    signals: BTreeMap<Ticket, Signals>,
    told: Option<Instant>,
}

struct Signals {
    /// Ends it when it is dropped.
    _end: oneshot::Sender<()>,
    /// Lets its handshake begin; none when it has.
    turn: Option<oneshot::Sender<()>>,
}

/// What a connection is told.
pub(super) struct Told {
    /// Ends when it has to be closed.
    pub(super) ended: oneshot::Receiver<()>,
    /// Ends when its handshake may begin.
    pub(super) turn: oneshot::Receiver<()>,
}

/// All ports: they share the file descriptors of the process.
#[derive(Default)]
pub(crate) struct Ports(Mutex<Vec<Weak<Connections>>>);

impl Ports {
    /// Registers a port.
    pub(super) fn open(&self, port: &'static str, limits: &Limits, metrics: &Arc<HttpsMetrics>) -> Arc<Connections> {
        let connections = Connections::new(port, limits, metrics);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connections));
        connections
    }

    /// Closes a connection of the port that has most.
    pub(super) fn make_room(&self) -> bool {
        let ports = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ports: Vec<_> = ports.iter().filter_map(Weak::upgrade).collect();
        ports.sort_by_cached_key(|port| std::cmp::Reverse(port.count()));
        ports.iter().any(|port| port.make_room())
    }
}

/// One connection, until it is dropped.
pub(super) struct Connection {
    all: Arc<Connections>,
    ticket: Ticket,
}

/// The sender of a request: each request has this as an extension.
#[derive(Clone)]
pub(super) struct Caller(Arc<Connection>);

impl Caller {
    /// The peer.
    pub(super) fn peer(&self) -> Peer {
        self.0.ticket.peer
    }

    /// The whole request has arrived.
    pub(super) fn received(&self) {
        self.0.all.lock().pool.received(self.0.ticket, Instant::now());
    }
}

/// One request of a connection, until its answer is written.
struct Call(Arc<Connection>);

/// The body of an answer.
pub(super) struct Answer {
    body: axum::body::Body,
    /// The connection is busy until this is dropped.
    _call: Option<Call>,
}

impl Connections {
    fn new(port: &'static str, limits: &Limits, metrics: &Arc<HttpsMetrics>) -> Arc<Self> {
        let places = Places {
            handshakes: limits.handshakes,
            handshakes_of_peer: limits.handshakes_per_address,
            established: limits.connections,
        };
        let inner = Inner { pool: Pool::new(places), signals: BTreeMap::new(), told: None };
        Arc::new(Self { port, inner: Mutex::new(inner), metrics: Arc::clone(metrics) })
    }

    /// Takes a connection.
    pub(super) fn arrive(self: &Arc<Self>, peer: Peer) -> (Arc<Connection>, Told) {
        let ((end, ended), (turn, is_turn)) = (oneshot::channel(), oneshot::channel());
        let ticket = self.change(|inner| {
            let (ticket, evicted) = inner.pool.arrive(peer);
            inner.signals.insert(ticket, Signals { _end: end, turn: Some(turn) });
            (ticket, evicted)
        });
        (Arc::new(Connection { all: Arc::clone(self), ticket }), Told { ended, turn: is_turn })
    }

    /// Closes a connection, if there is one.
    fn make_room(&self) -> bool {
        self.change(|inner| {
            let evicted = inner.pool.make_room(Instant::now());
            (evicted.is_some(), evicted)
        })
    }

    fn count(&self) -> usize {
        let (handshakes, established) = self.lock().pool.counts();
        handshakes + established
    }

    /// Changes the pool, and carries out the consequences.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> (T, Option<Evicted>)) -> T {
        let mut inner = self.lock();
        let before = inner.pool.counts();
        let (result, evicted) = change(&mut inner);
        self.close(&mut inner, evicted);
        // Whatever happened, there may be a place now.
        while let Some((ticket, evicted)) = inner.pool.admit(Instant::now()) {
            self.close(&mut inner, evicted);
            if let Some(turn) = inner.signals.get_mut(&ticket).and_then(|signals| signals.turn.take()) {
                let _ = turn.send(());
            }
        }
        let counts = inner.pool.counts();
        if counts != before {
            self.metrics.connected(self.port, counts);
        }
        result
    }

    /// Ends a connection that is counted no more.
    fn close(&self, inner: &mut Inner, evicted: Option<Evicted>) {
        let Some(Evicted { ticket, was }) = evicted else { return };
        inner.signals.remove(&ticket);
        self.metrics.connection_refused(was.reason());
        if inner.told.is_none_or(|told| told.elapsed() >= TOLD) {
            inner.told = Some(Instant::now());
            let (peer, reason) = (ticket.peer, was.reason());
            tracing::warn!(port = self.port, %peer, reason, "connections are closed to make room for others");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.change(|inner| {
            inner.pool.leave(self.ticket);
            inner.signals.remove(&self.ticket);
            ((), None)
        });
    }
}

impl Connection {
    /// Waits for its turn.
    pub(super) async fn turn(&self, mut turn: oneshot::Receiver<()>) {
        // A handshake of another one that lasts too long, or is silent, gives way only to somebody who asks.
        while tokio::time::timeout(FIRST_WORDS, &mut turn).await.is_err() {
            self.all.change(|_| ((), None));
        }
    }

    /// The first bytes have arrived.
    pub(super) fn speaks(&self) {
        self.all.lock().pool.speak(self.ticket);
    }

    /// Answers the requests of this connection, and records each of them.
    pub(super) fn service(
        self: Arc<Self>,
        routes: Router,
    ) -> impl hyper::service::HttpService<Incoming, ResBody = Answer, Error = std::convert::Infallible, Future: Send> + Send
    {
        let routes = TowerToHyperService::new(routes);
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let (connection, routes) = (Arc::clone(&self), routes.clone());
            let caller = Caller(Arc::clone(&connection));
            let call = connection.begin();
            async move {
                let Some(call) = call else { return Ok(full().map(|body| Answer { body, _call: None })) };
                if request.body().is_end_stream() {
                    caller.received();
                }
                request.extensions_mut().insert(caller);
                let response = hyper::service::Service::call(&routes, request).await?;
                Ok(response.map(|body| Answer { body, _call: Some(call) }))
            }
        })
    }

    /// The head of a request has arrived.
    fn begin(self: Arc<Self>) -> Option<Call> {
        let begun = self.all.change(|inner| {
            let begun = inner.pool.begin(self.ticket, Instant::now());
            (begun, if let Begun::Yes(evicted) = begun { evicted } else { None })
        });
        match begun {
            Begun::Yes(_) => Some(Call(self)),
            Begun::Full => {
                self.all.metrics.connection_refused("too-many");
                None
            }
            // The connection has just been told to close.
            Begun::Gone => None,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.all.lock().pool.end(self.0.ticket, Instant::now());
    }
}

impl Body for Answer {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The API server waits for as long as this header says, and repeats the call on another connection within its
/// deadline.
fn full() -> Response {
    let headers = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    (StatusCode::TOO_MANY_REQUESTS, headers, "too many connections, retry later\n").into_response()
}
