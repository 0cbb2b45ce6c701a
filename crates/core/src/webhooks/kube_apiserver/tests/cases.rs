//! Which Deployments are decided, by which facts, and what is in them afterwards.

use super::*;

/// A name, a call, the decision, the rules that spoke.
#[test]
fn every_case() {
    let nodes = |cidr: &'static str| {
        move |spec: &mut Value| {
            spec["shoot"]["spec"]["networking"]["nodes"] = json!(cidr);
            spec["shoot"]["status"]["networking"]["nodes"] = json!([cidr]);
        }
    };
    let injected_rule = ["warn vpn/injected"];
    let rows: Vec<(&str, Call, &str, &[&str])> = vec![
        ("overlap by nodes", Call::overlapping(), "injected", &injected_rule),
        ("none", Call::new("ha", "ha"), "none", &[]),
        ("hibernated", Call::overlapping().object(|o| o["spec"]["replicas"] = json!(0)), "injected", &injected_rule),
        (
            "Cluster missing",
            Call::overlapping().without_cluster(Some(Answer::Absent)),
            "refused",
            &["deny vpn/cluster-missing"],
        ),
        (
            "Cluster read live",
            Call::overlapping().without_cluster(Some(Answer::Found(Arc::new(ClusterFacts::parse(
                &fixture("ha-overlap", "cluster")["spec"].to_string(),
            ))))),
            "injected",
            &injected_rule,
        ),
        (
            "no answer",
            Call::overlapping().without_cluster(Some(Answer::Unanswered("deadline exceeded".to_owned()))),
            "refused",
            &["deny vpn/cluster-unanswered"],
        ),
        ("Cluster missing, non-HA", Call::new("non-ha", "non-ha").without_cluster(None), "none", &[]),
        ("networks that do not parse, non-HA", Call::new("non-ha", "non-ha").cluster(nodes("x")), "none", &[]),
        ("gardenlet's own proxy", Call::new("ha-overlap", "ha-overlap"), "gardenlet", &["note vpn/gardenlet-proxy"]),
        (
            "gardenlet's own proxy, Cluster missing",
            Call::new("ha-overlap", "ha").without_cluster(None),
            "gardenlet",
            &["note vpn/gardenlet-proxy"],
        ),
        (
            "another name",
            Call::overlapping().object(|o| o["metadata"]["name"] = json!("gardener-apiserver")),
            "not-concerned",
            &[],
        ),
        (
            "another label",
            Call::overlapping().object(|o| o["metadata"]["labels"]["role"] = json!("x")),
            "not-concerned",
            &[],
        ),
        (
            "no labels",
            Call::overlapping().object(|o| drop(o["metadata"].as_object_mut().unwrap().remove("labels"))),
            "not-concerned",
            &[],
        ),
        (
            "being deleted",
            Call::overlapping().object(|o| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            "not-concerned",
            &[],
        ),
        (
            "a deletion",
            Call { operation: "DELETE", old: Some(injected()), ..Call::overlapping() },
            "not-concerned",
            &[],
        ),
        ("a status write", Call { sub_resource: "status", ..Call::overlapping() }, "not-concerned", &[]),
    ];
    for (name, call, decision, rules) in rows {
        let done = call.run();
        assert_eq!(done.verdict.decision, decision, "{name}: {:?}", done.verdict);
        assert_eq!(done.rules(), rules, "{name}");
        let has_proxy = done.names("containers").contains(&"envoy-proxy".to_owned());
        match decision {
            "injected" => assert!(has_proxy, "{name}"),
            _ => assert_eq!(done.object, call.object, "{name}: must stay as it came"),
        }
        assert_eq!(done.response["allowed"], decision != "refused", "{name}");
        assert_eq!(done.response.get("patch").is_some(), decision == "injected", "{name}");
    }
}
