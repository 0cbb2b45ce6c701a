//! All parts that may be added to a Deployment, built once at start-up: they depend on the configuration only.

use serde_json::Value;

use super::egress::EgressSelectorConfiguration;
use super::envoy::Bootstrap;
use super::{Settings, Sidecar, container, names};
use crate::admission::Fragment;

/// All parts of the sidecar.
#[derive(Clone, Debug)]
pub struct Injection {
    pub(super) sidecar: Sidecar,
    pub(super) container: Fragment,
    pub(super) config_volume: Fragment,
    pub(super) socket_volume: Fragment,
    pub(super) mounts: [Fragment; 2],
    pub(super) argument: Fragment,
    pub(super) envoy_config: Fragment,
    pub(super) egress_selector_config: Fragment,
}

impl Injection {
    /// Builds all parts.
    pub fn new(settings: &Settings) -> Self {
        let text = |fragment: &Fragment| Fragment::new(&fragment.json());
        Self {
            sidecar: settings.sidecar,
            container: Fragment::new(&container::container(settings)),
            config_volume: Fragment::new(&container::config_volume()),
            socket_volume: Fragment::new(&container::socket_volume()),
            mounts: container::mounts().map(|mount| Fragment::new(&mount)),
            argument: Fragment::new(&names::egress_argument()),
            envoy_config: text(&Fragment::new(&Bootstrap::new(settings))),
            egress_selector_config: text(&Fragment::new(&EgressSelectorConfiguration::through_envoy())),
        }
    }

    /// Which Deployments get the sidecar.
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
