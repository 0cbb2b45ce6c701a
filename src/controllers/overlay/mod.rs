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
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use board::Board;
pub use settings::OverlaySettings;

use self::worker::Worker;
use super::lease::Lease;
use crate::landscape::NetworkName;
use crate::sources::Landscape;

/// The name of the Lease.
pub const LEASE: &str = "network-guard-overlay";

/// The name under which events are reported.
const REPORTER: &str = "network-guard";

/// The pause between two looks for switches that nobody looks after yet.
const LOOK: Duration = Duration::from_secs(1);

/// What all workers share.
struct Context {
    client: kube::Client,
    landscape: Arc<Landscape>,
    settings: OverlaySettings,
    board: Arc<Board>,
    recorder: Recorder,
}

/// Looks after all switches of the landscape whenever this replica leads, until it is told to stop.
pub async fn run(
    client: kube::Client,
    landscape: Arc<Landscape>,
    settings: OverlaySettings,
    board: Arc<Board>,
    identity: String,
    stop: CancellationToken,
) {
    let reporter = Reporter { controller: REPORTER.into(), instance: Some(identity.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let lease = Lease::new(client.clone(), &settings.lease_namespace, LEASE, identity);
    let context = Arc::new(Context { client, landscape, settings, board, recorder });
    lease.lead(stop, || work(Arc::clone(&context))).await;
    context.board.leads(false);
}

/// Says that this replica does not lead any more, however that came about.
struct Leading(Arc<Context>);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.board.leads(false);
    }
}

/// One worker for each switch; they end with this future, and by themselves when their switch is over. They share one
/// thread, which is not one of the webhooks'; one that waits for an answer costs the others nothing.
async fn work(context: Arc<Context>) {
    context.board.leads(true);
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
            }
        }
        workers.retain(|_, worker| !worker.is_finished());
        if context.landscape.is_synced() {
            for (name, _) in context.landscape.snapshot().switches() {
                if !workers.contains_key(name) {
                    let worker = Worker::new(Arc::clone(&context), name.clone());
                    workers.insert(name.clone(), running.spawn(worker.run()));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
