//! gardenlet's own proxy, and what is removed with it where the sidecar replaces it (`vpn.sidecar: always`).
//!
//! gardenlet's proxy listens with TLS on 0.0.0.0:9443 and demands no client certificate, so any client that reaches
//! that port gets through it into the Shoot. The sidecar listens on a socket that only the API server has.
//!
//! A part of gardenlet's proxy is recognized by its name and its place, and stays if anything else uses it. The
//! annotations `reference.resources.gardener.cloud/…` stay too: they mount nothing, and only keep
//! gardener-resource-manager from deleting the Secrets and ConfigMaps. Those have to be there when a write misses the
//! webhook, or when the Deployment is rolled back, and gardenlet's proxy comes back.

use super::names::{ENVOY_CONTAINER, GARDENLET_EGRESS_ARGUMENT, GARDENLET_HOST, GARDENLET_MOUNTS, GARDENLET_VOLUMES};
use super::{Injection, Sidecar};
use crate::admission::{PatchBuilder, Pointer};
use crate::gardener::deployment::{Container, HostAlias, PodSpec, VolumeMount};

/// Whether this is an argument of gardenlet's that the sidecar may replace.
pub(super) fn gives_way(injection: &Injection, argument: &str) -> bool {
    injection.sidecar == Sidecar::Always && argument == GARDENLET_EGRESS_ARGUMENT
}

/// Removes the mounts, the volumes and the host alias of gardenlet's proxy, which are not needed without its container
/// and its argument. What was added to these lists before has to be at their ends.
pub(super) fn remove(pod: &PodSpec<'_>, api_server: usize, patch: &mut PatchBuilder) {
    let container = &pod.containers[api_server];
    // Computed once, because a review may repeat these parts any number of times.
    let goes = GARDENLET_MOUNTS.map(|(_, place)| !is_named(container, place));
    let is_part = |mount: &VolumeMount<'_>| {
        let part = GARDENLET_MOUNTS.iter().position(|part| *part == (&*mount.name, &*mount.mount_path));
        part.is_some_and(|part| goes[part])
    };
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let at = Pointer::to("/spec/template/spec/containers").index(api_server).field("volumeMounts");
    remove_each(patch, &at, mounts, is_part);

    let goes = GARDENLET_VOLUMES.map(|name| is_left_behind(pod, api_server, name, &is_part));
    let volumes = pod.volumes.as_deref().unwrap_or_default();
    remove_each(patch, &Pointer::to("/spec/template/spec/volumes"), volumes, |volume| {
        GARDENLET_VOLUMES.iter().zip(goes).any(|(name, goes)| goes && *name == &*volume.name)
    });

    remove_alias(&pod.host_aliases(), patch);
}

/// Whether the API server uses a path by anything but the argument that is removed.
fn is_named(container: &Container<'_>, place: &str) -> bool {
    let words = [&container.command, &container.args].into_iter().flatten().flatten();
    words.into_iter().any(|word| &**word != GARDENLET_EGRESS_ARGUMENT && word.contains(place))
        || container.env.is_some_and(|env| env.contains(place))
}

/// Whether a volume was mounted only by what is removed.
fn is_left_behind(
    pod: &PodSpec<'_>,
    api_server: usize,
    volume: &str,
    is_part: &impl Fn(&VolumeMount<'_>) -> bool,
) -> bool {
    let proxy = pod.containers.iter().position(|container| &*container.name == ENVOY_CONTAINER);
    let (mut goes, mut stays) = (false, false);
    for (index, container) in pod.containers.iter().enumerate() {
        for mount in container.volume_mounts.iter().flatten().filter(|mount| &*mount.name == volume) {
            let is_gone = Some(index) == proxy || index == api_server && is_part(mount);
            goes |= is_gone;
            stays |= !is_gone;
        }
    }
    let init_containers = pod.init_containers.iter().flatten();
    stays |= init_containers.flat_map(|container| container.volume_mounts.iter().flatten()).any(|m| &*m.name == volume);
    goes && !stays
}

/// Removes the host name of gardenlet's proxy, and with it an alias, or the list of aliases, that would be empty.
fn remove_alias(aliases: &[HostAlias<'_>], patch: &mut PatchBuilder) {
    let (address, host) = GARDENLET_HOST;
    let names = |alias: &HostAlias<'_>| {
        let names = alias.hostnames.as_deref().filter(|_| &*alias.ip == address).unwrap_or_default();
        (names.iter().filter(|name| &***name == host).count(), names.len())
    };
    let is_only_this = |alias: &HostAlias<'_>| matches!(names(alias), (found @ 1.., all) if found == all);
    let at = Pointer::to("/spec/template/spec/hostAliases");
    if !aliases.is_empty() && aliases.iter().all(is_only_this) {
        patch.remove(&at);
        return;
    }
    for (index, alias) in aliases.iter().enumerate().rev() {
        if is_only_this(alias) {
            patch.remove(&at.index(index));
        } else if names(alias).0 > 0 {
            let hostnames = alias.hostnames.as_deref().unwrap_or_default();
            remove_each(patch, &at.index(index).field("hostnames"), hostnames, |name| &**name == host);
        }
    }
}

/// From the end, because removing an element moves those after it.
fn remove_each<T>(patch: &mut PatchBuilder, at: &Pointer<'_>, list: &[T], goes: impl Fn(&T) -> bool) {
    for (index, _) in list.iter().enumerate().rev().filter(|(_, element)| goes(element)) {
        patch.remove(&at.index(index));
    }
}
