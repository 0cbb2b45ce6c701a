//! The section `vpn.envoy` of the configuration: the sidecar.

use serde::Deserialize;

use super::quantity::{canonical_cpu, canonical_memory, memory_bytes};
use super::{ConfigError, bad, is_image};
use network_guard_core::vpn::sidecar::Settings;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Envoy {
    image: Option<String>,
    concurrency: Option<u8>,
    cpu_request: Option<String>,
    memory_request: Option<String>,
    memory_limit: Option<String>,
    status_port: Option<u16>,
    max_hosts: Option<u32>,
    max_connections: Option<u32>,
    connect_timeout_seconds: Option<u32>,
    idle_timeout_seconds: Option<u32>,
    slow_milliseconds: Option<u32>,
}

impl Envoy {
    pub(super) fn settings(self) -> Result<Settings, ConfigError> {
        let default = Settings::default();
        let cpu = |text: Option<String>, default| match text {
            None => Ok(default),
            Some(text) => {
                let problem = "is not a whole number of CPUs such as `1`, or of thousandths such as `20m`";
                canonical_cpu(&text).ok_or_else(|| bad("vpn.envoy.cpuRequest", text, problem))
            }
        };
        let memory = |path, text: String| {
            let problem = "is not a whole number of Ki, Mi or Gi, such as `100Mi`";
            canonical_memory(&text).ok_or_else(|| bad(path, text, problem))
        };
        Ok(Settings {
            sidecar: default.sidecar,
            image: self.image.unwrap_or(default.image),
            concurrency: self.concurrency.unwrap_or(default.concurrency),
            cpu_request: cpu(self.cpu_request, default.cpu_request)?,
            memory_request: self
                .memory_request
                .map_or(Ok(default.memory_request), |text| memory("vpn.envoy.memoryRequest", text))?,
            memory_limit: self.memory_limit.map(|text| memory("vpn.envoy.memoryLimit", text)).transpose()?,
            status_port: self.status_port.unwrap_or(default.status_port),
            max_hosts: self.max_hosts.unwrap_or(default.max_hosts),
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            connect_timeout_seconds: self.connect_timeout_seconds.unwrap_or(default.connect_timeout_seconds),
            idle_timeout_seconds: self.idle_timeout_seconds.unwrap_or(default.idle_timeout_seconds),
            slow_milliseconds: self.slow_milliseconds.unwrap_or(default.slow_milliseconds),
        })
    }
}

/// Checks combinations of fields that can be read each.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let field = |path: &str, value: &dyn ToString, problem: &str| Err(bad(path, value.to_string(), problem));
    if !is_image(&settings.image) {
        return field("vpn.envoy.image", &format!("{:?}", settings.image), "is not the name of an image");
    }
    if settings.concurrency == 0 {
        return field("vpn.envoy.concurrency", &0, "Envoy needs at least one thread");
    }
    if settings.status_port < 1_024 {
        let problem = "is reserved for root, and Envoy does not run as root; take one from 1024 up";
        return field("vpn.envoy.statusPort", &settings.status_port, problem);
    }
    for (path, value) in [
        ("vpn.envoy.maxHosts", settings.max_hosts),
        ("vpn.envoy.maxConnections", settings.max_connections),
        ("vpn.envoy.connectTimeoutSeconds", settings.connect_timeout_seconds),
    ] {
        if value == 0 {
            return field(path, &value, "must be at least 1");
        }
    }
    let bytes = |text: &str| memory_bytes(text).unwrap_or(u64::MAX);
    if let Some(limit) = &settings.memory_limit
        && bytes(limit) < bytes(&settings.memory_request)
    {
        return field("vpn.envoy.memoryLimit", limit, "is less than memoryRequest, which no API server accepts");
    }
    Ok(())
}
