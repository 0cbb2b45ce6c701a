//! Looks after held switches: watches the nodes of their Shoots, lets them through when every node has its route, and
//! sees Calico's Pods through the change.
//!
//! Everything that has to be remembered is in the cluster, in annotations and `status.state` of the Network, so a leader
//! may end at any moment and another one go on. What to do next is decided in [`crate::overlay`], which waits for nobody;
//! here are the hands.

mod access;
mod board;
mod events;
mod settings;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::events::{Recorder, Reporter};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use board::Board;
pub use settings::OverlaySettings;

use self::worker::Worker;
use super::lease::Lease;
use super::{certificates, vpn_shoot};
use crate::landscape::NetworkName;
use crate::sources::LandscapeCache;
use crate::sources::supervise::Supervisor;

/// The name of the Lease. Where certificates are self-managed it is [`certificates::LEASE`]: when that is introduced, the
/// old replicas, which know nothing of it, must not keep the Lease from the new ones, which are not ready without a leader
/// among them. For as long as both are there, both lead.
pub const LEASE: &str = "network-guard-overlay";

/// The name under which events are reported.
const REPORTER: &str = "network-guard";

/// What a worker is called where turns and panics are counted.
const TASK: &str = "overlay-switch";

/// And what begins the workers.
const WORK: &str = "overlay";

/// The pause between two looks for switches that nobody looks after yet.
const LOOK: Duration = Duration::from_secs(1);

/// How long the work waits until the leader has seen whether another installation is registered. Longer than that nothing waits:
/// what keeps the leader from looking must not keep switches held.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// How long one answer of the Seed may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Answers of Shoots that are read at the same time: each may be some megabytes.
const READING: usize = 16;

/// Shoots of which large lists are kept at the same time: each may be some megabytes, until it was looked at.
const LARGE: usize = 8;

/// How far apart workers begin when many begin at once.
const STAGGER: Duration = Duration::from_millis(20);

/// What all workers share.
struct Context {
    client: kube::Client,
    /// The Clusters.
    landscape: Arc<LandscapeCache>,
    /// The Networks with a switch.
    switches: Arc<LandscapeCache>,
    /// Answers of Shoots that are read at the same time.
    reading: Semaphore,
    /// Large lists that are kept at the same time.
    large: Arc<Semaphore>,
    settings: OverlaySettings,
    board: Arc<Board>,
    tasks: Supervisor,
    recorder: Recorder,
}

/// What a controller is made of.
pub struct Parts {
    /// How to talk to the Seed.
    pub config: kube::Config,
    /// The Clusters of the Seed.
    pub landscape: Arc<LandscapeCache>,
    /// The Networks of the Seed that have a switch.
    pub switches: Arc<LandscapeCache>,
    /// The settings.
    pub settings: OverlaySettings,
    /// Where it says what it does.
    pub board: Arc<Board>,
    /// What restarts tasks that panic.
    pub tasks: Supervisor,
    /// Who this replica is.
    pub identity: String,
    /// Where the work is done: not where webhooks are answered.
    pub runtime: tokio::runtime::Handle,
    /// What else the leader looks after: webhooks in Shoots.
    pub vpn_shoot: Arc<vpn_shoot::Parts>,
    /// The same: self-managed certificates.
    pub certificates: Option<Arc<certificates::Parts>>,
}

/// Looks after all switches of the landscape whenever this replica leads, which it says there, until it is told to stop.
pub async fn run(parts: Parts, leads: Gauge, stop: CancellationToken) -> Result<(), kube::Error> {
    let Parts { mut config, landscape, switches, settings, board, tasks, identity, runtime, vpn_shoot, certificates } =
        parts;
    // Also of what only a leader does.
    for task in [TASK, WORK, vpn_shoot::TASK] {
        tasks.expect(task);
    }
    if certificates.is_some() {
        tasks.expect(certificates::TASK);
    }
    // Nothing here lasts long; what is never answered must not be waited for.
    config.read_timeout = Some(ANSWER);
    let name = if certificates.is_some() { certificates::LEASE } else { LEASE };
    let client = kube::Client::try_from(config.clone())?;
    let lease = Lease::new(client, &settings.lease_namespace, name, identity.clone(), leads);
    let client = {
        // Its connections live where the work is done.
        let _there = runtime.enter();
        kube::Client::try_from(config)?
    };
    let reporter = Reporter { controller: REPORTER.into(), instance: Some(identity) };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context {
        client,
        landscape,
        switches,
        reading: Semaphore::new(READING),
        large: Arc::new(Semaphore::new(LARGE)),
        settings,
        board,
        tasks: tasks.clone(),
        recorder,
    });
    let lead = || {
        let switches = AbortOnDropHandle::new(runtime.spawn({
            let (context, certificates) = (Arc::clone(&context), certificates.clone());
            async move {
                let work = || {
                    unless_displaced(certificates.as_deref().map(|parts| &*parts.board), || work(Arc::clone(&context)))
                };
                context.tasks.run(WORK, work).await;
            }
        }));
        let webhooks = AbortOnDropHandle::new(runtime.spawn({
            let (context, parts) = (Arc::clone(&context), Arc::clone(&vpn_shoot));
            let tasks = tasks.clone();
            let turns = tasks.clone();
            let certificates = certificates.clone();
            async move {
                let work = || {
                    unless_displaced(certificates.as_deref().map(|parts| &*parts.board), || {
                        vpn_shoot::work(Arc::clone(&parts), context.client.clone(), turns.clone())
                    })
                };
                tasks.run(vpn_shoot::TASK, work).await;
            }
        }));
        let certificates = certificates.clone().map(|parts| {
            let tasks = tasks.clone();
            let work = async move { certificates::supervised(&parts, &tasks).await };
            AbortOnDropHandle::new(runtime.spawn(work))
        });
        // None ends by itself.
        async move {
            let certificates = async {
                match certificates {
                    Some(certificates) => drop(certificates.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = switches => drop(ended),
                ended = webhooks => drop(ended),
                () = certificates => {}
            }
        }
    };
    lease.lead(stop, lead).await;
    Ok(())
}

/// Works while no other installation is registered instead of this one: two would undo each other's work. Never ends.
async fn unless_displaced<F: Future<Output = ()>>(board: Option<&certificates::Board>, work: impl Fn() -> F) {
    let is_displaced = || board.map_or(Some(false), certificates::Board::is_displaced);
    let until_free = async || {
        let (mut unknown_since, mut is_said) = (Instant::now(), false);
        loop {
            match is_displaced() {
                Some(false) => return,
                Some(true) => {
                    unknown_since = Instant::now();
                    if !std::mem::replace(&mut is_said, true) {
                        tracing::warn!("another installation is registered, and does the work of this one");
                    }
                }
                None if unknown_since.elapsed() >= FIRST_LOOK => return,
                None => {}
            }
            sleep(LOOK).await;
        }
    };
    let until_displaced = async || {
        while is_displaced() != Some(true) {
            sleep(LOOK).await;
        }
    };
    loop {
        until_free().await;
        tokio::select! {
            () = work() => {}
            () = until_displaced() => {}
        }
    }
}

/// Says that this replica does not lead any more, however that came about.
struct Leading(Arc<Context>);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.board.forget_all();
    }
}

/// One worker for each switch; they end with this future, and by themselves when their switch is over. They share one
/// thread, which is not one of the webhooks'; one that waits for an answer costs the others nothing.
async fn work(context: Arc<Context>) {
    let _leading = Leading(Arc::clone(&context));
    let mut running: JoinSet<()> = JoinSet::new();
    let mut workers: HashMap<NetworkName, AbortHandle> = HashMap::new();
    loop {
        while let Some(ended) = running.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!("a worker died; another one goes on where it was");
                context.board.failed();
                context.tasks.panicked(TASK);
            }
        }
        workers.retain(|_, worker| !worker.is_finished());
        if context.landscape.is_synced() && context.switches.is_synced() {
            let snapshot = context.switches.snapshot();
            let new = snapshot.switches().map(|(name, _)| name).filter(|name| !workers.contains_key(name));
            let new: Vec<NetworkName> = new.cloned().collect();
            let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
            for (name, i) in new.into_iter().zip(0..) {
                let worker = Worker::new(Arc::clone(&context), name.clone());
                // One by one, not all in the moment in which a leader begins.
                let first = context.settings.poll.min(STAGGER * count) * i / count;
                workers.insert(name, running.spawn(worker.run(first)));
            }
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What is polled once has begun its work, or waits.
    async fn begins(board: Option<&certificates::Board>) -> bool {
        let has_begun = Cell::new(false);
        let work = || {
            has_begun.set(true);
            std::future::pending()
        };
        drop(tokio::time::timeout(Duration::ZERO, unless_displaced(board, work)).await);
        has_begun.get()
    }

    #[tokio::test]
    async fn nothing_begins_before_it_is_known_whose_the_registration_is() {
        let board = certificates::Board::default();
        assert!(!begins(Some(&board)).await, "no leader has looked yet");
        board.set_displaced(true);
        assert!(!begins(Some(&board)).await);
        board.set_displaced(false);
        assert!(begins(Some(&board)).await);
        assert!(begins(None).await, "nothing is registered by the server");
    }
}
