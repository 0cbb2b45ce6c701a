//! Which writes of kube-apiservers are sent to the webhook: every one that it would change or refuse, and few others, for
//! those wait while it is down.
//!
//! Real writes, as dry runs, on a real API server that cannot reach our server; and the same writes through the handler.

#![allow(clippy::print_stdout, reason = "the counts are for people")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use Does::{Refuse, Send, Store};
use network_guard_core::admission::{self, AskLoop, NoVerdict, Outcome, Request};
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::landscape::{Answer, Answers, ClusterRecord, Snapshot};
use network_guard_core::vpn::nat::{Mode, Own};
use network_guard_core::vpn::sidecar::{
    EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION, ENVOY_CONTAINER, OVERLAPS_ANNOTATION, Settings, Sidecar,
};
use network_guard_core::webhooks::KubeApiserver;
use serde_json::{Value, json};

use super::mutations::{self, Mutation, NOTHING, containers, drop_named, pod};
use crate::harness::{Api, ControlPlane, fixture, free_port, until};

/// What handlers are told of, whatever namespace the object is in.
const NAMESPACE: &str = "shoot--local--ha";

/// What the API server does with a write.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Does {
    /// It calls the webhook, which nobody answers.
    Send,
    /// It stores it.
    Store,
    /// It refuses it as no Deployment.
    Refuse,
    /// It cannot tell, as no write may find it.
    Fail(String),
}

/// One write.
struct Row<'s> {
    what: String,
    namespace: &'s str,
    old: Option<&'s Value>,
    new: Value,
    /// A write that must never wait.
    is_quiet: bool,
}

/// A Deployment as it is stored, in a namespace of its own.
struct Stored {
    what: &'static str,
    namespace: String,
    object: Value,
    /// Whether there is everything of network-guard, or nothing.
    is_whole: bool,
}

// === what may be known ===

/// A Cluster as it may be, or why there is none; and who translates.
struct Known {
    what: &'static str,
    snapshot: Snapshot,
    /// What the API server answers, when it is asked.
    answer: Answer<Arc<ClusterRecord>>,
    handler: KubeApiserver,
}

fn cluster(case: &str, seed_pods: Option<&str>, nodes: Option<Value>) -> ClusterRecord {
    let mut cluster = fixture(case, "cluster");
    if let Some(seed_pods) = seed_pods {
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!(seed_pods);
    }
    if let Some(nodes) = nodes {
        cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = nodes;
    }
    ClusterFacts::parse(&cluster["spec"].to_string())
}

fn own(keep_seconds: u32) -> Mode {
    Mode::Own(Own { keep_seconds: std::num::NonZeroU32::new(keep_seconds), ..Own::new("guard:1") })
}

/// How many configurations there are in what may be known.
const CONFIGURATIONS: usize = 4;

fn knowledge() -> Vec<Known> {
    let mut known = Vec::new();
    let configurations: [_; CONFIGURATIONS] = [
        (Sidecar::WhereMissing, Mode::VpnClient),
        (Sidecar::WhereMissing, own(30)),
        (Sidecar::WhereMissing, own(0)),
        (Sidecar::Always, Mode::VpnClient),
    ];
    for (sidecar, nat) in configurations {
        let handler = || KubeApiserver::new(&Settings { sidecar, ..Settings::default() }, &nat);
        let clusters = [
            ("overlap", cluster("ha-overlap", None, None)),
            ("no overlap", cluster("ha", None, None)),
            ("everything overlaps", cluster("ha", Some("0.0.0.0/0"), None)),
            ("grown", cluster("ha", Some("10.0.0.0/8"), Some(json!(["10.250.0.0/16", "10.65.0.0/16"])))),
            ("no room", cluster("ha", Some("10.0.0.0/8"), Some(json!(["10.250.0.0/16", "11.0.0.0/8"])))),
            ("two families", cluster("ha-dual-stack", Some("100.64.0.0/10"), None)),
            ("unreadable", cluster("ha", None, Some(json!(["x"])))),
        ];
        for (what, record) in clusters {
            let mut snapshot = Snapshot::default();
            snapshot.put_cluster(NAMESPACE, record.clone());
            known.push(Known { what, snapshot, answer: Answer::Found(Arc::new(record)), handler: handler() });
        }
        for (what, answer) in [("absent", Answer::Absent), ("unanswered", Answer::Unanswered("no".to_owned()))] {
            known.push(Known { what, snapshot: Snapshot::default(), answer, handler: handler() });
        }
    }
    known
}

/// What the handler is told of a write.
fn review(old: Option<&Value>, new: &Value) -> String {
    let mut object = new.clone();
    object["metadata"]["namespace"] = json!(NAMESPACE);
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": if old.is_none() { "CREATE" } else { "UPDATE" },
            "namespace": NAMESPACE, "name": "kube-apiserver",
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "userInfo": {"username": "gardenlet"},
            "object": object, "oldObject": old,
        },
    })
    .to_string()
}

/// What the handler makes of a write: the decision, and whether it is anything.
fn decide(request: &Request<'_>, known: &Known) -> (&'static str, Outcome) {
    let review = AskLoop::new(&known.handler, request, Some(&known.snapshot));
    match review.run(|_| Answers { cluster: Some(known.answer.clone()), ..Answers::default() }) {
        Ok(verdict) => (verdict.decision, verdict.outcome),
        // No API server writes what cannot be read.
        Err(NoVerdict::Unreadable(_)) => ("unreadable", Outcome::Allowed),
        Err(NoVerdict::Asks(_)) => panic!("asks again"),
    }
}

/// The first state of knowledge in which the handler does anything to a write, and what it does.
fn acts<'k>(old: Option<&Value>, new: &Value, known: &'k [Known]) -> Option<(&'k str, &'static str)> {
    let review = review(old, new);
    let request = admission::decode(review.as_bytes()).unwrap();
    known.iter().find_map(|known| {
        let (decision, outcome) = decide(&request, known);
        (outcome != Outcome::Allowed).then_some((known.what, decision))
    })
}

// === what is stored ===

/// What is stored after gardenlet wrote this with this Cluster.
fn written(object: &Value, known: &Known, does: &str) -> Value {
    let review = review(None, object);
    let request = admission::decode(review.as_bytes()).unwrap();
    let (decision, Outcome::Patched(patch)) = decide(&request, known) else { panic!("nothing is injected") };
    assert_eq!(decision, does);
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

/// Everything that may be stored: by what it is, the object, and whether it is whole.
fn objects(known: &[Known]) -> Vec<(&'static str, Value, bool)> {
    let gardenlets = |case: &str| fixture(case, "deployment");
    let overlapping = |configuration: usize| &known[configuration * known.len() / CONFIGURATIONS];
    let plain = gardenlets("ha");
    let injected = |configuration| written(&plain, overlapping(configuration), "injected");
    let (ours, own, own_once) = (injected(0), injected(1), injected(2));
    let replaced = written(&gardenlets("ha-overlap"), overlapping(3), "replaced");
    let changed = |object: &Value, change: &dyn Fn(&mut Value)| {
        let mut object = object.clone();
        change(&mut object);
        object
    };
    let asleep = |object: &Value| changed(object, &|o| o["spec"]["replicas"] = json!(0));
    let mut objects = vec![
        ("non-HA", gardenlets("non-ha"), true),
        ("non-HA, asleep", asleep(&gardenlets("non-ha")), true),
        ("workerless", gardenlets("workerless"), true),
        ("HA", plain.clone(), true),
        ("HA, asleep", asleep(&plain), true),
        ("HA, two families", gardenlets("ha-dual-stack"), true),
        ("HA, several node networks", gardenlets("ha-several-nodes"), true),
        ("gardenlet's proxy", gardenlets("ha-overlap"), true),
        ("gardenlet's proxy, replaced by ours", replaced, true),
        ("ours", ours.clone(), true),
        ("ours, asleep", asleep(&ours), true),
        ("ours, with NAT", own.clone(), true),
        ("ours, with NAT once", own_once, true),
        ("ours, another image", changed(&ours, &|o| containers(o)[1]["image"] = json!("envoy:old")), true),
        (
            "HA, a VPN container is missing",
            changed(&plain, &|o| drop_named(&mut pod(o)["containers"], "vpn-client-1")),
            true,
        ),
        (
            "gardenlet's proxy, a word of ours",
            changed(&gardenlets("ha-overlap"), &|o| {
                o["metadata"]["annotations"][OVERLAPS_ANNOTATION] = json!("left over");
            }),
            false,
        ),
        (
            "non-HA, a word of ours",
            changed(&gardenlets("non-ha"), &|o| {
                o["metadata"]["annotations"][OVERLAPS_ANNOTATION] = json!("left over");
            }),
            false,
        ),
        (
            "HA, a foreign proxy",
            changed(&plain, &|o| {
                containers(o).push(json!({"name": ENVOY_CONTAINER, "image": "x"}));
            }),
            true,
        ),
        (
            "HA, a volume of our name",
            changed(&plain, &|o| {
                pod(o)["volumes"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "network-guard-config", "configMap": {"name": "x"}}));
            }),
            false,
        ),
        (
            "HA, a container of our name",
            changed(&plain, &|o| {
                containers(o).push(json!({"name": "network-guard-nat", "image": "x"}));
            }),
            false,
        ),
    ];
    let mut half = |what, of: &Value, change: &dyn Fn(&mut Value)| objects.push((what, changed(of, change), false));
    half("ours, no annotation", &ours, &|o| {
        o["metadata"]["annotations"].as_object_mut().unwrap().remove(OVERLAPS_ANNOTATION).unwrap();
    });
    for (what, name) in
        [("ours, no Envoy file", ENVOY_CONFIG_ANNOTATION), ("ours, no egress file", EGRESS_SELECTOR_ANNOTATION)]
    {
        half(what, &ours, &|o| {
            o["spec"]["template"]["metadata"]["annotations"].as_object_mut().unwrap().remove(name).unwrap();
        });
    }
    half("ours, no container", &ours, &|o| drop_named(&mut pod(o)["containers"], ENVOY_CONTAINER));
    half("ours, no volume of files", &ours, &|o| mutations::drop_volume(o, "network-guard-config"));
    half("ours, no volume of sockets", &ours, &|o| mutations::drop_volume(o, "network-guard-socket"));
    half("ours, no flag", &ours, &mutations::drop_our_flag);
    half("ours, no mount of files", &ours, &|o| {
        drop_named(&mut containers(o)[0]["volumeMounts"], "network-guard-config");
    });
    half("ours, no mount of sockets", &ours, &|o| {
        drop_named(&mut containers(o)[0]["volumeMounts"], "network-guard-socket");
    });
    half("ours, no NAT at the start", &own, &|o| drop_named(&mut pod(o)["initContainers"], "network-guard-nat-init"));
    half("HA, NAT is left", &plain, &|o| {
        let left = pod(&mut own.clone())["initContainers"][1].clone();
        pod(o)["initContainers"].as_array_mut().unwrap().push(left);
    });
    objects
}

/// Stores an object while no webhook is registered.
fn store(api: &Api, number: usize, what: &'static str, mut object: Value, is_whole: bool) -> Stored {
    let namespace = format!("shoot--local--{number}");
    api.create(
        "/api/v1/namespaces",
        &json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"gardener.cloud/role": "shoot"}},
        }),
    );
    object["metadata"]["namespace"] = json!(namespace);
    api.create(&collection(&namespace), &object);
    let path = format!("{}/kube-apiserver", collection(&namespace));
    if object["metadata"]["finalizers"].is_array() {
        api.delete(&path);
    }
    Stored { what, object: api.get(&path).unwrap(), namespace, is_whole }
}

fn collection(namespace: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments")
}

// === the table ===

/// Those that meet every change; each change meets a third of all others.
const MAIN: [&str; 7] = [
    "non-HA",
    "HA",
    "HA, asleep",
    "gardenlet's proxy",
    "gardenlet's proxy, replaced by ours",
    "ours",
    "ours, with NAT",
];

/// Changes of everything that is stored, and of some of it as somebody creates it; one after the other, because all of them
/// would fill the memory.
fn rows<'s>(stored: &'s [Stored], empty: &'s str, mutations: &'s [Mutation]) -> impl Iterator<Item = Row<'s>> {
    let changed = |base: &Value, mutation: &Mutation| {
        let mut new = base.clone();
        (mutation.change)(&mut new);
        (new != *base || mutation.name == NOTHING).then_some(new)
    };
    let updates = stored.iter().enumerate().flat_map(move |(number, base)| {
        let is_deleted = base.object["metadata"]["deletionTimestamp"].is_string();
        let is_met = move |index: usize| MAIN.contains(&base.what) || index % 3 == number % 3;
        mutations.iter().enumerate().filter(move |(index, _)| is_met(*index)).filter_map(move |(_, mutation)| {
            Some(Row {
                what: format!("{}: {}", base.what, mutation.name),
                namespace: &base.namespace,
                old: Some(&base.object),
                new: changed(&base.object, mutation)?,
                is_quiet: mutation.is_quiet && base.is_whole || is_deleted,
            })
        })
    });
    let creations = stored.iter().flat_map(move |base| {
        let is_changed = ["HA", "non-HA", "ours"].contains(&base.what);
        let new = unstored(&base.object, empty);
        mutations.iter().take(if is_changed { usize::MAX } else { 1 }).filter_map(move |mutation| {
            Some(Row {
                what: format!("new, {}: {}", base.what, mutation.name),
                namespace: empty,
                old: None,
                new: changed(&new, mutation)?,
                is_quiet: false,
            })
        })
    });
    updates.chain(creations)
}

/// An object as somebody creates it.
fn unstored(object: &Value, namespace: &str) -> Value {
    let mut new = object.clone();
    let by_servers =
        ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"];
    for field in by_servers.iter().chain(&["deletionGracePeriodSeconds"]) {
        new["metadata"].as_object_mut().unwrap().remove(*field);
    }
    new.as_object_mut().unwrap().remove("status");
    new["metadata"]["namespace"] = json!(namespace);
    new
}

/// What the API server does with a write, and the object with its defaults, as webhooks see it, where it stores one.
fn does(api: &Api, row: &Row<'_>) -> (Does, Option<Value>) {
    let path = collection(row.namespace);
    let result = match &row.old {
        None => api.try_create(&format!("{path}?dryRun=All"), &row.new),
        Some(_) => api.try_replace(&format!("{path}/kube-apiserver?dryRun=All"), &row.new),
    };
    match result {
        Ok(stored) => (Store, Some(stored)),
        Err(error) if error.contains("failed calling webhook") => (Send, None),
        Err(error) if error.contains("is invalid") => (Refuse, None),
        Err(error) => (Does::Fail(error), None),
    }
}

/// Whether the webhook is told of a write though there is nothing to do: where somebody takes the VPN or our word away, where
/// something that is not ours has a name of network-guard, and where more Pods of what is stored already are tolerated.
fn may_be_sent_for_nothing(what: &str) -> bool {
    const FOREIGN: [&str; 5] = [
        "another annotation of our prefix",
        "a volume of files of somebody",
        "a volume of sockets of somebody",
        "a container of that name",
        "an init container of that name",
    ];
    let (base, change) = what.rsplit_once(": ").unwrap_or_default();
    let is_for_nothing = match change {
        // The template of one, or all that gardenlet writes for one.
        "non-HA" | "no Pod" | "the VPN goes" => true,
        "more replicas" => ["HA, a VPN container is missing", "HA, a foreign proxy"].contains(&base),
        "our annotation goes" | "all annotations go" | "no annotations" | "null" => base.contains("a word of ours"),
        _ => FOREIGN.contains(&change),
    };
    // Nobody knows whose it is, so all that happens to it is told.
    is_for_nothing || base.starts_with("HA, a volume of our name")
}

#[test]
fn every_write_that_would_be_changed_is_sent_and_few_others() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let known = knowledge();
    let objects = objects(&known);
    let mut stored: Vec<Stored> = Vec::new();
    for (what, object, is_whole) in objects {
        if ["HA", "ours", "non-HA"].contains(&what) {
            let mut deleted = object.clone();
            deleted["metadata"]["finalizers"] = json!(["gardener.cloud/test"]);
            stored.push(store(&api, stored.len(), "being deleted", deleted, is_whole));
        }
        stored.push(store(&api, stored.len(), what, object, is_whole));
    }
    let empty = "shoot--local--empty";
    let labels = json!({"gardener.cloud/role": "shoot"});
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": empty, "labels": labels}}));
    // As they are stored, with every default.
    let templates: Vec<(&'static str, Value)> = stored
        .iter()
        .filter(|base| MAIN.contains(&base.what) && base.what != "HA, asleep")
        .map(|base| (base.what, base.object.clone()))
        .collect();
    let mutations = mutations::all(&templates);

    // Registered as it is installed, but nobody listens there.
    let url = format!("https://127.0.0.1:{}", free_port());
    let output =
        Command::new(env!("CARGO_BIN_EXE_network-guard")).args(["webhooks", "seed", "--url", &url]).output().unwrap();
    admin.ok(&["apply", "-f", "-"], Some(&String::from_utf8(output.stdout).unwrap()));
    let sent = rows(&stored, empty, &mutations).find(|row| row.what == "HA: an image").unwrap();
    until("the webhook is called", || does(&api, &sent).0 == Send);

    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    let (mut updates, mut all) = (0, 0);
    for row in rows(&stored, empty, &mutations) {
        all += 1;
        updates += usize::from(row.old.is_some());
        let (does, stored) = does(&api, &row);
        let acts = acts(row.old, stored.as_ref().unwrap_or(&row.new), &known);
        let law = match (&does, &acts) {
            (Does::Fail(_), _) => Some("an expression fails"),
            (Store, Some(_)) => Some("NOT SENT, THOUGH THE HANDLER ACTS"),
            (Send, _) if row.is_quiet => Some("waits, and must not"),
            _ => None,
        };
        if let Some(law) = law {
            wrong.push(format!("{law}: {}\n  is: {does:?}; handler: {acts:?}", row.what));
        }
        let word = match (&does, &acts) {
            (Send, Some(_)) => "sent, and the handler may act",
            (Send, None) => "sent needlessly",
            (Store, _) => "not sent",
            (Refuse | Does::Fail(_), _) => "no Deployment",
        };
        *counts.entry(word).or_insert(0_usize) += 1;
        if (&does, &acts) == (&Send, &None) && !may_be_sent_for_nothing(&row.what) {
            wrong.push(format!("sent for nothing: {}", row.what));
        }
    }
    say!("figure: {all} writes of kube-apiservers, {updates} of them changes: {counts:?}");
    assert!(updates >= 1_000, "{updates} pairs");
    // Those that matter most come first.
    wrong.sort();
    let (count, some) = (wrong.len(), wrong.iter().take(20).map(|row| format!("{row}\n")).collect::<String>());
    assert!(wrong.is_empty(), "{count} of {all} rows are wrong; the first:\n{some}");
    // Another way to change replicas, which no webhook of network-guard is asked about: no Pod template comes with it.
    let scale = format!(
        "{}/kube-apiserver/scale?dryRun=All",
        collection(&stored.iter().find(|s| s.what == "HA, asleep").unwrap().namespace)
    );
    api.try_patch(&scale, crate::harness::Patch::Merge, &json!({"spec": {"replicas": 2}})).unwrap();
}
