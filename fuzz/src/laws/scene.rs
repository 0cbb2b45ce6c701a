//! One call of a webhook, and what holds for each.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_core::admission::{self, AskLoop, Handler};
use network_guard_core::gardener::{ClusterFacts, SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::{Answer, Answers, ClusterRecord, Questions, Snapshot, Visibility};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The namespace of the Shoot in the recorded objects.
const NAMESPACE: &str = "shoot--local--ha";

/// The namespace whose Shoots nobody may see.
const HIDDEN: &str = "garden-bank";

/// A text of the fixtures, as JSON.
pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("fixtures are JSON")
}

/// The Cluster of a Shoot whose nodes overlap the Pods of its Seed.
pub(super) fn overlapping() -> Value {
    parsed(include_str!("../../../tests/fixtures/gardener/ha-overlap/cluster.json"))
}

/// A Shoot that peers with others.
pub(super) fn peering() -> Value {
    parsed(include_str!("../../../tests/fixtures/reviews/shoot-create.json"))["request"]["object"].take()
}

/// The body of a call about an object, and about the one before, if there was one.
pub(super) fn review(resource: (&str, &str), object: &Value, old: Option<&Value>) -> Value {
    let (group, resource) = resource;
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
        "name": object["metadata"]["name"].as_str().unwrap_or_default(),
        "namespace": object["metadata"]["namespace"].as_str().unwrap_or_default(),
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": object, "oldObject": old,
    }})
}

/// A webhook in a landscape.
pub(super) struct Scene {
    handler: Box<dyn Handler>,
    snapshot: Snapshot,
    path_suffix: String,
    cluster: Answer<Arc<ClusterRecord>>,
}

/// What came of a review.
pub(super) struct Done {
    pub(super) response: Value,
    /// What is stored, if it is admitted.
    pub(super) object: Value,
}

impl Scene {
    /// In a landscape with this Cluster, and some Shoots that may be peered with.
    pub(super) fn new(handler: impl Handler, cluster: &Value) -> Self {
        let facts = || ClusterFacts::parse(&cluster["spec"].to_string());
        let mut snapshot = Snapshot::default();
        snapshot.put_cluster(NAMESPACE, facts());
        let seed = SeedFacts { pods: "10.64.0.0/11".parse().ok(), ..SeedFacts::default() };
        snapshot.put_seed("eu1-a", seed);
        snapshot.put_seed("eu1-b", seed);
        for (namespace, name, nodes) in [
            ("garden-shop", "orders", "172.21.0.0/24"),
            ("garden-shop", "team-0", "172.20.0.0/16"),
            ("garden-shop", "team-1", "172.22.0.0/24"),
            (HIDDEN, "ledger", "172.20.0.0/24"),
        ] {
            let mut shoot = peering();
            shoot["metadata"]["namespace"] = json!(namespace);
            shoot["metadata"]["name"] = json!(name);
            shoot["spec"]["seedName"] = json!("eu1-a");
            shoot["spec"]["networking"]["nodes"] = json!(nodes);
            let peer = json!({"name": "crm", "namespace": "garden-shop", "seed": "eu1-a"});
            shoot["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = json!([peer]);
            let text = shoot.to_string();
            let facts = ShootFacts::of(&Shoot::read(&text).expect("it is a Shoot"));
            snapshot.shoots.put(&ShootName::new(namespace, name), facts);
        }
        let uid = cluster["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap_or_default();
        Self {
            handler: Box::new(handler),
            snapshot,
            path_suffix: format!("{NAMESPACE}/{uid}"),
            cluster: Answer::Found(Arc::new(facts())),
        }
    }

    /// The same while no API server answers and nothing is cached.
    pub(super) fn blind(mut self) -> Self {
        self.snapshot = Snapshot::default();
        self.cluster = Answer::Unanswered("no answer in time".to_owned());
        self
    }

    /// The body that is answered, if it is a review at all.
    fn answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut request = admission::decode(body).ok()?;
        request.path_suffix = &self.path_suffix;
        let review = AskLoop::new(&*self.handler, &request, Some(&self.snapshot));
        let verdict = match review.run(|questions| self.found(questions)) {
            Ok(verdict) => verdict,
            Err(admission::NoVerdict::Unreadable(_)) => return None,
            Err(error @ admission::NoVerdict::Asks(_)) => panic!("{error}"),
        };
        assert!(admission::fits(&request, &verdict), "the patch is larger than its object permits");
        Some(admission::encode(&request, &verdict))
    }

    fn found(&self, questions: &Questions) -> Answers {
        let shoot = |name: &ShootName| self.snapshot.shoots.get(name).cloned().map_or(Answer::Absent, Answer::Found);
        let seed = |name: &str| self.snapshot.seed(name).copied().map_or(Answer::Absent, Answer::Found);
        let visible = |is_hidden| if is_hidden { Visibility::Hidden } else { Visibility::Visible };
        Answers {
            cluster: Some(self.cluster.clone()),
            visibilities: (questions.visibilities.iter())
                .map(|name| (name.clone(), visible(name.namespace() == HIDDEN)))
                .collect(),
            grants: questions.grants.iter().map(|place| (place.clone(), visible(place.covers(HIDDEN)))).collect(),
            shoots: questions.shoots.iter().map(|name| (name.clone(), shoot(name))).collect(),
            seeds: questions.seeds.iter().map(|name| (name.clone(), seed(name))).collect(),
        }
    }

    /// Any bytes: there is an answer or none, the same bytes have the same, and it is no larger than an API server takes.
    pub(super) fn answers(&self, body: &[u8]) -> Option<Value> {
        let answer = self.answer(body);
        assert_eq!(answer, self.answer(body), "the same input gives the same bytes");
        Some(response(&answer?))
    }

    /// A review of an object with types: one that no API server could read is answered, or not, and of others it [obeys](Self::obeys).
    pub(super) fn obeys_typed<T: DeserializeOwned>(&self, review: Value, places: &[&str]) -> Option<Done> {
        let is_readable = |field: &str| {
            let object = &review["request"][field];
            object.is_null() || T::deserialize(object).is_ok()
        };
        if is_readable("object") && is_readable("oldObject") {
            return self.obeys(review, places);
        }
        self.answers(review.to_string().as_bytes());
        None
    }

    /// A review: what is answered, and that a patch applies, stays below these places, and leaves nothing for a second one.
    pub(super) fn obeys(&self, mut review: Value, places: &[&str]) -> Option<Done> {
        // No API server sends another.
        let is_object = |value: &Value| value.is_null() || value["metadata"].is_object();
        if ["object", "oldObject"].iter().any(|field| !is_object(&review["request"][*field])) {
            return None;
        }
        let response = self.answers(review.to_string().as_bytes())?;
        let Some(patch) = patch(&response) else {
            return Some(Done { response, object: review["request"]["object"].take() });
        };
        for operation in patch.as_array().expect("a patch is a list") {
            let at = operation["path"].as_str().expect("each operation has a path");
            assert!(places.iter().any(|place| at.starts_with(place)), "{at} is not ours");
        }
        let patch: json_patch::Patch = serde_json::from_value(patch).expect("it is a JSON Patch");
        assert!(!patch.is_empty(), "where nothing changes there is no patch");
        let applied = json_patch::patch(&mut review["request"]["object"], &patch);
        assert!(applied.is_ok(), "{applied:?}: {response} of {review}");
        let again = self.answer(review.to_string().as_bytes()).expect("what a patch makes is answered");
        let again = self::response(&again);
        assert!(self::patch(&again).is_none(), "a second application changes something: {response}, {again}, {review}");
        assert_eq!(response["allowed"], again["allowed"]);
        Some(Done { response, object: review["request"]["object"].take() })
    }
}

fn response(answer: &[u8]) -> Value {
    let response = serde_json::from_slice::<Value>(answer).expect("an answer is JSON")["response"].take();
    bounded(&response);
    response
}

/// The patch of a response.
pub(super) fn patch(response: &Value) -> Option<Value> {
    let patch = STANDARD.decode(response["patch"].as_str()?).expect("a patch is base64");
    Some(serde_json::from_slice(&patch).expect("a patch is JSON"))
}

/// Warnings and causes are few, short, and a line each.
pub(super) fn bounded(response: &Value) {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|text| text.as_str().expect("it is a text").to_owned()).collect()
    };
    let warnings = texts(&response["warnings"]);
    assert!(warnings.len() <= 11, "{} warnings", warnings.len());
    assert!(warnings.iter().map(|line| line.chars().count()).sum::<usize>() <= 4_096);
    assert!(warnings.iter().all(|line| !line.is_empty() && !line.contains(char::is_control)), "{warnings:?}");
    assert_eq!(warnings.iter().collect::<BTreeSet<_>>().len(), warnings.len(), "one is there twice: {warnings:?}");

    let status = &response["status"];
    assert_eq!(status.is_object(), response["allowed"] == false, "a refusal says why, and nothing else does");
    let causes = status["details"]["causes"].as_array().map_or(&[][..], |causes| causes);
    assert!(causes.len() <= 100, "{} causes", causes.len());
    for text in causes.iter().flat_map(|cause| [&cause["field"], &cause["message"]]) {
        assert!(text.as_str().expect("it is a text").chars().count() <= 303, "{text}");
    }
    let message = status["message"].as_str().unwrap_or_default();
    assert!(
        message.split('\n').count() <= 22 && message.split('\n').all(|line| !line.contains(char::is_control)),
        "{message:?}"
    );
    assert!(message.len() <= 128 << 10, "{} bytes", message.len());
}
