//! The objects of the doctor's dry run: the webhooks are called for its writes, whatever state the objects have.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::ask::{Server, Trouble};
use super::reachable::MOST_TRIED;
use network_guard_core::admission::DOCTOR_ANNOTATION;
use network_guard_core::gardener::network::{SWITCH_MESSAGE, TIMESTAMP};
use network_guard_core::vpn::sidecar::OVERLAPS_ANNOTATION;

/// A write for which network-guard is called.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The object, for people.
    pub(super) what: String,
    pub(super) path: String,
    pub(super) patch: Value,
    /// The right that the write needs.
    pub(super) right: String,
    /// An annotation that the server removes or replaces, whatever its release.
    pub(super) mark: Option<&'static str>,
}

/// The most objects of a kind that are read.
const MOST_LISTED: u32 = 50;

/// On a Seed: any kube-apiserver of a Shoot, otherwise any Network of Calico whose switches are held.
pub(super) async fn seed_targets(
    server: &Server,
    on: Option<&str>,
    providers: &[String],
    id: &str,
    unseen: &mut Vec<(Trouble, &'static str)>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    let params = ListParams::default().limit(MOST_LISTED);
    let is_meant = |namespace: &str| on.is_none_or(|on| on == namespace);
    // Where labels of namespaces can be read, they show what the API server selects by.
    let role = Api::<Namespace>::all(server.client.clone());
    let role = server.ask(role.list_metadata(&ListParams::default().labels("gardener.cloud/role=shoot"))).await;
    let shoots: Option<Vec<String>> =
        role.ok().map(|list| list.into_iter().filter_map(|one| one.metadata.name).collect());
    let is_shoot = |namespace: &str| shoots.as_ref().is_none_or(|shoots| shoots.iter().any(|shoot| shoot == namespace));

    let deployments = Api::<Deployment>::all(server.client.clone());
    let by_name = params.clone().fields("metadata.name=kube-apiserver");
    match (server.ask(deployments.list_metadata(&by_name)).await, on) {
        (Ok(list), _) => {
            for deployment in list {
                let metadata = deployment.metadata;
                let label =
                    |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
                let is_selected = (label("app"), label("role")) == (Some("kubernetes"), Some("apiserver"));
                let namespace = metadata.namespace.unwrap_or_default();
                if is_selected && metadata.deletion_timestamp.is_none() && is_meant(&namespace) && is_shoot(&namespace)
                {
                    targets.push(deployment_target(&namespace, id));
                }
            }
        }
        (Err(_), Some(namespace)) => targets.push(deployment_target(namespace, id)),
        (Err(trouble), None) => {
            unseen.push((trouble, "list deployments.apps in all namespaces, or give --control-plane"));
        }
    }
    // Any of them will do.
    targets.truncate(1);

    let resource = extensions("Network", "networks");
    let networks = match on {
        Some(namespace) => Api::<DynamicObject>::namespaced_with(server.client.clone(), namespace, &resource),
        None => Api::<DynamicObject>::all_with(server.client.clone(), &resource),
    };
    match server.ask(networks.list(&params)).await {
        Ok(list) => {
            let is_calico = |network: &&DynamicObject| {
                network.data["spec"]["type"] == "calico" && network.metadata.deletion_timestamp.is_none()
            };
            for network in list.iter().filter(is_calico).take(MOST_TRIED) {
                let (namespace, name) = (network.metadata.namespace.as_deref(), network.metadata.name.as_deref());
                let (Some(namespace), Some(name)) = (namespace, name) else { continue };
                if is_held_on(server, namespace, providers).await {
                    targets.push(network_target(namespace, name, &server.clock.now().to_string(), id));
                    break;
                }
            }
        }
        Err(trouble) => unseen.push((trouble, "list networks.extensions.gardener.cloud")),
    }
    targets
}

/// Whether the switches of this Shoot are held: only then its Network is sent.
async fn is_held_on(server: &Server, namespace: &str, providers: &[String]) -> bool {
    let clusters = Api::<DynamicObject>::all_with(server.client.clone(), &extensions("Cluster", "clusters"));
    let Ok(cluster) = server.ask(clusters.get(namespace)).await else { return false };
    let provider = cluster.data["spec"]["shoot"]["spec"]["provider"]["type"].as_str().unwrap_or_default();
    providers.iter().any(|one| one == provider)
}

/// In the garden: any Shoot.
pub(super) async fn garden_targets(
    server: &Server,
    on: Option<&str>,
    id: &str,
    unseen: &mut Vec<(Trouble, &'static str)>,
) -> Vec<Target> {
    if let Some((namespace, name)) = on.and_then(|on| on.split_once('/')) {
        return vec![shoot_target(namespace, name, id)];
    }
    let resource = dynamic("core.gardener.cloud", "v1beta1", "Shoot", "shoots");
    let shoots = Api::<DynamicObject>::all_with(server.client.clone(), &resource);
    match server.ask(shoots.list_metadata(&ListParams::default().limit(MOST_LISTED))).await {
        Ok(list) => {
            let mut metadata = list.into_iter().map(|shoot| shoot.metadata);
            let is_there = metadata.find(|metadata| metadata.deletion_timestamp.is_none());
            let name = is_there.and_then(|metadata| Some((metadata.namespace?, metadata.name?)));
            name.map(|(namespace, name)| shoot_target(&namespace, &name, id)).into_iter().collect()
        }
        Err(trouble) => {
            unseen.push((trouble, "list shoots.core.gardener.cloud in all namespaces, or give --shoot"));
            Vec::new()
        }
    }
}

fn dynamic(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn extensions(kind: &str, plural: &str) -> ApiResource {
    dynamic("extensions.gardener.cloud", "v1alpha1", kind, plural)
}

/// network-guard's annotation changes, so the webhook is called; it writes the right value.
pub(super) fn deployment_target(namespace: &str, id: &str) -> Target {
    Target {
        what: format!("Deployment {namespace}/kube-apiserver"),
        path: format!("/apis/apps/v1/namespaces/{namespace}/deployments/kube-apiserver"),
        patch: json!({"metadata": {"annotations": {
            (OVERLAPS_ANNOTATION): format!("doctor {id}"), (DOCTOR_ANNOTATION): id,
        }}}),
        right: "patch deployments.apps/kube-apiserver".to_owned(),
        mark: Some(OVERLAPS_ANNOTATION),
    }
}

/// An annotation of a switch appears in a write that looks like one of gardenlet's, so the webhook is called; where no
/// switch is held, it removes the annotation, and where one is, the switch stays held.
fn network_target(namespace: &str, name: &str, now: &str, id: &str) -> Target {
    Target {
        what: format!("Network {namespace}/{name}"),
        path: format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{namespace}/networks/{name}"),
        patch: json!({"metadata": {"annotations": {
            (SWITCH_MESSAGE): format!("doctor {id}"), (DOCTOR_ANNOTATION): id, (TIMESTAMP): now,
        }}}),
        right: "patch networks.extensions.gardener.cloud".to_owned(),
        mark: Some(SWITCH_MESSAGE),
    }
}

pub(super) fn shoot_target(namespace: &str, name: &str, id: &str) -> Target {
    Target {
        what: format!("Shoot {namespace}/{name}"),
        path: format!("/apis/core.gardener.cloud/v1beta1/namespaces/{namespace}/shoots/{name}"),
        patch: json!({"metadata": {"annotations": {(DOCTOR_ANNOTATION): id}}}),
        right: "patch shoots.core.gardener.cloud".to_owned(),
        mark: None,
    }
}
