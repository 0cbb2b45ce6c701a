//! `serve seed`: the webhooks of a Seed, and the controllers of held switches, of webhooks in Shoots and of certificates.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use super::certificates::{Origin, SelfManaged, pair_files};
use super::client::watched_config;
use super::displaced::unless_displaced;
use super::leader::{self, Leader, SEED_LEASE, SELF_MANAGED_LEASE, identity};
use super::process::{self, Listen, ProcessDeps};
use super::{Sources, watched, webhooks};
use crate::config::Configuration;
use network_guard_controllers::certificates::Registrant;
use network_guard_controllers::registration::SEED;
use network_guard_controllers::{certificates, overlay_switch, vpn_shoot};
use network_guard_runtime::lease::Lease;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::tls::PairSource;
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::{LiveReads, Reader};
use network_guard_sources::objects::{ApiServerObject, ClusterObject, NetworkObject};
use network_guard_sources::vpn_networks::VpnNetworksMetrics;

/// The settings of a server of a Seed.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The addresses.
    pub listen: Listen,
    /// The folder with tls.crt and tls.key.
    pub cert_dir: Option<PathBuf>,
    /// The kubeconfig of the Seed.
    pub kubeconfig: Option<PathBuf>,
    /// The address for API servers of Shoots, where a webhook is registered there.
    pub shoots: SocketAddr,
}

/// The timeout of an answer of the Seed to a controller. No such request lasts long, and one that is never answered
/// must not be waited for.
const ANSWER: Duration = Duration::from_secs(30);

impl Seed {
    /// Serves until the process ends.
    pub fn serve(self, configuration: &Configuration, metrics: Metrics) -> anyhow::Result<()> {
        // A thread of its own: the load of many Shoots' API servers must not take time from the other webhooks.
        let controllers =
            Builder::new_multi_thread().worker_threads(1).thread_name("controllers").enable_all().build()?;
        let result = process::block_on(Box::pin(self.run(configuration, metrics, controllers.handle())));
        controllers.shutdown_timeout(process::LAST_WORK);
        result
    }

    async fn run(self, configuration: &Configuration, metrics: Metrics, controllers: &Handle) -> anyhow::Result<()> {
        let Self { listen, cert_dir, kubeconfig, shoots } = self;
        let origin = Origin::new(cert_dir, configuration.certificates.as_ref())?;
        let config = watched_config(kubeconfig.as_deref()).await?;
        let live = LiveReads::ApiServer(Reader::new(kube::Client::try_from(config.clone())?));
        let tasks = metrics.tasks().clone();

        let mut sources = Sources::new();
        let landscape = Arc::new(LandscapeCache::new(1));
        // Not in the landscape of the webhooks: they are ready without Networks.
        let networks = Arc::new(LandscapeCache::new(1));
        // Nor are kube-apiservers: their networks are only counted.
        let told = Arc::new(LandscapeCache::new(1));
        watched::<ClusterObject>(&mut sources, "watch-clusters", &tasks, &config, landscape.feed(0));
        watched::<ApiServerObject>(&mut sources, "watch-kube-apiservers", &tasks, &config, told.feed(0));
        watched::<NetworkObject>(&mut sources, "watch-networks", &tasks, &config, networks.feed(0));
        metrics.add(Arc::new(VpnNetworksMetrics::new(Arc::clone(&landscape), told)));

        let shoot_webhook = configuration.nat.shoot_webhook.as_ref();
        let (pair, self_managed) = match origin {
            Origin::Folder(folder) => (Arc::new(pair_files(&folder)) as Arc<dyn PairSource>, None),
            Origin::Itself(settings) => {
                let shoot_url = shoot_webhook.map(|webhook| &*webhook.url);
                // Both are in one cluster.
                let clusters = (config.clone(), config.clone());
                let clock = landscape.clock();
                let self_managed = SelfManaged::new(settings, configuration, SEED, shoot_url, clusters, clock);
                self_managed.follow(&mut sources, &tasks);
                (self_managed.pair(), Some(self_managed))
            }
        };

        // The state that controllers share.
        let (says_registrant, registrant) = watch::channel(Registrant::default());
        let (says_in_shoots, in_shoots) = watch::channel(None);
        let registrant = self_managed.as_ref().map(|_| registrant);
        let in_shoots = shoot_webhook.map(|_| in_shoots);

        let identity = identity();
        let mut own = config;
        own.read_timeout = Some(ANSWER);
        let leads = Gauge::default();
        metrics.register("leader", leader::LEADS, leads.clone());
        let lease = {
            let client = kube::Client::try_from(own.clone()).context("the controller cannot run")?;
            let name = if self_managed.is_some() { SELF_MANAGED_LEASE } else { SEED_LEASE };
            Lease::new(client, &configuration.overlay.lease_namespace, name, identity.clone(), leads)
        };
        let client = {
            // Its connections are driven by the thread that does the work.
            let _there = controllers.enter();
            kube::Client::try_from(own).context("the controller cannot run")?
        };

        let switch_metrics = Arc::new(overlay_switch::SwitchMetrics::new(Arc::clone(&networks)));
        metrics.add(Arc::clone(&switch_metrics) as _);
        let switches = overlay_switch::Controller::new(overlay_switch::SwitchDeps {
            client: client.clone(),
            landscape: Arc::clone(&landscape),
            switches: networks,
            settings: configuration.overlay.clone(),
            metrics: switch_metrics,
            tasks: tasks.clone(),
            identity,
        });
        let in_shoots_parts = Arc::new(vpn_shoot::VpnShootDeps {
            landscape: Arc::clone(&landscape),
            settings: shoot_webhook.cloned(),
            issuer: self_managed.as_ref().map(|self_managed| Arc::clone(&self_managed.issuer)),
            nat: configuration.nat.mode.clone(),
            given: says_in_shoots,
            metrics: Arc::default(),
        });
        metrics.add(Arc::clone(&in_shoots_parts.metrics) as _);
        let mut leader = Leader::new(lease, controllers.clone(), tasks.clone())
            .with(overlay_switch::TASK, {
                let registrant = registrant.clone();
                move || {
                    let (switches, registrant) = (switches.clone(), registrant.clone());
                    async move { unless_displaced(registrant, || switches.work()).await }
                }
            })
            .with(vpn_shoot::TASK, {
                let tasks = tasks.clone();
                move || {
                    let (deps, client, tasks) = (Arc::clone(&in_shoots_parts), client.clone(), tasks.clone());
                    let registrant = registrant.clone();
                    async move {
                        let work = || vpn_shoot::work(Arc::clone(&deps), client.clone(), tasks.clone());
                        unless_displaced(registrant, work).await;
                    }
                }
            });
        if let Some(self_managed) = self_managed {
            self_managed.register(&metrics);
            let deps = self_managed.deps(&landscape, says_registrant, in_shoots);
            leader = leader.with(certificates::TASK, move || certificates::work(Arc::clone(&deps), tasks.clone()));
        }

        let deps = ProcessDeps {
            landscape,
            live,
            sources,
            metrics,
            handlers: webhooks::of_seed(configuration),
            shoots: shoot_webhook.map(|_| shoots),
            leader: Some(leader),
            pair,
            stop: configuration.stop.clone(),
        };
        process::serve(listen, configuration, deps, |_| ()).await
    }
}
