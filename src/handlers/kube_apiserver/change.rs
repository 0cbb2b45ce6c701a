//! Which writes need a decision. `webhook-config/seed.yaml` says the same in its match conditions, and
//! `tests/e2e/overlap/conditions.rs` compares both.

use crate::gardener::Deployment;
use crate::gardener::deployment::{PodSpec, Rollout};
use crate::nat;
use crate::overlap::pieces;

/// Whether a write over this stored object needs none, whatever the Cluster says: it starts no Pod that did not run
/// before, leaves our annotation as it is, and what is there of ours is whole.
///
/// Labels, a pause and scaling down start nothing. gardenlet's reconciliation of a highly available Shoot mostly is no such
/// write, also one that hibernates or deletes the Shoot: its template lacks what other webhooks have added to the stored one.
///
/// Not even one Pod more of a template that runs already: it may get another decision than the first one had. Where one has
/// been made, and is a refusal, [`starts_only_more_of_the_same`] is asked.
pub(super) fn needs_no_decision(deployment: &Deployment<'_>, old: &str) -> bool {
    let new = Rollout::of(deployment);
    Rollout::read(old)
        .is_ok_and(|old| new.template == old.template && new.replicas <= old.replicas && new.overlaps == old.overlaps)
        && !is_half_there(deployment)
}

/// Whether a write over this stored object starts only Pods like those that run, if any: the template stays as it is, and a
/// hibernated Shoot stays hibernated. How many there are does not matter: an autoscaler is not stopped by what is stored.
///
/// An API server writes both objects the same way, so equal templates are equal texts.
pub(super) fn starts_only_more_of_the_same(old: &str, new: &str) -> bool {
    match (Rollout::read(old), Rollout::read(new)) {
        (Ok(old), Ok(new)) => old.template == new.template && (old.replicas > 0 || new.replicas == 0),
        _ => false,
    }
}

/// Whether something of ours is there, and something that belongs to it is not: whether it has to go or to be completed, a
/// decision tells. What is whole only goes with the next Pod.
pub(super) fn is_half_there(deployment: &Deployment<'_>) -> bool {
    let pod = &deployment.spec.template.spec;
    let sidecar = pieces(deployment);
    let (init, keeper) = containers(pod);
    let is_any_there = sidecar.contains(&true) || init || keeper;
    // Without the sidecar nothing is translated by us, and what keeps rules in place needs what puts them there.
    let is_whole = !sidecar.contains(&false) && (init || !keeper);
    is_any_there && !is_whole
}

/// Whether there are containers with the names of those that translate in place of the VPN.
fn containers(pod: &PodSpec<'_>) -> (bool, bool) {
    let init_containers = pod.init_containers.as_deref().unwrap_or_default();
    (
        init_containers.iter().any(|container| &*container.name == nat::INIT_CONTAINER),
        pod.containers.iter().any(|container| &*container.name == nat::CONTAINER),
    )
}
