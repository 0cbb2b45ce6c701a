//! A server: HTTPS ports, and two plain ones for probes and scrapes, from binding to the end of the stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::health::{self, Pace, Pulse, Readiness};
use super::https::{self, Endpoint, HttpsMetrics, Limits, Plain, Ports};
use super::metrics::Metrics;
use super::stop::Stop;
use super::tls::{self, Tls, ToAnyone};

/// One HTTPS port.
pub struct Port {
    /// Its name in metrics.
    pub name: &'static str,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// The endpoints of the port.
    pub endpoints: Vec<Arc<dyn Endpoint>>,
    /// Which clients may call.
    pub callers: Callers,
    /// The limits for them.
    pub limits: Limits,
}

/// Which clients may call a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Callers {
    /// Clients with a certificate of a client CA; all clients if there is no client CA.
    OfClientCas,
    /// Also clients without a certificate.
    Anyone,
}

/// The addresses of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The HTTPS ports, in the order in which they were given.
    pub ports: Vec<SocketAddr>,
    /// HTTP, `/healthz` and `/readyz`.
    pub health: SocketAddr,
    /// HTTP, `/metrics`.
    pub metrics: SocketAddr,
}

/// The parts of a server.
pub struct ServerDeps {
    /// The HTTPS ports.
    pub ports: Vec<Port>,
    /// Where `/healthz` and `/readyz` are served, by HTTP; port 0 takes a free one.
    pub health_address: SocketAddr,
    /// Where `/metrics` are served, by HTTP; port 0 takes a free one.
    pub metrics_address: SocketAddr,
    /// Further conditions of readiness.
    pub readiness: Arc<dyn Readiness>,
    /// The certificate, already loaded once.
    pub tls: Arc<Tls>,
    /// The settings of the stop, from which those of the plain ports follow.
    pub plain_limits: Limits,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The stop.
    pub stop: Stop,
    /// When the runtime counts as stuck, and as hanging.
    pub pace: Pace,
}

/// A server that is bound to its ports.
pub struct Server {
    listeners: Vec<TcpListener>,
    health: TcpListener,
    metrics: TcpListener,
    deps: ServerDeps,
}

impl Server {
    /// Binds the ports, and raises the limit of file descriptors.
    pub fn bind(deps: ServerDeps) -> std::io::Result<Self> {
        let plain = deps.plain_limits.for_probes();
        https::raise(deps.ports.iter().map(|port| &port.limits).chain([&plain, &plain]));
        let bind = |address: SocketAddr| {
            https::listen(address)
                .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        let mut listeners = Vec::new();
        for port in &deps.ports {
            listeners.push(bind(port.address)?);
        }
        let health = bind(deps.health_address)?;
        let metrics = bind(deps.metrics_address)?;
        Ok(Self { listeners, health, metrics, deps })
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            ports: self.listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?,
            health: self.health.local_addr()?,
            metrics: self.metrics.local_addr()?,
        })
    }

    /// Serves until the stop is complete. Health and metrics are served to the very end.
    pub async fn run(self) {
        let Self { listeners, health, metrics: metrics_listener, deps } = self;
        let ServerDeps { ports, readiness, tls, plain_limits, metrics, stop, pace, .. } = deps;
        let https_metrics = Arc::new(HttpsMetrics::default());
        metrics.add(Arc::clone(&https_metrics) as _);
        let pulse = Arc::new(Pulse::new(pace));
        let state = health::State { readiness, tls: Arc::clone(&tls), stop: stop.clone(), pulse: Arc::clone(&pulse) };
        metrics.add(Arc::new(health::ReadyMetrics::new(state.clone())));
        let metrics_routes = health::metrics_routes(Arc::clone(&metrics));
        let health_routes = health::health_routes(state);
        let limits = plain_limits.for_probes();
        let open = Arc::new(Ports::default());

        let background = TaskTracker::new();
        let all = (Arc::clone(&open), Arc::clone(&https_metrics));
        match health::serve(health, health_routes, limits.clone(), all, stop.clone(), Arc::clone(&pulse)) {
            Ok(ended) => drop(background.spawn(ended)),
            // Without probes the replica never becomes ready.
            Err(error) => tracing::error!(%error, "the port of the probes is not served"),
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
            let (open, https_metrics, stop) = (Arc::clone(&open), Arc::clone(&https_metrics), stop.clone());
            async move {
                let (port, phases) = (("metrics", metrics_listener), (stop.finished(), stop.finished()));
                https::serve(port, Arc::new(Plain), metrics_routes, &limits, (&open, &https_metrics), phases).await;
            }
        });
        background.spawn({
            let (tls, tasks, stop) = (Arc::clone(&tls), metrics.tasks().clone(), stop.clone());
            async move {
                tokio::select! {
                    () = tasks.run(tls::TASK, || tls.keep_fresh(&tasks)) => {}
                    () = stop.finished() => {}
                }
            }
        });
        background.close();
        // On the workers, where connections are: so the loops take turns with calls.
        let mut served: JoinSet<()> = ports
            .into_iter()
            .zip(listeners)
            .map(|(port, listener)| {
                let Port { name, endpoints, callers, limits, .. } = port;
                let routes = https::routes(endpoints, &limits, &https_metrics, &stop);
                let (tls, open, metrics, stop) =
                    (Arc::clone(&tls), Arc::clone(&open), Arc::clone(&https_metrics), stop.clone());
                async move {
                    let (port, all, phases) = ((name, listener), (&*open, &metrics), (stop.closing(), stop.leaving()));
                    match callers {
                        Callers::OfClientCas => https::serve(port, tls, routes, &limits, all, phases).await,
                        Callers::Anyone => {
                            https::serve(port, Arc::new(ToAnyone(tls)), routes, &limits, all, phases).await;
                        }
                    }
                }
            })
            .collect();
        tokio::select! {
            () = all_of(&mut served) => {}
            () = stop.aborted() => served.abort_all(),
        }
        stop.finish();
        // A probe or a scrape that is stuck delays nothing.
        let _ = tokio::time::timeout(Duration::from_secs(1), background.wait()).await;
    }
}

/// Ends when all of them have; a panic of one is one here.
async fn all_of(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "a port is gone")]
    async fn a_panic_of_a_port_ends_the_server() {
        let mut ports = JoinSet::new();
        ports.spawn(async { panic!("a port is gone") });
        ports.spawn(std::future::pending());
        all_of(&mut ports).await;
    }
}
