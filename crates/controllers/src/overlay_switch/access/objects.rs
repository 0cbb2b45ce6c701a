//! The objects in the Seed for access to a Shoot: they request a token and its rights.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::config::Kubeconfig;
use serde_json::json;

use super::Access;

/// The Secret that requests a token, and receives it.
const TOKEN_SECRET: &str = "shoot-access-network-guard";

/// The name of network-guard's ServiceAccount in the Shoot.
const SERVICE_ACCOUNT: &str = "network-guard";

/// The ManagedResource that grants this ServiceAccount its rights, and the Secret that it applies.
const RIGHTS: &str = "network-guard-overlay";
const RIGHTS_SECRET: &str = "managedresource-network-guard-overlay";

/// The Secret with Gardener's own access to the API server of a Shoot, as cluster-admin.
const ADMIN_SECRET: &str = "gardener-internal";

/// The field manager of these objects, for server-side apply.
const MANAGER: &str = "network-guard";

impl Access {
    /// The own token, which is requested first.
    pub(super) async fn own(&mut self) -> Result<Kubeconfig, String> {
        let Some(secret) = self.secrets().get_opt(TOKEN_SECRET).await.map_err(|error| of_seed(&error))? else {
            // Somebody deleted the Secret: it is requested again.
            self.asked = None;
            return Err(format!("Secret {TOKEN_SECRET} is not there"));
        };
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
        let Some(token) = text("token").filter(|token| !token.is_empty()) else {
            return Err(format!("gardener-resource-manager has not written a token into Secret {TOKEN_SECRET} yet"));
        };
        let Some(ca) = data.get("bundle.crt") else {
            return Err(format!("gardener-resource-manager has not written a CA into Secret {TOKEN_SECRET} yet"));
        };
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "shoot",
            "clusters": [{"name": "shoot", "cluster": {
                "server": "https://replaced.invalid", "certificate-authority-data": STANDARD.encode(&ca.0),
            }}],
            "users": [{"name": "shoot", "user": {"token": token}}],
            "contexts": [{"name": "shoot", "context": {"cluster": "shoot", "user": "shoot"}}],
        });
        Kubeconfig::from_yaml(&kubeconfig.to_string()).map_err(|error| error.to_string())
    }

    pub(super) async fn admin(&self) -> Result<Kubeconfig, String> {
        let secret = self.secrets().get(ADMIN_SECRET).await.map_err(|error| of_seed(&error))?;
        let kubeconfig = secret.data.unwrap_or_default().remove("kubeconfig");
        let Some(kubeconfig) = kubeconfig else { return Err(format!("Secret {ADMIN_SECRET} has no kubeconfig")) };
        Kubeconfig::from_yaml(&String::from_utf8_lossy(&kubeconfig.0))
            .map_err(|_| format!("Secret {ADMIN_SECRET} cannot be read"))
    }

    /// Requests a token and its rights. Server-side apply leaves the token alone.
    pub(super) async fn request(&mut self) -> Result<(), String> {
        self.is_clean = false;
        let secrets = self.secrets();
        // The Network owns them, so that they are deleted even where no server runs any more.
        let network = self.context.switches.snapshot().switch(&self.name).cloned().unwrap_or_default();
        let owners = json!([{
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network", "name": &*self.name.name,
            "uid": &*network.uid,
        }]);
        let apply = PatchParams::apply(MANAGER).force();
        let rights = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": RIGHTS_SECRET, "labels": {"app.kubernetes.io/managed-by": MANAGER}, "ownerReferences": owners,
            },
            "data": {"rights.yaml": STANDARD.encode(include_str!("../rights.yaml"))},
        });
        let applied = secrets.patch(RIGHTS_SECRET, &apply, &Patch::Apply(&rights)).await;
        stays(RIGHTS_SECRET, applied)?;
        let resource = json!({
            "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
            "metadata": {"name": RIGHTS, "labels": {"origin": MANAGER}, "ownerReferences": owners},
            "spec": {"secretRefs": [{"name": RIGHTS_SECRET}], "keepObjects": false},
        });
        stays(RIGHTS, self.managed_resources().patch(RIGHTS, &apply, &Patch::Apply(&resource)).await)?;
        let token = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": TOKEN_SECRET,
                "ownerReferences": owners,
                "labels": {
                    "resources.gardener.cloud/purpose": "token-requestor",
                    "resources.gardener.cloud/class": "shoot",
                    "app.kubernetes.io/managed-by": MANAGER,
                },
                "annotations": {
                    "serviceaccount.resources.gardener.cloud/name": SERVICE_ACCOUNT,
                    "serviceaccount.resources.gardener.cloud/namespace": "kube-system",
                    "serviceaccount.resources.gardener.cloud/inject-ca-bundle": "true",
                },
            },
        });
        stays(TOKEN_SECRET, secrets.patch(TOKEN_SECRET, &apply, &Patch::Apply(&token)).await)
    }

    fn managed_resources(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("resources.gardener.cloud", "v1alpha1", "ManagedResource");
        let resource = ApiResource::from_gvk_with_plural(&kind, "managedresources");
        Api::namespaced_with(self.context.client.clone(), &self.name.namespace, &resource)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.context.client.clone(), &self.name.namespace)
    }

    /// Closes the connection, and deletes the objects.
    pub(in super::super) async fn remove(&mut self) -> Result<(), kube::Error> {
        self.close();
        (self.asked, self.refused) = (None, None);
        if self.is_clean {
            return Ok(());
        }
        let parameters = DeleteParams::default();
        gone(self.secrets().delete(TOKEN_SECRET, &parameters).await)?;
        gone(self.managed_resources().delete(RIGHTS, &parameters).await)?;
        gone(self.secrets().delete(RIGHTS_SECRET, &parameters).await)?;
        self.is_clean = true;
        Ok(())
    }
}

/// The applied object, unless it is being deleted: then what depends on it is deleted too, and it is requested again
/// later.
fn stays<T: kube::ResourceExt>(name: &str, applied: Result<T, kube::Error>) -> Result<(), String> {
    let applied = applied.map_err(|error| format!("{name} cannot be written: {}", of_seed(&error)))?;
    match applied.meta().deletion_timestamp {
        Some(_) => Err(format!("{name} of a former switch is still going away")),
        None => Ok(()),
    }
}

/// An error of the Seed's API server, in a message about the Shoot's.
fn of_seed(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the Seed answers {} {}", status.code, status.reason),
        _ => "the Seed does not answer".to_owned(),
    }
}

fn gone<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
