//! network-guard's own containers, which translate in place of vpn2: they come, stay and go.

use super::*;

fn names(object: &Value, list: &str) -> Vec<String> {
    let list = object["spec"]["template"]["spec"][list].as_array().unwrap();
    list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn containers_of_ours_come_stay_and_go() {
    let done = Call::own().run();
    assert_eq!(done.verdict.decision, "injected");
    assert_eq!(names(&done.object, "initContainers"), ["vpn-shoot-init", "network-guard-nat-init"]);
    assert_eq!(
        names(&done.object, "containers"),
        ["vpn-shoot-s0", "vpn-shoot-s1", "tunnel-controller", "network-guard-nat"]
    );
    let pod = &done.object["spec"]["template"]["spec"];
    insta::assert_json_snapshot!("own", json!([pod["initContainers"][1], pod["containers"][3]]));

    let again = Call::own().with(|call| call.object = done.object.clone()).run();
    assert_eq!((again.verdict.decision, &again.object), ("unchanged", &done.object), "a second look changes nothing");
    let rewritten = Call::own().with(|call| call.old = Some(done.object.clone())).run();
    assert_eq!(rewritten.object, done.object, "gardenlet's write again gives the same");
    let grown = Call::own()
        .with(|call| call.object = done.object.clone())
        .cluster(|spec| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.251.0.0/16"]));
    assert_eq!(grown.run().verdict.decision, "unchanged", "the live Cluster knows better than the cache");
    let back = Call::overlapping().with(|call| call.object = done.object.clone()).run();
    assert_eq!((back.verdict.decision, &back.object), ("removed", &Call::overlapping().object));

    // Somebody else's stays, and the write is refused.
    let taken = Call::own().object(|object| {
        object["spec"]["template"]["spec"]["containers"][2]["name"] = json!("network-guard-nat");
    });
    let taken = taken.run().verdict;
    assert_eq!((taken.outcome, taken.findings[0].rule.name), (Outcome::Denied, "vpn/name-taken"));
}

/// API servers refuse a Pod without containers, but only behind the webhooks: until then its list may be missing.
#[test]
fn a_pod_without_containers_is_left_as_it_is() {
    let stored = Call::own().run().object;
    for containers in [Value::Null, json!([])] {
        for call in [Call::own(), Call::own().with(|call| (call.cluster, call.live) = (None, None))] {
            let call = call
                .with(|call| call.old = Some(stored.clone()))
                .object(|object| object["spec"]["template"]["spec"]["containers"] = containers.clone());
            assert_eq!(call.run().object, call.object, "{containers}");
        }
    }
}

/// Whatever another configuration left behind becomes what this one writes, in one pass.
#[test]
fn configurations_converge() {
    let own = |image: &str, seconds| {
        nat::Mode::Own(nat::Own { keep_seconds: std::num::NonZeroU32::new(seconds), ..nat::Own::new(image) })
    };
    let modes = [nat::Mode::VpnClient, own("guard:1", 10), own("guard:2", 10), own("guard:1", 30), own("guard:1", 0)];
    for (a, b) in modes.iter().flat_map(|a| modes.iter().map(move |b| (a, b))) {
        let call = |mode: &nat::Mode, object: Value| {
            Call::overlapping().with(|call| {
                call.mode = mode.clone();
                call.object = object;
            })
        };
        let plain = Call::overlapping().object;
        let first = call(a, plain.clone()).run().object;
        let want = call(b, plain).run().object;
        let second = call(b, first).run().object;
        assert_eq!(second.to_string(), want.to_string(), "{a:?} {b:?}");
        assert_eq!(call(b, second.clone()).run().object, second, "{a:?} {b:?}: a second time");
    }
}

/// While it is unknown who calls, every caller gets the same answer.
#[test]
fn containers_of_ours_stay_while_the_seed_does_not_answer() {
    let injected = Call::own().run().object;
    let stranger = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned();
    for (name, old, decision) in [
        ("the stored one has them", Some(injected.clone()), "kept"),
        ("the stored one is without", Some(Call::overlapping().object), "tolerated"),
        ("a new one", None, "refused"),
    ] {
        let call = Call::own().with(|call| {
            call.is_stale = true;
            call.live = Some(Answer::Unanswered("secret words".to_owned()));
            call.old = old;
        });
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object == injected, decision == "kept", "{name}");
        assert!(!done.answer.contains("secret words"), "{name}");
        for stranger in [
            Call { uid: stranger.clone(), ..call.clone() },
            Call { namespace: "shoot--local--other".to_owned(), ..call },
        ] {
            assert_eq!(stranger.run().answer, done.answer, "{name}");
        }
    }
}

/// Its Cluster says no more whether it overlaps. What is known is whose it is, so nobody else learns of it.
#[test]
fn containers_of_ours_stay_while_the_cluster_cannot_be_used() {
    let injected = Call::own().run().object;
    let unreadable = || Call::own().cluster(seed_pods("x")).with(|call| call.live = None);
    for (name, old, decision) in [
        ("the stored one has them", Some(injected.clone()), "kept"),
        ("the stored one is without", Some(Call::overlapping().object), "tolerated"),
        ("a new one", None, "refused"),
    ] {
        let call = unreadable().with(|call| call.old = old);
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}");
        assert_eq!(done.object == injected, decision == "kept", "{name}");
        let stranger = Call { uid: "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned(), ..call };
        assert_eq!(stranger.run().verdict, Verdict::allow("not-concerned"), "{name}");
    }
}

/// gardenlet knows more networks than a Cluster that cannot be read again: what is stored has them too.
#[test]
fn containers_of_ours_keep_networks_that_are_newer() {
    let grow =
        |spec: &mut Value| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.249.0.0/24"]);
    let told = |call: Call| {
        (0..2).fold(call, |call, container| {
            call.variable(container, "SHOOT_NODE_NETWORKS", "10.250.0.0/16,10.249.0.0/24")
        })
    };
    let stored = told(Call::own()).cluster(grow).live(grow).run().object;
    assert!(stored.to_string().contains("10.250.0.0/16,10.249.0.0/24"));
    let call = told(Call::own()).with(|call| {
        call.old = Some(stored.clone());
        call.live = Some(Answer::Unanswered("x".to_owned()));
    });
    assert_eq!(call.run().object, stored);
}
