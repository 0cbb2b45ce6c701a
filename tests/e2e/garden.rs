//! The webhooks of the garden behind the real gardener-apiserver: what people apply, what they read, what is stored.

mod disclosure;
mod lifecycle;
mod outage;
mod peering;
mod ratchet;
mod reviews;
mod vpc;

use network_guard_core::gardener::shoot::CONFIRMATION;
use serde_json::{Value, json};

use crate::harness::{Garden, Kubectl, Output, manifests};

/// The Shoot of `shoot.yaml` with this namespace and name, node network and peers.
pub fn shoot(name: &str, nodes: &str, peers: &[Value]) -> Value {
    let text = std::fs::read_to_string(manifests().join("shoot.yaml")).unwrap();
    let mut shoot: Value = serde_saphyr::from_str(&text).unwrap();
    let (namespace, name) = name.split_once('/').unwrap();
    shoot["metadata"] = json!({"name": name, "namespace": namespace});
    shoot["spec"]["networking"]["nodes"] = json!(nodes);
    *peers_of(&mut shoot) = json!(peers);
    shoot
}

/// The entries of a Shoot's peering configuration.
fn peers_of(shoot: &mut Value) -> &mut Value {
    &mut shoot["spec"]["extensions"][0]["providerConfig"]["shootPeerings"]
}

/// The same Shoot on a Seed from the beginning, as only operators may create it.
fn on(seed: &str, mut shoot: Value) -> Value {
    shoot["spec"]["seedName"] = json!(seed);
    shoot
}

/// An entry of `shootPeerings`.
pub fn peer(name: &str, seed: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({"name": name, "namespace": namespace, "seed": seed})
}

/// Applied by a member of its project, and scheduled.
pub fn place(garden: &Garden, seed: &str, shoot: &Value) {
    let text = |field: &str| shoot["metadata"][field].as_str().unwrap();
    let owner = if text("namespace") == "garden-billing" { garden.bob() } else { garden.alice() };
    let output = apply(&owner, shoot);
    assert!(output.ok, "{output:?}");
    silent(&garden.schedule(text("namespace"), text("name"), seed));
}

pub fn apply(kubectl: &Kubectl, shoot: &Value) -> Output {
    kubectl.run(&["apply", "-f", "-"], Some(&shoot.to_string()))
}

fn apply_dry(kubectl: &Kubectl, shoot: &Value) -> Output {
    kubectl.run(&["apply", "--dry-run=server", "-f", "-"], Some(&shoot.to_string()))
}

/// A merge patch.
fn patch(kubectl: &Kubectl, shoot: &str, patch: &Value) -> Output {
    patch_with(kubectl, shoot, patch, &[])
}

fn patch_with(kubectl: &Kubectl, shoot: &str, patch: &Value, further: &[&str]) -> Output {
    let ((namespace, name), patch) = (shoot.split_once('/').unwrap(), patch.to_string());
    let mut arguments = vec!["patch", "shoot", name, "-n", namespace, "--type=merge", "-p", &patch];
    arguments.extend(further);
    kubectl.run(&arguments, None)
}

/// Confirms the deletion and deletes, as people do.
fn delete(kubectl: &Kubectl, shoot: &str) -> (Output, Output) {
    let (namespace, name) = shoot.split_once('/').unwrap();
    let confirmation = format!("{CONFIRMATION}=true");
    let confirmed = kubectl.run(&["annotate", "shoot", name, "-n", namespace, &confirmation], None);
    (confirmed, kubectl.run(&["delete", "shoot", name, "-n", namespace, "--wait=false"], None))
}

fn get(kubectl: &Kubectl, shoot: &str) -> Value {
    let (namespace, name) = shoot.split_once('/').unwrap();
    kubectl.get(&["shoot", name, "-n", namespace])
}

/// It passed, and nobody had anything to say.
#[track_caller]
fn silent(output: &Output) {
    assert!(output.ok && output.stderr.is_empty(), "{output:?}");
}

/// It passed with these warnings of network-guard, in kubectl's words.
#[track_caller]
fn warned(output: &Output, warnings: &[&str]) {
    let want: String = warnings.iter().map(|warning| format!("Warning: {warning}\n")).collect();
    assert!(output.ok, "{output:?}");
    assert_eq!(output.stderr, want);
}

/// It was refused by us: what kubectl prints behind the name of the webhook, without warnings before it.
#[track_caller]
fn refused(output: &Output) -> &str {
    assert!(!output.ok && output.stderr.contains("Error from server (Forbidden)"), "{output:?}");
    let before =
        "admission webhook \"validator.admission-network-guard.extensions.gardener.cloud\" denied the request: ";
    output.stderr.split_once(before).unwrap_or_else(|| panic!("{output:?}")).1
}

/// How many entries are in this state, as the metrics say.
fn entries(garden: &Garden, state: &str) -> String {
    garden.guard.series("network_guard_peering_entries", &format!("state=\"{state}\"")).to_string()
}
