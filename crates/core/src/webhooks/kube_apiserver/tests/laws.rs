//! What holds for any Deployment.

use super::*;

/// A Deployment that others have changed in ways that must not confuse us.
pub(super) fn disturbed() -> impl Strategy<Value = Value> {
    disturbed_from(prop_oneof![
        Just(fixture("ha", "deployment")),
        Just(fixture("ha-overlap", "deployment")),
        Just(fixture("ha-dual-stack", "deployment")),
        Just(fixture("non-ha", "deployment")),
        Just(injected()),
        Just(nat::injected_own()),
        Just(always::replaced()),
    ])
}

/// The same from one of these.
pub(super) fn disturbed_from(start: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (start, prop::collection::vec((0usize..13, any::<prop::sample::Index>()), 0..5)).prop_map(
        |(mut object, changes)| {
            object["metadata"]["namespace"] = json!("shoot--local--ha");
            for (change, at) in changes {
                disturb(&mut object, change, at);
            }
            object
        },
    )
}

fn disturb(object: &mut Value, change: usize, at: prop::sample::Index) {
    fn element(list: &mut Value, at: prop::sample::Index) -> Option<(&mut Vec<Value>, usize)> {
        let list = list.as_array_mut().filter(|list| !list.is_empty())?;
        let index = at.index(list.len());
        Some((list, index))
    }
    let template = &mut object["spec"]["template"];
    match change {
        // Any container, volume, mount or argument disappears or moves to the front.
        0 => drop(
            element(&mut template["spec"]["containers"], at).filter(|(l, _)| l.len() > 1).map(|(l, i)| l.remove(i)),
        ),
        1 => drop(element(&mut template["spec"]["containers"], at).map(|(l, i)| l.swap(0, i))),
        2 => drop(element(&mut template["spec"]["volumes"], at).map(|(l, i)| l.remove(i))),
        3 => drop(element(&mut template["spec"]["containers"][0]["volumeMounts"], at).map(|(l, i)| l.remove(i))),
        4 => drop(element(&mut template["spec"]["containers"][0]["args"], at).map(|(l, i)| l.remove(i))),
        // Whole lists and maps disappear.
        5 => drop(template["spec"]["containers"][0].as_object_mut().unwrap().remove("args")),
        6 => drop(template["spec"]["containers"][0].as_object_mut().unwrap().remove("volumeMounts")),
        7 => drop(template["metadata"].as_object_mut().map(|m| m.remove("annotations"))),
        8 => drop(object["metadata"].as_object_mut().unwrap().remove("annotations")),
        // Somebody adds a container, or changes one of network-guard's.
        10 => {
            if let Some((list, index)) = element(&mut template["spec"]["containers"], at) {
                list[index]["image"] = json!("changed");
            }
        }
        // Something else uses what gardenlet made for its own proxy.
        11 => {
            let alias = json!({"ip": "127.0.0.1", "hostnames": ["other", "kube-apiserver-http-proxy"]});
            let spec = template["spec"].as_object_mut().unwrap();
            spec.entry("hostAliases").or_insert_with(|| json!([])).as_array_mut().unwrap().insert(0, alias);
        }
        12 => {
            let volumes = ["ca-vpn", "http-proxy", "egress-selection-config", "envoy-config", "certs"];
            let mount = json!({"name": volumes[at.index(volumes.len())], "mountPath": "/x"});
            let other = json!({"name": "reader", "image": "x", "volumeMounts": [mount]});
            template["spec"]["containers"].as_array_mut().unwrap().push(other);
        }
        _ => template["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "other", "image": "x"})),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever others did: the patch applies, a second application changes nothing, the same input gives the same
    /// bytes, and nothing but ours is touched.
    #[test]
    fn laws_of_the_patch(
        object in disturbed(),
        overlap in any::<bool>(),
        nat in nat::any_mode(),
        is_always in any::<bool>(),
    ) {
        let cluster = fixture(if overlap { "ha-overlap" } else { "ha" }, "cluster");
        let call = Call { object: object.clone(), cluster: Some(cluster), nat, ..Call::overlapping() }.live();
        let call = if is_always { call.always() } else { call };
        let first = call.run();
        prop_assert!(first.response == call.run().response, "the same input gives the same bytes");

        let second = Call { object: first.object.clone(), ..call.clone() }.run();
        prop_assert!(second.response.get("patch").is_none(), "second application: {:?}", second.verdict);
        prop_assert_eq!(first.response["allowed"].as_bool(), second.response["allowed"].as_bool());

        prop_assert!(dangling(&first.object).is_subset(&dangling(&object)), "a mount lost its volume");
        let others = |object| others_of(if is_always { without_gardenlets(object) } else { object });
        prop_assert!(others(first.object) == others(object), "touched what is not ours");
    }
}

/// Mounts, by container and volume, whose volume is not there.
fn dangling(object: &Value) -> BTreeSet<(String, String)> {
    let pod = &object["spec"]["template"]["spec"];
    let volumes: Vec<&Value> = pod["volumes"].as_array().into_iter().flatten().map(|volume| &volume["name"]).collect();
    let lists = ["containers", "initContainers"].into_iter().filter_map(|list| pod[list].as_array()).flatten();
    let mounts = lists.flat_map(|container| {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        mounts.map(move |mount| (&container["name"], &mount["name"]))
    });
    let dangling = mounts.filter(|(_, volume)| !volumes.contains(volume));
    dangling.map(|(container, volume)| (container.to_string(), volume.to_string())).collect()
}

/// A Deployment without what gardenlet's own proxy consists of.
fn without_gardenlets(mut object: Value) -> Value {
    const VOLUMES: [&str; 5] = ["ca-vpn", "http-proxy", "egress-selection-config", "envoy-config", "certs"];
    const PLACES: [&str; 3] = ["/srv/kubernetes/ca-vpn", "/etc/srv/kubernetes/envoy", "/etc/kubernetes/egress"];
    let is_gardenlets = |name: &Value| VOLUMES.iter().any(|volume| name == volume);
    let retain = |list: Option<&mut Value>, stays: &dyn Fn(&Value) -> bool| {
        list.and_then(Value::as_array_mut).into_iter().for_each(|list| list.retain(|item| stays(item)));
    };
    let pod = &mut object["spec"]["template"]["spec"];
    retain(pod.get_mut("volumes"), &|volume| !is_gardenlets(&volume["name"]));
    retain(pod.get_mut("containers"), &|container| {
        container["name"] != "envoy-proxy" || !container["volumeMounts"].to_string().contains("envoy-config")
    });
    for container in pod["containers"].as_array_mut().unwrap() {
        retain(container.get_mut("args"), &|arg| !arg.as_str().unwrap().contains("/etc/kubernetes/egress/"));
        retain(container.get_mut("volumeMounts"), &|mount| !PLACES.iter().any(|place| mount["mountPath"] == *place));
    }
    for alias in pod.get_mut("hostAliases").and_then(Value::as_array_mut).into_iter().flatten() {
        retain(alias.get_mut("hostnames"), &|name| name != "kube-apiserver-http-proxy");
    }
    // An alias that has no name left went; one that others made has.
    retain(pod.get_mut("hostAliases"), &|alias| !alias["hostnames"].as_array().is_some_and(Vec::is_empty));
    object
}

/// A Deployment without anything that has a name of network-guard's.
fn others_of(mut object: Value) -> Value {
    let ours = |text: &str| text.contains("network-guard");
    let foreign_mounts = |container: &mut Value| {
        if let Some(Value::Array(mounts)) = container.get_mut("volumeMounts") {
            mounts.retain(|mount| !ours(mount["name"].as_str().unwrap()));
        }
    };
    let pod = &mut object["spec"]["template"]["spec"];
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array_mut().into_iter().flatten() {
            if let Some(Value::Array(env)) = container.get_mut("env") {
                env.retain(|variable| !crate::vpn::nat::NAMES.contains(&variable["name"].as_str().unwrap()));
            }
        }
        if let Some(containers) = pod[list].as_array_mut() {
            containers.retain(|container| !ours(container["name"].as_str().unwrap()));
        }
    }
    pod["containers"]
        .as_array_mut()
        .unwrap()
        .retain(|c| c["name"] != "envoy-proxy" || !ours(&c["volumeMounts"].to_string()));
    for container in pod["containers"].as_array_mut().unwrap() {
        foreign_mounts(container);
        if let Some(Value::Array(args)) = container.get_mut("args") {
            args.retain(|arg| !ours(arg.as_str().unwrap()));
        }
    }
    if let Some(Value::Array(volumes)) = pod.get_mut("volumes") {
        volumes.retain(|volume| !ours(volume["name"].as_str().unwrap()));
    }
    for metadata in ["/metadata/annotations", "/spec/template/metadata/annotations"] {
        if let Some(Value::Object(annotations)) = object.pointer_mut(metadata) {
            annotations.retain(|key, _| !ours(key));
        }
    }
    without_empty(object)
}
