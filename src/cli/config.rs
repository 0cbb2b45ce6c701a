//! The configuration file: `kind: NetworkGuardConfiguration`.

mod certificates;
mod digest;
mod failure_policy;
mod garden;
mod nat;
mod overlay;
mod quantity;
#[cfg(test)]
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use self::certificates::SelfManaged;
pub(super) use self::nat::is_webhook_url;
use self::quantity::{canonical_cpu, canonical_memory, memory_bytes};
use crate::controllers::overlay::OverlaySettings;
use crate::controllers::registration::FailurePolicy;
use crate::diagnostics::{Policy, Rule, Severity};
use crate::handlers::{self, ShootSettings};
use crate::net::ParseCidrError;
use crate::server::{Limits, StopSettings};
use crate::sources::{files, yaml};
use crate::{overlap, peering};

/// What the file says, with the defaults of everything that it does not say. Unknown fields are errors.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    /// The sidecar of overlapping Shoots.
    pub overlap: overlap::Settings,
    /// What is registered for the time when no replica answers; see [`Configuration::failure_policy`].
    pub overlap_failure_policy: Option<FailurePolicy>,
    /// The double NAT behind the sidecar.
    pub nat: crate::nat::Settings,
    /// Switches of the overlay that are held.
    pub overlay: OverlaySettings,
    /// What is said about Shoots in the garden.
    pub shoots: ShootSettings,
    /// Certificates that the server makes itself; `None`: they are files.
    pub certificates: Option<SelfManaged>,
    /// Limits of the server.
    pub limits: Limits,
    /// The graceful stop.
    pub stop: StopSettings,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a configuration.
    #[error("the configuration is wrong: {0}")]
    Malformed(String),
    /// A field has a value that cannot be.
    #[error("the configuration is wrong: {path}: {value}: {problem}")]
    Field {
        /// The field.
        path: String,
        /// Its value.
        value: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

const API_VERSION: &str = "config.network-guard.extensions.gardener.cloud/v1alpha1";
const KIND: &str = "NetworkGuardConfiguration";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    nat: nat::Nat,
    #[serde(default)]
    overlay: overlay::Overlay,
    #[serde(default)]
    peering: Peering,
    #[serde(default)]
    rules: BTreeMap<String, Choice>,
    // The chart writes it.
    #[cfg_attr(test, schemars(with = "Option<serde_json::Value>"))]
    certificates: Option<certificates::Certificates>,
    #[serde(default)]
    server: Server,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Peering {
    max_peers: Option<usize>,
    #[serde(default)]
    default_node_networks: Vec<String>,
    node_prefix_lengths: Option<PrefixLengths>,
    private_stack: Option<bool>,
    conflicts: Option<Choice>,
}

/// Of IPv4 networks.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PrefixLengths {
    shortest: Option<u8>,
    longest: Option<u8>,
}

/// What a rule weighs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Choice {
    /// In YAML `off` without quotes is a boolean.
    #[serde(alias = "false")]
    Off,
    Note,
    Warn,
    Deny,
}

impl Choice {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Note => Some(Severity::Note),
            Self::Warn => Some(Severity::Warn),
            Self::Deny => Some(Severity::Deny),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Overlap {
    #[serde(default)]
    sidecar: overlap::Sidecar,
    #[serde(default)]
    envoy: Envoy,
    failure_policy: Option<FailurePolicy>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Envoy {
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Server {
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

impl Configuration {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = files::bytes(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        match yaml::decode(text) {
            (text, None) => Self::parse(&text),
            (_, Some(line)) => Err(ConfigError::Malformed(format!("line {line}: {}", yaml::NOT_UTF8))),
        }
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut file: File = yaml::only(text).map_err(ConfigError::Malformed)?;
        if file.api_version != API_VERSION || file.kind != KIND {
            return Err(ConfigError::Malformed(format!(
                "expected apiVersion `{API_VERSION}` and kind `{KIND}`, got `{}` and `{}`",
                file.api_version, file.kind
            )));
        }
        let configuration = Self {
            overlap_failure_policy: file.overlap.failure_policy,
            overlap: overlap::Settings { sidecar: file.overlap.sidecar, ..file.overlap.envoy.settings()? },
            nat: file.nat.settings()?,
            shoots: ShootSettings {
                policy: policy(&file.peering, &file.rules)?,
                peering: file.peering.settings()?,
                overlay: file.overlay.garden()?,
            },
            overlay: file.overlay.settings()?,
            certificates: file.certificates.map(certificates::Certificates::settings).transpose()?,
            limits: file.server.limits(),
            stop: file.server.stop(),
        };
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let field = |path: &str, value: &dyn ToString, problem: &str| Err(bad(path, value.to_string(), problem));
        if let (Some(_), Some(file)) =
            (&self.certificates, self.nat.shoot_webhook.as_ref().and_then(|webhook| webhook.ca_file.as_ref()))
        {
            let problem = "is not for self-managed certificates: Shoots are told of their CA";
            return field("nat.shootWebhook.caFile", &format!("{:?}", file.display().to_string()), problem);
        }
        if self.overlap.sidecar == overlap::Sidecar::Always && matches!(self.nat.mode, crate::nat::Mode::Own(_)) {
            let problem = "is not for `nat.mode: own`: where gardenlet brings its own proxy, vpn2 translates itself, \
                           and our own containers would do it again; take `nat.mode: vpn-client`";
            return field("overlap.sidecar", &"always", problem);
        }
        if !is_image(&self.overlap.image) {
            return field("overlap.envoy.image", &format!("{:?}", self.overlap.image), "is not the name of an image");
        }
        if self.overlap.concurrency == 0 {
            return field("overlap.envoy.concurrency", &0, "Envoy needs at least one thread");
        }
        if self.overlap.status_port < 1_024 {
            let problem = "is reserved for root, and Envoy does not run as root; take one from 1024 up";
            return field("overlap.envoy.statusPort", &self.overlap.status_port, problem);
        }
        for (path, value) in [
            ("overlap.envoy.maxHosts", self.overlap.max_hosts),
            ("overlap.envoy.maxConnections", self.overlap.max_connections),
            ("overlap.envoy.connectTimeoutSeconds", self.overlap.connect_timeout_seconds),
        ] {
            if value == 0 {
                return field(path, &value, "must be at least 1");
            }
        }
        let bytes = |text: &str| memory_bytes(text).unwrap_or(u64::MAX);
        if let Some(limit) = &self.overlap.memory_limit
            && bytes(limit) < bytes(&self.overlap.memory_request)
        {
            return field(
                "overlap.envoy.memoryLimit",
                limit,
                "is less than memoryRequest, which no API server accepts",
            );
        }
        for (path, value, most) in [
            ("server.maxBodyBytes", self.limits.body_bytes as u64, 1 << 30),
            ("server.maxBodiesInFlightBytes", self.limits.bodies_in_flight_bytes as u64, 1 << 40),
            ("server.maxConnections", self.limits.connections as u64, 1 << 20),
            ("server.maxHandshakes", self.limits.handshakes as u64, 1 << 20),
            ("server.maxHandshakesPerAddress", self.limits.handshakes_per_address as u64, 1 << 20),
            ("server.bodyTimeoutSeconds", self.limits.body_timeout.as_secs(), 3_600),
            ("server.handshakeTimeoutSeconds", self.limits.handshake_timeout.as_secs(), 3_600),
        ] {
            if value == 0 || value > most {
                return field(path, &value, "is out of bounds: at least 1, and not astronomical");
            }
        }
        for (path, value) in [
            ("server.stopPropagationSeconds", self.stop.propagation_delay.as_secs()),
            ("server.stopIdleSeconds", self.stop.idle_timeout.as_secs()),
            ("server.stopDrainSeconds", self.stop.drain_timeout.as_secs()),
        ] {
            if value > 3_600 {
                return field(path, &value, "is more than an hour");
            }
        }
        if self.limits.bodies_in_flight_bytes < self.limits.body_bytes {
            let problem = "must be at least maxBodyBytes, or the largest body would never be read";
            return field("server.maxBodiesInFlightBytes", &self.limits.bodies_in_flight_bytes, problem);
        }
        if self.limits.handshakes_per_address > self.limits.handshakes {
            let problem = "must be at most maxHandshakes, of which it is a share";
            return field("server.maxHandshakesPerAddress", &self.limits.handshakes_per_address, problem);
        }
        Ok(())
    }
}

/// Whether a text can be the name of an image; whether there is one, nobody knows here.
fn is_image(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

fn bad(path: &str, value: String, problem: &str) -> ConfigError {
    ConfigError::Field { path: path.to_owned(), value, problem: problem.to_owned() }
}

impl Peering {
    fn settings(&self) -> Result<peering::Settings, ConfigError> {
        let default = peering::Settings::default();
        let max_peers = self.max_peers.unwrap_or(default.max_peers);
        if !(1..=peering::MOST_PEERS).contains(&max_peers) {
            let most = peering::MOST_PEERS;
            let problem = format!("must be from 1 to {most}: every peer may be a lookup while somebody waits");
            return Err(bad("peering.maxPeers", max_peers.to_string(), &problem));
        }
        let network = |(i, text): (usize, &String)| {
            text.parse().map_err(|error: ParseCidrError| {
                bad(&format!("peering.defaultNodeNetworks[{i}]"), format!("{text:?}"), &error.to_string())
            })
        };
        Ok(peering::Settings {
            max_peers,
            default_node_networks: self
                .default_node_networks
                .iter()
                .enumerate()
                .map(network)
                .collect::<Result<_, _>>()?,
            node_prefixes: self.node_prefix_lengths.map(PrefixLengths::read).transpose()?,
            is_private_stack: self.private_stack.unwrap_or(default.is_private_stack),
        })
    }
}

impl PrefixLengths {
    fn read(self) -> Result<peering::NodePrefixes, ConfigError> {
        let (shortest, longest) = (self.shortest.unwrap_or(0), self.longest.unwrap_or(32));
        peering::NodePrefixes::new(shortest, longest).ok_or_else(|| {
            let problem =
                "must be prefix lengths of IPv4 networks, from 0 to 32, the shortest one not above the longest";
            bad("peering.nodePrefixLengths", format!("{shortest} to {longest}"), problem)
        })
    }
}

/// What rules weigh: first the switch for all conflicts, then each by its name.
fn policy(peering: &Peering, choices: &BTreeMap<String, Choice>) -> Result<Policy, ConfigError> {
    let mut policy = Policy::default();
    if let Some(choice) = peering.conflicts {
        for rule in peering::rules::CONFLICTS {
            policy.set(rule, choice.severity());
        }
    }
    let known: Vec<&'static Rule> = handlers::rules().into_iter().map(|(rule, _)| rule).collect();
    for (name, choice) in choices {
        let path = format!("rules.{name}");
        let value = choice.severity().map_or("off", Severity::name).to_owned();
        let Some(rule) = known.iter().find(|rule| rule.name == name) else {
            let similar = known
                .iter()
                .map(|rule| rule.name)
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let problem = format!("there is no such rule; is `{}` meant?", similar.unwrap_or_default());
            return Err(bad(&path, value, &problem));
        };
        if !policy.set(rule, choice.severity()) {
            let problem = match rule.up_to {
                None => "this rule cannot be configured, what it refuses would break a cluster".to_owned(),
                Some(most) => format!("this rule can be `{}` at most", most.name()),
            };
            return Err(bad(&path, value, &problem));
        }
    }
    Ok(policy)
}

impl Envoy {
    fn settings(self) -> Result<overlap::Settings, ConfigError> {
        let default = overlap::Settings::default();
        let cpu = |text: Option<String>, default| match text {
            None => Ok(default),
            Some(text) => {
                let problem = "is not a whole number of CPUs such as `1`, or of thousandths such as `20m`";
                canonical_cpu(&text).ok_or_else(|| bad("overlap.envoy.cpuRequest", text, problem))
            }
        };
        let memory = |path, text: String| {
            let problem = "is not a whole number of Ki, Mi or Gi, such as `100Mi`";
            canonical_memory(&text).ok_or_else(|| bad(path, text, problem))
        };
        Ok(overlap::Settings {
            sidecar: default.sidecar,
            image: self.image.unwrap_or(default.image),
            concurrency: self.concurrency.unwrap_or(default.concurrency),
            cpu_request: cpu(self.cpu_request, default.cpu_request)?,
            memory_request: self
                .memory_request
                .map_or(Ok(default.memory_request), |text| memory("overlap.envoy.memoryRequest", text))?,
            memory_limit: self.memory_limit.map(|text| memory("overlap.envoy.memoryLimit", text)).transpose()?,
            status_port: self.status_port.unwrap_or(default.status_port),
            max_hosts: self.max_hosts.unwrap_or(default.max_hosts),
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            connect_timeout_seconds: self.connect_timeout_seconds.unwrap_or(default.connect_timeout_seconds),
            idle_timeout_seconds: self.idle_timeout_seconds.unwrap_or(default.idle_timeout_seconds),
            slow_milliseconds: self.slow_milliseconds.unwrap_or(default.slow_milliseconds),
        })
    }
}

impl Server {
    fn limits(&self) -> Limits {
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
            // Where only the whole is said, one address has half of it, as by default.
            handshakes_per_address: self.max_handshakes_per_address.unwrap_or(handshakes.div_ceil(2)),
            handshake_timeout: seconds(self.handshake_timeout_seconds, default.handshake_timeout),
            header_timeout: default.header_timeout,
        }
    }

    fn stop(&self) -> StopSettings {
        let default = StopSettings::default();
        let seconds = |value: Option<u64>, default| value.map_or(default, Duration::from_secs);
        StopSettings {
            propagation_delay: seconds(self.stop_propagation_seconds, default.propagation_delay),
            idle_timeout: seconds(self.stop_idle_seconds, default.idle_timeout),
            drain_timeout: seconds(self.stop_drain_seconds, default.drain_timeout),
        }
    }
}

#[cfg(test)]
mod tests;
