//! What the double NAT needs beside variables: network-guard's own containers, or that nothing can translate.

use std::num::NonZeroU32;

use super::*;
use crate::vpn::nat::Own;

/// network-guard's own containers, with one that keeps the rules right.
pub(super) fn without_agent(image: &str) -> Mode {
    Mode::Own(Own { keep_seconds: None, ..Own::new(image) })
}

pub(super) fn own() -> Mode {
    Mode::Own(Own { keep_seconds: NonZeroU32::new(30), ..Own::new("registry.example.org/network-guard:v1") })
}

pub(super) fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::VpnClient), Just(own()), Just(without_agent("x"))]
}

impl Call {
    pub(super) fn own(self) -> Self {
        Self { nat: own(), ..self }
    }

    /// Somebody changes what a container is told about nodes.
    pub(super) fn told_nodes(self, container: usize, value: Value) -> Self {
        self.pod(|pod| {
            let env = pod["containers"][container]["env"].as_array_mut().unwrap();
            let variable = env.iter_mut().find(|variable| variable["name"] == "SHOOT_NODE_NETWORKS").unwrap();
            *variable = value;
            variable["name"] = json!("SHOOT_NODE_NETWORKS");
        })
    }

    pub(super) fn answered(mut self, answer: Answer<Arc<ClusterRecord>>) -> Self {
        self.live = Some(answer);
        self
    }
}

/// The stored object after a first write in mode `own`.
pub(super) fn injected_own() -> Value {
    Call::overlapping().own().run().object
}

pub(super) fn nodes(object: &Value, container: usize) -> Value {
    let env = object["spec"]["template"]["spec"]["containers"][container]["env"].as_array().unwrap();
    env.iter().find(|variable| variable["name"] == "SHOOT_NODE_NETWORKS").unwrap().clone()
}

pub(super) fn facts_of(cluster: &Value) -> Arc<ClusterRecord> {
    Arc::new(ClusterFacts::parse(&cluster["spec"].to_string()))
}

/// A Cluster with one more node network.
pub(super) fn grown(mut cluster: Value, network: &str) -> Value {
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", network]);
    cluster
}

#[test]
fn own_containers_are_complete() {
    let done = Call::overlapping().own().run();
    assert_eq!(done.rules(), ["warn vpn/injected", "warn vpn/nat-containers"]);
    assert_eq!(done.names("initContainers"), ["vpn-client-init", "network-guard-nat-init"]);
    assert_eq!(
        done.names("containers"),
        ["kube-apiserver", "envoy-proxy", "vpn-client-0", "vpn-client-1", "vpn-path-controller", "network-guard-nat"]
    );
    let pod = &done.object["spec"]["template"]["spec"];
    insta::assert_json_snapshot!("own", json!({"init": pod["initContainers"][1], "agent": pod["containers"][5]}));

    let mode = without_agent("x");
    let done = Call { nat: mode, ..Call::overlapping() }.run();
    assert!(!done.names("containers").contains(&"network-guard-nat".to_owned()), "only if wanted");

    let seed_pods = |spec: &mut Value| spec["seed"]["spec"]["networks"]["pods"] = json!("100.64.0.0/10");
    let done = Call::new("ha-dual-stack", "ha-dual-stack").cluster(seed_pods).own().run();
    insta::assert_json_snapshot!(
        "own_dual_stack",
        done.object["spec"]["template"]["spec"]["initContainers"][1]["command"]
    );
}

/// A name, a call, the decision, the rules that spoke, which own containers are there afterwards.
#[test]
fn every_case_of_own_containers() {
    const BOTH: [&str; 2] = ["network-guard-nat-init", "network-guard-nat"];
    let foreign = |list: &'static str, name: &'static str| {
        move |pod: &mut Value| {
            pod[list].as_array_mut().unwrap().push(json!({"name": name, "command": ["network-guard", "nat"]}));
        }
    };
    let stored = |case: &'static str| {
        let call = Call::new("ha", case);
        Call { object: told(injected_own(), call.cluster.as_ref().unwrap()), ..call }
    };
    let changed = "warn vpn/nat-containers";
    let taken = "deny vpn/name-taken";
    let wrong = || json!({"value": "10.9.0.0/16"});
    let rows: Vec<(&str, Call, &str, Vec<&str>, &[&str])> = vec![
        ("overlap", Call::overlapping().own(), "injected", vec!["warn vpn/injected", changed], &BOTH),
        ("none", Call::new("ha", "ha").own(), "none", vec![], &[]),
        ("stored", stored("ha-overlap").own(), "unchanged", vec![], &BOTH),
        ("switched on", Call { object: injected(), ..Call::overlapping() }.own(), "updated", vec![changed], &BOTH),
        ("the overlap ends", stored("ha").own(), "removed", vec!["warn vpn/removed", changed], &[]),
        ("switched off", stored("ha-overlap"), "updated", vec![changed], &[]),
        (
            "the agent is not wanted any more",
            Call { nat: without_agent("registry.example.org/network-guard:v1"), ..stored("ha-overlap") },
            "updated",
            vec![changed],
            &BOTH[..1],
        ),
        (
            "somebody changed one",
            stored("ha-overlap").own().pod(|pod| pod["containers"][5]["securityContext"]["privileged"] = json!(true)),
            "updated",
            vec![changed],
            &BOTH,
        ),
        (
            "somebody moved one to the front",
            stored("ha-overlap").own().pod(|pod| pod["containers"].as_array_mut().unwrap().rotate_right(1)),
            "unchanged",
            vec![],
            &BOTH,
        ),
        (
            "the overlap ends, and one is at the front",
            stored("ha").own().pod(|pod| pod["containers"].as_array_mut().unwrap().rotate_right(1)),
            "removed",
            vec!["warn vpn/removed", changed],
            &[],
        ),
        (
            "a foreign one",
            Call::overlapping().own().pod(foreign("containers", BOTH[1])),
            "refused",
            vec![taken],
            &BOTH[1..],
        ),
        (
            "a foreign init container",
            Call::overlapping().own().pod(foreign("initContainers", BOTH[0])),
            "refused",
            vec![taken],
            &BOTH[..1],
        ),
        (
            "one in the other list",
            Call::overlapping().own().pod(foreign("containers", BOTH[0])),
            "refused",
            vec![taken],
            &BOTH[..1],
        ),
        (
            "a foreign one, and not our business",
            Call::overlapping().pod(foreign("containers", BOTH[1])),
            "injected",
            vec!["warn vpn/injected"],
            &BOTH[1..],
        ),
        (
            "a foreign one, no overlap",
            Call::new("ha", "ha").own().pod(foreign("containers", BOTH[1])),
            "none",
            vec![],
            &BOTH[1..],
        ),
        (
            "wrong variables",
            Call::overlapping().told_nodes(2, wrong()).own().live(),
            "injected",
            vec!["warn vpn/injected", changed],
            &BOTH,
        ),
        (
            "networks that do not fit",
            Call::overlapping()
                .cluster(|spec| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "11.0.0.0/8"]))
                .own(),
            "refused",
            vec!["deny vpn/cannot-translate"],
            &[],
        ),
        (
            "gardenlet's own proxy",
            Call::new("ha-overlap", "ha-overlap").own(),
            "gardenlet",
            vec!["note vpn/gardenlet-proxy"],
            &[],
        ),
        (
            "another VPN",
            Call::new("non-ha", "non-ha")
                .cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("0.0.0.0/0"))
                .own(),
            "none",
            vec![],
            &[],
        ),
    ];
    for (name, call, decision, rules, want) in rows {
        let done = call.run();
        assert_eq!(
            (done.verdict.decision, done.rules()),
            (decision, rules.iter().map(|rule| (*rule).to_owned()).collect()),
            "{name}"
        );
        let names = [done.names("initContainers"), done.names("containers")].concat();
        let mut ours: Vec<&String> = names.iter().filter(|name| name.starts_with("network-guard-nat")).collect();
        ours.sort_by_key(|name| *name != BOTH[0]);
        assert_eq!(ours, want, "{name}");
        assert_eq!(done.response["allowed"], decision != "refused", "{name}");
        if matches!(decision, "unchanged" | "none" | "refused" | "gardenlet") {
            assert_eq!(done.object, call.object, "{name}: must stay as it came");
        }
        let again = Call { object: done.object.clone(), ..call.clone() }.run();
        assert!(again.response.get("patch").is_none(), "{name}: a second time: {:?}", again.verdict);
        assert_eq!(nodes_of_all(&done.object), nodes_of_all(&call.object), "{name}: variables are not ours");
    }
}

/// A VPN that cannot translate is told of in each answer, with any proxy; our own containers would not start.
#[test]
fn a_vpn_that_cannot_translate() {
    let of = |case| {
        Call::new(case, "ha-overlap").cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/7"))
    };
    let calls = [
        ("injected", of("ha")),
        ("unchanged", Call { object: of("ha").run().object, ..of("ha") }),
        ("gardenlet", of("ha-overlap")),
        ("replaced", of("ha-overlap").always()),
    ];
    for (decision, call) in calls {
        let done = call.run();
        assert_eq!(done.verdict.decision, decision);
        assert!(done.rules().contains(&"warn vpn/cannot-translate".to_owned()), "{decision}");
        let warnings = done.response["warnings"].to_string();
        assert!(warnings.contains("cannot be translated"), "{decision}: {warnings}");
    }
    let refused = of("ha").own().run();
    assert_eq!(refused.verdict.decision, "refused");
    assert!(refused.message().contains("cannot be translated"), "{}", refused.message());
}

fn nodes_of_all(object: &Value) -> Vec<Value> {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let env = containers.iter().flat_map(|container| container["env"].as_array().into_iter().flatten());
    env.filter(|variable| variable["name"] == "SHOOT_NODE_NETWORKS").cloned().collect()
}

/// gardenlet's object never carries ours: the same template comes of it each time, and nothing rolls.
#[test]
fn gardenlets_next_write_gives_the_same_template() {
    let stored = injected_own();
    let again = Call::overlapping().own().over(stored.clone()).run();
    assert_eq!(again.object.to_string(), stored.to_string());

    // Whatever the mode is now: what was decided holds while it is unknown.
    for nat in [own(), Mode::VpnClient] {
        let call = Call { nat, ..Call::overlapping() }.without_cluster(Some(Answer::Absent)).over(stored.clone());
        let done = call.run();
        assert_eq!(done.verdict.decision, "kept");
        assert_eq!(done.object["spec"]["template"], stored["spec"]["template"]);
    }
}

#[test]
fn what_was_removed_leaves_no_trace() {
    let cluster = fixture("ha", "cluster");
    let done = Call { object: told(injected_own(), &cluster), ..Call::new("ha", "ha") }.own().run();
    assert_eq!(without_empty(done.object), without_empty(fixture("ha", "deployment")));
}
