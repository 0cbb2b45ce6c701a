//! What the configuration says about switches.

use jiff::SignedDuration;

use crate::gardener::providers::reporting;

/// What the configuration says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchSettings {
    /// Which switches are held.
    pub hold: HoldSettings,
    /// How nodes are watched.
    pub tracker: RouteTrackerSettings,
}

/// Which switches are held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HoldSettings {
    /// The infrastructures whose route controllers tell by the condition `NetworkUnavailable` that a node has its
    /// route. On others a held switch would never end.
    pub providers: Vec<String>,
}

impl Default for HoldSettings {
    /// Those of which it is known: their route controllers set the reason `RouteCreated`. Azure's does too, but Calico
    /// cannot have an overlay there.
    fn default() -> Self {
        Self { providers: reporting() }
    }
}

/// How long, and how patiently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteTrackerSettings {
    /// How long all nodes must have had their routes.
    pub window: SignedDuration,
    /// A node that has not been ready for longer than this holds up nobody.
    pub not_ready: SignedDuration,
}

impl Default for RouteTrackerSettings {
    /// Half a minute is three looks at the default pace. Ten minutes is when machine-controller-manager gives a node up.
    fn default() -> Self {
        Self { window: SignedDuration::from_secs(30), not_ready: SignedDuration::from_mins(10) }
    }
}
