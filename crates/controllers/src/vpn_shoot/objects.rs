//! The ManagedResource of each Shoot, and the Secret that it applies.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::timeout;

use network_guard_core::gardener::network::OPERATION;

/// The names in every control-plane namespace.
const RESOURCE: &str = "network-guard-vpn-shoot";
const SECRET: &str = "managedresource-network-guard-vpn-shoot";

/// gardenlet's ManagedResource with the VPN.
const VPN: &str = "shoot-core-vpn-shoot";

/// The key in the Secret.
const KEY: &str = "webhook.json";

/// The annotation of the ManagedResource with the digest of the Secret, so that the Secret need not be read.
const DIGEST: &str = "network-guard.extensions.gardener.cloud/digest";

/// The field manager of these objects, for server-side apply.
const MANAGER: &str = "network-guard";

/// The timeout for one Shoot.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an action was not carried out.
#[derive(Debug)]
pub(super) enum NotDone {
    /// It is not possible yet, which is no error.
    NotYet(&'static str),
    /// It failed.
    Failed(String),
}

impl From<kube::Error> for NotDone {
    fn from(error: kube::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Access to them.
pub(super) struct Objects {
    client: kube::Client,
}

impl Objects {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// The digests of the registrations, by namespace; empty for one without its Secret, or that is being deleted.
    pub(super) async fn read(&self) -> Result<BTreeMap<String, String>, kube::Error> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &managed_resource());
        // By name, so that no right to list all of them is needed.
        let ours = ListParams::default().fields(&format!("metadata.name={RESOURCE}"));
        let mut present = BTreeMap::new();
        for resource in all.list(&ours).await? {
            let namespace = resource.namespace().unwrap_or_default();
            let digest = resource.annotations().get(DIGEST).cloned().unwrap_or_default();
            let is_leaving = resource.metadata.deletion_timestamp.is_some();
            let is_whole = !is_leaving
                && self.secrets(&namespace).get_opt(SECRET).await?.is_some_and(|secret| {
                    secret.annotations().get(DIGEST) == Some(&digest)
                        && secret.data.is_some_and(|data| data.contains_key(KEY))
                });
            present.insert(namespace, if is_whole { digest } else { String::new() });
        }
        Ok(present)
    }

    /// Applies both.
    pub(super) async fn apply(&self, namespace: &str, text: &str, digest: &str) -> Result<(), NotDone> {
        in_time(async {
            let owners = json!([self.owner(namespace).await?]);
            let metadata = |name: &str| {
                json!({
                    "name": name,
                    // Not `origin: gardener`: gardenlet would keep the webhook in a Shoot that moves to another Seed.
                    "labels": {"origin": MANAGER, "app.kubernetes.io/managed-by": MANAGER},
                    "annotations": {DIGEST: digest},
                    "ownerReferences": owners,
                })
            };
            let apply = PatchParams::apply(MANAGER).force();
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata(SECRET),
                "data": {KEY: STANDARD.encode(text)},
            });
            self.secrets(namespace).patch(SECRET, &apply, &Patch::Apply(&secret)).await?;
            let resource = json!({
                "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
                "metadata": metadata(RESOURCE),
                "spec": {"secretRefs": [{"name": SECRET}], "keepObjects": false},
            });
            let applied = self.managed_resources(namespace).patch(RESOURCE, &apply, &Patch::Apply(&resource)).await?;
            match applied.metadata.deletion_timestamp {
                Some(_) => Err(NotDone::NotYet("the former registration is still going away")),
                None => Ok(()),
            }
        })
        .await
    }

    /// Deletes both.
    pub(super) async fn remove(&self, namespace: &str) -> Result<(), NotDone> {
        in_time(async {
            let parameters = DeleteParams::default();
            gone(self.managed_resources(namespace).delete(RESOURCE, &parameters).await)?;
            gone(self.secrets(namespace).delete(SECRET, &parameters).await)
        })
        .await
    }

    /// Whether the registration with this digest is effective in the Shoot; without a digest, whether it is gone.
    pub(super) async fn has_arrived(&self, namespace: &str, digest: Option<&str>) -> Result<bool, kube::Error> {
        let found = self.managed_resources(namespace).get_opt(RESOURCE).await?;
        Ok(match (found, digest) {
            (None, None) => true,
            (Some(resource), Some(digest)) => is_applied(&resource.data["status"], digest),
            _ => false,
        })
    }

    /// Makes gardener-resource-manager write the VPN again.
    pub(super) async fn rewrite(&self, namespace: &str) -> Result<(), kube::Error> {
        let patch = json!({"metadata": {"annotations": {OPERATION: "reconcile"}}});
        let resources = self.managed_resources(namespace);
        match resources.patch_metadata(VPN, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// The Shoot's Network, which owns both.
    async fn owner(&self, namespace: &str) -> Result<Value, NotDone> {
        let networks: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &network());
        let found = networks.list_metadata(&ListParams::default().limit(1)).await?;
        let Some(network) = found.items.into_iter().next() else { return Err(NotDone::NotYet("it has no Network")) };
        if network.metadata.deletion_timestamp.is_some() {
            return Err(NotDone::NotYet("its Network is being deleted"));
        }
        Ok(json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
            "name": network.name_any(), "uid": network.uid().unwrap_or_default(),
        }))
    }

    fn managed_resources(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &managed_resource())
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Whether gardener-resource-manager applied the Secret with this digest, which it computes in the same way.
fn is_applied(status: &Value, digest: &str) -> bool {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    status["secretsDataChecksum"] == digest
        && conditions.iter().any(|condition| condition["type"] == "ResourcesApplied" && condition["status"] == "True")
}

async fn in_time(work: impl Future<Output = Result<(), NotDone>>) -> Result<(), NotDone> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(NotDone::Failed("the Seed does not answer in time".to_owned())))
}

fn gone<T>(result: Result<T, kube::Error>) -> Result<(), NotDone> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn managed_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("resources.gardener.cloud", "v1alpha1", "ManagedResource");
    ApiResource::from_gvk_with_plural(&kind, "managedresources")
}

fn network() -> ApiResource {
    let kind = GroupVersionKind::gvk("extensions.gardener.cloud", "v1alpha1", "Network");
    ApiResource::from_gvk_with_plural(&kind, "networks")
}
