//! `network-guard serve`: the admission server.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{Configuration, certs, client_config};
use crate::admission::Handler;
use crate::controllers::overlay::{self, Board};
use crate::controllers::registration::{self, GARDEN, SEED};
use crate::controllers::{certificates, vpn_shoot};
use crate::handlers::{
    ADVISE_SHOOT_PATH, AdviseShoot, HoldNetwork, KUBE_APISERVER_PATH, KubeApiserver, MUTATE_SHOOT_PATH, MutateShoot,
    NETWORK_PATH, VALIDATE_SHOOT_PATH, VPN_SHOOT_PATH, ValidateShoot, VpnShoot,
};
use crate::server::{Addresses, Metrics, PairFiles, PairSource, Parts, Server, Stop, StopSettings, TlsSources};
use crate::sources::keeper::{self, Keeper};
use crate::sources::live::{LiveReads, Reader};
use crate::sources::objects::{ClusterObject, NetworkObject, SeedObject, ShootObject, Watched};
use crate::sources::{Feed, Landscape, files, watch};

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
    log_level: String,
    /// How it is logged
    #[arg(long, value_name = "FORMAT", default_value = "json", env = "NETWORK_GUARD_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// One JSON object a line
    Json,
    /// Lines for people
    Text,
}

/// What differs between the ways to serve.
struct Ready {
    landscape: Arc<Landscape>,
    live: LiveReads,
    sources: JoinSet<anyhow::Result<()>>,
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

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let common = match &self {
            Self::Seed(seed) => &seed.remote.common,
            Self::Garden(garden) => &garden.remote.common,
            Self::All(all) => &all.common,
        };
        log(&common.log_level, common.log_format)?;
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
                    seed.remote.serve(configuration, Role::Seed, shoots, handle, None).await
                }
                Self::Garden(garden) => {
                    let runtime = garden.runtime_kubeconfig.as_deref();
                    garden.remote.serve(configuration, Role::Garden, None, None, runtime).await
                }
                Self::All(all) => all.serve(configuration).await,
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
                Arc::new(KubeApiserver::new(&configuration.overlap, &configuration.nat.mode)),
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

impl Remote {
    async fn serve(
        self,
        configuration: Configuration,
        role: Role,
        shoots: Option<SocketAddr>,
        controllers: Option<Handle>,
        runtime_kubeconfig: Option<&Path>,
    ) -> anyhow::Result<()> {
        let Self { common, kubeconfig } = self;
        let garden = || std::env::var_os("GARDEN_KUBECONFIG").map(PathBuf::from);
        let kubeconfig = kubeconfig.or_else(|| if role == Role::Garden { garden() } else { None });
        let mut config = client_config(kubeconfig.as_deref()).await?;
        // Watches last longer than any timeout for single reads; those have the deadline of their request.
        config.read_timeout = None;
        let live = LiveReads::ApiServer(Reader::new(kube::Client::try_from(config.clone())?));
        let mut sources = JoinSet::new();
        let landscape = match role {
            Role::Seed => {
                let landscape = Arc::new(Landscape::new(1));
                sources.spawn(watched::<ClusterObject>(config.clone(), landscape.feed(0)));
                landscape
            }
            Role::Garden => {
                let vpcs = Arc::clone(&configuration.shoots.overlay.vpcs);
                let landscape = Arc::new(Landscape::with_vpcs(2, vpcs));
                sources.spawn(watched::<SeedObject>(config.clone(), landscape.feed(0)));
                sources.spawn(watched::<ShootObject>(config.clone(), landscape.feed(1)));
                landscape
            }
        };
        let certificates = match (&common.cert_dir, &configuration.certificates) {
            (Some(_), None) => None,
            (None, Some(settings)) => {
                // On a Seed all is in one cluster.
                let home = match role {
                    Role::Seed => config.clone(),
                    Role::Garden => client_config(runtime_kubeconfig).await.context("--runtime-kubeconfig")?,
                };
                let keeper = Arc::new(Keeper::new(Arc::clone(landscape.clock())));
                Some(self_managed(settings, &configuration, role, home, config.clone(), keeper))
            }
            (Some(_), Some(_)) => bail!("--cert-dir and `certificates` of the configuration exclude each other"),
            (None, None) => bail!(
                "--cert-dir is missing: the folder with tls.crt and tls.key (`network-guard certs generate` makes one); \
                 or say `certificates` in the configuration, and the server makes its own"
            ),
        };
        let keeper = certificates.as_ref().map(|certificates| Arc::clone(&certificates.keeper));
        let handlers = role.handlers(&configuration);
        let clock = Arc::clone(landscape.clock());
        let pair: Arc<dyn PairSource> = match (&keeper, &common.cert_dir) {
            (Some(keeper), _) => Arc::clone(keeper) as _,
            (None, folder) => Arc::new(pair_files(folder.as_deref().expect("one of the two is there"))),
        };
        let tls = TlsSources { pair, client_ca: common.client_ca_file.clone(), clock };
        if let Some(SelfManaged { settings, home, keeper, .. }) = &certificates {
            let (settings, home, keeper) = (settings.clone(), home.clone(), Arc::clone(keeper));
            sources.spawn(async move { Ok(keeper.follow(home, &settings).await?) });
        }
        let certificates = |shoots: Option<&Arc<vpn_shoot::Parts>>| {
            let SelfManaged { settings, home, registered_in, registration, keeper } = certificates?;
            Some(Arc::new(certificates::Parts {
                home,
                registered_in,
                settings,
                registration,
                keeper,
                landscape: Arc::clone(&landscape),
                shoots: shoots.cloned(),
                board: Arc::default(),
            }))
        };
        let controller = match controllers {
            None => certificates(None).map(|parts| Controller::Garden(parts, identity())),
            Some(runtime) => {
                // Not of the landscape by which webhooks decide: they are ready without Networks.
                let switches = Arc::new(Landscape::new(1));
                sources.spawn(watched::<NetworkObject>(config.clone(), switches.feed(0)));
                let vpn_shoot = Arc::new(vpn_shoot::Parts {
                    landscape: Arc::clone(&landscape),
                    settings: configuration.nat.shoot_webhook.clone(),
                    keeper: keeper.clone(),
                    nat: configuration.nat.mode.clone(),
                    board: Arc::default(),
                });
                Some(Controller::Seed(Box::new(overlay::Parts {
                    certificates: certificates(Some(&vpn_shoot)),
                    config,
                    landscape: Arc::clone(&landscape),
                    board: Arc::new(Board::new(Arc::clone(&switches))),
                    switches,
                    settings: configuration.overlay.clone(),
                    identity: identity(),
                    runtime,
                    vpn_shoot,
                })))
            }
        };
        let ready = Ready {
            landscape,
            live,
            sources,
            handlers,
            shoots,
            controller,
            keeper,
            tls,
            stop: configuration.stop.clone(),
        };
        serve(common, configuration, ready, |_| ()).await
    }
}

async fn watched<T: Watched>(config: kube::Config, feed: Feed) -> anyhow::Result<()> {
    watch::follow::<T>(config, feed).await.with_context(|| format!("cannot watch {}", T::plural(&())))
}

impl All {
    async fn serve(self, configuration: Configuration) -> anyhow::Result<()> {
        let Self { common, landscape: folder } = self;
        // The first read decides whether the folder can be used at all; later ones only whether it is used anew.
        files::read(&folder).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!("the landscape cannot be read:\n{}", problems.join("\n"))
        })?;
        let landscape = Arc::new(Landscape::with_vpcs(1, Arc::clone(&configuration.shoots.overlay.vpcs)));
        let mut sources = JoinSet::new();
        sources.spawn({
            let feed = landscape.feed(0);
            async move {
                files::follow(folder, feed).await;
                Ok(())
            }
        });
        let temporary = match &common.cert_dir {
            Some(_) => None,
            None => Some(temporary_certificate()?),
        };
        let cert_dir = common.cert_dir.clone().or_else(|| temporary.as_ref().map(|folder| folder.0.clone()));
        let pair = pair_files(&cert_dir.expect("one of the two is there"));
        let tls = TlsSources { pair: Arc::new(pair), client_ca: common.client_ca_file.clone(), clock: Arc::default() };
        // There are no endpoints that would have to follow, and no API server with a pool.
        let stop = StopSettings {
            propagation_delay: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            ..configuration.stop.clone()
        };
        let live = LiveReads::Folder(Arc::clone(&landscape));
        let mut handlers: Vec<_> =
            [Role::Seed, Role::Garden].iter().flat_map(|role| role.handlers(&configuration)).collect();
        // On one port with all others: there is no Shoot that could call.
        handlers.push(Arc::new(VpnShoot::new(&configuration.nat.mode)));
        let ready =
            Ready { landscape, live, sources, handlers, shoots: None, controller: None, keeper: None, tls, stop };
        serve(common, configuration, ready, |addresses| greet(addresses, temporary.as_ref())).await
    }
}

fn pair_files(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

/// What self-managed certificates are made of.
struct SelfManaged {
    settings: keeper::Settings,
    home: kube::Config,
    registered_in: kube::Config,
    registration: certificates::Registration,
    keeper: Arc<Keeper>,
}

fn self_managed(
    settings: &super::SelfManaged,
    configuration: &Configuration,
    role: Role,
    home: kube::Config,
    registered_in: kube::Config,
    keeper: Arc<Keeper>,
) -> SelfManaged {
    let shoot_url = configuration.nat.shoot_webhook.as_ref().map(|webhook| &*webhook.url);
    let originals = registration::Configuration::originals(match role {
        Role::Seed => SEED,
        Role::Garden => GARDEN,
    })
    .expect("a test reads them");
    let wanted = |mut original: registration::Configuration| {
        original.hold_on(&configuration.overlay.switches.hold.providers);
        let is_wanted = original.without(&settings.disabled) && settings.is_registered;
        certificates::Wanted { configuration: original, is_wanted }
    };
    SelfManaged {
        settings: keeper::Settings {
            namespace: settings.namespace.clone(),
            secret: settings.secret.clone(),
            names: settings.all_names(shoot_url.filter(|_| role == Role::Seed)),
            lifetimes: settings.lifetimes.clone(),
        },
        home,
        registered_in,
        registration: certificates::Registration {
            configurations: originals.into_iter().map(wanted).collect(),
            to: settings.to.clone(),
            owner: settings.owner.clone(),
        },
        keeper,
    }
}

async fn serve(
    common: Common,
    configuration: Configuration,
    ready: Ready,
    greet: impl FnOnce(Addresses),
) -> anyhow::Result<()> {
    let Ready { landscape, live, mut sources, handlers, shoots, controller, keeper, tls, stop: stop_settings } = ready;
    let mut metrics = Metrics::default();
    if let Some(Controller::Seed(controller)) = &controller {
        metrics = metrics.with_board(&controller.board).with_registrations(&controller.vpn_shoot.board);
    }
    let certificates = match &controller {
        Some(Controller::Seed(controller)) => controller.certificates.as_ref(),
        Some(Controller::Garden(certificates, _)) => Some(certificates),
        None => None,
    };
    if let (Some(keeper), Some(certificates)) = (&keeper, certificates) {
        metrics = metrics.with_certificates(keeper, &certificates.board);
    }
    let metrics = Arc::new(metrics);
    let tls = Parts::load_tls(tls, &metrics)?;
    let stop = Stop::default();
    let shoot_handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(VpnShoot::new(&configuration.nat.mode))];
    let limits = configuration.limits;
    let parts = Parts { handlers, shoot_handlers, landscape, live, tls, limits, metrics, stop: stop.clone() };
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
        "serving"
    );
    greet(addresses);

    let (token, stopped) = (stop.token(), stop.token());
    let stopping = tokio::spawn(stop_on_signal(stop, stop_settings));
    let is_controlled = controller.is_some();
    let mut controller = tokio::spawn(async move {
        match controller {
            Some(Controller::Seed(controller)) => overlay::run(*controller, token).await,
            Some(Controller::Garden(certificates, identity)) => certificates::run(certificates, identity, token).await,
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

fn log(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("--log-level {level}: is not a level"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}

// === the embedded default ===

/// A folder that is removed with its owner.
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How long a temporary certificate is valid: longer than anybody tries a demo.
const TEMPORARY_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A review to try the server with: a Deployment that gardenlet wrote, for a Shoot of the example landscape.
const EXAMPLE_REVIEW: &str = include_str!("../../examples/admission-review.json");

/// Another one: a Shoot with peerings that cannot be.
const EXAMPLE_SHOOT_REVIEW: &str = include_str!("../../examples/shoot-review.json");

fn temporary_certificate() -> anyhow::Result<TemporaryFolder> {
    let path = std::env::temp_dir().join(format!("network-guard-{}", std::process::id()));
    // Nobody may have prepared it, and nobody else may look into it.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .with_context(|| format!("cannot make the folder {}; is it left over? then remove it", path.display()))?;
    let folder = TemporaryFolder(path);
    certs::generate(&folder.0, &certs::default_names(), TEMPORARY_LIFETIME)?;
    std::fs::write(folder.0.join("review.json"), EXAMPLE_REVIEW)?;
    std::fs::write(folder.0.join("shoot-review.json"), EXAMPLE_SHOOT_REVIEW)?;
    Ok(folder)
}

/// Says where the server is and how to talk to it.
fn greet(addresses: Addresses, temporary: Option<&TemporaryFolder>) {
    let port = addresses.webhooks.port();
    let mut text = format!(
        "network-guard is listening\n\
         \x20 webhooks  https://localhost:{port}{KUBE_APISERVER_PATH}\n\
         \x20           https://localhost:{port}{NETWORK_PATH}\n\
         \x20           https://localhost:{port}{VPN_SHOOT_PATH}/NAMESPACE/UID\n\
         \x20           https://localhost:{port}{MUTATE_SHOOT_PATH}\n\
         \x20           https://localhost:{port}{VALIDATE_SHOOT_PATH}\n\
         \x20           https://localhost:{port}{ADVISE_SHOOT_PATH}\n\
         \x20 health    http://localhost:{}/readyz\n\
         \x20 metrics   http://localhost:{}/metrics\n",
        addresses.health.port(),
        addresses.metrics.port(),
    );
    if let Some(TemporaryFolder(folder)) = temporary {
        let folder = folder.display();
        let _ = write!(
            text,
            "\nTry it: what an API server would ask about the kube-apiserver of a Shoot that overlaps its Seed.\n\n\
             curl -sS --cacert {folder}/ca.crt -H 'Content-Type: application/json' \\\n\
             \x20 --data-binary @{folder}/review.json https://localhost:{port}{KUBE_APISERVER_PATH} \\\n\
             \x20 | python3 -c 'import base64,json,sys; r=json.load(sys.stdin)[\"response\"]; \
             r[\"patch\"]=json.loads(base64.b64decode(r.get(\"patch\",\"W10=\"))); print(json.dumps(r,indent=2))'\n\n\
             And what alice is told, who creates a Shoot with peerings that cannot be.\n\n\
             curl -sS --cacert {folder}/ca.crt -H 'Content-Type: application/json' \\\n\
             \x20 --data-binary @{folder}/shoot-review.json https://localhost:{port}{VALIDATE_SHOOT_PATH} \\\n\
             \x20 | python3 -c 'import json,sys; r=json.load(sys.stdin)[\"response\"]; \
             print(*r.get(\"warnings\",[]),r.get(\"status\",{{}}).get(\"message\",\"accepted\"),sep=chr(10))'\n\n"
        );
    }
    super::print(&text);
}
