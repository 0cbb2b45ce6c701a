//! From intent to JSON Patch: every piece of the injection is found by name, then added, replaced or removed.
//!
//! What we did not put there is never touched, and a piece that is already as it should be yields no operation: a
//! second application changes nothing.

use serde_json::Value;

use super::gardenlet;
use super::injection::{Injection, Sidecar};
use super::names::{
    API_SERVER_CONTAINER, CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_ANNOTATION, EGRESS_SELECTOR_FLAG,
    ENVOY_CONFIG_ANNOTATION, ENVOY_CONTAINER, GARDENLET_ENVOY_VOLUME, OVERLAPS_ANNOTATION, SOCKET_DIR, SOCKET_VOLUME,
};
use super::vpn::FIRST_CLIENT;
use super::{Overlap, names};
use crate::admission::{Moves, PatchBuilder, Pointer};
use crate::gardener::Deployment;
use crate::gardener::deployment::{Container, PodSpec, RawPieces, Volume, VolumeMount};
use crate::json::excerpt;

/// What a mutation did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The sidecar was not there and was added.
    Injected,
    /// gardenlet's own proxy was there, and the sidecar took its place.
    Replaced,
    /// The sidecar was there, something of it was not as it should be and was put right.
    Updated,
    /// Something of ours was there and was removed.
    Removed,
    /// Nothing had to be done.
    Unchanged,
}

/// Something of somebody else stands where we would put ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The path in the Deployment.
    pub path: String,
    /// What stands there.
    pub what: String,
}

/// Whose `envoy-proxy` a Deployment has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proxy {
    /// None.
    Absent,
    /// Ours: it mounts our configuration.
    Ours(usize),
    /// gardenlet's own: it mounts gardenlet's configuration, and the API server has an egress selector that is not ours.
    Gardenlet,
    /// Somebody else's.
    Foreign(usize),
}

impl Proxy {
    /// Looks for the container by name and tells whose it is by what it mounts.
    pub fn of(containers: &[Container<'_>]) -> Self {
        let Some(index) = containers.iter().position(|container| &*container.name == ENVOY_CONTAINER) else {
            return Self::Absent;
        };
        let mounts =
            |volume: &str| containers[index].volume_mounts.iter().flatten().any(|mount| &*mount.name == volume);
        if mounts(CONFIG_VOLUME) {
            Self::Ours(index)
        } else if mounts(GARDENLET_ENVOY_VOLUME) && has_foreign_egress_selector(containers) {
            Self::Gardenlet
        } else {
            Self::Foreign(index)
        }
    }
}

fn has_foreign_egress_selector(containers: &[Container<'_>]) -> bool {
    let ours = names::egress_argument();
    let is_foreign = |argument: &&str| argument.starts_with(EGRESS_SELECTOR_FLAG) && **argument != *ours;
    containers.iter().filter(|container| &*container.name == API_SERVER_CONTAINER).any(|container| {
        container.args.iter().flatten().map(|argument| &**argument).any(|argument| is_foreign(&argument))
    })
}

/// Brings a Deployment to where it should be: with the injection for these pairs (see
/// [`overlaps_text`]), or, with `None`, without anything
/// of ours. `raw` is the text from which `deployment` was read. What moves its containers is left to the caller, who
/// may have more to do with them.
pub fn mutate<'i>(
    injection: &'i Injection,
    overlaps: Option<&str>,
    deployment: &Deployment<'_>,
    raw: &str,
    patch: &mut PatchBuilder,
    containers: &mut Moves<'i>,
) -> Result<Change, Vec<Taken>> {
    match overlaps {
        Some(overlaps) => inject(injection, overlaps, deployment, raw, patch, containers),
        None => Ok(remove(deployment, patch, containers)),
    }
}

/// Whether a stored Deployment carries our sidecar as this configuration makes it; without any there is nothing to tell.
/// `raw` is the text from which `stored` was read.
pub fn is_made_by(injection: &Injection, stored: &Deployment<'_>, raw: &str) -> Option<bool> {
    let Proxy::Ours(index) = Proxy::of(&stored.spec.template.spec.containers) else { return None };
    let annotations = stored.spec.template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let is_told = annotations.is_some_and(|annotations| {
        annotations.envoy_config.as_deref() == Some(injection.envoy_config())
            && annotations.egress_selector_config.as_deref() == Some(injection.egress_selector_config())
    });
    let is_run = || {
        let pieces = RawPieces::read(raw).ok();
        let container = pieces.as_ref().and_then(|pieces| pieces.containers.get(index));
        container.is_some_and(|actual| injection.container.is_in(actual))
    };
    Some(is_told && is_run())
}

/// So many pairs are written out. All annotations of an object have 256 KiB together (`TotalAnnotationSizeLimitB` of
/// `k8s.io/apimachinery/pkg/api/validation`), and a write of more is refused: a pair has 60 bytes, so these take 2 % of that.
const MOST_PAIRS: usize = 100;

/// The value of the annotation that lists the pairs, for people: the first ones, and how many more there are. The same pairs
/// give the same text. Nobody reads networks out of it: this program and its match conditions ask only whether the
/// annotation is there, and whether a write changes it.
pub fn overlaps_text(overlaps: &[Overlap]) -> String {
    let (shown, rest) = overlaps.split_at(overlaps.len().min(MOST_PAIRS));
    let mut text = shown.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if !rest.is_empty() {
        text += &format!("; and {} more", rest.len());
    }
    text
}

fn containers() -> Pointer {
    Pointer::to("/spec/template/spec/containers")
}

fn volumes() -> Pointer {
    Pointer::to("/spec/template/spec/volumes")
}

// === injection ===

fn inject<'i>(
    injection: &'i Injection,
    overlaps: &str,
    deployment: &Deployment<'_>,
    raw: &str,
    patch: &mut PatchBuilder,
    moves: &mut Moves<'i>,
) -> Result<Change, Vec<Taken>> {
    let pod = &deployment.spec.template.spec;
    let proxy = Proxy::of(&pod.containers);
    let api_server = pod.containers.iter().position(|container| &*container.name == API_SERVER_CONTAINER);
    let taken = taken(injection, deployment, proxy, api_server);
    let (Some(api_server), true) = (api_server, taken.is_empty()) else {
        return Err(taken);
    };

    // The text of what is already there is only read when there is something to compare.
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
            moves.insert(first_client.unwrap_or(api_server + 1), &injection.container);
            let Some(theirs) = pod.containers.iter().position(|container| &*container.name == ENVOY_CONTAINER) else {
                return Ok(Change::Injected);
            };
            moves.remove(theirs);
            return Ok(Change::Replaced);
        }
    }
    Ok(if patch.operations() == before { Change::Unchanged } else { Change::Updated })
}

/// More places than these tell nobody more.
const MOST_TAKEN: usize = 10;

/// All places where somebody else stands in our way, or the first of very many.
fn taken(injection: &Injection, deployment: &Deployment<'_>, proxy: Proxy, api_server: Option<usize>) -> Vec<Taken> {
    const PATH: &str = "spec.template.spec";
    let pod = &deployment.spec.template.spec;
    let mut taken = Vec::new();
    let mut push = |path: String, what: String| {
        if taken.len() < MOST_TAKEN {
            taken.push(Taken { path, what: excerpt(&what) });
        }
    };

    if let Proxy::Foreign(index) = proxy {
        push(
            format!("{PATH}.containers[{index}].name"),
            format!(
                "`{ENVOY_CONTAINER}` is neither ours nor gardenlet's: it mounts neither `{CONFIG_VOLUME}` nor `{GARDENLET_ENVOY_VOLUME}`"
            ),
        );
    }
    for (index, volume) in pod.volumes.iter().flatten().enumerate() {
        let foreign = match &*volume.name {
            CONFIG_VOLUME => !volume.is_downward_api,
            SOCKET_VOLUME => !volume.is_empty_dir,
            _ => false,
        };
        if foreign {
            push(
                format!("{PATH}.volumes[{index}].name"),
                format!("volume `{}` is not ours, its source is another", volume.name),
            );
        }
    }
    let Some(api_server) = api_server else {
        push(format!("{PATH}.containers"), format!("there is no container `{API_SERVER_CONTAINER}`"));
        return taken;
    };
    let container = &pod.containers[api_server];
    let ours = names::egress_argument();
    for (field, values) in [("command", &container.command), ("args", &container.args)] {
        for (index, value) in values.iter().flatten().enumerate() {
            let gives_way = field == "args" && gardenlet::gives_way(injection, value);
            if value.starts_with(EGRESS_SELECTOR_FLAG) && **value != *ours && !gives_way {
                push(
                    format!("{PATH}.containers[{api_server}].{field}[{index}]"),
                    format!("`{value}` is not our egress selector"),
                );
            }
        }
    }
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let expected = match &*mount.mount_path {
            CONFIG_DIR => CONFIG_VOLUME,
            SOCKET_DIR => SOCKET_VOLUME,
            _ => continue,
        };
        if &*mount.name != expected {
            push(
                format!("{PATH}.containers[{api_server}].volumeMounts[{index}].mountPath"),
                format!("`{}` holds volume `{}`", mount.mount_path, mount.name),
            );
        }
    }
    taken
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

fn ensure_text(patch: &mut PatchBuilder, at: &Pointer, found: Option<&str>, desired: &str, desired_json: &str) {
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
                    // From the end, because removing an element moves those behind it.
                    theirs.rev().for_each(|(index, _)| patch.remove(&at.clone().index(index)));
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
    for (piece, (name, path, read_only)) in injection.mounts.iter().zip(desired) {
        match mounts.iter().position(|mount| &*mount.name == name) {
            None => patch.add(&at().end(), piece.json()),
            Some(found) if &*mounts[found].mount_path != path || mounts[found].read_only != read_only => {
                patch.replace(&at().index(found), piece.json());
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
    for (name, piece) in [(CONFIG_VOLUME, &injection.config_volume), (SOCKET_VOLUME, &injection.socket_volume)] {
        let Some(index) = found.iter().position(|volume| &*volume.name == name) else {
            patch.add(&volumes().end(), piece.json());
            continue;
        };
        let actual = existing.and_then(|pieces| pieces.volumes.get(index));
        if !actual.is_some_and(|actual| piece.is_in(actual)) {
            patch.replace(&volumes().index(index), piece.json());
        }
    }
}

// === removal ===

fn remove(deployment: &Deployment<'_>, patch: &mut PatchBuilder, moves: &mut Moves<'_>) -> Change {
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

    // Removing an element moves those behind it: every list is walked from its end.
    let pod = &deployment.spec.template.spec;
    let is_ours = |volume: &Volume<'_>| match &*volume.name {
        CONFIG_VOLUME => volume.is_downward_api,
        SOCKET_VOLUME => volume.is_empty_dir,
        _ => false,
    };
    let mut our_volumes: Vec<&str> =
        pod.volumes.iter().flatten().filter(|volume| is_ours(volume)).map(|volume| &*volume.name).collect();
    // There may be thousands of one name, and all mounts are looked through for each.
    our_volumes.sort_unstable();
    our_volumes.dedup();
    let argument = names::egress_argument();
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
        moves.remove(index);
        return Change::Removed;
    }
    if patch.operations() == before { Change::Unchanged } else { Change::Removed }
}

/// Whether anything that stays mounts this volume: without it the Deployment would be invalid.
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
