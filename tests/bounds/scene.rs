//! One call of each webhook, and what it costs.
//!
//! `benches/counts` measures the same calls in instructions.

use std::sync::Arc;

use network_guard_core::admission::{self, AskLoop, Handler, NoVerdict, UserInfo};
use network_guard_core::diagnostics::{self, Policy, Severity};
use network_guard_core::gardener::{ClusterFacts, SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::Snapshot;
use network_guard_core::overlay::HoldSettings;
use network_guard_core::peering;
use network_guard_core::vpn::nat::{Mode, Own};
use network_guard_core::vpn::sidecar::Settings;
use network_guard_core::webhooks::{
    self, AdviseShoot, HoldNetwork, KubeApiserver, MutateShoot, ShootSettings, ValidateShoot, VpnShoot,
};
use network_guard_sources::live;
use serde_json::{Value, json};

/// A request of one webhook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) operation: &'static str,
    sub_resource: &'static str,
    pub(crate) handler: fn() -> Arc<dyn Handler>,
    object: fn() -> Value,
}

fn own() -> Mode {
    Mode::Own(Own { keep_seconds: std::num::NonZeroU32::new(10), ..Own::new("guard:1") })
}

/// All that only warns is a way past the limits of what is refused.
fn shoots() -> ShootSettings {
    let mut policy = Policy::default();
    for rule in webhooks::rules().filter(|rule| rule.name.starts_with("peering/")) {
        policy.set(rule, Some(Severity::Warn));
    }
    ShootSettings { policy, ..ShootSettings::default() }
}

/// As many entries as any configuration permits.
fn thousand() -> ShootSettings {
    let mut settings = shoots();
    settings.peering.max_peers = peering::MOST_PEERS;
    settings
}

/// A call with [`thousand`].
const THOUSAND: &str = "shoot, validate a thousand peers";

/// The requests.
pub(crate) static HANDLERS: &[Call] = &[
    Call {
        name: "kube-apiserver, create",
        operation: "CREATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &Mode::VpnClient)),
        object: deployment,
    },
    Call {
        name: "kube-apiserver, update",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &Mode::VpnClient)),
        object: deployment,
    },
    Call {
        name: "kube-apiserver, own NAT",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &own())),
        object: deployment,
    },
    Call {
        name: "kube-apiserver, injected",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &own())),
        object: injected,
    },
    Call {
        name: "kube-apiserver, gardenlet's proxy",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &Mode::VpnClient)),
        object: with_proxy,
    },
    Call {
        name: "kube-apiserver, removal",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(KubeApiserver::new(&Settings::default(), &Mode::VpnClient)),
        object: injected_elsewhere,
    },
    Call {
        name: "vpn-shoot",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(VpnShoot::new(&Mode::VpnClient)),
        object: vpn_shoot,
    },
    Call {
        name: "vpn-shoot, own NAT",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(VpnShoot::new(&own())),
        object: vpn_shoot,
    },
    Call {
        name: "network",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(HoldNetwork::new(&HoldSettings::default())),
        object: network,
    },
    Call {
        name: "shoot, mutate",
        operation: "CREATE",
        sub_resource: "",
        handler: || Arc::new(MutateShoot::new(&shoots())),
        object: shoot,
    },
    Call {
        name: "shoot, mutate an update",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(MutateShoot::new(&shoots())),
        object: shoot,
    },
    Call {
        name: "shoot, validate",
        operation: "CREATE",
        sub_resource: "",
        handler: || Arc::new(ValidateShoot::new(&shoots())),
        object: shoot,
    },
    Call {
        name: "shoot, validate an update",
        operation: "UPDATE",
        sub_resource: "",
        handler: || Arc::new(ValidateShoot::new(&shoots())),
        object: shoot,
    },
    Call {
        name: "shoot, validate strictly",
        operation: "CREATE",
        sub_resource: "",
        handler: || Arc::new(ValidateShoot::default()),
        object: shoot,
    },
    Call {
        name: THOUSAND,
        operation: "CREATE",
        sub_resource: "",
        handler: || Arc::new(ValidateShoot::new(&thousand())),
        object: shoot,
    },
    Call {
        name: "shoot, advise on a deletion",
        operation: "DELETE",
        sub_resource: "",
        handler: || Arc::new(AdviseShoot::default()),
        object: shoot,
    },
    Call {
        name: "shoot, advise on a move",
        operation: "UPDATE",
        sub_resource: "binding",
        handler: || Arc::new(AdviseShoot::default()),
        object: shoot,
    },
];

const NAMESPACE: &str = "shoot--local--ha";

fn fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// gardenlet's Deployment, told other networks than the Cluster of the scene has: so variables are corrected.
fn deployment() -> Value {
    let mut object = fixture("ha", "deployment");
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object
}

fn with_proxy() -> Value {
    let mut object = fixture("ha-overlap", "deployment");
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object
}

/// What the webhook made of it.
fn injected() -> Value {
    let call = HANDLERS.iter().find(|call| call.name == "kube-apiserver, own NAT").unwrap();
    let mut before = deployment();
    differ(call, &mut before);
    let body = request(call, Some(&before), Some(&deployment())).to_string();
    let request = admission::decode(body.as_bytes()).unwrap();
    let (handler, scene) = ((call.handler)(), Scene::new());
    let review = AskLoop::new(&*handler, &request, Some(&scene.snapshot));
    let verdict =
        review.run(|questions| live::from_snapshot(&scene.snapshot, &UserInfo::default(), questions)).unwrap();
    let admission::Outcome::Patched(patch) = &verdict.outcome else { panic!("{verdict:?}") };
    let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
    let mut object = deployment();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

/// The same in a namespace whose Cluster has no overlap, where it is taken away.
fn injected_elsewhere() -> Value {
    let mut object = injected();
    object["metadata"]["namespace"] = json!(ELSEWHERE);
    object
}

const ELSEWHERE: &str = "shoot--local--other";

fn vpn_shoot() -> Value {
    let mut object = fixture("ha-overlap", "vpn-shoot");
    object["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .retain(|variable| variable["name"] != "SHOOT_NODE_NETWORKS");
    object
}

fn network() -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {
            "namespace": NAMESPACE, "name": "ha",
            "annotations": {
                "gardener.cloud/operation": "reconcile", "gardener.cloud/timestamp": "2026-11-20T10:00:00Z",
                "network-guard.extensions.gardener.cloud/overlay-switch-state": "pending",
                "network-guard.extensions.gardener.cloud/overlay-switch-since": "2026-11-20T09:00:00Z",
                "network-guard.extensions.gardener.cloud/overlay-switch-message": "waits",
            },
        },
        "spec": {
            "type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13", "ipFamilies": ["IPv4"],
            "providerConfig": {
                "apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig",
                "overlay": {"enabled": true}, "ipv4": {"mode": "Always", "pool": "ipip"}, "backend": "bird",
            },
        },
        "status": {"state": {"other": {}}, "conditions": []},
    })
}

fn shoot() -> Value {
    let peer = |i: usize| json!({"name": format!("s{i}"), "namespace": "garden-shop"});
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
        "metadata": {"namespace": "garden-shop", "name": "crm", "labels": {"a": "b"}, "annotations": {"a": "b"}, "managedFields": [{}]},
        "spec": {
            "seedName": "eu1-a",
            "kubernetes": {"version": "1.33.4", "kubeAPIServer": {"featureGates": {"A": true}, "runtimeConfig": {"a/v1": true}}},
            "networking": {
                "type": "calico", "nodes": "10.5.0.0/24", "pods": "100.64.0.0/16", "services": "100.96.0.0/16", "ipFamilies": ["IPv4"],
                "providerConfig": {"overlay": {"enabled": false}, "ipv4": {"mode": "Never"}},
            },
            "provider": {
                "type": "aws", "workers": [{"name": "w", "maximum": 3}],
                "infrastructureConfig": {"networks": {"vpc": {"id": "vpc-1"}, "zones": [{"name": "a"}]}},
            },
            "extensions": [
                {"type": "shoot-dns-service", "providerConfig": {"x": 1}},
                {"type": "osc-peering-service", "providerConfig": {
                    "apiVersion": "service.peering.extensions.osc.t-systems.com/v1", "kind": "PeeringConfig",
                    "shootPeerings": (0..3).map(peer).collect::<Vec<_>>(),
                }},
            ],
        },
        "status": {
            "seedName": "eu1-a", "networking": {"nodes": ["10.5.0.0/24"], "pods": ["100.64.0.0/16"]},
            "lastOperation": {"type": "Reconcile", "state": "Succeeded"}, "conditions": [{}],
        },
    })
}

/// A review of these objects.
fn request(call: &Call, old: Option<&Value>, new: Option<&Value>) -> Value {
    let object = new.or(old).unwrap();
    let handler = (call.handler)();
    let resource = handler.resource();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1",
        "resource": {"group": resource.group, "version": "v1", "resource": resource.plural},
        "subResource": call.sub_resource,
        "name": object["metadata"]["name"].as_str().filter(|name| name.len() < 64),
        "namespace": object["metadata"]["namespace"].as_str().filter(|name| name.len() < 64),
        "operation": call.operation,
        "userInfo": {"username": "alice", "groups": ["people"], "extra": {"a": ["b"]}},
        "object": new,
        "oldObject": old,
    }})
}

impl Call {
    /// The review with the objects as they usually are.
    pub(crate) fn body(&self) -> String {
        self.changed(|_| (), |_| ()).to_string()
    }

    /// The review with changed objects: the old one, and the new one, which differs from it as it usually does.
    pub(crate) fn changed(&self, mut old: impl FnMut(&mut Value), mut new: impl FnMut(&mut Value)) -> Value {
        let (mut before, mut after) = ((self.object)(), (self.object)());
        differ(self, &mut after);
        old(&mut before);
        new(&mut after);
        let after = Some(&after).filter(|_| self.operation != "DELETE");
        let before = Some(&before).filter(|_| self.operation != "CREATE");
        request(self, before, after)
    }
}

/// What the writer changed: something that has to be looked at.
fn differ(call: &Call, object: &mut Value) {
    match &*object["kind"].as_str().unwrap_or_default().to_owned() {
        "Shoot" if call.sub_resource == "binding" => object["spec"]["seedName"] = json!("eu1-b"),
        "Shoot" => object["spec"]["networking"]["nodes"] = json!("10.5.0.0/23"),
        "Network" => object["spec"]["providerConfig"]["overlay"]["enabled"] = json!(false),
        _ => object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other"),
    }
}

/// What there is besides the request.
pub(crate) struct Scene {
    pub(crate) snapshot: Snapshot,
    /// What follows the webhook's path.
    path_suffix: String,
}

/// The most questions that any other call of these tests may ask, with the hundred entries that are permitted by default: who
/// sees each, what each is now, its Seed; and some hundreds that follow from others.
pub(crate) const MOST_LOOKUPS: usize = 3 * 100 + 500;

/// What a call cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Bytes of the request.
    pub(crate) request: usize,
    /// Bytes of the answer.
    pub(crate) answer: usize,
    /// The most bytes that were held at the same time.
    pub(crate) peak: u64,
    /// All bytes that were ever held.
    pub(crate) allocated: u64,
    /// How often something was.
    pub(crate) allocations: u64,
    /// The questions that were asked.
    pub(crate) lookups: usize,
    /// The most that may be.
    pub(crate) most_lookups: usize,
    /// Whether it came to a decision.
    pub(crate) is_decided: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut snapshot = Snapshot::default();
        let cluster = &fixture("ha-overlap", "cluster")["spec"];
        snapshot.put_cluster(NAMESPACE, ClusterFacts::parse(&cluster.to_string()));
        snapshot.put_cluster(ELSEWHERE, ClusterFacts::parse(&fixture("ha", "cluster")["spec"].to_string()));
        let seed = SeedFacts { pods: "10.64.0.0/11".parse().ok(), ..SeedFacts::default() };
        snapshot.put_seed("eu1-a", seed);
        // All of them on one network, in one VPC, and visible.
        let facts = ShootFacts::of(&Shoot::read(&shoot().to_string()).unwrap());
        for i in 0..peering::MOST_PEERS {
            snapshot.shoots.put(&ShootName::new("garden-shop", &format!("s{i}")), facts.clone());
        }
        let path_suffix = format!("{NAMESPACE}/{}", cluster["shoot"]["metadata"]["uid"].as_str().unwrap());
        Self { snapshot, path_suffix }
    }

    /// Bytes to bytes, with all that is ours in between. What is asked is answered from the scene.
    pub(crate) fn cost(&self, call: &Call, body: &str) -> Cost {
        let handler = (call.handler)();
        let (mut answer, mut lookups, mut is_decided) = (0, 0, false);
        let counted = allocation_counter::measure(|| {
            (answer, lookups, is_decided) = self.call(&*handler, body);
        });
        Cost {
            request: body.len(),
            answer,
            peak: counted.bytes_max,
            allocated: counted.bytes_total,
            allocations: counted.count_total,
            lookups,
            most_lookups: if call.name == THOUSAND { 3 * peering::MOST_PEERS + 500 } else { MOST_LOOKUPS },
            is_decided,
        }
    }

    /// As the server does it: the bytes of the answer, the questions that were asked, and whether it came to a decision.
    pub(crate) fn call(&self, handler: &dyn Handler, body: &str) -> (usize, usize, bool) {
        let mut request = match admission::decode(body.as_bytes()) {
            Ok(request) => request,
            Err(error) => return (error.to_string().len(), 0, false),
        };
        request.path_suffix = &self.path_suffix;
        let mut lookups = 0;
        let result = AskLoop::new(handler, &request, Some(&self.snapshot)).run(|questions| {
            lookups += questions.len();
            live::from_snapshot(&self.snapshot, &request.user_info().unwrap(), questions)
        });
        match result {
            Ok(verdict) => {
                assert!(admission::fits(&request, &verdict), "the last look is never needed");
                (admission::encode(&request, &verdict).len(), lookups, true)
            }
            Err(NoVerdict::Unreadable(error)) => {
                let error = diagnostics::line(&error.to_string());
                (admission::encode_failure(&request.uid, 400, "BadRequest", &error).len(), lookups, false)
            }
            Err(error @ NoVerdict::Asks(_)) => panic!("{error}"),
        }
    }
}
