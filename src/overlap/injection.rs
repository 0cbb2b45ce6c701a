//! Everything that we may add to a Deployment, made once at start-up: it depends on the configuration only.

use serde::Deserialize;
use serde_json::Value;

use super::egress::EgressSelectorConfiguration;
use super::envoy::Bootstrap;
use super::{names, sidecar};
use crate::admission::Piece;

/// Where the sidecar goes when networks overlap.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Sidecar {
    /// Where gardenlet has not put a proxy of its own (Gardener before v1.124); that one is left as it is.
    #[default]
    WhereMissing,
    /// Everywhere: gardenlet's own proxy is replaced.
    Always,
}

/// What operators may configure about the sidecar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where the sidecar goes.
    pub sidecar: Sidecar,
    /// The image of the Envoy container; `envoy` has to be on its path.
    pub image: String,
    /// Envoy's worker threads.
    pub concurrency: u8,
    /// The CPU request, as the API server writes it, such as `20m`.
    pub cpu_request: String,
    /// The memory request, as the API server writes it, such as `100Mi`.
    pub memory_request: String,
    /// The memory limit, if there shall be one.
    pub memory_limit: Option<String>,
    /// The TCP port of the status listener.
    pub status_port: u16,
    /// Different hosts that Envoy remembers at the same time.
    pub max_hosts: u32,
    /// Connections into the Shoot at the same time.
    pub max_connections: u32,
    /// How long a connection into the Shoot may take to be established.
    pub connect_timeout_seconds: u32,
    /// How long a tunnel may be silent.
    pub idle_timeout_seconds: u32,
    /// Connections that last at least this long are logged.
    pub slow_milliseconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sidecar: Sidecar::default(),
            // The image that gardener v1.149 uses for its own proxies (imagevector `envoy-proxy`).
            image: "europe-docker.pkg.dev/gardener-project/releases/3rd/envoyproxy/envoy:distroless-v1.39.0".to_owned(),
            // From here on: the values of gardenlet's own configuration (`pkg/component/networking/vpn/envoy`).
            concurrency: 2,
            cpu_request: "20m".to_owned(),
            memory_request: "100Mi".to_owned(),
            memory_limit: None,
            status_port: 15_000,
            max_hosts: 8_192,
            max_connections: 8_192,
            connect_timeout_seconds: 20,
            slow_milliseconds: 1_000,
            // Envoy's default of 5 minutes would cut a silent `kubectl exec` or `logs -f`. kubelet's own
            // `--streaming-connection-idle-timeout` is 4 hours: whoever closes first should be kubelet.
            idle_timeout_seconds: 4 * 60 * 60,
        }
    }
}

/// All pieces of the injection.
#[derive(Clone, Debug)]
pub struct Injection {
    pub(super) sidecar: Sidecar,
    pub(super) container: Piece,
    pub(super) config_volume: Piece,
    pub(super) socket_volume: Piece,
    pub(super) mounts: [Piece; 2],
    pub(super) argument: Piece,
    pub(super) envoy_config: Piece,
    pub(super) egress_selector_config: Piece,
}

impl Injection {
    /// Builds all pieces.
    pub fn new(settings: &Settings) -> Self {
        let text = |piece: &Piece| Piece::new(&piece.json());
        Self {
            sidecar: settings.sidecar,
            container: Piece::new(&sidecar::container(settings)),
            config_volume: Piece::new(&sidecar::config_volume()),
            socket_volume: Piece::new(&sidecar::socket_volume()),
            mounts: sidecar::mounts().map(|mount| Piece::new(&mount)),
            argument: Piece::new(&names::egress_argument()),
            envoy_config: text(&Piece::new(&Bootstrap::new(settings))),
            egress_selector_config: text(&Piece::new(&EgressSelectorConfiguration::through_envoy())),
        }
    }

    /// Where the sidecar goes.
    pub fn sidecar(&self) -> Sidecar {
        self.sidecar
    }

    /// The sidecar.
    pub fn container(&self) -> &Value {
        self.container.value()
    }

    /// Envoy's configuration, as the annotation and the file hold it.
    pub fn envoy_config(&self) -> &str {
        self.envoy_config.value().as_str().expect("built from a string")
    }

    /// The egress selector, as the annotation and the file hold it.
    pub fn egress_selector_config(&self) -> &str {
        self.egress_selector_config.value().as_str().expect("built from a string")
    }
}
