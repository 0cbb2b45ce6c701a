//! The controller of held switches: it watches the nodes of their Shoots, lets a switch through when every node has its
//! route, and watches Calico's Pods during the change.
//!
//! All state is in the cluster, in annotations and `status.state` of the Network, so a leader may end at any moment and
//! another one continue. The next step is decided in [`network_guard_core::overlay`], which does no I/O; this module
//! carries it out.

mod access;
mod events;
mod metrics;
mod settings;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

pub use metrics::SwitchMetrics;
pub use settings::OverlaySettings;

use self::worker::Worker;
use network_guard_core::landscape::NetworkName;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::work::{self, Turn, Work};
use network_guard_sources::LandscapeCache;

/// The name under which events are reported.
const REPORTER: &str = "network-guard";

/// The name of the controller in the metric of panics.
pub const TASK: &str = "overlay";

/// The name of each of its workers, whose turns are counted too.
const WORKER: &str = "overlay-switch";

/// The pause between two searches for switches that have no worker yet.
const LOOK: Duration = Duration::from_secs(1);

/// The number of Shoots' answers that are read at the same time: each may be some megabytes.
const READING: usize = 16;

/// The number of Shoots whose large lists are kept at the same time: each may be some megabytes, until it is evaluated.
const LARGE: usize = 8;

/// The interval between the starts of workers when many start at once.
const STAGGER: Duration = Duration::from_millis(20);

/// What all workers share.
struct Context {
    client: kube::Client,
    /// The Clusters.
    landscape: Arc<LandscapeCache>,
    /// The Networks with a switch.
    switches: Arc<LandscapeCache>,
    /// Permits to read answers of Shoots.
    reading: Semaphore,
    /// Permits to keep large lists.
    large: Arc<Semaphore>,
    settings: OverlaySettings,
    metrics: Arc<SwitchMetrics>,
    tasks: Supervisor,
    recorder: Recorder,
}

/// The parts of the controller.
pub struct SwitchDeps {
    /// The client of the Seed.
    pub client: kube::Client,
    /// The Clusters of the Seed.
    pub landscape: Arc<LandscapeCache>,
    /// The Networks of the Seed that have a switch.
    pub switches: Arc<LandscapeCache>,
    /// The settings.
    pub settings: OverlaySettings,
    /// Where it says what it does.
    pub metrics: Arc<SwitchMetrics>,
    /// Counts the turns of its workers.
    pub tasks: Supervisor,
    /// The identity of this replica.
    pub identity: String,
}

/// The controller of held switches.
#[derive(Clone)]
pub struct Controller(Arc<Context>);

impl Controller {
    /// A controller that does nothing yet.
    pub fn new(deps: SwitchDeps) -> Self {
        let SwitchDeps { client, landscape, switches, settings, metrics, tasks, identity } = deps;
        // Also the series of what only a leader does.
        tasks.expect(WORKER);
        let reporter = Reporter { controller: REPORTER.into(), instance: Some(identity) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self(Arc::new(Context {
            client,
            landscape,
            switches,
            reading: Semaphore::new(READING),
            large: Arc::new(Semaphore::new(LARGE)),
            settings,
            metrics,
            tasks,
            recorder,
        }))
    }

    /// Handles all switches of the landscape, while this replica leads.
    pub async fn work(&self) {
        let context = Arc::clone(&self.0);
        let _leading = Leading(Arc::clone(&context));
        let mut workers = Workers { context, running: JoinSet::new(), by_switch: HashMap::new() };
        work::run(&self.0.tasks, TASK, &mut workers).await;
    }
}

/// Marks that this replica does not lead any more, on every way out.
struct Leading(Arc<Context>);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.metrics.forget_all();
    }
}

/// One worker for each switch; the workers end with this future, and each by itself when its switch is over. They share
/// one thread, which is not one of the webhooks'; a worker that waits for an answer does not delay the others.
struct Workers {
    context: Arc<Context>,
    running: JoinSet<()>,
    by_switch: HashMap<NetworkName, AbortHandle>,
}

impl Work for Workers {
    async fn turn(&mut self) -> Turn {
        let Self { context, running, by_switch } = self;
        while let Some(ended) = running.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!("a worker died; another one goes on where it was");
                context.metrics.failed();
                context.tasks.panicked(WORKER);
            }
        }
        by_switch.retain(|_, worker| !worker.is_finished());
        if context.landscape.is_synced() && context.switches.is_synced() {
            let snapshot = context.switches.snapshot();
            let new = snapshot.switches().map(|(name, _)| name).filter(|name| !by_switch.contains_key(name));
            let new: Vec<NetworkName> = new.cloned().collect();
            let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
            for (name, i) in new.into_iter().zip(0..) {
                let worker = Worker::new(Arc::clone(context), name.clone());
                // One by one, not all at the moment when a leader begins.
                let first = context.settings.poll.min(STAGGER * count) * i / count;
                by_switch.insert(name, running.spawn(worker.run(first)));
            }
        }
        // Turns of the workers are what counts.
        Turn::Idle(LOOK)
    }
}
