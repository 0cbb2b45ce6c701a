//! Whether network-guard's parts of a Deployment are complete.

use super::nat::{CONTAINER, INIT_CONTAINER};
use super::sidecar::pieces;
use crate::gardener::Deployment;
use crate::gardener::deployment::PodSpec;

/// Whether some of network-guard's parts are present and others are missing. A decision says whether they are removed
/// or completed. Complete parts are removed only with a write that starts new Pods.
pub fn is_half_there(deployment: &Deployment<'_>) -> bool {
    let sidecar = pieces(deployment);
    let (init, agent) = containers(&deployment.spec.template.spec);
    let is_any_there = sidecar.contains(&true) || init || agent;
    // Without the sidecar network-guard translates nothing, and the container that keeps the rules needs the one that
    // sets them.
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
