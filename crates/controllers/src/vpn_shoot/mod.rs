//! Registers the webhook of the VPN in those Shoots that need it: highly available, and overlapping their Seed. Each of
//! them gets a ManagedResource, by which gardener-resource-manager registers the webhook; it is deleted when the
//! overlap ends.
//!
//! All state is in the cluster, so the next leader reads it there. The ManagedResource is owned by the Shoot's Network,
//! which gardenlet deletes before it waits for ManagedResources: it never delays the deletion of a Shoot, or its move
//! to another Seed, even if no server is left to delete it.

mod objects;
mod registration;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use futures::{StreamExt as _, stream};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::Instant;

use self::objects::{NotDone, Objects};
use super::certificates::InShoots;
use super::certificates::leaf_issuer::LeafIssuer;
use super::certificates::pem::is_ca_bundle;
use network_guard_core::gardener::{ClusterFacts, ExpectedVpn};
use network_guard_core::landscape::Snapshot;
use network_guard_core::vpn;
use network_guard_core::vpn::nat::{Mode, ShootWebhook};
use network_guard_runtime::backoff::Backoff;
use network_guard_runtime::metrics::Collector;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::work::{self, Trouble, Turn, Work};
use network_guard_sources::LandscapeCache;
pub use registration::{ORIGINAL, Registration};

/// The name of the controller in metrics of turns and panics.
pub const TASK: &str = "vpn-shoot";

/// The pause between two turns.
const LOOK: Duration = Duration::from_secs(2);

/// How often the objects in the cluster are read again, in case somebody else has changed them.
const READ: Duration = Duration::from_secs(5 * 60);

/// The pause after a failed read.
const RETRY: Duration = Duration::from_secs(15);

/// Longer than any term of a leader.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The pauses after failures for a Shoot.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(5 * 60));

/// The number of Shoots that are written at the same time.
const CONCURRENCY: usize = 8;

/// The parts of the controller.
pub struct VpnShootDeps {
    /// The Clusters.
    pub landscape: Arc<LandscapeCache>,
    /// `None`: nothing is registered, and existing registrations are deleted.
    pub settings: Option<ShootWebhook>,
    /// The CA where certificates are self-managed; otherwise a file may hold it.
    pub issuer: Option<Arc<LeafIssuer>>,
    /// Who translates: with NAT containers of network-guard the webhook has to answer.
    pub nat: Mode,
    /// Where the controller publishes the bundle of the Shoots, with self-managed certificates.
    pub given: watch::Sender<Option<InShoots>>,
    /// Where it says what it does.
    pub metrics: Arc<VpnShootMetrics>,
}

/// Its metrics.
#[derive(Debug, Default)]
pub struct VpnShootMetrics {
    registered: Gauge,
    failures: Counter,
}

impl Collector for VpnShootMetrics {
    fn register(&self, registry: &mut Registry) {
        let registered = "Shoots in which the leader registered the webhook of the VPN";
        registry.register("vpn_shoot_registrations", registered, self.registered.clone());
        let failures = "Registrations in Shoots that could not be written, removed or read";
        registry.register("vpn_shoot_registration_failures", failures, self.failures.clone());
    }
}

/// Marks that this replica does not lead any more, on every way out.
struct Leading<'b>(&'b VpnShootMetrics);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.registered.set(0);
    }
}

/// Works while this replica leads.
pub async fn work(deps: Arc<VpnShootDeps>, client: kube::Client, tasks: Supervisor) {
    let _leading = Leading(&deps.metrics);
    let mut controller = Controller {
        deps: &deps,
        objects: Objects::new(client),
        present: BTreeMap::new(),
        failed: BTreeMap::new(),
        followed: BTreeMap::new(),
        unchecked: BTreeSet::new(),
        has_read: false,
        read_again: Instant::now(),
        ca_bundle: None,
        ca_trouble: Trouble::default(),
    };
    work::run(&tasks, TASK, &mut controller).await;
}

struct Controller<'p> {
    deps: &'p VpnShootDeps,
    objects: Objects,
    /// The digests of the existing registrations, by namespace.
    present: BTreeMap<String, String>,
    /// The time of the next attempt after a failure, and the pauses after that.
    failed: BTreeMap<String, (Instant, Backoff)>,
    /// Shoots in which a change is not effective yet.
    followed: BTreeMap<String, Followed>,
    /// Shoots whose registration another leader wrote, and was not checked yet.
    unchecked: BTreeSet<String>,
    /// Whether the registrations were ever read, and when they are read next.
    has_read: bool,
    read_again: Instant,
    /// The last CA that could be read.
    ca_bundle: Option<Vec<u8>>,
    /// Why it cannot be read now.
    ca_trouble: Trouble,
}

/// A change that is not effective in a Shoot yet.
struct Followed {
    /// The time of the next check, and the pauses after that.
    due: Instant,
    backoff: Backoff,
    /// Whether it was effective at the last check.
    arrived: bool,
    /// Whether nothing is left to do.
    is_done: bool,
}

impl Followed {
    fn new() -> Self {
        Self { due: Instant::now(), backoff: BACKOFF, arrived: false, is_done: false }
    }
}

/// The action for a namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Task {
    Apply { text: String, digest: String },
    Remove,
}

impl Work for Controller<'_> {
    async fn turn(&mut self) -> Turn {
        let landscape = &self.deps.landscape;
        if !landscape.is_synced() || landscape.is_stale() {
            return Turn::Idle(LOOK);
        }
        self.look().await;
        Turn::Again(LOOK)
    }
}

impl Controller<'_> {
    async fn look(&mut self) {
        if self.read_again <= Instant::now() {
            self.read().await;
        }
        if !self.has_read {
            return;
        }
        let snapshot = self.deps.landscape.snapshot();
        let wanted = match &self.deps.settings {
            Some(settings) if !self.read_ca(settings) => return,
            Some(settings) => wanted(settings, self.ca_bundle.as_deref(), &self.deps.nat, &snapshot),
            None => BTreeMap::new(),
        };
        let now = Instant::now();
        let mut tasks = tasks(wanted, &self.present, &snapshot);
        let open: HashSet<&str> = tasks.iter().map(|(namespace, _)| &**namespace).collect();
        self.failed.retain(|namespace, _| open.contains(&**namespace));
        let is_due = |namespace: &str| self.failed.get(namespace).is_none_or(|(due, _)| *due <= now);
        tasks.retain(|(namespace, _)| is_due(namespace));
        let objects = &self.objects;
        let mut done = stream::iter(tasks)
            .map(|(namespace, task)| async move {
                let result = match &task {
                    Task::Apply { text, digest } => objects.apply(&namespace, text, digest).await,
                    Task::Remove => objects.remove(&namespace).await,
                };
                (namespace, task, result)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((namespace, task, result)) = done.next().await {
            match (result, task) {
                (Ok(()), Task::Apply { digest, .. }) => {
                    tracing::info!(namespace, "registered the webhook of the VPN in the Shoot");
                    self.failed.remove(&namespace);
                    self.followed.insert(namespace.clone(), Followed::new());
                    self.present.insert(namespace, digest);
                }
                (Ok(()), Task::Remove) => {
                    tracing::info!(namespace, "removed the webhook of the VPN from the Shoot");
                    self.failed.remove(&namespace);
                    // The Seed's end goes on translating until a Shoot that is deleted is gone: its VPN stays as it is.
                    let facts = snapshot.cluster(&namespace).and_then(|record| record.as_ref().as_ref().ok());
                    if facts.is_some_and(|facts| !facts.is_leaving) {
                        self.followed.insert(namespace.clone(), Followed::new());
                    } else {
                        self.followed.remove(&namespace);
                    }
                    self.present.remove(&namespace);
                }
                (Err(why), _) => {
                    match why {
                        NotDone::NotYet(why) => tracing::debug!(namespace, why, "not ready for the webhook"),
                        NotDone::Failed(error) => {
                            tracing::warn!(namespace, %error, "the webhook of the VPN could not be written");
                            self.deps.metrics.failures.inc();
                        }
                    }
                    let now = Instant::now();
                    let (due, backoff) = self.failed.entry(namespace).or_insert((now, BACKOFF));
                    *due = now + backoff.pause();
                }
            }
        }
        drop(done);
        self.follow().await;
        if let (Some(_), Some(bundle)) = (&self.deps.issuer, &self.ca_bundle) {
            // The registration of a Shoot whose Cluster cannot be read stays as it is.
            let is_unknown = |namespace: &String| snapshot.cluster(namespace).is_some_and(|record| record.is_err());
            let is_on_its_way = !self.failed.is_empty()
                || !self.followed.is_empty()
                || !self.unchecked.is_empty()
                || self.present.keys().any(is_unknown);
            self.gives(bundle, is_on_its_way);
        }
        self.deps.metrics.registered.set(i64::try_from(self.present.len()).unwrap_or(i64::MAX));
    }

    /// Publishes the bundle of the Shoots, with the time of its first publication.
    fn gives(&self, bundle: &[u8], is_on_its_way: bool) {
        self.deps.given.send_modify(|given| match given {
            Some(given) if given.bundle == bundle => given.is_on_its_way = is_on_its_way,
            _ => *given = Some(InShoots { bundle: bundle.to_vec(), since: Instant::now(), is_on_its_way }),
        });
    }

    /// Makes gardener-resource-manager write the VPN again once a change is effective: the present objects were written
    /// without the webhook, or by it. Otherwise that would take an hour.
    async fn follow(&mut self) {
        let now = Instant::now();
        self.unchecked
            .retain(|namespace| self.present.contains_key(namespace) && !self.followed.contains_key(namespace));
        if self.deps.issuer.is_some() {
            for namespace in self.unchecked.clone() {
                let digest = self.present.get(&namespace).map(String::as_str);
                if self.objects.has_arrived(&namespace, digest).await.unwrap_or(false) {
                    self.unchecked.remove(&namespace);
                }
            }
        }
        for (namespace, followed) in self.followed.iter_mut().filter(|(_, followed)| followed.due <= now) {
            let digest = self.present.get(namespace).map(String::as_str);
            let result = match self.objects.has_arrived(namespace, digest).await {
                // The Shoot's API server learns of its webhooks by a watch: it has until the next check.
                Ok(true) if followed.arrived => self.objects.rewrite(namespace).await.map(|()| followed.is_done = true),
                Ok(arrived) => {
                    followed.arrived = arrived;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                tracing::warn!(namespace, %error, "gardener-resource-manager could not be asked to write the VPN in the Shoot again");
                self.deps.metrics.failures.inc();
            }
            let pause = followed.backoff.pause();
            followed.due = now + if followed.arrived { LOOK } else { pause };
        }
        self.followed.retain(|_, followed| !followed.is_done);
    }

    /// Reads the registrations. Where nothing is registered or wanted, they are not read again.
    async fn read(&mut self) {
        let pause = match self.objects.read().await {
            Ok(present) => {
                if !self.has_read {
                    self.unchecked = present.keys().cloned().collect();
                }
                self.has_read = true;
                self.present = present;
                if self.deps.settings.is_none() && self.present.is_empty() { NEVER } else { READ }
            }
            // Without the right to list, nothing was ever registered.
            Err(kube::Error::Api(status)) if status.code == 403 && self.deps.settings.is_none() => READ,
            Err(error) => {
                tracing::warn!(%error, "the ManagedResources of webhooks in Shoots cannot be read");
                self.deps.metrics.failures.inc();
                RETRY
            }
        };
        self.read_again = Instant::now() + pause;
    }

    /// Returns `false` until the CA could be read once; later the last one is used until there is another.
    fn read_ca(&mut self, settings: &ShootWebhook) -> bool {
        if let Some(issuer) = &self.deps.issuer {
            self.ca_bundle = issuer.bundle().map(|bundle| bundle.as_bytes().to_vec()).or(self.ca_bundle.take());
            return self.ca_bundle.is_some();
        }
        let Some(file) = &settings.ca_file else { return true };
        let error = match std::fs::read(file) {
            Ok(bundle) if is_ca_bundle(&bundle) => {
                self.ca_bundle = Some(bundle);
                None
            }
            Ok(_) => Some("it holds no certificate in PEM form".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = self.ca_trouble.news(error) {
            tracing::warn!(file = %file.display(), error, "vpn.nat.shootWebhook.caFile cannot be read");
        }
        self.ca_bundle.is_some()
    }
}

/// The NAT containers that the webhook adds, as the registration records them.
const CONTAINERS: &str = "network-guard.extensions.gardener.cloud/containers";

/// Whether the Shoot gets the webhook.
fn is_concerned(facts: &ClusterFacts) -> bool {
    facts.expected_vpn == ExpectedVpn::HighlyAvailable
        && !facts.is_leaving
        && vpn::overlaps(facts).any(|pair| pair.is_ipv4())
}

/// The wanted text and digest, by namespace.
fn wanted(
    settings: &ShootWebhook,
    ca_bundle: Option<&[u8]>,
    nat: &Mode,
    snapshot: &Snapshot,
) -> BTreeMap<String, (String, String)> {
    let concerned = snapshot.clusters().filter_map(|(namespace, record)| {
        let facts = record.as_ref().ok().filter(|facts| is_concerned(facts))?;
        let uid = facts.shoot_uid.as_ref()?;
        let registration =
            Registration { url: &settings.url, ca_bundle, namespace, uid, must_answer: matches!(nat, Mode::Own(_)) };
        let mut object = registration.object();
        if let Mode::Own(own) = nat {
            // When the containers change, the VPN has to be written again, although the rest stays the same.
            let containers = hex(own.json().to_string().as_bytes());
            object.metadata.annotations.get_or_insert_default().insert(CONTAINERS.to_owned(), containers);
        }
        let text = serde_json::to_string(&object).expect("it was read from JSON or YAML");
        let digest = hex(text.as_bytes());
        Some((namespace.to_owned(), (text, digest)))
    });
    concerned.collect()
}

/// SHA-256 in the form of gardener-resource-manager.
fn hex(text: &[u8]) -> String {
    digest::digest(&digest::SHA256, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The actions. For a Cluster that cannot be used there is none: its registration stays.
fn tasks(
    wanted: BTreeMap<String, (String, String)>,
    present: &BTreeMap<String, String>,
    snapshot: &Snapshot,
) -> Vec<(String, Task)> {
    let is_unknown = |namespace: &str| snapshot.cluster(namespace).is_some_and(|record| record.is_err());
    let removals: Vec<_> = present
        .keys()
        .filter(|namespace| !wanted.contains_key(*namespace) && !is_unknown(namespace))
        .map(|namespace| (namespace.clone(), Task::Remove))
        .collect();
    let missing = wanted.into_iter().filter(|(namespace, (_, digest))| present.get(namespace) != Some(digest));
    missing.map(|(namespace, (text, digest))| (namespace, Task::Apply { text, digest })).chain(removals).collect()
}

#[cfg(test)]
mod tests;
