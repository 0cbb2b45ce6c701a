//! A second installation in another namespace of a Seed: both notice, and nobody fights.

use std::process::Command;

use serde_json::{Value, json};

use super::alerts::play::patiently;
use crate::harness::{Chart, ControlPlane, Guard, Kubectl, free_port, only, run, until};

const NAME: &str = "gardener-extension-network-guard";
const CONFIGURATION: [&str; 2] = ["mutatingwebhookconfiguration", NAME];
const CONTESTED: &str = "network_guard_registration_contested";
const IDLE: &str = "another installation is registered, and does the work of this one";
const MISSING: &str = "network_guard_registrations_missing";

/// Installs the chart in a namespace, with all that restricts its account, and starts its server.
fn install(control_plane: &ControlPlane, namespace: &str) -> Guard {
    let port = free_port();
    let values = json!({
        "webhookConfig": {"servicePort": port}, "config": {"server": {"stopPropagationSeconds": 1}},
    });
    let objects = Chart::SEED.render(namespace, &values);
    let admin = control_plane.admin();
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    let is_here = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.contains("Role") || kind.contains("AdmissionPolicy") || kind == "ServiceAccount"
    };
    super::rights::install(&admin, objects.iter().filter(is_here));
    // There is no network of Services: this one leads to this machine.
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
    }));
    let kubeconfig = control_plane.service_account(namespace, NAME);
    let folder = control_plane.folder().join(namespace);
    Guard::start_rendered(&folder, &objects, [Some(&kubeconfig), None], None, [port, free_port()])
}

/// The namespace whose installation is registered, and the metadata of the registration.
fn registered(admin: &Kubectl) -> (String, Value) {
    let output = admin.run(&[&["get", "-o", "json"][..], &CONFIGURATION].concat(), None);
    let found: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let namespace = &found["webhooks"][0]["clientConfig"]["service"]["namespace"];
    (namespace.as_str().unwrap_or_default().to_owned(), found["metadata"].clone())
}

/// Somebody moves to another namespace, takes the CA along, and leaves the old installation where it is.
#[test]
fn a_second_installation_with_the_same_ca_is_noticed() {
    const SECRET: &str = "network-guard-certificates";
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let is_of = |namespace: &str| registered(&admin).0 == namespace;
    let first = install(&control_plane, "first");
    first.wait_until_ready();
    until("the first one is registered", || is_of("first"));
    let secret = admin.get(&["secret", SECRET, "-n", "first"]);
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "second"}}));
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": secret["data"],
        "metadata": {"name": SECRET, "namespace": "second", "labels": secret["metadata"]["labels"], "annotations": secret["metadata"]["annotations"]},
    }));

    let second = install(&control_plane, "second");
    second.wait_until_ready();
    until("the second one is registered", || is_of("second"));
    until("the first one says so", || first.metric(CONTESTED) > 0.0);
    until("the second one was asked", || second.metric(CONTESTED) > 0.0);
    until("it has answered", || registered(&admin).1["annotations"].is_null());
    let generation = registered(&admin).1["generation"].clone();
    second.after_turns("certificates", 3, || assert!(is_of("second")));
    first.after_turns("certificates", 2, || assert!(is_of("second")));
    assert_eq!(registered(&admin).1["generation"], generation, "nothing that API servers go by was written");
    until("the first one looks after no switches", || first.log().contains(IDLE));
    assert!(!second.log().contains(IDLE), "{}", second.log());
}

#[test]
fn a_second_installation_is_noticed_and_nobody_fights() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let registered = || registered(&admin);
    let is_of = |namespace: &str| registered().0 == namespace;

    // What Helm registered for a third one is never taken: a person has to decide.
    let by_helm = Chart::SEED.render("helm", &super::by_secret());
    admin.apply(only(&by_helm, "MutatingWebhookConfiguration"));
    let mut first = install(&control_plane, "first");
    first.wait_until_ready();
    until("it says so", || first.metric(CONTESTED) > 0.0);
    first.after_turns("certificates", 2, || assert!(is_of("helm") && first.metric(MISSING) < 0.5));
    let said = "somebody else registered webhooks under this name";
    until("its log says so", || first.log().contains(said));
    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    until("the first one is registered", || is_of("first"));
    until("all is well", || first.metric(CONTESTED) < 1.0);
    let generation = registered().1["generation"].clone();

    let mut second = install(&control_plane, "second");
    second.wait_until_ready();
    until("the second one says so", || second.metric(CONTESTED) > 0.0);
    until("the first one was asked, and says so", || first.metric(CONTESTED) > 0.0);
    until("it has answered", || registered().1["annotations"].is_null());
    second.after_turns("certificates", 3, || assert!(is_of("first")));
    assert!(second.metric(MISSING) < 0.5, "what the first one registered is there");
    assert_eq!(registered().1["generation"], generation, "nothing that API servers go by was written");
    for (guard, said) in [
        (&second, "another installation is registered under this name"),
        (&first, "another installation asks for the webhook configuration"),
    ] {
        until(said, || guard.log().contains(said));
    }
    until("the second one looks after no switches", || second.log().contains(IDLE));

    let config = control_plane.folder().join("second/mounted/etc/network-guard/config/config.yaml");
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_network-guard"));
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters");
    inspect.args(["certs", "inspect", "--config"]).arg(config).arg("--kubeconfig").arg(kubeconfig);
    let output = run(&mut inspect, None);
    assert!(!output.ok && output.stdout.contains("another installation is registered"), "{output:?}");

    // The first one is gone, without a word, and what it registered stays. Another leader asks at once.
    first.kill();
    second.kill();
    admin.run(&["delete", "lease", "network-guard-certificates", "-n", "second"], None);
    second.start_again();
    until("it asks", || !registered().1["annotations"].is_null());
    // It waits for longer than anybody here: a server that does not know the question may take a minute.
    second.after_turns("certificates", 4, || {});
    patiently("nobody answers, and it is registered", || is_of("second"));
    until("all is well", || second.metric(CONTESTED) < 1.0);

    // The first one comes back, and does not take over.
    admin.run(&["delete", "lease", "network-guard-certificates", "-n", "first"], None);
    first.start_again();
    until("the first one says so", || first.metric(CONTESTED) > 0.0);
    until("it was answered", || second.metric(CONTESTED) > 0.0 && registered().1["annotations"].is_null());
    first.after_turns("certificates", 2, || assert!(is_of("second")));
}
