//! One turn of the controller about one held switch, without its hands: what it sees goes in, what it should write comes
//! out.

use jiff::Timestamp;

use super::hold::{HoldSettings, state};
use super::plan::{Plan, Reason, may_write, plan};
use super::vigil::{Progress, Vigil, VigilSettings};
use super::{families, wish};
use crate::gardener::SwitchFacts;
use crate::gardener::network::SwitchingNetwork;
use crate::gardener::node::NodeFacts;

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
        /// The message.
        message: String,
    },
    /// Write the configuration that was asked for.
    Release(Reason),
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
    let pending = |message: String| Act::Say { state: state::PENDING, message };
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
        (Plan::Wait(why), _) => return (pending(why.to_owned()), None),
        (Plan::Pass(reason), _) => (reason, None),
        (Plan::Look, Nodes::Unseen) => return (Act::Look, None),
        (Plan::Look, Nodes::Failed(why)) => {
            vigil.start_over();
            return (pending(format!("the Shoot's nodes cannot be listed: {why}")), None);
        }
        (Plan::Look, Nodes::Seen(nodes, warning)) => {
            let progress = vigil.look(nodes, now, &settings.vigil);
            let mut message = progress.message();
            if !progress.is_complete() {
                if let Some(warning) = warning {
                    message.push_str("; the route controller says: ");
                    message.push_str(warning);
                }
                if let Some(hint) = shoot.and_then(|shoot| families::hint(shoot, &wish(shoot)?)) {
                    message.push_str("; ");
                    message.push_str(hint);
                }
                return (pending(message), Some(progress));
            }
            // What was approved stays so while a new leader has not looked for long enough itself.
            let was_approved = network.state.as_deref() == Some(state::APPROVED) && vigil.is_unsettled();
            if !vigil.is_over(now, &settings.vigil) && !was_approved {
                message.push_str("; waiting whether they stay");
                return (pending(message), Some(progress));
            }
            if !vigil.is_over(now, &settings.vigil) {
                let message = network.message.as_deref().unwrap_or_default().to_owned();
                return (Act::Say { state: state::APPROVED, message }, Some(progress));
            }
            (Reason::Routes, Some(progress))
        }
    };
    if shoot.is_some_and(|shoot| may_write(network, shoot, reason)) {
        return (Act::Release(reason), progress);
    }
    let when = if shoot.is_some_and(|shoot| shoot.confines_rollout) && reason != Reason::Forced {
        "it passes in the next maintenance window"
    } else {
        "it passes with gardenlet's next write"
    };
    // Of these only routes need an approval. The others the webhook sees by itself, and sees too when they are over.
    let (state, why) = match reason {
        Reason::Routes => (state::APPROVED, progress.as_ref().map(Progress::message).unwrap_or_default()),
        Reason::Forced if network.state.as_deref() == Some(state::FORCED) => (state::FORCED, "forced".to_owned()),
        Reason::Forced => (state::PENDING, "forced".to_owned()),
        Reason::Hibernated => (state::PENDING, "the Shoot sleeps".to_owned()),
        Reason::NotListed => (state::PENDING, "nobody reports routes on this infrastructure".to_owned()),
    };
    let act = Act::Say { state, message: format!("{why}; {when}") };
    (act, progress)
}
