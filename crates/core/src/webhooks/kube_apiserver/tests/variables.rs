//! Variables of vpn2 that are kept right.

use super::nat::{facts_of, grown, nodes, own};
use super::*;

/// A name, a call without an answer of the API server, whether it is asked, the decision when it says the same, the rules
/// that spoke then.
#[test]
fn variables_are_put_right_by_what_the_api_server_says_now() {
    const CORRECTED: &str = "warn vpn/vpn-variables-corrected";
    let wrong = || json!({"value": "10.9.0.0/16"});
    let told_of_overlap = Call::new("ha", "ha").told_nodes(2, json!({"value": "10.64.0.0/16"}));
    let reference = json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let rows: Vec<(&str, Call, bool, &str, &[&str])> = vec![
        ("right", Call::overlapping(), false, "injected", &["warn vpn/injected"]),
        ("wrong", Call::overlapping().told_nodes(2, wrong()), true, "injected", &["warn vpn/injected", CORRECTED]),
        (
            "wrong in what is stored",
            Call { object: injected(), ..Call::overlapping() }.told_nodes(3, wrong()),
            true,
            "corrected",
            &[CORRECTED],
        ),
        ("no overlap, wrong", Call::new("ha", "ha").told_nodes(2, wrong()), false, "none", &[]),
        ("no overlap, told of one", told_of_overlap, true, "corrected", &[CORRECTED]),
        (
            "a reference",
            Call::overlapping().told_nodes(2, reference),
            false,
            "injected",
            &["warn vpn/injected", "warn vpn/vpn-variables"],
        ),
        (
            "gardenlet's own proxy",
            Call::new("ha-overlap", "ha-overlap"),
            false,
            "gardenlet",
            &["note vpn/gardenlet-proxy"],
        ),
        (
            "gardenlet's own proxy, wrong",
            Call::new("ha-overlap", "ha-overlap").told_nodes(3, wrong()),
            true,
            "corrected",
            &["note vpn/gardenlet-proxy", CORRECTED],
        ),
    ];
    for (name, call, asks, decision, rules) in rows {
        let asked = matches!(call.result(), Err(NoVerdict::Asks(Questions { cluster: Some(cluster), .. })) if cluster == "shoot--local--ha");
        assert_eq!(asked, asks, "{name}");
        let done = call.clone().live().run();
        assert_eq!(
            (done.verdict.decision, done.rules()),
            (decision, rules.iter().map(|rule| (*rule).to_owned()).collect()),
            "{name}"
        );
        assert_eq!(done.response["auditAnnotations"].get("variables").is_some(), rules.contains(&CORRECTED), "{name}");

        let again = Call { object: done.object.clone(), ..call.clone() };
        assert!(!matches!(again.result(), Err(NoVerdict::Asks(_))), "{name}: asks again");
        assert!(again.run().response.get("patch").is_none(), "{name}: a second time");
        let repeated = call.live().over(done.object.clone()).run();
        assert_eq!(repeated.object, done.object, "{name}: the sender writes the same again");
    }
}

#[test]
fn corrections_are_told() {
    let call = Call::overlapping().told_nodes(2, json!({"value": "10.9.0.0/16"})).live();
    let done = call.run();
    assert_eq!(nodes(&done.object, 3), nodes(&plain(), 2), "by what the Cluster says");
    insta::assert_json_snapshot!(
        "corrected",
        json!({"auditAnnotations": done.response["auditAnnotations"], "warnings": done.response["warnings"]})
    );
}

/// gardenlet writes the Cluster just before the Deployment: nothing that a cache has missed is undone.
#[test]
fn a_cluster_that_has_just_grown_is_not_corrected_back() {
    let networks = "10.250.0.0/16,10.64.0.0/16";
    for (name, cached) in [("no overlap before", "ha"), ("overlap before", "ha-overlap")] {
        let live = grown(fixture(cached, "cluster"), "10.64.0.0/16");
        for nat in [Mode::VpnClient, own()] {
            let call = Call { object: told(plain(), &live), nat, ..Call::new("ha", cached) };
            assert!(matches!(call.result(), Err(NoVerdict::Asks(_))), "{name}");
            let done = call.clone().answered(Answer::Found(facts_of(&live))).run();
            assert_eq!(done.verdict.decision, "injected", "{name}");
            assert_eq!(nodes(&done.object, 2)["value"], networks, "{name}");
            if call.nat != Mode::VpnClient {
                let pod = &done.object["spec"]["template"]["spec"];
                assert!(pod["initContainers"][1]["command"].to_string().contains(networks), "{name}");
            }
        }
    }
}

/// Without an answer nothing is corrected, and what else was decided is done.
#[test]
fn without_an_answer_variables_stay() {
    let unreadable = vec![FieldError::new("x", "y".to_owned())];
    for (answer, want) in [
        (
            Answer::Unanswered("no answer within 4500 ms".to_owned()),
            "the Cluster could not be read again: no answer within 4500 ms",
        ),
        (Answer::Absent, "the Cluster is gone"),
        (Answer::Found(Arc::new(Err(unreadable.into()))), "the Cluster has networks by now that cannot be read"),
    ] {
        let call = Call::overlapping().told_nodes(2, json!({"value": "10.9.0.0/16"})).answered(answer);
        let done = call.run();
        assert_eq!(done.rules(), ["warn vpn/injected", "warn vpn/vpn-variables"], "{want}");
        assert_eq!(nodes(&done.object, 3)["value"], "10.9.0.0/16", "{want}");
        let said = done.verdict.findings[1].to_string();
        let want = format!(
            "spec.template.spec.containers[2].env[3].value: `SHOOT_NODE_NETWORKS` of `vpn-client-1` says `10.9.0.0/16`, \
             the Cluster says `10.250.0.0/16`: left as it is, {want}; repeat the write"
        );
        assert_eq!(said, want);
    }
    // Nor is the sidecar taken away that a cluster needs which has grown meanwhile.
    let live = grown(fixture("ha", "cluster"), "10.64.0.0/16");
    for nat in [Mode::VpnClient, own()] {
        let call = Call { object: told(plain(), &live), nat, ..Call::new("ha", "ha") };
        let stored = call.clone().answered(Answer::Found(facts_of(&live))).run().object;
        let done = call.answered(Answer::Absent).over(stored.clone()).run();
        assert_eq!((done.verdict.decision, &done.object), ("kept", &stored));
    }
    // The containers of network-guard keep the newer networks that they have, also while the older ones overlap too.
    let live = grown(fixture("ha-overlap", "cluster"), "10.64.0.0/16");
    let call = Call { object: told(plain(), &live), nat: own(), ..Call::new("ha", "ha-overlap") };
    let stored = call.clone().answered(Answer::Found(facts_of(&live))).run().object;
    let done = call.answered(Answer::Absent).over(stored.clone()).run();
    assert_eq!((done.verdict.decision, &done.object), ("kept", &stored));
    // A name that no namespace can have is asked of nobody.
    let mut call = Call::overlapping().told_nodes(2, json!({"value": "10.9.0.0/16"}));
    call.object["metadata"]["namespace"] = json!("a/b");
    call.cluster.as_mut().unwrap()["metadata"]["name"] = json!("a/b");
    assert_eq!(call.run().rules(), ["warn vpn/injected", "warn vpn/vpn-variables"]);
}
