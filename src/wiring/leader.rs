//! The controllers that only one of all replicas runs, and their Lease.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, select_all};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use network_guard_runtime::lease::Lease;
use network_guard_runtime::supervise::Supervisor;

/// The Lease on a Seed with certificates from files.
pub const SEED_LEASE: &str = "network-guard-overlay";

/// The Lease on a Seed with self-managed certificates. It is another one: when these are introduced, the old replicas,
/// which know nothing about them, must not keep the Lease from the new ones, which do not become ready until one of
/// them leads. While both exist, both lead.
pub const SELF_MANAGED_LEASE: &str = "network-guard-certificates";

/// The Lease of the garden, which is for self-managed certificates only: both may run in one namespace.
pub const GARDEN_LEASE: &str = "network-guard-garden-certificates";

/// The help of the metric `leader`.
pub(super) const LEADS: &str = "Whether this replica leads, by its Lease";

/// Starts a controller, which never ends by itself.
type Begin = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Controllers that run on the replica that holds the Lease, and nowhere else.
pub(super) struct Leader {
    lease: Lease,
    /// Where they run.
    runtime: Handle,
    tasks: Supervisor,
    controllers: Vec<(&'static str, Begin)>,
}

impl Leader {
    pub(super) fn new(lease: Lease, runtime: Handle, tasks: Supervisor) -> Self {
        Self { lease, runtime, tasks, controllers: Vec::new() }
    }

    /// Adds a controller, whose panics and turns are counted under this name.
    #[must_use]
    pub(super) fn with<F>(mut self, task: &'static str, begin: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Also where this replica never leads.
        self.tasks.expect(task);
        self.controllers.push((task, Arc::new(move || begin().boxed())));
        self
    }

    /// Runs all of them while this replica holds the Lease. Ends when it is told to, and then releases the Lease.
    pub(super) async fn run(self, stop: CancellationToken) {
        let Self { lease, runtime, tasks, controllers } = self;
        let lead = || {
            let running: Vec<_> = controllers
                .iter()
                .map(|(task, begin)| {
                    let (task, begin, tasks) = (*task, Arc::clone(begin), tasks.clone());
                    AbortOnDropHandle::new(runtime.spawn(async move { tasks.run(task, || begin()).await }))
                })
                .collect();
            // None ends by itself.
            async move { drop(select_all(running).await) }
        };
        lease.lead(stop, lead).await;
    }
}

/// The identity of this replica: the name of its Pod, and a number that no other process of that name has.
pub(super) fn identity() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let number = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{}-{number:016x}", name.trim())
}
