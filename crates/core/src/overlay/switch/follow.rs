//! A released switch, until the network extension has carried it out and Calico's Pods are new.

use jiff::Timestamp;

use super::act::Act;
use super::outcome::{Outcome, outcome};
use super::rollout::longest_rollout;
use crate::gardener::network::{Record, SwitchingNetwork};
use crate::gardener::{Hibernation, SwitchFacts};

/// How far a released switch is.
#[derive(Clone, Debug)]
pub struct Following {
    /// Its record as it should be now.
    record: Record,
    /// The result of the extension.
    pub outcome: Outcome,
    /// When it was released.
    pub released: Timestamp,
    /// Whether the Shoot has Pods.
    pub has_pods: bool,
    /// Whether the rollout of Calico's Pods may still be going on.
    pub is_due: bool,
}

/// How far the switch of this record is. `nodes` is how many the Shoot has, if they were listed.
pub fn follow(
    record: &Record,
    network: &SwitchingNetwork,
    shoot: Option<&SwitchFacts>,
    nodes: Option<usize>,
    now: Timestamp,
) -> Following {
    let (outcome, mut record) = (outcome(network, record), record.clone());
    if outcome == Outcome::Succeeded && record.carried_out.is_empty() {
        record.carried_out = network.operated.as_deref().unwrap_or_default().into();
    }
    // An object that cannot be read for a moment ends nothing.
    let has_pods = shoot.is_none_or(|shoot| shoot.hibernation == Hibernation::Awake && !shoot.is_being_deleted);
    // Without a known start, the end of the wait is unknown too.
    let released = record.released.value().unwrap_or(Timestamp::UNIX_EPOCH);
    // An extension that failed for hours replaces Calico's Pods only after that.
    let begun = record.carried_out.value().unwrap_or(released).max(released).min(now);
    // Until the nodes are listed, their number is the one from the hold.
    let nodes = nodes.unwrap_or_else(|| record.nodes());
    let is_due = has_pods && now.duration_since(begun) < longest_rollout(nodes);
    Following { record, outcome, released, has_pods, is_due }
}

impl Following {
    /// What is written of it: nothing is left once the extension has succeeded and the rollout is over. `hints` say
    /// what prevents that.
    pub fn act(mut self, is_over: bool, hints: Vec<String>) -> Act {
        if self.outcome == Outcome::Succeeded && is_over {
            return Act::Forget;
        }
        if self.record.status.as_ref().map_or(&[][..], |status| &status.hints) != hints {
            self.record.status.get_or_insert_default().hints = hints;
        }
        Act::Remember(Box::new(self.record))
    }
}
