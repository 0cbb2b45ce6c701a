//! Switches as they go: gardenlet, the extension, the controller and people write a Network, the webhook stands in
//! between, and nodes come and go.

mod approvals;
mod cases;
mod families;
mod families_gcp;
mod model;
mod passing;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::admission::{self, AskLoop};
use crate::gardener::network::{
    OPERATION, STATE_MEMBER, SWITCH_ANNOTATIONS, SWITCH_APPROVED, SwitchingNetwork, TIMESTAMP, family_name,
};
use crate::gardener::node::NodeFacts;
use crate::gardener::{Encapsulation, encapsulation};
use crate::landscape::Snapshot;
use crate::net::Family;
use crate::overlay::{
    Act, Nodes, Record, RouteTracker, SwitchSettings, act, desired, record, release_word, released_config,
    released_families,
};

const NAMESPACE: &str = "shoot--garden--orders";

/// A Seed with one Shoot, everything that writes its Network, and its nodes.
struct World {
    settings: SwitchSettings,
    /// The Network as it is stored; `null` before it is created.
    network: Value,
    /// `spec.shoot` of the Cluster.
    shoot: Value,
    nodes: Vec<NodeFacts>,
    /// Whether the Shoot's API server answers.
    answers: bool,
    /// The controller, which forgets it when it restarts.
    tracker: RouteTracker,
    now: Timestamp,
    writes: u64,
    /// The last answer of the webhook.
    verdict: Option<Verdict>,
}

impl World {
    /// A Shoot with this configuration of Calico, created and reconciled.
    fn with(config: &Value) -> Self {
        let mut world = Self::before(config);
        world.gardenlet();
        world.extension();
        world
    }

    /// The same before gardenlet wrote the Network.
    fn before(config: &Value) -> Self {
        Self {
            settings: SwitchSettings::default(),
            network: Value::Null,
            shoot: json!({
                "metadata": {"annotations": {}},
                "spec": {
                    "networking": {
                        "type": "calico", "providerConfig": config, "ipFamilies": ["IPv4"],
                        "pods": "100.64.0.0/11", "services": "100.96.0.0/13", "nodes": "10.250.0.0/16",
                    },
                    "provider": {"type": "aws", "workers": [{"name": "a"}]},
                },
                "status": {"lastOperation": {"type": "Reconcile", "state": "Succeeded"}},
            }),
            nodes: Vec::new(),
            answers: true,
            tracker: RouteTracker::default(),
            now: "2026-11-20T10:00:00Z".parse().unwrap(),
            writes: 0,
            verdict: None,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let spec = json!({"shoot": self.shoot, "seed": {"spec": {"networks": {"pods": "10.0.0.0/9"}}}});
        snapshot.put_cluster(NAMESPACE, crate::gardener::ClusterFacts::parse(&spec.to_string()));
        snapshot
    }

    /// The call about a write of this.
    fn review(&self, new: &Value) -> String {
        let operation = if self.network.is_null() { "CREATE" } else { "UPDATE" };
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": operation, "namespace": NAMESPACE, "name": "orders",
                "resource": {"group": "extensions.gardener.cloud", "version": "v1alpha1", "resource": "networks"},
                "userInfo": {"username": "gardenlet"},
                "object": new, "oldObject": self.network,
            },
        })
        .to_string()
    }

    /// Sends a new version of the Network through the webhook and stores what comes out; `false` when it is refused.
    fn write(&mut self, mut new: Value) -> bool {
        let review = self.review(&new);
        let request = admission::decode(review.as_bytes()).unwrap();
        let handler = HoldNetwork::new(&self.settings.hold);
        let snapshot = self.snapshot();
        let verdict = AskLoop::new(&handler, &request, Some(&snapshot)).end().expect("nothing is asked");
        let passes = verdict.outcome != Outcome::Denied;
        if let Outcome::Patched(patch) = &verdict.outcome {
            let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
            json_patch::patch(&mut new, &patch).expect("patches apply");
            // What a second look changes is a loop in the making.
            let mut again: Value = serde_json::from_str(&review).unwrap();
            again["request"]["object"] = new.clone();
            let again = again.to_string();
            let request = admission::decode(again.as_bytes()).unwrap();
            let second = AskLoop::new(&handler, &request, Some(&snapshot)).end().expect("nothing is asked");
            assert!(!matches!(second.outcome, Outcome::Patched(_)), "not idempotent: {second:?}");
        }
        self.verdict = Some(verdict);
        if passes {
            let changed = new["spec"] != self.network["spec"];
            self.writes += 1;
            let generation = self.network["metadata"]["generation"].as_u64().unwrap_or(0) + u64::from(changed);
            new["metadata"]["generation"] = json!(generation);
            new["metadata"]["resourceVersion"] = json!(self.writes.to_string());
            self.network = new;
        }
        passes
    }

    /// gardenlet reconciles: all of `spec`, the operation and a new timestamp.
    fn gardenlet(&mut self) -> bool {
        self.pass(1);
        let mut new = if self.network.is_null() {
            json!({"metadata": {"name": "orders", "namespace": NAMESPACE, "uid": "n"}})
        } else {
            self.network.clone()
        };
        let networking = &self.shoot["spec"]["networking"];
        new["spec"] = json!({
            "type": networking["type"], "podCIDR": networking["pods"], "serviceCIDR": networking["services"],
            "ipFamilies": networking["ipFamilies"],
        });
        if !networking["providerConfig"].is_null() {
            new["spec"]["providerConfig"] = networking["providerConfig"].clone();
        }
        new["metadata"]["annotations"][OPERATION] = json!("reconcile");
        new["metadata"]["annotations"][TIMESTAMP] = json!(self.now.to_string());
        self.write(new)
    }

    /// The extension takes the request and renders Calico.
    fn extension(&mut self) {
        let mut new = self.network.clone();
        if new["metadata"]["annotations"].as_object_mut().unwrap().remove(OPERATION).is_some() {
            assert!(self.write(new), "an extension is never refused");
            let section = &self.network["spec"]["providerConfig"]["ipv6"];
            let has_ipv6 = self.counting().contains(&Family::V6);
            assert!(
                section.is_null() || has_ipv6,
                "Calico's chart fails over a section of a family that does not count"
            );
            self.network["status"]["lastOperation"] = json!({"type": "Reconcile", "state": "Succeeded"});
            self.network["status"]["observedGeneration"] = self.network["metadata"]["generation"].clone();
            let deployed: Vec<&str> = self.counting().into_iter().map(family_name).collect();
            self.network["status"]["ipFamilies"] = json!(deployed);
        }
    }

    /// The Shoot asks for this from now on.
    fn ask(&mut self, config: Value) {
        self.shoot["spec"]["networking"]["providerConfig"] = config;
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// One turn of the controller.
    fn controller(&mut self) -> Act {
        let Some(network) = SwitchingNetwork::read(&self.network.to_string()).unwrap() else {
            return Act::Nothing("no switch");
        };
        let snapshot = self.snapshot();
        let shoot = snapshot.switch_facts(NAMESPACE);
        let remembered = network.record.as_deref().and_then(Record::read);
        let nodes = if self.answers { Nodes::Seen(&self.nodes, None) } else { Nodes::Failed("it does not answer") };
        let (act, _) = act(&network, shoot, &mut self.tracker, nodes, self.now, &self.settings);
        let mut new = self.network.clone();
        match &act {
            Act::Say { state, status } => {
                let mut record = record(&network, remembered.as_ref());
                record.latched = self.tracker.latched();
                record.status = status.as_deref().cloned().or(record.status);
                let message = record.message();
                self.network["status"]["state"][STATE_MEMBER] = serde_json::to_value(record).unwrap();
                new = self.network.clone();
                new["metadata"]["annotations"][SWITCH_STATE] = json!(state.name());
                if *state == SwitchState::Approved {
                    new["metadata"]["annotations"][SWITCH_APPROVED] = json!(self.now.to_string());
                }
                new["metadata"]["annotations"][SWITCH_MESSAGE] = json!(message);
                assert!(self.write(new), "the controller's own writes pass");
            }
            Act::Release(reason) => {
                let desired = desired(shoot.unwrap()).unwrap();
                new["metadata"]["annotations"][SWITCH_STATE] = json!(release_word(&network, &desired, *reason).name());
                new["metadata"]["annotations"][SWITCH_REQUESTED] = json!(desired.digest());
                assert!(self.write(new), "the controller's own writes pass");
                new = self.network.clone();
                new["metadata"]["annotations"][OPERATION] = json!("reconcile");
                new["metadata"]["annotations"][SWITCH_APPROVED] =
                    json!(format!("{} by write {}", self.now, self.writes));
                match released_config(&network, &desired) {
                    Some(config) => new["spec"]["providerConfig"] = config,
                    None => drop(new["spec"].as_object_mut().unwrap().remove("providerConfig")),
                }
                if let Some(families) = released_families(&network, &desired) {
                    new["spec"]["ipFamilies"] = families.iter().map(|family| family_name(*family)).collect();
                }
                assert!(self.write(new), "the controller's own writes pass");
            }
            Act::Clear | Act::Forget if network.has_annotations() => {
                for key in SWITCH_ANNOTATIONS.into_iter().chain([SWITCH_PASSED]) {
                    new["metadata"]["annotations"].as_object_mut().unwrap().remove(key);
                }
                assert!(self.write(new));
                self.network["status"]["state"] = Value::Null;
            }
            Act::AwaitRollout if network.passed.is_some() => {
                new["metadata"]["annotations"].as_object_mut().unwrap().remove(SWITCH_PASSED);
                assert!(self.write(new));
            }
            Act::Clear | Act::Forget | Act::AwaitRollout => self.network["status"]["state"] = Value::Null,
            Act::Look | Act::Nothing(_) => {}
        }
        act
    }

    fn restart(&mut self) {
        let record = self.network["status"]["state"][STATE_MEMBER].to_string();
        self.tracker = Record::read(&record)
            .map(|record| RouteTracker::resume(&record.since, &record.latched))
            .unwrap_or_default();
    }

    /// What Calico is told, as far as it counts.
    fn mode(&self) -> Encapsulation {
        let config = &self.network["spec"]["providerConfig"];
        let text = config.to_string();
        encapsulation(Some(&*text).filter(|_| !config.is_null()), &self.counting()).unwrap()
    }

    /// The IP families that the extension uses of those that it is told.
    fn counting(&self) -> Vec<Family> {
        let told = self.network["spec"]["ipFamilies"].as_array().unwrap().iter();
        let known = told.map(|name| if name == "IPv4" { Family::V4 } else { Family::V6 });
        known.take(if self.nodes_are_dual() { 2 } else { 1 }).collect()
    }

    /// What the constraint says that gardenlet has on the Shoot while its nodes get a second family.
    fn nodes_are_dual(&self) -> bool {
        let constraints = self.shoot["status"]["constraints"].as_array();
        constraints.into_iter().flatten().all(|it| it["type"] != DUAL_STACK || it["status"] == "True")
    }

    /// From now on the Shoot asks for both families; `None` when gardenlet has put no constraint on it.
    fn ask_for_both(&mut self, are_nodes_dual: Option<bool>) {
        self.shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        self.constrain(are_nodes_dual);
    }

    fn constrain(&mut self, are_nodes_dual: Option<bool>) {
        let status = |is: bool| json!([{"type": DUAL_STACK, "status": if is { "True" } else { "Progressing" }}]);
        self.shoot["status"]["constraints"] = are_nodes_dual.map_or(json!([]), status);
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.network["metadata"]["annotations"][key].as_str()
    }

    fn generation(&self) -> u64 {
        self.network["metadata"]["generation"].as_u64().unwrap()
    }

    fn decision(&self) -> &'static str {
        self.verdict.as_ref().unwrap().decision
    }
}

fn on() -> Value {
    json!({"overlay": {"enabled": true}})
}

fn off() -> Value {
    json!({"overlay": {"enabled": false}})
}

/// A node by what its condition says: `status/reason`.
fn node(name: &str, condition: &str) -> NodeFacts {
    let (status, reason) = condition.split_once('/').unwrap();
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {"podCIDR": "100.64.0.0/24"},
        "status": {"conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "NetworkUnavailable", "status": status, "reason": reason},
        ]},
    }))
    .unwrap()
}

const DUAL_STACK: &str = "DualStackNodesMigrationReady";
const CREATED: &str = "False/RouteCreated";
const DENIED: &str = "True/NoRouteCreated";
const CALICO_UP: &str = "False/CalicoIsUp";
const CALICO_DOWN: &str = "True/CalicoIsDown";
