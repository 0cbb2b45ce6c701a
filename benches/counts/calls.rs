//! One call of each webhook, with more to do than usual.

use std::sync::Arc;

use network_guard_core::admission::Handler;
use network_guard_core::gardener::{ClusterFacts, SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::{Answer, Snapshot};
use network_guard_core::vpn::nat::Mode;
use network_guard_core::webhooks::{AdviseShoot, HoldNetwork, MutateShoot, ValidateShoot, VpnShoot};
use serde_json::{Value, json};

use crate::support::{self, Scene};

/// A call that can be made again and again.
pub struct Call {
    /// What it needs.
    pub scene: Scene,
    /// Its body.
    pub body: String,
}

/// Makes the scene and the body of a call.
type Make = fn() -> (Scene, String);

/// All calls by name: the path of the webhook without its beginning, and what happens.
pub const ALL: [(&str, Make); 10] = [
    ("mutate/kube-apiserver/create", || (Scene::new(), support::create())),
    ("mutate/kube-apiserver/create-lean", || (Scene::new(), support::create_lean())),
    ("mutate/kube-apiserver/update", || (Scene::new(), support::update())),
    ("mutate/network/switch", network_switch),
    ("mutate/vpn-shoot/corrected", vpn_shoot_corrected),
    ("mutate/shoot/filled-in", || (shoots(MutateShoot::default()), filled_in())),
    ("validate/shoot/create", || (shoots(ValidateShoot::default()), support::file("reviews/shoot-create.json"))),
    ("validate/shoot/update", || (shoots(ValidateShoot::default()), support::file("reviews/shoot-update.json"))),
    ("advise/shoot/delete", || (shoots(AdviseShoot::default()), support::file("reviews/shoot-delete.json"))),
    // It takes valgrind long, so it is no part of the table.
    (ADVERSARIAL, || (Scene::new(), support::adversarial())),
];

/// The call with a body of 3 MiB, which is only shown.
pub const ADVERSARIAL: &str = "mutate/kube-apiserver/adversarial";

impl Call {
    /// The call of this name.
    pub fn of(name: &str) -> Self {
        let (_, make) = ALL.into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no call {name}"));
        let (scene, body) = make();
        Self { scene, body }
    }

    /// Bytes to bytes.
    pub fn run(&self) -> Vec<u8> {
        std::hint::black_box(self.scene.call(self.body.as_bytes()))
    }
}

fn fixture(path: &str) -> Value {
    serde_json::from_str(&support::file(path)).unwrap()
}

/// gardenlet switches Calico's overlay off, and is held.
fn network_switch() -> (Scene, String) {
    let cluster = support::with_calico(fixture("gardener/ha/cluster.json"));
    let mut snapshot = Snapshot::default();
    snapshot.put_cluster("shoot--local--ha", ClusterFacts::parse(&cluster["spec"].to_string()));
    (Scene::of(HoldNetwork::default(), snapshot), support::network_switch())
}

/// The end of the VPN in a Shoot is told another node network than the Cluster has, which is read again.
fn vpn_shoot_corrected() -> (Scene, String) {
    let namespace = "shoot--local--ha";
    let cluster = fixture("gardener/ha-overlap/cluster.json");
    let facts = || ClusterFacts::parse(&cluster["spec"].to_string());
    let mut snapshot = Snapshot::default();
    snapshot.put_cluster(namespace, facts());
    let object = support::file("gardener/ha-overlap/vpn-shoot.json").replace("\"10.250.0.0/16\"", "\"10.251.0.0/16\"");
    let object: Value = serde_json::from_str(&object).unwrap();
    let body = support::review_of(&json!({
        "uid": "u", "operation": "UPDATE", "namespace": "kube-system", "name": "vpn-shoot",
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "system:serviceaccount:kube-system:gardener-resource-manager"},
        "object": object, "oldObject": object,
    }));
    let uid = cluster["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap();
    let cluster = Some(Answer::Found(Arc::new(facts())));
    let path_suffix = format!("{namespace}/{uid}");
    let scene = Scene { path_suffix, cluster, ..Scene::of(VpnShoot::new(&Mode::default()), snapshot) };
    (scene, body)
}

/// A garden with the Shoots that the recorded reviews list.
fn shoots(handler: impl Handler) -> Scene {
    let review = fixture("reviews/shoot-update.json");
    let mut snapshot = Snapshot::default();
    let networks =
        [Some("10.64.0.0/11"), Some("10.96.0.0/13"), None].map(|text| text.and_then(|text| text.parse().ok()));
    let [pods, services, nodes] = networks;
    snapshot.put_seed("eu1-a", SeedFacts { pods, services, nodes });
    let listed = &review["request"]["object"]["spec"]["extensions"][0]["providerConfig"]["shootPeerings"];
    for (number, peer) in listed.as_array().unwrap().iter().enumerate() {
        let mut shoot = review["request"]["object"].clone();
        shoot["metadata"]["name"] = peer["name"].clone();
        shoot["metadata"]["namespace"] = peer["namespace"].clone();
        shoot["spec"]["networking"]["nodes"] = json!(format!("172.21.{number}.0/24"));
        shoot["status"] = json!({});
        let back = json!([{"name": "crm", "namespace": "garden-shop", "seed": "eu1-a"}]);
        shoot["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = back;
        let text = shoot.to_string();
        let shoot = Shoot::read(&text).unwrap();
        snapshot.shoots.put(&ShootName::new(&shoot.namespace, &shoot.name), ShootFacts::of(&shoot));
    }
    Scene::of(handler, snapshot)
}

/// A new Shoot whose entries lack the Seed.
fn filled_in() -> String {
    let mut review = fixture("reviews/shoot-create.json");
    let entries = &mut review["request"]["object"]["spec"]["extensions"][0]["providerConfig"]["shootPeerings"];
    for entry in entries.as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("seed");
    }
    review.to_string()
}
