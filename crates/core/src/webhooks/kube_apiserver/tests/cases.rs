//! Every case of a Deployment: what is decided, what is said, and what is in it afterwards.

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
    let seed_pods = |cidr: &'static str| move |spec: &mut Value| spec["seed"]["spec"]["networks"]["pods"] = json!(cidr);
    let removed = |pod: &mut Value, list: &str, name: &str| {
        pod[list].as_array_mut().unwrap().retain(|container| container["name"] != name);
    };
    let injected_rule = ["warn vpn/injected"];
    let rows: Vec<(&str, Call, &str, &[&str])> = vec![
        ("overlap by pods", Call::new("ha", "ha").cluster(seed_pods("100.96.0.0/16")), "injected", &injected_rule),
        ("overlap by services", Call::new("ha", "ha").cluster(seed_pods("100.64.0.0/16")), "injected", &injected_rule),
        ("overlap by nodes", Call::overlapping(), "injected", &injected_rule),
        (
            "overlap by a node network in status only",
            Call::new("ha", "ha").cluster(|spec| {
                spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.65.0.0/16"]);
            }),
            "injected",
            &injected_rule,
        ),
        (
            "several node networks",
            Call::new("ha-several-nodes", "ha-several-nodes").cluster(seed_pods("10.100.0.0/16")),
            "injected",
            &injected_rule,
        ),
        (
            "node networks that repeat themselves, told as Gardener tells them",
            Call::new("ha-repeated-nodes", "ha-repeated-nodes").cluster(seed_pods("10.249.0.0/17")),
            "injected",
            &injected_rule,
        ),
        ("none", Call::new("ha", "ha"), "none", &[]),
        ("none, several node networks", Call::new("ha-several-nodes", "ha-several-nodes"), "none", &[]),
        (
            "IPv6 overlap only",
            Call::new("ha-dual-stack", "ha-dual-stack").cluster(|spec| {
                let pods = spec["shoot"]["status"]["networking"]["pods"].as_array().unwrap().clone();
                let v6 = pods.iter().find(|cidr| cidr.as_str().unwrap().contains(':')).unwrap();
                spec["seed"]["spec"]["networks"]["pods"] = v6.clone();
            }),
            "none",
            &["warn vpn/ipv6"],
        ),
        ("dual-stack without", Call::new("ha-dual-stack", "ha-dual-stack"), "none", &[]),
        (
            "dual-stack with IPv4 overlap",
            Call::new("ha-dual-stack", "ha-dual-stack").cluster(seed_pods("100.64.0.0/10")),
            "injected",
            &injected_rule,
        ),
        ("non-HA with overlap", Call::new("non-ha", "non-ha").cluster(seed_pods("0.0.0.0/0")), "none", &[]),
        ("workerless with overlap", Call::new("workerless", "workerless").cluster(seed_pods("0.0.0.0/0")), "none", &[]),
        ("hibernated", Call::overlapping().object(|o| o["spec"]["replicas"] = json!(0)), "injected", &injected_rule),
        (
            "self-hosted",
            Call::overlapping().cluster(|spec| drop(spec.as_object_mut().unwrap().remove("seed"))),
            "none",
            &[],
        ),
        ("self-hosted, null", Call::overlapping().cluster(|spec| spec["seed"] = Value::Null), "none", &[]),
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
        (
            "networks that do not parse",
            Call::overlapping().cluster(nodes("10.250.0.0/33")),
            "refused",
            &["deny vpn/cluster-unreadable", "deny vpn/cluster-unreadable"],
        ),
        ("networks that do not parse, non-HA", Call::new("non-ha", "non-ha").cluster(nodes("x")), "none", &[]),
        ("gardenlet's own proxy", Call::new("ha-overlap", "ha-overlap"), "gardenlet", &["note vpn/gardenlet-proxy"]),
        (
            "gardenlet's own proxy, Cluster missing",
            Call::new("ha-overlap", "ha").without_cluster(None),
            "gardenlet",
            &["note vpn/gardenlet-proxy"],
        ),
        (
            "foreign container",
            Call::overlapping().pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({"name": "envoy-proxy", "image": "x"}));
            }),
            "refused",
            &["deny vpn/name-taken"],
        ),
        (
            "foreign volumes",
            Call::overlapping().pod(|pod| {
                pod["volumes"].as_array_mut().unwrap().extend([
                    json!({"name": "network-guard-config", "configMap": {"name": "x"}}),
                    json!({"name": "network-guard-socket", "hostPath": {"path": "/"}}),
                ]);
            }),
            "refused",
            &["deny vpn/name-taken", "deny vpn/name-taken"],
        ),
        (
            "foreign egress selector",
            Call::overlapping().pod(|pod| {
                pod["containers"][0]["args"].as_array_mut().unwrap().push(json!("--egress-selector-config-file=/x"));
            }),
            "refused",
            &["deny vpn/name-taken"],
        ),
        (
            "foreign mount",
            Call::overlapping().pod(|pod| {
                pod["containers"][0]["volumeMounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "ca", "mountPath": "/etc/network-guard"}));
            }),
            "refused",
            &["deny vpn/name-taken"],
        ),
        (
            "foreign container without overlap",
            Call::new("ha", "ha").pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({"name": "envoy-proxy", "image": "x"}));
            }),
            "none",
            &[],
        ),
        (
            "foreign volumes without overlap",
            Call::new("ha", "ha").pod(|pod| {
                pod["volumes"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "network-guard-config", "configMap": {"name": "x"}}));
                pod["containers"][0]["volumeMounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "network-guard-config", "mountPath": "/x"}));
            }),
            "none",
            &[],
        ),
        (
            "a container that only looks like gardenlet's",
            Call::overlapping().pod(|pod| {
                pod["containers"].as_array_mut().unwrap().push(json!({
                    "name": "envoy-proxy", "image": "x",
                    "volumeMounts": [{"name": "envoy-config", "mountPath": "/etc/envoy"}],
                }));
            }),
            "refused",
            &["deny vpn/name-taken"],
        ),
        (
            "a Cluster without networks",
            Call::overlapping().cluster(|spec| {
                drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("networking"));
                drop(spec["shoot"].as_object_mut().unwrap().remove("status"));
            }),
            "refused",
            &["deny vpn/cluster-unreadable", "deny vpn/cluster-unreadable"],
        ),
        (
            "no container kube-apiserver",
            Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!("apiserver")),
            "refused",
            &["deny vpn/name-taken"],
        ),
        (
            "HA Shoot, no VPN containers yet",
            Call::new("non-ha", "ha-overlap").object(|o| o["metadata"]["namespace"] = json!("shoot--local--ha")),
            "none",
            &["warn vpn/ha-vpn-mismatch"],
        ),
        (
            "VPN containers, no HA Shoot any more",
            Call::overlapping()
                .cluster(|spec| drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("controlPlane"))),
            "injected",
            &["warn vpn/ha-vpn-mismatch", "warn vpn/injected"],
        ),
        (
            "a VPN container is missing",
            Call::overlapping().pod(|pod| removed(pod, "containers", "vpn-client-1")),
            "refused",
            &["deny vpn/vpn-incomplete"],
        ),
        (
            "the init container is missing",
            Call::overlapping().pod(|pod| removed(pod, "initContainers", "vpn-client-init")),
            "refused",
            &["deny vpn/vpn-incomplete"],
        ),
        (
            "a VPN container is missing, no overlap",
            Call::new("ha", "ha").pod(|pod| removed(pod, "containers", "vpn-client-1")),
            "none",
            &[],
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
