//! Which switches are held, and how long routes must stay: what the pure functions take.

use jiff::SignedDuration;

use crate::gardener::providers::reporting;

/// The settings for switches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchSettings {
    /// Which switches are held.
    pub hold: HoldSettings,
    /// How nodes are observed.
    pub tracker: RouteTrackerSettings,
}

/// Which switches are held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HoldSettings {
    /// The infrastructures whose route controllers report by the condition `NetworkUnavailable` that a node has its
    /// route. On others a held switch would never end.
    pub providers: Vec<String>,
}

impl Default for HoldSettings {
    /// Those for which it is known: their route controllers set the reason `RouteCreated`. Azure's does too, but Calico
    /// cannot have an overlay there.
    fn default() -> Self {
        Self { providers: reporting() }
    }
}

/// How long nodes are observed, and for which of them a switch waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteTrackerSettings {
    /// How long all nodes must have had their routes.
    pub window: SignedDuration,
    /// A switch does not wait for a node that has not been ready for longer than this.
    pub not_ready: SignedDuration,
}

impl Default for RouteTrackerSettings {
    /// Half a minute is three observations at the default interval. Ten minutes is when machine-controller-manager
    /// gives a node up.
    fn default() -> Self {
        Self { window: SignedDuration::from_secs(30), not_ready: SignedDuration::from_mins(10) }
    }
}
