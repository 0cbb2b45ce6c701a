//! Outages, rotations and restarts, seen from a real API server.

use std::fs;

use serde_json::json;

use crate::harness::{ControlPlane, Guard, eventually, fixture, until};

const NAMESPACE: &str = "shoot--local--ha";

#[test]
fn outage_rotation_and_restart() {
    let control_plane = ControlPlane::start();
    let mut guard = Guard::start(&control_plane);
    guard.register(&control_plane);
    let admin = control_plane.admin();
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    control_plane.apply_cluster(&cluster);
    let desired = fixture("ha", "deployment").to_string();
    let create = || admin.run(&["create", "--dry-run=server", "-o", "name", "-f", "-"], Some(&desired));
    assert!(create().ok, "{:?}", create());

    // A certificate replaced on disk: the next request is answered with the new one, and none fails on the way.
    // Certificate and key are two files: between them a pair may be refused that does not match.
    let reloads = |reason: &str| guard.series("network_guard_certificate_reloads_total", reason);
    for round in 1..=3 {
        guard.rotate_certificate();
        until("the certificate is replaced", || {
            let output = create();
            assert!(output.ok, "round {round}: {output:?}");
            reloads("\"replaced\"") >= f64::from(round)
        });
        assert!(create().ok);
    }
    // A half-written one never replaces a good one.
    let refused = reloads("\"refused\"");
    fs::write(guard.certificates().join("tls.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    until("the bad certificate was seen", || {
        reloads("\"refused\"") > refused && guard.log().contains("the last good certificate stays in use")
    });
    assert!(create().ok);
    assert!(guard.health("/readyz").starts_with("HTTP/1.1 200"));
    guard.rotate_certificate();

    // Down: the write is refused by failurePolicy, and only this one.
    guard.kill();
    let output = create();
    assert!(!output.ok && output.stderr.contains("failed calling webhook"), "{output:?}");
    let mut other = fixture("ha", "deployment");
    other["metadata"]["name"] = json!("etcd-main");
    for (name, object) in [
        ("another Deployment", other),
        (
            "a ConfigMap",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": NAMESPACE}}),
        ),
    ] {
        let output = admin.run(&["create", "-f", "-"], Some(&object.to_string()));
        assert!(output.ok, "{name}: {output:?}");
    }

    // Back: all is well without anybody doing anything.
    guard.restart();
    until("the webhook is used again", || create().ok);

    // A graceful stop: not ready at once, still answering, then gone with exit code 0.
    guard.process().signal("TERM");
    until("not ready", || guard.health("/readyz").contains("[-] not stopping"));
    let output = create();
    assert!(output.ok, "served while stopping: {output:?}");
    assert_eq!(guard.process().wait(), Some(0));
}

#[test]
fn waits_for_its_api_server_and_follows_it() {
    let mut control_plane = ControlPlane::start();
    control_plane.apply_cluster(&fixture("ha", "cluster"));

    // Without an API server: running, not ready.
    control_plane.stop_api_server();
    let guard = Guard::start_unready(&control_plane);
    until("it answers its probes", || guard.health("/healthz").starts_with("HTTP/1.1 200"));
    assert!(guard.health("/readyz").contains("[-] landscape read"), "{}", guard.health("/readyz"));
    control_plane.start_api_server();
    guard.wait_until_ready();
    assert!((guard.metric("network_guard_clusters") - 1.0).abs() < f64::EPSILON);
    // A thread of its own writes the log.
    eventually("the list is logged", || {
        let log = guard.log();
        let is_logged = log.contains(r#""message":"listed","kind":"Cluster","objects":1"#);
        if is_logged { Ok(()) } else { Err(log) }
    });

    // An API server that goes away and comes back: the old snapshot stays in use, then news arrive again.
    control_plane.stop_api_server();
    assert!(guard.health("/readyz").starts_with("HTTP/1.1 200"), "ready with the last snapshot");
    control_plane.start_api_server();
    control_plane.apply_cluster(&fixture("non-ha", "cluster"));
    until("the watch is back", || guard.metric("network_guard_clusters") > 1.0);
    control_plane.admin().ok(&["delete", "cluster.extensions.gardener.cloud", NAMESPACE], None);
    until("deletions arrive", || guard.metric("network_guard_clusters") < 2.0);
}
