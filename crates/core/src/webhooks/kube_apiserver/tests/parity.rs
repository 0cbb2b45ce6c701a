//! The same as gardenlet's own injection, but for what is better.

use super::*;

/// Point by point against what Gardener's own code makes of the same Shoot.
#[test]
fn parity_with_gardener() {
    let ours = injected();
    let theirs = fixture("ha-overlap", "deployment");
    let pod = |object: &Value| object["spec"]["template"]["spec"].clone();
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let by_name = |list: &Value, name: &str| -> Value {
        list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone()
    };
    // The two inputs differ in the Seed's Pod network, which the VPN containers carry in their environment.
    let same_seed = |mut container: Value| -> Value {
        for variable in container["env"].as_array_mut().into_iter().flatten() {
            if variable["name"] == "SEED_POD_NETWORK" {
                variable["value"] = json!("");
            }
        }
        container
    };
    let (our_pod, their_pod) = (pod(&ours), pod(&theirs));

    assert_eq!(names(&our_pod["containers"]), names(&their_pod["containers"]), "the same container order");
    for name in ["vpn-client-0", "vpn-client-1", "vpn-path-controller"] {
        let (our, their) = (by_name(&our_pod["containers"], name), by_name(&their_pod["containers"], name));
        assert_eq!(same_seed(our), same_seed(their), "{name} is untouched");
    }
    let init = |pod: &Value| same_seed(by_name(&pod["initContainers"], "vpn-client-init"));
    assert_eq!(init(&our_pod), init(&their_pod), "init containers are untouched");
    assert_eq!(ours["spec"]["template"]["metadata"]["labels"], theirs["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(ours["metadata"]["labels"], theirs["metadata"]["labels"]);
    assert_eq!(ours["spec"]["selector"], theirs["spec"]["selector"]);
    assert_eq!(our_pod["securityContext"], their_pod["securityContext"]);

    // kube-apiserver: one egress selector each, besides that the same arguments and mounts.
    let api_server = |pod: &Value| by_name(&pod["containers"], "kube-apiserver");
    let (our, their) = (api_server(&our_pod), api_server(&their_pod));
    let split = |container: &Value| -> (Vec<String>, Vec<String>) {
        let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
        args.partition(|arg| arg.starts_with("--egress-selector-config-file="))
    };
    let ((our_egress, our_args), (their_egress, their_args)) = (split(&our), split(&their));
    assert_eq!((our_egress.len(), their_egress.len()), (1, 1));
    assert_eq!(our_args, their_args);
    let extra = |list: &Value, other: &Value| -> Vec<String> {
        names(list).into_iter().filter(|name| !names(other).contains(name)).collect()
    };
    assert_eq!(extra(&our["volumeMounts"], &their["volumeMounts"]), ["network-guard-config", "network-guard-socket"]);
    assert_eq!(
        extra(&their["volumeMounts"], &our["volumeMounts"]),
        ["ca-vpn", "http-proxy", "egress-selection-config"]
    );
    for key in ["image", "command", "ports", "livenessProbe", "readinessProbe", "resources", "securityContext", "env"] {
        assert_eq!(our[key], their[key], "kube-apiserver.{key}");
    }

    // Volumes: two of network-guard's instead of five; no certificate, no host alias.
    assert_eq!(extra(&our_pod["volumes"], &their_pod["volumes"]), ["network-guard-config", "network-guard-socket"]);
    assert_eq!(
        extra(&their_pod["volumes"], &our_pod["volumes"]),
        ["http-proxy", "egress-selection-config", "envoy-config", "ca-vpn", "certs"]
    );
    for name in names(&our_pod["volumes"]) {
        if !name.starts_with("network-guard-") {
            assert_eq!(by_name(&our_pod["volumes"], &name), by_name(&their_pod["volumes"], &name), "volume {name}");
        }
    }
    assert!(our_pod.get("hostAliases").is_none() && their_pod["hostAliases"].is_array());

    // The sidecar: the same group and image, at least as confined.
    let proxy = |pod: &Value| by_name(&pod["containers"], "envoy-proxy");
    let (our, their) = (proxy(&our_pod), proxy(&their_pod));
    assert_eq!(our["image"], their["image"]);
    assert_eq!(our["resources"], their["resources"]);
    for key in ["runAsGroup", "runAsNonRoot", "allowPrivilegeEscalation"] {
        assert_eq!(our["securityContext"][key], their["securityContext"][key], "{key}");
    }
    assert_eq!(our["securityContext"]["runAsGroup"], 31_415);
    assert_eq!(our["securityContext"]["readOnlyRootFilesystem"], true);
}
