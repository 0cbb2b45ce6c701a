//! Which writes are decided and how they are answered, on Deployments and Clusters that Gardener's own code wrote, and the laws
//! of the patch. What each rule finds is tested beside the rules.

mod always;
mod annotation;
mod cases;
mod changes;
mod configurations;
mod laws;
mod nat;
mod parity;
mod removal;
mod tolerant;
mod variables;

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::admission::{self, AskLoop, NoVerdict};
use crate::gardener::ClusterFacts;
use crate::landscape::{Answer, Answers, ClusterRecord, Questions, Snapshot};
use crate::vpn::nat::Mode;
use crate::vpn::rules::tests::{fixture, told};
use crate::vpn::sidecar::Sidecar;

/// One call: what the API server would send, and what the landscape knows.
#[derive(Clone)]
struct Call {
    operation: &'static str,
    sub_resource: &'static str,
    object: Value,
    old: Option<Value>,
    cluster: Option<Value>,
    /// What a live read shows, if there is one.
    live: Option<Answer<Arc<ClusterRecord>>>,
    settings: Settings,
    nat: Mode,
    is_tolerant: bool,
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
            live: None,
            settings: Settings::default(),
            nat: Mode::default(),
            is_tolerant: false,
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
        self.live = answer;
        self
    }

    /// The API server answers what the cache says.
    fn live(mut self) -> Self {
        let spec = self.cluster.as_ref().unwrap()["spec"].to_string();
        self.live = Some(Answer::Found(Arc::new(ClusterFacts::parse(&spec))));
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

    /// The result, or what is asked when there is no live read.
    fn result(&self) -> Result<Verdict, NoVerdict> {
        let (body, snapshot) = (self.body(), self.snapshot());
        let request = admission::decode(body.as_bytes()).unwrap();
        let handler = KubeApiserver::new(&self.settings, &self.nat).tolerant(self.is_tolerant);
        let review = AskLoop::new(&handler, &request, Some(&snapshot));
        match &self.live {
            None => review.end(),
            live @ Some(_) => review.run(|_| Answers { cluster: live.clone(), ..Answers::default() }),
        }
    }

    fn run(&self) -> Done {
        let verdict = self.result().expect("a decision");
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
        self.verdict.findings.iter().map(|f| format!("{} {}", f.severity.name(), f.rule.name)).collect()
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

#[test]
fn asks_for_a_missing_cluster_once() {
    let call = Call::overlapping().without_cluster(None);
    assert!(
        matches!(call.result(), Err(NoVerdict::Asks(Questions { cluster: Some(name), .. })) if name == "shoot--local--ha")
    );
}

/// Names from outside never reach a URL: only a namespace can be asked for.
#[test]
fn asks_for_namespaces_only() {
    for name in ["?watch=true", "a/../../api/v1/secrets", "", "-a", "A", &"a".repeat(64)] {
        let call =
            Call::overlapping().object(|object| object["metadata"]["namespace"] = json!(name)).without_cluster(None);
        let Err(NoVerdict::Unreadable(error)) = call.result() else { panic!("{name}: {:?}", call.result()) };
        assert_eq!(error.path, "request.namespace".into(), "{name}");
    }
}

/// gardenlet's object never carries the sidecar. While it is unknown whether it is needed, what is stored decides.
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
        assert_eq!(done.rules(), ["warn vpn/cluster-missing", "warn vpn/kept"], "{name}");
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
            "Deployment shoot--local--ha/kube-apiserver is refused:\n\
             - metadata.namespace: there is no Cluster `shoot--local--ha` to read the networks from; wait for gardenlet to write it, then repeat (vpn/cluster-missing)",
        ),
        (
            Call::overlapping()
                .cluster(|spec| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.0.0/8"])),
            "Deployment shoot--local--ha/kube-apiserver is refused:\n\
             - cluster shoot--local--ha: spec.shoot.status.networking.nodes[1]: \"10.0.0/8\" is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`; correct it in the Shoot or Seed (vpn/cluster-unreadable)",
        ),
        (
            Call::overlapping().pod(|pod| {
                pod["containers"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|c| c["name"] != "vpn-client-1" && c["name"] != "vpn-path-controller");
            }),
            "Deployment shoot--local--ha/kube-apiserver is refused:\n\
             - spec.template.spec: nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17, but the Deployment lacks `vpn-client-1`, `vpn-path-controller`; write all containers of the VPN (vpn/vpn-incomplete)",
        ),
    ] {
        assert_eq!(call.run().message(), want);
    }
}

#[test]
fn an_object_of_another_shape_is_unreadable() {
    let call = Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!(7));
    let Err(NoVerdict::Unreadable(error)) = call.result() else { panic!("{:?}", call.result()) };
    assert!(
        error.to_string().starts_with("request.object.spec.template.spec.containers[0].name: invalid type"),
        "{error:?}"
    );
}

/// What is not the Shoot's kube-apiserver is not read, so nothing in it can be wrong.
#[test]
fn an_object_of_another_name_is_not_read() {
    let call = Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!(7));
    let call = call.object(|object| object["metadata"]["name"] = json!("gardener-apiserver"));
    assert_eq!(call.run().verdict.decision, "not-concerned");
}

/// More of the VPN than gardenlet ever writes is refused in few words, and an edit of something else passes all the same.
#[test]
fn too_many_containers_of_the_vpn_are_unreadable() {
    let many = |pod: &mut Value| {
        pod["containers"].as_array_mut().unwrap().extend(vec![json!({"name": "vpn-client-1"}); 20]);
    };
    let call = Call::overlapping().pod(many);
    let Err(NoVerdict::Unreadable(error)) = call.result() else { panic!("{:?}", call.result()) };
    assert_eq!(
        error.to_string(),
        "request.object.spec.template.spec.containers[17].name: \"vpn-client-1\": there are more than 16 containers of the VPN, \
         while gardenlet writes three"
    );
    let stored = call.object.clone();
    let labelled = call.object(|object| object["metadata"]["labels"]["x"] = json!("y")).over(stored);
    let done = labelled.run();
    assert_eq!((done.verdict.decision, &done.object), ("tolerated", &labelled.object));
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
