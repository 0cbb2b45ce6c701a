//! The configuration file: `kind: NetworkGuardConfiguration`.

mod certificates;
mod digest;
mod envoy;
mod failure_policy;
mod garden;
mod nat;
mod overlay;
mod peering;
mod quantity;
mod rules;
#[cfg(test)]
mod schema;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::certificates::SelfManaged;
pub use self::nat::is_webhook_url;
use network_guard_controllers::overlay_switch::OverlaySettings;
use network_guard_controllers::registration::FailurePolicy;
use network_guard_core::vpn::sidecar;
use network_guard_core::webhooks::ShootSettings;
use network_guard_runtime::https::Limits;
use network_guard_runtime::stop::StopSettings;
use network_guard_sources::files;
use network_guard_sources::yaml;

/// The values of the file, with defaults for everything else. Unknown fields are errors.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    /// The sidecar of overlapping Shoots.
    pub vpn: sidecar::Settings,
    /// The registered failure policy; see [`Configuration::failure_policy`].
    pub vpn_failure_policy: Option<FailurePolicy>,
    /// The double NAT behind the sidecar.
    pub nat: network_guard_core::vpn::nat::Settings,
    /// Switches of the overlay that are held.
    pub overlay: OverlaySettings,
    /// The settings about Shoots in the garden.
    pub shoots: ShootSettings,
    /// Self-managed certificates; `None`: they are files.
    pub certificates: Option<SelfManaged>,
    /// Limits of the server.
    pub limits: Limits,
    /// The graceful stop.
    pub stop: StopSettings,
}

/// Why a configuration cannot be used.
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
    /// A field has an impossible value.
    #[error("the configuration is wrong: {path}: {value}: {problem}")]
    Field {
        /// The field.
        path: String,
        /// Its value.
        value: String,
        /// The problem, and what would be right.
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
    vpn: Vpn,
    #[serde(default)]
    overlay: overlay::Overlay,
    #[serde(default)]
    peering: peering::Peering,
    #[serde(default)]
    rules: BTreeMap<String, rules::Choice>,
    // The chart sets it.
    #[cfg_attr(test, schemars(with = "Option<serde_json::Value>"))]
    certificates: Option<certificates::Certificates>,
    #[serde(default)]
    server: server::Server,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Vpn {
    #[serde(default)]
    sidecar: sidecar::Sidecar,
    #[serde(default)]
    envoy: envoy::Envoy,
    #[serde(default)]
    nat: nat::Nat,
    failure_policy: Option<FailurePolicy>,
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
            vpn_failure_policy: file.vpn.failure_policy,
            vpn: sidecar::Settings { sidecar: file.vpn.sidecar, ..file.vpn.envoy.settings()? },
            nat: file.vpn.nat.settings()?,
            shoots: ShootSettings {
                policy: rules::policy(&file.peering, &file.rules)?,
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
        if let (Some(_), Some(file)) =
            (&self.certificates, self.nat.shoot_webhook.as_ref().and_then(|webhook| webhook.ca_file.as_ref()))
        {
            let problem = "is not for self-managed certificates: Shoots are told of their CA";
            return Err(bad("vpn.nat.shootWebhook.caFile", format!("{:?}", file.display().to_string()), problem));
        }
        if self.vpn.sidecar == sidecar::Sidecar::Always
            && matches!(self.nat.mode, network_guard_core::vpn::nat::Mode::Own(_))
        {
            let problem = "is not for `vpn.nat.mode: own`: where gardenlet brings its own proxy, vpn2 translates itself, \
                           and our own containers would do it again; take `vpn.nat.mode: vpn-client`";
            return Err(bad("vpn.sidecar", "always".to_owned(), problem));
        }
        envoy::check(&self.vpn)?;
        server::check(&self.limits, &self.stop)
    }
}

/// Whether a text can be the name of an image; whether the image exists is unknown here.
fn is_image(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

fn bad(path: &str, value: String, problem: &str) -> ConfigError {
    ConfigError::Field { path: path.to_owned(), value, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
