//! `network-guard serve`: the admission server.

mod all;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::log::{self, LogFormat};
use crate::config::Configuration;
use crate::wiring::{self, Listen};
use network_guard_runtime::log::{Level, Log};
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::supervise::Supervisor;

#[derive(Debug, Subcommand)]
pub(super) enum Serve {
    /// Serve the webhooks of a Seed, watch its Clusters, and control held overlay switches
    Seed(Seed),
    /// Serve the webhooks of the virtual garden, and watch its Shoots and Seeds
    Garden(Garden),
    /// Serve all webhooks on a folder of manifests: no Kubernetes needed, for trying out, tests and demos
    All(All),
}

#[derive(Debug, Args)]
pub(super) struct Remote {
    #[command(flatten)]
    common: Common,
    /// The kubeconfig of the Seed or the virtual garden; without it, for `garden` the file that GARDEN_KUBECONFIG
    /// names, then the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Seed {
    #[command(flatten)]
    remote: Remote,
    /// The namespace of the Lease by which one replica controls held switches of the overlay; without it the
    /// configuration's `overlay.leaseNamespace`
    #[arg(long, value_name = "NAMESPACE", env = "NETWORK_GUARD_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The HTTPS address of the webhook of the VPN, for API servers of Shoots; only with `vpn.nat.shootWebhook` in the
    /// configuration. Shoots must not reach the other webhooks
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:10251", env = "NETWORK_GUARD_SHOOTS_BIND_ADDRESS")]
    shoots_bind_address: SocketAddr,
}

#[derive(Debug, Args)]
pub(super) struct Garden {
    #[command(flatten)]
    remote: Remote,
    /// The kubeconfig of the cluster in which the server runs, with the Secret and the Lease of self-managed
    /// certificates; without it the Pod's own service account
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_RUNTIME_KUBECONFIG")]
    runtime_kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct All {
    #[command(flatten)]
    common: Common,
    /// The folder: .yaml, .yml and .json files in any depth, read again when they change
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_LANDSCAPE")]
    landscape: PathBuf,
}

#[derive(Debug, Args)]
struct Common {
    /// The HTTPS address of the webhooks
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:10250", env = "NETWORK_GUARD_BIND_ADDRESS")]
    bind_address: SocketAddr,
    /// The HTTP address of /healthz and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081", env = "NETWORK_GUARD_HEALTH_BIND_ADDRESS")]
    health_bind_address: SocketAddr,
    /// The HTTP address of /metrics
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", env = "NETWORK_GUARD_METRICS_BIND_ADDRESS")]
    metrics_bind_address: SocketAddr,
    /// The folder with tls.crt and tls.key, read again when they change; not with `certificates` in the configuration;
    /// `serve all` makes its own certificate
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// CAs of clients: with them only API servers with a certificate of one of them may call
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CLIENT_CA_FILE")]
    client_ca_file: Option<PathBuf>,
    /// The configuration file, of kind NetworkGuardConfiguration
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// The log level: error, warn, info, debug or trace, also by module, such as info,network_guard=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log::level, env = "NETWORK_GUARD_LOG_LEVEL")]
    log_level: Level,
    /// The log format
    #[arg(long, value_name = "FORMAT", default_value = "json", env = "NETWORK_GUARD_LOG_FORMAT")]
    log_format: LogFormat,
}

impl Common {
    fn listen(&self) -> Listen {
        Listen {
            webhooks: self.bind_address,
            health: self.health_bind_address,
            metrics: self.metrics_bind_address,
            client_ca_file: self.client_ca_file.clone(),
        }
    }
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let common = match &self {
            Self::Seed(seed) => &seed.remote.common,
            Self::Garden(garden) => &garden.remote.common,
            Self::All(all) => &all.common,
        };
        let log = Log::start(&common.log_level, common.log_format.into())?;
        let metrics = Metrics::new(&Supervisor::default());
        metrics.add(log.metrics());
        let mut configuration = match &common.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        if let Self::Seed(Seed { lease_namespace: Some(namespace), .. }) = &self {
            configuration.overlay.lease_namespace.clone_from(namespace);
        }
        match self {
            Self::Seed(Seed { remote: Remote { common, kubeconfig }, shoots_bind_address, .. }) => {
                let listen = common.listen();
                let seed = wiring::Seed { listen, cert_dir: common.cert_dir, kubeconfig, shoots: shoots_bind_address };
                seed.serve(&configuration, metrics)
            }
            Self::Garden(Garden { remote: Remote { common, kubeconfig }, runtime_kubeconfig }) => {
                let listen = common.listen();
                let garden = wiring::Garden { listen, cert_dir: common.cert_dir, kubeconfig, runtime_kubeconfig };
                garden.serve(&configuration, metrics)
            }
            Self::All(All { common, landscape }) => all::serve(common, landscape, &configuration, metrics),
        }
    }
}
