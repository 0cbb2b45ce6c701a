//! The server of the webhooks: one port for the API server that is watched, and one for API servers of Shoots.

use std::net::SocketAddr;
use std::sync::Arc;

use super::ask::{self, Asking, ReviewMetrics};
use network_guard_core::admission::Handler;
use network_guard_runtime::health::Pace;
use network_guard_runtime::https::Limits;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::server::{self, Callers, Port};
use network_guard_runtime::stop::Stop;
use network_guard_runtime::tls::Tls;
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::LiveReads;
use network_guard_sources::metrics::LandscapeMetrics;

/// The addresses of the server. Port 0 takes a free port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// HTTPS, the webhooks.
    pub webhooks: SocketAddr,
    /// HTTPS, for API servers of Shoots; `None` if they call nothing.
    pub shoots: Option<SocketAddr>,
    /// HTTP, `/healthz` and `/readyz`.
    pub health: SocketAddr,
    /// HTTP, `/metrics`.
    pub metrics: SocketAddr,
}

/// The parts of a server.
pub struct ServerDeps {
    /// The webhooks.
    pub handlers: Vec<Arc<dyn Handler>>,
    /// The webhooks of Shoots. They have a port of their own: the owner of a Shoot can make its API server send any
    /// review to any path of a port that it reaches.
    pub shoot_handlers: Vec<Arc<dyn Handler>>,
    /// The landscape of their decisions.
    pub landscape: Arc<LandscapeCache>,
    /// The source of answers to their questions.
    pub live: LiveReads,
    /// The certificate, already loaded once.
    pub tls: Arc<Tls>,
    /// Limits.
    pub limits: Limits,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The stop.
    pub stop: Stop,
    /// When the runtime counts as stuck, and as hanging.
    pub pace: Pace,
}

/// A server that is bound to its ports.
pub struct Server(server::Server);

impl Server {
    /// Binds the ports, and raises the limit of file descriptors.
    pub fn bind(addresses: Addresses, deps: ServerDeps) -> std::io::Result<Self> {
        let ServerDeps { handlers, shoot_handlers, landscape, live, tls, limits, metrics, stop, pace } = deps;
        let reviews = Arc::new(ReviewMetrics::default());
        let served_to_shoots = shoot_handlers.iter().filter(|_| addresses.shoots.is_some());
        reviews.expect(handlers.iter().chain(served_to_shoots).map(|handler| handler.name()));
        metrics.add(Arc::clone(&reviews) as _);
        metrics.add(Arc::new(LandscapeMetrics::new(Arc::clone(&landscape))));

        let asking = Asking { landscape: Arc::clone(&landscape), live, metrics: reviews };
        let shoots = addresses.shoots.map(|address| Port {
            name: "shoots",
            address,
            endpoints: ask::endpoints(shoot_handlers, &asking),
            callers: Callers::Anyone,
            limits: for_shoots(&limits),
        });
        let webhooks = Port {
            name: "webhooks",
            address: addresses.webhooks,
            endpoints: ask::endpoints(handlers, &asking),
            callers: Callers::OfClientCas,
            limits: limits.clone(),
        };
        let deps = server::ServerDeps {
            ports: [webhooks].into_iter().chain(shoots).collect(),
            health_address: addresses.health,
            metrics_address: addresses.metrics,
            readiness: landscape,
            tls,
            plain_limits: limits,
            metrics,
            stop,
            pace,
        };
        server::Server::bind(deps).map(Self)
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let server::Addresses { ports, health, metrics } = self.0.addresses()?;
        Ok(Addresses { webhooks: ports[0], shoots: ports.get(1).copied(), health, metrics })
    }

    /// Serves until the stop is complete. Health and metrics are served to the very end.
    pub async fn run(self) {
        self.0.run().await;
    }
}

/// The limits for Shoots: their StatefulSets are some 20 KiB, and they take nothing from the Seed's share.
fn for_shoots(limits: &Limits) -> Limits {
    let body_bytes = limits.body_bytes.min(1 << 20);
    let bodies_in_flight_bytes = limits.bodies_in_flight_bytes.min(8 << 20).max(body_bytes);
    Limits { body_bytes, bodies_in_flight_bytes, ..limits.clone() }
}
