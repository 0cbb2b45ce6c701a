//! Every case of the decision, on Deployments and Clusters that Gardener's own code wrote, and the laws of the patch.

mod nat;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::admission::{self, Answer};
use crate::gardener::ClusterFacts;
use crate::landscape::ClusterRecord;
use crate::nat::Mode;

/// A Deployment or Cluster as gardenlet writes it (see `tests/fixtures/gardener`).
fn fixture(case: &'static str, file: &'static str) -> Value {
    static READ: Mutex<BTreeMap<(&str, &str), Value>> = Mutex::new(BTreeMap::new());
    READ.lock().unwrap().entry((case, file)).or_insert_with(|| read_fixture(case, file)).clone()
}

fn read_fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// The Deployment as gardenlet writes it for this Cluster: the VPN's containers are told its networks.
fn told(mut deployment: Value, cluster: &Value) -> Value {
    let list = |kind: &str| {
        let networking = |part: &str| cluster["spec"]["shoot"][part]["networking"][kind].clone();
        let mut list: Vec<String> = networking("spec").as_str().map(str::to_owned).into_iter().collect();
        for cidr in networking("status").as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !list.iter().any(|known| known == cidr) {
                list.push(cidr.to_owned());
            }
        }
        list.join(",")
    };
    let pod = &mut deployment["spec"]["template"]["spec"];
    for part in ["containers", "initContainers"] {
        for container in pod.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten() {
            for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                let value = match variable["name"].as_str().unwrap() {
                    "SEED_POD_NETWORK" => cluster["spec"]["seed"]["spec"]["networks"]["pods"].clone(),
                    "SHOOT_POD_NETWORKS" => json!(list("pods")),
                    "SHOOT_SERVICE_NETWORKS" => json!(list("services")),
                    "SHOOT_NODE_NETWORKS" => json!(list("nodes")),
                    _ => continue,
                };
                variable["value"] = value;
            }
        }
    }
    deployment
}

/// One call: what the API server would send, and what the landscape knows.
#[derive(Clone)]
struct Call {
    operation: &'static str,
    sub_resource: &'static str,
    object: Value,
    old: Option<Value>,
    cluster: Option<Value>,
    answers: Answers,
    nat: Mode,
}

/// What came of it.
#[derive(Debug)]
struct Done {
    verdict: Verdict,
    /// The object with the patch applied.
    object: Value,
    /// The answer on the wire.
    response: Value,
}

impl Call {
    /// A write of gardenlet's Deployment of one case, with the Cluster of another.
    fn new(deployment: &'static str, cluster: &'static str) -> Self {
        Self {
            operation: "CREATE",
            sub_resource: "",
            object: told(fixture(deployment, "deployment"), &fixture(cluster, "cluster")),
            old: None,
            cluster: Some(fixture(cluster, "cluster")),
            answers: Answers::default(),
            nat: Mode::default(),
        }
    }

    /// HA VPN and an overlap by nodes, before anybody injected anything.
    fn overlapping() -> Self {
        Self::new("ha", "ha-overlap")
    }

    fn object(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.object);
        self
    }

    fn pod(self, change: impl FnOnce(&mut Value)) -> Self {
        self.object(|object| change(&mut object["spec"]["template"]["spec"]))
    }

    fn cluster(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let cluster = self.cluster.as_mut().unwrap();
        change(&mut cluster["spec"]);
        self.object = told(self.object, cluster);
        self
    }

    fn without_cluster(mut self, answer: Option<Answer<Arc<ClusterRecord>>>) -> Self {
        self.cluster = None;
        self.answers.cluster = answer;
        self
    }

    /// The API server answers what the cache says.
    fn live(mut self) -> Self {
        let spec = self.cluster.as_ref().unwrap()["spec"].to_string();
        self.answers.cluster = Some(Answer::Found(Arc::new(ClusterFacts::parse(&spec))));
        self
    }

    fn over(mut self, old: Value) -> Self {
        self.operation = "UPDATE";
        self.old = Some(old);
        self
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        if let Some(cluster) = &self.cluster {
            let record = ClusterFacts::parse(&cluster["spec"].to_string());
            snapshot.put_cluster(cluster["metadata"]["name"].as_str().unwrap(), record);
        }
        snapshot
    }

    fn body(&self) -> String {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "subResource": self.sub_resource,
                "name": self.object["metadata"]["name"],
                "namespace": self.object["metadata"]["namespace"],
                "operation": self.operation,
                "userInfo": {"username": "system:serviceaccount:garden:gardenlet"},
                "object": if self.operation == "DELETE" { Value::Null } else { self.object.clone() },
                "oldObject": self.old,
            },
        })
        .to_string()
    }

    fn step(&self) -> Step {
        let body = self.body();
        let request = admission::decode(body.as_bytes()).unwrap();
        KubeApiserver::new(&Settings::default(), &self.nat).review(&request, &self.snapshot(), &self.answers)
    }

    fn run(&self) -> Done {
        let Step::Done(verdict) = self.step() else { panic!("no decision: {:?}", self.step()) };
        let body = self.body();
        let request = admission::decode(body.as_bytes()).unwrap();
        let response: Value = serde_json::from_slice(&admission::encode(&request, &verdict)).unwrap();
        let response = response["response"].clone();
        let mut object = self.object.clone();
        if let Some(patch) = response["patch"].as_str() {
            let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut object, &patch).expect("a patch always applies");
        }
        Done { verdict, object, response }
    }
}

impl Done {
    fn names(&self, list: &str) -> Vec<String> {
        let list = self.object["spec"]["template"]["spec"][list].as_array().cloned().unwrap_or_default();
        list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    fn rules(&self) -> Vec<String> {
        self.verdict.findings.iter().map(|f| format!("{} {}", f.severity.name(), f.rule)).collect()
    }

    fn message(&self) -> &str {
        self.response["status"]["message"].as_str().unwrap_or_default()
    }
}

/// gardenlet's object for the Shoot that overlaps.
fn plain() -> Value {
    Call::overlapping().object
}

/// The stored object after a first write with overlap.
fn injected() -> Value {
    Call::overlapping().run().object
}

#[test]
fn injects_on_overlap() {
    let done = Call::overlapping().run();
    assert_eq!(done.verdict.decision, "injected");
    assert_eq!(
        done.names("containers"),
        ["kube-apiserver", "envoy-proxy", "vpn-client-0", "vpn-client-1", "vpn-path-controller"]
    );
    insta::assert_json_snapshot!("patch", {
        let patch = done.response["patch"].as_str().unwrap();
        serde_json::from_slice::<Value>(&base64::engine::general_purpose::STANDARD.decode(patch).unwrap()).unwrap()
    });
    assert_eq!(
        done.response["warnings"],
        json!(["nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17: added envoy-proxy and egress selector"])
    );
    assert_eq!(
        done.response["auditAnnotations"],
        json!({"decision": "injected", "overlaps": "nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17"})
    );
}

/// A name, a call, the decision, the rules that spoke.
#[test]
fn every_case() {
    let nodes = |cidr: &'static str| {
        move |spec: &mut Value| {
            spec["shoot"]["spec"]["networking"]["nodes"] = json!(cidr);
            spec["shoot"]["status"]["networking"]["nodes"] = json!([cidr]);
        }
    };
    let seed_pods = |cidr: &'static str| move |spec: &mut Value| spec["seed"]["spec"]["networks"]["pods"] = json!(cidr);
    let removed = |pod: &mut Value, list: &str, name: &str| {
        pod[list].as_array_mut().unwrap().retain(|container| container["name"] != name);
    };
    let injected_rule = ["warn overlap/injected"];
    let rows: Vec<(&str, Call, &str, &[&str])> = vec![
        ("overlap by pods", Call::new("ha", "ha").cluster(seed_pods("100.96.0.0/16")), "injected", &injected_rule),
        ("overlap by services", Call::new("ha", "ha").cluster(seed_pods("100.64.0.0/16")), "injected", &injected_rule),
        ("overlap by nodes", Call::overlapping(), "injected", &injected_rule),
        (
            "overlap by a node network in status only",
            Call::new("ha", "ha").cluster(|spec| {
                spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.65.0.0/16"]);
            }),
            "injected",
            &injected_rule,
        ),
        (
            "several node networks",
            Call::new("ha-several-nodes", "ha-several-nodes").cluster(seed_pods("10.100.0.0/16")),
            "injected",
            &injected_rule,
        ),
        ("none", Call::new("ha", "ha"), "none", &[]),
        ("none, several node networks", Call::new("ha-several-nodes", "ha-several-nodes"), "none", &[]),
        (
            "IPv6 overlap only",
            Call::new("ha-dual-stack", "ha-dual-stack").cluster(|spec| {
                let pods = spec["shoot"]["status"]["networking"]["pods"].as_array().unwrap().clone();
                let v6 = pods.iter().find(|cidr| cidr.as_str().unwrap().contains(':')).unwrap();
                spec["seed"]["spec"]["networks"]["pods"] = v6.clone();
            }),
            "none",
            &["warn overlap/ipv6"],
        ),
        ("dual-stack without", Call::new("ha-dual-stack", "ha-dual-stack"), "none", &[]),
        (
            "dual-stack with IPv4 overlap",
            Call::new("ha-dual-stack", "ha-dual-stack").cluster(seed_pods("100.64.0.0/10")),
            "injected",
            &injected_rule,
        ),
        ("non-HA with overlap", Call::new("non-ha", "non-ha").cluster(seed_pods("0.0.0.0/0")), "none", &[]),
        ("workerless with overlap", Call::new("workerless", "workerless").cluster(seed_pods("0.0.0.0/0")), "none", &[]),
        ("hibernated", Call::overlapping().object(|o| o["spec"]["replicas"] = json!(0)), "injected", &injected_rule),
        (
            "self-hosted",
            Call::overlapping().cluster(|spec| drop(spec.as_object_mut().unwrap().remove("seed"))),
            "none",
            &[],
        ),
        ("self-hosted, null", Call::overlapping().cluster(|spec| spec["seed"] = Value::Null), "none", &[]),
        (
            "Cluster missing",
            Call::overlapping().without_cluster(Some(Answer::Absent)),
            "refused",
            &["deny overlap/cluster-missing"],
        ),
        (
            "Cluster read live",
            Call::overlapping().without_cluster(Some(Answer::Found(Arc::new(ClusterFacts::parse(
                &fixture("ha-overlap", "cluster")["spec"].to_string(),
            ))))),
            "injected",
            &injected_rule,
        ),
        (
            "no answer",
            Call::overlapping().without_cluster(Some(Answer::Unanswered("deadline exceeded".to_owned()))),
            "refused",
            &["deny overlap/cluster-unanswered"],
        ),
        ("Cluster missing, non-HA", Call::new("non-ha", "non-ha").without_cluster(None), "none", &[]),
        (
            "networks that do not parse",
            Call::overlapping().cluster(nodes("10.250.0.0/33")),
            "refused",
            &["deny overlap/cluster-unreadable", "deny overlap/cluster-unreadable"],
        ),
        ("networks that do not parse, non-HA", Call::new("non-ha", "non-ha").cluster(nodes("x")), "none", &[]),
        (
            "gardenlet's own proxy",
            Call::new("ha-overlap", "ha-overlap"),
            "gardenlet",
            &["warn overlap/gardenlet-proxy"],
        ),
        (
            "gardenlet's own proxy, Cluster missing",
            Call::new("ha-overlap", "ha").without_cluster(None),
            "gardenlet",
            &["warn overlap/gardenlet-proxy"],
        ),
        (
            "foreign container",
            Call::overlapping().pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({"name": "envoy-proxy", "image": "x"}));
            }),
            "refused",
            &["deny overlap/name-taken"],
        ),
        (
            "foreign volumes",
            Call::overlapping().pod(|pod| {
                pod["volumes"].as_array_mut().unwrap().extend([
                    json!({"name": "network-guard-config", "configMap": {"name": "x"}}),
                    json!({"name": "network-guard-socket", "hostPath": {"path": "/"}}),
                ]);
            }),
            "refused",
            &["deny overlap/name-taken", "deny overlap/name-taken"],
        ),
        (
            "foreign egress selector",
            Call::overlapping().pod(|pod| {
                pod["containers"][0]["args"].as_array_mut().unwrap().push(json!("--egress-selector-config-file=/x"));
            }),
            "refused",
            &["deny overlap/name-taken"],
        ),
        (
            "foreign mount",
            Call::overlapping().pod(|pod| {
                pod["containers"][0]["volumeMounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "ca", "mountPath": "/etc/network-guard"}));
            }),
            "refused",
            &["deny overlap/name-taken"],
        ),
        (
            "foreign container without overlap",
            Call::new("ha", "ha").pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({"name": "envoy-proxy", "image": "x"}));
            }),
            "none",
            &[],
        ),
        (
            "foreign volumes without overlap",
            Call::new("ha", "ha").pod(|pod| {
                pod["volumes"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "network-guard-config", "configMap": {"name": "x"}}));
                pod["containers"][0]["volumeMounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "network-guard-config", "mountPath": "/x"}));
            }),
            "none",
            &[],
        ),
        (
            "a container that only looks like gardenlet's",
            Call::overlapping().pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({
                    "name": "envoy-proxy", "image": "x",
                    "volumeMounts": [{"name": "envoy-config", "mountPath": "/etc/envoy"}],
                }));
            }),
            "refused",
            &["deny overlap/name-taken"],
        ),
        (
            "a Cluster without networks",
            Call::overlapping().cluster(|spec| {
                drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("networking"));
                drop(spec["shoot"].as_object_mut().unwrap().remove("status"));
            }),
            "refused",
            &["deny overlap/cluster-unreadable", "deny overlap/cluster-unreadable"],
        ),
        (
            "no container kube-apiserver",
            Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!("apiserver")),
            "refused",
            &["deny overlap/name-taken"],
        ),
        (
            "HA Shoot, no VPN containers yet",
            Call::new("non-ha", "ha-overlap").object(|o| o["metadata"]["namespace"] = json!("shoot--local--ha")),
            "none",
            &["warn overlap/ha-vpn-mismatch"],
        ),
        (
            "VPN containers, no HA Shoot any more",
            Call::overlapping()
                .cluster(|spec| drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("controlPlane"))),
            "injected",
            &["warn overlap/ha-vpn-mismatch", "warn overlap/injected"],
        ),
        (
            "a VPN container is missing",
            Call::overlapping().pod(|pod| removed(pod, "containers", "vpn-client-1")),
            "refused",
            &["deny overlap/vpn-incomplete"],
        ),
        (
            "the init container is missing",
            Call::overlapping().pod(|pod| removed(pod, "initContainers", "vpn-client-init")),
            "refused",
            &["deny overlap/vpn-incomplete"],
        ),
        (
            "a VPN container is missing, no overlap",
            Call::new("ha", "ha").pod(|pod| removed(pod, "containers", "vpn-client-1")),
            "none",
            &[],
        ),
        (
            "another name",
            Call::overlapping().object(|o| o["metadata"]["name"] = json!("gardener-apiserver")),
            "not-concerned",
            &[],
        ),
        (
            "another label",
            Call::overlapping().object(|o| o["metadata"]["labels"]["role"] = json!("x")),
            "not-concerned",
            &[],
        ),
        (
            "no labels",
            Call::overlapping().object(|o| drop(o["metadata"].as_object_mut().unwrap().remove("labels"))),
            "not-concerned",
            &[],
        ),
        (
            "being deleted",
            Call::overlapping().object(|o| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            "not-concerned",
            &[],
        ),
        (
            "a deletion",
            Call { operation: "DELETE", old: Some(injected()), ..Call::overlapping() },
            "not-concerned",
            &[],
        ),
        ("a status write", Call { sub_resource: "status", ..Call::overlapping() }, "not-concerned", &[]),
    ];
    for (name, call, decision, rules) in rows {
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}: {:?}", done.verdict);
        assert_eq!(done.rules(), rules, "{name}");
        let has_proxy = done.names("containers").contains(&"envoy-proxy".to_owned());
        match decision {
            "injected" => assert!(has_proxy, "{name}"),
            _ => assert_eq!(done.object, call.object, "{name}: must stay as it came"),
        }
        assert_eq!(done.response["allowed"], decision != "refused", "{name}");
        assert_eq!(done.response.get("patch").is_some(), decision == "injected", "{name}");
    }
}

#[test]
fn asks_for_a_missing_cluster_once() {
    let call = Call::overlapping().without_cluster(None);
    assert!(matches!(call.step(), Step::Ask(Questions { cluster: Some(name), .. }) if name == "shoot--local--ha"));
}

/// Names from outside never reach a URL: only a namespace can be asked for.
#[test]
fn asks_for_namespaces_only() {
    for name in ["?watch=true", "a/../../api/v1/secrets", "", "-a", "A", &"a".repeat(64)] {
        let call =
            Call::overlapping().object(|object| object["metadata"]["namespace"] = json!(name)).without_cluster(None);
        let Step::Unreadable(errors) = call.step() else { panic!("{name}: {:?}", call.step()) };
        assert_eq!(errors[0].path, "request.namespace", "{name}");
    }
}

/// gardenlet's object never carries the sidecar. While nobody can tell whether it is needed, what is stored decides.
#[test]
fn keeps_the_stored_injection_without_facts() {
    let hibernated = |mut object: Value| {
        object["spec"]["replicas"] = json!(0);
        object
    };
    for (name, desired) in [("repeated", plain()), ("hibernation", hibernated(plain()))] {
        let call = Call { object: desired, ..Call::overlapping() };
        let call = call.without_cluster(Some(Answer::Absent)).over(injected());
        let done = call.run();
        assert_eq!(done.verdict.decision, "kept", "{name}");
        assert_eq!(done.object["spec"]["template"], injected()["spec"]["template"], "{name}: nothing rolls");
        assert_eq!(done.object["metadata"]["annotations"], injected()["metadata"]["annotations"], "{name}");
        assert_eq!(done.rules(), ["warn overlap/cluster-missing", "warn overlap/kept"], "{name}");
    }
    // Where nothing is stored there is nothing to keep.
    let call = Call::overlapping().without_cluster(Some(Answer::Absent)).over(hibernated(plain()));
    assert_eq!(call.run().verdict.decision, "refused");
}

/// What people read, word for word.
#[test]
fn denials_say_what_to_do() {
    for (call, want) in [
        (
            Call::overlapping().without_cluster(Some(Answer::Absent)),
            "deployments shoot--local--ha/kube-apiserver is refused:\n\
             - metadata.namespace: there is no Cluster `shoot--local--ha` to read the networks from; wait for gardenlet to write it, then repeat (overlap/cluster-missing)",
        ),
        (
            Call::overlapping()
                .cluster(|spec| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.0.0/8"])),
            "deployments shoot--local--ha/kube-apiserver is refused:\n\
             - cluster shoot--local--ha: spec.shoot.status.networking.nodes[1]: \"10.0.0/8\" is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`; correct it in the Shoot or Seed (overlap/cluster-unreadable)",
        ),
        (
            Call::overlapping().pod(|pod| {
                pod["containers"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|c| c["name"] != "vpn-client-1" && c["name"] != "vpn-path-controller");
            }),
            "deployments shoot--local--ha/kube-apiserver is refused:\n\
             - spec.template.spec: nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17, but the Deployment lacks `vpn-client-1`, `vpn-path-controller`; write all containers of the VPN (overlap/vpn-incomplete)",
        ),
    ] {
        assert_eq!(call.run().message(), want);
    }
}

#[test]
fn an_object_of_another_shape_is_unreadable() {
    let call = Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!(7));
    let Step::Unreadable(errors) = call.step() else { panic!("{:?}", call.step()) };
    assert!(
        errors[0].to_string().starts_with("request.object.spec.template.spec.containers[0].name: invalid type"),
        "{errors:?}"
    );
}

/// A write by somebody else over an injected Deployment carries the injection and keeps it.
#[test]
fn a_replica_change_keeps_the_injection() {
    let mut object = injected();
    object["spec"]["replicas"] = json!(4);
    let done = Call { object: object.clone(), ..Call::overlapping() }.over(injected()).run();
    assert_eq!((done.verdict.decision, &done.object), ("unchanged", &object));
    assert!(done.response.get("warnings").is_none());
}

/// What was stored with a problem stops nobody's unrelated edit: the same call is refused as soon as it would start
/// something new.
#[test]
fn unrelated_edits_pass() {
    let plain = plain();
    let hibernated = |mut object: Value| {
        object["spec"]["replicas"] = json!(0);
        object
    };
    let labelled = |mut object: Value| {
        object["metadata"]["labels"]["x"] = json!("y");
        object
    };
    let other_image = |mut object: Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
        object
    };
    for (name, old, new, decision) in [
        ("a label", plain.clone(), labelled(plain.clone()), "tolerated"),
        ("hibernation", plain.clone(), hibernated(plain.clone()), "tolerated"),
        ("a label while hibernated", hibernated(plain.clone()), labelled(hibernated(plain.clone())), "tolerated"),
        ("wake-up", hibernated(plain.clone()), plain.clone(), "refused"),
        ("another image", plain.clone(), other_image(plain.clone()), "refused"),
    ] {
        let call = Call { object: new, ..Call::overlapping() }.without_cluster(Some(Answer::Absent)).over(old);
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object, call.object, "{name}");
        let warned = done.response["warnings"].as_array().is_some_and(|warnings| warnings.len() == 1);
        assert_eq!(warned, decision == "tolerated", "{name}");
    }
}

#[test]
fn removes_exactly_what_it_added() {
    let object = told(injected(), &fixture("ha", "cluster"));
    let done = Call { object, ..Call::new("ha", "ha") }.run();
    assert_eq!((done.verdict.decision, done.rules()), ("removed", vec!["warn overlap/removed".to_owned()]));
    assert_eq!(without_empty(done.object), without_empty(fixture("ha", "deployment")));
}

#[test]
fn removes_its_own_beside_gardenlets_proxy() {
    let mut object = fixture("ha-overlap", "deployment");
    let annotation = "network-guard.extensions.gardener.cloud/overlaps";
    object["metadata"]["annotations"][annotation] = json!("left over");
    let done = Call { object, ..Call::new("ha-overlap", "ha-overlap") }.run();
    assert_eq!((done.verdict.decision, done.object), ("gardenlet", fixture("ha-overlap", "deployment")));
}

#[test]
fn keeps_a_volume_that_somebody_else_mounts() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["containers"][2]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "network-guard-socket", "mountPath": "/x"}));
    let done = Call { object: told(object, &fixture("ha", "cluster")), ..Call::new("ha", "ha") }.run();
    let volumes = done.names("volumes");
    assert!(
        volumes.contains(&"network-guard-socket".to_owned()) && !volumes.contains(&"network-guard-config".to_owned())
    );
}

#[test]
fn keeps_a_volume_that_an_init_container_mounts() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["initContainers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "network-guard-socket", "mountPath": "/x"}));
    let done = Call { object: told(object, &fixture("ha", "cluster")), ..Call::new("ha", "ha") }.run();
    assert!(done.names("volumes").contains(&"network-guard-socket".to_owned()));
}

#[test]
fn puts_right_what_would_run_something_else() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["containers"][1]["args"] = json!(["--mode", "validate"]);
    let done = Call { object, ..Call::overlapping() }.run();
    assert_eq!((done.verdict.decision, &done.object), ("updated", &injected()));
}

/// An empty map or list is the same to an API server as none.
fn without_empty(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            for item in map.values_mut() {
                *item = without_empty(item.take());
            }
            map.retain(|_, item| match item {
                Value::Null => false,
                Value::Object(map) => !map.is_empty(),
                Value::Array(list) => !list.is_empty(),
                _ => true,
            });
        }
        Value::Array(list) => {
            for item in list.iter_mut() {
                *item = without_empty(item.take());
            }
        }
        _ => {}
    }
    value
}

/// Point by point against what Gardener's own code makes of the same Shoot.
#[test]
fn parity_with_gardener() {
    let ours = injected();
    let theirs = fixture("ha-overlap", "deployment");
    let pod = |object: &Value| object["spec"]["template"]["spec"].clone();
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let by_name = |list: &Value, name: &str| -> Value {
        list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone()
    };
    // The two inputs differ in the Seed's Pod network, which the VPN containers carry in their environment.
    let same_seed = |mut container: Value| -> Value {
        for variable in container["env"].as_array_mut().into_iter().flatten() {
            if variable["name"] == "SEED_POD_NETWORK" {
                variable["value"] = json!("");
            }
        }
        container
    };
    let (our_pod, their_pod) = (pod(&ours), pod(&theirs));

    assert_eq!(names(&our_pod["containers"]), names(&their_pod["containers"]), "the same container order");
    for name in ["vpn-client-0", "vpn-client-1", "vpn-path-controller"] {
        let (our, their) = (by_name(&our_pod["containers"], name), by_name(&their_pod["containers"], name));
        assert_eq!(same_seed(our), same_seed(their), "{name} is untouched");
    }
    let init = |pod: &Value| same_seed(by_name(&pod["initContainers"], "vpn-client-init"));
    assert_eq!(init(&our_pod), init(&their_pod), "init containers are untouched");
    assert_eq!(ours["spec"]["template"]["metadata"]["labels"], theirs["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(ours["metadata"]["labels"], theirs["metadata"]["labels"]);
    assert_eq!(ours["spec"]["selector"], theirs["spec"]["selector"]);
    assert_eq!(our_pod["securityContext"], their_pod["securityContext"]);

    // kube-apiserver: one egress selector each, besides that the same arguments and mounts.
    let api_server = |pod: &Value| by_name(&pod["containers"], "kube-apiserver");
    let (our, their) = (api_server(&our_pod), api_server(&their_pod));
    let split = |container: &Value| -> (Vec<String>, Vec<String>) {
        let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
        args.partition(|arg| arg.starts_with("--egress-selector-config-file="))
    };
    let ((our_egress, our_args), (their_egress, their_args)) = (split(&our), split(&their));
    assert_eq!((our_egress.len(), their_egress.len()), (1, 1));
    assert_eq!(our_args, their_args);
    let extra = |list: &Value, other: &Value| -> Vec<String> {
        names(list).into_iter().filter(|name| !names(other).contains(name)).collect()
    };
    assert_eq!(extra(&our["volumeMounts"], &their["volumeMounts"]), ["network-guard-config", "network-guard-socket"]);
    assert_eq!(
        extra(&their["volumeMounts"], &our["volumeMounts"]),
        ["ca-vpn", "http-proxy", "egress-selection-config"]
    );
    for key in ["image", "command", "ports", "livenessProbe", "readinessProbe", "resources", "securityContext", "env"] {
        assert_eq!(our[key], their[key], "kube-apiserver.{key}");
    }

    // Volumes: two of ours instead of five; no certificate, no host alias.
    assert_eq!(extra(&our_pod["volumes"], &their_pod["volumes"]), ["network-guard-config", "network-guard-socket"]);
    assert_eq!(
        extra(&their_pod["volumes"], &our_pod["volumes"]),
        ["http-proxy", "egress-selection-config", "envoy-config", "ca-vpn", "certs"]
    );
    for name in names(&our_pod["volumes"]) {
        if !name.starts_with("network-guard-") {
            assert_eq!(by_name(&our_pod["volumes"], &name), by_name(&their_pod["volumes"], &name), "volume {name}");
        }
    }
    assert!(our_pod.get("hostAliases").is_none() && their_pod["hostAliases"].is_array());

    // The sidecar: the same group and image, at least as confined.
    let proxy = |pod: &Value| by_name(&pod["containers"], "envoy-proxy");
    let (our, their) = (proxy(&our_pod), proxy(&their_pod));
    assert_eq!(our["image"], their["image"]);
    assert_eq!(our["resources"], their["resources"]);
    for key in ["runAsGroup", "runAsNonRoot", "allowPrivilegeEscalation"] {
        assert_eq!(our["securityContext"][key], their["securityContext"][key], "{key}");
    }
    assert_eq!(our["securityContext"]["runAsGroup"], 31_415);
    assert_eq!(our["securityContext"]["readOnlyRootFilesystem"], true);
}

/// A Deployment that others have changed in ways that must not confuse us.
fn disturbed() -> impl Strategy<Value = Value> {
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
