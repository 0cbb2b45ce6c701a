//! Removes the sidecar.

use super::Proxy;
use super::names::{
    API_SERVER_CONTAINER, CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION,
    OVERLAPS_ANNOTATION, SOCKET_DIR, SOCKET_VOLUME, containers, egress_argument, volumes,
};
use crate::admission::{ListEdits, PatchBuilder, Pointer};
use crate::gardener::Deployment;
use crate::gardener::deployment::{PodSpec, Volume, VolumeMount};
use crate::vpn::Change;

pub(super) fn remove(deployment: &Deployment<'_>, patch: &mut PatchBuilder, edits: &mut ListEdits<'_>) -> Change {
    let before = patch.operations();
    if deployment.metadata.annotations.as_ref().is_some_and(|annotations| annotations.overlaps.is_some()) {
        patch.remove(&Pointer::to("/metadata/annotations").field(OVERLAPS_ANNOTATION));
    }
    if let Some(found) = deployment.spec.template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref()) {
        let at = |name| Pointer::to("/spec/template/metadata/annotations").field(name);
        for (name, value) in [
            (ENVOY_CONFIG_ANNOTATION, &found.envoy_config),
            (EGRESS_SELECTOR_ANNOTATION, &found.egress_selector_config),
        ] {
            if value.is_some() {
                patch.remove(&at(name));
            }
        }
    }

    // Removing an element moves those after it: every list is walked from its end.
    let pod = &deployment.spec.template.spec;
    let is_ours = |volume: &Volume<'_>| match &*volume.name {
        CONFIG_VOLUME => volume.is_downward_api,
        SOCKET_VOLUME => volume.is_empty_dir,
        _ => false,
    };
    let mut our_volumes: Vec<&str> =
        pod.volumes.iter().flatten().filter(|volume| is_ours(volume)).map(|volume| &*volume.name).collect();
    // Only the first of a name: there may be thousands, and each search walks all mounts.
    our_volumes.sort_unstable();
    our_volumes.dedup();
    let argument = egress_argument();
    if let Some(index) = pod.containers.iter().position(|container| &*container.name == API_SERVER_CONTAINER) {
        let at = |list| containers().index(index).field(list);
        for (i, value) in pod.containers[index].args.as_deref().unwrap_or_default().iter().enumerate().rev() {
            if **value == *argument {
                patch.remove(&at("args").index(i));
            }
        }
        for (i, mount) in pod.containers[index].volume_mounts.as_deref().unwrap_or_default().iter().enumerate().rev() {
            let is_our_place = matches!(&*mount.mount_path, CONFIG_DIR | SOCKET_DIR);
            if is_our_place && our_volumes.contains(&&*mount.name) {
                patch.remove(&at("volumeMounts").index(i));
            }
        }
    }
    let unused: Vec<&str> = our_volumes.into_iter().filter(|volume| !is_mounted_by_others(pod, volume)).collect();
    for (i, volume) in pod.volumes.as_deref().unwrap_or_default().iter().enumerate().rev() {
        if is_ours(volume) && unused.contains(&&*volume.name) {
            patch.remove(&volumes().index(i));
        }
    }
    if let Proxy::Ours(index) = Proxy::of(&pod.containers) {
        edits.remove(index);
        return Change::Removed;
    }
    if patch.operations() == before { Change::Unchanged } else { Change::Removed }
}

/// Whether a container that stays mounts this volume: without it the Deployment would be invalid.
fn is_mounted_by_others(pod: &PodSpec<'_>, volume: &str) -> bool {
    let ours = match Proxy::of(&pod.containers) {
        Proxy::Ours(index) => Some(index),
        _ => None,
    };
    let containers =
        pod.containers.iter().enumerate().filter(|(index, _)| Some(*index) != ours).flat_map(|(_, container)| {
            let stays = |mount: &&VolumeMount<'_>| {
                &*container.name != API_SERVER_CONTAINER || !matches!(&*mount.mount_path, CONFIG_DIR | SOCKET_DIR)
            };
            container.volume_mounts.iter().flatten().filter(stays)
        });
    let init_containers =
        pod.init_containers.iter().flatten().flat_map(|container| container.volume_mounts.iter().flatten());
    containers.chain(init_containers).any(|mount| &*mount.name == volume)
}
