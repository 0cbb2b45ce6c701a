//! Switches as they go: gardenlet, the extension, the controller and people write a Network, the webhook stands in
//! between, and nodes come and go.

mod approvals;
mod cases;
mod families;
mod families_gcp;
mod leader;
mod model;
mod passing;

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::leader::{Fault, Leader};
use super::*;
use crate::admission::{self, AskLoop};
use crate::gardener::network::{
    OPERATION, Record, STATE_MEMBER, SWITCH_ANNOTATIONS, SWITCH_APPROVED, SwitchingNetwork, TIMESTAMP, family_name,
};
use crate::gardener::node::NodeFacts;
use crate::gardener::{Encapsulation, encapsulation};
use crate::landscape::Snapshot;
use crate::net::Family;
use crate::overlay::{Act, SwitchSettings, desired, seconds};

const NAMESPACE: &str = "shoot--garden--orders";

/// A Seed with one Shoot, everything that writes its Network, and its nodes.
#[derive(Clone)]
struct World {
    settings: SwitchSettings,
    /// The Network as it is stored; `null` before it is created.
    network: Value,
    /// `spec.shoot` of the Cluster.
    shoot: Value,
    /// The last one that was read, and what is known by it.
    known: RefCell<(Value, Snapshot)>,
    nodes: Vec<NodeFacts>,
    /// Whether the Shoot's API server answers.
    answers: bool,
    leader: Leader,
    /// What is broken in the leader.
    fault: Fault,
    /// Whether Calico's Pods are new.
    is_rolled_out: bool,
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
            known: RefCell::default(),
            nodes: Vec::new(),
            answers: true,
            leader: Leader::default(),
            fault: |_| (),
            is_rolled_out: true,
            now: "2026-11-20T10:00:00Z".parse().unwrap(),
            writes: 0,
            verdict: None,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut known = self.known.borrow_mut();
        if known.0 != self.shoot {
            let spec = json!({"shoot": self.shoot, "seed": {"spec": {"networks": {"pods": "10.0.0.0/9"}}}});
            known.0.clone_from(&self.shoot);
            known.1.put_cluster(NAMESPACE, crate::gardener::ClusterFacts::parse(&spec.to_string()));
        }
        known.1.clone()
    }

    /// The answer of the webhook to a review of this.
    fn judge(&self, new: &Value) -> Verdict {
        let old = (!self.network.is_null()).then(|| self.network.to_string());
        let new = new.to_string();
        let read = |text| Network::read(text).unwrap();
        let (new, old) = (read(&new), old.as_deref().map(read));
        let snapshot = self.snapshot();
        verdict(decide(&new, old.as_ref(), snapshot.switch_facts(NAMESPACE), &self.settings.hold), &new)
    }

    /// Sends a new version of the Network through the webhook and stores what comes out; `false` when it is refused.
    fn write(&mut self, mut new: Value) -> bool {
        let verdict = self.judge(&new);
        let passes = verdict.outcome != Outcome::Denied;
        if let Outcome::Patched(patch) = &verdict.outcome {
            let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
            json_patch::patch(&mut new, &patch).expect("patches apply");
            // What a second look changes is a loop in the making.
            let second = self.judge(&new);
            assert!(!matches!(second.outcome, Outcome::Patched(_)), "not idempotent: {second:?}");
        }
        self.verdict = Some(verdict);
        if passes {
            let changed = new["spec"] != self.network["spec"];
            let generation = self.network["metadata"]["generation"].as_u64().unwrap_or(0) + u64::from(changed);
            new["metadata"]["generation"] = json!(generation);
            self.network = new;
            self.bump();
        }
        passes
    }

    /// There is a new version of the Network.
    fn bump(&mut self) {
        self.writes += 1;
        self.network["metadata"]["resourceVersion"] = json!(self.writes.to_string());
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
            let now = seconds(self.now);
            self.network["status"]["lastOperation"] =
                json!({"type": "Reconcile", "state": "Succeeded", "lastUpdateTime": now});
            self.network["status"]["observedGeneration"] = self.network["metadata"]["generation"].clone();
            let deployed: Vec<&str> = self.counting().into_iter().map(family_name).collect();
            self.network["status"]["ipFamilies"] = json!(deployed);
            self.bump();
        }
    }

    /// The Shoot asks for this from now on.
    fn ask(&mut self, config: Value) {
        self.shoot["spec"]["networking"]["providerConfig"] = config;
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
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
