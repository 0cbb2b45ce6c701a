//! The webhook configurations of a Seed and of the garden: the files of the repository, with the values of one
//! installation filled in.

use std::str::FromStr;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use network_guard_core::webhooks::{KUBE_APISERVER_PATH, NETWORK_PATH};
use network_guard_sources::yaml;

/// The file in the repository, with the reason for every line.
pub const SEED: &str = include_str!("../../../webhook-config/seed.yaml");
/// The same for the garden.
pub const GARDEN: &str = include_str!("../../../webhook-config/garden.yaml");

/// The address at which API servers reach the webhooks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// A Service in the API server's own cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port; `None` leaves that of the file.
        port: Option<i32>,
    },
    /// An `https` URL, without the webhooks' own paths.
    Url(String),
}

impl Endpoint {
    /// The names that its certificate must have.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Service { namespace, name, .. } => {
                vec![format!("{name}.{namespace}.svc"), format!("{name}.{namespace}"), name.clone()]
            }
            Self::Url(url) => host(url).into_iter().collect(),
        }
    }
}

/// The name that an API server looks for in the certificate.
pub fn server_name(client: &WebhookClientConfig) -> Option<String> {
    match (&client.service, &client.url) {
        (Some(service), _) => Some(format!("{}.{}.svc", service.name, service.namespace)),
        (None, Some(url)) => host(url),
        (None, None) => None,
    }
}

/// The host of a URL, in the form of a name in a certificate.
pub fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned()).filter(|host| !host.is_empty())
}

/// What an API server does with a write when the webhook for it does not answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FailurePolicy {
    /// It refuses the write.
    #[default]
    Fail,
    /// It continues without network-guard.
    Ignore,
}

impl FailurePolicy {
    /// The value in a webhook configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
}

impl FromStr for FailurePolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Fail, Self::Ignore].into_iter().find(|policy| policy.name() == text);
        known.ok_or_else(|| "say `Fail` or `Ignore`".to_owned())
    }
}

/// A webhook configuration of either kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Configuration {
    /// Webhooks that may change objects.
    Mutating(MutatingWebhookConfiguration),
    /// Webhooks that may refuse them.
    Validating(ValidatingWebhookConfiguration),
}

#[derive(Deserialize)]
struct Header {
    kind: String,
}

impl Configuration {
    /// All configurations of a file.
    pub fn originals(file: &str) -> Result<Vec<Self>, yaml::Problem> {
        yaml::documents(file)
            .map(|document| {
                let yaml::Document { line, json, .. } = document.map_err(|unreadable| unreadable.problem)?;
                Self::read(&json).map_err(|error| yaml::Problem { line, problem: error.to_string() })
            })
            .collect()
    }

    fn read(json: &str) -> Result<Self, serde_json::Error> {
        let Header { kind } = serde_json::from_str(json)?;
        Ok(match &*kind {
            "ValidatingWebhookConfiguration" => Self::Validating(serde_json::from_str(json)?),
            _ => Self::Mutating(serde_json::from_str(json)?),
        })
    }

    /// A short name of its kind, and its name.
    pub fn identity(&self) -> (&'static str, &str) {
        let (kind, metadata) = match self {
            Self::Mutating(configuration) => ("mutating", &configuration.metadata),
            Self::Validating(configuration) => ("validating", &configuration.metadata),
        };
        (kind, metadata.name.as_deref().unwrap_or_default())
    }

    /// Its metadata.
    pub fn metadata(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Mutating(configuration) => &mut configuration.metadata,
            Self::Validating(configuration) => &mut configuration.metadata,
        }
    }

    /// The names of its webhooks, and their addresses.
    pub fn webhooks(&mut self) -> Vec<(&str, &mut WebhookClientConfig)> {
        match self {
            Self::Mutating(Mutating { webhooks, .. }) => {
                webhooks.iter_mut().flatten().map(|webhook| (&*webhook.name, &mut webhook.client_config)).collect()
            }
            Self::Validating(Validating { webhooks, .. }) => {
                webhooks.iter_mut().flatten().map(|webhook| (&*webhook.name, &mut webhook.client_config)).collect()
            }
        }
    }

    /// Removes those webhooks whose names begin with one of these words; returns `false` if none is left.
    pub fn without(&mut self, disabled: &[String]) -> bool {
        let is_wanted = |name: &str| !disabled.iter().any(|word| name.split('.').next() == Some(word));
        match self {
            Self::Mutating(Mutating { webhooks: Some(webhooks), .. }) => {
                webhooks.retain(|webhook| is_wanted(&webhook.name));
                !webhooks.is_empty()
            }
            Self::Validating(Validating { webhooks: Some(webhooks), .. }) => {
                webhooks.retain(|webhook| is_wanted(&webhook.name));
                !webhooks.is_empty()
            }
            _ => false,
        }
    }

    /// Sets the failure policy for kube-apiservers. Other webhooks keep that of their file.
    pub fn without_answer(&mut self, policy: FailurePolicy) {
        let Self::Mutating(Mutating { webhooks, .. }) = self else { return };
        for webhook in webhooks.iter_mut().flatten() {
            if path(&webhook.client_config) == KUBE_APISERVER_PATH {
                webhook.failure_policy = Some(policy.name().to_owned());
            }
        }
    }

    /// Sets the infrastructures on which switches of the overlay are held; with none the webhook is removed.
    pub fn hold_on(&mut self, providers: &[String]) {
        let Self::Mutating(Mutating { webhooks: Some(webhooks), .. }) = self else { return };
        webhooks.retain_mut(|webhook| {
            if path(&webhook.client_config) != NETWORK_PATH {
                return true;
            }
            let selector = webhook.namespace_selector.as_mut().and_then(|selector| selector.match_expressions.as_mut());
            for expression in selector.into_iter().flatten() {
                if expression.key == "shoot.gardener.cloud/provider" {
                    expression.values = Some(providers.to_vec());
                }
            }
            !providers.is_empty()
        });
    }
}

type Mutating = MutatingWebhookConfiguration;
type Validating = ValidatingWebhookConfiguration;

/// Sets the address of a webhook. What is `None` stays.
pub fn set_endpoint(client: &mut WebhookClientConfig, to: Option<&Endpoint>, bundle: Option<&[u8]>) {
    match to {
        None => {}
        Some(Endpoint::Url(url)) => {
            client.url = Some(format!("{}{}", url.trim_end_matches('/'), path(client)));
            client.service = None;
        }
        Some(Endpoint::Service { namespace, name, port }) => {
            client.service = Some(ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                path: Some(path(client)),
                port: port.or_else(|| client.service.as_ref().and_then(|service| service.port)),
            });
            client.url = None;
        }
    }
    if let Some(bundle) = bundle {
        client.ca_bundle = Some(ByteString(bundle.to_vec()));
    }
}

/// The path that a client configuration calls, by URL or by Service.
pub fn path(client: &WebhookClientConfig) -> String {
    let by_service = client.service.as_ref().and_then(|service| service.path.clone());
    let by_url = || {
        let (_, rest) = client.url.as_deref()?.split_once("://")?;
        rest.find('/').map(|at| rest[at..].to_owned())
    };
    by_service.or_else(by_url).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_called() {
        let service = Endpoint::Service { namespace: "x".to_owned(), name: "guard".to_owned(), port: None };
        assert_eq!(service.names(), ["guard.x.svc", "guard.x", "guard"]);
        for (url, want) in [
            ("https://guard.garden", "guard.garden"),
            ("https://guard.garden:8443/", "guard.garden"),
            ("https://127.0.0.1:1/x", "127.0.0.1"),
            ("https://[fd00::1]:443", "fd00::1"),
        ] {
            assert_eq!(Endpoint::Url(url.to_owned()).names(), [want], "{url}");
        }
    }

    #[test]
    fn only_writes_of_kube_apiservers_may_pass_unreviewed() {
        for (policy, want) in [(FailurePolicy::Fail, ["Fail", "Fail"]), (FailurePolicy::Ignore, ["Ignore", "Fail"])] {
            let mut seed = Configuration::originals(SEED).unwrap().remove(0);
            seed.without_answer(policy);
            let text = serde_json::to_value(&seed).unwrap();
            let policies = [0, 1].map(|index| text["webhooks"][index]["failurePolicy"].clone());
            assert_eq!(policies, want);
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        assert!("ignore".parse::<FailurePolicy>().is_err());
        let mut garden = Configuration::originals(GARDEN).unwrap();
        for configuration in &mut garden {
            configuration.without_answer(FailurePolicy::Ignore);
        }
        assert_eq!(garden, Configuration::originals(GARDEN).unwrap());
    }

    #[test]
    fn leaves_out_disabled_webhooks() {
        let names = |configuration: &Configuration| -> Vec<String> {
            let text = serde_json::to_value(configuration).unwrap();
            let name =
                |webhook: &serde_json::Value| webhook["name"].as_str().unwrap().split('.').next().unwrap().to_owned();
            text["webhooks"].as_array().unwrap().iter().map(name).collect()
        };
        let mut seed = Configuration::originals(SEED).unwrap().remove(0);
        assert_eq!(names(&seed), ["kube-apiserver", "network"]);
        let mut other = seed.clone();
        other.hold_on(&["mycloud".to_owned()]);
        let text = serde_json::to_string(&other).unwrap();
        assert!(text.contains(r#""values":["mycloud"]"#) && !text.contains("alicloud"), "{text}");
        other.hold_on(&[]);
        assert_eq!(names(&other), ["kube-apiserver"]);
        assert!(seed.without(&["network".to_owned()]));
        assert_eq!(names(&seed), ["kube-apiserver"]);
        assert!(!seed.without(&["kube-apiserver".to_owned()]));
        assert_eq!(Configuration::originals(GARDEN).unwrap().len(), 2);
    }
}
