//! Every case, on StatefulSets and Clusters that Gardener's own code wrote, and what strangers are told: nothing.

use std::sync::Arc;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::admission;

mod untranslatable;

const NAMESPACE: &str = "shoot--local--ha";

fn fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

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
    is_blind: bool,
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
            is_blind: false,
            mode: nat::Mode::VpnClient,
            old: None,
        }
    }

    /// The same where containers of ours translate.
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
        let mut snapshot = if self.is_blind { Snapshot::blind() } else { Snapshot::default() };
        if let Some(cluster) = self.cluster.as_ref().filter(|_| !self.is_blind) {
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

    /// The steps of the handler: what it asks is answered once.
    fn steps(&self) -> (bool, Step) {
        let body = self.body();
        let tail = format!("{}/{}", self.namespace, self.uid);
        let mut request = admission::decode(body.as_bytes()).unwrap();
        request.tail = tail.trim_end_matches('/');
        let (snapshot, mut answers) = (self.snapshot(), Answers::default());
        let handler = VpnShoot::new(&self.mode);
        match handler.review(&request, &snapshot, &answers) {
            Step::Ask(questions) => {
                let want = Questions { cluster: Some(self.namespace.clone()), ..Questions::default() };
                assert_eq!(questions, want, "nothing else is ever asked");
                answers.cluster = self.live.clone().map(|answer| match answer {
                    Answer::Found(cluster) => Answer::Found(Arc::new(record(&cluster))),
                    Answer::Absent => Answer::Absent,
                    Answer::Unanswered(why) => Answer::Unanswered(why),
                });
                (true, handler.review(&request, &snapshot, &answers))
            }
            step => (false, step),
        }
    }

    fn run(&self) -> Done {
        let (_, step) = self.steps();
        let Step::Done(verdict) = step else { panic!("no decision: {step:?}") };
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
            Some(format!("{wrong}: left as it is, the Cluster could not be read anew; repeat the write")),
        ),
        ("the Cluster is gone", Call::wrong().with(|call| call.live = Some(Answer::Absent)), "unchanged", true, None),
        ("a blind cache", Call::wrong().with(|call| call.is_blind = true), "corrected", true, None),
        (
            "a blind cache and no answer",
            Call::wrong().with(|call| {
                call.is_blind = true;
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
        let (asked, _) = call.steps();
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

fn names(object: &Value, list: &str) -> Vec<String> {
    let list = object["spec"]["template"]["spec"][list].as_array().unwrap();
    list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn containers_of_ours_come_stay_and_go() {
    let done = Call::own().run();
    assert_eq!(done.verdict.decision, "injected");
    assert_eq!(names(&done.object, "initContainers"), ["vpn-shoot-init", "network-guard-nat-init"]);
    assert_eq!(
        names(&done.object, "containers"),
        ["vpn-shoot-s0", "vpn-shoot-s1", "tunnel-controller", "network-guard-nat"]
    );
    let pod = &done.object["spec"]["template"]["spec"];
    insta::assert_json_snapshot!("own", json!([pod["initContainers"][1], pod["containers"][3]]));

    let again = Call::own().with(|call| call.object = done.object.clone()).run();
    assert_eq!((again.verdict.decision, &again.object), ("unchanged", &done.object), "a second look changes nothing");
    let rewritten = Call::own().with(|call| call.old = Some(done.object.clone())).run();
    assert_eq!(rewritten.object, done.object, "gardenlet's write again gives the same");
    let grown = Call::own()
        .with(|call| call.object = done.object.clone())
        .cluster(|spec| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.251.0.0/16"]));
    assert_eq!(grown.run().verdict.decision, "unchanged", "the live Cluster knows better than the cache");
    let back = Call::overlapping().with(|call| call.object = done.object.clone()).run();
    assert_eq!((back.verdict.decision, &back.object), ("removed", &Call::overlapping().object));

    // Somebody else's stays, and the write is refused.
    let taken = Call::own().object(|object| {
        object["spec"]["template"]["spec"]["containers"][2]["name"] = json!("network-guard-nat");
    });
    let taken = taken.run().verdict;
    assert_eq!((taken.outcome, taken.findings[0].rule), (Outcome::Denied, "overlap/name-taken"));
}

/// Whatever another configuration left behind becomes what this one writes, in one pass.
#[test]
fn configurations_converge() {
    let own = |image: &str, seconds| {
        nat::Mode::Own(nat::Own { keep_seconds: std::num::NonZeroU32::new(seconds), ..nat::Own::new(image) })
    };
    let modes = [nat::Mode::VpnClient, own("guard:1", 10), own("guard:2", 10), own("guard:1", 30), own("guard:1", 0)];
    for (a, b) in modes.iter().flat_map(|a| modes.iter().map(move |b| (a, b))) {
        let call = |mode: &nat::Mode, object: Value| {
            Call::overlapping().with(|call| {
                call.mode = mode.clone();
                call.object = object;
            })
        };
        let plain = Call::overlapping().object;
        let first = call(a, plain.clone()).run().object;
        let want = call(b, plain).run().object;
        let second = call(b, first).run().object;
        assert_eq!(second.to_string(), want.to_string(), "{a:?} {b:?}");
        assert_eq!(call(b, second.clone()).run().object, second, "{a:?} {b:?}: a second time");
    }
}

/// While nobody can tell who calls, whoever calls has the same answer.
#[test]
fn containers_of_ours_stay_while_the_seed_does_not_answer() {
    let injected = Call::own().run().object;
    let stranger = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned();
    for (name, old, decision) in [
        ("the stored one has them", Some(injected.clone()), "kept"),
        ("the stored one is without", Some(Call::overlapping().object), "tolerated"),
        ("a new one", None, "refused"),
    ] {
        let call = Call::own().with(|call| {
            call.is_blind = true;
            call.live = Some(Answer::Unanswered("secret words".to_owned()));
            call.old = old;
        });
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object == injected, decision == "kept", "{name}");
        assert!(!done.answer.contains("secret words"), "{name}");
        for stranger in [
            Call { uid: stranger.clone(), ..call.clone() },
            Call { namespace: "shoot--local--other".to_owned(), ..call },
        ] {
            assert_eq!(stranger.run().answer, done.answer, "{name}");
        }
    }
}

/// Its Cluster says no more whether it overlaps. What is known is whose it is, so nobody else learns of it.
#[test]
fn containers_of_ours_stay_while_the_cluster_cannot_be_used() {
    let injected = Call::own().run().object;
    let unreadable = || Call::own().cluster(seed_pods("x")).with(|call| call.live = None);
    for (name, old, decision) in [
        ("the stored one has them", Some(injected.clone()), "kept"),
        ("the stored one is without", Some(Call::overlapping().object), "tolerated"),
        ("a new one", None, "refused"),
    ] {
        let call = unreadable().with(|call| call.old = old);
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object == injected, decision == "kept", "{name}");
        let stranger = Call { uid: "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned(), ..call };
        assert_eq!(stranger.run().verdict, Verdict::allow("not-concerned"), "{name}");
    }
}

/// gardenlet knows more networks than a Cluster that cannot be read anew: what is stored has them too.
#[test]
fn containers_of_ours_keep_networks_that_are_newer() {
    let grow =
        |spec: &mut Value| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.249.0.0/24"]);
    let told = |call: Call| {
        (0..2).fold(call, |call, container| {
            call.variable(container, "SHOOT_NODE_NETWORKS", "10.250.0.0/16,10.249.0.0/24")
        })
    };
    let stored = told(Call::own()).cluster(grow).live(grow).run().object;
    assert!(stored.to_string().contains("10.250.0.0/16,10.249.0.0/24"));
    let call = told(Call::own()).with(|call| {
        call.old = Some(stored.clone());
        call.live = Some(Answer::Unanswered("x".to_owned()));
    });
    assert_eq!(call.run().object, stored);
}

/// An unknown namespace, a wrong UID and a Shoot without overlap have the same answer, whatever is sent.
#[test]
fn strangers_learn_nothing() {
    let uid = Call::wrong().uid;
    let mut answers = std::collections::BTreeSet::new();
    let apart = |call: Call| call.cluster(seed_pods("10.64.0.0/11"));
    let unreadable = |call: Call| call.cluster(seed_pods("x"));
    let without_uid =
        |call: Call| call.cluster(|spec| drop(spec["shoot"]["metadata"].as_object_mut().unwrap().remove("uid")));
    let nobody = "00000000-0000-0000-0000-000000000000";
    let last = format!("{}0", &uid[..35]);
    for (name, call) in [
        ("an unknown namespace", Call::wrong().with(|call| call.namespace = "shoot--local--other".to_owned())),
        ("no namespace", Call::wrong().with(|call| call.namespace = "../../secrets".to_owned())),
        ("a wrong UID", Call::wrong().with(|call| call.uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned())),
        ("a UID that is nearly right", Call::wrong().with(|call| call.uid = last.clone())),
        ("a UID in capitals", Call::wrong().with(|call| call.uid = uid.to_uppercase())),
        ("no UID", Call::wrong().with(|call| call.uid = String::new())),
        ("no overlap", apart(Call::wrong())),
        ("no overlap and a wrong UID", apart(Call::wrong()).with(|call| call.uid = last.clone())),
        ("an unreadable Cluster", unreadable(Call::wrong())),
        ("a Shoot without a UID", without_uid(Call::wrong()).with(|call| call.uid = nobody.to_owned())),
        ("what is no StatefulSet", apart(Call::wrong()).with(|call| call.object = json!({}))),
        (
            "what is none, from a stranger",
            Call::wrong().with(|call| {
                call.object = json!({});
                call.uid = last.clone();
            }),
        ),
        (
            "the right caller, when all is well elsewhere",
            Call::overlapping().object(|object| object["metadata"]["name"] = json!("x")),
        ),
    ] {
        let (asked, _) = call.steps();
        assert!(!asked, "{name}: nobody makes us read for a stranger");
        let done = call.run();
        assert!(done.verdict.findings.is_empty() && done.verdict.audit.is_empty(), "{name}");
        answers.insert(done.answer);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");

    // With a blind cache the Cluster is read live, for everybody alike, and then the same holds.
    for (uid, live) in [
        (last.clone(), Some(Answer::Found(fixture("ha-overlap", "cluster")))),
        (uid.clone(), Some(Answer::Absent)),
        (uid.clone(), Some(Answer::Unanswered("x".to_owned()))),
        (last, Some(Answer::Unanswered("x".to_owned()))),
    ] {
        let call = Call { uid, live, is_blind: true, ..Call::wrong() };
        assert!(call.steps().0);
        answers.insert(call.run().answer);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_ne!(Call::wrong().run().answer, *answers.first().unwrap(), "the Shoot itself is told");
}

#[test]
fn what_cannot_be_read_is_told_to_the_shoot_only() {
    let (_, step) = Call::own().with(|call| call.object = json!({})).steps();
    assert!(matches!(step, Step::Unreadable(_)), "{step:?}");
    // vpn2 does without us: the write passes, as it does while nobody answers.
    let done = Call::wrong().with(|call| call.object = json!({})).run();
    assert_eq!(done.verdict.decision, "tolerated");
    assert_eq!(done.verdict.findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["overlap/unreadable"]);
}

proptest! {
    /// Whatever the path says, nobody but the Shoot is answered otherwise.
    #[test]
    fn any_path_is_a_strangers(namespace in "[a-z/.%-]{0,40}", uid in "[0-9a-f-]{0,40}") {
        let call = Call { namespace, uid, ..Call::wrong() };
        prop_assert_eq!(call.run().verdict, Verdict::allow("not-concerned"));
    }
}
