//! Removes conditions of nodes that no other component removes.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::access::NoAnswer;
use super::super::events::Happened;
use super::Worker;
use network_guard_core::gardener::SwitchFacts;
use network_guard_core::gardener::network::{SwitchStatus, SwitchingNetwork, WaitsFor};
use network_guard_core::gardener::node::{NETWORK_UNAVAILABLE, NodeFacts};
use network_guard_core::overlay::{Act, Relief, RouteTracker};

/// The most nodes whose condition is removed in one turn.
const NODES: usize = 100;

/// The timeout: as long as one answer may take. The other nodes are left for the next turn.
const TIME: Duration = Duration::from_secs(10);

/// Nodes that an event names.
const NAMED: usize = 3;

/// The result of an attempt to remove conditions.
#[derive(Default)]
pub(super) struct Freed<'n> {
    /// The nodes that have lost it.
    pub(super) nodes: Vec<&'n NodeFacts>,
    /// On which nodes the condition could not be removed, and why. The text stays the same while nothing changes,
    /// whichever node came first.
    pub(super) trouble: Option<String>,
}

/// The message where Calico's condition stays.
pub(super) fn not_removed(why: &str) -> String {
    format!("Calico's condition cannot be removed from {why}")
}

impl Worker {
    /// Removes the condition [`NETWORK_UNAVAILABLE`] from nodes as they were read; a node that was written since is not
    /// changed.
    pub(super) async fn free<'n>(&mut self, nodes: &[&'n NodeFacts]) -> Freed<'n> {
        let (mut freed, begun) = (Freed::default(), Instant::now());
        let mut refused = self.refused.take().filter(|name| nodes.iter().any(|node| node.name == *name));
        // Each turn starts at another node, so that nodes that cannot be changed do not block the others.
        let first = self.freed % nodes.len().max(1);
        for node in nodes.iter().cycle().skip(first).take(nodes.len().min(NODES)) {
            if begun.elapsed() >= TIME {
                break;
            }
            self.freed = self.freed.wrapping_add(1);
            let patch = json!({
                "metadata": {"resourceVersion": node.resource_version},
                "status": {"conditions": [{"type": NETWORK_UNAVAILABLE, "$patch": "delete"}]},
            });
            match self.access.patch_status(&format!("/api/v1/nodes/{}", node.name), &patch).await {
                Ok(()) => {
                    freed.nodes.push(node);
                    refused = refused.filter(|name| *name != node.name);
                }
                // The next turn shows whether the condition is gone.
                Err(NoAnswer::Conflict | NoAnswer::Absent) => {}
                // This error is about one node. The message does not contain the code, which may change in each turn.
                Err(NoAnswer::Rejected(code)) => {
                    tracing::debug!(node = &*node.name, code, "a node's condition could not be removed");
                    if refused.as_ref().is_none_or(|name| node.name < *name) {
                        refused = Some(node.name.clone());
                    }
                }
                // This error is about all nodes.
                Err(why) => {
                    freed.trouble = Some(format!("nodes: {}", why.words()));
                    break;
                }
            }
        }
        if freed.trouble.is_none() {
            freed.trouble = refused.as_ref().map(|name| format!("node {name}: its API server does not permit it"));
        }
        self.refused = refused;
        freed
    }

    /// While a switch is held, after reading the nodes: removes Calico's condition so that the route controller can set
    /// its own, unless the switch is let through next. Obstacles are reported to people, and delay nothing else.
    pub(super) async fn relieve(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
        nodes: &[NodeFacts],
        next: &mut Act,
    ) {
        let waits = |status: &SwitchStatus| status.waits_for == WaitsFor::Routes;
        if !matches!(next, Act::Say { status: Some(status), .. } if waits(status)) {
            return;
        }
        if !self.may_relieve(shoot) {
            return;
        }
        let tracker = std::mem::take(&mut self.tracker);
        let trouble = self.make_room(network, nodes, &tracker).await;
        self.tracker = tracker;
        if let (Some(why), Act::Say { status: Some(status), .. }) = (trouble, next) {
            status.hints.push(not_removed(&why));
        }
    }

    /// Whether the Shoot's route controller may need help.
    pub(super) fn may_relieve(&self, shoot: Option<&SwitchFacts>) -> bool {
        shoot.is_some_and(|shoot| Relief::is_wanted(shoot, &self.context.settings.removes_calicos_condition))
    }

    /// Removes Calico's condition from nodes that keep it and whose route `tracker` has not seen; returns what prevents
    /// that.
    pub(super) async fn make_room(
        &mut self,
        network: &SwitchingNetwork,
        nodes: &[NodeFacts],
        tracker: &RouteTracker,
    ) -> Option<String> {
        let (now, window) = (self.now(), self.context.settings.switches.tracker.window);
        let due: Vec<_> = self.relief.observe(nodes, tracker, now, window).into_iter().map(|at| &nodes[at]).collect();
        let freed = self.free(&due).await;
        for node in &freed.nodes {
            self.relief.done(node);
        }
        if let Some(why) = &freed.trouble {
            tracing::info!(namespace = &*self.name.namespace, why, "Calico's condition could not be removed");
        }
        if !freed.nodes.is_empty() {
            let names: Vec<&str> = freed.nodes.iter().take(NAMED).map(|node| &*node.name).collect();
            let note = format!(
                "removed Calico's condition (NetworkUnavailable False, CalicoIsUp), over which the route controller \
                 reports no route, from {} nodes: {} (+{})",
                freed.nodes.len(),
                names.join(", "),
                freed.nodes.len() - names.len()
            );
            self.report(network, Happened::ConditionRemoved, note).await;
        }
        freed.trouble
    }
}
