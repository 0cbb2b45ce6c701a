//! The section `certificates` of the configuration: self-managed certificates, with which the server registers itself.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, bad, is_webhook_url};
use network_guard_controllers::certificates::is_name;
use network_guard_controllers::registration::{Endpoint, host};
use network_guard_core::certificates::Lifetimes;
use network_guard_core::gardener::is_dns_label;

/// The values of the section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelfManaged {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// Names that the certificate gets besides those under which the webhooks are registered.
    pub names: Vec<String>,
    /// How long certificates are valid.
    pub lifetimes: Lifetimes,
    /// The address at which API servers reach the webhooks.
    pub to: Endpoint,
    /// Whether the server registers itself.
    pub is_registered: bool,
    /// The first words of the names of disabled webhooks.
    pub disabled: Vec<String>,
    /// The ClusterRole that owns the webhook configurations.
    pub owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Certificates {
    namespace: String,
    secret: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    ca_lifetime_seconds: Option<u64>,
    leaf_lifetime_seconds: Option<u64>,
    margin_seconds: Option<u64>,
    registration: Registration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registration {
    enabled: Option<bool>,
    url: Option<String>,
    service: Option<Service>,
    #[serde(default)]
    disabled: Vec<String>,
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Service {
    namespace: String,
    name: String,
    port: Option<u16>,
}

/// The first words of the names of all webhooks that are registered: of a Seed, and of the garden.
const WEBHOOKS: [&str; 6] = ["kube-apiserver", "network", "mutator", "validator", "observer", "advisor"];

/// The name of the Secret.
const SECRET: &str = "network-guard-certificates";

impl Certificates {
    pub(super) fn settings(self) -> Result<SelfManaged, ConfigError> {
        let label = |path: &str, value: &str, what: &str| {
            if is_dns_label(value) {
                return Ok(());
            }
            Err(bad(&format!("certificates.{path}"), format!("{value:?}"), &format!("is not the name of a {what}")))
        };
        label("namespace", &self.namespace, "namespace")?;
        let secret = self.secret.unwrap_or_else(|| SECRET.to_owned());
        label("secret", &secret, "Secret")?;
        let lifetimes = lifetimes(self.ca_lifetime_seconds, self.leaf_lifetime_seconds, self.margin_seconds)?;
        if let Some(i) = self.names.iter().position(|name| !is_name(name)) {
            let problem = "is neither a DNS name nor an IP address";
            return Err(bad(&format!("certificates.names[{i}]"), format!("{:?}", self.names[i]), problem));
        }
        let Registration { enabled, url, service, disabled, owner } = self.registration;
        if let Some(i) = disabled.iter().position(|word| !WEBHOOKS.contains(&&**word)) {
            let problem = format!("is none of {}", WEBHOOKS.join(", "));
            let path = format!("certificates.registration.disabled[{i}]");
            return Err(bad(&path, format!("{:?}", disabled[i]), &problem));
        }
        let to = match (url, service) {
            (Some(url), None) => {
                if !is_webhook_url(&url) || !host(&url).is_some_and(|host| is_name(&host)) {
                    let problem = "is not an address such as `https://network-guard.garden`";
                    return Err(bad("certificates.registration.url", format!("{url:?}"), problem));
                }
                Endpoint::Url(url)
            }
            (None, Some(Service { namespace, name, port })) => {
                label("registration.service.namespace", &namespace, "namespace")?;
                label("registration.service.name", &name, "Service")?;
                Endpoint::Service { namespace, name, port: port.map(i32::from) }
            }
            (url, _) => {
                let problem = "say where API servers reach the webhooks: either `url` or `service`";
                let value = if url.is_some() { "both" } else { "neither" };
                return Err(bad("certificates.registration", value.to_owned(), problem));
            }
        };
        Ok(SelfManaged {
            namespace: self.namespace,
            secret,
            names: self.names,
            lifetimes,
            to,
            is_registered: enabled.unwrap_or(true),
            disabled,
            owner,
        })
    }
}

impl SelfManaged {
    /// All names of the certificate, each once.
    pub(crate) fn all_names(&self, shoot_url: Option<&str>) -> Vec<String> {
        let mut names = self.to.names();
        for name in shoot_url.and_then(host).into_iter().chain(self.names.iter().cloned()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// A leaf has to end before its CA does, and a CA has to be published before the old one expires.
fn lifetimes(ca: Option<u64>, leaf: Option<u64>, margin: Option<u64>) -> Result<Lifetimes, ConfigError> {
    let default = Lifetimes::default();
    let seconds = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_secs);
    let lifetimes = Lifetimes {
        ca: seconds(ca, default.ca),
        leaf: seconds(leaf, default.leaf),
        margin: seconds(margin, default.margin),
    };
    let Lifetimes { ca, leaf, margin } = &lifetimes;
    let check = |is_fine: bool, field: &str, value: &Duration, problem: &str| {
        if is_fine { Ok(()) } else { Err(bad(&format!("certificates.{field}"), value.as_secs().to_string(), problem)) }
    };
    let ten_years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    check((Duration::from_secs(6)..=ten_years).contains(ca), "caLifetimeSeconds", ca, "must be from 6 s to 10 years")?;
    check(
        (Duration::from_secs(5)..=*ca).contains(leaf),
        "leafLifetimeSeconds",
        leaf,
        "must be at least 5, and at most that of the CA",
    )?;
    check(*margin <= *ca / 6, "marginSeconds", margin, "must be at most a sixth of the CA's lifetime")?;
    Ok(lifetimes)
}
