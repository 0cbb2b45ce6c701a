//! The open connections of one port: what [`pool`](super::pool) decides, done to real ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;

use super::pool::{Begun, Evicted, Peer, Places, Pool, Ticket};
use super::{Limits, Metrics};

/// How often the log says that connections are closed to make room, at most: an attacker must not fill it.
const TOLD: Duration = Duration::from_secs(60);

/// All open connections of one port.
pub(super) struct Connections {
    /// The port's name in metrics.
    port: &'static str,
    inner: Mutex<Inner>,
    metrics: Arc<Metrics>,
}

struct Inner {
    pool: Pool,
    /// Ends a connection when it is dropped.
    ends: HashMap<Ticket, oneshot::Sender<()>>,
    told: Option<Instant>,
}

/// One of them, until it is dropped.
pub(super) struct Connection {
    all: Arc<Connections>,
    ticket: Ticket,
}

/// One of its requests, until it is answered.
struct Call<'c>(&'c Connection);

impl Connections {
    pub(super) fn new(port: &'static str, limits: &Limits, metrics: &Arc<Metrics>) -> Arc<Self> {
        let places = Places {
            handshakes: limits.handshakes,
            handshakes_of_peer: limits.handshakes_per_address,
            established: limits.connections,
        };
        let inner = Inner { pool: Pool::new(places), ends: HashMap::new(), told: None };
        Arc::new(Self { port, inner: Mutex::new(inner), metrics: Arc::clone(metrics) })
    }

    /// Lets a connection in. The second one ends when it has to be closed.
    pub(super) fn arrive(self: &Arc<Self>, peer: Peer) -> (Arc<Connection>, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let ticket = self.change(|inner| {
            let (ticket, evicted) = inner.pool.arrive(peer);
            inner.ends.insert(ticket, end);
            (ticket, evicted)
        });
        (Arc::new(Connection { all: Arc::clone(self), ticket }), ended)
    }

    /// Closes one that has not sent a request yet, if there is one.
    pub(super) fn make_room(&self) -> bool {
        self.change(|inner| {
            let evicted = inner.pool.evict_oldest();
            (evicted.is_some(), evicted)
        })
    }

    /// Changes the pool, and does what follows from that.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> (T, Option<Evicted>)) -> T {
        let mut inner = self.lock();
        let before = inner.pool.counts();
        let (result, evicted) = change(&mut inner);
        if let Some(Evicted { ticket, was }) = evicted {
            inner.ends.remove(&ticket);
            self.metrics.connection_refused(was.reason());
            if inner.told.is_none_or(|told| told.elapsed() >= TOLD) {
                inner.told = Some(Instant::now());
                let (peer, reason) = (ticket.peer, was.reason());
                tracing::warn!(port = self.port, %peer, reason, "connections are closed to make room for others");
            }
        }
        let counts = inner.pool.counts();
        if counts != before {
            self.metrics.connected(self.port, counts);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.change(|inner| {
            inner.pool.leave(self.ticket);
            inner.ends.remove(&self.ticket);
            ((), None)
        });
    }
}

impl Connection {
    /// What answers its requests, each of which is noted.
    pub(super) fn service(
        self: Arc<Self>,
        routes: Router,
    ) -> impl hyper::service::HttpService<
        Incoming,
        ResBody = axum::body::Body,
        Error = std::convert::Infallible,
        Future: Send,
    > + Send {
        let routes = TowerToHyperService::new(routes);
        hyper::service::service_fn(move |request: Request<Incoming>| {
            let (connection, routes) = (Arc::clone(&self), routes.clone());
            async move {
                match connection.begin() {
                    Some(_call) => hyper::service::Service::call(&routes, request).await,
                    None => Ok(full()),
                }
            }
        })
    }

    /// The head of a request has arrived.
    fn begin(&self) -> Option<Call<'_>> {
        let begun = self.all.change(|inner| {
            let begun = inner.pool.begin(self.ticket);
            (begun, if let Begun::Yes(evicted) = begun { evicted } else { None })
        });
        match begun {
            Begun::Yes(_) => Some(Call(self)),
            Begun::Full => {
                self.all.metrics.connection_refused("too-many");
                None
            }
            // It is being closed in this very moment.
            Begun::Gone => None,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.all.lock().pool.end(self.0.ticket);
    }
}

/// An API server waits for as long as this says, and repeats the call on another connection within its deadline.
fn full() -> Response {
    let headers = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    (StatusCode::TOO_MANY_REQUESTS, headers, "too many connections, retry later\n").into_response()
}
