//! One turn of the controller about one held switch, without its hands: what it sees goes in, what it should write comes
//! out.

use jiff::Timestamp;

use super::hold::{HoldSettings, state};
use super::plan::{Plan, Reason, may_write, plan};
use super::risk::Replacement;
use super::status::{Routes, SwitchStatus, WaitsFor};
use super::vigil::{Progress, Vigil, VigilSettings};
use super::{families, wish};
use crate::gardener::SwitchFacts;
use crate::gardener::network::SwitchingNetwork;
use crate::gardener::node::NodeFacts;
use crate::net::Family;

/// What the configuration says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchSettings {
    /// Which switches are held.
    pub hold: HoldSettings,
    /// How nodes are watched.
    pub vigil: VigilSettings,
}

/// What was seen of the nodes.
#[derive(Clone, Copy, Debug)]
pub enum Nodes<'n> {
    /// Nobody looked.
    Unseen,
    /// All nodes, and the newest warning of a route controller.
    Seen(&'n [NodeFacts], Option<&'n str>),
    /// They could not be listed.
    Failed(&'n str),
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// Look at the nodes, and ask again.
    Look,
    /// Nothing now, for this reason.
    Nothing(&'static str),
    /// Take the annotations and the record away: nothing is to be held any more.
    Clear,
    /// Take the record away.
    Forget,
    /// The switch was let through: see Calico's Pods through it.
    SeeThrough,
    /// Write this into the annotations, where it is not there yet.
    Say {
        /// The state.
        state: &'static str,
        /// What is known; `None` where what is said stays.
        status: Option<Box<SwitchStatus>>,
    },
    /// Write the configuration that was asked for.
    Release(Reason),
}

impl Act {
    /// The nodes that will be replaced, as far as they are told of.
    pub fn replacement(&self) -> Option<&Replacement> {
        if let Self::Say { status: Some(status), .. } = self { status.replacement.as_ref() } else { None }
    }
}

/// The next act about a Network with a switch.
pub fn act(
    network: &SwitchingNetwork,
    shoot: Option<&SwitchFacts>,
    vigil: &mut Vigil,
    nodes: Nodes<'_>,
    now: Timestamp,
    settings: &SwitchSettings,
) -> (Act, Option<Progress>) {
    let pending = |status: SwitchStatus| Act::Say { state: state::PENDING, status: Some(Box::new(status)) };
    vigil.attend(network.since.as_deref().unwrap_or_default());
    let plan = plan(network, shoot, &settings.hold);
    if plan != Plan::Look {
        vigil.start_over();
    }
    let (reason, progress) = match (plan, nodes) {
        (Plan::Clear, _) => return (Act::Clear, None),
        (Plan::Forget, _) => return (Act::Forget, None),
        (Plan::SeeThrough, _) => return (Act::SeeThrough, None),
        (Plan::Leave(why), _) => return (Act::Nothing(why), None),
        (Plan::Wait(why), _) => return (pending(SwitchStatus::waits(why)), None),
        (Plan::Pass(reason), _) => (reason, None),
        (Plan::Look, Nodes::Unseen) => return (Act::Look, None),
        (Plan::Look, Nodes::Failed(why)) => {
            vigil.start_over();
            let why = format!("the Shoot's nodes cannot be listed: {why}");
            return (pending(SwitchStatus::waits(why)), None);
        }
        (Plan::Look, Nodes::Seen(nodes, warning)) => {
            let progress = vigil.look(nodes, now, &settings.vigil);
            let routes = Some(Routes::from(&progress));
            if !progress.is_complete() {
                let hint = shoot.and_then(|shoot| families::hint(shoot, &wish(shoot)?));
                let status = SwitchStatus {
                    waits_for: WaitsFor::Routes,
                    routes,
                    complaint: warning.map(str::to_owned),
                    replacement: shoot.and_then(|shoot| {
                        let has_ipv6 = wish(shoot).is_some_and(|wish| wish.families.contains(&Family::V6));
                        Replacement::of(nodes, &shoot.pools, has_ipv6, now)
                    }),
                    hints: hint.map(str::to_owned).into_iter().collect(),
                    ..SwitchStatus::default()
                };
                return (pending(status), Some(progress));
            }
            // What was approved stays so while a new leader has not looked for long enough itself.
            let was_approved = network.state.as_deref() == Some(state::APPROVED) && vigil.is_unsettled();
            if !vigil.is_over(now, &settings.vigil) && !was_approved {
                let status = SwitchStatus { waits_for: WaitsFor::Stability, routes, ..SwitchStatus::default() };
                return (pending(status), Some(progress));
            }
            if !vigil.is_over(now, &settings.vigil) {
                return (Act::Say { state: state::APPROVED, status: None }, Some(progress));
            }
            (Reason::Routes, Some(progress))
        }
    };
    if shoot.is_some_and(|shoot| may_write(network, shoot, reason)) {
        return (Act::Release(reason), progress);
    }
    let waits_for = if shoot.is_some_and(|shoot| shoot.confines_rollout) && reason != Reason::Forced {
        WaitsFor::MaintenanceWindow
    } else {
        WaitsFor::Gardenlet
    };
    // Of these only routes need an approval. The others the webhook sees by itself, and sees too when they are over.
    let (state, why) = match reason {
        Reason::Routes => (state::APPROVED, ""),
        Reason::Forced if network.state.as_deref() == Some(state::FORCED) => (state::FORCED, "forced"),
        Reason::Forced => (state::PENDING, "forced"),
        Reason::Hibernated => (state::PENDING, "the Shoot sleeps"),
        Reason::NotListed => (state::PENDING, "nobody reports routes on this infrastructure"),
    };
    let routes = progress.as_ref().map(Routes::from);
    let status = SwitchStatus { waits_for, routes, ..SwitchStatus::waits(why) };
    (Act::Say { state, status: Some(Box::new(status)) }, progress)
}
