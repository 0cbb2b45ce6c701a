//! Is it reachable: one write as a dry run, which the API server sends to network-guard and then throws away.
//!
//! On a Seed that is an annotation on a Shoot's Deployment `kube-apiserver`, or, for who may not write those, on a
//! `Network`; in the garden an annotation on a Shoot. Nothing is stored: `dryRun=All`, and every webhook that has side
//! effects is left out by the API server itself.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::ask::{Reply, Server, Trouble};
use super::report::Check;
use super::{Place, Role};
use crate::admission::{DOCTOR_ANNOTATION, Sign};
use crate::gardener::excerpt;
use crate::gardener::network::SWITCH_MESSAGE;
use crate::overlap::OVERLAPS_ANNOTATION;

/// A write that network-guard is asked about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What is written, for people.
    pub(super) what: String,
    pub(super) path: String,
    pub(super) patch: Value,
    /// The right that it takes.
    pub(super) right: String,
    /// An annotation that the server takes away or replaces, whatever its release.
    pub(super) mark: Option<&'static str>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// network-guard answered.
    Answered(Sign),
    /// An older release did, which gives no sign but changed the object.
    AnsweredByOlder,
    /// It answered, and refused.
    Refused(String),
    /// The API server could not call it.
    Failed(String),
    /// The write would pass, and nobody said anything.
    Unanswered,
    /// The user may not write that.
    Forbidden,
    /// The API server said nothing in time.
    Silent(String),
    /// Something else.
    Other(String),
}

/// One try.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) what: String,
    pub(super) right: String,
    pub(super) asked: Asked,
    pub(super) milliseconds: u128,
}

/// All of them, and why there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    pub(super) tries: Vec<Try>,
    /// What could not be listed.
    pub(super) unseen: Vec<(Trouble, &'static str)>,
}

/// The most objects of a kind that are looked through.
const MOST_LISTED: u32 = 50;

/// The most writes that are tried: all but the last were not sent to anybody.
const MOST_TRIED: usize = 4;

impl Tries {
    /// The last try is the one that counts.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.tries.last().map(|last| &last.asked)
    }

    /// Whether somebody answered.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.asked(), Some(Asked::Answered(_) | Asked::AnsweredByOlder | Asked::Refused(_)))
    }
}

/// Looks for something that may be written, and asks.
pub(super) async fn look(role: Role, server: &Server, on: Option<&str>, providers: &[String], id: &str) -> Tries {
    let mut all = Tries::default();
    let targets = match role {
        Role::Seed => seed_targets(server, on, providers, id, &mut all.unseen).await,
        Role::Garden => garden_targets(server, on, id, &mut all.unseen).await,
    };
    let mut forbidden: Vec<String> = Vec::new();
    for target in targets {
        if forbidden.contains(&target.right) || all.tries.len() == MOST_TRIED {
            continue;
        }
        let (asked, milliseconds) = match server.dry_run(&target.path, &target.patch).await {
            // It went away meanwhile.
            Ok(reply) if reply.status == 404 => continue,
            Ok(reply) => (read(role, &reply, &target, id), reply.took.as_millis()),
            Err(Trouble::Silent(why)) => (Asked::Silent(why), 0),
            Err(trouble) => (Asked::Other(trouble.to_string()), 0),
        };
        let is_forbidden = matches!(asked, Asked::Forbidden);
        all.tries.push(Try { what: target.what, right: target.right.clone(), asked, milliseconds });
        if !is_forbidden {
            break;
        }
        forbidden.push(target.right);
    }
    all
}

/// What a reply says.
fn read(role: Role, reply: &Reply, target: &Target, id: &str) -> Asked {
    let sign = reply.warnings.iter().find_map(|warning| Sign::read(warning)).filter(|sign| sign.id == id);
    if let Some(sign) = sign {
        return Asked::Answered(Sign { release: excerpt(&sign.release), ..sign });
    }
    let message = reply.message();
    let is_about = |what: &str| {
        let (_, rest) = message.split_once(what)?;
        let (name, _) = rest.split_once('"')?;
        Some(name.ends_with(role.suffix()))
    };
    if is_about("failed calling webhook \"") == Some(true) {
        return Asked::Failed(excerpt(message));
    }
    match (reply.status, is_about("admission webhook \"")) {
        (_, Some(true)) => Asked::Refused(excerpt(message)),
        // As authorizers say it, and not some other plugin.
        (403, None) if message.contains("cannot patch resource") => Asked::Forbidden,
        (200..300, _) => {
            let is_marked = |mark: &str| {
                let wanted = &target.patch["metadata"]["annotations"][mark];
                reply.body["metadata"]["annotations"][mark] == *wanted
            };
            match target.mark {
                Some(mark) if !is_marked(mark) => Asked::AnsweredByOlder,
                _ => Asked::Unanswered,
            }
        }
        _ => Asked::Other(format!("{} {}", reply.status, excerpt(message))),
    }
}

/// Of a Seed: any kube-apiserver of a Shoot, then any Network of Calico whose switches are held.
async fn seed_targets(
    server: &Server,
    on: Option<&str>,
    providers: &[String],
    id: &str,
    unseen: &mut Vec<(Trouble, &'static str)>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    let params = ListParams::default().limit(MOST_LISTED);
    let is_meant = |namespace: &str| on.is_none_or(|on| on == namespace);
    // Where labels of namespaces may be read, they tell what the API server goes by.
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
    // One is as good as any other.
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
async fn garden_targets(
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

/// Our annotation changes, so the webhook is asked; it writes there what should be there.
fn deployment_target(namespace: &str, id: &str) -> Target {
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

/// An annotation of a switch appears in a write that looks like one of gardenlet's, so the webhook is asked; where no switch
/// is held it takes it away, and where one is, it stays held.
fn network_target(namespace: &str, name: &str, now: &str, id: &str) -> Target {
    Target {
        what: format!("Network {namespace}/{name}"),
        path: format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{namespace}/networks/{name}"),
        patch: json!({"metadata": {"annotations": {
            (SWITCH_MESSAGE): format!("doctor {id}"), (DOCTOR_ANNOTATION): id, "gardener.cloud/timestamp": now,
        }}}),
        right: "patch networks.extensions.gardener.cloud".to_owned(),
        mark: Some(SWITCH_MESSAGE),
    }
}

fn shoot_target(namespace: &str, name: &str, id: &str) -> Target {
    Target {
        what: format!("Shoot {namespace}/{name}"),
        path: format!("/apis/core.gardener.cloud/v1beta1/namespaces/{namespace}/shoots/{name}"),
        patch: json!({"metadata": {"annotations": {(DOCTOR_ANNOTATION): id}}}),
        right: "patch shoots.core.gardener.cloud".to_owned(),
        mark: None,
    }
}

/// Says what came of it.
pub(super) fn judge(role: Role, tries: &Tries, place: &Place) -> Check {
    let mut check = Check::new("reachable");
    let namespace = place.namespace.as_deref().unwrap_or("NAMESPACE");
    let look = format!("`kubectl logs -n {namespace} -l app.kubernetes.io/name={}`", role.component());
    let Some(Try { what, right, asked, milliseconds }) = tries.tries.last() else {
        for (trouble, right) in &tries.unseen {
            match trouble {
                Trouble::Absent => {
                    let (what, whose) = match role {
                        Role::Seed => ("networks.extensions.gardener.cloud", "a Seed"),
                        Role::Garden => ("shoots.core.gardener.cloud", "the virtual garden"),
                    };
                    check.unknown(
                        format!("this API server does not know {what}"),
                        format!("see whether the kubeconfig is that of {whose}"),
                    );
                }
                Trouble::Forbidden(why) => check.unknown(why.clone(), format!("missing right: {right}")),
                trouble => check.unknown(trouble.to_string(), "ask again when the API server answers"),
            }
        }
        if tries.unseen.is_empty() {
            let (what, flag) = match role {
                Role::Seed => (
                    "no Shoot here has a kube-apiserver, or a Network whose switches are held",
                    "--control-plane NAMESPACE",
                ),
                Role::Garden => ("there is no Shoot", "--shoot NAMESPACE/NAME"),
            };
            check.unknown(
                format!("nothing to ask about: {what}"),
                format!("ask again when there is one, or name it with {flag}"),
            );
        }
        return check;
    };
    match asked {
        Asked::Answered(Sign { release, .. }) => {
            check.fine(format!("dry run of {what}: release {release} answered in {milliseconds} ms; nothing was stored"));
        }
        Asked::AnsweredByOlder => {
            check.fine(format!("dry run of {what}: an older release answered in {milliseconds} ms; nothing was stored"));
        }
        Asked::Refused(message) => {
            check.fine(format!("dry run of {what}: it answered in {milliseconds} ms, and refused: {message}"));
        }
        Asked::Failed(message) => {
            let advice = if message.contains("x509:") || message.contains("certificate") {
                "the API server does not trust what is served: see `trusted`".to_owned()
            } else if ["deadline exceeded", "i/o timeout", "imeout"].iter().any(|word| message.contains(word)) {
                format!(
                    "calls do not arrive: look for a NetworkPolicy, a firewall or a VPN between the API server and port 10250 of \
                     the Pods; then {look}"
                )
            } else {
                format!("nobody answers: `kubectl get pods -n {namespace} -l app.kubernetes.io/name={}`; then {look}", role.component())
            };
            check.problem(format!("dry run of {what}: {message}"), advice);
        }
        Asked::Unanswered => check.problem(
            format!("dry run of {what}: it would be stored, and network-guard was not asked or did not answer"),
            format!(
                "either the registration does not send it (see `registered`), or the call failed and failurePolicy is Ignore (see \
                 `trusted`; apiserver_admission_webhook_fail_open_count of the API server counts them); then {look}"
            ),
        ),
        Asked::Forbidden => {
            for Try { what, right, .. } in &tries.tries {
                check.unknown(format!("{what} may not be written"), format!("missing right: {right} (for a dry run, nothing is stored)"));
            }
        }
        Asked::Silent(why) => check.unknown(
            format!("dry run of {what}: {why}"),
            "give a longer --timeout: an API server waits for each webhook as long as its timeoutSeconds, which are 5 for network-guard",
        ),
        Asked::Other(message) => check.unknown(
            format!("dry run of {what}: {message}"),
            format!("somebody else refused before network-guard was asked; name another object, or try `{right}` by hand"),
        ),
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(role: Role, status: u16, body: Value, warnings: &[&str]) -> String {
        let target = match role {
            Role::Seed => deployment_target("shoot--a--b", "c0ffee"),
            Role::Garden => shoot_target("garden-a", "b", "c0ffee"),
        };
        let warnings = warnings.iter().map(|warning| (*warning).to_owned()).collect();
        let reply = Reply { status, body, warnings, ..Reply::default() };
        format!("{:?}", read(role, &reply, &target, "c0ffee")).split(['(', ' ']).next().unwrap().to_owned()
    }

    #[test]
    fn a_reply_tells_who_answered() {
        let sign = |id: &str| Sign { id: id.to_owned(), release: "0.1.0".to_owned(), stale: false }.warning();
        let message = |text: &str| json!({"kind": "Status", "message": text});
        let annotated = |value: &str| json!({"metadata": {"annotations": {OVERLAPS_ANNOTATION: value}}});
        let ours =
            r#"admission webhook "kube-apiserver.network-guard.extensions.gardener.cloud" denied the request: no"#;
        let theirs = r#"admission webhook "x.other.extensions.gardener.cloud" denied the request: no"#;
        let failed = |name: &str| {
            format!("Internal error occurred: failed calling webhook \"{name}\": dial tcp: connection refused")
        };
        let by_us = failed("validator.admission-network-guard.extensions.gardener.cloud");
        for (role, status, body, warnings, want) in [
            (Role::Seed, 200, annotated("doctor c0ffee"), vec![sign("c0ffee")], "Answered"),
            (Role::Seed, 200, annotated("doctor c0ffee"), vec![sign("other")], "Unanswered"),
            (Role::Seed, 200, annotated("doctor c0ffee"), vec!["x".to_owned()], "Unanswered"),
            (Role::Seed, 200, annotated("nodes"), vec![], "AnsweredByOlder"),
            (Role::Seed, 200, json!({"metadata": {}}), vec![], "AnsweredByOlder"),
            (Role::Seed, 403, message(ours), vec![], "Refused"),
            (Role::Seed, 403, message(ours), vec![sign("c0ffee")], "Answered"),
            (Role::Seed, 403, message(theirs), vec![], "Other"),
            (
                Role::Seed,
                403,
                message("is forbidden: User \"x\" cannot patch resource \"deployments\""),
                vec![],
                "Forbidden",
            ),
            (Role::Garden, 403, message("shoots \"x\" is forbidden: the Seed is full"), vec![], "Other"),
            (Role::Seed, 500, message(&failed("x.other.extensions.gardener.cloud")), vec![], "Other"),
            (Role::Seed, 500, message(&failed("network.network-guard.extensions.gardener.cloud")), vec![], "Failed"),
            (Role::Garden, 500, message(&by_us), vec![], "Failed"),
            (Role::Seed, 500, message(&by_us), vec![], "Other"),
            (Role::Garden, 200, json!({}), vec![], "Unanswered"),
        ] {
            let warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
            assert_eq!(asked(role, status, body.clone(), &warnings), want, "{status} {body} {warnings:?}");
        }
    }
}
