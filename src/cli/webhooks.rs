//! `network-guard webhooks`: the webhook configurations.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use serde::Deserialize;
use serde_json::json;

/// The files that are in the repository, with the reason for every line.
const SEED: &str = include_str!("../../webhook-config/seed.yaml");
const GARDEN: &str = include_str!("../../webhook-config/garden.yaml");

#[derive(Debug, Subcommand)]
pub(super) enum Webhooks {
    /// The webhooks of `serve seed`, for the Seed's API server
    ///
    /// Without flags the commented original is printed. With them its client configuration is filled in.
    Seed(Client),
    /// The webhooks of `serve garden`, for the virtual garden
    ///
    /// Without flags the commented original is printed. With them its client configurations are filled in.
    Garden(Client),
}

#[derive(Debug, Args)]
pub(super) struct Client {
    /// Where the API server reaches the webhooks, such as `https://127.0.0.1:10250`
    #[arg(long, conflicts_with = "service")]
    url: Option<String>,
    /// The Service of the webhooks, as NAMESPACE/NAME
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service: Option<String>,
    /// The file with the CA of the webhooks' certificate, PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Webhooks {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text = match self {
            Self::Seed(client) => client.fill(SEED)?,
            Self::Garden(client) => client.fill(GARDEN)?,
        };
        super::print(&text);
        Ok(())
    }
}

impl Client {
    fn fill(&self, original: &str) -> anyhow::Result<String> {
        if self.url.is_none() && self.service.is_none() && self.ca_file.is_none() {
            return Ok(original.to_owned());
        }
        let bundle = match &self.ca_file {
            None => None,
            Some(path) => Some(fs::read(path).with_context(|| format!("cannot read the CA file {}", path.display()))?),
        };
        let mut items = Vec::new();
        for document in original.split("\n---\n") {
            let Header { kind } = serde_saphyr::from_str(document)?;
            items.push(if kind == "ValidatingWebhookConfiguration" {
                let mut configuration: ValidatingWebhookConfiguration = serde_saphyr::from_str(document)?;
                for webhook in configuration.webhooks.iter_mut().flatten() {
                    self.fill_client(&mut webhook.client_config, bundle.as_deref())?;
                }
                serde_json::to_value(configuration)?
            } else {
                let mut configuration: MutatingWebhookConfiguration = serde_saphyr::from_str(document)?;
                for webhook in configuration.webhooks.iter_mut().flatten() {
                    self.fill_client(&mut webhook.client_config, bundle.as_deref())?;
                }
                serde_json::to_value(configuration)?
            });
        }
        let filled = match <[_; 1]>::try_from(items) {
            Ok([only]) => only,
            Err(items) => json!({"apiVersion": "v1", "kind": "List", "items": items}),
        };
        Ok(serde_json::to_string_pretty(&filled)? + "\n")
    }

    fn fill_client(&self, client: &mut WebhookClientConfig, bundle: Option<&[u8]>) -> anyhow::Result<()> {
        let path = path(client);
        if let Some(url) = &self.url {
            if !url.starts_with("https://") {
                bail!("--url {url}: an API server calls webhooks by https:// only");
            }
            client.service = None;
            client.url = Some(format!("{}{path}", url.trim_end_matches('/')));
        }
        if let Some(service) = &self.service {
            let Some((namespace, name)) = service.split_once('/') else {
                bail!("--service {service}: write it as NAMESPACE/NAME");
            };
            client.url = None;
            client.service = Some(ServiceReference {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                path: Some(path),
                port: client.service.as_ref().and_then(|service| service.port),
            });
        }
        if let Some(bundle) = bundle {
            client.ca_bundle = Some(ByteString(bundle.to_vec()));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Header {
    kind: String,
}

/// The path that a client configuration calls, however it says where.
fn path(client: &WebhookClientConfig) -> String {
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
    use crate::handlers::{ADVISE_SHOOT_PATH, KUBE_APISERVER_PATH, MUTATE_SHOOT_PATH, VALIDATE_SHOOT_PATH};

    #[test]
    fn the_garden_calls_our_paths() {
        let client = Client { url: Some("https://127.0.0.1:1".to_owned()), service: None, ca_file: None };
        let list: serde_json::Value = serde_json::from_str(&client.fill(GARDEN).unwrap()).unwrap();
        let mut found = Vec::new();
        for configuration in list["items"].as_array().unwrap() {
            for webhook in configuration["webhooks"].as_array().unwrap() {
                let name = webhook["name"].as_str().unwrap().split('.').next().unwrap();
                let url = webhook["clientConfig"]["url"].as_str().unwrap();
                let path = url.strip_prefix("https://127.0.0.1:1").unwrap();
                found.push((name.to_owned(), path.to_owned(), webhook["failurePolicy"].as_str().unwrap().to_owned()));
                assert_eq!(webhook["sideEffects"], "None", "{name}");
            }
        }
        let want = [
            ("mutator", MUTATE_SHOOT_PATH, "Ignore"),
            ("validator", VALIDATE_SHOOT_PATH, "Fail"),
            ("observer", VALIDATE_SHOOT_PATH, "Ignore"),
            ("advisor", ADVISE_SHOOT_PATH, "Ignore"),
        ];
        assert_eq!(found, want.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));

        let client = Client { url: None, service: Some("garden/guard".to_owned()), ca_file: None };
        let filled = client.fill(GARDEN).unwrap();
        assert!(filled.contains(r#""path": "/webhooks/advise/shoot""#), "{filled}");
    }

    fn filled(client: &Client) -> MutatingWebhookConfiguration {
        serde_saphyr::from_str(&client.fill(SEED).unwrap()).unwrap()
    }

    #[test]
    fn the_original_calls_our_paths() {
        let configuration = filled(&Client { url: None, service: None, ca_file: None });
        let webhook = &configuration.webhooks.unwrap()[0];
        assert_eq!(webhook.client_config.service.as_ref().unwrap().path.as_deref(), Some(KUBE_APISERVER_PATH));
        assert_eq!(webhook.side_effects, "None");
        assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"));
        assert_eq!(webhook.reinvocation_policy.as_deref(), Some("IfNeeded"));
        assert_eq!(webhook.admission_review_versions, ["v1"]);
    }

    #[test]
    fn fills_in_where_the_webhooks_are() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        fs::write(ca.path(), "PEM").unwrap();
        let client = Client {
            url: Some("https://127.0.0.1:10250/".to_owned()),
            service: None,
            ca_file: Some(ca.path().to_owned()),
        };
        let webhook = filled(&client).webhooks.unwrap().remove(0);
        assert_eq!(webhook.client_config.url, Some(format!("https://127.0.0.1:10250{KUBE_APISERVER_PATH}")));
        assert!(webhook.client_config.service.is_none());
        assert_eq!(webhook.client_config.ca_bundle.unwrap().0, b"PEM");

        let client = Client { url: None, service: Some("extension-x/guard".to_owned()), ca_file: None };
        let service = filled(&client).webhooks.unwrap().remove(0).client_config.service.unwrap();
        assert_eq!((&*service.namespace, &*service.name, service.port), ("extension-x", "guard", Some(443)));
    }

    #[test]
    fn says_what_is_wrong_with_a_flag() {
        for (url, service, want) in [(Some("http://x"), None, "https:// only"), (None, Some("guard"), "NAMESPACE/NAME")]
        {
            let client = Client { url: url.map(str::to_owned), service: service.map(str::to_owned), ca_file: None };
            assert!(client.fill(SEED).unwrap_err().to_string().contains(want));
        }
    }
}
