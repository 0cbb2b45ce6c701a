//! The edge: HTTPS in, decisions out.
//!
//! ```text
//! accept ─ TLS ─ HTTP/1.1 ─ routes ─ body (limits) ─ review ─ Handler
//!   accept.rs  tls.rs       routes.rs   body.rs      review.rs
//! ```
//!
//! `pool.rs` decides which connection has to go when there is no room for another one, `connections.rs` closes it;
//! `room.rs` decides the same of bodies in flight, `body.rs` ends them.
//! Only this floor and those above know sockets, deadlines and signals. `stop.rs` has the phases of a graceful stop,
//! `health.rs` and `metrics.rs` what is served on the two plain ports. That of probes has a thread of its own (`alive.rs`).

mod accept;
mod alive;
mod body;
mod connections;
mod descriptors;
#[cfg(feature = "bench")]
mod fixed;
mod health;
mod metrics;
mod pool;
mod review;
mod room;
mod routes;
mod stop;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use alive::Pace;
pub use metrics::Metrics;
pub use stop::Stop;
pub use tls::{Pair, PairFiles, PairSource, ServedCertificate, TlsError, TlsSources};

use crate::admission::Handler;
use crate::sources::LandscapeCache;
use crate::sources::live::LiveReads;

/// What protects the server from its callers. The defaults are those of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes: an API server sends at most two objects of 3 MiB and some (7 MiB, the limit that
    /// controller-runtime uses).
    pub body_bytes: usize,
    /// All bodies in flight together, in bytes; one more is read when there is no room left, so that there will be some.
    pub bodies_in_flight_bytes: usize,
    /// How long a body may wait for room among those before its sender is told to come again.
    pub body_wait: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Connections of one port that have sent a request. For one more that one is closed which has been idle for longest,
    /// of the address that has most of those that have an idle one; if there is none, the caller is told to retry, unless
    /// others with more have requests that do not arrive, or calls that do not end.
    pub connections: usize,
    /// Connections of one port that have sent no request yet: in their TLS handshake, or after it. For one more one is
    /// closed that has said nothing for a second, of the address that has most of them; if there is none, the oldest.
    pub handshakes: usize,
    /// The same for one address, or one /64 of IPv6, while all of that is taken. API servers behind one node may have one address.
    pub handshakes_per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a request's headers may take, idle time before them included. It has to be longer than the 90 s for
    /// which an API server keeps an idle connection, or its next call would race our closing.
    pub header_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 7 << 20,
            bodies_in_flight_bytes: 64 << 20,
            body_wait: Duration::from_secs(1),
            body_timeout: Duration::from_secs(10),
            connections: 1_024,
            // Each costs 64 KiB at most. A handshake takes about a millisecond of CPU, so half of these is what one
            // core does in a quarter of a second: far more than an API server begins at the same time.
            handshakes: 512,
            handshakes_per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// What Shoots may send: their StatefulSets are some 20 KiB, and what they take is never taken from the Seed.
    fn for_shoots(&self) -> Self {
        let body_bytes = self.body_bytes.min(1 << 20);
        let bodies_in_flight_bytes = self.bodies_in_flight_bytes.min(8 << 20).max(body_bytes);
        Self { body_bytes, bodies_in_flight_bytes, ..self.clone() }
    }

    /// What kubelet and Prometheus need, which have a few connections.
    fn for_probes(&self) -> Self {
        Self {
            connections: self.connections.min(64),
            handshakes: self.handshakes.min(64),
            handshakes_per_address: self.handshakes_per_address.min(32),
            ..self.clone()
        }
    }
}

/// How a stop proceeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StopSettings {
    /// How long the server goes on, not ready and closing connections after each answer, until no API server sends
    /// anything new. Endpoints and their proxies take a few seconds to follow.
    pub propagation_delay: Duration,
    /// How long connections that are idle then are left to their clients. A POST that meets our closing is a failed call,
    /// so it has to be longer than clients keep an idle connection: 90 s for an API server. A connection that was used
    /// since the stop began was closed with its answer, so none that is left was used later; but one may have been opened
    /// in the last moment of the propagation delay, and never used. It counts in its client's pool from the end of its
    /// handshake, for which there are 10 s.
    pub idle_timeout: Duration,
    /// How long calls in flight may take after that.
    pub drain_timeout: Duration,
}

impl Default for StopSettings {
    fn default() -> Self {
        Self {
            propagation_delay: Duration::from_secs(15),
            // 90 s in the pool, 10 s for a handshake, and a rest.
            idle_timeout: Duration::from_secs(105),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Where the server listens. Port 0 takes a free one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// HTTPS, the webhooks.
    pub webhooks: SocketAddr,
    /// HTTPS, what API servers of Shoots call; `None` if they call nothing.
    pub shoots: Option<SocketAddr>,
    /// HTTP, `/healthz` and `/readyz`.
    pub health: SocketAddr,
    /// HTTP, `/metrics`.
    pub metrics: SocketAddr,
}

/// Everything that a server is made of.
pub struct Parts {
    /// The webhooks.
    pub handlers: Vec<Arc<dyn Handler>>,
    /// The webhooks of Shoots. They have a port of their own: whoever has a Shoot can make its API server send any review
    /// to any path of a port that it reaches.
    pub shoot_handlers: Vec<Arc<dyn Handler>>,
    /// What they decide from.
    pub landscape: Arc<LandscapeCache>,
    /// What answers their questions.
    pub live: LiveReads,
    /// The certificate, already loaded once.
    pub tls: Arc<tls::Tls>,
    /// Limits.
    pub limits: Limits,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The stop.
    pub stop: Stop,
    /// When it counts as stuck, and as hanging.
    pub pace: Pace,
}

/// A server that has its ports.
pub struct Server {
    webhooks: TcpListener,
    shoots: Option<TcpListener>,
    health: TcpListener,
    metrics: TcpListener,
    parts: Parts,
}

impl Parts {
    /// Loads a certificate for a server.
    pub fn load_tls(sources: TlsSources, metrics: &Metrics) -> Result<Arc<tls::Tls>, TlsError> {
        tls::Tls::load(sources, metrics).map(Arc::new)
    }
}

impl Server {
    /// Takes the ports, and as many file descriptors as the process may have.
    pub async fn bind(addresses: Addresses, parts: Parts) -> std::io::Result<Self> {
        descriptors::raise(&parts.limits, addresses.shoots.is_some());
        let for_shoots = parts.shoot_handlers.iter().filter(|_| addresses.shoots.is_some());
        parts.metrics.expect(parts.handlers.iter().chain(for_shoots).map(|handler| handler.name()));
        let bind = async |address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        Ok(Self {
            webhooks: bind(addresses.webhooks).await?,
            shoots: match addresses.shoots {
                Some(address) => Some(bind(address).await?),
                None => None,
            },
            health: bind(addresses.health).await?,
            metrics: bind(addresses.metrics).await?,
            parts,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            webhooks: self.webhooks.local_addr()?,
            shoots: self.shoots.as_ref().map(TcpListener::local_addr).transpose()?,
            health: self.health.local_addr()?,
            metrics: self.metrics.local_addr()?,
        })
    }

    /// Serves until the stop has run its course. Health and metrics are served to the very end.
    pub async fn run(self) {
        let Self { webhooks, shoots, health, metrics, parts } = self;
        let Parts { handlers, shoot_handlers, landscape, live, tls, limits, metrics: registry, stop, pace } = parts;
        let pulse = Arc::new(alive::Pulse::new(pace));
        let health_state = health::State {
            landscape: Arc::clone(&landscape),
            tls: Arc::clone(&tls),
            stop: stop.clone(),
            pulse: Arc::clone(&pulse),
        };
        let metrics_routes = health::metrics_routes(health::MetricsState {
            health: health_state.clone(),
            metrics: Arc::clone(&registry),
        });
        let health_routes = health::health_routes(health_state);
        let routes = routes::routes(handlers, &landscape, &live, &limits, &registry, &stop);
        let shoot_limits = limits.for_shoots();
        let shoot_routes = routes::routes(shoot_handlers, &landscape, &live, &shoot_limits, &registry, &stop);
        let ports = Arc::new(connections::Ports::default());
        let shoots = async {
            if let Some(listener) = shoots {
                let acceptor = tls::ToAnyone(&tls);
                accept::serve(
                    ("shoots", listener),
                    &acceptor,
                    shoot_routes,
                    &shoot_limits,
                    (&ports, &registry),
                    (stop.closing(), stop.leaving()),
                )
                .await;
            }
        };

        let background = TaskTracker::new();
        let all = (Arc::clone(&ports), Arc::clone(&registry));
        match alive::serve(health, health_routes, limits.for_probes(), all, stop.clone(), Arc::clone(&pulse)) {
            Ok(ended) => drop(background.spawn(ended)),
            // Nobody would call it ready.
            Err(error) => tracing::error!(%error, "the port of probes is not served"),
        }
        background.spawn({
            let stop = stop.clone();
            async move {
                tokio::select! {
                    () = pulse.beat() => {}
                    () = stop.finished() => {}
                }
            }
        });
        background.spawn({
            let (limits, registry, stop) = (limits.for_probes(), Arc::clone(&registry), stop.clone());
            let ports = Arc::clone(&ports);
            async move {
                let (port, phases) = (("metrics", metrics), (stop.finished(), stop.finished()));
                accept::serve(port, &accept::Plain, metrics_routes, &limits, (&ports, &registry), phases).await;
            }
        });
        background.spawn({
            let (tls, registry, stop) = (Arc::clone(&tls), Arc::clone(&registry), stop.clone());
            async move {
                tokio::select! {
                    () = registry.tasks().run(tls::TASK, || tls.keep_fresh(&registry)) => {}
                    () = stop.finished() => {}
                }
            }
        });
        background.close();
        tokio::select! {
            ((), ()) = async {
                let phases = (stop.closing(), stop.leaving());
                let all = (&*ports, &registry);
                tokio::join!(accept::serve(("webhooks", webhooks), &*tls, routes, &limits, all, phases), shoots)
            } => {}
            () = stop.aborted() => {}
        }
        stop.finish();
        // A probe or a scrape that is stuck holds up nothing.
        let _ = tokio::time::timeout(Duration::from_secs(1), background.wait()).await;
    }
}
