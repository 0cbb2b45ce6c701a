//! Names that others rely on: the parts of the sidecar are found by these.

use std::sync::LazyLock;

use crate::admission::Pointer;

/// The sidecar. It has the name of gardenlet's own proxy, so that both can never run side by side.
pub const ENVOY_CONTAINER: &str = "envoy-proxy";
/// The container that gets the egress selector.
pub(super) const API_SERVER_CONTAINER: &str = "kube-apiserver";
/// The volume with Envoy's configuration and the egress selector, projected from annotations.
pub(super) const CONFIG_VOLUME: &str = "network-guard-config";
/// The volume with Envoy's socket.
pub(super) const SOCKET_VOLUME: &str = "network-guard-socket";
/// Where [`CONFIG_VOLUME`] is mounted, in both containers.
pub(super) const CONFIG_DIR: &str = "/etc/network-guard";
/// Where [`SOCKET_VOLUME`] is mounted, in both containers.
pub(super) const SOCKET_DIR: &str = "/var/run/network-guard";
/// The socket between the API server and Envoy.
pub const SOCKET_PATH: &str = "/var/run/network-guard/egress.sock";
/// Envoy's administration interface; only Envoy's own user may open it.
pub(super) const ADMIN_SOCKET_PATH: &str = "/var/run/network-guard/envoy-admin.sock";
/// The file name of Envoy's configuration. The suffix tells Envoy the format.
pub(super) const ENVOY_CONFIG_FILE: &str = "envoy.json";
/// The file name of the egress selector; the API server reads JSON as YAML.
pub(super) const EGRESS_SELECTOR_FILE: &str = "egress-selector.json";
/// The Pod annotation that holds Envoy's configuration.
pub const ENVOY_CONFIG_ANNOTATION: &str = "network-guard.extensions.gardener.cloud/envoy-config";
/// The Pod annotation that holds the egress selector.
pub const EGRESS_SELECTOR_ANNOTATION: &str = "network-guard.extensions.gardener.cloud/egress-selector-config";
/// The Deployment annotation that lists the overlapping pairs. It is not on the Pods, so that a new pair restarts no
/// Pod.
pub const OVERLAPS_ANNOTATION: &str = "network-guard.extensions.gardener.cloud/overlaps";
/// The API server's flag for the egress selector.
pub(super) const EGRESS_SELECTOR_FLAG: &str = "--egress-selector-config-file";
/// A volume that only gardenlet's own `envoy-proxy` mounts
/// (gardener `pkg/component/networking/vpn/envoy`).
pub(super) const GARDENLET_ENVOY_VOLUME: &str = "envoy-config";
/// The argument by which gardenlet has the API server use its own proxy
/// (this and the next three: gardener `pkg/component/kubernetes/apiserver`).
pub(super) const GARDENLET_EGRESS_ARGUMENT: &str =
    "--egress-selector-config-file=/etc/kubernetes/egress/egress-selector-configuration.yaml";
/// What gardenlet mounts into the API server for its own proxy: volume and path.
pub(super) const GARDENLET_MOUNTS: [(&str, &str); 3] = [
    ("ca-vpn", "/srv/kubernetes/ca-vpn"),
    ("http-proxy", "/etc/srv/kubernetes/envoy"),
    ("egress-selection-config", "/etc/kubernetes/egress"),
];
/// All volumes that gardenlet makes for its own proxy.
pub(super) const GARDENLET_VOLUMES: [&str; 5] =
    ["ca-vpn", "http-proxy", "egress-selection-config", GARDENLET_ENVOY_VOLUME, "certs"];
/// The address and the name by which the API server finds gardenlet's own proxy.
pub(super) const GARDENLET_HOST: (&str, &str) = ("127.0.0.1", "kube-apiserver-http-proxy");
/// The group whose packets vpn2 translates (gardener `EnvoyVPNGroupId`).
pub const ENVOY_GROUP_ID: u32 = 31_415;

/// The whole argument that is added to the API server.
pub(super) fn egress_argument() -> &'static str {
    static ARGUMENT: LazyLock<String> =
        LazyLock::new(|| format!("{EGRESS_SELECTOR_FLAG}={CONFIG_DIR}/{EGRESS_SELECTOR_FILE}"));
    &ARGUMENT
}

/// Where a Deployment has its containers.
pub(super) fn containers() -> Pointer<'static> {
    Pointer::to("/spec/template/spec/containers")
}

/// Where a Deployment has its volumes.
pub(super) fn volumes() -> Pointer<'static> {
    Pointer::to("/spec/template/spec/volumes")
}
