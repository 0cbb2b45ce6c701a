//! The Envoy container and the volumes that it shares with the API server.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource, HTTPGetAction,
    ObjectFieldSelector, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Settings;
use super::names::{
    CONFIG_DIR, CONFIG_VOLUME, EGRESS_SELECTOR_ANNOTATION, EGRESS_SELECTOR_FILE, ENVOY_CONFIG_ANNOTATION,
    ENVOY_CONFIG_FILE, ENVOY_CONTAINER, ENVOY_GROUP_ID, SOCKET_DIR, SOCKET_VOLUME,
};

/// The container. It has the user of the Pod, as the API server has, and the group whose packets the VPN translates.
pub(super) fn container(settings: &Settings) -> Container {
    let probe = |failure_threshold| Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/ready".to_owned()),
            port: IntOrString::Int(settings.status_port.into()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        failure_threshold: Some(failure_threshold),
        period_seconds: Some(10),
        success_threshold: Some(1),
        timeout_seconds: Some(5),
        ..Probe::default()
    };
    let command = [
        "envoy",
        "--concurrency",
        &settings.concurrency.to_string(),
        // A restarted container must not look for a parent process to take over from.
        "--disable-hot-restart",
        "--config-path",
        &format!("{CONFIG_DIR}/{ENVOY_CONFIG_FILE}"),
    ];
    Container {
        name: ENVOY_CONTAINER.to_owned(),
        image: Some(settings.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(command.map(str::to_owned).to_vec()),
        liveness_probe: Some(probe(6)),
        readiness_probe: Some(probe(2)),
        resources: Some(ResourceRequirements {
            requests: Some(
                [
                    ("cpu".to_owned(), Quantity(settings.cpu_request.clone())),
                    ("memory".to_owned(), Quantity(settings.memory_request.clone())),
                ]
                .into(),
            ),
            limits: settings.memory_limit.as_ref().map(|limit| [("memory".to_owned(), Quantity(limit.clone()))].into()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            run_as_group: Some(ENVOY_GROUP_ID.into()),
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..SecurityContext::default()
        }),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts().into()),
        ..Container::default()
    }
}

/// The mounts of both containers: configuration, and the directory of the socket.
pub(super) fn mounts() -> [VolumeMount; 2] {
    let mount = |name: &str, path: &str, read_only| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    };
    [mount(CONFIG_VOLUME, CONFIG_DIR, Some(true)), mount(SOCKET_VOLUME, SOCKET_DIR, None)]
}

/// The configuration files, projected from the Pod's annotations.
pub(super) fn config_volume() -> Volume {
    let file = |annotation: &str, path: &str| DownwardAPIVolumeFile {
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: format!("metadata.annotations['{annotation}']"),
        }),
        path: path.to_owned(),
        ..DownwardAPIVolumeFile::default()
    };
    Volume {
        name: CONFIG_VOLUME.to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            default_mode: Some(0o644),
            items: Some(vec![
                file(ENVOY_CONFIG_ANNOTATION, ENVOY_CONFIG_FILE),
                file(EGRESS_SELECTOR_ANNOTATION, EGRESS_SELECTOR_FILE),
            ]),
        }),
        ..Volume::default()
    }
}

/// The directory of the socket. It holds two sockets and no data, so a page of memory is enough.
pub(super) fn socket_volume() -> Volume {
    Volume {
        name: SOCKET_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity("1Mi".to_owned())),
        }),
        ..Volume::default()
    }
}
