//! The leader: turns of the controller, whose writes arrive one by one at the API server.

use std::collections::VecDeque;

use super::*;
use crate::gardener::SwitchFacts;
use crate::overlay::{Nodes, Patch, Progress, RouteTracker, Seen, Target, Write, act, follow, writes};

/// How long a turn lasts at most: the API server is not waited for any longer.
const TURN: SignedDuration = SignedDuration::from_secs(60);

/// What a leader knows and has not written yet. It forgets that when it restarts.
#[derive(Clone, Default)]
pub(super) struct Leader {
    tracker: RouteTracker,
    /// The Network and the Shoot as the watches delivered them last.
    cache: (Option<SwitchingNetwork>, Option<SwitchFacts>),
    /// The writes of this turn that are still to be sent.
    turn: VecDeque<Write>,
    /// The resource version after the last one.
    version: String,
    /// When the turn began.
    begun: Timestamp,
}

/// What happens to the writes before they are sent: what a broken controller does.
pub(super) type Fault = fn(&mut Vec<Write>);

impl World {
    /// A whole turn of the controller, while nobody else writes.
    pub(super) fn controller(&mut self) -> Act {
        self.deliver();
        let act = self.look();
        while self.is_writing() {
            assert!(self.send(), "the controller's own writes pass");
        }
        act
    }

    /// The watches deliver what is stored.
    pub(super) fn deliver(&mut self) {
        self.leader.cache = self.live();
    }

    /// Whether the leader knows the Network as it is stored.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.leader.cache.0.as_ref().is_some_and(|network| &*network.resource_version == self.version())
    }

    fn live(&self) -> (Option<SwitchingNetwork>, Option<SwitchFacts>) {
        let network = SwitchingNetwork::read(&self.network.to_string()).unwrap();
        (network, self.snapshot().switch_facts(NAMESPACE).cloned())
    }

    /// Whether the turn has writes left.
    pub(super) fn is_writing(&self) -> bool {
        !self.leader.turn.is_empty() && self.now.duration_since(self.leader.begun) < TURN
    }

    /// The leader looks, and decides what to write.
    pub(super) fn look(&mut self) -> Act {
        self.leader.turn.clear();
        self.leader.begun = self.now;
        let (Some(network), shoot) = self.leader.cache.clone() else { return Act::Nothing("no switch") };
        let (next, progress) = self.act(&network, shoot.as_ref());
        match &next {
            // These rest on what is there now.
            Act::Release(_) => {
                let (Some(network), shoot) = self.live() else { return next };
                let (again, progress) = self.act(&network, shoot.as_ref());
                if again == next {
                    self.plan(&again, &network, shoot.as_ref(), progress.as_ref());
                }
            }
            Act::Clear => {
                let asked = self.live().1.as_ref().and_then(desired);
                if asked.is_some_and(|asked| asked.encapsulation == Encapsulation::Overlay) {
                    self.plan(&next, &network, None, None);
                }
            }
            Act::AwaitRollout => {
                let record = network.record().unwrap();
                let following = follow(record, &network, shoot.as_ref(), None, self.now);
                let is_over = !following.is_due || self.is_rolled_out;
                let after = following.act(is_over, Vec::new());
                self.plan(&after, &network, shoot.as_ref(), None);
            }
            _ => self.plan(&next, &network, shoot.as_ref(), progress.as_ref()),
        }
        next
    }

    fn act(&mut self, network: &SwitchingNetwork, shoot: Option<&SwitchFacts>) -> (Act, Option<Progress>) {
        let nodes = if self.answers { Nodes::Seen(&self.nodes, None) } else { Nodes::Failed("it does not answer") };
        act(network, shoot, &mut self.leader.tracker, nodes, self.now, &self.settings)
    }

    fn plan(
        &mut self,
        act: &Act,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
        progress: Option<&Progress>,
    ) {
        // No two turns are at the same nanosecond.
        let now = self.now + SignedDuration::from_nanos(i64::try_from(self.writes).unwrap());
        let tracker = &self.leader.tracker;
        let mut writes = writes(act, &Seen { network, shoot, tracker, progress, now });
        (self.fault)(&mut writes);
        self.leader.turn = writes.into();
    }

    /// The next write arrives at the API server; `false` when it is refused, which ends the turn.
    pub(super) fn send(&mut self) -> bool {
        let Some(write) = self.leader.turn.pop_front() else { return false };
        let is_stored = self.store(&write);
        if is_stored {
            self.leader.version = self.version().to_owned();
        } else {
            self.leader.turn.clear();
        }
        is_stored
    }

    fn version(&self) -> &str {
        self.network["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }

    fn store(&mut self, write: &Write) -> bool {
        let mut new = self.network.clone();
        match write.patch(&self.leader.version) {
            Patch::Merge(patch) => json_patch::merge(&mut new, &patch),
            Patch::Json(operations) => {
                let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations)).unwrap();
                if json_patch::patch(&mut new, &patch).is_err() {
                    return false;
                }
            }
        }
        // As in Kubernetes, no version means any version.
        let required = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !required.is_empty() && required != self.version() {
            return false;
        }
        match write.target {
            Target::Network => {
                new["status"] = self.network["status"].clone();
                self.write(new)
            }
            Target::Status => {
                self.network["status"] = new["status"].take();
                self.bump();
                true
            }
        }
    }

    /// Another leader begins.
    pub(super) fn restart(&mut self) {
        let record = self.network["status"]["state"][STATE_MEMBER].to_string();
        let tracker = Record::read(&record).map(|record| RouteTracker::resume(&record.since, &record.latched));
        self.leader = Leader { tracker: tracker.unwrap_or_default(), ..Leader::default() };
        self.deliver();
    }
}
