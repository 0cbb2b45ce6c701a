//! `vpn.sidecar: always`: the sidecar takes the place of gardenlet's own proxy, and of nothing else.

use super::*;

const REPLACED: &str = "note vpn/replaced";
const LEFT: &str = "note vpn/gardenlet-proxy";
const EGRESS: &str = "--egress-selector-config-file=/etc/kubernetes/egress/egress-selector-configuration.yaml";

impl Call {
    /// No configuration has it beside own containers.
    pub(super) fn always(mut self) -> Self {
        self.settings.sidecar = Sidecar::Always;
        self.nat = Mode::VpnClient;
        self
    }

    /// gardenlet's Deployment with its own proxy.
    fn gardenlets() -> Self {
        Self::new("ha-overlap", "ha-overlap")
    }
}

/// The stored object after a first write.
pub(super) fn replaced() -> Value {
    Call::gardenlets().always().run().object
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().unwrap().push(item);
}

#[test]
fn replaces_gardenlets_proxy() {
    let done = Call::gardenlets().always().run();
    assert_eq!((done.verdict.decision, done.rules()), ("replaced", vec![REPLACED.to_owned()]));
    assert!(done.response.get("warnings").is_none(), "gardenlet writes it again and again");
    assert_eq!(
        done.names("containers"),
        ["kube-apiserver", "envoy-proxy", "vpn-client-0", "vpn-client-1", "vpn-path-controller"]
    );
    assert_eq!(
        done.response["auditAnnotations"],
        json!({"decision": "replaced", "overlaps": "nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17"})
    );
    let pod = done.object["spec"]["template"]["spec"].to_string();
    for gone in ["9443", "kube-apiserver-http-proxy", "/etc/kubernetes/egress", "hostAliases", "/srv/kubernetes/ca-vpn"]
    {
        assert!(!pod.contains(gone), "{gone} is gone");
    }
    insta::assert_json_snapshot!("always", {
        let patch = done.response["patch"].as_str().unwrap();
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        let mut patch: Value = serde_json::from_slice(&patch).unwrap();
        for operation in patch.as_array_mut().unwrap() {
            // What is added is the same as ever.
            operation.as_object_mut().unwrap().remove("value");
        }
        patch
    });
}

/// The Pod is the same as where gardenlet has no proxy of its own, but for what keeps gardenlet's Secrets.
#[test]
fn nothing_of_gardenlets_proxy_is_left_in_the_pod() {
    let without_references = |mut object: Value| {
        for metadata in ["/metadata/annotations", "/spec/template/metadata/annotations"] {
            let annotations = object.pointer_mut(metadata).unwrap().as_object_mut().unwrap();
            annotations.retain(|key, _| !key.starts_with("reference.resources.gardener.cloud/"));
        }
        let args = object.pointer_mut("/spec/template/spec/containers/0/args").unwrap().as_array_mut().unwrap();
        args.sort_by_key(Value::to_string);
        object
    };
    assert_eq!(without_references(replaced()), without_references(injected()));
    let references = |object: &Value| {
        let annotations = object["spec"]["template"]["metadata"]["annotations"].as_object().unwrap().clone();
        annotations.into_iter().filter(|(key, _)| key.starts_with("reference.")).collect::<Vec<_>>()
    };
    assert_eq!(references(&replaced()), references(&Call::gardenlets().object), "gardenlet's proxy can come back");
}

/// A name, a call, the decision, the rules that spoke, and whether gardenlet's proxy stays.
#[test]
fn every_case() {
    let nodes = |networks: &'static [&'static str]| {
        move |spec: &mut Value| spec["shoot"]["status"]["networking"]["nodes"] = json!(networks)
    };
    let volume = |name: &'static str| {
        move |pod: &mut Value| push(&mut pod["volumes"], json!({"name": name, "configMap": {"name": "x"}}))
    };
    let argument = |pod: &mut Value, other: &str| {
        let args = pod["containers"][0]["args"].as_array_mut().unwrap();
        *args.iter_mut().find(|arg| **arg == EGRESS).unwrap() = json!(other);
    };
    let absent = || Some(Answer::Absent);
    let rows: Vec<(&str, Call, &str, &[&str], bool)> = vec![
        ("overlap", Call::gardenlets(), "replaced", &[REPLACED], false),
        ("hibernated", Call::gardenlets().object(|o| o["spec"]["replicas"] = json!(0)), "replaced", &[REPLACED], false),
        ("gardenlet has none", Call::overlapping(), "injected", &["warn vpn/injected"], false),
        (
            "no overlap, as the Cluster says now",
            Call::gardenlets().cluster(|spec| {
                spec["seed"]["spec"]["networks"]["pods"] = json!("10.64.0.0/16");
            }),
            "gardenlet",
            &[LEFT],
            true,
        ),
        ("self-hosted", Call::gardenlets().cluster(|spec| spec["seed"] = Value::Null), "gardenlet", &[LEFT], true),
        (
            "Cluster missing",
            Call::gardenlets().without_cluster(absent()),
            "gardenlet",
            &["warn vpn/cluster-missing", LEFT],
            true,
        ),
        (
            "no answer, ours is stored",
            Call::gardenlets().without_cluster(Some(Answer::Unanswered("x".to_owned()))).over(replaced()),
            "kept",
            &["warn vpn/cluster-unanswered", "warn vpn/kept"],
            false,
        ),
        (
            "networks that do not parse",
            Call::gardenlets().cluster(nodes(&["10.250.0.0/16", "x"])),
            "gardenlet",
            &["warn vpn/cluster-unreadable", LEFT],
            true,
        ),
        (
            "a VPN container is missing",
            Call::gardenlets().pod(|pod| {
                pod["containers"].as_array_mut().unwrap().retain(|container| container["name"] != "vpn-client-1");
            }),
            "gardenlet",
            &["warn vpn/vpn-incomplete", LEFT],
            true,
        ),
        (
            "another egress selector",
            Call::gardenlets().pod(|pod| argument(pod, "--egress-selector-config-file=/x")),
            "gardenlet",
            &["warn vpn/name-taken", LEFT],
            true,
        ),
        (
            "a foreign volume of our name",
            Call::gardenlets().pod(volume("network-guard-socket")),
            "gardenlet",
            &["warn vpn/name-taken", LEFT],
            true,
        ),
        (
            "a foreign container",
            Call::gardenlets().pod(|pod| pod["containers"][1]["volumeMounts"] = json!([])),
            "refused",
            &["deny vpn/name-taken"],
            true,
        ),
        (
            "networks that do not fit",
            Call::gardenlets().cluster(nodes(&["10.250.0.0/16", "11.0.0.0/8"])),
            "replaced",
            &[REPLACED, "warn vpn/cannot-translate"],
            false,
        ),
        (
            "ours and theirs, merged by name",
            Call { object: replaced(), ..Call::gardenlets() }.pod(|pod| {
                push(
                    &mut pod["containers"][1]["volumeMounts"],
                    json!({"name": "certs", "mountPath": "/srv/secrets/x"}),
                );
                push(&mut pod["volumes"], json!({"name": "certs", "secret": {"secretName": "x"}}));
                push(&mut pod["containers"][0]["args"], json!(EGRESS));
                pod["hostAliases"] = json!([{"ip": "127.0.0.1", "hostnames": ["kube-apiserver-http-proxy"]}]);
            }),
            "updated",
            &["warn vpn/updated"],
            false,
        ),
    ];
    for (name, call, decision, rules, stays) in rows {
        let call = call.always();
        let done = call.run();
        assert_eq!((done.verdict.decision, done.rules().as_slice()), (decision, &rules.map_strings()[..]), "{name}");
        assert_eq!(done.response["allowed"], decision != "refused", "{name}");
        if stays {
            assert_eq!(done.object, call.object, "{name}: must stay as it came");
        } else {
            let pod = done.object["spec"]["template"]["spec"].to_string();
            assert!(!pod.contains("kube-apiserver-http-proxy") && pod.contains("network-guard-socket"), "{name}");
        }
        let again = Call { object: done.object.clone(), ..call }.run();
        assert!(again.response.get("patch").is_none(), "{name}: a second time: {:?}", again.verdict);
    }
}

trait Strings {
    fn map_strings(&self) -> Vec<String>;
}

impl Strings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

type Change = Box<dyn Fn(&mut Value)>;
type Look = Box<dyn Fn(&Value) -> bool>;

/// A name, what somebody else does to the Pod, and the path of what then stays.
#[test]
fn what_something_else_uses_stays() {
    let mount = |list: &'static str, index: usize, volume: &'static str| {
        move |pod: &mut Value| push(&mut pod[list][index]["volumeMounts"], json!({"name": volume, "mountPath": "/x"}))
    };
    let named = |name: &'static str| {
        move |pod: &Value| pod["volumes"].as_array().unwrap().iter().any(|volume| volume["name"] == name)
    };
    let mounted = |pod: &Value| {
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap().clone();
        mounts.contains(&json!({"name": "ca-vpn", "mountPath": "/srv/kubernetes/ca-vpn"}))
    };
    let rows: Vec<(&str, Change, Look)> = vec![
        ("another container", Box::new(mount("containers", 2, "ca-vpn")), Box::new(named("ca-vpn"))),
        ("an init container", Box::new(mount("initContainers", 0, "certs")), Box::new(named("certs"))),
        ("the API server, elsewhere", Box::new(mount("containers", 0, "http-proxy")), Box::new(named("http-proxy"))),
        (
            "another argument",
            Box::new(|pod| push(&mut pod["containers"][0]["args"], json!("--x-ca=/srv/kubernetes/ca-vpn/bundle.crt"))),
            Box::new(move |pod| mounted(pod) && named("ca-vpn")(pod)),
        ),
        (
            "a variable",
            Box::new(|pod| {
                pod["containers"][0]["env"] = json!([{"name": "CA", "value": "/srv/kubernetes/ca-vpn/bundle.crt"}]);
            }),
            Box::new(move |pod| mounted(pod) && named("ca-vpn")(pod)),
        ),
        (
            "a volume that nothing of gardenlet's mounts",
            Box::new(|pod| {
                pod["containers"][1]["volumeMounts"].as_array_mut().unwrap().retain(|m| m["name"] != "certs");
            }),
            Box::new(named("certs")),
        ),
        (
            "another name of the alias",
            Box::new(|pod| push(&mut pod["hostAliases"][0]["hostnames"], json!("x"))),
            Box::new(|pod| pod["hostAliases"] == json!([{"ip": "127.0.0.1", "hostnames": ["x"]}])),
        ),
        (
            "another alias",
            Box::new(|pod| {
                let alias = json!({"ip": "10.0.0.1", "hostnames": ["kube-apiserver-http-proxy"]});
                pod["hostAliases"].as_array_mut().unwrap().insert(0, alias);
            }),
            Box::new(|pod| {
                pod["hostAliases"] == json!([{"ip": "10.0.0.1", "hostnames": ["kube-apiserver-http-proxy"]}])
            }),
        ),
        (
            "an alias without names",
            Box::new(|pod| push(&mut pod["hostAliases"], json!({"ip": "127.0.0.1"}))),
            Box::new(|pod| pod["hostAliases"] == json!([{"ip": "127.0.0.1"}])),
        ),
    ];
    for (name, change, stays) in rows {
        let call = Call::gardenlets().always().pod(|pod| change(pod));
        let done = call.run();
        assert_eq!(done.verdict.decision, "replaced", "{name}");
        assert!(stays(&done.object["spec"]["template"]["spec"]), "{name}: {}", done.object);
        let again = Call { object: done.object, ..call }.run();
        assert!(again.response.get("patch").is_none(), "{name}: a second time");
    }
}

#[test]
fn asks_for_a_cluster_that_is_not_known() {
    let unknown = || Call::gardenlets().without_cluster(None);
    assert!(matches!(unknown().always().result(), Err(NoVerdict::Asks(Questions { cluster: Some(_), .. }))));
    assert_eq!(unknown().run().verdict.decision, "gardenlet", "nothing depends on it where gardenlet's proxy stays");
    let nowhere = unknown().always().object(|object| object["metadata"]["namespace"] = json!("a/b"));
    assert_eq!(nowhere.run().verdict.decision, "gardenlet", "nor is such a namespace asked for");
}

/// gardenlet tells of networks that the cache lacks: what the API server says now decides, and without an answer what is
/// stored.
#[test]
fn a_cluster_that_has_just_grown() {
    let live = Call::gardenlets().cluster;
    let behind = Call { cluster: Some(fixture("ha", "cluster")), ..Call::gardenlets() }.always();
    assert!(matches!(behind.result(), Err(NoVerdict::Asks(_))));
    let facts = Arc::new(ClusterFacts::parse(&live.unwrap()["spec"].to_string()));
    let answered = |answer| {
        let mut call = behind.clone().over(replaced());
        call.live = Some(answer);
        call.run()
    };
    assert_eq!(answered(Answer::Found(facts)).object, replaced());
    let kept = answered(Answer::Unanswered("x".to_owned()));
    assert_eq!((kept.verdict.decision, &kept.object), ("kept", &replaced()));
}

/// What gardenlet's merge patch makes of a stored object: it sends labels and `spec` as a whole.
fn merged(stored: &Value, desired: &Value) -> Value {
    let mut object = stored.clone();
    object["spec"] = desired["spec"].clone();
    object
}

/// gardenlet's object, as its next versions may write it.
fn any_gardenlets() -> impl Strategy<Value = Value> {
    laws::disturbed_from(Just(Call::gardenlets().object)).prop_filter("gardenlet's proxy is there", has_gardenlets)
}

fn has_gardenlets(object: &Value) -> bool {
    let text = object.to_string();
    let deployment = Deployment::read(&text).unwrap();
    Proxy::of(&deployment.spec.template.spec.containers) == Proxy::Gardenlet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// With the default, what gardenlet sends is what is stored.
    #[test]
    fn where_missing_gardenlets_proxy_passes_through(object in any_gardenlets()) {
        let done = Call { object: object.clone(), ..Call::gardenlets() }.live().run();
        prop_assert_eq!(&done.verdict.decision, &"gardenlet");
        prop_assert_eq!(done.object.to_string(), object.to_string());
    }

    /// gardenlet's repeated write gives the same bytes, and its next one after a way back to the default its own proxy.
    #[test]
    fn writes_repeat_and_the_way_back_is_gardenlets_next_write(object in any_gardenlets()) {
        let call = Call { object: object.clone(), ..Call::gardenlets() }.live();
        let stored = call.clone().always().run().object;
        let repeated = Call { object: merged(&stored, &object), ..call.clone() }.always().over(stored.clone()).run();
        prop_assert_eq!(repeated.object.to_string(), stored.to_string());
        let back = Call { object: merged(&stored, &object), ..call }.over(stored).run();
        prop_assert_eq!(without_empty(back.object), without_empty(object));
    }
}
