//! `serve seed` and `serve garden`: the landscape of an API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Controller, Ready, Remote, Role, identity, pair_files, serve};
use crate::cli::{Configuration, SelfManaged as Settings, client_config};
use crate::controllers::overlay::{self, Board};
use crate::controllers::registration::{self, GARDEN, SEED};
use crate::controllers::{certificates, vpn_shoot};
use crate::server::{Metrics, PairSource, TlsSources};
use crate::sources::keeper::{self, Keeper};
use crate::sources::live::{LiveReads, Reader};
use crate::sources::objects::{ApiServerObject, ClusterObject, NetworkObject, SeedObject, ShootObject, Watched};
use crate::sources::supervise::Supervisor;
use crate::sources::vpn_networks::ToldBoard;
use crate::sources::{Feed, LandscapeCache, watch};

impl Remote {
    pub(super) async fn serve(
        self,
        configuration: Configuration,
        mut metrics: Metrics,
        role: Role,
        shoots: Option<SocketAddr>,
        controllers: Option<Handle>,
        runtime_kubeconfig: Option<&Path>,
    ) -> anyhow::Result<()> {
        let Self { common, kubeconfig } = self;
        let from = From::new(common.cert_dir.as_deref(), configuration.certificates.as_ref())?;
        let garden = || std::env::var_os("GARDEN_KUBECONFIG").map(PathBuf::from);
        let kubeconfig = kubeconfig.or_else(|| if role == Role::Garden { garden() } else { None });
        let mut config = client_config(kubeconfig.as_deref()).await?;
        // Watches last longer than any timeout for single reads; those have the deadline of their request.
        config.read_timeout = None;
        let live = LiveReads::ApiServer(Reader::new(kube::Client::try_from(config.clone())?));
        let mut sources = JoinSet::new();
        let tasks = metrics.tasks().clone();
        let landscape = match role {
            Role::Seed => {
                let landscape = Arc::new(LandscapeCache::new(1));
                sources.spawn(watched::<ClusterObject>(
                    "watch-clusters",
                    tasks.clone(),
                    config.clone(),
                    landscape.feed(0),
                ));
                landscape
            }
            Role::Garden => {
                let vpcs = Arc::clone(&configuration.shoots.overlay.vpcs);
                let landscape = Arc::new(LandscapeCache::with_vpcs(2, vpcs));
                sources.spawn(watched::<SeedObject>("watch-seeds", tasks.clone(), config.clone(), landscape.feed(0)));
                sources.spawn(watched::<ShootObject>("watch-shoots", tasks.clone(), config.clone(), landscape.feed(1)));
                landscape
            }
        };
        let certificates = match &from {
            From::Folder(_) => None,
            From::Itself(settings) => {
                // On a Seed all is in one cluster.
                let home = match role {
                    Role::Seed => config.clone(),
                    Role::Garden => client_config(runtime_kubeconfig).await.context("--runtime-kubeconfig")?,
                };
                let keeper = Arc::new(Keeper::new(Arc::clone(landscape.clock())));
                Some(self_managed(settings, &configuration, role, home, config.clone(), keeper))
            }
        };
        let keeper = certificates.as_ref().map(|certificates| Arc::clone(&certificates.keeper));
        let handlers = role.handlers(&configuration);
        let clock = Arc::clone(landscape.clock());
        let pair = match (&from, &keeper) {
            (From::Folder(folder), _) => Some(Arc::new(pair_files(folder)) as Arc<dyn PairSource>),
            (From::Itself(_), keeper) => keeper.clone().map(|keeper| keeper as _),
        };
        let pair = pair.expect("what is self-managed has a keeper");
        let tls = TlsSources { pair, client_ca: common.client_ca_file.clone(), clock };
        if let Some(SelfManaged { settings, home, keeper, .. }) = &certificates {
            let (settings, home, keeper, tasks) = (settings.clone(), home.clone(), Arc::clone(keeper), tasks.clone());
            sources.spawn(async move {
                Ok(tasks.run(keeper::TASK, || keeper.follow(home.clone(), &settings, &tasks)).await?)
            });
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
                let switches = Arc::new(LandscapeCache::new(1));
                // Nor without kube-apiservers: what they are told is only counted.
                let told = Arc::new(LandscapeCache::new(1));
                sources.spawn(watched::<ApiServerObject>(
                    "watch-kube-apiservers",
                    tasks.clone(),
                    config.clone(),
                    told.feed(0),
                ));
                metrics = metrics.with_told(ToldBoard::new(Arc::clone(&landscape), told));
                sources.spawn(watched::<NetworkObject>(
                    "watch-networks",
                    tasks.clone(),
                    config.clone(),
                    switches.feed(0),
                ));
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
                    tasks: tasks.clone(),
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
            metrics,
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

async fn watched<T: Watched>(
    task: &'static str,
    tasks: Supervisor,
    config: kube::Config,
    feed: Feed,
) -> anyhow::Result<()> {
    let watching = tasks.run(task, || watch::follow::<T>(config.clone(), feed.clone()));
    watching.await.with_context(|| format!("cannot watch {}", T::plural(&())))
}

/// Where certificates come from.
enum From<'c> {
    /// Files that somebody else writes.
    Folder(&'c Path),
    /// The server itself.
    Itself(&'c Settings),
}

impl<'c> From<'c> {
    fn new(folder: Option<&'c Path>, settings: Option<&'c Settings>) -> anyhow::Result<Self> {
        match (folder, settings) {
            (Some(folder), None) => Ok(Self::Folder(folder)),
            (None, Some(settings)) => Ok(Self::Itself(settings)),
            (Some(_), Some(_)) => bail!("--cert-dir and `certificates` of the configuration exclude each other"),
            (None, None) => bail!(
                "--cert-dir is missing: the folder with tls.crt and tls.key (`network-guard certs generate` makes one); \
                 or say `certificates` in the configuration, and the server makes its own"
            ),
        }
    }
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
    settings: &Settings,
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
        original.without_answer(configuration.failure_policy());
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
