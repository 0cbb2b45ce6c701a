//! What the rules about the overlay find in Shoots of a garden.

mod edits;
mod providers;
mod vpc;

use std::sync::Arc;

use serde_json::{Value, json};

use super::vpc::SHARED_VPC;
use super::*;
use crate::diagnostics::Severity;
use crate::gardener::ShootName;
use crate::landscape::Answer;
use crate::landscape::garden::{self, Judge, facts_of, with};

/// The judging function of this room, with its settings.
#[derive(Default)]
struct Judging {
    overlay: GardenSettings,
    policy: Policy,
}

impl Judge for Judging {
    fn judge(&self, scope: Scope<'_>, view: &mut View<'_>) -> Vec<Finding> {
        judge(scope, &self.overlay, &self.policy, view)
    }
}

type Garden = garden::Garden<Judging>;

pub(crate) const OWN: &str = "garden-shop/web";
pub(crate) const NEIGHBOUR: &str = "garden-shop/orders";
pub(crate) const STRANGER: &str = "garden-bank/ledger";
pub(crate) const PODS: &str = "100.64.0.0/16";

/// A Shoot without an overlay, in this VPC.
pub(crate) fn native(name: &str, pods: &str, vpc: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "Shoot",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "seedName": "eu1-a",
            "kubernetes": {"version": "1.36.1"},
            "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": false}}, "pods": pods},
            "provider": {
                "type": "aws", "workers": [{"name": "w", "maximum": 3}],
                "infrastructureConfig": {"networks": {"vpc": {"id": vpc}}},
            },
        },
    })
}

pub(crate) fn overlay(shoot: Value) -> Value {
    with(shoot, "/spec/networking/providerConfig/overlay/enabled", json!(true))
}

const VPC_ID: &str = "/spec/provider/infrastructureConfig/networks/vpc/id";
