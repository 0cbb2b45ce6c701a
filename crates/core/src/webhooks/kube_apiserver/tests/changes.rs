//! Which writes need a decision, and that all others pass before anybody is asked anything.

use super::*;

const OVERLAPS: &str = "network-guard.extensions.gardener.cloud/overlaps";

/// What may be known of the Cluster: everything that could lead to another decision.
pub(super) fn knowledge() -> [(&'static str, Option<Value>, Option<Answer<Arc<ClusterRecord>>>); 5] {
    let mut unreadable = fixture("ha", "cluster");
    unreadable["spec"]["shoot"]["spec"]["networking"]["nodes"] = json!("x");
    [
        ("overlap", Some(fixture("ha-overlap", "cluster")), None),
        ("no overlap", Some(fixture("ha", "cluster")), None),
        ("unreadable", Some(unreadable), None),
        ("not known yet", None, None),
        ("absent", None, Some(Answer::Absent)),
    ]
}

/// Stored Deployments that are complete: with everything of network-guard, or nothing.
fn whole() -> [(&'static str, Value); 8] {
    let hibernated = |mut object: Value| {
        object["spec"]["replicas"] = json!(0);
        object
    };
    let own_without_agent = Call { nat: nat::without_agent("x"), ..Call::overlapping() }.run().object;
    [
        ("plain", plain()),
        ("hibernated", hibernated(plain())),
        ("ours", injected()),
        ("ours, hibernated", hibernated(injected())),
        ("ours with NAT", nat::injected_own()),
        ("ours with NAT once", own_without_agent),
        ("gardenlet's", fixture("ha-overlap", "deployment")),
        ("non-HA", fixture("non-ha", "deployment")),
    ]
}

fn pod(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]
}

type Change = fn(&mut Value);

/// A change, and whether it needs a decision.
const CHANGES: [(&str, Change, bool); 15] = [
    ("nothing", |_| (), false),
    ("a label", |o| o["metadata"]["labels"]["team"] = json!("a"), false),
    ("an annotation of somebody", |o| o["metadata"]["annotations"]["team"] = json!("a"), false),
    ("a finalizer", |o| o["metadata"]["finalizers"] = json!(["a/b"]), false),
    ("another strategy", |o| o["spec"]["strategy"] = json!({"type": "Recreate"}), false),
    ("a pause", |o| o["spec"]["paused"] = json!(true), false),
    ("no replicas", |o| o["spec"]["replicas"] = json!(0), false),
    ("more replicas", |o| o["spec"]["replicas"] = json!(7), true),
    ("a restart", |o| o["spec"]["template"]["metadata"]["annotations"]["restartedAt"] = json!("now"), true),
    ("a label of the Pods", |o| o["spec"]["template"]["metadata"]["labels"]["team"] = json!("a"), true),
    ("an image", |o| pod(o)["containers"][0]["image"] = json!("other"), true),
    ("an argument", |o| pod(o)["containers"][0]["args"].as_array_mut().unwrap().push(json!("--v=5")), true),
    ("the order of containers", |o| pod(o)["containers"].as_array_mut().unwrap().push(json!({"name": "x"})), true),
    ("a volume", |o| pod(o)["volumes"].as_array_mut().unwrap().push(json!({"name": "x", "emptyDir": {}})), true),
    ("our annotation", |o| o["metadata"]["annotations"][OVERLAPS] = json!("?"), true),
];

#[test]
fn what_starts_nothing_passes_whatever_the_cluster_says() {
    let mut rows = 0;
    for (stored, old) in whole() {
        for (name, change, needs_decision) in CHANGES {
            let mut new = old.clone();
            change(&mut new);
            for (known, cluster, live) in knowledge() {
                for nat in [Mode::VpnClient, nat::own()] {
                    let (object, cluster, live) = (new.clone(), cluster.clone(), live.clone());
                    let call = Call { object, cluster, live, nat, ..Call::overlapping() }.over(old.clone());
                    let decision = match call.result() {
                        Ok(verdict) => verdict.decision,
                        Err(NoVerdict::Asks(_)) => "asks",
                        Err(NoVerdict::Unreadable(_)) => "unreadable",
                    };
                    let passes = decision == "starts-nothing";
                    assert_eq!(passes, !needs_decision, "{stored}, {name}, {known}: {decision}");
                    if passes {
                        assert_eq!((call.run().object, call.run().rules().len()), (new.clone(), 0), "{stored}, {name}");
                    }
                    rows += 1;
                }
            }
        }
    }
    assert_eq!(rows, 8 * CHANGES.len() * 5 * 2);
}

/// Each piece of network-guard, taken away alone; a volume goes with what mounts it, or nobody would store that. Without that of the
/// files nothing tells whose the container is, so it is not among them.
const PIECES: [(&str, Change); 8] = [
    ("our annotation", |o| drop(o["metadata"]["annotations"].as_object_mut().unwrap().remove(OVERLAPS))),
    ("Envoy's configuration", |o| {
        let annotations = o["spec"]["template"]["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove(crate::vpn::sidecar::ENVOY_CONFIG_ANNOTATION).unwrap();
    }),
    ("the egress selector", |o| {
        let annotations = o["spec"]["template"]["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove(crate::vpn::sidecar::EGRESS_SELECTOR_ANNOTATION).unwrap();
    }),
    ("the container", |o| without(&mut pod(o)["containers"], "envoy-proxy")),
    ("the volume of sockets", |o| {
        without(&mut pod(o)["volumes"], "network-guard-socket");
        without(&mut pod(o)["containers"][0]["volumeMounts"], "network-guard-socket");
        without(&mut pod(o)["containers"][1]["volumeMounts"], "network-guard-socket");
    }),
    ("the flag", |o| {
        let args = pod(o)["containers"][0]["args"].as_array_mut().unwrap();
        args.retain(|arg| !arg.as_str().unwrap().contains("network-guard"));
    }),
    ("the mount of files", |o| without(&mut pod(o)["containers"][0]["volumeMounts"], "network-guard-config")),
    ("the mount of sockets", |o| without(&mut pod(o)["containers"][0]["volumeMounts"], "network-guard-socket")),
];

fn without(list: &mut Value, name: &str) {
    let list = list.as_array_mut().unwrap();
    let before = list.len();
    list.retain(|item| item["name"] != name);
    assert_eq!(list.len() + 1, before, "{name}");
}

/// Where only a part of the sidecar is stored, the next write completes it or takes the rest away, by any writer.
#[test]
fn what_is_half_there_is_decided() {
    let mut halves: Vec<(String, Mode, Value)> = Vec::new();
    for (name, take) in PIECES {
        for (nat, mut half) in [(Mode::VpnClient, injected()), (nat::own(), nat::injected_own())] {
            take(&mut half);
            halves.push((name.to_owned(), nat, half));
        }
    }
    let mut half = nat::injected_own();
    without(&mut pod(&mut half)["initContainers"], "network-guard-nat-init");
    halves.push(("what puts rules in place".to_owned(), nat::own(), half));
    for (lacks, nat, stored) in &halves {
        let mut labelled = stored.clone();
        labelled["metadata"]["labels"]["team"] = json!("a");
        for (known, cluster, want) in [("overlap", "ha-overlap", "whole"), ("no overlap", "ha", "gone")] {
            let call = Call { object: labelled.clone(), nat: nat.clone(), ..Call::new("ha", cluster) };
            let done = call.live().over(stored.clone()).run();
            let left = done.object.to_string().contains("network-guard");
            assert_eq!(left, want == "whole", "{lacks}, {known}: {:?}", done.verdict);
            let again = Call { object: done.object.clone(), nat: nat.clone(), ..Call::new("ha", cluster) };
            assert_eq!(again.over(done.object).run().verdict.decision, "starts-nothing", "{lacks}, {known}");
        }
        // It never stops anybody.
        let call = Call { object: labelled, nat: nat.clone(), ..Call::overlapping() };
        let done = call.without_cluster(Some(Answer::Absent)).over(stored.clone()).run();
        assert_eq!(done.response["allowed"], true, "{lacks}: {:?}", done.verdict);
    }
    // What is left of containers that translate, where nothing else is ours.
    let mut left = plain();
    let nat = nat::injected_own()["spec"]["template"]["spec"]["initContainers"][1].clone();
    pod(&mut left)["initContainers"].as_array_mut().unwrap().push(nat);
    let done = Call { object: left.clone(), ..Call::new("ha", "ha") }.live().over(left).run();
    assert!(!done.object.to_string().contains("network-guard"), "{:?}", done.verdict);
}

/// What was stored with a problem stops nobody: the same call is refused as soon as it would start something new.
#[test]
fn problems_that_are_stored_stop_nobody() {
    let asleep = |replicas: u32| {
        let mut object = plain();
        object["spec"]["replicas"] = json!(replicas);
        object
    };
    let changed = |change: Change| {
        let mut object = plain();
        change(&mut object);
        object
    };
    for (name, old, new, decision) in [
        ("hibernation", plain(), asleep(0), "starts-nothing"),
        ("fewer", asleep(3), asleep(1), "starts-nothing"),
        ("more", asleep(1), asleep(3), "tolerated"),
        ("our annotation", plain(), changed(|o| o["metadata"]["annotations"][OVERLAPS] = json!("?")), "tolerated"),
        ("wake-up", asleep(0), asleep(2), "refused"),
        ("another image", plain(), changed(|o| pod(o)["containers"][0]["image"] = json!("other")), "refused"),
    ] {
        let call = Call { object: new, ..Call::overlapping() }.without_cluster(Some(Answer::Absent)).over(old);
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object, call.object, "{name}");
        let warned = done.response["warnings"].as_array().is_some_and(|warnings| warnings.len() == 1);
        assert_eq!(warned, decision == "tolerated", "{name}");
    }
}

/// To get a decision about a Deployment that is older than network-guard, an operator sets its annotation.
#[test]
fn our_annotation_asks_for_a_decision() {
    for (cluster, decision) in [("ha-overlap", "injected"), ("ha", "removed")] {
        let call = Call::new("ha", cluster);
        let stored = call.object.clone();
        let call = call.object(|object| object["metadata"]["annotations"][OVERLAPS] = json!("?"));
        let done = call.live().over(stored).run();
        assert_eq!(done.verdict.decision, decision);
        assert_ne!(done.object["metadata"]["annotations"][OVERLAPS], "?");
    }
}

/// An old object that cannot be read says nothing.
#[test]
fn without_what_is_stored_everything_is_decided() {
    for old in [json!(5), json!({"spec": 5}), json!({"metadata": 5}), json!({})] {
        assert_eq!(Call::overlapping().over(old).run().verdict.decision, "injected");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is stored: with the same template, our annotation and no more replicas a write passes as it came, and
    /// nobody is asked, unless a part of the sidecar is missing. Then it passes too.
    #[test]
    fn the_same_template_passes(
        stored in laws::disturbed(),
        labels in prop::collection::btree_map("x-[a-z]{1,5}", "[a-z]{0,3}", 0..3),
        (before, after) in (0u32..4, 0u32..4),
        known in 0usize..5,
        nat in nat::any_mode(),
    ) {
        let mut stored = stored;
        stored["spec"]["replicas"] = json!(before.max(after));
        let mut object = stored.clone();
        object["spec"]["replicas"] = json!(after);
        object["spec"]["revisionHistoryLimit"] = json!(after);
        for (label, value) in labels {
            object["metadata"]["labels"][label] = json!(value);
        }
        let is_half_there = crate::vpn::is_half_there(&Deployment::read(&stored.to_string()).unwrap());
        let (_, cluster, live) = knowledge().into_iter().nth(known).unwrap();
        let call = Call { object, cluster, live, nat, ..Call::overlapping() }.over(stored);
        match call.result() {
            Ok(verdict) if is_half_there => prop_assert_ne!(verdict.outcome, Outcome::Denied),
            Ok(verdict) => prop_assert_eq!(verdict, Verdict::allow("starts-nothing")),
            Err(NoVerdict::Asks(_)) => prop_assert!(is_half_there),
            Err(NoVerdict::Unreadable(error)) => prop_assert!(false, "{}", error),
        }
    }
}
