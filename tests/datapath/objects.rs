//! Objects in the Shoot's API server, and what our servers say behind them.

use serde_json::{Value, json};

use crate::pod::Pod;

/// A node that is ready, at an address.
pub fn create_node(pod: &Pod, name: &str, address: &str) {
    pod.create(&json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }));
}

/// A Pod that runs, at an address.
pub fn create_pod(pod: &Pod, name: &str, address: &str) {
    pod.create(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "node", "containers": [{"name": "main", "image": "image"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }));
}

/// A Service with a port, at an address.
pub fn create_service(pod: &Pod, name: &str, address: &str, port: u16) {
    pod.create(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": address, "ports": [{"port": port, "targetPort": 8080}]},
    }));
}

/// The endpoint of a Service, a Pod, as controllers would write it in both forms. The API server proxies only to endpoints
/// that are Pods with this very address, and asks the API server of a Service only where there is an endpoint.
pub fn create_endpoints(pod: &Pod, service: &str, port: u16, (name, address): (&str, &str)) {
    let target = json!({"kind": "Pod", "name": name, "namespace": "default"});
    pod.create(&json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": service, "namespace": "default"},
        "subsets": [{"addresses": [{"ip": address, "targetRef": target}], "ports": [{"port": port}]}],
    }));
    pod.create(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": service, "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}, "targetRef": target}],
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
    }));
}

/// A webhook that is asked when something is created.
pub fn webhook(pod: &Pod, name: &str, resource: &str, mut client: Value) -> Value {
    client["caBundle"] = json!(pod.ca_bundle());
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": name, "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
        }],
    })
}

/// What a server of these tests says: who it is, where it was reached, and from where.
pub fn said(answer: &Value) -> (String, String, String) {
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    let without_port = |address: String| address.rsplit_once(':').map_or(String::new(), |(ip, _)| ip.to_owned());
    (text("server"), text("at"), without_port(text("client")))
}

/// The same as literals.
pub fn seen(server: &str, at: &str, client: &str) -> (String, String, String) {
    (server.to_owned(), at.to_owned(), client.to_owned())
}
