//! Every case, on StatefulSets and Clusters that Gardener's own code wrote.

mod own;
mod strangers;
mod untranslatable;

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::admission::{self, AskLoop, NoVerdict};
use crate::landscape::{Answer, Answers, Questions, Snapshot};
use crate::vpn::rules::tests::fixture;

const NAMESPACE: &str = "shoot--local--ha";

fn record(cluster: &Value) -> ClusterRecord {
    ClusterFacts::parse(&cluster["spec"].to_string())
}

/// One call: what the API server of a Shoot would send, and what the landscape knows.
#[derive(Clone)]
struct Call {
    namespace: String,
    uid: String,
    operation: &'static str,
    sub_resource: &'static str,
    object: Value,
    cluster: Option<Value>,
    is_stale: bool,
    live: Option<Answer<Value>>,
    mode: nat::Mode,
    old: Option<Value>,
}

/// What came of it.
#[derive(Debug)]
struct Done {
    verdict: Verdict,
    object: Value,
    /// The answer on the wire.
    answer: String,
}

impl Call {
    /// gardenlet's StatefulSet of a Shoot that overlaps its Seed.
    fn overlapping() -> Self {
        let cluster = fixture("ha-overlap", "cluster");
        Self {
            namespace: NAMESPACE.to_owned(),
            uid: cluster["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap().to_owned(),
            operation: "UPDATE",
            sub_resource: "",
            object: fixture("ha-overlap", "vpn-shoot"),
            live: Some(Answer::Found(cluster.clone())),
            cluster: Some(cluster),
            is_stale: false,
            mode: nat::Mode::VpnClient,
            old: None,
        }
    }

    /// The same where network-guard's own containers translate.
    fn own() -> Self {
        let own = nat::Own { keep_seconds: std::num::NonZeroU32::new(10), ..nat::Own::new("guard:1") };
        Self { mode: nat::Mode::Own(own), ..Self::overlapping() }
    }

    /// The same with a variable of the second server's container set to something else.
    fn wrong() -> Self {
        Self::overlapping().variable(1, "SHOOT_NODE_NETWORKS", "10.251.0.0/16")
    }

    fn variable(mut self, container: usize, name: &str, value: &str) -> Self {
        *variable(&mut self.object, container, name) = json!({"name": name, "value": value});
        self
    }

    fn object(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.object);
        self
    }

    fn cluster(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.cluster.as_mut().unwrap()["spec"]);
        self
    }

    fn live(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut cluster = fixture("ha-overlap", "cluster");
        change(&mut cluster["spec"]);
        self.live = Some(Answer::Found(cluster));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        if let Some(cluster) = &self.cluster {
            snapshot.put_cluster(NAMESPACE, record(cluster));
        }
        snapshot
    }

    fn body(&self) -> String {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
                "subResource": self.sub_resource,
                "name": "vpn-shoot",
                "namespace": "kube-system",
                "operation": self.operation,
                "userInfo": {"username": "system:serviceaccount:kube-system:gardener-resource-manager"},
                "object": self.object,
                "oldObject": self.old,
            },
        })
        .to_string()
    }

    /// Whether the handler asks, which it does once, and the result.
    fn result(&self) -> (bool, Result<Verdict, NoVerdict>) {
        let body = self.body();
        let path_suffix = format!("{}/{}", self.namespace, self.uid);
        let mut request = admission::decode(body.as_bytes()).unwrap();
        request.path_suffix = path_suffix.trim_end_matches('/');
        let (snapshot, handler, mut asked) = (self.snapshot(), VpnShoot::new(&self.mode), 0);
        let cache = (!self.is_stale).then_some(&snapshot);
        let result = AskLoop::new(&handler, &request, cache).run(|questions| {
            let want = Questions { cluster: Some(self.namespace.clone()), ..Questions::default() };
            assert_eq!(*questions, want, "nothing else is ever asked");
            asked += 1;
            let cluster = self.live.clone().map(|answer| answer.map(|cluster| Arc::new(record(&cluster))));
            Answers { cluster, ..Answers::default() }
        });
        assert!(asked <= 1, "once");
        (asked == 1, result)
    }

    fn run(&self) -> Done {
        let verdict = self.result().1.expect("a decision");
        let body = self.body();
        let request = admission::decode(body.as_bytes()).unwrap();
        let answer = String::from_utf8(admission::encode(&request, &verdict)).unwrap();
        let response: Value = serde_json::from_str(&answer).unwrap();
        let mut object = self.object.clone();
        if let Some(patch) = response["response"]["patch"].as_str() {
            let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut object, &patch).expect("a patch always applies");
        }
        Done { verdict, object, answer }
    }
}

fn variable<'v>(object: &'v mut Value, container: usize, name: &str) -> &'v mut Value {
    let env = object["spec"]["template"]["spec"]["containers"][container]["env"].as_array_mut().unwrap();
    env.iter_mut().find(|entry| entry["name"] == name).expect(name)
}

fn seed_pods(cidr: &'static str) -> impl FnOnce(&mut Value) {
    move |spec| spec["seed"]["spec"]["networks"]["pods"] = json!(cidr)
}

/// Name, call, decision, whether the live Cluster is asked for, and warnings.
#[test]
fn every_case() {
    let wrong = "spec.template.spec.containers[1].env[9].value: `SHOOT_NODE_NETWORKS` of `vpn-shoot-s1` says \
                 `10.251.0.0/16`, the Cluster says `10.250.0.0/16`";
    for (name, call, decision, asks, warning) in [
        ("as gardenlet writes it", Call::overlapping(), "unchanged", false, None),
        (
            "written otherwise, with the same mapping",
            Call::overlapping().variable(0, "SHOOT_NODE_NETWORKS", "10.250.3.4/16"),
            "unchanged",
            false,
            None,
        ),
        ("wrong", Call::wrong(), "corrected", true, Some(format!("{wrong}: corrected"))),
        (
            "the cache is older than gardenlet's knowledge",
            Call::wrong().live(|spec| {
                spec["shoot"]["spec"]["networking"]["nodes"] = json!("10.251.0.0/16");
                spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.251.0.0/16"]);
                spec["seed"]["spec"]["networks"]["pods"] = json!("10.250.0.0/15");
            })
            .variable(0, "SHOOT_NODE_NETWORKS", "10.251.0.0/16")
            .variable(0, "SEED_POD_NETWORK", "10.250.0.0/15")
            .variable(1, "SEED_POD_NETWORK", "10.250.0.0/15"),
            "unchanged",
            true,
            None,
        ),
        ("no overlap any more, live", Call::wrong().live(seed_pods("10.64.0.0/11")), "not-concerned", true, None),
        (
            "no live answer",
            Call::wrong().with(|call| call.live = Some(Answer::Unanswered("secret words".to_owned()))),
            "unchanged",
            true,
            Some(format!("{wrong}: left as it is, the Cluster could not be read again; repeat the write")),
        ),
        ("the Cluster is gone", Call::wrong().with(|call| call.live = Some(Answer::Absent)), "unchanged", true, None),
        ("a stale cache", Call::wrong().with(|call| call.is_stale = true), "corrected", true, None),
        (
            "a stale cache and no answer",
            Call::wrong().with(|call| {
                call.is_stale = true;
                call.live = Some(Answer::Unanswered(String::new()));
            }),
            "not-concerned",
            true,
            None,
        ),
        (
            "a reference",
            Call::overlapping().object(|object| {
                *variable(object, 1, "SHOOT_NODE_NETWORKS") =
                    json!({"name": "SHOOT_NODE_NETWORKS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
            }),
            "unchanged",
            false,
            None,
        ),
        ("another name", Call::wrong().object(|object| object["metadata"]["name"] = json!("x")), "not-concerned", false, None),
        (
            "being deleted",
            Call::wrong().object(|object| object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            "not-concerned",
            false,
            None,
        ),
        ("a deletion", Call::wrong().with(|call| call.operation = "DELETE"), "not-concerned", false, None),
        ("a scale", Call::wrong().with(|call| call.sub_resource = "scale"), "not-concerned", false, None),
        ("the single VPN", Call::wrong().with(|call| call.object = fixture("non-ha", "vpn-shoot")), "unchanged", false, None),
    ] {
        let (asked, _) = call.result();
        let done = call.run();
        assert_eq!((done.verdict.decision, asked), (decision, asks), "{name}");
        assert_ne!(done.verdict.outcome, Outcome::Denied, "{name}");
        assert_eq!(decision == "corrected", matches!(done.verdict.outcome, Outcome::Patched(_)), "{name}");
        assert!(!done.answer.contains("secret words"), "{name}: what the Seed says is nobody's business in a Shoot");
        if let Some(warning) = warning {
            let warnings: Vec<String> = done.verdict.findings.iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [warning], "{name}");
        }
    }
}

#[test]
fn corrects_what_is_wrong_and_nothing_else() {
    let done = Call::wrong().run();
    assert_eq!(done.object, Call::overlapping().object, "gardenlet's object comes out");
    let again = Call::wrong().with(|call| call.object = done.object).run();
    assert_eq!(again.verdict.decision, "unchanged", "a second look changes nothing");

    let none = Call::overlapping().object(|object| {
        object["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("env");
    });
    let mut env = none.run().object["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    env.as_array_mut().unwrap().sort_by_key(|entry| entry["name"].to_string());
    assert_eq!(
        env,
        json!([
            {"name": "SEED_POD_NETWORK", "value": "10.250.128.0/17"},
            {"name": "SHOOT_NODE_NETWORKS", "value": "10.250.0.0/16"},
            {"name": "SHOOT_POD_NETWORKS", "value": "100.96.0.0/11"},
            {"name": "SHOOT_SERVICE_NETWORKS", "value": "100.64.0.0/13"},
        ])
    );
}

#[test]
fn what_gardener_writes_is_right() {
    for case in ["ha", "ha-dual-stack", "ha-several-nodes", "ha-repeated-nodes"] {
        // All networks of the fixtures but those of the Seed overlap a Seed like this; the Seed's own must say it too.
        let mut object = fixture(case, "vpn-shoot");
        let mut cluster = fixture(case, "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
        for container in 0..2 {
            variable(&mut object, container, "SEED_POD_NETWORK")["value"] = json!("10.0.0.0/8");
        }
        let uid = cluster["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap().to_owned();
        let call = Call { object, uid, live: None, cluster: Some(cluster), ..Call::overlapping() };
        assert_eq!(call.run().verdict.decision, "unchanged", "{case}");
    }
}
