//! The webhook configuration of one Shoot.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, WebhookClientConfig};

use network_guard_core::gardener::ShootUid;
use network_guard_core::webhooks::VPN_SHOOT_PATH;

/// The file in the repository, with the reason for every line.
pub const ORIGINAL: &str = include_str!("../../../../webhook-config/shoot.yaml");

/// The values of one Shoot's webhook configuration.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// The address of the server for API servers of Shoots: `https://…`, without the webhook's own path.
    pub url: &'a str,
    /// The CA of its certificate, PEM; without it an API server trusts the CAs of its system.
    pub ca_bundle: Option<&'a [u8]>,
    /// The control-plane namespace of the Shoot.
    pub namespace: &'a str,
    /// The UID of the Shoot.
    pub uid: &'a ShootUid,
    /// Whether writes are refused while the webhook does not answer.
    pub must_answer: bool,
}

impl Registration<'_> {
    /// The object for the Shoot's API server.
    ///
    /// # Panics
    /// Never: what is read is a constant, and a test reads it.
    pub fn object(&self) -> MutatingWebhookConfiguration {
        let mut object: MutatingWebhookConfiguration =
            network_guard_sources::yaml::only(ORIGINAL).expect("a test reads it");
        let Self { url, namespace, .. } = self;
        let url = format!("{}{VPN_SHOOT_PATH}/{namespace}/{}", url.trim_end_matches('/'), self.uid.reveal());
        for webhook in object.webhooks.iter_mut().flatten() {
            webhook.client_config = WebhookClientConfig {
                url: Some(url.clone()),
                ca_bundle: self.ca_bundle.map(|bundle| ByteString(bundle.to_vec())),
                service: None,
            };
            webhook.failure_policy = Some(if self.must_answer { "Fail" } else { "Ignore" }.to_owned());
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy in the chart permits exactly this text to be registered in Shoots.
    #[test]
    fn the_chart_permits_it() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../charts/gardener-extension-network-guard/files/shoot-webhook/vpn.json"
        );
        let permitted = std::fs::read_to_string(path).unwrap();
        let uid = ShootUid::parse("5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55").unwrap();
        for ca_bundle in [None, Some(&b"PEM"[..])] {
            for (must_answer, policy) in [(false, "Ignore"), (true, "Fail")] {
                let registration = Registration {
                    url: "https://guard.example",
                    ca_bundle,
                    namespace: "shoot--a--b",
                    uid: &uid,
                    must_answer,
                };
                let mut object = registration.object();
                let containers = if must_answer {
                    let annotations = object.metadata.annotations.get_or_insert_default();
                    annotations.insert(super::super::CONTAINERS.to_owned(), "0".repeat(64));
                    format!(r#""annotations":{{"{}":"{}"}},"#, super::super::CONTAINERS, "0".repeat(64))
                } else {
                    String::new()
                };
                let wanted = permitted
                    .trim()
                    .replace("@CONTAINERS@", &containers)
                    .replace("@BUNDLE@", if ca_bundle.is_some() { r#""caBundle":"UEVN","# } else { "" })
                    .replace("@URL@", "https://guard.example")
                    .replace("@NAMESPACE@", "shoot--a--b")
                    .replace("@UID@", &format!("/{}\"", uid.reveal()))
                    .replace("@FAILURE_POLICY@", policy);
                assert_eq!(serde_json::to_string(&object).unwrap(), wanted, "{path} has another text");
            }
        }
    }

    #[test]
    fn differs_from_the_original_in_the_values_of_the_shoot() {
        let uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55";
        let registration = Registration {
            url: "https://guard.example/",
            ca_bundle: Some(b"PEM"),
            namespace: "shoot--a--b",
            uid: &ShootUid::parse(uid).unwrap(),
            must_answer: true,
        };
        let mut object = registration.object();
        let webhook = &mut object.webhooks.as_mut().unwrap()[0];
        let url = format!("https://guard.example/webhooks/mutate/vpn-shoot/shoot--a--b/{uid}");
        assert_eq!(webhook.client_config.url.as_deref(), Some(&*url));
        assert_eq!(webhook.client_config.ca_bundle.as_ref().unwrap().0, b"PEM");
        assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"));

        let original: MutatingWebhookConfiguration = serde_saphyr::from_str(ORIGINAL).unwrap();
        webhook.failure_policy = Some("Ignore".to_owned());
        webhook.client_config = original.webhooks.as_ref().unwrap()[0].client_config.clone();
        assert_eq!(object, original);
        let placeholder = original.webhooks.unwrap()[0].client_config.url.clone().unwrap();
        assert!(placeholder.contains(&format!("{VPN_SHOOT_PATH}/")), "{placeholder}");
    }
}
