//! The composition of `serve seed`, `serve garden` and `serve all`: sources, webhooks, controllers, and the Lease whose
//! holder runs the controllers. All parts are put together here, and nowhere else.

mod all;
mod ask;
mod certificates;
mod client;
mod displaced;
mod garden;
mod leader;
mod process;
mod seed;
pub mod webhook_server;
mod webhooks;

use anyhow::Context as _;
use tokio::task::JoinSet;

pub use all::{All, readable};
pub use client::client_config;
pub use garden::Garden;
pub use leader::{GARDEN_LEASE, SEED_LEASE, SELF_MANAGED_LEASE};
pub use process::Listen;
pub use seed::Seed;

use network_guard_runtime::supervise::Supervisor;
use network_guard_sources::objects::Watched;
use network_guard_sources::{Feed, watch};

/// The sources of the landscape. None ends while the server runs.
type Sources = JoinSet<anyhow::Result<()>>;

/// Adds a watch of all objects of one kind.
fn watched<T: Watched>(
    sources: &mut Sources,
    task: &'static str,
    tasks: &Supervisor,
    config: &kube::Config,
    feed: Feed,
) {
    let (tasks, config) = (tasks.clone(), config.clone());
    sources.spawn(async move {
        let watching = tasks.run(task, || watch::follow::<T>(config.clone(), feed.clone()));
        watching.await.with_context(|| format!("cannot watch {}", T::plural(&())))
    });
}
