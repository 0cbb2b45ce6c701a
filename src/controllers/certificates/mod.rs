//! Looks after the CA of self-managed certificates: the leader writes the Secret and the webhook configurations, one step
//! at a time, as [`crate::tls`] decides. Each replica issues its own leaf ([`crate::sources::keeper`]).
//!
//! Nothing is remembered here but the last good CAs, so that a Secret that somebody deletes comes back as it was.

mod neighbour;
mod registrar;
mod secret;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use registrar::{PublishError, Registration, Wanted, read_published};

use self::registrar::Registrar;
use self::secret::Store;
use super::lease::Lease;
use super::vpn_shoot;
use crate::sources::LandscapeCache;
use crate::sources::keeper::{Keeper, Settings};
use crate::sources::supervise::Supervisor;
use crate::tls::{Material, Published, Step, Waiting, carried_out, next_step};

/// The name of the Lease on a Seed, whose holder leads in everything there.
pub const LEASE: &str = "network-guard-certificates";

/// The name of the Lease of the garden: both may run in one namespace.
pub const GARDEN_LEASE: &str = "network-guard-garden-certificates";

/// What it is called where turns and panics are counted.
pub(super) const TASK: &str = "certificates";

/// The pause between two looks: while nothing is on its way, unless leaves live for minutes, and while something is.
const LOOK: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(1);

/// How long a turn may take: a few answers.
const TURN: Duration = Duration::from_secs(60);

/// How often configurations are written though nothing in them seems to have changed: what cannot be seen at a glance, such
/// as a selector, is put right by that.
const WRITE_ANEW: Duration = Duration::from_secs(60);

/// How long a rotation waits for Shoots that do not take the new bundle: one that is broken for longer would hold up all
/// others. As long as an old CA stays in the bundles of Gardener's extensions.
const PATIENCE_WITH_SHOOTS: Duration = Duration::from_secs(24 * 60 * 60);

/// And no longer than this part of the lifetime of a CA: a third of it is left for a rotation.
const SHARE_FOR_SHOOTS: u32 = 12;

/// What the controller is made of.
pub struct Parts {
    /// How to talk to the cluster of the Secret.
    pub home: kube::Config,
    /// How to talk to the cluster of the webhook configurations.
    pub registered_in: kube::Config,
    /// The Secret.
    pub settings: Settings,
    /// The webhook configurations.
    pub registration: Registration,
    /// What this replica serves.
    pub keeper: Arc<Keeper>,
    /// What must have been read before anybody is told to call.
    pub landscape: Arc<LandscapeCache>,
    /// Shoots that are told of the CA too.
    pub shoots: Option<Arc<vpn_shoot::Parts>>,
    /// Where it says what it does.
    pub board: Arc<Board>,
}

/// Its metrics.
#[derive(Debug, Default)]
pub struct Board {
    unpublished: Gauge,
    missing: Gauge,
    contested: Gauge,
    steps: Counter,
    /// Whether another installation is registered instead of this one: [`UNKNOWN`], [`FREE`] or [`DISPLACED`].
    place: AtomicU8,
}

/// No leader has looked yet.
const UNKNOWN: u8 = 0;
/// No other installation is registered.
const FREE: u8 = 1;
/// Another one is.
const DISPLACED: u8 = 2;

impl Board {
    /// Puts the metrics where they are asked for.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Webhooks whose configuration lacks a CA, as the leader sees it";
        registry.register("certificate_unpublished", help, self.unpublished.clone());
        let help =
            "Webhooks that should be registered and are not, as the leader sees it; all of them where it may not look";
        registry.register("registrations_missing", help, self.missing.clone());
        let help = "Webhook configurations that another installation has, or asked for in the last 15 minutes, as the leader sees it";
        registry.register("registration_contested", help, self.contested.clone());
        registry.register(
            "certificate_steps",
            "Steps in the lifecycle of the CA that the leader took",
            self.steps.clone(),
        );
    }
}

impl Board {
    /// Whether another installation is registered instead of this one, as the leader last saw it: then that one does the work.
    /// `None`: this leader has not seen it yet.
    pub fn is_displaced(&self) -> Option<bool> {
        match self.place.load(Ordering::Relaxed) {
            UNKNOWN => None,
            place => Some(place == DISPLACED),
        }
    }

    /// Says so.
    pub(super) fn set_displaced(&self, is_displaced: bool) {
        self.place.store(if is_displaced { DISPLACED } else { FREE }, Ordering::Relaxed);
    }

    fn sees(&self, seen: &registrar::Seen, was_asked: bool) {
        let others = seen.of_others();
        self.set_displaced(others > 0);
        let contested = if others == 0 && was_asked { 1 } else { others };
        self.contested.set(i64::try_from(contested).unwrap_or(i64::MAX));
    }
}

/// Forgets what only a leader sees, however it came about that this replica is none any more.
struct Leading<'b>(&'b Board);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.unpublished.set(0);
        self.0.missing.set(0);
        self.0.contested.set(0);
        self.0.place.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// Has one replica of all look after the CA in the garden, where there is no other leader. Ends when it is told to.
pub async fn run(
    parts: Arc<Parts>,
    identity: String,
    leads: Gauge,
    tasks: Supervisor,
    stop: CancellationToken,
) -> Result<(), kube::Error> {
    tasks.expect(TASK);
    let client = parts.keeper.client(parts.home.clone())?;
    let lease = Lease::new(client, &parts.settings.namespace, GARDEN_LEASE, identity, leads);
    lease.lead(stop, || supervised(&parts, &tasks)).await;
    Ok(())
}

/// Works as long as this replica leads, whatever panics.
pub(super) async fn supervised(parts: &Arc<Parts>, tasks: &Supervisor) {
    tasks.run(TASK, || work(Arc::clone(parts), tasks.clone())).await;
}

async fn work(parts: Arc<Parts>, tasks: Supervisor) {
    let _leading = Leading(&parts.board);
    let clients = || Ok((parts.keeper.client(parts.home.clone())?, parts.keeper.client(parts.registered_in.clone())?));
    let (home, registered_in) = match clients() {
        Ok(clients) => clients,
        Err(error) => {
            let error: kube::Error = error;
            tracing::error!(%error, "no client for certificates");
            return std::future::pending().await;
        }
    };
    let mut controller = Controller {
        store: Store::new(home, &parts.settings),
        registrar: Registrar::new(registered_in, parts.registration.clone()),
        parts: &parts,
        last: None,
        written_at: None,
    };
    let mut said = None;
    loop {
        let turn = timeout(TURN, controller.turn()).await;
        let (pause, error) = match turn.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(pause) => (pause, None),
            Err(error) => {
                parts.keeper.failed();
                (SOON * 5, Some(error))
            }
        };
        if error != said
            && let Some(error) = &error
        {
            tracing::warn!(error, "the lifecycle of the CA is held up");
        }
        said = error;
        tasks.turned(TASK);
        sleep(pause).await;
    }
}

struct Controller<'p> {
    parts: &'p Parts,
    store: Store,
    registrar: Registrar,
    /// What was good when it was last looked at.
    last: Option<Material>,
    written_at: Option<Instant>,
}

impl Controller<'_> {
    /// Looks at everything and takes at most one step. The pause until the next look.
    async fn turn(&mut self) -> Result<Duration, String> {
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
        // What any replica has seen is as good as what a leader has.
        let remembered = self.parts.keeper.material();
        if material.is_none()
            && let Some(last) = self.last.as_ref().or(remembered.as_deref())
        {
            tracing::warn!("the Secret of the CA was lost; it is written again as it was");
            self.store.write(&stored, last).await?;
            return Ok(SOON);
        }

        let seen = self.registrar.look(material.or(remembered.as_deref())).await;
        if let Some(missing) = self.registrar.missing(seen.as_ref()) {
            self.parts.board.missing.set(i64::try_from(missing).unwrap_or(i64::MAX));
        }
        let seen = seen.map_err(|error| error.to_string())?;
        self.parts.board.sees(&seen, self.registrar.was_asked());
        let mut published = seen.published.clone();
        let now = whole_seconds(self.parts.keeper.clock.now());
        let lifetimes = &self.parts.settings.lifetimes;
        // Where Shoots are told nothing, they have no say in who is trusted; nor when nothing is served that they could go on
        // trusting.
        // Nor while another installation does that work.
        let is_displaced = self.parts.board.is_displaced() == Some(true);
        let shoots = self.parts.shoots.as_ref().filter(|shoots| shoots.settings.is_some() && !is_displaced);
        let serves = |material: &&Material| material.vouched_signing().is_some_and(|pair| pair.ca.is_valid_at(now));
        if let (Some(shoots), Some(material)) = (shoots, material.filter(serves)) {
            published.push(shoots_published(shoots, material, now, lifetimes.ca));
        }
        let step = next_step(material, &published, now, lifetimes);
        if let Some(next) = carried_out(step.clone(), material, now, lifetimes).map_err(|error| error.to_string())? {
            self.store.write(&stored, &next).await?;
            said(&step);
            self.parts.board.steps.inc();
            self.last = Some(next);
            return Ok(SOON);
        }

        let Step::Wait { until, waiting } = step else { return Ok(LOOK) };
        if let Some(material) = material {
            let bundle = material.bundle(now);
            let unpublished = published.iter().filter(|published| !published.has_all(&bundle)).count();
            self.parts.board.unpublished.set(i64::try_from(unpublished).unwrap_or(i64::MAX));
            // Nobody is told to call who would not be answered.
            let is_ready = self.parts.landscape.is_synced() && self.parts.keeper.pair().is_some();
            let is_due = self.written_at.is_none_or(|at| at.elapsed() >= WRITE_ANEW);
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

/// As certificates have it, and people read it.
fn whole_seconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Shoots have the bundle when all of them have, but for those that have lacked it for long.
fn shoots_published(
    shoots: &vpn_shoot::Parts,
    material: &Material,
    now: jiff::Timestamp,
    ca_lifetime: Duration,
) -> Published {
    let patience = PATIENCE_WITH_SHOOTS.min(ca_lifetime / SHARE_FOR_SHOOTS);
    let bundle = material.bundle_pem(now);
    let is_told = shoots.board.has_arrived(&bundle, patience);
    let bundle = if is_told { material.bundle(now).into_iter().cloned().collect() } else { Vec::new() };
    Published { name: "Shoots".to_owned(), bundle, is_told }
}

/// Says what was done, without a word of a key.
fn said(step: &Step) {
    match step {
        Step::Begin { adopted, at_once } => tracing::info!(adopted = adopted.len(), at_once, "made the first CA"),
        Step::Adopt { adopted, demote } => {
            tracing::warn!(adopted = adopted.len(), demote, "configurations trust a CA that the Secret does not know");
        }
        Step::Vouch => tracing::info!("API servers trust the CA that signs"),
        Step::Issue(reason) => tracing::info!(?reason, "made the next CA; it is published now"),
        Step::Announce => tracing::info!("every configuration has the next CA"),
        Step::Recall => tracing::warn!("a configuration lacks the next CA again"),
        Step::Switch => tracing::info!("the next CA signs from now on"),
        Step::Retire => tracing::info!("forgot the old CA"),
        Step::Wait { .. } => {}
    }
}
