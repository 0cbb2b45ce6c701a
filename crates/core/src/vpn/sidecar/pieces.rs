//! Which parts of the sidecar are present, by names alone.

use super::Proxy;
use super::names::{self, API_SERVER_CONTAINER, CONFIG_VOLUME, SOCKET_VOLUME};
use crate::gardener::Deployment;

/// Whether each part of the sidecar is present, whatever its content: the annotations, the container, its volumes, and
/// the API server's mounts and argument. The webhook configuration checks the same (`webhook-config/seed.yaml`).
pub fn pieces(deployment: &Deployment<'_>) -> [bool; 9] {
    let template = &deployment.spec.template;
    let pod = &template.spec;
    let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let has_volume = |name: &str| pod.volumes.iter().flatten().any(|volume| &*volume.name == name);
    let api_server = pod.containers.iter().find(|container| &*container.name == API_SERVER_CONTAINER);
    let mounts = |name: &str| {
        api_server.is_some_and(|container| container.volume_mounts.iter().flatten().any(|mount| &*mount.name == name))
    };
    let flag = names::egress_argument();
    [
        deployment.metadata.annotations.as_ref().is_some_and(|annotations| annotations.overlaps.is_some()),
        annotations.is_some_and(|annotations| annotations.envoy_config.is_some()),
        annotations.is_some_and(|annotations| annotations.egress_selector_config.is_some()),
        matches!(Proxy::of(&pod.containers), Proxy::Ours(_)),
        has_volume(CONFIG_VOLUME),
        has_volume(SOCKET_VOLUME),
        api_server.is_some_and(|container| container.args.iter().flatten().any(|argument| **argument == *flag)),
        mounts(CONFIG_VOLUME),
        mounts(SOCKET_VOLUME),
    ]
}
