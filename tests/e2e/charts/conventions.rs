//! What Gardener expects of the objects of an extension.

use network_guard_runtime::stop::StopSettings;
use serde_json::{Value, json};

use super::{RUNTIME, by_secret, merged, servers};
use crate::harness::{Chart, only};

fn pod(objects: &[Value]) -> &Value {
    &only(objects, "Deployment")["spec"]["template"]["spec"]
}

#[test]
fn replicas_are_spread_and_kept() {
    for (chart, namespace, values, _) in servers() {
        let objects = chart.render(namespace, &values);
        let deployment = only(&objects, "Deployment");
        let labels = &deployment["metadata"]["labels"];
        assert_eq!(labels["high-availability-config.resources.gardener.cloud/type"], "server");
        assert_eq!(deployment["spec"]["replicas"], 2);
        assert_eq!(deployment["spec"]["revisionHistoryLimit"], 2);
        assert_eq!(
            deployment["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}})
        );
        assert!(pod(&objects)["affinity"].is_null() && pod(&objects)["topologySpreadConstraints"].is_null());
        let selector = &deployment["spec"]["selector"];
        assert_eq!(selector["matchLabels"]["app.kubernetes.io/name"], deployment["metadata"]["name"]);
        let budget = &only(&objects, "PodDisruptionBudget")["spec"];
        assert_eq!(
            budget,
            &json!({"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": selector})
        );
        let scaler = only(&objects, "VerticalPodAutoscaler");
        let name = deployment["metadata"]["name"].as_str().unwrap();
        assert_eq!(scaler["metadata"]["name"], format!("{name}-vpa"));
        assert_eq!(scaler["spec"]["updatePolicy"]["updateMode"], "InPlaceOrRecreate");
        assert_eq!(scaler["spec"]["targetRef"]["name"], name);
        let policies = json!([
            {"containerName": name, "controlledValues": "RequestsOnly", "minAllowed": {"memory": "64Mi"}},
            {"containerName": "*", "mode": "Off"},
        ]);
        assert_eq!(scaler["spec"]["resourcePolicy"]["containerPolicies"], policies);
        // Requests only: a limit of CPU would be felt as latency of everybody's writes.
        assert_eq!(
            pod(&objects)["containers"][0]["resources"].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["requests"]
        );
        // Longer than the server takes to stop with the defaults of the configuration.
        let StopSettings { propagation_delay, idle_timeout, drain_timeout } = StopSettings::default();
        let stop = (propagation_delay + idle_timeout + drain_timeout).as_secs();
        assert!(pod(&objects)["terminationGracePeriodSeconds"].as_u64().unwrap() > stop + 2);
        assert_eq!(pod(&objects)["containers"][0]["readinessProbe"]["periodSeconds"], 2);
    }
}

#[test]
fn the_priority_class_is_a_value() {
    let [(seed, seed_namespace, seed_values, _), (runtime, namespace, values, by_operator)] = servers();
    let class = |chart: Chart, namespace: &str, values: &Value| {
        pod(&chart.render(namespace, values))["priorityClassName"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(class(seed, seed_namespace, &seed_values), "gardener-system-900");
    assert_eq!(class(runtime, namespace, &values), "gardener-garden-system-400");
    assert_eq!(class(runtime, namespace, &merged(values, &by_operator)), "gardener-garden-system-300");
    assert_eq!(class(seed, seed_namespace, &merged(seed_values, &json!({"priorityClassName": ""}))), "");
}

#[test]
fn containers_may_do_nothing() {
    for (chart, namespace, values, by_gardener) in servers() {
        let objects = chart.render(namespace, &merged(values, &by_gardener));
        let pod = pod(&objects);
        assert_eq!(
            pod["securityContext"],
            json!({
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            })
        );
        assert_eq!(
            pod["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            })
        );
        let account = only(&objects, "ServiceAccount");
        assert_eq!(
            (&account["automountServiceAccountToken"], &pod["automountServiceAccountToken"]),
            (&json!(false), &json!(false))
        );
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            assert_eq!(mount["readOnly"], true, "{mount}");
        }
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(pod["containers"][0][probe]["httpGet"]["port"], "health");
        }
    }
}

/// Tokens are renewed; the server of the garden has one for the cluster that it runs in only where its CA is kept there.
#[test]
fn tokens_are_projected() {
    let [(seed, seed_namespace, seed_values, _), (runtime, namespace, values, _)] = servers();
    let volume = |objects: &[Value], name: &str| {
        let volumes = pod(objects)["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name).cloned()
    };
    // gardener-resource-manager mounts none where a volume with this prefix is there.
    let name = "kube-api-access-network-guard";
    let skip = |objects: &[Value]| {
        let labels = &only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
        labels["projected-token-mount.resources.gardener.cloud/skip"].clone()
    };
    let objects = runtime.render(namespace, &values);
    for objects in [&seed.render(seed_namespace, &seed_values), &objects] {
        let token = volume(objects, name).unwrap();
        let source = &token["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(source, &json!({"path": "token", "expirationSeconds": 43200}));
        let mounts = pod(objects)["containers"][0]["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
        assert_eq!(mount["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
        assert!(skip(objects).is_null());
    }
    let without = runtime.render(namespace, &merged(values.clone(), &by_secret()));
    assert!(volume(&without, name).is_none());
    assert_eq!(skip(&without), "true");
    // gardener-operator injects the kubeconfig of the virtual garden where no container has one.
    assert!(volume(&objects, "garden-kubeconfig").is_none() && pod(&objects)["containers"][0]["env"].is_null());
    let by_hand = json!({"kubeconfig": {"secretName": "a", "tokenSecretName": "b"}});
    let objects = runtime.render(namespace, &merged(values, &by_hand));
    let folder = "/var/run/secrets/gardener.cloud/shoot/generic-kubeconfig";
    assert_eq!(
        pod(&objects)["containers"][0]["env"],
        json!([{"name": "GARDEN_KUBECONFIG", "value": format!("{folder}/kubeconfig")}])
    );
    let mounts = pod(&objects)["containers"][0]["volumeMounts"].as_array().unwrap();
    assert!(mounts.contains(&json!({"name": "garden-kubeconfig", "mountPath": folder, "readOnly": true})));
    let sources = json!([
        {"secret": {"name": "a", "items": [{"key": "kubeconfig", "path": "kubeconfig"}]}},
        {"secret": {"name": "b", "items": [{"key": "token", "path": "token"}]}},
    ]);
    assert_eq!(volume(&objects, "garden-kubeconfig").unwrap()["projected"]["sources"], sources);
}

#[test]
fn network_policies_are_asked_for() {
    const RESOURCES: &str = "networking.resources.gardener.cloud";
    let allowed = |objects: &[Value]| -> Vec<String> {
        let labels = &only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
        let labels = labels.as_object().unwrap().iter();
        labels.filter(|(_, value)| *value == "allowed").map(|(name, _)| name.clone()).collect()
    };
    let annotations = |objects: &[Value]| only(objects, "Service")["metadata"]["annotations"].clone();
    let port = |port: u16| json!(format!(r#"[{{"protocol":"TCP","port":{port}}}]"#));
    let [(seed, seed_namespace, seed_values, _), (runtime, namespace, values, _)] = servers();

    let objects = seed.render(seed_namespace, &seed_values);
    let mut want = vec![
        "networking.gardener.cloud/to-dns".to_owned(),
        "networking.gardener.cloud/to-runtime-apiserver".to_owned(),
        format!("{RESOURCES}/to-all-shoots-kube-apiserver-tcp-443"),
    ];
    want.sort();
    assert_eq!(allowed(&objects), want);
    assert_eq!(
        annotations(&objects),
        json!({
            format!("{RESOURCES}/from-world-to-ports"): port(10250),
            format!("{RESOURCES}/from-all-webhook-targets-allowed-ports"): port(10250),
            format!("{RESOURCES}/from-all-seed-scrape-targets-allowed-ports"): port(8080),
            format!("{RESOURCES}/namespace-selectors"): r#"[{"matchLabels":{"kubernetes.io/metadata.name":"garden"}}]"#,
            format!("{RESOURCES}/pod-label-selector-namespace-alias"): "extensions",
        })
    );
    let closed = seed.render(seed_namespace, &merged(seed_values, &json!({"networkPolicy": {"fromWorld": false}})));
    assert!(annotations(&closed)[format!("{RESOURCES}/from-world-to-ports")].is_null());

    let mut want = vec![
        "networking.gardener.cloud/to-dns".to_owned(),
        format!("{RESOURCES}/to-virtual-garden-kube-apiserver-tcp-443"),
    ];
    want.sort();
    assert_eq!(allowed(&runtime.render(namespace, &merged(values.clone(), &by_secret()))), want);
    let objects = runtime.render(namespace, &values);
    want.push("networking.gardener.cloud/to-runtime-apiserver".to_owned());
    want.sort();
    assert_eq!(allowed(&objects), want, "its own CA is kept there");
    // Any caller that reaches this port may ask in anybody's name, so it is open to API servers alone.
    assert_eq!(
        annotations(&objects),
        json!({
            format!("{RESOURCES}/from-all-webhook-targets-allowed-ports"): port(10250),
            format!("{RESOURCES}/from-all-garden-scrape-targets-allowed-ports"): port(8080),
        })
    );
}

#[test]
fn traffic_stays_in_its_zone_where_that_is_wanted() {
    let values = json!({"service": {"topologyAwareRouting": {"enabled": true}}});
    let objects = Chart::RUNTIME.render(RUNTIME, &values);
    assert_eq!(only(&objects, "Service")["spec"]["trafficDistribution"], "PreferSameZone");
    assert!(only(&Chart::RUNTIME.render(RUNTIME, &json!({})), "Service")["spec"]["trafficDistribution"].is_null());
}
