//! The section `server` of the configuration: limits, and the graceful stop.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, bad};
use network_guard_runtime::https::Limits;
use network_guard_runtime::stop::StopSettings;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Server {
    max_body_bytes: Option<usize>,
    max_bodies_in_flight_bytes: Option<usize>,
    body_timeout_seconds: Option<u64>,
    max_connections: Option<usize>,
    max_handshakes: Option<usize>,
    max_handshakes_per_address: Option<usize>,
    handshake_timeout_seconds: Option<u64>,
    stop_propagation_seconds: Option<u64>,
    stop_idle_seconds: Option<u64>,
    stop_drain_seconds: Option<u64>,
}

impl Server {
    pub(super) fn limits(&self) -> Limits {
        let default = Limits::default();
        let seconds = |value: Option<u64>, default| value.map_or(default, Duration::from_secs);
        let handshakes = self.max_handshakes.unwrap_or(default.handshakes);
        Limits {
            body_bytes: self.max_body_bytes.unwrap_or(default.body_bytes),
            bodies_in_flight_bytes: self.max_bodies_in_flight_bytes.unwrap_or(default.bodies_in_flight_bytes),
            body_wait: default.body_wait,
            body_timeout: seconds(self.body_timeout_seconds, default.body_timeout),
            connections: self.max_connections.unwrap_or(default.connections),
            handshakes,
            // If only the total is set, one address gets half of it, as by default.
            handshakes_per_address: self.max_handshakes_per_address.unwrap_or(handshakes.div_ceil(2)),
            handshake_timeout: seconds(self.handshake_timeout_seconds, default.handshake_timeout),
            header_timeout: default.header_timeout,
        }
    }

    pub(super) fn stop(&self) -> StopSettings {
        let default = StopSettings::default();
        let seconds = |value: Option<u64>, default| value.map_or(default, Duration::from_secs);
        StopSettings {
            propagation_delay: seconds(self.stop_propagation_seconds, default.propagation_delay),
            idle_timeout: seconds(self.stop_idle_seconds, default.idle_timeout),
            drain_timeout: seconds(self.stop_drain_seconds, default.drain_timeout),
        }
    }
}

/// Checks combinations of fields that can be read each.
pub(super) fn check(limits: &Limits, stop: &StopSettings) -> Result<(), ConfigError> {
    let field = |path: &str, value: &dyn ToString, problem: &str| Err(bad(path, value.to_string(), problem));
    for (path, value, most) in [
        ("server.maxBodyBytes", limits.body_bytes as u64, 1 << 30),
        ("server.maxBodiesInFlightBytes", limits.bodies_in_flight_bytes as u64, 1 << 40),
        ("server.maxConnections", limits.connections as u64, 1 << 20),
        ("server.maxHandshakes", limits.handshakes as u64, 1 << 20),
        ("server.maxHandshakesPerAddress", limits.handshakes_per_address as u64, 1 << 20),
        ("server.bodyTimeoutSeconds", limits.body_timeout.as_secs(), 3_600),
        ("server.handshakeTimeoutSeconds", limits.handshake_timeout.as_secs(), 3_600),
    ] {
        if value == 0 || value > most {
            return field(path, &value, "is out of bounds: at least 1, and not astronomical");
        }
    }
    for (path, value) in [
        ("server.stopPropagationSeconds", stop.propagation_delay.as_secs()),
        ("server.stopIdleSeconds", stop.idle_timeout.as_secs()),
        ("server.stopDrainSeconds", stop.drain_timeout.as_secs()),
    ] {
        if value > 3_600 {
            return field(path, &value, "is more than an hour");
        }
    }
    if limits.bodies_in_flight_bytes < limits.body_bytes {
        let problem = "must be at least maxBodyBytes, or the largest body would never be read";
        return field("server.maxBodiesInFlightBytes", &limits.bodies_in_flight_bytes, problem);
    }
    if limits.handshakes_per_address > limits.handshakes {
        let problem = "must be at most maxHandshakes, of which it is a share";
        return field("server.maxHandshakesPerAddress", &limits.handshakes_per_address, problem);
    }
    Ok(())
}
