//! What operators may configure about the sidecar.

use serde::Deserialize;

/// Where the sidecar goes when networks overlap.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Sidecar {
    /// Where gardenlet has not injected its own proxy, as before Gardener v1.124; that one is left as it is.
    #[default]
    WhereMissing,
    /// Everywhere: gardenlet's own proxy is replaced.
    Always,
}

/// What operators may configure about the sidecar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where the sidecar goes.
    pub sidecar: Sidecar,
    /// The image of the Envoy container; `envoy` has to be on its path.
    pub image: String,
    /// Envoy's worker threads.
    pub concurrency: u8,
    /// The CPU request, as the API server writes it, such as `20m`.
    pub cpu_request: String,
    /// The memory request, as the API server writes it, such as `100Mi`.
    pub memory_request: String,
    /// The memory limit, if there should be one.
    pub memory_limit: Option<String>,
    /// The TCP port of the status listener.
    pub status_port: u16,
    /// The most host names in Envoy's DNS cache.
    pub max_hosts: u32,
    /// The most connections into the Shoot at the same time.
    pub max_connections: u32,
    /// How long a connection into the Shoot may take to be established.
    pub connect_timeout_seconds: u32,
    /// How long a tunnel may be idle.
    pub idle_timeout_seconds: u32,
    /// Connections that last at least this long are logged.
    pub slow_milliseconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sidecar: Sidecar::default(),
            // The image that gardener v1.149 uses for its own proxies (imagevector `envoy-proxy`).
            image: "europe-docker.pkg.dev/gardener-project/releases/3rd/envoyproxy/envoy:distroless-v1.39.0".to_owned(),
            // From here on: the values of gardenlet's own configuration (`pkg/component/networking/vpn/envoy`).
            concurrency: 2,
            cpu_request: "20m".to_owned(),
            memory_request: "100Mi".to_owned(),
            memory_limit: None,
            status_port: 15_000,
            max_hosts: 8_192,
            max_connections: 8_192,
            connect_timeout_seconds: 20,
            slow_milliseconds: 1_000,
            // Envoy's default of 5 minutes would cut an idle `kubectl exec` or `logs -f`. kubelet's own
            // `--streaming-connection-idle-timeout` is 4 hours: kubelet should be the one that closes.
            idle_timeout_seconds: 4 * 60 * 60,
        }
    }
}
