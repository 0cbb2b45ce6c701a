//! What holds for any Deployment.

use super::*;

/// A Deployment that others have changed in ways that must not confuse us.
pub(super) fn disturbed() -> impl Strategy<Value = Value> {
    let start = prop_oneof![
        Just(fixture("ha", "deployment")),
        Just(fixture("ha-overlap", "deployment")),
        Just(fixture("ha-dual-stack", "deployment")),
        Just(fixture("non-ha", "deployment")),
        Just(injected()),
        Just(nat::injected_own()),
    ];
    (start, prop::collection::vec((0usize..11, any::<prop::sample::Index>()), 0..5)).prop_map(
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
        // Somebody adds a container, or changes one of ours.
        9 => template["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "other", "image": "x"})),
        _ => {
            if let Some((list, index)) = element(&mut template["spec"]["containers"], at) {
                list[index]["image"] = json!("changed");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever others did: the patch applies, a second application changes nothing, the same input gives the same
    /// bytes, and nothing but ours is touched.
    #[test]
    fn laws_of_the_patch(object in disturbed(), overlap in any::<bool>(), nat in nat::any_mode()) {
        let cluster = fixture(if overlap { "ha-overlap" } else { "ha" }, "cluster");
        let call = Call { object: object.clone(), cluster: Some(cluster), nat, ..Call::overlapping() }.live();
        let first = call.run();
        prop_assert!(first.response == call.run().response, "the same input gives the same bytes");

        let second = Call { object: first.object.clone(), ..call.clone() }.run();
        prop_assert!(second.response.get("patch").is_none(), "second application: {:?}", second.verdict);
        prop_assert_eq!(first.response["allowed"].as_bool(), second.response["allowed"].as_bool());

        prop_assert!(others_of(first.object) == others_of(object), "touched what is not ours");
    }
}

/// A Deployment without anything that carries a name of ours.
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
                env.retain(|variable| !crate::nat::NAMES.contains(&variable["name"].as_str().unwrap()));
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
