//! Each replica's own leaf, issued by the CA that all replicas share in a Secret.
//!
//! The leaf and its key live in memory only. A leaf in use stays in use whatever happens to the Secret; the leader
//! corrects the Secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::client::ClientBuilder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::secret::{BadSecret, read};
use super::{Authority, Issued, pem};
use network_guard_core::certificates::{Leaf, Lifetimes, Material, is_leaf_due};
use network_guard_runtime::clock::{Clock, Listening};
use network_guard_runtime::metrics::Collector;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::tls::{Pair, PairSource, TlsError};
use network_guard_runtime::work::{self, Trouble, Turn, Work};

/// The Secret of a self-managed CA, and the certificates that are issued by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The names under which API servers call the server.
    pub names: Vec<String>,
    /// How long certificates are valid.
    pub lifetimes: Lifetimes,
}

/// The leaf that this replica serves, and the CAs that it saw last.
pub struct LeafIssuer {
    /// The API server's time.
    pub clock: Arc<Clock>,
    pair: ArcSwapOption<Issued>,
    bundle: ArcSwapOption<String>,
    /// The last valid content of the Secret.
    material: ArcSwapOption<Material>,
    failures: Counter,
    ca_not_after: Gauge,
    clock_difference: Gauge,
}

/// The name of the task in metrics of turns and panics.
pub const TASK: &str = "certificate-leaf";

/// The pause between two reads of the Secret, with and without a leaf.
const LOOK: Duration = Duration::from_secs(5);
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

impl LeafIssuer {
    /// An issuer with this clock.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            pair: ArcSwapOption::empty(),
            bundle: ArcSwapOption::empty(),
            material: ArcSwapOption::empty(),
            failures: Counter::default(),
            ca_not_after: Gauge::default(),
            clock_difference: Gauge::default(),
        }
    }

    /// The leaf to serve.
    pub fn pair(&self) -> Option<Arc<Issued>> {
        self.pair.load_full()
    }

    /// The CAs that API servers have to trust, PEM.
    pub fn bundle(&self) -> Option<Arc<String>> {
        self.bundle.load_full()
    }

    /// The last valid content of the Secret, in case the Secret is lost.
    pub fn material(&self) -> Option<Arc<Material>> {
        self.material.load_full()
    }

    /// Counts a failure.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// A client that sets the clock from the API server's answers.
    pub fn client(&self, mut config: kube::Config) -> Result<kube::Client, kube::Error> {
        config.read_timeout = Some(ANSWER);
        Ok(ClientBuilder::try_from(config)?.with_layer(&Listening(Arc::clone(&self.clock))).build())
    }

    /// Follows the Secret until the task is dropped; its turns are counted here.
    pub async fn follow(
        &self,
        config: kube::Config,
        settings: &Settings,
        tasks: &Supervisor,
    ) -> Result<(), kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client(config)?, &settings.namespace);
        let (leaf, unknown_issuer_since, trouble) = (None, None, Trouble::default());
        let mut follower = Follower { issuer: self, secrets, settings, leaf, unknown_issuer_since, trouble };
        work::run(tasks, TASK, &mut follower).await;
        Ok(())
    }
}

/// Follows the Secret.
struct Follower<'k> {
    issuer: &'k LeafIssuer,
    secrets: Api<Secret>,
    settings: &'k Settings,
    leaf: Option<Leaf>,
    /// Since when the Secret has not contained the CA of the leaf.
    unknown_issuer_since: Option<Instant>,
    trouble: Trouble,
}

impl Work for Follower<'_> {
    async fn turn(&mut self) -> Turn {
        let error = self.look().await.err();
        if error.is_some() {
            self.issuer.failed();
        }
        let settings = self.settings;
        if let Some(error) = self.trouble.news(error) {
            tracing::warn!(secret = settings.secret, error, "the CA cannot be read; the served leaf stays in use");
        }
        Turn::Again(if self.leaf.is_some() { LOOK.min(settings.lifetimes.leaf / 10) } else { FIRST_LOOK })
    }
}

impl Follower<'_> {
    async fn look(&mut self) -> Result<(), String> {
        let Self { issuer, secrets, settings, leaf, unknown_issuer_since, .. } = self;
        let secret = secrets.get_opt(&settings.secret).await.map_err(|error| error.to_string())?;
        let Some(secret) = secret else { return Err("it is not there".to_owned()) };
        let material = material(&secret).map_err(|error| error.to_string())?;
        issuer.ca_not_after.set(material.signing.as_ref().map_or(0, |pair| pair.ca.not_after.as_second()));
        issuer.clock_difference.set(issuer.clock.difference_seconds());
        let now = issuer.clock.now();
        issuer.bundle.store(Some(Arc::new(material.bundle_pem(now))));
        let has_unknown_issuer = leaf.as_ref().is_some_and(|leaf| !material.knows(leaf.issuer));
        *unknown_issuer_since =
            unknown_issuer_since.filter(|_| has_unknown_issuer).or_else(|| has_unknown_issuer.then(Instant::now));
        let unknown_issuer_for = unknown_issuer_since.map_or(Duration::ZERO, |since| since.elapsed());
        let is_due = is_leaf_due(leaf.as_ref(), &material, &settings.names, now, unknown_issuer_for);
        if !has_unknown_issuer {
            issuer.material.store(Some(Arc::new(material.clone())));
        }
        let Some(signing) = material.signing.as_ref().filter(|_| is_due) else { return Ok(()) };
        let issued = Authority::from_pair(signing)
            .and_then(|authority| authority.server(&settings.names, now, settings.lifetimes.leaf))
            .map_err(|error| error.to_string())?;
        let ca = signing.ca.fingerprint;
        let read = pem::leaf(&issued.certificate, ca, &settings.names).map_err(|error| error.to_string())?;
        tracing::info!(%ca, not_after = %read.not_after, "issued a leaf");
        *leaf = Some(read);
        issuer.pair.store(Some(Arc::new(issued)));
        Ok(())
    }
}

impl Collector for LeafIssuer {
    fn register(&self, registry: &mut Registry) {
        let help = "Reads of the Secret of the CA that failed, and steps of the leader that failed";
        registry.register("certificate_failures", help, self.failures.clone());
        let help = "When the CA that signs ends, in seconds since 1970";
        registry.register("certificate_authority_not_after_timestamp_seconds", help, self.ca_not_after.clone());
        let help = "How far this machine's clock is ahead of the API server's";
        registry.register("clock_difference_seconds", help, self.clock_difference.clone());
    }
}

impl PairSource for LeafIssuer {
    fn read(&self) -> Result<Pair, TlsError> {
        let issued = self.pair().ok_or(TlsError::NotYet)?;
        Ok(Pair { certificate: issued.certificate.clone().into_bytes(), key: issued.key.clone().into_bytes() })
    }

    fn name(&self) -> String {
        "the leaf of this replica".to_owned()
    }
}

/// The content of a Secret.
pub fn material(secret: &Secret) -> Result<Material, BadSecret> {
    read(&secret.data.clone().unwrap_or_default(), &secret.metadata.annotations.clone().unwrap_or_default())
}
