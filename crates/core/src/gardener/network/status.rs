//! The status in the record of a switch, as it is stored. What it says to people is made from it, in the room of the
//! overlay.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::json::Written;

/// The status of a held switch.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SwitchStatus {
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// More about that, as a message; may be empty. Where the switch may pass, or passed, it is the [`Reason`].
    pub because: Written<String, Reason>,
    /// The result of the last observation of the nodes; `None` where none was needed.
    pub routes: Option<Routes>,
    /// The last complaint of a route controller.
    pub complaint: Option<String>,
    /// More reasons why routes may be missing.
    pub hints: Vec<String>,
    /// Which nodes will be replaced for want of a route.
    pub replacement: Option<Replacement>,
}

/// What a held switch waits for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitsFor {
    /// Routes of nodes.
    Routes,
    /// Whether the routes stay.
    Stability,
    /// The maintenance window of the Shoot: it may pass.
    MaintenanceWindow,
    /// The next write of gardenlet: it may pass.
    Gardenlet,
    /// What the message says, or something that only a later version knows.
    #[default]
    #[serde(other)]
    Other,
}

impl SwitchStatus {
    /// A status that waits for something else than routes.
    pub fn waits(why: impl Into<Written<String, Reason>>) -> Self {
        Self { because: why.into(), ..Self::default() }
    }
}

/// The result of an observation of the nodes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Routes {
    /// Nodes that count.
    pub nodes: usize,
    /// Those of them with a route.
    pub with_route: usize,
    /// The others, by name: the first ten, with one whose reason is known among them if there is any.
    pub missing: Vec<MissingRoute>,
    /// Nodes that do not count because they have not been ready for long.
    pub not_ready: usize,
    /// The first ten of them, by name.
    pub not_ready_nodes: Vec<String>,
    /// Nodes that do not count because they are leaving.
    pub leaving: usize,
}

/// A node without a route.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MissingRoute {
    /// Its name.
    pub node: String,
    /// The reason, if one was reported; may be empty.
    pub reason: String,
}

/// Nodes that will be replaced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replacement {
    /// The first of these nodes.
    pub node: String,
    /// When its replacement is due: machine-controller-manager replaces one node of a pool at a time, so it may be
    /// later.
    pub deadline: Timestamp,
    /// How many nodes there are.
    pub nodes: usize,
    /// Whether the Shoot has IPv6, with which Calico has no overlay. It is always written: the stored record is changed
    /// by a merge patch, in which a missing member stays as it was.
    #[serde(default)]
    pub has_ipv6: bool,
    /// Whether the infrastructure makes routes with an overlay too, so that setting it back does not help. Always
    /// written as well.
    #[serde(default)]
    pub routes_stay: bool,
}
