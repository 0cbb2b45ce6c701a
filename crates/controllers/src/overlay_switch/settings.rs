//! How the controller looks after held switches: pace, events, the access to a Shoot. What decides is in `SwitchSettings`.

use std::time::Duration;

use jiff::SignedDuration;

use network_guard_core::gardener::providers::silenced;
use network_guard_core::overlay::SwitchSettings;

/// The settings of the controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverlaySettings {
    /// Which switches are held, and how nodes are watched.
    pub switches: SwitchSettings,
    /// The pause between two looks at the nodes of one Shoot.
    pub poll: Duration,
    /// The age from which a held switch is reported as slow. It is never let through because of its age.
    pub slow: SignedDuration,
    /// Whether Calico's Pods are watched during the switch: a node that an old Pod left marked as down is freed.
    pub guards_rollout: bool,
    /// The infrastructures on which network-guard removes Calico's condition from nodes while a switch is held, because
    /// their route controllers do not overwrite it.
    pub removes_calicos_condition: Vec<String>,
    /// Whether network-guard uses the cluster-admin of the Secret `gardener-internal` where its own token does not
    /// arrive or has no rights.
    pub falls_back_to_admin: bool,
    /// The address of the API server of a Shoot; `{namespace}` is replaced by its control-plane namespace.
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
