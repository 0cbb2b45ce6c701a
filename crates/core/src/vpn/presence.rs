//! Whether what network-guard has in a Deployment is whole.

use super::nat::{CONTAINER, INIT_CONTAINER};
use super::sidecar::pieces;
use crate::gardener::Deployment;
use crate::gardener::deployment::PodSpec;

/// Whether something of network-guard is there, and something that belongs to it is not: whether it has to go or to be
/// completed, a decision tells. What is whole only goes with the next Pod.
pub fn is_half_there(deployment: &Deployment<'_>) -> bool {
    let sidecar = pieces(deployment);
    let (init, agent) = containers(&deployment.spec.template.spec);
    let is_any_there = sidecar.contains(&true) || init || agent;
    // Without the sidecar nothing is translated by us, and what keeps rules in place needs what puts them there.
    let is_whole = !sidecar.contains(&false) && (init || !agent);
    is_any_there && !is_whole
}

/// Whether there are containers with the names of those that translate in place of the VPN.
fn containers(pod: &PodSpec<'_>) -> (bool, bool) {
    let init_containers = pod.init_containers.as_deref().unwrap_or_default();
    (
        init_containers.iter().any(|container| &*container.name == INIT_CONTAINER),
        pod.containers.iter().any(|container| &*container.name == CONTAINER),
    )
}
