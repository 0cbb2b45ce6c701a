//! Objects of others that are in the way of the sidecar.

use super::names::{
    API_SERVER_CONTAINER, CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_FLAG, ENVOY_CONTAINER, GARDENLET_ENVOY_VOLUME,
    SOCKET_DIR, SOCKET_VOLUME, egress_argument,
};
use super::{Injection, Proxy, gardenlet};
use crate::gardener::Deployment;
use crate::json::{FieldPath, excerpt};
use crate::vpn::Taken;

/// The most places that are reported: more would help no reader.
const MOST_TAKEN: usize = 10;

/// All places where somebody else's object is in the way, or the first of very many.
pub(super) fn taken(
    injection: &Injection,
    deployment: &Deployment<'_>,
    proxy: Proxy,
    api_server: Option<usize>,
) -> Vec<Taken> {
    let at = |field: &'static str, index| FieldPath::from("spec.template.spec").field(field).index(index);
    let pod = &deployment.spec.template.spec;
    let mut taken = Vec::new();
    let mut push = |path: FieldPath, what: String| {
        if taken.len() < MOST_TAKEN {
            taken.push(Taken { path, what: excerpt(&what) });
        }
    };

    if let Proxy::Foreign(index) = proxy {
        push(
            at("containers", index).field("name"),
            format!(
                "`{ENVOY_CONTAINER}` is neither network-guard's nor gardenlet's: it mounts neither `{CONFIG_VOLUME}` nor `{GARDENLET_ENVOY_VOLUME}`"
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
                at("volumes", index).field("name"),
                format!("volume `{}` is not network-guard's: its source differs", volume.name),
            );
        }
    }
    let Some(api_server) = api_server else {
        push("spec.template.spec.containers".into(), format!("there is no container `{API_SERVER_CONTAINER}`"));
        return taken;
    };
    let container = &pod.containers[api_server];
    let ours = egress_argument();
    for (field, values) in [("command", &container.command), ("args", &container.args)] {
        for (index, value) in values.iter().flatten().enumerate() {
            let gives_way = field == "args" && gardenlet::gives_way(injection, value);
            if value.starts_with(EGRESS_SELECTOR_FLAG) && **value != *ours && !gives_way {
                push(
                    at("containers", api_server).field(field).index(index),
                    format!("`{value}` is not network-guard's egress selector"),
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
                at("containers", api_server).field("volumeMounts").index(index).field("mountPath"),
                format!("`{}` holds volume `{}`", mount.mount_path, mount.name),
            );
        }
    }
    taken
}
