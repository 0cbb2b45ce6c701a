//! The reviews that benchmarks and fuzzing start from are what a real API server sends: gardenlet's first write of a
//! Deployment, and a later one when controllers have written its status and managed fields have grown.
//!
//! `UPDATE_FIXTURES=1 cargo test --test e2e reviews` writes them again.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, fixture, until};

const NAMESPACE: &str = "shoot--local--ha";

/// A webhook that allows everything and passes on what it was sent.
pub fn recorder(ca: &Authority) -> (u16, mpsc::Receiver<String>) {
    let day = Duration::from_secs(24 * 60 * 60);
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, sender) = (Arc::clone(&config), sender.clone());
            std::thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                else {
                    return;
                };
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let body = String::from_utf8(body).unwrap();
                let review: Value = serde_json::from_str(&body).unwrap();
                let answer = json!({
                    "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                    "response": {"uid": review["request"]["uid"], "allowed": true},
                })
                .to_string();
                let _ = sender.send(body);
                let length = answer.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
                );
                let _ = stream.flush();
            });
        }
    });
    (port, receiver)
}

/// Replaces what is different each time by something of the same length.
fn settled(body: &str) -> String {
    let mut text = body.to_owned();
    let mut replace_after = |key: &str, settle: fn(&str) -> String| {
        let marker = format!("\"{key}\":\"");
        let mut from = 0;
        while let Some(at) = text[from..].find(&marker) {
            let start = from + at + marker.len();
            let end = start + text[start..].find('"').unwrap();
            let value = settle(&text[start..end]);
            text.replace_range(start..end, &value);
            from = start;
        }
    };
    let uid = |_: &str| "00000000-0000-4000-8000-000000000000".to_owned();
    let time = |_: &str| "2026-01-01T00:00:00Z".to_owned();
    replace_after("uid", uid);
    for key in ["creationTimestamp", "time", "lastUpdateTime", "lastTransitionTime"] {
        replace_after(key, time);
    }
    replace_after("resourceVersion", |_| "1000".to_owned());
    // The fingerprint of the client certificate.
    let mut parts: Vec<String> = text.split("X509SHA256=").map(str::to_owned).collect();
    for part in parts.iter_mut().skip(1) {
        part.replace_range(..64, &"0".repeat(64));
    }
    parts.join("X509SHA256=")
}

#[test]
fn recorded_reviews_are_what_the_api_server_sends() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let ca = Authority::new("recorder CA", Timestamp::now(), Duration::from_secs(24 * 60 * 60)).unwrap();
    let (port, reviews) = recorder(&ca);
    let original = include_str!("../../webhook-config/seed.yaml");
    let mut configuration: Value = serde_saphyr::from_str(original).unwrap();
    configuration["webhooks"][0]["clientConfig"] = json!({
        "url": format!("https://127.0.0.1:{port}/"),
        "caBundle": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, ca.certificate()),
    });
    control_plane.apply_cluster(&fixture("ha", "cluster"));
    admin.apply(&configuration);

    let mut desired = fixture("ha", "deployment");
    until("the recorder is called", || {
        admin.ok(&["create", "--dry-run=server", "-f", "-"], Some(&desired.to_string()));
        reviews.try_recv().is_ok()
    });
    while reviews.try_recv().is_ok() {}
    assert!(control_plane.gardenlet_writes(&desired).ok);
    let create = reviews.recv_timeout(Duration::from_secs(90)).unwrap();

    // What the Deployment controller writes, by server-side apply as another manager.
    let condition = |kind: &str, reason: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": "ReplicaSet \"kube-apiserver-7d4b9c6f5d\" has successfully progressed.",
            "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let status = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}, "status": {
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [condition("Available", "MinimumReplicasAvailable"), condition("Progressing", "NewReplicaSetAvailable")],
    }});
    let patch = |subresource: &[&str], patch: &Value| {
        let mut arguments = vec![
            "patch",
            "deployment",
            "kube-apiserver",
            "-n",
            NAMESPACE,
            "--type=merge",
            "--field-manager=kube-controller-manager",
            "-p",
        ];
        let text = patch.to_string();
        arguments.push(&text);
        arguments.extend(subresource);
        admin.ok(&arguments, None);
    };
    patch(&["--subresource=status"], &status);
    patch(&[], &json!({"metadata": status["metadata"]}));
    while reviews.try_recv().is_ok() {}
    desired["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.k8s.io/kube-apiserver:v1.33.5");
    assert!(control_plane.gardenlet_writes(&desired).ok);
    let update = reviews.recv_timeout(Duration::from_secs(90)).unwrap();

    for (name, body) in [("create", create), ("update", update)] {
        compare(name, &body);
    }
}

/// A review without what depends on the second in which it was written: API servers sort managed fields by time.
fn canonical(review: &str) -> Value {
    let mut review: Value = serde_json::from_str(review).unwrap_or_default();
    for object in ["object", "oldObject"] {
        if let Some(fields) = review["request"][object]["metadata"]["managedFields"].as_array_mut() {
            fields.sort_by_key(|field| (field["manager"].to_string(), field["subresource"].to_string()));
        }
    }
    review
}

/// Compares a review with the recorded one, or records it.
pub fn compare(name: &str, body: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/reviews/{name}.json"));
    let body = settled(body);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &body).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        canonical(&recorded) == canonical(&body),
        "{}: the API server sends something else now, {} bytes instead of {}",
        file.display(),
        body.len(),
        recorded.len()
    );
}
