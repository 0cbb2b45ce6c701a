//! Conditions of nodes that are taken away, because nobody else does it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::access::NoAnswer;
use super::super::events::Happened;
use super::Worker;
use network_guard_core::gardener::SwitchFacts;
use network_guard_core::gardener::network::SwitchingNetwork;
use network_guard_core::gardener::node::{NETWORK_UNAVAILABLE, NodeFacts};
use network_guard_core::overlay::{Act, Relief, RouteTracker, SwitchStatus, WaitsFor};

/// Nodes whose condition is taken away at one look, at most.
const NODES: usize = 100;

/// How long that may take: as long as one answer may. The others are left for the next look.
const TIME: Duration = Duration::from_secs(10);

/// Nodes that an event names.
const NAMED: usize = 3;

/// What became of an attempt to take conditions away.
#[derive(Default)]
pub(super) struct Freed<'n> {
    /// The nodes that have lost it.
    pub(super) nodes: Vec<&'n NodeFacts>,
    /// Of which nodes it could not be taken away, and why. It stays the same while nothing changes, whichever node came first.
    pub(super) trouble: Option<String>,
}

/// What is told where Calico's condition stays.
pub(super) fn not_removed(why: &str) -> String {
    format!("Calico's condition cannot be removed from {why}")
}

impl Worker {
    /// Takes the condition [`NETWORK_UNAVAILABLE`] from nodes as they were read: from one that was written since, nothing
    /// is taken.
    pub(super) async fn free<'n>(&mut self, nodes: &[&'n NodeFacts]) -> Freed<'n> {
        let (mut freed, begun) = (Freed::default(), Instant::now());
        let mut refused = self.refused.take().filter(|name| nodes.iter().any(|node| node.name == *name));
        // Each time another one is the first, so that nodes that cannot be changed are not in the way of the others.
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
                // The next look shows what it says now, or that it is gone.
                Err(NoAnswer::Conflict | NoAnswer::Absent) => {}
                // That is about this node. What is told does not depend on the number, which may change at each look.
                Err(NoAnswer::Rejected(code)) => {
                    tracing::debug!(node = &*node.name, code, "a node's condition could not be removed");
                    if refused.as_ref().is_none_or(|name| node.name < *name) {
                        refused = Some(node.name.clone());
                    }
                }
                // That is about all of them.
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

    /// While a switch is held, after a look at the nodes: makes room for the route controller's word where Calico's is in
    /// its place, unless the switch is let through next. What prevents that is told where people look, and hinders nothing else.
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

    /// Takes Calico's condition from nodes where it stays, and whose route `tracker` has not seen; gives what prevents that.
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
