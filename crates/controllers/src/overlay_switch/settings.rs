//! What the configuration says about held switches.

use std::time::Duration;

use jiff::SignedDuration;

use network_guard_core::gardener::providers::silenced;
use network_guard_core::overlay::SwitchSettings;

/// The settings of the controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverlaySettings {
    /// What is held, and how nodes are watched.
    pub switches: SwitchSettings,
    /// The pause between two looks at the nodes of one Shoot.
    pub poll: Duration,
    /// The age from which on a held switch is reported as slow. It is never let through because of that.
    pub slow: SignedDuration,
    /// Whether Calico's Pods are seen through the switch: a node that an old Pod left marked as down is freed.
    pub guards_rollout: bool,
    /// The infrastructures whose nodes lose Calico's condition while a switch is held, because their route controllers say
    /// nothing over it.
    pub removes_calicos_condition: Vec<String>,
    /// Whether the Shoot's API server is reached as cluster-admin, by the Secret `gardener-internal`, where our own
    /// token does not come or has no rights.
    pub falls_back_to_admin: bool,
    /// Where the API server of a Shoot is; `{namespace}` stands for its control-plane namespace.
    pub shoot_server: String,
    /// The namespace of the Lease.
    pub lease_namespace: String,
}

impl Default for OverlaySettings {
    fn default() -> Self {
        Self {
            switches: SwitchSettings::default(),
            poll: Duration::from_secs(10),
            slow: SignedDuration::from_mins(30),
            guards_rollout: true,
            removes_calicos_condition: silenced(),
            falls_back_to_admin: false,
            shoot_server: "https://kube-apiserver.{namespace}.svc".to_owned(),
            lease_namespace: "garden".to_owned(),
        }
    }
}
