//! Reads and writes the Secret of the CA.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use super::leaf_issuer::{Settings, material};
use super::secret::{BadSecret, write};
use network_guard_core::certificates::Material;

/// The stored content.
pub(super) struct Stored {
    secret: Option<Secret>,
    /// The content; `None` if there is no Secret.
    pub(super) material: Option<Result<Material, BadSecret>>,
}

/// The Secret.
pub(super) struct Store {
    api: Api<Secret>,
    name: String,
}

impl Store {
    pub(super) fn new(client: kube::Client, settings: &Settings) -> Self {
        Self { api: Api::namespaced(client, &settings.namespace), name: settings.secret.clone() }
    }

    pub(super) async fn read(&self) -> Result<Stored, String> {
        let secret = self.api.get_opt(&self.name).await.map_err(|error| self.cannot("read", &error))?;
        let material = secret.as_ref().map(material);
        Ok(Stored { secret, material })
    }

    /// Replaces what was read. Of two concurrent writers one fails.
    pub(super) async fn write(&self, stored: &Stored, material: &Material) -> Result<(), String> {
        let params = PostParams::default();
        let mut secret = stored.secret.clone().unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "network-guard".to_owned())])),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        });
        let annotations = secret.metadata.annotations.get_or_insert_default();
        write(material, secret.data.get_or_insert_default(), annotations);
        let written = match &stored.secret {
            None => self.api.create(&params, &secret).await,
            Some(_) => self.api.replace(&self.name, &params, &secret).await,
        };
        written.map(drop).map_err(|error| self.cannot("written", &error))
    }

    fn cannot(&self, what: &str, error: &kube::Error) -> String {
        format!("the Secret {} cannot be {what}: {error}", self.name)
    }
}
