//! One turn of the controller about one held switch, as a pure function from what it observed to what it should do.

use jiff::Timestamp;

use super::desired::desired;
use super::obstacle::hint;
use super::passed::Passed;
use super::plan::{Plan, plan};
use super::released::may_write;
use super::route_tracker::{Progress, RouteTracker};
use super::settings::SwitchSettings;
use crate::gardener::network::{
    Phase, Reason, Record, Replacement, Routes, SwitchState, SwitchStatus, SwitchingNetwork, WaitsFor,
};
use crate::gardener::node::NodeFacts;
use crate::gardener::{Hibernation, SwitchFacts};

/// What was observed of the nodes.
#[derive(Clone, Copy, Debug)]
pub enum Nodes<'n> {
    /// They were not listed.
    Unseen,
    /// All nodes, and the newest warning of a route controller.
    Seen(&'n [NodeFacts], Option<&'n str>),
    /// They could not be listed.
    Failed(&'n str),
}

/// The next action of the controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// List the nodes, and call again.
    Look,
    /// Nothing for now, for this reason.
    Nothing(&'static str),
    /// Remove the annotations and the record: nothing is held any more.
    Clear,
    /// Remove the record: the switch is over.
    Forget,
    /// Start the record of a switch that passed before there was one, by its trace.
    Begin(Passed),
    /// Record that gardenlet's own write carried the switch.
    Carry,
    /// The switch was released: wait for the rollout of Calico's Pods.
    AwaitRollout,
    /// Write this record of a released switch.
    Remember(Box<Record>),
    /// Write this into the annotations, where they differ.
    Say {
        /// The state.
        state: SwitchState,
        /// The status; `None` to leave the stored one.
        status: Option<Box<SwitchStatus>>,
    },
    /// Write the configuration that was asked for.
    Release(Reason),
}

impl Act {
    /// The status that is reported, if any.
    pub fn status(&self) -> Option<&SwitchStatus> {
        if let Self::Say { status, .. } = self { status.as_deref() } else { None }
    }
}

/// The next action about a Network with a switch.
pub fn act(
    network: &SwitchingNetwork,
    shoot: Option<&SwitchFacts>,
    tracker: &mut RouteTracker,
    nodes: Nodes<'_>,
    now: Timestamp,
    settings: &SwitchSettings,
) -> (Act, Option<Progress>) {
    let pending = |status: SwitchStatus| Act::Say { state: SwitchState::Pending, status: Some(Box::new(status)) };
    tracker.track(network.switch.since.as_deref().unwrap_or_default());
    let plan = plan(network, shoot, &settings.hold);
    if plan != Plan::Look {
        tracker.reset();
    }
    // What was observed is kept until the nodes can be listed again.
    let known = || {
        let record = network.record().filter(|record| network.switch.since.as_deref() == Some(&*record.since));
        let status = record.and_then(|record| record.status.clone()).unwrap_or_default();
        // Whether a replacement that was due long ago has happened is not known.
        let replacement = status.replacement.filter(|replacement| !replacement.is_past(now));
        let known = SwitchStatus { routes: status.routes, complaint: status.complaint, ..SwitchStatus::default() };
        SwitchStatus { replacement, ..known }
    };
    let cannot_be_listed = |why: &str, known: &SwitchStatus| {
        let age = if known.routes.is_some() { "; what is said of them was seen before that" } else { "" };
        format!("the Shoot's nodes cannot be listed: {why}{age}")
    };
    let replacement = |nodes: &[NodeFacts]| Replacement::of(nodes, shoot?, now);
    let (reason, progress) = match (plan, nodes) {
        (Plan::Clear, _) => return (Act::Clear, None),
        (Plan::Forget, _) => return (Act::Forget, None),
        (Plan::AwaitRollout, _) => return (afterwards(network), None),
        (Plan::Leave(why), _) => return (Act::Nothing(why), None),
        (Plan::Wait(why), _) => {
            let has_nodes = shoot.is_none_or(|shoot| shoot.hibernation == Hibernation::Awake);
            let known = if has_nodes { known() } else { SwitchStatus::default() };
            let age = "; nodes are not looked at, and what is said of them was seen before that";
            let because = format!("{why}{}", if known.routes.is_some() { age } else { "" });
            return (pending(SwitchStatus { because: because.into(), ..known }), None);
        }
        (Plan::MayPass(reason), _) => (reason, None),
        (Plan::Look | Plan::Watch(_), Nodes::Unseen) => return (Act::Look, None),
        (Plan::Watch(why), Nodes::Failed(error)) => {
            let known = known();
            let because = format!("{why}; {}", cannot_be_listed(error, &known));
            return (pending(SwitchStatus { because: because.into(), ..known }), None);
        }
        (Plan::Watch(why), Nodes::Seen(nodes, warning)) => {
            let progress = tracker.observe(nodes, now, &settings.tracker);
            // Time without an observation does not count for the time that routes must stay.
            tracker.reset();
            let status = SwitchStatus {
                because: why.into(),
                routes: Some(Routes::from(&progress)),
                complaint: warning.map(str::to_owned).filter(|_| !progress.is_complete()),
                replacement: replacement(nodes),
                ..SwitchStatus::default()
            };
            return (pending(status), Some(progress));
        }
        (Plan::Look, Nodes::Failed(why)) => {
            tracker.reset();
            let known = known();
            let because = cannot_be_listed(why, &known);
            return (pending(SwitchStatus { because: because.into(), ..known }), None);
        }
        (Plan::Look, Nodes::Seen(nodes, warning)) => {
            let progress = tracker.observe(nodes, now, &settings.tracker);
            let routes = Some(Routes::from(&progress));
            if !progress.is_complete() {
                let hint = shoot.and_then(|shoot| hint(shoot, &desired(shoot)?));
                let status = SwitchStatus {
                    waits_for: WaitsFor::Routes,
                    routes,
                    complaint: warning.map(str::to_owned),
                    replacement: replacement(nodes),
                    hints: hint.map(str::to_owned).into_iter().collect(),
                    ..SwitchStatus::default()
                };
                return (pending(status), Some(progress));
            }
            // An approval stays while a new leader has not observed the nodes for long enough itself. One that no routes gave, left
            // by a release that was interrupted, has no time.
            let is_approved = network.switch.is(SwitchState::Approved) && network.switch.approved.is_some();
            let was_approved = is_approved && tracker.is_unsettled();
            if !tracker.is_over(now, &settings.tracker) && !was_approved {
                let status = SwitchStatus { waits_for: WaitsFor::Stability, routes, ..SwitchStatus::default() };
                return (pending(status), Some(progress));
            }
            if !tracker.is_over(now, &settings.tracker) {
                return (Act::Say { state: SwitchState::Approved, status: None }, Some(progress));
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
    // Of these reasons only routes need an approval. The webhook sees by itself when the others begin and end.
    let state = match reason {
        Reason::Routes => SwitchState::Approved,
        Reason::Forced if network.switch.is(SwitchState::Forced) => SwitchState::Forced,
        Reason::Forced | Reason::Hibernated | Reason::NotListed => SwitchState::Pending,
    };
    let routes = progress.as_ref().map(Routes::from);
    let status = SwitchStatus { waits_for, routes, ..SwitchStatus::waits(reason.words()) };
    (Act::Say { state, status: Some(Box::new(status)) }, progress)
}

/// The next action about a switch that has passed.
fn afterwards(network: &SwitchingNetwork) -> Act {
    if let Some(trace) = &network.passed {
        return Act::Begin(Passed::read(trace));
    }
    match network.record().map(|record| record.phase) {
        None => Act::Forget,
        Some(Phase::Held) => Act::Carry,
        Some(Phase::Released) => Act::AwaitRollout,
    }
}
