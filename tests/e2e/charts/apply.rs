//! Every rendered object, on the real API servers, which refuse fields that they do not know.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{RUNTIME, by_secret, charts, merged, modes, servers};
use crate::harness::{Chart, ControlPlane, Garden, Kubectl, charts as folder, documents, only, tool, until};

/// What every chart is rendered with: the least, and all there is with certificates of each kind.
fn variants() -> Vec<Value> {
    let all = json!({
        "imagePullSecrets": [{"name": "pull"}], "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"},
        "image": {"digest": format!("sha256:{}", "0".repeat(64))}, "listenHost": "[::]",
        "service": {"topologyAwareRouting": {"enabled": true}}, "clientCA": {"configMapName": "ca"},
        "vpa": {"resourcePolicy": {"maxAllowed": {"cpu": "1", "memory": "1Gi"}}},
        "config": {"overlay": {"fallback": "gardener-internal"}, "vpn": {"nat": {"shootWebhook": {}}}},
        "tls": {"selfManaged": {"names": ["guard.example"]}},
    });
    let least = json!({
        "webhooks": {"enabled": false}, "vpa": {"enabled": false}, "priorityClassName": "", "resources": {},
        "highAvailability": {"enable": false}, "metrics": {
            "serviceMonitor": {"enabled": false}, "prometheusRule": {"enabled": false}, "dashboard": {"enabled": false},
        },
    });
    let full = modes().map(|mode| merged(all.clone(), &mode));
    [json!({}), merged(least.clone(), &by_secret()), least].into_iter().chain(full).collect()
}

fn apply_strictly(admin: &Kubectl, object: &Value) {
    let arguments = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"];
    let output = admin.run(&arguments, Some(&object.to_string()));
    assert!(output.ok && !output.stderr.contains("Warning"), "{}\n{object:#}", output.stderr);
}

pub fn apply_crds(admin: &Kubectl, files: &[(&str, &str)]) {
    for (crds, file) in files {
        let path = tool(crds).join(format!("10-crd-{file}.yaml")).display().to_string();
        // Too large for the annotation of a client-side apply.
        admin.ok(&["apply", "--server-side", "-f", &path], None);
    }
    admin.ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"], None);
    // What is established is found by its name a moment later.
    for (_, file) in files {
        let (group, plural) = file.split_once('_').unwrap();
        let resource = format!("{plural}.{group}");
        until(&format!("{resource} are found"), || admin.run(&["get", &resource, "-A"], None).ok);
    }
}

#[test]
fn api_servers_take_every_object() {
    let control_plane = ControlPlane::start_bare(&[]);
    let admin = control_plane.admin();
    apply_crds(
        &admin,
        &[
            ("seed-crds", "autoscaling.k8s.io_verticalpodautoscalers"),
            ("seed-crds", "monitoring.coreos.com_servicemonitors"),
            ("seed-crds", "monitoring.coreos.com_prometheusrules"),
            ("further-crds", "operator.gardener.cloud_extensions"),
            ("further-crds", "cert-manager.io_certificates"),
            ("further-crds", "cert-manager.io_issuers"),
        ],
    );
    // What Gardener sets on the namespaces of this extension: its annotation asks for it.
    for name in ["extension-network-guard", RUNTIME] {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        apply_strictly(
            &admin,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
        );
    }
    for name in ["gardener-system-900", "gardener-garden-system-400"] {
        let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 1});
        apply_strictly(&admin, &class);
    }

    let mut kinds = BTreeSet::new();
    let by_hand = json!({"kubeconfig": {"secretName": "a", "tokenSecretName": "b"}});
    for (chart, namespace, mut least) in charts() {
        if chart == Chart::RUNTIME {
            least = merged(least, &by_hand);
        }
        for variant in variants() {
            let objects = chart.render(namespace, &merged(least.clone(), &variant));
            kinds.extend(objects.iter().map(|object| object["kind"].as_str().unwrap().to_owned()));
            apply_strictly(&admin, &json!({"apiVersion": "v1", "kind": "List", "items": objects}));
        }
    }
    let all = [
        "Certificate",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "MutatingWebhookConfiguration",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VerticalPodAutoscaler",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);

    // A Deployment is stored whatever its Pods look like, so they are asked for themselves.
    for (chart, namespace, values, _) in servers() {
        for variant in variants() {
            let objects = chart.render(namespace, &merged(values.clone(), &variant));
            let mut pod = only(&objects, "Deployment")["spec"]["template"].clone();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!("a");
            pod["metadata"]["namespace"] = json!(namespace);
            let output = admin.run(&["create", "--dry-run=server", "-f", "-"], Some(&pod.to_string()));
            assert!(output.ok && !output.stderr.contains("Warning"), "{output:?}");
        }
    }

    for extension in documents(&example("extension")) {
        apply_strictly(&admin, &extension);
    }
    for object in documents(concat!(
        include_str!("../../../certs/cert-manager.yaml"),
        "\n---\n",
        include_str!("../../../certs/cert-manager-leaf.yaml")
    )) {
        apply_strictly(&admin, &object);
    }
}

fn example(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("examples/{name}.yaml"))).unwrap()
}

/// Both examples for those who have no gardener-operator, on the real gardener-apiserver.
#[test]
fn the_garden_takes_the_registration() {
    let garden = Garden::start_unregistered();
    for name in ["controllerdeployment", "controllerregistration"] {
        for object in documents(&example(name)) {
            apply_strictly(&garden.admin(), &object);
        }
    }
    let stored = garden.admin().get(&["controllerregistration", "network-guard"]);
    assert_eq!(stored["spec"]["deployment"]["policy"], "Always");
}

/// What the examples give to the charts is what the charts take.
#[test]
fn the_examples_have_good_values() {
    let [(.., by_gardenlet), (.., by_operator)] = servers();
    let deployment = &documents(&example("extension"))[0]["spec"]["deployment"];
    let on_seed = &deployment["extension"]["values"];
    Chart::SEED.render("extension-network-guard-x1y2z", &merged(on_seed.clone(), &by_gardenlet));
    let by_hand = &documents(&example("controllerdeployment"))[0];
    assert_eq!(&by_hand["helm"]["values"], on_seed, "both examples say the same");

    let values = merged(deployment["admission"]["values"].clone(), &by_operator);
    let account = json!({"gardener": {"virtualCluster": {"enabled": true, "serviceAccount": {
        "name": "extension-admission-network-guard", "namespace": "kube-system",
    }}}});
    assert!(!Chart::RUNTIME.render(RUNTIME, &values).is_empty());
    let objects = Chart::APPLICATION.render("extension-network-guard", &merged(values, &account));
    let subjects = &only(&objects, "ClusterRoleBinding")["subjects"];
    let account =
        json!({"kind": "ServiceAccount", "name": "extension-admission-network-guard", "namespace": "kube-system"});
    assert_eq!(subjects, &json!([account]));
}
