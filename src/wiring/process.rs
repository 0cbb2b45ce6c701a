//! The common part of all servers: from the parts of a server to the end of its process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use prometheus_client::metrics::info::Info;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::leader::Leader;
use super::webhook_server::{Addresses, Server, ServerDeps};
use super::{Sources, webhooks};
use crate::config::Configuration;
use network_guard_core::admission::Handler;
use network_guard_runtime::health::Pace;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::stop::{Stop, StopSettings};
use network_guard_runtime::tls::{PairSource, Tls, TlsSources};
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::LiveReads;

/// The addresses of a server, and its permitted callers.
#[derive(Clone, Debug)]
pub struct Listen {
    /// HTTPS, the webhooks.
    pub webhooks: SocketAddr,
    /// HTTP, `/healthz` and `/readyz`.
    pub health: SocketAddr,
    /// HTTP, `/metrics`.
    pub metrics: SocketAddr,
    /// CAs of clients, PEM: with them only API servers with a certificate of one of them may call.
    pub client_ca_file: Option<PathBuf>,
}

/// What differs between the servers.
pub(super) struct ProcessDeps {
    pub(super) landscape: Arc<LandscapeCache>,
    pub(super) live: LiveReads,
    pub(super) sources: Sources,
    pub(super) metrics: Metrics,
    pub(super) handlers: Vec<Arc<dyn Handler>>,
    /// The address for API servers of Shoots, if any.
    pub(super) shoots: Option<SocketAddr>,
    /// The work of the leader.
    pub(super) leader: Option<Leader>,
    /// The certificate that is served.
    pub(super) pair: Arc<dyn PairSource>,
    pub(super) stop: StopSettings,
}

/// Runs the server to its end.
pub(super) fn block_on(server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(server);
    // Blocking work, such as reading a folder, must not delay the end.
    runtime.shutdown_timeout(LAST_WORK);
    result
}

/// How long work in progress may take when the process ends.
pub(super) const LAST_WORK: Duration = Duration::from_secs(1);

pub(super) async fn serve(
    listen: Listen,
    configuration: &Configuration,
    deps: ProcessDeps,
    greet: impl FnOnce(Addresses),
) -> anyhow::Result<()> {
    let ProcessDeps { landscape, live, mut sources, metrics, handlers, shoots, leader, pair, stop: stop_settings } =
        deps;
    let digest = configuration.digest();
    let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("digest", digest.clone())];
    metrics.register("configuration", "The release, and a digest of its configuration", Info::new(labels));
    let metrics = Arc::new(metrics);
    let tls = TlsSources { pair, client_ca: listen.client_ca_file, clock: Arc::clone(landscape.clock()) };
    let tls = Tls::load(tls, &metrics)?;
    let stop = Stop::default();
    let deps = ServerDeps {
        handlers,
        shoot_handlers: webhooks::of_shoots(configuration),
        landscape,
        live,
        tls,
        limits: configuration.limits.clone(),
        metrics,
        stop: stop.clone(),
        pace: Pace::default(),
    };
    let addresses = Addresses { webhooks: listen.webhooks, shoots, health: listen.health, metrics: listen.metrics };
    let server = Server::bind(addresses, deps)?;
    let addresses = server.addresses()?;
    tracing::info!(
        webhooks = %addresses.webhooks,
        shoots = addresses.shoots.map(tracing::field::display),
        health = %addresses.health,
        metrics = %addresses.metrics,
        version = env!("CARGO_PKG_VERSION"),
        configuration = digest,
        "serving"
    );
    greet(addresses);

    let stopped = stop.token();
    let mut leading = leader.map(|leader| tokio::spawn(leader.run(stop.token())));
    let stopping = tokio::spawn(stop_on_signal(stop, stop_settings));
    tokio::select! {
        () = server.run() => {
            // It was told to stop at the beginning of the stop, and may still be releasing its Lease.
            // A task that ended was joined already, and must not be polled again.
            if let Some(leading) = leading.as_mut().filter(|leading| !leading.is_finished()) {
                let _ = tokio::time::timeout(LEASE_DEADLINE, leading).await;
            }
            stopping.await?
        }
        ended = unexpected_end(&mut leading, &stopped) => Err(ended),
        // A server whose landscape is not updated any more must not go on.
        ended = sources.join_next() => match ended {
            None | Some(Ok(Ok(()))) => bail!("a source of the landscape ended"),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(anyhow!(error).context("a source of the landscape died")),
        },
    }
}

/// How long the release of the Lease may take.
const LEASE_DEADLINE: Duration = Duration::from_secs(2);

/// Ends when the leader ends, unless that was told to.
async fn unexpected_end(
    leading: &mut Option<JoinHandle<()>>,
    stopped: &tokio_util::sync::CancellationToken,
) -> anyhow::Error {
    let Some(leading) = leading else { return std::future::pending().await };
    let ended = leading.await;
    if stopped.is_cancelled() {
        std::future::pending::<()>().await;
    }
    match ended {
        Ok(()) => anyhow!("the controller ended"),
        Err(error) => anyhow!(error).context("the controller died"),
    }
}

/// The first signal starts the graceful stop, a second one ends the process at once.
async fn stop_on_signal(stop: Stop, settings: StopSettings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::select! {
        () = stop.run(&settings) => Ok(()),
        _ = terminate.recv() => abort(&stop),
        _ = interrupt.recv() => abort(&stop),
    }
}

fn abort(stop: &Stop) -> anyhow::Result<()> {
    stop.abort();
    bail!("aborted by a second signal")
}
