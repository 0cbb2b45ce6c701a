//! Adds or corrects the sidecar.

use serde_json::Value;

use super::names::{
    API_SERVER_CONTAINER, CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION,
    ENVOY_CONTAINER, OVERLAPS_ANNOTATION, SOCKET_DIR, SOCKET_VOLUME, containers, volumes,
};
use super::taken::taken;
use super::{Injection, Proxy, Sidecar, gardenlet};
use crate::admission::{ListEdits, PatchBuilder, Pointer};
use crate::gardener::Deployment;
use crate::gardener::deployment::{Container, RawPieces, Volume};
use crate::gardener::vpn_containers::FIRST_CLIENT;
use crate::vpn::{Change, Taken};

pub(super) fn inject<'i>(
    injection: &'i Injection,
    overlaps: &str,
    deployment: &Deployment<'_>,
    raw: &str,
    patch: &mut PatchBuilder,
    edits: &mut ListEdits<'i>,
) -> Result<Change, Vec<Taken>> {
    let pod = &deployment.spec.template.spec;
    let proxy = Proxy::of(&pod.containers);
    let api_server = pod.containers.iter().position(|container| &*container.name == API_SERVER_CONTAINER);
    let taken = taken(injection, deployment, proxy, api_server);
    let (Some(api_server), true) = (api_server, taken.is_empty()) else {
        return Err(taken);
    };

    // The raw text is read only when there is something to compare.
    let existing = match proxy {
        Proxy::Ours(_) => RawPieces::read(raw).ok(),
        _ => None,
    };
    let before = patch.operations();
    ensure_deployment_annotation(patch, deployment, overlaps);
    ensure_template_annotations(patch, injection, deployment);
    ensure_argument(patch, injection, api_server, &pod.containers[api_server]);
    ensure_mounts(patch, injection, api_server, &pod.containers[api_server]);
    ensure_volumes(patch, injection, pod.volumes.as_deref(), existing.as_ref());
    if injection.sidecar == Sidecar::Always {
        gardenlet::remove(pod, api_server, patch);
    }
    match proxy {
        Proxy::Ours(index) => {
            let actual = existing.as_ref().and_then(|pieces| pieces.containers.get(index));
            if !actual.is_some_and(|actual| injection.container.is_in(actual)) {
                patch.replace(&containers().index(index), injection.container.json());
            }
        }
        Proxy::Gardenlet | Proxy::Absent | Proxy::Foreign(_) => {
            let first_client = pod.containers.iter().position(|container| &*container.name == FIRST_CLIENT);
            edits.insert(first_client.unwrap_or(api_server + 1), &injection.container);
            let Some(theirs) = pod.containers.iter().position(|container| &*container.name == ENVOY_CONTAINER) else {
                return Ok(Change::Added);
            };
            edits.remove(theirs);
            return Ok(Change::Replaced);
        }
    }
    Ok(if patch.operations() == before { Change::Unchanged } else { Change::Updated })
}

fn ensure_deployment_annotation(patch: &mut PatchBuilder, deployment: &Deployment<'_>, overlaps: &str) {
    let value = Value::from(overlaps);
    let at = Pointer::to("/metadata/annotations");
    match &deployment.metadata.annotations {
        None => patch.add(&at, &serde_json::json!({OVERLAPS_ANNOTATION: value}).to_string()),
        Some(annotations) => {
            ensure_text(
                patch,
                &at.field(OVERLAPS_ANNOTATION),
                annotations.overlaps.as_deref(),
                overlaps,
                &value.to_string(),
            );
        }
    }
}

fn ensure_template_annotations(patch: &mut PatchBuilder, injection: &Injection, deployment: &Deployment<'_>) {
    let (envoy, egress) = (&injection.envoy_config, &injection.egress_selector_config);
    let both = || {
        format!(r#"{{"{ENVOY_CONFIG_ANNOTATION}":{},"{EGRESS_SELECTOR_ANNOTATION}":{}}}"#, envoy.json(), egress.json())
    };
    match deployment.spec.template.metadata.as_ref().map(|metadata| &metadata.annotations) {
        None => patch.add(&Pointer::to("/spec/template/metadata"), &format!(r#"{{"annotations":{}}}"#, both())),
        Some(None) => patch.add(&Pointer::to("/spec/template/metadata/annotations"), &both()),
        Some(Some(annotations)) => {
            let at = |name| Pointer::to("/spec/template/metadata/annotations").field(name);
            let found = annotations.envoy_config.as_deref();
            ensure_text(patch, &at(ENVOY_CONFIG_ANNOTATION), found, injection.envoy_config(), envoy.json());
            let found = annotations.egress_selector_config.as_deref();
            ensure_text(
                patch,
                &at(EGRESS_SELECTOR_ANNOTATION),
                found,
                injection.egress_selector_config(),
                egress.json(),
            );
        }
    }
}

fn ensure_text(patch: &mut PatchBuilder, at: &Pointer<'_>, found: Option<&str>, desired: &str, desired_json: &str) {
    match found {
        None => patch.add(at, desired_json),
        Some(found) if found != desired => patch.replace(at, desired_json),
        Some(_) => {}
    }
}

fn ensure_argument(patch: &mut PatchBuilder, injection: &Injection, index: usize, container: &Container<'_>) {
    let desired = injection.argument.value().as_str().unwrap_or_default();
    let at = containers().index(index).field("args");
    match &container.args {
        None => patch.add(&at, &format!("[{}]", injection.argument.json())),
        Some(args) => {
            let is_there = args.iter().any(|arg| &**arg == desired);
            let mut theirs = args.iter().enumerate().filter(|(_, arg)| gardenlet::gives_way(injection, arg));
            match theirs.next() {
                None if is_there => {}
                None => patch.add(&at.end(), injection.argument.json()),
                Some((first, _)) => {
                    // From the end, because removing an element moves those after it.
                    theirs.rev().for_each(|(index, _)| patch.remove(&at.index(index)));
                    let first = at.index(first);
                    if is_there { patch.remove(&first) } else { patch.replace(&first, injection.argument.json()) }
                }
            }
        }
    }
}

fn ensure_mounts(patch: &mut PatchBuilder, injection: &Injection, index: usize, container: &Container<'_>) {
    let at = || containers().index(index).field("volumeMounts");
    let Some(mounts) = &container.volume_mounts else {
        let [config, socket] = &injection.mounts;
        patch.add(&at(), &format!("[{},{}]", config.json(), socket.json()));
        return;
    };
    let desired = [(CONFIG_VOLUME, CONFIG_DIR, true), (SOCKET_VOLUME, SOCKET_DIR, false)];
    for (fragment, (name, path, read_only)) in injection.mounts.iter().zip(desired) {
        match mounts.iter().position(|mount| &*mount.name == name) {
            None => patch.add(&at().end(), fragment.json()),
            Some(found) if &*mounts[found].mount_path != path || mounts[found].read_only != read_only => {
                patch.replace(&at().index(found), fragment.json());
            }
            Some(_) => {}
        }
    }
}

fn ensure_volumes(
    patch: &mut PatchBuilder,
    injection: &Injection,
    found: Option<&[Volume<'_>]>,
    existing: Option<&RawPieces<'_>>,
) {
    let Some(found) = found else {
        patch.add(&volumes(), &format!("[{},{}]", injection.config_volume.json(), injection.socket_volume.json()));
        return;
    };
    for (name, fragment) in [(CONFIG_VOLUME, &injection.config_volume), (SOCKET_VOLUME, &injection.socket_volume)] {
        let Some(index) = found.iter().position(|volume| &*volume.name == name) else {
            patch.add(&volumes().end(), fragment.json());
            continue;
        };
        let actual = existing.and_then(|pieces| pieces.volumes.get(index));
        if !actual.is_some_and(|actual| fragment.is_in(actual)) {
            patch.replace(&volumes().index(index), fragment.json());
        }
    }
}
