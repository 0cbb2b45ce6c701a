//! After a release: watches the Pods of calico-node being replaced, and takes stale marks from nodes.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::access::NoAnswer;
use super::super::events::Happened;
use super::relief::not_removed;
use super::{Worker, seconds};
use network_guard_core::gardener::network::{SWITCH_PASSED, SwitchingNetwork};
use network_guard_core::gardener::{Hibernation, SwitchFacts};
use network_guard_core::overlay::{
    Outcome, Passed, Phase, Reason, Record, Relief, RouteTracker, SwitchStatus, carried, is_the_gates, longest_rollout,
    record, rollout,
};

impl Worker {
    /// After a switch: frees nodes that an old calico-node left marked, until all of its Pods are new.
    pub(super) async fn await_rollout(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
    ) -> Result<(), kube::Error> {
        let now = Timestamp::now();
        // Calico's Pods are replaced after gardenlet's write, whenever this turn runs.
        let written = network.timestamp.unwrap_or(now);
        if let Some(trace) = &network.passed {
            return self.begin(network, Passed::read(trace), written).await;
        }
        let Some(mut record) = self.record.clone() else { return self.forget(network).await };
        if record.phase == Phase::Held {
            // gardenlet's own write carried the switch.
            record.phase = Phase::Released;
            record.released = seconds(written.min(now)).into();
            // The hold is over.
            let reason = carried(record.status.as_ref(), shoot);
            let routes = record.status.take().and_then(|status| status.routes);
            let because = if reason == Reason::Routes { "" } else { reason.name() };
            record.status = Some(SwitchStatus { routes, ..SwitchStatus::waits(because) });
            self.remember(Some(&record), network).await?;
            self.record = Some(record.clone());
            let note = "Calico gives up its overlay, with gardenlet's own write".to_owned();
            self.report(network, Happened::Released, note).await;
            self.context.metrics.released("carried", record.since.value(), now);
        }
        let had_failed = self.failure.is_some();
        let outcome = self.outcome(network, &record).await;
        let has_succeeded = outcome == Outcome::Succeeded;
        if has_succeeded && record.carried_out.is_empty() {
            record.carried_out = network.operated.as_deref().unwrap_or_default().into();
            // While the extension failed, new Pods had another reason.
            self.is_rolled_out &= !had_failed;
        }
        // An object that cannot be read for a moment ends nothing.
        let has_pods = shoot.is_none_or(|shoot| shoot.hibernation == Hibernation::Awake && !shoot.is_being_deleted);
        // Without a known start, the end of the wait is unknown too.
        let released = record.released.value().unwrap_or(Timestamp::UNIX_EPOCH);
        // An extension that failed for hours replaces Calico's Pods only after that.
        let begun = record.carried_out.value().unwrap_or(released).max(released).min(now);
        // Until the nodes are listed, their number is the one from the hold.
        let nodes = self.nodes.unwrap_or_else(|| record.nodes());
        let is_due = self.context.settings.guards_rollout && has_pods && !self.is_rolled_out;
        let is_due = is_due && now.duration_since(begun) < longest_rollout(nodes);
        if is_due {
            self.is_rolled_out = self.see_rollout(network, released).await;
        }
        let is_over = !is_due || self.is_rolled_out;
        // The gate of the network extension reads the present condition, and requires the route controller's own.
        // Between two attempts the extension is in progress, although it has failed.
        let is_gates = self.failure.as_deref().is_some_and(is_the_gates);
        let needs_room = is_gates && has_pods && self.may_relieve(shoot);
        let trouble = if needs_room {
            self.make_room_for_gate(network).await
        } else {
            // Only consecutive observations count.
            self.relief = Relief::default();
            None
        };
        if has_succeeded && is_over {
            return self.forget(network).await;
        }
        if !has_succeeded && is_over && !needs_room {
            // The extension is waited for: a failure is reported until it succeeds. That needs no nodes.
            self.access.remove().await?;
        }
        let hints: Vec<String> = trouble.iter().map(|why| not_removed(why)).collect();
        if record.status.as_ref().map_or(&[][..], |status| &status.hints) != hints {
            record.status.get_or_insert_default().hints = hints;
        }
        if self.record.as_ref() != Some(&record) {
            self.remember(Some(&record), network).await?;
            self.record = Some(record);
        }
        Ok(())
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
    /// forced it beforehand, or the Shoot was hibernated. The next turn continues. If the record has been started
    /// already, only the trace is removed: another write came in between, or another leader ended there.
    async fn begin(
        &mut self,
        network: &SwitchingNetwork,
        passed: Passed,
        written: Timestamp,
    ) -> Result<(), kube::Error> {
        let stored = network.record.as_deref().and_then(Record::read).filter(|stored| passed.has_begun(stored));
        let version = if let Some(stored) = stored {
            self.record = Some(stored);
            network.resource_version.to_string()
        } else {
            let now = Timestamp::now();
            let begun = passed.begin(record(network, None), written, now);
            let version = self.remember(Some(&begun), network).await?;
            self.record = Some(begun);
            (self.nodes, self.is_rolled_out, self.failure) = (None, false, None);
            self.relief = Relief::default();
            let word = passed.reason.name();
            let note = format!("Calico gives up its overlay, with gardenlet's own write: {word}");
            let what = if passed.reason == Reason::Forced { Happened::Forced } else { Happened::Released };
            self.report(network, what, note).await;
            self.context.metrics.released(word, None, now);
            version
        };
        self.annotate(&Map::from_iter([(SWITCH_PASSED.to_owned(), Value::Null)]), &version).await?;
        Ok(())
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
