//! Gardener alone: the harness does what a landscape does, before anybody holds anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{native, overlay};
use crate::harness::{Patch, Switch, eventually, until};

/// What our controller asks for: a token for the Shoot, and rights there.
fn access(namespace: &str) -> [(&'static str, Value); 3] {
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "by-hand"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "by-hand"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "by-hand"},
        "subjects": [{"kind": "ServiceAccount", "name": "by-hand", "namespace": "kube-system"}],
    });
    let annotation = |name: &str| format!("serviceaccount.resources.gardener.cloud/{name}");
    [
        (
            "/api/v1/namespaces/NAMESPACE/secrets",
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {
                    "name": "shoot-access-by-hand", "namespace": namespace,
                    "labels": {
                        "resources.gardener.cloud/purpose": "token-requestor",
                        "resources.gardener.cloud/class": "shoot",
                    },
                    "annotations": {
                        annotation("name"): "by-hand",
                        annotation("namespace"): "kube-system",
                        annotation("inject-ca-bundle"): "true",
                    },
                },
            }),
        ),
        (
            "/api/v1/namespaces/NAMESPACE/secrets",
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "managedresource-by-hand", "namespace": namespace},
                "stringData": {"rbac.yaml": format!("{role}\n---\n{binding}\n")},
            }),
        ),
        (
            "/apis/resources.gardener.cloud/v1alpha1/namespaces/NAMESPACE/managedresources",
            json!({
                "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
                "metadata": {"name": "by-hand", "namespace": namespace},
                "spec": {"secretRefs": [{"name": "managedresource-by-hand"}]},
            }),
        ),
    ]
}

#[test]
fn gardener_reconciles_and_lets_us_into_the_shoot() {
    let mut switch = Switch::start_without_guard();
    let shoot = &switch.shoot;

    // Without us a switch reaches Calico at once.
    let report = shoot.reconcile(&overlay()).ok();
    assert_eq!((report.before.is_none(), report.grew(), shoot.calico()), (true, 1, overlay()));
    let report = shoot.reconcile(&overlay()).ok();
    assert_eq!(report.grew(), 0);
    assert_eq!(shoot.deploy(&native()).ok().grew(), 1);
    shoot.wait().ok();
    assert_eq!(shoot.calico(), native());
    // The library may look a second time.
    until("the extension is done", || shoot.network()["status"]["lastOperation"]["state"] == "Succeeded");

    // The extension with its feature gate: the reconciliation fails until each node has its route.
    shoot.reconcile(&overlay()).ok();
    switch.seed.extension_gates(shoot);
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");
    let report = shoot.reconcile_with(&native(), &["-severe", "1s"]);
    assert!(report.error.as_deref().unwrap_or_default().contains("waiting for routes"), "{report:?}");
    assert_eq!(shoot.calico(), overlay());
    shoot.route_created("a");
    assert_eq!(shoot.condition("a"), Some(("False".to_owned(), "RouteCreated".to_owned())));
    shoot.reconcile(&native()).ok();
    assert_eq!(shoot.calico(), native());
    switch.seed.extension_is_plain();

    // gardener-resource-manager fills the Secret and applies the rights.
    for (path, object) in access(&shoot.namespace) {
        shoot.seed.create(&path.replace("NAMESPACE", &shoot.namespace), &object);
    }
    let secret = eventually("the Secret is filled", || {
        let path = format!("/api/v1/namespaces/{}/secrets/shoot-access-by-hand", shoot.namespace);
        let secret = shoot.seed.get(&path).unwrap();
        let is_filled = secret["data"]["token"].is_string() && secret["data"]["bundle.crt"].is_string();
        is_filled.then_some(secret).ok_or_else(|| shoot.resource_manager_log())
    });
    let text = |key: &str| String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap();
    let kubeconfig = shoot.kubeconfig_with(&text("token"), &text("bundle.crt"));
    let by_hand = crate::harness::Api::new(&kubeconfig);
    until("the rights are there", || by_hand.try_get("/api/v1/nodes").is_ok());
    assert!(by_hand.try_get("/api/v1/pods").unwrap_err().contains("forbidden"));

    // What is deleted on the Seed disappears from the Shoot. What it has applied it knows by the status.
    let namespace = &shoot.namespace;
    let resource = format!("/apis/resources.gardener.cloud/v1alpha1/namespaces/{namespace}/managedresources/by-hand");
    until("the rights are applied", || {
        let resource = shoot.seed.get(&resource).unwrap();
        let conditions = resource["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "ResourcesApplied" && condition["status"] == "True")
    });
    shoot.seed.delete(&resource);
    eventually("the rights are gone", || {
        let gone = by_hand.try_get("/api/v1/nodes").is_err();
        gone.then_some(()).ok_or_else(|| shoot.resource_manager_log())
    });

    // A move to another Seed takes the state of the Network along.
    let network = shoot.network_path();
    shoot.seed.patch(&format!("{network}/status"), Patch::Merge, &json!({"status": {"state": {"some": "state"}}}));
    switch.move_to_another_seed(&native()).ok();
    let shoot = &switch.shoot;
    assert_eq!(shoot.network()["status"]["state"], json!({"some": "state"}));
    // Each may come more than once: the library looks again at an object whose annotation it has just removed.
    let mut operations: Vec<_> = shoot.calico_got().into_iter().map(|rendered| rendered.operation).collect();
    operations.dedup();
    assert_eq!(operations[..3], ["reconcile", "migrate", "restore"]);

    // Deletion.
    assert!(shoot.destroy().ok().after.is_none());
    assert_eq!(shoot.calico_got().last().unwrap().operation, "delete");
}
