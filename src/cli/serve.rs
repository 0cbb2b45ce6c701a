//! `network-guard serve`: the admission server.

mod all;
mod remote;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Configuration;
use super::log::{Level, Log, LogFormat};
use crate::admission::Handler;
use crate::controllers::registration::FailurePolicy;
use crate::controllers::{certificates, overlay};
use crate::handlers::{AdviseShoot, HoldNetwork, KubeApiserver, MutateShoot, ValidateShoot, VpnShoot};
use crate::server::{Addresses, Metrics, Pace, PairFiles, Parts, Server, Stop, StopSettings, TlsSources};
use crate::sources::LandscapeCache;
use crate::sources::keeper::Keeper;
use crate::sources::live::LiveReads;
use crate::sources::supervise::Supervisor;

#[derive(Debug, Subcommand)]
pub(super) enum Serve {
    /// The webhooks of a Seed, which watch its Clusters, and the controller of held overlay switches
    Seed(Seed),
    /// The webhooks of the virtual garden, which watch its Shoots and Seeds
    Garden(Garden),
    /// All webhooks on a folder of manifests: no Kubernetes needed, for trying out, tests and demos
    All(All),
}

#[derive(Debug, Args)]
pub(super) struct Remote {
    #[command(flatten)]
    common: Common,
    /// The kubeconfig of the Seed or the virtual garden; without it, for `garden` the file that GARDEN_KUBECONFIG
    /// names, then the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Seed {
    #[command(flatten)]
    remote: Remote,
    /// The namespace of the Lease by which one replica looks after held switches of the overlay; without it the
    /// configuration's `overlay.leaseNamespace`
    #[arg(long, value_name = "NAMESPACE", env = "NETWORK_GUARD_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Where the webhook of the VPN is served to API servers of Shoots, by HTTPS; only with `nat.shootWebhook` in the
    /// configuration. Shoots must not reach the other webhooks
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:10251", env = "NETWORK_GUARD_SHOOTS_BIND_ADDRESS")]
    shoots_bind_address: SocketAddr,
}

#[derive(Debug, Args)]
pub(super) struct Garden {
    #[command(flatten)]
    remote: Remote,
    /// The kubeconfig of the cluster in which the server runs, where the Secret and the Lease of self-managed certificates
    /// are; without it the Pod's own service account
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_RUNTIME_KUBECONFIG")]
    runtime_kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct All {
    #[command(flatten)]
    common: Common,
    /// The folder: .yaml, .yml and .json files in any depth, read again when they change
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_LANDSCAPE")]
    landscape: PathBuf,
}

#[derive(Debug, Args)]
struct Common {
    /// Where webhooks are served, by HTTPS
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:10250", env = "NETWORK_GUARD_BIND_ADDRESS")]
    bind_address: SocketAddr,
    /// Where /healthz and /readyz are served, by HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081", env = "NETWORK_GUARD_HEALTH_BIND_ADDRESS")]
    health_bind_address: SocketAddr,
    /// Where /metrics are served, by HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", env = "NETWORK_GUARD_METRICS_BIND_ADDRESS")]
    metrics_bind_address: SocketAddr,
    /// The folder with tls.crt and tls.key, read again when they change; absent where the configuration has
    /// `certificates`, and `serve all` makes its own
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// CAs of clients: with them only API servers that show a certificate of one may call
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CLIENT_CA_FILE")]
    client_ca_file: Option<PathBuf>,
    /// The configuration file, of kind NetworkGuardConfiguration
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace, also by module, such as info,network_guard=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "NETWORK_GUARD_LOG_LEVEL")]
    log_level: Level,
    /// How it is logged
    #[arg(long, value_name = "FORMAT", default_value = "json", env = "NETWORK_GUARD_LOG_FORMAT")]
    log_format: LogFormat,
}

/// What differs between the ways to serve.
struct Ready {
    landscape: Arc<LandscapeCache>,
    live: LiveReads,
    sources: JoinSet<anyhow::Result<()>>,
    metrics: Metrics,
    handlers: Vec<Arc<dyn Handler>>,
    /// Where API servers of Shoots call, should they.
    shoots: Option<SocketAddr>,
    /// The controller of overlay switches.
    controller: Option<Controller>,
    /// What issues certificates, where nobody else does.
    keeper: Option<Arc<Keeper>>,
    tls: TlsSources,
    stop: StopSettings,
}

/// What one replica of all does.
enum Controller {
    /// On a Seed: overlay switches, webhooks in Shoots, certificates.
    Seed(Box<overlay::Parts>),
    /// In the garden: certificates.
    Garden(Arc<certificates::Parts>, String),
}

impl Controller {
    /// What takes care of certificates.
    fn certificates(&self) -> Option<&Arc<certificates::Parts>> {
        match self {
            Self::Seed(parts) => parts.certificates.as_ref(),
            Self::Garden(parts, _) => Some(parts),
        }
    }
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let common = match &self {
            Self::Seed(seed) => &seed.remote.common,
            Self::Garden(garden) => &garden.remote.common,
            Self::All(all) => &all.common,
        };
        let log = Log::start(&common.log_level, common.log_format)?;
        let metrics = Metrics::new(&Supervisor::default()).with_lost_lines(log.lost());
        let mut configuration = match &common.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        if let Self::Seed(Seed { lease_namespace: Some(namespace), .. }) = &self {
            configuration.overlay.lease_namespace.clone_from(namespace);
        }
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        // A thread of its own: whatever the API servers of many Shoots send, it does not take the time of a webhook.
        let controllers = match &self {
            Self::Seed(_) => {
                Some(Builder::new_multi_thread().worker_threads(1).thread_name("overlay").enable_all().build()?)
            }
            Self::Garden(_) | Self::All(_) => None,
        };
        let result = runtime.block_on(async {
            match self {
                Self::Seed(seed) => {
                    let handle = controllers.as_ref().map(|runtime| runtime.handle().clone());
                    let shoots = configuration.nat.shoot_webhook.is_some().then_some(seed.shoots_bind_address);
                    Box::pin(seed.remote.serve(configuration, metrics, Role::Seed, shoots, handle, None)).await
                }
                Self::Garden(garden) => {
                    let runtime = garden.runtime_kubeconfig.as_deref();
                    Box::pin(garden.remote.serve(configuration, metrics, Role::Garden, None, None, runtime)).await
                }
                Self::All(all) => all.serve(configuration, metrics).await,
            }
        });
        // Blocking work, such as reading a folder, must not hold up the end.
        runtime.shutdown_timeout(Duration::from_secs(1));
        if let Some(controllers) = controllers {
            controllers.shutdown_timeout(Duration::from_secs(1));
        }
        result
    }
}

/// Whose API server is watched.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Seed,
    Garden,
}

impl Role {
    fn handlers(self, configuration: &Configuration) -> Vec<Arc<dyn Handler>> {
        match self {
            Self::Seed => vec![
                Arc::new(
                    KubeApiserver::new(&configuration.overlap, &configuration.nat.mode)
                        .tolerant(configuration.failure_policy() == FailurePolicy::Ignore),
                ),
                Arc::new(HoldNetwork::new(&configuration.overlay.switches.hold)),
            ],
            Self::Garden => vec![
                Arc::new(MutateShoot::new(&configuration.shoots)),
                Arc::new(ValidateShoot::new(&configuration.shoots)),
                Arc::new(AdviseShoot::new(&configuration.shoots)),
            ],
        }
    }
}

fn pair_files(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

async fn serve(
    common: Common,
    configuration: Configuration,
    ready: Ready,
    greet: impl FnOnce(Addresses),
) -> anyhow::Result<()> {
    let Ready { landscape, live, mut sources, metrics, handlers, shoots, controller, keeper, tls, stop: stop_settings } =
        ready;
    let digest = configuration.digest();
    let mut metrics = metrics.with_configuration(env!("CARGO_PKG_VERSION"), &digest);
    if let Some(Controller::Seed(controller)) = &controller {
        metrics = metrics.with_board(&controller.board).with_registrations(&controller.vpn_shoot.board);
    }
    let leads = Gauge::default();
    if controller.is_some() {
        metrics = metrics.with_leader(&leads);
    }
    let certificates = controller.as_ref().and_then(Controller::certificates);
    if let (Some(keeper), Some(certificates)) = (&keeper, certificates) {
        metrics = metrics.with_certificates(keeper, &certificates.board);
    }
    let tasks = metrics.tasks().clone();
    let metrics = Arc::new(metrics);
    let tls = Parts::load_tls(tls, &metrics)?;
    let stop = Stop::default();
    let shoot_handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(VpnShoot::new(&configuration.nat.mode))];
    let limits = configuration.limits;
    let parts = Parts {
        handlers,
        shoot_handlers,
        landscape,
        live,
        tls,
        limits,
        metrics,
        stop: stop.clone(),
        pace: Pace::default(),
    };
    let addresses = Addresses {
        webhooks: common.bind_address,
        shoots,
        health: common.health_bind_address,
        metrics: common.metrics_bind_address,
    };
    let server = Server::bind(addresses, parts).await?;
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

    let (token, stopped) = (stop.token(), stop.token());
    let stopping = tokio::spawn(stop_on_signal(stop, stop_settings));
    let is_controlled = controller.is_some();
    let mut controller = tokio::spawn(async move {
        match controller {
            Some(Controller::Seed(controller)) => overlay::run(*controller, leads, token).await,
            Some(Controller::Garden(parts, identity)) => certificates::run(parts, identity, leads, tasks, token).await,
            None => std::future::pending().await,
        }
    });
    tokio::select! {
        () = server.run() => {
            // It was told to stop at the beginning of that, and may still be giving its Lease away.
            // One that ended was heard of already, and must not be asked again.
            if is_controlled && !controller.is_finished() {
                let _ = tokio::time::timeout(LEASE_DEADLINE, &mut controller).await;
            }
            stopping.await?
        }
        ended = controlled(&mut controller, &stopped) => Err(ended),
        // A server whose landscape does not follow reality any more must not go on.
        ended = sources.join_next() => match ended {
            None | Some(Ok(Ok(()))) => bail!("a source of the landscape ended"),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(anyhow!(error).context("a source of the landscape died")),
        },
    }
}

/// How long the Lease may take to be given away.
const LEASE_DEADLINE: Duration = Duration::from_secs(2);

/// Ends when the controller does, unless it was told to.
async fn controlled(
    controller: &mut tokio::task::JoinHandle<Result<(), kube::Error>>,
    stopped: &CancellationToken,
) -> anyhow::Error {
    let ended = controller.await;
    if stopped.is_cancelled() {
        std::future::pending::<()>().await;
    }
    match ended {
        Ok(Ok(())) => anyhow!("the controller ended"),
        Ok(Err(error)) => anyhow!(error).context("the controller cannot run"),
        Err(error) => anyhow!(error).context("the controller died"),
    }
}

/// Who this replica is among all: the name of its Pod, and a number that no other process of that name has.
fn identity() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let number = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{}-{number:016x}", name.trim())
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admission;
    use crate::admission::{Outcome, Step};
    use crate::landscape::{Answer, Answers, Snapshot};

    /// What the handler refuses agrees with what is registered for the time when nobody answers.
    #[test]
    fn nothing_is_refused_that_may_be_missed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gardener/ha/deployment.json");
        let object: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "CREATE", "namespace": "shoot--local--ha", "name": "kube-apiserver",
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "userInfo": {"username": "gardenlet"},
                "object": object,
            },
        })
        .to_string();
        let own = "nat: {mode: own, image: x, shootWebhook: {url: 'https://x'}}";
        for (body, is_refused) in [
            (String::new(), true),
            ("overlap: {failurePolicy: Ignore}".to_owned(), false),
            ("overlap: {sidecar: always}".to_owned(), false),
            ("overlap: {sidecar: always, failurePolicy: Fail}".to_owned(), true),
            (format!("overlap: {{failurePolicy: Ignore}}\n{own}"), true),
        ] {
            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
            let configuration = Configuration::parse(&format!("{head}{body}")).unwrap();
            let handler = Role::Seed.handlers(&configuration).swap_remove(0);
            let request = admission::decode(review.as_bytes()).unwrap();
            let answers = Answers { cluster: Some(Answer::Absent), ..Answers::default() };
            let Step::Done(verdict) = handler.review(&request, &Snapshot::default(), &answers) else {
                panic!("{body}")
            };
            assert_eq!(verdict.outcome == Outcome::Denied, is_refused, "{body}: {verdict:?}");
        }
    }
}
