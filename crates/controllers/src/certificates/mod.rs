//! The lifecycle of the CA of self-managed certificates: the leader writes the Secret and the webhook configurations,
//! one step at a time, as [`network_guard_core::certificates`] decides. Each replica issues its own leaf
//! ([`leaf_issuer`]).
//!
//! The controller remembers only the last valid CAs, so that a Secret that somebody deletes is restored as it was.

mod issue;
pub mod leaf_issuer;
mod neighbour;
pub mod pem;
mod registered;
mod registrar;
mod secret;
mod store;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use issue::{Authority, IssueError, Issued, is_name, issue_ca};
pub use registered::{PublishError, Wanted, read_published};
pub use registrar::Registration;

use self::leaf_issuer::{LeafIssuer, Settings};
use self::registrar::Registrar;
use self::store::Store;
use network_guard_core::certificates::{Material, Published, Step, Waiting, carried_out, next_step};
use network_guard_runtime::metrics::Collector;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::work::{self, Trouble, Turn, Work};
use network_guard_sources::LandscapeCache;

/// The name of the task in metrics of turns and panics.
pub const TASK: &str = "certificates";

/// The pause between two turns: when nothing is in progress (shorter if leaves live for minutes only), and during a
/// rotation.
const LOOK: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(1);

/// The timeout of a turn: a few answers.
const TURN: Duration = Duration::from_secs(60);

/// How often the leader writes the configurations although nothing in them seems to have changed: this corrects what
/// the comparison does not cover, such as a selector.
const REWRITE: Duration = Duration::from_secs(60);

/// How long a rotation waits for Shoots that have not taken the new bundle: one that is broken for longer would delay
/// all others. As long as an old CA stays in the bundles of Gardener's extensions.
const PATIENCE_WITH_SHOOTS: Duration = Duration::from_secs(24 * 60 * 60);

/// At most this part of the lifetime of a CA: a third of it is left for a rotation.
const SHARE_FOR_SHOOTS: u32 = 12;

/// The parts of the controller.
pub struct CertificateDeps {
    /// The client configuration for the cluster of the Secret.
    pub home: kube::Config,
    /// The client configuration for the cluster of the webhook configurations.
    pub registered_in: kube::Config,
    /// The Secret.
    pub settings: Settings,
    /// The webhook configurations.
    pub registration: Registration,
    /// The leaf that this replica serves.
    pub issuer: Arc<LeafIssuer>,
    /// The conditions of registration: until they hold, API servers are not told to call.
    pub landscape: Arc<LandscapeCache>,
    /// Where the controller publishes whether another installation is registered.
    pub registrant: watch::Sender<Registrant>,
    /// The bundle of the webhooks in Shoots, if any; `None` until it has been published.
    pub shoots: Option<watch::Receiver<Option<InShoots>>>,
    /// Where it says what it does.
    pub metrics: Arc<CertificateMetrics>,
}

/// Its metrics.
#[derive(Debug, Default)]
pub struct CertificateMetrics {
    unpublished: Gauge,
    missing: Gauge,
    contested: Gauge,
    steps: Counter,
}

/// Whether another installation is registered instead of this one, as the leader saw it last: then that one does the
/// work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Registrant {
    /// No leader has checked yet.
    #[default]
    Unknown,
    /// No other installation is registered.
    This,
    /// Another one is.
    Another,
}

/// The CA bundle of the webhooks in Shoots.
#[derive(Clone, Debug)]
pub struct InShoots {
    /// As PEM.
    pub bundle: Vec<u8>,
    /// Since when Shoots get it.
    pub since: Instant,
    /// Whether some Shoot has not received it yet.
    pub is_on_its_way: bool,
}

impl InShoots {
    /// Whether every Shoot has this bundle, or has had enough time to take it.
    fn has_arrived(&self, bundle: &str, patience: Duration) -> bool {
        self.bundle == bundle.as_bytes() && (!self.is_on_its_way || self.since.elapsed() >= patience)
    }
}

impl Collector for CertificateMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Webhooks whose configuration lacks a CA, as the leader sees it";
        registry.register("certificate_unpublished", help, self.unpublished.clone());
        let help = "Webhooks that should be registered and are not, as the leader sees it; all of them where it has no right to read them";
        registry.register("registrations_missing", help, self.missing.clone());
        let help = "Webhook configurations that another installation owns, or claimed in the last 15 minutes, as the leader sees it";
        registry.register("registration_contested", help, self.contested.clone());
        registry.register(
            "certificate_steps",
            "Steps in the lifecycle of the CA that the leader took",
            self.steps.clone(),
        );
    }
}

impl CertificateMetrics {
    fn sees(&self, others: usize, was_asked: bool) {
        let contested = if others == 0 && was_asked { 1 } else { others };
        self.contested.set(i64::try_from(contested).unwrap_or(i64::MAX));
    }
}

/// Resets what only a leader sees, on every way in which this replica stops leading.
struct Leading<'p>(&'p CertificateDeps);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let CertificateDeps { metrics, registrant, .. } = self.0;
        metrics.unpublished.set(0);
        metrics.missing.set(0);
        metrics.contested.set(0);
        registrant.send_replace(Registrant::Unknown);
    }
}

/// Works while this replica leads.
pub async fn work(deps: Arc<CertificateDeps>, tasks: Supervisor) {
    let _leading = Leading(&deps);
    let clients = || Ok((deps.issuer.client(deps.home.clone())?, deps.issuer.client(deps.registered_in.clone())?));
    let (home, registered_in) = match clients() {
        Ok(clients) => clients,
        Err(error) => {
            let error: kube::Error = error;
            tracing::error!(%error, "no client for certificates");
            return std::future::pending().await;
        }
    };
    let mut controller = Controller {
        store: Store::new(home, &deps.settings),
        registrar: Registrar::new(registered_in, deps.registration.clone()),
        deps: &deps,
        last: None,
        written_at: None,
        trouble: Trouble::default(),
    };
    work::run(&tasks, TASK, &mut controller).await;
}

struct Controller<'p> {
    deps: &'p CertificateDeps,
    store: Store,
    registrar: Registrar,
    /// The last valid CAs.
    last: Option<Material>,
    written_at: Option<Instant>,
    trouble: Trouble,
}

impl Work for Controller<'_> {
    async fn turn(&mut self) -> Turn {
        let looked = timeout(TURN, self.look()).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let (pause, error) = match looked {
            Ok(pause) => (pause, None),
            Err(error) => {
                self.deps.issuer.failed();
                (SOON * 5, Some(error))
            }
        };
        if let Some(error) = self.trouble.news(error) {
            tracing::warn!(error, "the lifecycle of the CA is blocked");
        }
        Turn::Again(pause)
    }
}

impl Controller<'_> {
    /// Reads everything and takes at most one step. Returns the pause until the next turn.
    async fn look(&mut self) -> Result<Duration, String> {
        let stored = self.store.read().await?;
        let material = match &stored.material {
            Some(Ok(material)) => {
                self.last = Some(material.clone());
                Some(material)
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the Secret of the CA cannot be used");
                None
            }
            None => None,
        };
        // The last valid CAs may come from any replica.
        let remembered = self.deps.issuer.material();
        if material.is_none()
            && let Some(last) = self.last.as_ref().or(remembered.as_deref())
        {
            tracing::warn!("the Secret of the CA was lost; it is written again as it was");
            self.store.write(&stored, last).await?;
            return Ok(SOON);
        }

        let seen = self.registrar.look(material.or(remembered.as_deref())).await;
        if let Some(missing) = self.registrar.missing(seen.as_ref()) {
            self.deps.metrics.missing.set(i64::try_from(missing).unwrap_or(i64::MAX));
        }
        let seen = seen.map_err(|error| error.to_string())?;
        let others = seen.of_others();
        self.deps.metrics.sees(others, self.registrar.was_asked());
        let registrant = if others > 0 { Registrant::Another } else { Registrant::This };
        self.deps.registrant.send_replace(registrant);
        let mut published = seen.published.clone();
        let now = whole_seconds(self.deps.issuer.clock.now());
        let lifetimes = &self.deps.settings.lifetimes;
        // Where no webhook in Shoots has a bundle, Shoots do not affect the trust; nor while nothing is served that
        // they could go on trusting; nor while another installation does this work.
        let shoots = self.deps.shoots.as_ref().filter(|_| registrant != Registrant::Another);
        let serves = |material: &&Material| material.confirmed_signing().is_some_and(|pair| pair.ca.is_valid_at(now));
        if let (Some(shoots), Some(material)) = (shoots, material.filter(serves)) {
            published.push(shoots_published(shoots.borrow().as_ref(), material, now, lifetimes.ca));
        }
        let step = next_step(material, &published, now, lifetimes);
        if let Some(next) =
            carried_out(step.clone(), material, now, lifetimes, issue_ca).map_err(|error| error.to_string())?
        {
            self.store.write(&stored, &next).await?;
            said(&step);
            self.deps.metrics.steps.inc();
            self.last = Some(next);
            return Ok(SOON);
        }

        let Step::Wait { until, waiting } = step else { return Ok(LOOK) };
        if let Some(material) = material {
            let bundle = material.bundle(now);
            let unpublished = published.iter().filter(|published| !published.has_all(&bundle)).count();
            self.deps.metrics.unpublished.set(i64::try_from(unpublished).unwrap_or(i64::MAX));
            // No API server is told to call before the server can answer.
            let is_ready = self.deps.landscape.is_synced() && self.deps.issuer.pair().is_some();
            let is_due = self.written_at.is_none_or(|at| at.elapsed() >= REWRITE);
            if self.registrar.ensure(&seen, &bundle, is_ready, is_due).await.map_err(|error| error.to_string())? {
                self.written_at = Some(Instant::now());
                return Ok(SOON);
            }
        }
        let is_on_its_way = !matches!(waiting, Waiting::Renewal | Waiting::LastLeaf);
        let by_the_clock = until.map(|until| Duration::try_from(until.duration_since(now)).unwrap_or(SOON));
        let pause = if is_on_its_way { SOON } else { LOOK.min(lifetimes.leaf / 10).max(SOON) };
        Ok(by_the_clock.map_or(pause, |until| until.clamp(SOON.min(pause), pause)))
    }
}

/// Timestamps with the precision of certificates.
fn whole_seconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Whether all Shoots have the bundle, except those that have lacked it for long.
fn shoots_published(
    shoots: Option<&InShoots>,
    material: &Material,
    now: jiff::Timestamp,
    ca_lifetime: Duration,
) -> Published {
    let patience = PATIENCE_WITH_SHOOTS.min(ca_lifetime / SHARE_FOR_SHOOTS);
    let bundle = material.bundle_pem(now);
    let is_told = shoots.is_some_and(|shoots| shoots.has_arrived(&bundle, patience));
    let bundle = if is_told { material.bundle(now).into_iter().cloned().collect() } else { Vec::new() };
    Published { name: "Shoots".to_owned(), bundle, is_told }
}

/// Logs what was done, without any part of a key.
fn said(step: &Step) {
    match step {
        Step::Begin { adopted, at_once } => tracing::info!(adopted = adopted.len(), at_once, "made the first CA"),
        Step::Adopt { adopted, demote } => {
            tracing::warn!(adopted = adopted.len(), demote, "configurations trust a CA that is not in the Secret");
        }
        Step::ConfirmTrust => tracing::info!("API servers trust the CA that signs"),
        Step::Issue(reason) => tracing::info!(?reason, "made the next CA; it is published now"),
        Step::Announce => tracing::info!("every configuration has the next CA"),
        Step::Recall => tracing::warn!("a configuration lacks the next CA again"),
        Step::Switch => tracing::info!("the next CA signs from now on"),
        Step::Retire => tracing::info!("forgot the old CA"),
        Step::Wait { .. } => {}
    }
}
