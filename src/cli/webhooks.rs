//! `network-guard webhooks`: the webhook configurations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::is_webhook_url;
use network_guard_controllers::certificates::pem::is_ca_bundle;
use network_guard_controllers::registration::{Configuration, Endpoint, FailurePolicy, GARDEN, SEED, set_endpoint};
use network_guard_controllers::vpn_shoot::{ORIGINAL as SHOOT, Registration};
use network_guard_core::gardener::{ShootUid, is_dns_label};

#[derive(Debug, Subcommand)]
pub(super) enum Webhooks {
    /// The webhooks of `serve seed`, for the Seed's API server
    ///
    /// Without flags the commented original is printed. With them its client configuration is filled in.
    Seed(SeedClient),
    /// The webhooks of `serve garden`, for the virtual garden
    ///
    /// Without flags the commented original is printed. With them its client configurations are filled in.
    Garden(Client),
    /// The webhook of `serve seed` for the API server of one Shoot
    ///
    /// Without flags the commented original is printed. With them it is filled in.
    Shoot(ShootClient),
}

#[derive(Debug, Args)]
pub(super) struct ShootClient {
    /// The address of the webhooks for API servers of Shoots, such as `https://guard.extension-network-guard.svc`
    #[arg(long, requires_all = ["control_plane", "shoot_uid"])]
    url: Option<String>,
    /// The file with the CA of the webhooks' certificate, PEM
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// The control-plane namespace of the Shoot
    #[arg(long, value_name = "NAMESPACE", requires = "url")]
    control_plane: Option<String>,
    /// The `metadata.uid` of the Shoot in the garden
    #[arg(long, value_name = "UID", requires = "url")]
    shoot_uid: Option<String>,
    /// Refuse writes that could not be reviewed, as in mode `own` of `vpn.nat`
    #[arg(long, requires = "url")]
    own: bool,
}

#[derive(Debug, Args)]
pub(super) struct SeedClient {
    #[command(flatten)]
    client: Client,
    /// What the API server does with writes of kube-apiservers while no replica answers: `Fail` refuses them, `Ignore`
    /// lets them pass, for Seeds whose gardenlet adds a proxy of its own (from v1.124 on)
    #[arg(long, value_name = "Fail|Ignore")]
    failure_policy: Option<FailurePolicy>,
}

#[derive(Debug, Args)]
pub(super) struct Client {
    /// The address of the webhooks for the API server, such as `https://127.0.0.1:10250`
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
            Self::Seed(seed) => seed.client.fill(SEED, seed.failure_policy)?,
            Self::Garden(client) => client.fill(GARDEN, None)?,
            Self::Shoot(client) => client.fill()?,
        };
        super::output::print(&text)
    }
}

impl Client {
    fn fill(&self, original: &str, policy: Option<FailurePolicy>) -> anyhow::Result<String> {
        if self.url.is_none() && self.service.is_none() && self.ca_file.is_none() && policy.is_none() {
            return Ok(original.to_owned());
        }
        let bundle = bundle(self.ca_file.as_deref())?;
        let to = self.to()?;
        let mut items = Configuration::originals(original)?;
        for (_, client) in items.iter_mut().flat_map(Configuration::webhooks) {
            set_endpoint(client, to.as_ref(), bundle.as_deref());
        }
        if let Some(policy) = policy {
            for configuration in &mut items {
                configuration.without_answer(policy);
            }
        }
        let filled = match <[_; 1]>::try_from(items) {
            Ok([only]) => serde_json::to_value(only)?,
            Err(items) => json!({"apiVersion": "v1", "kind": "List", "items": items}),
        };
        Ok(serde_json::to_string_pretty(&filled)? + "\n")
    }

    fn to(&self) -> anyhow::Result<Option<Endpoint>> {
        if let Some(url) = &self.url {
            check(url)?;
            return Ok(Some(Endpoint::Url(url.clone())));
        }
        let Some(service) = &self.service else { return Ok(None) };
        let Some((namespace, name)) = service.split_once('/') else {
            bail!("--service {service}: write it as NAMESPACE/NAME");
        };
        Ok(Some(Endpoint::Service { namespace: namespace.to_owned(), name: name.to_owned(), port: None }))
    }
}

impl ShootClient {
    fn fill(&self) -> anyhow::Result<String> {
        let (Some(url), Some(namespace), Some(uid)) = (&self.url, &self.control_plane, &self.shoot_uid) else {
            return Ok(SHOOT.to_owned());
        };
        check(url)?;
        if !is_dns_label(namespace) {
            bail!("--control-plane {namespace}: is not the name of a namespace");
        }
        let Some(uid) = ShootUid::parse(uid) else {
            bail!("--shoot-uid {uid}: is not a UID such as 5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55");
        };
        let bundle = bundle(self.ca_file.as_deref())?;
        let registration =
            Registration { url, ca_bundle: bundle.as_deref(), namespace, uid: &uid, must_answer: self.own };
        Ok(serde_json::to_string_pretty(&registration.object())? + "\n")
    }
}

fn bundle(file: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let read = |path: &Path| {
        let bundle = fs::read(path).with_context(|| format!("cannot read the CA file {}", path.display()))?;
        anyhow::ensure!(is_ca_bundle(&bundle), "the CA file {} holds no certificate in PEM form", path.display());
        Ok(bundle)
    };
    file.map(read).transpose()
}

fn check(url: &str) -> anyhow::Result<()> {
    if !is_webhook_url(url) {
        bail!("--url {url}: an API server calls webhooks by https:// only, without query, fragment or user");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;

    use super::*;
    use network_guard_core::webhooks::{
        ADVISE_SHOOT_PATH, KUBE_APISERVER_PATH, MUTATE_SHOOT_PATH, VALIDATE_SHOOT_PATH,
    };

    #[test]
    fn the_webhooks_of_the_garden_have_the_paths_of_the_server() {
        let client = Client { url: Some("https://127.0.0.1:1".to_owned()), service: None, ca_file: None };
        let list: serde_json::Value = serde_json::from_str(&client.fill(GARDEN, None).unwrap()).unwrap();
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
        let filled = client.fill(GARDEN, None).unwrap();
        assert!(filled.contains(r#""path": "/webhooks/advise/shoot""#), "{filled}");
    }

    fn filled(client: &Client) -> MutatingWebhookConfiguration {
        serde_saphyr::from_str(&client.fill(SEED, None).unwrap()).unwrap()
    }

    #[test]
    fn the_original_has_the_paths_of_the_server() {
        let configuration = filled(&Client { url: None, service: None, ca_file: None });
        let webhook = &configuration.webhooks.unwrap()[0];
        assert_eq!(webhook.client_config.service.as_ref().unwrap().path.as_deref(), Some(KUBE_APISERVER_PATH));
        assert_eq!(webhook.side_effects, "None");
        assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"));
        assert_eq!(webhook.reinvocation_policy.as_deref(), Some("IfNeeded"));
        assert_eq!(webhook.admission_review_versions, ["v1"]);
    }

    #[test]
    fn fills_in_the_failure_policy() {
        let client = Client { url: None, service: None, ca_file: None };
        for policy in [FailurePolicy::Fail, FailurePolicy::Ignore] {
            let text = client.fill(SEED, Some(policy)).unwrap();
            let filled: MutatingWebhookConfiguration = serde_saphyr::from_str(&text).unwrap();
            let webhook = &filled.webhooks.unwrap()[0];
            assert_eq!(webhook.failure_policy.as_deref(), Some(policy.name()));
            assert_eq!(webhook.client_config.service.as_ref().unwrap().namespace, "extension-network-guard");
        }
    }

    #[test]
    fn fills_in_the_address_of_the_webhooks() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let authority =
            network_guard_controllers::certificates::Authority::new("test CA", jiff::Timestamp::now(), day).unwrap();
        let bundle = authority.certificate();
        fs::write(ca.path(), bundle).unwrap();
        let client = Client {
            url: Some("https://127.0.0.1:10250/".to_owned()),
            service: None,
            ca_file: Some(ca.path().to_owned()),
        };
        let webhook = filled(&client).webhooks.unwrap().remove(0);
        assert_eq!(webhook.client_config.url, Some(format!("https://127.0.0.1:10250{KUBE_APISERVER_PATH}")));
        assert!(webhook.client_config.service.is_none());
        assert_eq!(webhook.client_config.ca_bundle.unwrap().0, bundle.as_bytes());

        let client = Client { url: None, service: Some("extension-x/guard".to_owned()), ca_file: None };
        let service = filled(&client).webhooks.unwrap().remove(0).client_config.service.unwrap();
        assert_eq!((&*service.namespace, &*service.name, service.port), ("extension-x", "guard", Some(443)));
    }

    #[test]
    fn fills_in_the_shoot_of_the_webhook() {
        let client = |url: Option<&str>, namespace: &str, uid: &str| ShootClient {
            url: url.map(str::to_owned),
            ca_file: None,
            control_plane: Some(namespace.to_owned()),
            shoot_uid: Some(uid.to_owned()),
            own: true,
        };
        let uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55";
        assert_eq!(client(None, "a", uid).fill().unwrap(), SHOOT);
        let filled = client(Some("https://guard"), "shoot--a--b", uid).fill().unwrap();
        let url = format!("https://guard{}/shoot--a--b/{uid}", network_guard_core::webhooks::VPN_SHOOT_PATH);
        assert!(filled.contains(&url) && filled.contains(r#""failurePolicy": "Fail""#), "{filled}");
        for (url, namespace, uid, want) in [
            ("http://guard", "a", uid, "https:// only"),
            ("https://guard", "a/b", uid, "not the name of a namespace"),
            ("https://guard", "a", "1", "not a UID"),
        ] {
            assert!(client(Some(url), namespace, uid).fill().unwrap_err().to_string().contains(want));
        }
    }

    #[test]
    fn errors_name_the_flag() {
        for (url, service, want) in [
            (Some("http://x"), None, "https:// only"),
            (Some("https://x/?a=b"), None, "without query"),
            (None, Some("guard"), "NAMESPACE/NAME"),
        ] {
            let client = Client { url: url.map(str::to_owned), service: service.map(str::to_owned), ca_file: None };
            assert!(client.fill(SEED, None).unwrap_err().to_string().contains(want));
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(empty.path(), text).unwrap();
            let client = Client { url: None, service: None, ca_file: Some(empty.path().to_owned()) };
            let error = client.fill(SEED, None).unwrap_err().to_string();
            assert!(error.contains("holds no certificate in PEM form"), "{error}");
        }
    }
}
