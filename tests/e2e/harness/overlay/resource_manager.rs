//! gardener-resource-manager, which lets our server into a Shoot.

use std::fs;

use serde_json::json;

use super::super::guard::http_get;
use super::{ControlPlane, Process, Seed, free_port, tool, until};

/// Starts gardener-resource-manager for one Shoot, configured as gardenlet does it, with the controllers that we need.
pub(super) fn start_resource_manager(seed: &Seed, namespace: &str, shoot: &ControlPlane) -> Process {
    let folder = shoot.folder();
    let (certificate, key) = shoot.server_certificate("resource-manager", &["127.0.0.1".to_owned()]);
    let certificates = folder.join("resource-manager");
    fs::create_dir_all(&certificates).unwrap();
    fs::copy(certificate, certificates.join("tls.crt")).unwrap();
    fs::copy(key, certificates.join("tls.key")).unwrap();
    let health = free_port();
    let at = |port: u16| json!({"bindAddress": "127.0.0.1", "port": port});
    let mut webhooks = at(free_port());
    webhooks["tls"] = json!({"serverCertDir": certificates});
    let configuration = json!({
        "apiVersion": "resourcemanager.config.gardener.cloud/v1alpha1",
        "kind": "ResourceManagerConfiguration",
        "sourceClientConnection": {
            "kubeconfig": seed.control_plane.kubeconfig("resource-manager", "system:masters"), "namespaces": [namespace],
        },
        "targetClientConnection": {
            "kubeconfig": shoot.kubeconfig("resource-manager", "system:masters"), "namespaces": ["kube-system"],
        },
        "leaderElection": {"leaderElect": false},
        "server": {"webhooks": webhooks, "healthProbes": at(health), "metrics": at(free_port())},
        "controllers": {
            "clusterID": "seed", "tokenRequestor": {"enabled": true},
            "managedResource": {"alwaysUpdate": true, "syncPeriod": "1h"},
        },
    });
    let file = folder.join("resource-manager.json");
    fs::write(&file, configuration.to_string()).unwrap();
    let argument = format!("--config={}", file.display());
    let mut process = Process::start(folder, "resource-manager", &tool("gardener-resource-manager"), &[argument]);
    until("gardener-resource-manager is ready", || {
        assert!(process.is_running(), "gardener-resource-manager ended. {}", process.last_words());
        http_get(health, "/readyz").starts_with("HTTP/1.1 200")
    });
    process
}
