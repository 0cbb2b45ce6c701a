//! Objects of others that are in the way of the sidecar.

use super::names::{
    API_SERVER_CONTAINER, CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_FLAG, ENVOY_CONTAINER, GARDENLET_ENVOY_VOLUME,
    SOCKET_DIR, SOCKET_VOLUME, egress_argument,
};
use super::{Injection, Proxy, gardenlet};
use crate::gardener::Deployment;
use crate::json::excerpt;
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
                format!("{PATH}.volumes[{index}].name"),
                format!("volume `{}` is not network-guard's: its source differs", volume.name),
            );
        }
    }
    let Some(api_server) = api_server else {
        push(format!("{PATH}.containers"), format!("there is no container `{API_SERVER_CONTAINER}`"));
        return taken;
    };
    let container = &pod.containers[api_server];
    let ours = egress_argument();
    for (field, values) in [("command", &container.command), ("args", &container.args)] {
        for (index, value) in values.iter().flatten().enumerate() {
            let gives_way = field == "args" && gardenlet::gives_way(injection, value);
            if value.starts_with(EGRESS_SELECTOR_FLAG) && **value != *ours && !gives_way {
                push(
                    format!("{PATH}.containers[{api_server}].{field}[{index}]"),
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
                format!("{PATH}.containers[{api_server}].volumeMounts[{index}].mountPath"),
                format!("`{}` holds volume `{}`", mount.mount_path, mount.name),
            );
        }
    }
    taken
}
