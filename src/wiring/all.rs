//! `serve all`: the webhooks of Seed and garden on a folder of manifests. There is no API server, so nothing is written
//! anywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::certificates::pair_files;
use super::process::{self, Listen, ProcessDeps};
use super::webhook_server::Addresses;
use super::{Sources, webhooks};
use crate::config::Configuration;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::stop::StopSettings;
use network_guard_sources::live::LiveReads;
use network_guard_sources::{LandscapeCache, files};

/// The settings of a server on a folder.
#[derive(Clone, Debug)]
pub struct All {
    /// The addresses.
    pub listen: Listen,
    /// The folder with tls.crt and tls.key.
    pub cert_dir: PathBuf,
    /// The folder of manifests.
    pub landscape: PathBuf,
}

/// Reads a folder of manifests for the first time, which decides whether it can be used at all; later reads decide only
/// whether its new state is used.
pub fn readable(landscape: &Path) -> anyhow::Result<()> {
    files::read(landscape).map(drop).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the landscape cannot be read:\n{}", problems.join("\n"))
    })
}

impl All {
    /// Serves until the process ends, and prints the address when it is ready.
    pub fn serve(
        self,
        configuration: &Configuration,
        metrics: Metrics,
        greet: impl FnOnce(Addresses),
    ) -> anyhow::Result<()> {
        process::block_on(Box::pin(self.run(configuration, metrics, greet)))
    }

    async fn run(
        self,
        configuration: &Configuration,
        metrics: Metrics,
        greet: impl FnOnce(Addresses),
    ) -> anyhow::Result<()> {
        let Self { listen, cert_dir, landscape: folder } = self;
        let landscape = Arc::new(LandscapeCache::with_vpcs(1, Arc::clone(&configuration.shoots.overlay.vpcs)));
        let mut sources = Sources::new();
        sources.spawn({
            let (feed, tasks) = (landscape.feed(0), metrics.tasks().clone());
            async move {
                tasks.run("folder", || files::follow(folder.clone(), feed.clone())).await;
                Ok(())
            }
        });
        // There are no endpoints that have to follow, and no API server with a connection pool.
        let stop = StopSettings {
            propagation_delay: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            ..configuration.stop.clone()
        };
        // On one port: there is no Shoot that could call.
        let handlers = [webhooks::of_seed, webhooks::of_garden, webhooks::of_shoots];
        let deps = ProcessDeps {
            live: LiveReads::Folder(Arc::clone(&landscape)),
            landscape,
            sources,
            metrics,
            handlers: handlers.iter().flat_map(|handlers| handlers(configuration)).collect(),
            shoots: None,
            leader: None,
            pair: Arc::new(pair_files(&cert_dir)),
            stop,
        };
        process::serve(listen, configuration, deps, greet).await
    }
}
