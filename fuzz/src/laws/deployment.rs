//! A Deployment of a Shoot's kube-apiserver that others have changed.

use std::sync::LazyLock;

use k8s_openapi::api::apps::v1::Deployment;
use network_guard_core::vpn::nat::{Mode, NAMES, Own};
use network_guard_core::vpn::sidecar::{Settings, Sidecar};
use network_guard_core::webhooks::KubeApiserver;
use serde_json::{Value, json};

use super::bytes::Bytes;
use super::edits::edited;
use super::scene::{Scene, overlapping, parsed, review};

const DEPLOYMENTS: (&str, &str) = ("apps", "deployments");

/// Where a patch may change something.
const OURS: [&str; 3] = ["/spec/template/spec/", "/spec/template/metadata", "/metadata/annotations"];

/// The scene in which gardenlet's own proxy is replaced.
const REPLACING: usize = 2;

/// By vpn2's variables; by our containers; with our sidecar always; where nothing overlaps; and while nobody answers, which a
/// tolerant webhook takes otherwise.
static SCENES: LazyLock<[Scene; 6]> = LazyLock::new(|| {
    let (usual, own) = (Settings::default(), Mode::Own(Own::new("guard:1")));
    let always = Settings { sidecar: Sidecar::Always, ..Settings::default() };
    let webhook = |settings, mode| KubeApiserver::new(settings, mode);
    let apart = parsed(include_str!("../../../tests/fixtures/gardener/ha/cluster.json"));
    let overlapping = overlapping();
    [
        Scene::new(webhook(&usual, &Mode::default()), &overlapping),
        Scene::new(webhook(&usual, &own), &overlapping),
        Scene::new(webhook(&always, &Mode::default()), &overlapping),
        Scene::new(webhook(&usual, &Mode::default()), &apart),
        Scene::new(webhook(&usual, &own), &overlapping).blind(),
        Scene::new(webhook(&usual, &Mode::default()).tolerant(true), &overlapping).blind(),
    ]
});

/// Recorded ones, which are told the networks of the overlapping Cluster, and what the first scenes make of one.
static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let recorded = [
        include_str!("../../../tests/fixtures/gardener/ha/deployment.json"),
        include_str!("../../../tests/fixtures/gardener/ha-overlap/deployment.json"),
        include_str!("../../../tests/fixtures/gardener/ha-dual-stack/deployment.json"),
        include_str!("../../../tests/fixtures/gardener/non-ha/deployment.json"),
    ];
    let mut objects: Vec<Value> = recorded.iter().map(|text| told(parsed(text))).collect();
    for (scene, start) in [(0, 0), (1, 0), (REPLACING, 1)] {
        let done = SCENES[scene].obeys(review(DEPLOYMENTS, &objects[start], None), &[""]).expect("it is answered");
        assert_ne!(done.object, objects[start], "scene {scene}");
        objects.push(done.object);
    }
    objects
});

/// With the variables of the overlapping Cluster.
fn told(mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!("shoot--local--ha");
    for container in containers(&mut object) {
        for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
            let value = match variable["name"].as_str() {
                Some("SEED_POD_NETWORK") => "10.250.128.0/17",
                Some("SHOOT_POD_NETWORKS") => "100.96.0.0/11",
                Some("SHOOT_SERVICE_NETWORKS") => "100.64.0.0/13",
                Some("SHOOT_NODE_NETWORKS") => "10.250.0.0/16",
                _ => continue,
            };
            variable["value"] = json!(value);
        }
    }
    object
}

fn containers(object: &mut Value) -> Vec<&mut Value> {
    let pod = object.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut);
    let lists = pod.into_iter().flatten().filter(|(name, _)| matches!(name.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten().collect()
}

pub(super) fn law(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let scene = bytes.below(SCENES.len());
    let old = bytes.flag().then(|| edited(bytes.choose(&OBJECTS).clone(), &mut bytes));
    let start = if bytes.flag() { old.clone() } else { None };
    let start = start.unwrap_or_else(|| bytes.choose(&OBJECTS).clone());
    let object = edited(start, &mut bytes);
    let review = review(DEPLOYMENTS, &object, old.as_ref());
    let Some(done) = SCENES[scene].obeys_typed::<Deployment>(review, &OURS) else { return };
    // What is gardenlet's is replaced there.
    if scene != REPLACING {
        assert_eq!(others(done.object), others(object), "touched what is not ours");
    }
}

/// An object without anything that has a name of network-guard's, and without the variables that it keeps correct.
pub(super) fn others(mut object: Value) -> Value {
    for container in containers(&mut object) {
        retain(container.get_mut("env"), |variable| !NAMES.iter().any(|name| variable["name"] == *name));
        if container["name"] == "envoy-proxy" && container["volumeMounts"].to_string().contains("network-guard") {
            container["name"] = json!("network-guard");
        }
    }
    for list in ["containers", "initContainers", "volumes"] {
        retain(object.pointer_mut(&format!("/spec/template/spec/{list}")), |item| !is_ours(&item["name"]));
    }
    for container in containers(&mut object) {
        retain(container.get_mut("volumeMounts"), |mount| !is_ours(&mount["name"]));
        retain(container.get_mut("args"), |arg| !is_ours(arg));
    }
    for metadata in ["/metadata/annotations", "/spec/template/metadata/annotations"] {
        if let Some(Value::Object(annotations)) = object.pointer_mut(metadata) {
            annotations.retain(|key, _| !key.contains("network-guard"));
        }
    }
    without_empty(object)
}

fn is_ours(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.contains("network-guard"))
}

fn retain(list: Option<&mut Value>, stays: impl Fn(&Value) -> bool) {
    list.and_then(Value::as_array_mut).into_iter().for_each(|list| list.retain(&stays));
}

/// Without what is empty: a list is made for its first item.
fn without_empty(mut value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    match &mut value {
        Value::Object(members) => {
            members.values_mut().for_each(|member| *member = without_empty(member.take()));
            members.retain(|_, member| !is_empty(member));
        }
        Value::Array(list) => list.iter_mut().for_each(|item| *item = without_empty(item.take())),
        _ => {}
    }
    value
}
