//! What people, controllers, gardenlet and mistakes may do to a kube-apiserver Deployment.

use network_guard_core::vpn::sidecar::{
    EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION, ENVOY_CONTAINER, OVERLAPS_ANNOTATION,
};
use serde_json::{Value, json};

/// The first change, which is none.
pub const NOTHING: &str = "nothing";

/// One change.
pub struct Mutation {
    pub name: String,
    pub change: Box<dyn Fn(&mut Value)>,
    /// Whether it starts no Pod and touches nothing of network-guard.
    pub is_quiet: bool,
}

pub fn pod(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]
}

pub fn containers(object: &mut Value) -> &mut Vec<Value> {
    pod(object)["containers"].as_array_mut().unwrap()
}

/// A list of the Pod, which is made where there is none.
fn list<'o>(object: &'o mut Value, name: &str) -> &'o mut Vec<Value> {
    let list = &mut pod(object)[name];
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().unwrap()
}

/// Takes what has this name out of a list, should there be one.
pub fn drop_named(list: &mut Value, name: &str) {
    if let Some(list) = list.as_array_mut() {
        list.retain(|item| item["name"] != name);
    }
}

/// Takes a volume away, with everything that mounts it.
pub fn drop_volume(object: &mut Value, name: &str) {
    drop_named(&mut pod(object)["volumes"], name);
    for list in ["containers", "initContainers"] {
        for container in pod(object)[list].as_array_mut().into_iter().flatten() {
            if container["volumeMounts"].is_array() {
                drop_named(&mut container["volumeMounts"], name);
            }
        }
    }
}

pub fn drop_our_flag(object: &mut Value) {
    if let Some(args) = containers(object)[0]["args"].as_array_mut() {
        args.retain(|argument| !argument.as_str().unwrap().contains("network-guard"));
    }
}

fn set_annotation(metadata: &mut Value, name: &str, value: &str) {
    let annotations = &mut metadata["annotations"];
    if annotations.is_null() {
        *annotations = json!({});
    }
    annotations[name] = json!(value);
}

fn drop_annotation(metadata: &mut Value, name: &str) {
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.remove(name);
    }
}

/// Changes a variable of every container that has it.
fn tell(object: &mut Value, list: &str, name: &str, value: &Value) {
    for container in pod(object)[list].as_array_mut().into_iter().flatten() {
        for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
            if variable["name"] == name {
                *variable = value.clone();
                variable["name"] = json!(name);
            }
        }
    }
}

/// All of them; the templates are those that somebody may put in the place of the stored one.
pub fn all(templates: &[(&'static str, Value)]) -> Vec<Mutation> {
    let mut all = quiet();
    all.extend(of_ours());
    all.extend(of_the_template());
    all.extend(of_containers());
    for (what, object) in templates {
        let template = object["spec"]["template"].clone();
        let name = format!("the template of: {what}");
        all.push(Mutation {
            name,
            change: Box::new(move |o| o["spec"]["template"] = template.clone()),
            is_quiet: false,
        });
        // As gardenlet writes: all labels and the whole specification, while annotations stay.
        let (labels, spec) = (object["metadata"]["labels"].clone(), object["spec"].clone());
        let change = move |o: &mut Value| {
            let replicas = o["spec"]["replicas"].clone();
            o["metadata"]["labels"] = labels.clone();
            o["spec"] = spec.clone();
            o["spec"]["replicas"] = replicas;
        };
        all.push(Mutation { name: format!("gardenlet writes: {what}"), change: Box::new(change), is_quiet: false });
    }
    all
}

fn named<const N: usize>(is_quiet: bool, changes: [(&str, fn(&mut Value)); N]) -> Vec<Mutation> {
    let mutation =
        |(name, change): (&str, fn(&mut Value))| Mutation { name: name.to_owned(), change: Box::new(change), is_quiet };
    changes.into_iter().map(mutation).collect()
}

/// Those that must never wait for us.
fn quiet() -> Vec<Mutation> {
    named(
        true,
        [
            (NOTHING, |_| ()),
            ("a label", |o| o["metadata"]["labels"]["team"] = json!("a")),
            ("a label goes", |o| drop(o["metadata"]["labels"].as_object_mut().unwrap().remove("gardener.cloud/role"))),
            ("an annotation", |o| set_annotation(&mut o["metadata"], "team", "a")),
            ("an annotation that looks like ours", |o| {
                set_annotation(&mut o["metadata"], "network-guard.example/overlaps", "a");
            }),
            ("a finalizer", |o| o["metadata"]["finalizers"] = json!(["gardener.cloud/other"])),
            ("no replicas", |o| o["spec"]["replicas"] = json!(0)),
            ("another strategy", |o| o["spec"]["strategy"] = json!({"type": "Recreate"})),
            ("a slower rollout", |o| o["spec"]["minReadySeconds"] = json!(60)),
            ("less history", |o| o["spec"]["revisionHistoryLimit"] = json!(1)),
            ("a deadline", |o| o["spec"]["progressDeadlineSeconds"] = json!(1_000)),
            ("a pause", |o| o["spec"]["paused"] = json!(true)),
            ("a status", |o| o["status"] = json!({"replicas": 7})),
        ],
    )
}

/// What is ours, or looks like it.
fn of_ours() -> Vec<Mutation> {
    named(
        false,
        [
            ("all annotations go", |o| drop(o["metadata"].as_object_mut().unwrap().remove("annotations"))),
            ("no annotations", |o| o["metadata"]["annotations"] = json!({})),
            ("annotations: null", |o| o["metadata"]["annotations"] = Value::Null),
            ("our annotation comes", |o| set_annotation(&mut o["metadata"], OVERLAPS_ANNOTATION, "?")),
            ("our annotation is empty", |o| set_annotation(&mut o["metadata"], OVERLAPS_ANNOTATION, "")),
            ("our annotation goes", |o| drop_annotation(&mut o["metadata"], OVERLAPS_ANNOTATION)),
            ("another annotation of our prefix", |o| {
                set_annotation(&mut o["metadata"], "network-guard.extensions.gardener.cloud/x", "");
            }),
            ("Envoy's configuration comes", |o| {
                set_annotation(&mut o["spec"]["template"]["metadata"], ENVOY_CONFIG_ANNOTATION, "{}");
            }),
            ("Envoy's configuration goes", |o| {
                drop_annotation(&mut o["spec"]["template"]["metadata"], ENVOY_CONFIG_ANNOTATION);
            }),
            ("the egress selector comes", |o| {
                set_annotation(&mut o["spec"]["template"]["metadata"], EGRESS_SELECTOR_ANNOTATION, "{}");
            }),
            ("the egress selector goes", |o| {
                drop_annotation(&mut o["spec"]["template"]["metadata"], EGRESS_SELECTOR_ANNOTATION);
            }),
            ("the sidecar goes", |o| drop_named(&mut pod(o)["containers"], ENVOY_CONTAINER)),
            ("another image of the sidecar", |o| {
                for container in containers(o).iter_mut().filter(|container| container["name"] == ENVOY_CONTAINER) {
                    container["image"] = json!("envoy:other");
                }
            }),
            ("the volume of files goes", |o| drop_volume(o, "network-guard-config")),
            ("the volume of sockets goes", |o| drop_volume(o, "network-guard-socket")),
            ("the mount of files goes", |o| drop_named(&mut containers(o)[0]["volumeMounts"], "network-guard-config")),
            ("the mount of sockets goes", |o| {
                drop_named(&mut containers(o)[0]["volumeMounts"], "network-guard-socket");
            }),
            ("our flag goes", drop_our_flag),
            ("our flag comes", |o| {
                let flag = "--egress-selector-config-file=/etc/network-guard/egress-selector.json";
                containers(o)[0]["args"].as_array_mut().unwrap().push(json!(flag));
            }),
            ("another egress selector", |o| {
                containers(o)[0]["args"].as_array_mut().unwrap().push(json!("--egress-selector-config-file=/x"));
            }),
            ("a proxy of somebody", |o| containers(o).push(json!({"name": ENVOY_CONTAINER, "image": "x"}))),
            ("a volume of files of somebody", |o| {
                list(o, "volumes").push(json!({"name": "network-guard-config", "configMap": {"name": "x"}}));
            }),
            ("a volume of sockets of somebody", |o| {
                list(o, "volumes").push(json!({"name": "network-guard-socket", "hostPath": {"path": "/x"}}));
            }),
            ("a volume like ours", |o| {
                list(o, "volumes").push(json!({"name": "network-guard-socket", "emptyDir": {}}));
            }),
            ("a container that translates comes", |o| {
                let command = ["network-guard", "nat", "apply", "--every", "5"];
                containers(o).push(json!({"name": "network-guard-nat", "image": "x", "command": command}));
            }),
            ("a container of that name", |o| containers(o).push(json!({"name": "network-guard-nat", "image": "x"}))),
            ("an init container of ours", |o| {
                let command = ["network-guard", "nat", "apply"];
                list(o, "initContainers")
                    .push(json!({"name": "network-guard-nat-init", "image": "x", "command": command}));
            }),
            ("an init container of that name", |o| {
                list(o, "initContainers").push(json!({"name": "network-guard-nat-init", "image": "x"}));
            }),
            ("what translates goes", |o| drop_named(&mut pod(o)["containers"], "network-guard-nat")),
            ("what begins to translate goes", |o| drop_named(&mut pod(o)["initContainers"], "network-guard-nat-init")),
        ],
    )
}

fn of_the_template() -> Vec<Mutation> {
    named(
        false,
        [
            ("one replica", |o| o["spec"]["replicas"] = json!(1)),
            ("replicas by default", |o| drop(o["spec"].as_object_mut().unwrap().remove("replicas"))),
            ("replicas: null", |o| o["spec"]["replicas"] = Value::Null),
            ("as many as before", |o| o["spec"]["replicas"] = json!(2)),
            ("more replicas", |o| o["spec"]["replicas"] = json!(7)),
            ("a restart", |o| {
                set_annotation(&mut o["spec"]["template"]["metadata"], "kubectl.kubernetes.io/restartedAt", "now");
            }),
            ("a restart and none", |o| {
                set_annotation(&mut o["spec"]["template"]["metadata"], "kubectl.kubernetes.io/restartedAt", "now");
                o["spec"]["replicas"] = json!(0);
            }),
            ("annotations of Pods go", |o| {
                drop(o["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("annotations"));
            }),
            ("a label of Pods", |o| o["spec"]["template"]["metadata"]["labels"]["team"] = json!("a")),
            ("metadata of Pods go", |o| drop(o["spec"]["template"].as_object_mut().unwrap().remove("metadata"))),
            ("metadata of Pods: null", |o| o["spec"]["template"]["metadata"] = Value::Null),
            ("a grace period", |o| pod(o)["terminationGracePeriodSeconds"] = json!(77)),
            ("DNS", |o| pod(o)["dnsPolicy"] = json!("Default")),
            ("a host alias", |o| {
                pod(o)["hostAliases"] = json!([{"ip": "127.0.0.1", "hostnames": ["kube-apiserver-http-proxy"]}]);
            }),
            ("a service account", |o| pod(o)["serviceAccountName"] = json!("x")),
            ("a toleration", |o| pod(o)["tolerations"] = json!([{"operator": "Exists"}])),
            ("a volume", |o| list(o, "volumes").push(json!({"name": "x", "emptyDir": {}}))),
            ("the order of volumes", |o| list(o, "volumes").reverse()),
            ("volumes: null", |o| pod(o)["volumes"] = Value::Null),
            ("containers: null", |o| pod(o)["containers"] = Value::Null),
            ("no containers", |o| pod(o)["containers"] = json!([])),
            ("no containers at all", |o| drop(pod(o).as_object_mut().unwrap().remove("containers"))),
            ("no Pod", |o| o["spec"]["template"]["spec"] = Value::Null),
        ],
    )
}

fn of_containers() -> Vec<Mutation> {
    let mut all = named(
        false,
        [
            ("an image", |o| containers(o)[0]["image"] = json!("registry.k8s.io/kube-apiserver:other")),
            ("an image of the last", |o| containers(o).last_mut().unwrap()["image"] = json!("other")),
            ("an argument", |o| containers(o)[0]["args"].as_array_mut().unwrap().push(json!("--v=7"))),
            ("an argument goes", |o| drop(containers(o)[0]["args"].as_array_mut().unwrap().pop())),
            ("the order of arguments", |o| containers(o)[0]["args"].as_array_mut().unwrap().reverse()),
            ("no arguments", |o| drop(containers(o)[0].as_object_mut().unwrap().remove("args"))),
            ("args: null", |o| containers(o)[0]["args"] = Value::Null),
            ("a command", |o| containers(o)[0]["command"] = json!(["/bin/other"])),
            ("a variable", |o| containers(o)[0]["env"] = json!([{"name": "A", "value": "b"}])),
            ("resources", |o| containers(o)[0]["resources"] = json!({"requests": {"cpu": "3", "memory": "3Gi"}})),
            ("no mounts", |o| drop(containers(o)[0].as_object_mut().unwrap().remove("volumeMounts"))),
            ("a mount in our place", |o| {
                let Some(mounts) = containers(o)[0]["volumeMounts"].as_array_mut() else { return };
                let name = mounts[0]["name"].clone();
                mounts.push(json!({"name": name, "mountPath": "/etc/network-guard"}));
            }),
            ("the order of containers", |o| containers(o).reverse()),
            ("the last container comes first", |o| containers(o).rotate_right(1)),
            ("another container", |o| containers(o).push(json!({"name": "other", "image": "x"}))),
            ("another container comes first", |o| containers(o).insert(0, json!({"name": "other", "image": "x"}))),
            ("the API server has another name", |o| containers(o)[0]["name"] = json!("apiserver")),
            ("a VPN client more", |o| containers(o).push(json!({"name": "vpn-client-2", "image": "x"}))),
            ("a VPN client alone", |o| containers(o).push(json!({"name": "vpn-client-7", "image": "x"}))),
            ("a container of the other end", |o| containers(o).push(json!({"name": "vpn-shoot-s0", "image": "x"}))),
            ("an init container", |o| list(o, "initContainers").push(json!({"name": "other", "image": "x"}))),
            ("the order of init containers", |o| list(o, "initContainers").reverse()),
            ("init containers go", |o| drop(pod(o).as_object_mut().unwrap().remove("initContainers"))),
            ("the VPN goes", |o| {
                for name in ["vpn-client-0", "vpn-client-1", "vpn-path-controller"] {
                    drop_named(&mut pod(o)["containers"], name);
                }
                drop_named(&mut pod(o)["initContainers"], "vpn-client-init");
            }),
            ("other node networks", |o| tell(o, "containers", "SHOOT_NODE_NETWORKS", &json!({"value": "10.9.0.0/16"}))),
            ("other node networks at the start", |o| {
                tell(o, "initContainers", "SHOOT_NODE_NETWORKS", &json!({"value": "10.9.0.0/16"}));
            }),
            ("other Pods of the Seed", |o| tell(o, "containers", "SEED_POD_NETWORK", &json!({"value": "10.0.0.0/8"}))),
            ("no node networks", |o| tell(o, "containers", "SHOOT_NODE_NETWORKS", &json!({}))),
            ("a reference", |o| {
                let reference = json!({"valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}});
                tell(o, "containers", "SHOOT_NODE_NETWORKS", &reference);
            }),
        ],
    );
    for name in ["vpn-client-0", "vpn-client-1", "vpn-path-controller", "kube-apiserver"] {
        let change = move |o: &mut Value| drop_named(&mut pod(o)["containers"], name);
        all.push(Mutation { name: format!("{name} goes"), change: Box::new(change), is_quiet: false });
    }
    all
}
