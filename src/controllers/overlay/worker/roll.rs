//! After a switch: Calico's Pods are seen through it.

use jiff::Timestamp;

use super::super::access::NoAnswer;
use super::super::events::Happened;
use super::{Worker, seconds};
use crate::gardener::network::SwitchingNetwork;
use crate::gardener::{Hibernation, SwitchFacts};
use crate::overlay::{Outcome, Phase, longest_rollout, rollout};

impl Worker {
    /// After a switch: frees nodes that an old calico-node left marked, until all of its Pods are new.
    pub(super) async fn see_through(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
    ) -> Result<(), kube::Error> {
        let now = Timestamp::now();
        let Some(mut record) = self.record.clone() else { return self.forget(network).await };
        if record.phase == Phase::Held {
            // gardenlet's own write carried it.
            record.phase = Phase::Released;
            // Calico's Pods are replaced since then, whenever we come to look.
            let written = network.timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
            record.released = seconds(written.unwrap_or(now).min(now));
            self.remember(Some(&record), network).await?;
            self.record = Some(record.clone());
            let note = "Calico gives up its overlay, with gardenlet's own write".to_owned();
            self.report(network, Happened::Released, note).await;
            self.context.board.released("carried", record.since.parse().ok(), now);
        }
        // Of an unknown time nobody knows when it would be over.
        let released = record.released.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let is_awake = shoot.is_some_and(|shoot| shoot.hibernation == Hibernation::Awake && !shoot.is_being_deleted);
        // Before the nodes could be listed it is known at least how many had a route when they were waited for.
        let nodes = self.nodes.unwrap_or(record.latched.len());
        let is_young = now.duration_since(released) < longest_rollout(nodes);
        let is_due = self.context.settings.guards_rollout && is_awake && is_young;
        let is_over = !is_due || self.is_rolled_out(network, released).await;
        match self.outcome(network, &record).await {
            _ if !is_over => Ok(()),
            // It is told of until the extension succeeds. Nodes need not be looked at for that.
            Outcome::Fails(_) => self.access.remove().await,
            Outcome::Open if is_young && is_awake => self.access.remove().await,
            Outcome::Open | Outcome::Succeeded => self.forget(network).await,
        }
    }

    async fn is_rolled_out(&mut self, network: &SwitchingNetwork, released: Timestamp) -> bool {
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
                tracing::info!(namespace = &*self.name.namespace, why, "a mark of calico-node could not be taken away");
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
