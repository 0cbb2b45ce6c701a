//! The way to the API server of a Shoot: a token of our own with as few rights as possible, which
//! gardener-resource-manager makes and renews, or, where that is configured, Gardener's own administrator.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::settings::OverlaySettings;
use crate::gardener::node::{NodeFacts, Page};

/// The Secret that asks for a token, and gets it.
const TOKEN_SECRET: &str = "shoot-access-network-guard";

/// Our name in the Shoot.
const SERVICE_ACCOUNT: &str = "network-guard";

/// The ManagedResource that gives this name its rights, and the Secret that it applies.
const RIGHTS: &str = "network-guard-overlay";
const RIGHTS_SECRET: &str = "managedresource-network-guard-overlay";

/// Gardener's own way to the API server of a Shoot, as cluster-admin.
const ADMIN_SECRET: &str = "gardener-internal";

/// Who writes these objects, for server-side apply.
const MANAGER: &str = "network-guard";

/// How long our own token may take to come before the fallback is used, where it may be.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one answer may take, and connecting.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// How long a list may take with all its pages.
const LIST: Duration = Duration::from_secs(30);

/// Objects a page.
const PAGE: usize = 500;

/// The way to one Shoot.
pub(super) struct Access {
    seed: kube::Client,
    namespace: String,
    settings: OverlaySettings,
    open: Option<Open>,
    /// When our own token was asked for first.
    asked: Option<Instant>,
    /// Whether our own token was refused, so that the fallback is better.
    is_refused: bool,
}

struct Open {
    client: kube::Client,
    is_admin: bool,
}

/// Why the Shoot's API server could not be asked.
pub(super) enum NoAnswer {
    /// There is no such object.
    Absent,
    /// For people.
    Because(String),
}

impl Access {
    pub(super) fn new(seed: kube::Client, namespace: &str, settings: &OverlaySettings) -> Self {
        let (namespace, settings) = (namespace.to_owned(), settings.clone());
        Self { seed, namespace, settings, open: None, asked: None, is_refused: false }
    }

    /// All nodes.
    pub(super) async fn nodes(&mut self) -> Result<Vec<NodeFacts>, String> {
        self.list("/api/v1/nodes", "").await
    }

    /// All objects of a list.
    pub(super) async fn list<T: DeserializeOwned>(&mut self, path: &str, query: &str) -> Result<Vec<T>, String> {
        let pages = async {
            let mut items = Vec::new();
            let mut next = String::new();
            loop {
                let uri = format!("{path}?limit={PAGE}{query}{next}");
                let page: Page<T> = self.get(&uri).await.map_err(|error| match error {
                    NoAnswer::Absent => "it has no such list".to_owned(),
                    NoAnswer::Because(why) => why,
                })?;
                let more = page.next().map(|token| format!("&continue={}", encoded(token)));
                items.extend(page.items);
                match more {
                    Some(more) => next = more,
                    None => return Ok(items),
                }
            }
        };
        timeout(LIST, pages).await.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    }

    /// Reads one thing; after a 401 once more, with whatever token is there by then.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, uri: &str) -> Result<T, NoAnswer> {
        let mut refused = None;
        for _ in 0..2 {
            let client = self.client().await.map_err(NoAnswer::Because)?;
            let request = http::Request::get(uri).body(Vec::new()).expect("the paths are ours");
            match timeout(ANSWER, client.request::<T>(request)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(NoAnswer::Absent),
                Ok(Err(kube::Error::Api(status))) if status.code == 401 || status.code == 403 => {
                    let was_admin = self.open.take().is_some_and(|open| open.is_admin);
                    self.is_refused |= !was_admin && self.settings.falls_back_to_admin;
                    refused = Some(status.code);
                    if status.code == 403 && was_admin == self.settings.falls_back_to_admin {
                        break;
                    }
                }
                Ok(Err(error)) => return Err(NoAnswer::Because(words(&error))),
                Err(_) => return Err(NoAnswer::Because("it does not answer in time".to_owned())),
            }
        }
        let code = refused.unwrap_or_default();
        Err(NoAnswer::Because(format!("it answers {code} to our token; new rights take a moment to arrive")))
    }

    /// Changes an object's status by a strategic merge patch.
    pub(super) async fn patch_status(&mut self, object: &str, patch: &Value) -> Result<(), String> {
        let client = self.client().await?;
        let request = http::Request::patch(format!("{object}/status"))
            .header(http::header::CONTENT_TYPE, "application/strategic-merge-patch+json")
            .body(patch.to_string().into_bytes())
            .expect("the paths are ours");
        match timeout(ANSWER, client.request::<Value>(request)).await {
            Ok(result) => result.map(|_| ()).map_err(|error| words(&error)),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }

    /// The open way, or a new one.
    async fn client(&mut self) -> Result<kube::Client, String> {
        if let Some(open) = &self.open {
            return Ok(open.client.clone());
        }
        let opened =
            timeout(ANSWER, self.open()).await.unwrap_or_else(|_| Err("the Seed does not answer".to_owned()))?;
        Ok(self.open.insert(opened).client.clone())
    }

    async fn open(&mut self) -> Result<Open, String> {
        let asked = *self.asked.get_or_insert_with(Instant::now);
        let own = if self.is_refused { Err("our own token was refused".to_owned()) } else { self.own().await };
        let (kubeconfig, is_admin) = match own {
            Ok(kubeconfig) => (kubeconfig, false),
            Err(_) if self.settings.falls_back_to_admin && (self.is_refused || asked.elapsed() > PATIENCE) => {
                self.is_refused = false;
                (self.admin().await?, true)
            }
            Err(why) => return Err(why),
        };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| format!("the way to it cannot be used: {error}"))?;
        let server = self.settings.shoot_server.replace("{namespace}", &self.namespace);
        config.cluster_url = server.parse().map_err(|_| format!("{server} is no address"))?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        let client = kube::Client::try_from(config).map_err(|error| words(&error))?;
        Ok(Open { client, is_admin })
    }

    /// Our own token, which is asked for first.
    async fn own(&self) -> Result<Kubeconfig, String> {
        self.ask().await.map_err(|error| format!("our token cannot be asked for: {}", words(&error)))?;
        let secrets: Api<Secret> = Api::namespaced(self.seed.clone(), &self.namespace);
        let secret = secrets.get(TOKEN_SECRET).await.map_err(|error| words(&error))?;
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

    async fn admin(&self) -> Result<Kubeconfig, String> {
        let secrets: Api<Secret> = Api::namespaced(self.seed.clone(), &self.namespace);
        let secret = secrets.get(ADMIN_SECRET).await.map_err(|error| words(&error))?;
        let kubeconfig = secret.data.unwrap_or_default().remove("kubeconfig");
        let Some(kubeconfig) = kubeconfig else { return Err(format!("Secret {ADMIN_SECRET} has no kubeconfig")) };
        Kubeconfig::from_yaml(&String::from_utf8_lossy(&kubeconfig.0))
            .map_err(|_| format!("Secret {ADMIN_SECRET} cannot be read"))
    }

    /// Asks for a token and for the rights that go with it. Server-side apply leaves the token alone.
    async fn ask(&self) -> Result<(), kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.seed.clone(), &self.namespace);
        let apply = PatchParams::apply(MANAGER).force();
        let rights = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": RIGHTS_SECRET, "labels": {"app.kubernetes.io/managed-by": MANAGER}},
            "data": {"rights.yaml": STANDARD.encode(include_str!("rights.yaml"))},
        });
        secrets.patch(RIGHTS_SECRET, &apply, &Patch::Apply(&rights)).await?;
        let resource = json!({
            "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
            "metadata": {"name": RIGHTS, "labels": {"origin": MANAGER}},
            "spec": {"secretRefs": [{"name": RIGHTS_SECRET}], "keepObjects": false},
        });
        self.managed_resources().patch(RIGHTS, &apply, &Patch::Apply(&resource)).await?;
        let token = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": TOKEN_SECRET,
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
        secrets.patch(TOKEN_SECRET, &apply, &Patch::Apply(&token)).await?;
        Ok(())
    }

    fn managed_resources(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("resources.gardener.cloud", "v1alpha1", "ManagedResource");
        let resource = ApiResource::from_gvk_with_plural(&kind, "managedresources");
        Api::namespaced_with(self.seed.clone(), &self.namespace, &resource)
    }

    /// Closes the way, and takes away what was made for it.
    pub(super) async fn remove(&mut self) -> Result<(), kube::Error> {
        self.open = None;
        self.asked = None;
        let secrets: Api<Secret> = Api::namespaced(self.seed.clone(), &self.namespace);
        let parameters = DeleteParams::default();
        gone(secrets.delete(TOKEN_SECRET, &parameters).await)?;
        gone(self.managed_resources().delete(RIGHTS, &parameters).await)?;
        gone(secrets.delete(RIGHTS_SECRET, &parameters).await)
    }
}

fn gone<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// An error for an annotation: its kind, without addresses.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("it answers {} {}", status.code, status.reason),
        kube::Error::SerdeError(_) => "its answer cannot be read".to_owned(),
        _ => "it does not answer".to_owned(),
    }
}

/// A `continue` token as part of a query. It is base64 of a kind that needs little of this, but nothing promises that.
fn encoded(token: &str) -> String {
    token.bytes().fold(String::with_capacity(token.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_are_encoded() {
        assert_eq!(super::encoded("ab-_9=+/"), "ab-_9%3D%2B%2F");
    }
}
