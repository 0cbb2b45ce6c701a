//! Writes the webhook configurations, with the CAs that API servers have to trust.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Instant;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::registration::{Configuration, Endpoint, set_endpoint};
use super::neighbour::{self, ASKED, Memory, Move, Place};
use super::registered::{MANAGED_BY, Present, PublishError, Seen, Wanted, look};
use network_guard_core::certificates::{Ca, Material, Published};

/// The settings of the registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The configurations, each of which is in a cluster once.
    pub configurations: Vec<Wanted>,
    /// Where API servers reach the webhooks.
    pub to: Endpoint,
    /// The ClusterRole that owns the configurations, so that they are deleted with it when network-guard is
    /// uninstalled.
    pub owner: Option<String>,
}

pub(super) struct Registrar {
    client: kube::Client,
    registration: Registration,
    /// The memory of each kind of configuration.
    neighbours: BTreeMap<&'static str, Memory>,
    /// When another installation asked last.
    asked_at: Option<Instant>,
    /// The kinds for which it was logged that a person has to decide.
    said: BTreeSet<&'static str>,
}

impl Registrar {
    pub(super) fn new(client: kube::Client, registration: Registration) -> Self {
        Self { client, registration, neighbours: BTreeMap::new(), asked_at: None, said: BTreeSet::new() }
    }

    /// Reads what is registered. Where nothing is wanted, a failure to read does not matter.
    pub(super) async fn look(&mut self, material: Option<&Material>) -> Result<Seen, PublishError> {
        let configurations = &self.registration.configurations;
        let mut seen = match look(&self.client, configurations).await {
            Err(error) if error.is_forbidden() && configurations.iter().all(|wanted| !wanted.is_wanted) => {
                Seen::default()
            }
            seen => seen?,
        };
        self.judge(&mut seen, material);
        Ok(seen)
    }

    /// Determines the owner of each configuration. What another installation registered says nothing about the CAs that
    /// API servers trust when they call this one.
    fn judge(&mut self, seen: &mut Seen, material: Option<&Material>) {
        let names = self.registration.to.names();
        let us = names.first().map(String::as_str).unwrap_or_default();
        let now = Instant::now();
        for present in &mut seen.present {
            let of_kind = || seen.published.iter().filter(|published| published.name.starts_with(present.kind));
            let is_trusted = of_kind()
                .flat_map(|published| &published.bundle)
                .any(|ca| material.is_some_and(|material| material.knows(ca.fingerprint)));
            let place = if present.server_name.is_empty() {
                Place::Nowhere
            } else if present.server_name.iter().any(|server_name| names.contains(server_name)) {
                Place::Here
            } else {
                Place::Elsewhere { is_trusted }
            };
            let told = neighbour::Seen { place, is_managed: present.is_ours, asked: present.asked.as_deref() };
            let memory = self.neighbours.entry(present.kind).or_default();
            present.next = memory.decide(told, us, now);
            match present.next {
                Move::LookAfter if present.asked.is_some() => {
                    tracing::warn!(
                        kind = present.kind,
                        name = present.name,
                        asked = present.asked,
                        "another installation asks for the webhook configuration of this one; it stays with this one. \
                         Uninstall one of the two"
                    );
                    self.asked_at = Some(now);
                }
                Move::TakeOver => tracing::warn!(
                    kind = present.kind,
                    name = present.name,
                    registered = present.server_name.first(),
                    "the other installation does not answer any more; this one registers itself"
                ),
                Move::StandBack if !present.is_ours && self.said.insert(present.kind) => tracing::warn!(
                    kind = present.kind,
                    name = present.name,
                    registered = present.server_name.first(),
                    "somebody else registered webhooks under this name, not a server; they are left alone. Delete the webhook \
                     configuration, and this installation registers itself"
                ),
                // Logged when it is done.
                Move::LookAfter | Move::StandBack | Move::Ask => {}
            }
            if present.next == Move::LookAfter {
                self.said.remove(present.kind);
            }
        }
        let others: Vec<&str> =
            seen.present.iter().filter(|present| present.next != Move::LookAfter).map(|present| present.kind).collect();
        let is_own = |published: &Published| !others.iter().any(|kind| published.name.starts_with(kind));
        seen.server_name = std::mem::take(&mut seen.server_name)
            .into_iter()
            .zip(&seen.published)
            .filter_map(|(server_name, published)| is_own(published).then_some(server_name))
            .collect();
        seen.published.retain(is_own);
    }

    /// Whether another installation recently asked about a configuration that this one owns.
    pub(super) fn was_asked(&self) -> bool {
        self.asked_at.is_some_and(|at| at.elapsed() < neighbour::REMEMBERED)
    }

    /// The number of webhooks that are wanted and not registered; `None` if unknown. Webhooks that another installation
    /// registered count as registered: that one does the work. Where the API server denies the right to read, none is:
    /// the role that grants the right owns the configurations, so they are deleted with it.
    pub(super) fn missing(&self, seen: Result<&Seen, &PublishError>) -> Option<usize> {
        let nothing = Seen::default();
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) if error.is_forbidden() => &nothing,
            Err(_) => return None,
        };
        let wanted = self.registration.configurations.iter().filter(|wanted| wanted.is_wanted);
        let missing = wanted.map(|Wanted { configuration, .. }| {
            let (kind, _) = configuration.identity();
            if seen.is_of_others(kind) {
                return 0;
            }
            configuration.clone().webhooks().len().saturating_sub(seen.of_kind(kind).count())
        });
        Some(missing.sum())
    }

    /// Writes the wanted configurations if they differ, or if a write is due anyway. Returns whether something was
    /// written.
    pub(super) async fn ensure(
        &mut self,
        seen: &Seen,
        bundle: &[&Ca],
        is_ready: bool,
        is_due: bool,
    ) -> Result<bool, PublishError> {
        let mut has_written = false;
        let configurations = self.registration.configurations.clone();
        for Wanted { configuration, is_wanted } in &configurations {
            let (kind, name) = configuration.identity();
            let present = seen.present.iter().find(|present| (present.kind, &*present.name) == (kind, name));
            // Nothing is requested for a configuration that is not wanted, and no API server is told to call a server
            // that does not answer.
            let may_take = *is_wanted && is_ready;
            match present.map(|present| (present, present.next)) {
                Some((present, Move::Ask)) if may_take => {
                    self.ask(present).await?;
                    tracing::warn!(
                        kind,
                        name,
                        registered = present.server_name.first(),
                        "another installation is registered under this name; it is left alone, and asked whether it \
                         still exists. Uninstall one of the two"
                    );
                    continue;
                }
                Some((present, Move::Ask)) if self.said.insert(kind) => {
                    tracing::warn!(
                        kind,
                        name,
                        registered = present.server_name.first(),
                        "another installation is registered under this name; it is left alone. It is not asked whether \
                         it still exists, because this one registers nothing, or is not ready"
                    );
                    continue;
                }
                Some((_, Move::TakeOver)) if may_take => {}
                Some((_, Move::StandBack | Move::Ask | Move::TakeOver)) => continue,
                Some((_, Move::LookAfter)) | None => {}
            }
            if !is_wanted {
                if present.is_some_and(|present| present.is_ours) {
                    self.remove(configuration, name).await?;
                    tracing::info!(kind, name, "deleted the webhook configuration");
                    has_written = true;
                }
                continue;
            }
            if present.is_none() && !is_ready {
                continue;
            }
            let webhooks = configuration.clone().webhooks().len();
            let is_as_wanted = present.is_some_and(|present| present.is_ours && present.asked.is_none())
                && seen.has_exactly(kind, webhooks, bundle);
            if is_as_wanted && !is_due {
                continue;
            }
            self.write(configuration.clone(), name, present, bundle).await?;
            self.neighbours.entry(kind).or_default().wrote();
            if !is_as_wanted {
                tracing::info!(kind, name, cas = bundle.len(), "wrote the webhook configuration");
            }
            has_written = true;
        }
        Ok(has_written)
    }

    /// Asks the other installation whether it still exists.
    async fn ask(&self, present: &Present) -> Result<(), PublishError> {
        let us = self.registration.to.names().into_iter().next().unwrap_or_default();
        let mut question = present.found.clone();
        question.metadata().annotations.get_or_insert_default().insert(ASKED.to_owned(), us);
        let written = match &question {
            Configuration::Mutating(question) => self.put(&present.name, question, true).await,
            Configuration::Validating(question) => self.put(&present.name, question, true).await,
        };
        written.map_err(|source| PublishError::Api { name: present.name.clone(), what: "asked about", source })
    }

    /// Replaces all of it, so that nothing of others is left in it, and only the version that was read.
    async fn write(
        &self,
        mut wanted: Configuration,
        name: &str,
        present: Option<&Present>,
        bundle: &[&Ca],
    ) -> Result<(), PublishError> {
        let pem: String = bundle.iter().map(|ca| &*ca.pem).collect();
        for (_, client) in wanted.webhooks() {
            set_endpoint(client, Some(&self.registration.to), Some(pem.as_bytes()));
        }
        let owner = self.owner().await?;
        let metadata = wanted.metadata();
        metadata.labels.get_or_insert_default().insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
        metadata.owner_references = owner.map(|owner| vec![owner]);
        metadata.resource_version = present.and_then(|present| present.version.clone());
        let written = match &wanted {
            Configuration::Mutating(wanted) => self.put(name, wanted, present.is_some()).await,
            Configuration::Validating(wanted) => self.put(name, wanted, present.is_some()).await,
        };
        written.map_err(|source| PublishError::Api { name: name.to_owned(), what: "written", source })
    }

    /// The same again changes nothing.
    async fn put<K>(&self, name: &str, wanted: &K, is_present: bool) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let (api, params) = (Api::<K>::all(self.client.clone()), PostParams::default());
        if is_present { api.replace(name, &params, wanted).await } else { api.create(&params, wanted).await }.map(drop)
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
