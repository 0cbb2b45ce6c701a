//! Shoots, Clusters and nodes of large landscapes.

use network_guard_core::gardener::{Shoot, ShootFacts, ShootName};
use serde_json::{Value, json};

use crate::support::{self, file};

/// What brings an object to the size that it usually has.
fn managed_fields(bytes: usize) -> Value {
    json!([{"manager": "gardenlet", "fieldsV1": {"f:spec": "x".repeat(bytes)}}])
}

/// Shoots, of which one in four peers with two others that list it back.
#[derive(Clone)]
pub struct Shoots {
    template: Value,
    count: usize,
}

impl Shoots {
    pub fn new(count: usize) -> Self {
        let review: Value = serde_json::from_str(&file("reviews/shoot-create.json")).unwrap();
        Self { template: review["request"]["object"].clone(), count }
    }

    /// Shoots of 20 kB.
    pub fn large(count: usize) -> Self {
        let mut shoots = Self::new(count);
        shoots.template["metadata"]["managedFields"] = managed_fields(20_000 - shoots.template.to_string().len());
        shoots
    }

    pub fn json(&self, number: usize) -> Value {
        let mut shoot = self.template.clone();
        shoot["metadata"]["name"] = json!(format!("shoot-{number}"));
        shoot["metadata"]["namespace"] = json!(namespace(number));
        shoot["metadata"]["resourceVersion"] = json!("1");
        shoot["spec"]["seedName"] = json!(format!("eu1-{}", number % 40));
        // A network of its own for every Shoot.
        let base = 0x0a00_0000 + u32::try_from(number * 32).unwrap();
        shoot["spec"]["networking"]["nodes"] = json!(format!("{}/27", std::net::Ipv4Addr::from(base)));
        let peers: Vec<usize> = if number.is_multiple_of(4) {
            vec![(number + 4) % self.count, (number + self.count - 4) % self.count]
        } else {
            vec![]
        };
        shoot["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = entries(&peers);
        shoot
    }

    pub fn facts(&self, number: usize) -> (ShootName, ShootFacts) {
        let text = self.json(number).to_string();
        let shoot = Shoot::read(&text).unwrap();
        (ShootName::new(&shoot.namespace, &shoot.name), ShootFacts::of(&shoot))
    }

    /// A review of a Shoot that is none of them, with this many peers: a creation, or an update that adds the last one.
    pub fn review(&self, operation: &str, peers: usize) -> String {
        let mut review: Value = serde_json::from_str(&file(&format!("reviews/shoot-{operation}.json"))).unwrap();
        let listed: Vec<usize> = (0..peers).map(|i| i * (self.count / peers / 4) * 4 + 1).collect();
        let set = |object: &mut Value, listed: &[usize]| {
            object["metadata"]["name"] = json!("mine");
            object["metadata"]["namespace"] = json!("garden-mine");
            object["spec"]["seedName"] = json!("eu1-1");
            object["spec"]["networking"]["nodes"] = json!("172.16.0.0/27");
            object["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = entries(listed);
        };
        let request = &mut review["request"];
        request["name"] = json!("mine");
        request["namespace"] = json!("garden-mine");
        set(&mut request["object"], &listed);
        if operation == "update" {
            set(&mut request["oldObject"], &listed[..peers - 1]);
        }
        review.to_string()
    }
}

fn namespace(number: usize) -> String {
    format!("garden-project-{}", number / 20)
}

fn entries(peers: &[usize]) -> Value {
    let entry = |peer: &usize| json!({"name": format!("shoot-{peer}"), "namespace": namespace(*peer), "seed": format!("eu1-{}", peer % 40)});
    peers.iter().map(entry).collect()
}

/// What makes Clusters of 20 kB, as gardenlet writes them.
pub fn clusters() -> impl Fn(usize) -> String + Clone + Send + Sync + 'static {
    let mut cluster: Value = serde_json::from_str(&file("gardener/ha-overlap/cluster.json")).unwrap();
    cluster["metadata"]["name"] = json!("NAME");
    cluster["metadata"]["resourceVersion"] = json!("1");
    cluster["metadata"]["managedFields"] = managed_fields(20_000 - cluster.to_string().len());
    let text = cluster.to_string();
    move |number| text.replacen("\"NAME\"", &format!("\"shoot--project--cluster-{number}\""), 1)
}

/// The namespace of a held switch.
pub fn switch_namespace(number: usize) -> String {
    format!("shoot--project--switch-{number}")
}

/// The Cluster of a switch.
pub fn switch_cluster(number: usize) -> String {
    let mut cluster = support::with_calico(serde_json::from_str(&file("gardener/ha/cluster.json")).unwrap());
    cluster["metadata"]["name"] = json!(switch_namespace(number));
    cluster["metadata"]["resourceVersion"] = json!("1");
    cluster.to_string()
}

/// The Network of a held switch.
pub fn held_network(number: usize) -> String {
    let mut network = support::network(&switch_namespace(number), true);
    network["metadata"]["uid"] = json!(format!("n-{number}"));
    for (name, value) in [("state", "pending"), ("since", "2026-11-20T10:00:00Z"), ("requested", "x")] {
        let name = format!("network-guard.extensions.gardener.cloud/overlay-switch-{name}");
        network["metadata"]["annotations"][name] = json!(value);
    }
    network.to_string()
}

/// A node with what makes real ones large: images, managed fields, annotations. About 8 kB.
pub fn node(number: usize) -> String {
    let images: Vec<Value> = (0..40)
        .map(|i| json!({"names": [format!("registry.example.org/some/longer/path/image-{i}@sha256:{i:064}")], "sizeBytes": 1}))
        .collect();
    let reason = if number.is_multiple_of(10) { "CalicoIsUp" } else { "RouteCreated" };
    let since = "2026-11-20T10:00:00Z";
    json!({
        "metadata": {
            "name": format!("ip-10-250-{}-{}.eu-west-1.compute.internal", number / 250, number % 250),
            "uid": format!("00000000-0000-0000-0000-{number:012}"), "resourceVersion": "1", "managedFields": managed_fields(2_000),
        },
        "spec": {"podCIDR": "100.64.0.0/24", "providerID": format!("aws:///eu-west-1a/i-{number:017}")},
        "status": {
            "images": images,
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                {"type": "Ready", "status": "True", "lastTransitionTime": since},
                {"type": "NetworkUnavailable", "status": "False", "reason": reason, "message": "m", "lastTransitionTime": since},
            ],
        },
    })
    .to_string()
}
