//! The real route controllers of Kubernetes beside calico-node, which writes the same condition of a node. calico-node's
//! own writes are the test's.

use serde_json::{Value, json};

use super::{LOOKS, held, overlay, pending, released, reported};
use crate::harness::{Patch, RouteController, Shoot, Switch, eventually, until};

/// Looks after which Calico's condition would have been removed: six in a row, and then what comes of it.
const PATIENCE: u32 = 6 + LOOKS;

/// The name of the ClusterRole by which we may write conditions of nodes.
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/network-guard-overlay";

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicy";
const FROZEN: &str = "frozen";

/// From now on the Shoot's API server refuses what we change of this node, and dry runs of everybody.
fn nobody_may_change(shoot: &Shoot, node: &str) {
    shoot.api.create(
        &POLICIES.replace("policy", "policies"),
        &json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": FROZEN},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes/status"],
                }]},
                "validations": [{"expression": format!(
                    "object.metadata.name != '{node}' || (request.userInfo.username != 'system:serviceaccount:kube-system:network-guard' && !(has(request.dryRun) && request.dryRun))"
                )}],
            },
        }),
    );
    shoot.api.create(
        &format!("{POLICIES}bindings"),
        &json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": FROZEN}, "spec": {"policyName": FROZEN, "validationActions": ["Deny"]},
        }),
    );
    // It takes the API server up to some seconds to heed a policy.
    let path = format!("/api/v1/nodes/{node}/status?dryRun=All");
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    eventually("the policy is heeded", || {
        let result = shoot.api.try_patch(&path, Patch::Strategic, &ready);
        result.as_ref().is_err_and(|error| error.contains(FROZEN)).then_some(()).ok_or_else(|| format!("{result:?}"))
    });
}

/// Brings a Shoot of another infrastructure into the place of the harness's.
fn is_on(shoot: &Shoot, provider: &str) {
    shoot.label_namespace(provider, "calico");
    shoot.update_cluster(|shoot| shoot["spec"]["provider"]["type"] = json!(provider));
}

/// A node, and its calico-node, which has started.
fn add_node(shoot: &Shoot, name: &str) {
    shoot.add_node(name);
    shoot.node_condition(name, "False", "CalicoIsUp");
}

fn says(shoot: &Shoot, node: &str, status: &str, reason: &str) -> bool {
    shoot.condition(node) == Some((status.to_owned(), reason.to_owned()))
}

#[track_caller]
fn has_route(shoot: &Shoot, node: &str) {
    until("the route controller says so", || says(shoot, node, "False", "RouteCreated"));
}

/// Nothing is taken from the nodes, and nothing is released, for longer than it takes.
#[track_caller]
fn is_left_alone(switch: &Switch, nodes: &[&str]) {
    let shoot = &switch.shoot;
    switch.after_looks(PATIENCE, || {
        held(shoot);
        for node in nodes {
            assert!(says(shoot, node, "False", "CalicoIsUp"), "{node}: {:?}", shoot.condition(node));
        }
    });
    assert!(!shoot.events().iter().any(|event| event.contains("Condition")), "{:?}", shoot.events());
}

/// Up to Kubernetes 1.35 the route controller never says what it did where calico-node has written: such a switch is held
/// for ever without us.
#[test]
fn what_calico_wrote_is_removed_where_the_route_controller_says_nothing_over_it() {
    let providers = json!(["aws", "gcp"]);
    let mut switch = Switch::start_with(&json!({"providers": providers, "removeCalicoCondition": []}));
    let shoot = &switch.shoot;
    is_on(shoot, "gcp");
    for node in ["a", "b"] {
        add_node(shoot, node);
    }
    pending(shoot);
    let controller = RouteController::start(shoot, RouteController::V1_35, &[]);
    for node in ["a", "b"] {
        let skips = format!("set node {node} with NodeNetworkUnavailable=false was canceled because it is already set");
        eventually("its route is there, and nobody says so", || {
            let log = controller.log();
            log.contains(&skips).then_some(()).ok_or(log)
        });
    }
    // Switched off.
    is_left_alone(&switch, &["a", "b"]);

    // On an infrastructure whose route controller needs no help: by default.
    switch.seed.kill_guard();
    is_on(&switch.shoot, "aws");
    switch.guard().configure(|configuration| {
        configuration["overlay"].as_object_mut().unwrap().remove("removeCalicoCondition");
    });
    switch.seed.restart_guard();
    is_left_alone(&switch, &["a", "b"]);

    // Where it needs help, but may not have it: that is said, and nothing else is lost.
    switch.shoot.pause_resource_manager();
    let role = switch.shoot.api.get(ROLE).unwrap();
    let rules = |keep: &dyn Fn(&Value) -> bool| -> Value {
        let rules = role["rules"].as_array().unwrap().iter().filter(|rule| keep(rule)).cloned().collect();
        json!({"rules": Value::Array(rules)})
    };
    switch.shoot.api.patch(ROLE, Patch::Merge, &rules(&|rule| rule["resources"] != json!(["nodes/status"])));
    is_on(&switch.shoot, "gcp");
    let shoot = &switch.shoot;
    eventually("the missing right is told", || {
        let message = shoot.held("message");
        let is_told = message.contains("0 of 2 nodes have routes")
            && message.contains("Calico's condition cannot be removed from nodes: it answers 403");
        is_told.then_some(()).ok_or(message)
    });
    is_left_alone(&switch, &["a", "b"]);
    // The nodes come in turns, and what is told stays the same.
    let version = || switch.shoot.network()["metadata"]["resourceVersion"].clone();
    let before = version();
    switch.after_looks(3, || assert_eq!(version(), before, "{:#}", switch.shoot.network()));

    // A node that its API server lets nobody change is passed over.
    nobody_may_change(&switch.shoot, "a");
    switch.shoot.api.patch(ROLE, Patch::Merge, &rules(&|_| true));
    has_route(&switch.shoot, "b");
    eventually("it is told which one it is", || {
        let message = switch.shoot.held("message");
        let is_told = message.contains("1 of 2 nodes have routes")
            && message.contains("Calico's condition cannot be removed from node a: its API server does not permit it");
        is_told.then_some(()).ok_or(message)
    });
    assert!(says(&switch.shoot, "a", "False", "CalicoIsUp"));
    switch.shoot.api.delete(&format!("{POLICIES}bindings/{FROZEN}"));

    // With it the route controller has its say.
    switch.shoot.api.patch(ROLE, Patch::Merge, &rules(&|_| true));
    switch.shoot.resume_resource_manager();
    released(&switch.shoot);
    for node in ["a", "b"] {
        has_route(&switch.shoot, node);
    }
    reported(&switch.shoot, "OverlaySwitchConditionRemoved");
}

/// A quota that is exhausted, and a node that joins while the switch is held.
fn every_route_is_told(version: &str) {
    let switch = Switch::start_with(&json!({"providers": ["gcp"]}));
    let shoot = &switch.shoot;
    is_on(shoot, "gcp");
    for node in ["a", "b", "c"] {
        add_node(shoot, node);
    }
    pending(shoot);
    let controller = RouteController::start(shoot, version, &["c"]);
    for node in ["a", "b"] {
        has_route(shoot, node);
    }
    // The route controller itself writes over Calico's word where it cannot make a route.
    until("it is denied", || says(shoot, "c", "True", "NoRouteCreated"));
    let missing = |routes: &str| {
        eventually("what is missing is told, and why", || {
            let message = shoot.held("message");
            let is_told = message.contains(&format!("{routes} nodes have routes; missing: c (+0)"))
                && message.contains("RouteController failed to create a route")
                && message.contains("quota of routes exceeded");
            is_told.then_some(()).ok_or(message)
        });
    };
    missing("2 of 3");
    switch.after_looks(PATIENCE, || {
        held(shoot);
        assert!(says(shoot, "c", "True", "NoRouteCreated"), "{:?}", shoot.condition("c"));
    });

    // Calico is there before the route controller has looked at the node.
    controller.pause();
    add_node(shoot, "d");
    until("it is missing", || shoot.held("message").contains("2 of 4 nodes have routes; missing: c, d (+0)"));
    controller.resume();
    has_route(shoot, "d");
    missing("3 of 4");
    assert_eq!(shoot.calico(), overlay());

    controller.refuse(&[]);
    released(shoot);
    has_route(shoot, "c");
}

#[test]
fn every_route_is_told_with_kubernetes_1_35() {
    every_route_is_told(RouteController::V1_35);
}

#[test]
fn every_route_is_told_with_kubernetes_1_36() {
    every_route_is_told(RouteController::V1_36);
}
