//! The bodies that all benchmarks use, and one call of a webhook.

#![allow(dead_code, reason = "each benchmark uses its part")]
#![allow(unreachable_pub, reason = "a benchmark has no outside")]

use std::sync::Arc;

use network_guard_core::admission::{self, AskLoop, Handler};
use network_guard_core::gardener::{ClusterFacts, ShootName};
use network_guard_core::landscape::{Answer, Answers, ClusterRecord, Questions, Snapshot, Visibility};
use network_guard_core::vpn::nat::Mode;
use network_guard_core::vpn::sidecar::Settings;
use network_guard_core::webhooks::KubeApiserver;
use serde_json::{Value, json};

/// A recorded review, told the Seed's Pod network of the Cluster here, as gardenlet would write it.
fn review(name: &str) -> String {
    file(&format!("reviews/{name}.json")).replace("\"10.64.0.0/11\"", "\"10.250.128.0/17\"")
}

/// A file of the fixtures.
pub fn file(path: &str) -> String {
    let path = format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

/// gardenlet's first write, as a real API server sends it.
pub fn create() -> String {
    review("create")
}

/// A later write, with status and the managed fields of two writers, as a real API server sends it.
pub fn update() -> String {
    review("update")
}

/// The first write without managed fields, as API servers before 1.22 and some clients send it.
pub fn create_lean() -> String {
    let mut review: Value = serde_json::from_str(&create()).unwrap();
    review["request"]["object"]["metadata"].as_object_mut().unwrap().remove("managedFields");
    review.to_string()
}

/// 1,500 environment variables, 1,000 volumes and 5,000 annotations, filled up to about 3 MiB.
pub fn adversarial() -> String {
    let mut review: Value = serde_json::from_str(&create()).unwrap();
    let object = &mut review["request"]["object"];
    let filler = "x".repeat(390);
    for i in 0..5_000 {
        object["metadata"]["annotations"][format!("example.org/annotation-{i}")] = json!(filler);
    }
    let pod = &mut object["spec"]["template"]["spec"];
    let env: Vec<Value> = (0..1_500).map(|i| json!({"name": format!("VARIABLE_{i}"), "value": filler})).collect();
    pod["containers"][0]["env"] = json!(env);
    for i in 0..1_000 {
        let volume =
            json!({"name": format!("volume-{i}"), "configMap": {"name": format!("{filler}-{i}"), "defaultMode": 420}});
        pod["volumes"].as_array_mut().unwrap().push(volume);
    }
    review.to_string()
}

/// A review of this request.
pub fn review_of(request: &Value) -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string()
}

fn calico(overlay: bool) -> Value {
    json!({
        "apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig",
        "overlay": {"enabled": overlay}, "typha": {"enabled": true}, "ipam": {"type": "host-local", "cidr": "usePodCIDR"},
    })
}

/// The Cluster of a Shoot on AWS that is to have Calico without an overlay.
pub fn with_calico(mut cluster: Value) -> Value {
    let shoot = &mut cluster["spec"]["shoot"]["spec"];
    shoot["networking"]["type"] = json!("calico");
    shoot["networking"]["providerConfig"] = calico(false);
    shoot["provider"]["type"] = json!("aws");
    cluster
}

/// The Network of such a Shoot.
pub fn network(namespace: &str, overlay: bool) -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {
            "name": "ha", "namespace": namespace, "uid": "00000000-0000-4000-8000-000000000000",
            "resourceVersion": "1", "generation": 1,
            "annotations": {"gardener.cloud/timestamp": "2026-11-20T10:00:00.123456789Z"},
            "managedFields": [{"manager": "gardenlet", "operation": "Update", "fieldsV1": {"f:spec": {"f:type": {}}}}],
        },
        "spec": {
            "type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13", "ipFamilies": ["IPv4"],
            "providerConfig": calico(overlay),
        },
        "status": {"lastOperation": {"state": "Succeeded"}, "observedGeneration": 1},
    })
}

/// gardenlet switches the overlay off.
pub fn network_switch() -> String {
    let namespace = "shoot--local--ha";
    review_of(&json!({
        "uid": "u", "operation": "UPDATE", "namespace": namespace, "name": "ha",
        "resource": {"group": "extensions.gardener.cloud", "version": "v1alpha1", "resource": "networks"},
        "userInfo": {"username": "gardenlet"}, "object": network(namespace, false), "oldObject": network(namespace, true),
    }))
}

/// What a call needs besides its body.
pub struct Scene {
    /// The webhook.
    pub handler: Box<dyn Handler>,
    /// What it knows.
    pub snapshot: Snapshot,
    /// What follows the webhook's path.
    pub path_suffix: String,
    /// What a live read of the Cluster shows.
    pub cluster: Option<Answer<Arc<ClusterRecord>>>,
}

impl Scene {
    /// A landscape in which the Shoot of the bodies overlaps its Seed.
    pub fn new() -> Self {
        let cluster: Value = serde_json::from_str(&file("gardener/ha-overlap/cluster.json")).unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.put_cluster("shoot--local--ha", ClusterFacts::parse(&cluster["spec"].to_string()));
        Self::of(KubeApiserver::new(&Settings::default(), &Mode::default()), snapshot)
    }

    /// This webhook in this landscape.
    pub fn of(handler: impl Handler, snapshot: Snapshot) -> Self {
        Self { handler: Box::new(handler), snapshot, path_suffix: String::new(), cluster: None }
    }

    /// Bytes to bytes: all that is ours in a call. What is asked is answered at once.
    pub fn call(&self, body: &[u8]) -> Vec<u8> {
        let mut request = admission::decode(body).unwrap();
        request.path_suffix = &self.path_suffix;
        let review = AskLoop::new(&*self.handler, &request, Some(&self.snapshot));
        let verdict = review.run(|questions| self.answer(questions)).expect("a decision");
        admission::encode(&request, &verdict)
    }

    /// A live read shows what is known, and the writer may see it all.
    fn answer(&self, questions: &Questions) -> Answers {
        let shoot = |name: &ShootName| self.snapshot.shoots.get(name).cloned().map_or(Answer::Absent, Answer::Found);
        let seed = |name: &str| self.snapshot.seed(name).copied().map_or(Answer::Absent, Answer::Found);
        Answers {
            cluster: self.cluster.clone(),
            visibilities: questions.visibilities.iter().map(|name| (name.clone(), Visibility::Visible)).collect(),
            grants: questions.grants.iter().map(|place| (place.clone(), Visibility::Visible)).collect(),
            shoots: questions.shoots.iter().map(|name| (name.clone(), shoot(name))).collect(),
            seeds: questions.seeds.iter().map(|name| (name.clone(), seed(name))).collect(),
        }
    }
}
