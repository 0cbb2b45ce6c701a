//! Check `registered`: the webhook configurations, and the Pods behind the Service that they call.

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use super::ask::{Server, Trouble};
use super::report::Check;
use super::{Place, Role, called};
use network_guard_controllers::registration::{Configuration, Endpoint};
use network_guard_core::diagnostics::counted;

/// A configuration of this release, and the existing one.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// As this release registers it.
    pub(super) original: Configuration,
    pub(super) there: Result<Configuration, Trouble>,
}

/// The Pods behind the Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Behind {
    /// The number of ready Pods.
    Pods(usize),
    /// A Service that leads elsewhere.
    Elsewhere(String),
    /// No Service is called.
    NoService(String),
    /// The question was not answered, and why.
    Unseen(Trouble),
    /// The namespace or the cluster is unknown.
    Unknown(&'static str),
}

/// Reads what is registered.
pub(super) async fn look(server: &Server, originals: Vec<Configuration>) -> Vec<Found> {
    let mut all = Vec::new();
    for original in originals {
        let name = original.identity().1.to_owned();
        let client = server.client.clone();
        let there = match &original {
            Configuration::Mutating(_) => {
                let api = Api::<MutatingWebhookConfiguration>::all(client);
                server.ask(api.get(&name)).await.map(Configuration::Mutating)
            }
            Configuration::Validating(_) => {
                let api = Api::<ValidatingWebhookConfiguration>::all(client);
                server.ask(api.get(&name)).await.map(Configuration::Validating)
            }
        };
        all.push(Found { original, there });
    }
    all
}

/// Counts the Pods behind the Service.
pub(super) async fn behind(home: Option<&Server>, place: &Place) -> Behind {
    if let Some(url) = &place.elsewhere {
        return Behind::NoService(url.clone());
    }
    let Some(home) = home else {
        return Behind::Unknown("the cluster that network-guard runs in: give --runtime-kubeconfig");
    };
    let Some(namespace) = &place.namespace else {
        return Behind::Unknown("the namespace of network-guard: give --namespace");
    };
    let slices = Api::<EndpointSlice>::namespaced(home.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={}", place.service)).limit(100);
    let slices = match home.ask(slices.list(&params)).await {
        Ok(slices) => slices,
        Err(trouble) => return Behind::Unseen(trouble),
    };
    let is_ready = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    };
    let ready = slices.iter().flat_map(|slice| &slice.endpoints).filter(|endpoint| is_ready(endpoint)).count();
    if ready > 0 {
        return Behind::Pods(ready);
    }
    let services = Api::<Service>::namespaced(home.client.clone(), namespace);
    match home.ask(services.get(&place.service)).await {
        Ok(service) => match service.spec.and_then(|spec| spec.external_name) {
            Some(elsewhere) => Behind::Elsewhere(elsewhere),
            None => Behind::Pods(0),
        },
        Err(Trouble::Forbidden(_)) => Behind::Pods(0),
        Err(trouble) => Behind::Unseen(trouble),
    }
}

/// The expected registration.
pub(super) struct Expected {
    /// The configuration of the server was read, so the webhooks that it disables are left out here.
    pub(super) is_configured: bool,
    /// The server registers itself.
    pub(super) is_self_managed: Option<bool>,
    /// A server shows a certificate at the address that is called.
    pub(super) answers: bool,
    /// The address at which the server registers itself, by its configuration.
    pub(super) to: Option<Endpoint>,
    /// The namespace of this installation, if it was given or is that of the present Pod.
    pub(super) namespace: Option<String>,
}

/// Reports the registration.
pub(super) fn judge(role: Role, found: &[Found], behind: &Behind, place: &Place, expected: &Expected) -> Check {
    let mut check = Check::new("registered");
    for Found { original, there } in found {
        let (kind, name) = original.identity();
        match there {
            Ok(there) => compare(&mut check, role, original, there, expected),
            Err(Trouble::Absent) => check.problem(
                format!("the {kind} webhook configuration {name} is not there: nothing is checked"),
                match expected.is_self_managed {
                    Some(true) => "the server registers itself when it is ready and leads, if `webhooks.enabled` of the chart \
                                   says so: see `led`, and its log"
                        .to_owned(),
                    _ => format!(
                        "with self-managed certificates the server registers itself when it is ready and leads; else `helm upgrade` \
                         with webhooks.enabled=true, or `network-guard webhooks {} … | kubectl apply -f -`",
                        role.name()
                    ),
                },
            ),
            Err(Trouble::Forbidden(why)) => check.unknown(
                why.clone(),
                format!(
                    "missing right: get {kind}webhookconfigurations.admissionregistration.k8s.io/{name}; ask with another \
                     kubeconfig"
                ),
            ),
            Err(trouble) => check.unknown(format!("{name}: {trouble}"), "ask again when the API server answers"),
        }
    }
    called::judge(&mut check, role, found, expected);
    judge_behind(&mut check, behind, place, expected.answers);
    check
}

fn judge_behind(check: &mut Check, behind: &Behind, place: &Place, answers: bool) {
    let Place { service, .. } = place;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    match behind {
        Behind::Pods(0) => check.problem(
            format!("no ready Pod is behind the Service {namespace}/{service}"),
            format!("`kubectl get pods -n {namespace} -l app.kubernetes.io/name={service}`, and their log"),
        ),
        Behind::Pods(1) => check
            .fine(format!("1 ready Pod is behind the Service {namespace}/{service}: when it stops, no server answers")),
        Behind::Pods(count) => {
            check.fine(format!("{} are behind the Service {namespace}/{service}", counted(*count, "ready Pod")));
        }
        Behind::Elsewhere(name) => check.fine(format!("the Service {namespace}/{service} leads to {name}")),
        Behind::NoService(url) => check.fine(format!("{url} is called: no Service")),
        Behind::Unseen(Trouble::Forbidden(_)) | Behind::Unknown(_) if answers => {
            check.fine("the Pods behind the Service were not counted, but a server answers there");
        }
        // Without the registration it is unknown whether this Service is called.
        Behind::Unseen(Trouble::Absent) if !place.is_registered && answers => {
            check.fine(format!("there is no Service {namespace}/{service}, but a server answers"));
        }
        Behind::Unseen(Trouble::Absent) if !place.is_registered => check.unknown(
            format!("there is no Service {namespace}/{service}"),
            "see whether network-guard is installed there, or give --namespace",
        ),
        Behind::Unseen(Trouble::Forbidden(why)) => check.unknown(
            why.clone(),
            format!("missing right: list endpointslices.discovery.k8s.io in {namespace}; ask with another kubeconfig"),
        ),
        Behind::Unseen(Trouble::Absent) => check.problem(
            format!("there is no Service {namespace}/{service}"),
            "install the chart again: its Service is what API servers call",
        ),
        Behind::Unseen(trouble) => {
            check.unknown(format!("the Pods behind {service}: {trouble}"), "ask again when the API server answers");
        }
        Behind::Unknown(what) => {
            check.unknown("the Pods behind the Service were not counted".to_owned(), format!("unknown: {what}"));
        }
    }
}

/// The fields of a webhook that this release compares, besides its address and its failure policy.
const FIELDS: [&str; 7] =
    ["rules", "matchConditions", "matchPolicy", "objectSelector", "namespaceSelector", "sideEffects", "timeoutSeconds"];

fn compare(check: &mut Check, role: Role, original: &Configuration, there: &Configuration, expected: &Expected) {
    let (kind, name) = original.identity();
    let webhooks = |configuration: &Configuration| {
        let mut text = serde_json::to_value(configuration).expect("it was read from JSON");
        match text["webhooks"].take() {
            Value::Array(webhooks) => webhooks,
            _ => Vec::new(),
        }
    };
    let (wanted, there) = (webhooks(original), webhooks(there));
    let first = |webhook: &Value| word(webhook["name"].as_str().unwrap_or_default());
    let known: Vec<String> = there
        .iter()
        .map(|webhook| format!("{} ({})", first(webhook), webhook["failurePolicy"].as_str().unwrap_or("Fail")))
        .collect();
    check.fine(format!("{kind} {name}: {}", known.join(", ")));
    for want in &wanted {
        let word = first(want);
        let Some(is) = there.iter().find(|webhook| webhook["name"] == want["name"]) else {
            if expected.is_configured {
                check.problem(format!("{word} is not among them"), again(role, expected));
            } else {
                check.fine(format!("{word} is not among them; perhaps it is switched off"));
            }
            continue;
        };
        if is["clientConfig"]["caBundle"].as_str().unwrap_or_default().is_empty() {
            check.problem(format!("{word} has no caBundle: API servers trust no CA there"), again(role, expected));
        }
        // Without the server's configuration, both may be intended.
        if is["failurePolicy"] != want["failurePolicy"] && (expected.is_configured || word != "kube-apiserver") {
            let policy = |webhook: &Value| webhook["failurePolicy"].as_str().unwrap_or("Fail").to_owned();
            check.problem(
                format!("{word} has failurePolicy {}, and should have {}", policy(is), policy(want)),
                again(role, expected),
            );
        }
        // The infrastructures of the other webhook are configurable.
        let is_compared = |field: &str| expected.is_configured || word != "network" || field != "namespaceSelector";
        let differs = |field: &str| is_compared(field) && !has(&is[field], &want[field]);
        let different: Vec<&str> = FIELDS.into_iter().filter(|field| differs(field)).collect();
        if !different.is_empty() {
            check.problem(
                format!(
                    "{word} is not as release {} registers it: {}",
                    env!("CARGO_PKG_VERSION"),
                    different.join(", ")
                ),
                again(role, expected),
            );
        }
    }
}

/// The first word of the name of a webhook, by which people know it.
pub(super) fn word(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_owned()
}

/// How to register it again.
pub(super) fn again(role: Role, expected: &Expected) -> String {
    match expected.is_self_managed {
        Some(true) => "the leader writes the registration again within a minute: see `led`, and its log. Where releases differ, use the \
                       doctor of the server's release"
            .to_owned(),
        _ => format!(
            "`helm upgrade`, or `network-guard webhooks {} … | kubectl apply -f -`, with the release of the server",
            role.name()
        ),
    }
}

/// Whether everything expected is there, besides what API servers fill in.
fn has(is: &Value, want: &Value) -> bool {
    match (is, want) {
        (Value::Object(is), Value::Object(want)) => {
            want.iter().all(|(name, want)| has(is.get(name).unwrap_or(&Value::Null), want))
        }
        (Value::Array(is), Value::Array(want)) => {
            is.len() == want.len() && is.iter().zip(want).all(|(is, want)| has(is, want))
        }
        // An empty expectation matters only where the existing one is narrower.
        (is, Value::Null) => is.is_null() || is.as_object().is_some_and(serde_json::Map::is_empty),
        (is, want) => is == want,
    }
}
