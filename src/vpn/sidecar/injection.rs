//! Everything that we may add to a Deployment, made once at start-up: it depends on the configuration only.

use serde_json::Value;

use super::egress::EgressSelectorConfiguration;
use super::envoy::Bootstrap;
use super::{Settings, Sidecar, container, names};
use crate::admission::Piece;

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
            container: Piece::new(&container::container(settings)),
            config_volume: Piece::new(&container::config_volume()),
            socket_volume: Piece::new(&container::socket_volume()),
            mounts: container::mounts().map(|mount| Piece::new(&mount)),
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
