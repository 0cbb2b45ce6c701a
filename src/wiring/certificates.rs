//! The source of the served certificate: files, or the server itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use tokio::sync::watch;

use super::Sources;
use crate::config::{Configuration, SelfManaged as Settings};
use network_guard_controllers::certificates::leaf_issuer::{self, LeafIssuer};
use network_guard_controllers::certificates::{self, InShoots, Registrant};
use network_guard_controllers::registration;
use network_guard_runtime::clock::Clock;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::tls::{PairFiles, PairSource};
use network_guard_sources::LandscapeCache;

/// The source of certificates.
pub(super) enum Origin<'c> {
    /// Files that somebody else writes.
    Folder(PathBuf),
    /// Self-managed.
    Itself(&'c Settings),
}

impl<'c> Origin<'c> {
    pub(super) fn new(folder: Option<PathBuf>, settings: Option<&'c Settings>) -> anyhow::Result<Self> {
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

/// The files of a certificate.
pub(super) fn pair_files(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

/// Self-managed certificates, with the clusters of the Secret and of the registration.
pub(super) struct SelfManaged {
    /// The client configuration for the cluster of the Secret.
    pub(super) home: kube::Config,
    /// Follows the Secret, and issues this replica's leaf.
    pub(super) issuer: Arc<LeafIssuer>,
    /// The state of the controller.
    pub(super) metrics: Arc<certificates::CertificateMetrics>,
    settings: leaf_issuer::Settings,
    registered_in: kube::Config,
    registration: certificates::Registration,
}

impl SelfManaged {
    /// As configured, for the webhook configurations of a file, which are written to one cluster, and a Secret in
    /// another one. `shoot_url` is the address for the webhooks in Shoots.
    pub(super) fn new(
        settings: &Settings,
        configuration: &Configuration,
        file: &str,
        shoot_url: Option<&str>,
        (home, registered_in): (kube::Config, kube::Config),
        clock: &Arc<Clock>,
    ) -> Self {
        let originals = registration::Configuration::originals(file).expect("a test reads them");
        let wanted = |mut original: registration::Configuration| {
            original.hold_on(&configuration.overlay.switches.hold.providers);
            original.without_answer(configuration.failure_policy());
            let is_wanted = original.without(&settings.disabled) && settings.is_registered;
            certificates::Wanted { configuration: original, is_wanted }
        };
        Self {
            home,
            issuer: Arc::new(LeafIssuer::new(Arc::clone(clock))),
            metrics: Arc::default(),
            settings: leaf_issuer::Settings {
                namespace: settings.namespace.clone(),
                secret: settings.secret.clone(),
                names: settings.all_names(shoot_url),
                lifetimes: settings.lifetimes.clone(),
            },
            registered_in,
            registration: certificates::Registration {
                configurations: originals.into_iter().map(wanted).collect(),
                to: settings.to.clone(),
                owner: settings.owner.clone(),
            },
        }
    }

    /// Follows the Secret.
    pub(super) fn follow(&self, sources: &mut Sources, tasks: &Supervisor) {
        let Self { home, issuer, settings, .. } = self;
        let (home, issuer, settings, tasks) = (home.clone(), Arc::clone(issuer), settings.clone(), tasks.clone());
        sources.spawn(async move {
            Ok(tasks.run(leaf_issuer::TASK, || issuer.follow(home.clone(), &settings, &tasks)).await?)
        });
    }

    /// Registers its metrics.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.add(Arc::clone(&self.issuer) as _);
        metrics.add(Arc::clone(&self.metrics) as _);
    }

    /// The source of the served leaf.
    pub(super) fn pair(&self) -> Arc<dyn PairSource> {
        Arc::clone(&self.issuer) as _
    }

    /// The parts of the controller. It publishes whether another installation is registered, and reads which bundle
    /// Shoots have.
    pub(super) fn deps(
        self,
        landscape: &Arc<LandscapeCache>,
        registrant: watch::Sender<Registrant>,
        shoots: Option<watch::Receiver<Option<InShoots>>>,
    ) -> Arc<certificates::CertificateDeps> {
        let Self { home, issuer, metrics, settings, registered_in, registration } = self;
        Arc::new(certificates::CertificateDeps {
            home,
            registered_in,
            settings,
            registration,
            issuer,
            landscape: Arc::clone(landscape),
            registrant,
            shoots,
            metrics,
        })
    }
}
