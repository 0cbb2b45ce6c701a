//! `serve garden`: the webhooks of the virtual garden, and the controller of certificates.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::certificates::{Origin, SelfManaged, pair_files};
use super::client::{client_config, watched_config};
use super::leader::{self, GARDEN_LEASE, Leader, identity};
use super::process::{self, Listen, ProcessDeps};
use super::{Sources, watched, webhooks};
use crate::config::Configuration;
use network_guard_controllers::certificates::{self, Registrant};
use network_guard_controllers::registration::GARDEN;
use network_guard_runtime::lease::Lease;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::tls::PairSource;
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::{LiveReads, Reader};
use network_guard_sources::objects::{SeedObject, ShootObject};

/// The settings of a server of the garden.
#[derive(Clone, Debug)]
pub struct Garden {
    /// The addresses.
    pub listen: Listen,
    /// The folder with tls.crt and tls.key.
    pub cert_dir: Option<PathBuf>,
    /// The kubeconfig of the virtual garden; otherwise that which `GARDEN_KUBECONFIG` names.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig of the cluster with the Secret and the Lease of self-managed certificates.
    pub runtime_kubeconfig: Option<PathBuf>,
}

impl Garden {
    /// Serves until the process ends.
    pub fn serve(self, configuration: &Configuration, metrics: Metrics) -> anyhow::Result<()> {
        process::block_on(Box::pin(self.run(configuration, metrics)))
    }

    async fn run(self, configuration: &Configuration, metrics: Metrics) -> anyhow::Result<()> {
        let Self { listen, cert_dir, kubeconfig, runtime_kubeconfig } = self;
        let origin = Origin::new(cert_dir, configuration.certificates.as_ref())?;
        let kubeconfig = kubeconfig.or_else(|| std::env::var_os("GARDEN_KUBECONFIG").map(PathBuf::from));
        let config = watched_config(kubeconfig.as_deref()).await?;
        let live = LiveReads::ApiServer(Reader::new(kube::Client::try_from(config.clone())?));
        let tasks = metrics.tasks().clone();

        let mut sources = Sources::new();
        let landscape = Arc::new(LandscapeCache::with_vpcs(2, Arc::clone(&configuration.shoots.overlay.vpcs)));
        watched::<SeedObject>(&mut sources, "watch-seeds", &tasks, &config, landscape.feed(0));
        watched::<ShootObject>(&mut sources, "watch-shoots", &tasks, &config, landscape.feed(1));

        let (pair, leader) = match origin {
            Origin::Folder(folder) => (Arc::new(pair_files(&folder)) as Arc<dyn PairSource>, None),
            Origin::Itself(settings) => {
                let home = client_config(runtime_kubeconfig.as_deref()).await.context("--runtime-kubeconfig")?;
                let clusters = (home.clone(), config);
                let clock = landscape.clock();
                let self_managed = SelfManaged::new(settings, configuration, GARDEN, None, clusters, clock);
                self_managed.follow(&mut sources, &tasks);
                let pair = self_managed.pair();
                let client = self_managed.issuer.client(home).context("the controller cannot run")?;
                let leads = Gauge::default();
                metrics.register("leader", leader::LEADS, leads.clone());
                self_managed.register(&metrics);
                let lease = Lease::new(client, &settings.namespace, GARDEN_LEASE, identity(), leads);
                // Nothing else depends on the registration here: certificates are the leader's only work.
                let (says_registrant, _) = watch::channel(Registrant::default());
                let deps = self_managed.deps(&landscape, says_registrant, None);
                let leader = Leader::new(lease, Handle::current(), tasks.clone())
                    .with(certificates::TASK, move || certificates::work(Arc::clone(&deps), tasks.clone()));
                (pair, Some(leader))
            }
        };
        let deps = ProcessDeps {
            landscape,
            live,
            sources,
            metrics,
            handlers: webhooks::of_garden(configuration),
            shoots: None,
            leader,
            pair,
            stop: configuration.stop.clone(),
        };
        process::serve(listen, configuration, deps, |_| ()).await
    }
}
