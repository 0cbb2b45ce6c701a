//! What is read of a Deployment, and how much.

use serde_json::{Value, json};

use super::*;

fn read(pod: &Value) -> Option<String> {
    let text = json!({"spec": {"template": {"spec": pod}}}).to_string();
    Deployment::read(&text).err().map(|error| error.to_string())
}

/// Each list at its limit, and with one more.
#[test]
fn lists_have_limits() {
    let of = |count: usize, element: Value| json!(vec![element; count]);
    let container = |field: &str, list: Value| json!({"containers": [{"name": "kube-apiserver", field: list}]});
    let mount = json!({"name": "a", "mountPath": "/a"});
    for (what, pod, want) in [
        ("containers", json!({"containers": of(100, json!({"name": "a"}))}), None),
        ("more", json!({"containers": of(101, json!({}))}), Some("spec.template.spec.containers: has more than 100")),
        (
            "more before",
            json!({"initContainers": of(101, json!({}))}),
            Some("spec.template.spec.initContainers: has more than 100"),
        ),
        ("VPN", json!({"containers": of(16, json!({"name": "vpn-client-1"}))}), None),
        (
            "more of it",
            json!({"containers": of(17, json!({"name": "vpn-client-1"}))}),
            Some(
                "spec.template.spec.containers[16].name: \"vpn-client-1\": there are more than 16 containers of the VPN",
            ),
        ),
        ("volumes", json!({"volumes": of(2_000, json!({"name": "a"}))}), None),
        (
            "more volumes",
            json!({"volumes": of(2_001, json!({}))}),
            Some("spec.template.spec.volumes: has more than 2000"),
        ),
        ("arguments", container("args", of(2_000, json!("-a"))), None),
        (
            "more arguments",
            container("args", of(2_001, json!("-a"))),
            Some("spec.template.spec.containers[0].args: has more than 2000"),
        ),
        (
            "more mounts",
            container("volumeMounts", of(2_001, mount)),
            Some("spec.template.spec.containers[0].volumeMounts: has more than 2000"),
        ),
        ("none", json!({"containers": null, "initContainers": null, "volumes": null}), None),
    ] {
        match (read(&pod), want) {
            (None, None) => {}
            (Some(got), Some(want)) => assert!(got.starts_with(want), "{what}: {got}"),
            (got, want) => panic!("{what}: {got:?}, not {want:?}"),
        }
    }
}
