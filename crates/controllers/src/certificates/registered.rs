//! The webhook configurations that exist at present.

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::Api;

use super::super::registration::{Configuration, server_name};
use super::neighbour::{self, ASKED, Move};
use super::pem;
use network_guard_core::certificates::{Ca, Published};

/// The label of configurations that network-guard manages.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "network-guard");

/// A configuration of the repository, without the disabled webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The configuration.
    pub configuration: Configuration,
    /// Whether it is wanted; otherwise one that network-guard manages is deleted.
    pub is_wanted: bool,
}

/// Why configurations cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The API server refuses, or does not answer.
    #[error("the webhook configuration {name} cannot be {what}: {source}")]
    Api {
        /// Which one.
        name: String,
        /// The operation.
        what: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// Without an owner the configurations would be left behind.
    #[error("the ClusterRole {0} that should own the webhook configurations is not there")]
    NoOwner(String),
}

impl PublishError {
    /// Whether the API server denies the right to it.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if status.code == 403)
    }
}

/// The present registration.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// One for each webhook that is wanted.
    pub(super) published: Vec<Published>,
    /// The name under which API servers call each webhook.
    pub(super) server_name: Vec<Option<String>>,
    /// The existing configurations.
    pub(super) present: Vec<Present>,
}

/// An existing configuration.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Whether a server made it.
    pub(super) is_ours: bool,
    /// The version that a write has to name, so that it overwrites only what was read.
    pub(super) version: Option<String>,
    /// The names under which its webhooks are called, if there are any.
    pub(super) server_name: Vec<String>,
    /// The installation that asks whether the owner still exists.
    pub(super) asked: Option<String>,
    /// The action.
    pub(super) next: Move,
    /// The whole configuration.
    pub(super) found: Configuration,
}

impl Seen {
    /// Configurations of other installations.
    pub(super) fn of_others(&self) -> usize {
        self.present.iter().filter(|present| present.next != Move::LookAfter).count()
    }

    pub(super) fn is_of_others(&self, kind: &str) -> bool {
        self.present.iter().any(|present| present.kind == kind && present.next != Move::LookAfter)
    }

    /// The webhooks of one kind of configuration.
    pub(super) fn of_kind<'s>(&'s self, kind: &str) -> impl Iterator<Item = &'s Published> {
        self.published.iter().filter(move |published| published.name.starts_with(kind))
    }

    /// Whether this kind of configuration has so many webhooks, each with exactly these certificates.
    pub(super) fn has_exactly(&self, kind: &str, webhooks: usize, bundle: &[&Ca]) -> bool {
        self.of_kind(kind).count() == webhooks
            && self.of_kind(kind).all(|published| {
                published.bundle.len() == bundle.len() && bundle.iter().all(|ca| published.bundle.contains(ca))
            })
    }
}

/// The CAs and server names in these configurations, one entry for each webhook; configurations that do not exist have
/// none.
pub async fn read_published(
    client: &kube::Client,
    originals: &[Configuration],
) -> Result<Vec<(Published, Option<String>)>, PublishError> {
    let wanted = |original: &Configuration| Wanted { configuration: original.clone(), is_wanted: true };
    let wanted: Vec<Wanted> = originals.iter().map(wanted).collect();
    look(client, &wanted).await.map(|seen| seen.published.into_iter().zip(seen.server_name).collect())
}

pub(super) async fn look(client: &kube::Client, configurations: &[Wanted]) -> Result<Seen, PublishError> {
    let mut seen = Seen::default();
    for Wanted { configuration, is_wanted } in configurations {
        let (kind, name) = configuration.identity();
        let cannot = |source| PublishError::Api { name: name.to_owned(), what: "read", source };
        let client = client.clone();
        let found = match configuration {
            Configuration::Mutating(_) => {
                let found = Api::<MutatingWebhookConfiguration>::all(client).get_opt(name).await.map_err(cannot)?;
                found.map(Configuration::Mutating)
            }
            Configuration::Validating(_) => {
                let found = Api::<ValidatingWebhookConfiguration>::all(client).get_opt(name).await.map_err(cannot)?;
                found.map(Configuration::Validating)
            }
        };
        let Some(mut found) = found else { continue };
        let metadata = found.metadata();
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0)).map(String::as_str);
        let (is_ours, version) = (label == Some(MANAGED_BY.1), metadata.resource_version.clone());
        let asked = metadata.annotations.as_ref().and_then(|annotations| annotations.get(ASKED));
        let asked = asked.map(|asked| asked.chars().take(neighbour::LONGEST).collect());
        let places = found.webhooks().into_iter().filter_map(|(_, client)| server_name(client)).collect();
        seen.present.push(Present {
            kind,
            name: name.to_owned(),
            is_ours,
            version,
            server_name: places,
            asked,
            next: Move::LookAfter,
            found: found.clone(),
        });
        // Webhooks that are not wanted say nothing about the CAs that API servers trust when they call this
        // installation.
        let mut configuration = configuration.clone();
        let wanted: Vec<String> = configuration.webhooks().iter().map(|(name, _)| (*name).to_owned()).collect();
        let webhooks = found.webhooks().into_iter().filter(|(name, _)| *is_wanted && wanted.iter().any(|w| w == name));
        for (webhook, client) in webhooks {
            let bundle = client.ca_bundle.as_ref().map(|bundle| &*bundle.0).unwrap_or_default();
            let name = format!("{kind}/{webhook}");
            seen.published.push(Published { name, bundle: pem::readable(bundle), is_told: !bundle.is_empty() });
            seen.server_name.push(server_name(client));
        }
    }
    Ok(seen)
}
