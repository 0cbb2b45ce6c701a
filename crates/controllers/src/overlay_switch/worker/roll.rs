//! After a release: watches the Pods of calico-node being replaced, and takes stale marks from nodes.

use jiff::Timestamp;

use super::super::access::NoAnswer;
use super::super::events::Happened;
use super::Worker;
use super::relief::not_removed;
use network_guard_core::gardener::SwitchFacts;
use network_guard_core::gardener::network::{Reason, SwitchingNetwork};
use network_guard_core::overlay::{Act, Outcome, Passed, Relief, RouteTracker, follow, is_the_gates, rollout, writes};

impl Worker {
    /// Records a switch that gardenlet's own write carried, and returns the Network as it is stored then.
    pub(super) async fn carry(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
    ) -> Result<SwitchingNetwork, kube::Error> {
        self.unreported = network.record().map(|record| record.since.to_string());
        let (stored, result) = self.execute(network, &writes(&Act::Carry, &self.seen(network, shoot, None))).await;
        result.map(|()| stored)
    }

    /// After a switch: frees nodes that an old calico-node left marked, until all of its Pods are new.
    pub(super) async fn await_rollout(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
    ) -> Result<(), kube::Error> {
        let Some(record) = network.record() else { return Ok(()) };
        if self.unreported.take_if(|since| **since == *record.since).is_some() {
            let note = "Calico gives up its overlay, with gardenlet's own write".to_owned();
            self.report(network, Happened::Released, note).await;
            self.context.metrics.released("carried", record.since.value(), Timestamp::now());
        }
        let following = follow(record, network, shoot, self.nodes, Timestamp::now());
        let had_failed = self.failure.is_some();
        self.note_outcome(network, record, &following.outcome).await;
        let has_succeeded = following.outcome == Outcome::Succeeded;
        if has_succeeded && record.carried_out.is_empty() {
            // While the extension failed, new Pods had another reason.
            self.is_rolled_out &= !had_failed;
        }
        let is_due = self.context.settings.guards_rollout && following.is_due && !self.is_rolled_out;
        if is_due {
            self.is_rolled_out = self.see_rollout(network, following.released).await;
        }
        let is_over = !is_due || self.is_rolled_out;
        // The gate of the network extension reads the present condition, and requires the route controller's own.
        // Between two attempts the extension is in progress, although it has failed.
        let is_gates = self.failure.as_deref().is_some_and(is_the_gates);
        let needs_room = is_gates && following.has_pods && self.may_relieve(shoot);
        let trouble = if needs_room {
            self.make_room_for_gate(network).await
        } else {
            // Only consecutive observations count.
            self.relief = Relief::default();
            None
        };
        if !has_succeeded && is_over && !needs_room {
            // The extension is waited for: a failure is reported until it succeeds. That needs no nodes.
            self.access.remove().await?;
        }
        match following.act(is_over, trouble.iter().map(|why| not_removed(why)).collect()) {
            Act::Forget => self.forget(network).await,
            act => self.execute(network, &writes(&act, &self.seen(network, shoot, None))).await.1,
        }
    }

    /// As while a switch is held, but from all nodes: earlier observations of them do not count for the gate.
    async fn make_room_for_gate(&mut self, network: &SwitchingNetwork) -> Option<String> {
        match self.access.nodes().await {
            Ok(nodes) => self.make_room(network, &nodes, &RouteTracker::default()).await,
            Err(why) => {
                self.relief = Relief::default();
                Some(format!("nodes, which cannot be listed: {why}"))
            }
        }
    }

    /// Starts the record of a switch that passed with gardenlet's write before anything was recorded: an operator
    /// forced it beforehand, or the Shoot was hibernated. The next turn continues.
    pub(super) async fn begin(&mut self, network: &SwitchingNetwork, passed: Passed) -> Result<(), kube::Error> {
        let seen = self.seen(network, None, None);
        let now = seen.now;
        let (stored, result) = self.execute(network, &writes(&Act::Begin(passed), &seen)).await;
        let has_begun = |network: &SwitchingNetwork| network.record().is_some_and(|record| passed.has_begun(record));
        if has_begun(&stored) && !has_begun(network) {
            (self.nodes, self.is_rolled_out, self.failure) = (None, false, None);
            self.relief = Relief::default();
            let word = passed.reason.name();
            let note = format!("Calico gives up its overlay, with gardenlet's own write: {word}");
            let what = if passed.reason == Reason::Forced { Happened::Forced } else { Happened::Released };
            self.report(network, what, note).await;
            self.context.metrics.released(word, None, now);
        }
        result
    }

    /// Frees nodes, and returns whether all Pods are new and no node is left marked.
    async fn see_rollout(&mut self, network: &SwitchingNetwork, released: Timestamp) -> bool {
        let look = async {
            let daemon_set = match self.access.get("/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node").await
            {
                Ok(daemon_set) => Some(daemon_set),
                Err(NoAnswer::Absent) => None,
                Err(why) => return Err(why.words()),
            };
            let pods = self
                .access
                .list("/api/v1/namespaces/kube-system/pods", "&labelSelector=k8s-app%3Dcalico-node")
                .await
                .map_err(NoAnswer::words)?;
            let nodes = self.access.nodes().await?;
            let rollout = rollout(&nodes, &pods, daemon_set.as_ref(), released);
            self.nodes = Some(nodes.len());
            let marked: Vec<_> = rollout.marked.iter().map(|at| &nodes[*at]).collect();
            let freed = self.free(&marked).await;
            if let Some(why) = freed.trouble {
                tracing::info!(namespace = &*self.name.namespace, why, "a mark of calico-node could not be removed");
            }
            let names: Vec<_> = freed.nodes.iter().map(|node| node.name.clone()).collect();
            Ok((rollout.is_over && names.len() == marked.len(), names))
        };
        match look.await {
            Ok((is_over, freed)) => {
                for node in freed {
                    let note = format!("took the mark CalicoIsDown from node {node}, whose new calico-node runs");
                    self.report(network, Happened::Freed, note).await;
                }
                is_over
            }
            Err(why) => {
                tracing::info!(namespace = &*self.name.namespace, why, "the roll of calico-node cannot be watched");
                false
            }
        }
    }
}
