//! Writes the webhook configurations, with the CAs that API servers are to trust.

use std::fmt::Debug;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::registration::{Configuration, Where, called, point};
use crate::tls::{Ca, Published};

/// Who writes, as API servers remember it.
const FIELD_MANAGER: &str = "network-guard";

/// By this label we know configurations of ours.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "network-guard");

/// What is registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The configurations, each in a cluster once.
    pub configurations: Vec<Wanted>,
    /// Where API servers reach the webhooks.
    pub to: Where,
    /// The ClusterRole with which the configurations go: whoever uninstalls takes it away.
    pub owner: Option<String>,
}

/// A configuration as the repository has it, without those webhooks that are not wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The configuration.
    pub configuration: Configuration,
    /// Whether it is to be there; otherwise one of ours is taken away.
    pub is_wanted: bool,
}

/// Why configurations cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The API server says no, or nothing.
    #[error("the webhook configuration {name} cannot be {what}: {source}")]
    Api {
        /// Which one.
        name: String,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// With nobody to take them along, configurations would stay behind.
    #[error("the ClusterRole {0} that should own the webhook configurations is not there")]
    NoOwner(String),
}

/// What is registered at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// One for each webhook.
    pub(super) published: Vec<Published>,
    /// The name by which each is called.
    called: Vec<Option<String>>,
    /// The names and kinds of those configurations that are there, and whether we made them.
    present: Vec<(&'static str, String, bool)>,
}

pub(super) struct Registrar {
    client: kube::Client,
    registration: Registration,
}

impl Registrar {
    pub(super) fn new(client: kube::Client, registration: Registration) -> Self {
        Self { client, registration }
    }

    /// Reads what is registered.
    pub(super) async fn look(&self) -> Result<Seen, PublishError> {
        look(&self.client, self.registration.configurations.iter().map(|wanted| &wanted.configuration)).await
    }

    /// Writes what is to be registered, if it is not, or if it is due anyway. Whether something was written.
    pub(super) async fn ensure(
        &self,
        seen: &Seen,
        bundle: &[&Ca],
        is_ready: bool,
        is_due: bool,
    ) -> Result<bool, PublishError> {
        let mut has_written = false;
        for Wanted { configuration: original, is_wanted } in &self.registration.configurations {
            let (kind, name) = identity(original);
            let present = seen.present.iter().find(|(k, n, _)| (*k, n) == (kind, &name));
            if !is_wanted {
                if let Some((_, _, true)) = present {
                    self.remove(original, &name).await?;
                    tracing::info!(kind, name, "took the webhook configuration away");
                    has_written = true;
                }
                continue;
            }
            if present.is_none() && !is_ready {
                continue;
            }
            let is_as_wanted = present.is_some_and(|(_, _, is_ours)| *is_ours) && seen.has_exactly(kind, bundle);
            if is_as_wanted && !is_due {
                continue;
            }
            self.write(original.clone(), &name, bundle).await?;
            if !is_as_wanted {
                tracing::info!(kind, name, cas = bundle.len(), "wrote the webhook configuration");
            }
            has_written |= !is_as_wanted || is_due;
        }
        Ok(has_written)
    }

    async fn write(&self, mut wanted: Configuration, name: &str, bundle: &[&Ca]) -> Result<(), PublishError> {
        let pem: String = bundle.iter().map(|ca| ca.pem()).collect();
        for (_, client) in wanted.webhooks() {
            point(client, Some(&self.registration.to), Some(pem.as_bytes()));
        }
        let owner = self.owner().await?;
        let metadata = wanted.metadata();
        metadata.labels.get_or_insert_default().insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
        metadata.owner_references = owner.map(|owner| vec![owner]);
        match &wanted {
            Configuration::Mutating(wanted) => self.apply(name, wanted).await,
            Configuration::Validating(wanted) => self.apply(name, wanted).await,
        }
    }

    /// By server-side apply: the same again changes nothing.
    async fn apply<K>(&self, name: &str, wanted: &K) -> Result<(), PublishError>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = Api::<K>::all(self.client.clone()).patch(name, &params, &Patch::Apply(wanted)).await;
        written.map(drop).map_err(|source| PublishError::Api { name: name.to_owned(), what: "written", source })
    }

    async fn remove(&self, original: &Configuration, name: &str) -> Result<(), PublishError> {
        let client = self.client.clone();
        let params = DeleteParams::default();
        let removed = match original {
            Configuration::Mutating(_) => {
                Api::<MutatingWebhookConfiguration>::all(client).delete(name, &params).await.map(drop)
            }
            Configuration::Validating(_) => {
                Api::<ValidatingWebhookConfiguration>::all(client).delete(name, &params).await.map(drop)
            }
        };
        match removed {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            removed => removed.map_err(|source| PublishError::Api { name: name.to_owned(), what: "removed", source }),
        }
    }

    async fn owner(&self) -> Result<Option<OwnerReference>, PublishError> {
        let Some(name) = &self.registration.owner else { return Ok(None) };
        let roles = Api::<ClusterRole>::all(self.client.clone());
        let role = roles.get_metadata_opt(name).await;
        let role = role.map_err(|source| PublishError::Api { name: name.clone(), what: "given its owner", source })?;
        let uid = role.and_then(|role| role.metadata.uid).ok_or_else(|| PublishError::NoOwner(name.clone()))?;
        Ok(Some(OwnerReference {
            api_version: "rbac.authorization.k8s.io/v1".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: name.clone(),
            uid,
            controller: None,
            block_owner_deletion: Some(false),
        }))
    }
}

impl Seen {
    /// Whether each webhook of this kind of configuration has these certificates and no others.
    fn has_exactly(&self, kind: &str, bundle: &[&Ca]) -> bool {
        let mut of_kind = self.published.iter().filter(|published| published.name.starts_with(kind));
        of_kind.all(|published| {
            published.bundle.len() == bundle.len() && bundle.iter().all(|ca| published.bundle.contains(ca))
        })
    }
}

/// What API servers are told by these configurations, one entry for each webhook: whom to trust, and by which name to call;
/// those that are not there have none.
pub async fn read_published(
    client: &kube::Client,
    originals: &[Configuration],
) -> Result<Vec<(Published, Option<String>)>, PublishError> {
    look(client, originals.iter()).await.map(|seen| seen.published.into_iter().zip(seen.called).collect())
}

async fn look(client: &kube::Client, originals: impl Iterator<Item = &Configuration>) -> Result<Seen, PublishError> {
    let mut seen = Seen::default();
    for original in originals {
        let (kind, name) = identity(original);
        let cannot = |source| PublishError::Api { name: name.clone(), what: "read", source };
        let client = client.clone();
        let found = match original {
            Configuration::Mutating(_) => {
                let found = Api::<MutatingWebhookConfiguration>::all(client).get_opt(&name).await.map_err(cannot)?;
                found.map(Configuration::Mutating)
            }
            Configuration::Validating(_) => {
                let found = Api::<ValidatingWebhookConfiguration>::all(client).get_opt(&name).await.map_err(cannot)?;
                found.map(Configuration::Validating)
            }
        };
        let Some(mut found) = found else { continue };
        let labels = found.metadata().labels.clone().unwrap_or_default();
        let is_ours = labels.get(MANAGED_BY.0).map(String::as_str) == Some(MANAGED_BY.1);
        for (webhook, client) in found.webhooks() {
            let bundle = client.ca_bundle.as_ref().map(|bundle| &*bundle.0).unwrap_or_default();
            // What is no bundle trusts nobody.
            let bundle = Ca::parse_bundle(bundle).unwrap_or_default();
            seen.published.push(Published { name: format!("{kind}/{webhook}"), bundle });
            seen.called.push(called(client));
        }
        seen.present.push((kind, name, is_ours));
    }
    Ok(seen)
}

/// The kind and name of a configuration.
fn identity(configuration: &Configuration) -> (&'static str, String) {
    let (kind, metadata) = match configuration {
        Configuration::Mutating(configuration) => ("mutating", &configuration.metadata),
        Configuration::Validating(configuration) => ("validating", &configuration.metadata),
    };
    (kind, metadata.name.clone().unwrap_or_default())
}
