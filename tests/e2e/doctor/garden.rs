//! In the garden, behind the real gardener-apiserver.

use std::path::Path;

use serde_json::json;

use super::{Said, doctor};
use crate::garden::{place, shoot};
use crate::harness::{Garden, eventually};

const ORDERS: &str = "garden-shop/orders";

fn ask(garden: &Garden, kubeconfig: &Path, further: &[&str]) -> Said {
    let config = garden.guard.certificates().join("config.yaml").display().to_string();
    let home = garden.control_plane().kubeconfig("admin", "system:masters").display().to_string();
    let all = ["--config", &config, "--user", "network-guard", "--namespace", "garden", "--runtime-kubeconfig", &home];
    doctor("garden", kubeconfig, &[&all[..], further].concat())
}

/// All well, asked by an operator; by a member of a project who may write one Shoot; and when nobody answers, which lets that
/// write pass.
#[test]
fn a_garden_is_asked_by_a_shoot() {
    let mut garden = Garden::start();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    let admin = garden.control_plane().kubeconfig("admin", "system:masters");
    let stored = garden.admin().get(&["shoot", "orders", "-n", "garden-shop"]);

    let said = eventually("all is well", || {
        let said = ask(&garden, &admin, &[]);
        if (said.code, said.named("ok").len()) == (Some(0), 6) { Ok(said) } else { Err(said.text) }
    });
    assert!(said.check("reachable").1.starts_with(&format!("dry run of Shoot {ORDERS}: release ")), "{}", said.text);
    println!("{}", said.text);

    // Nobody says as whom the server talks to the virtual garden: the usual name has no right, which proves nothing; then
    // the binding of the chart tells.
    let config = garden.guard.certificates().join("config.yaml").display().to_string();
    let ask_without_user = || doctor("garden", &admin, &["--config", &config, "--namespace", "garden"]);
    let said = ask_without_user();
    let (state, text) = said.check("allowed");
    assert!(state == "unknown" && text.contains("may do nothing of what") && text.contains("--user"), "{}", said.text);
    let name = "gardener-extension-admission-network-guard";
    garden.admin().apply(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "kube-system", "name": "extension-admission-ours"}],
    }));
    eventually("the account of the binding has its rights", || {
        let said = ask_without_user();
        let (state, text) = said.check("allowed");
        let is_ours = text.contains("system:serviceaccount:kube-system:extension-admission-ours has ");
        if state == "ok" && is_ours { Ok(()) } else { Err(said.text.clone()) }
    });

    let alice = garden.control_plane().kubeconfig("alice", "people");
    let said = ask(&garden, &alice, &["--shoot", ORDERS]);
    assert_eq!(said.code, Some(2), "{}", said.text);
    let (state, text) = said.check("reachable");
    assert!(state == "ok" && text.contains("release"), "{}", said.text);
    assert!(said.check("registered").1.contains("missing right: get validatingwebhookconfigurations"), "{}", said.text);
    // In a project that is another's.
    let said = ask(&garden, &garden.control_plane().kubeconfig("bob", "people"), &["--shoot", ORDERS]);
    assert!(said.check("reachable").1.contains("missing right: patch shoots.core.gardener.cloud"), "{}", said.text);
    assert_eq!(garden.admin().get(&["shoot", "orders", "-n", "garden-shop"]), stored, "nothing was stored");

    garden.guard.kill();
    let said = eventually("nobody answers", || {
        let said = ask(&garden, &admin, &[]);
        if said.named("problem") == ["reachable"] { Ok(said) } else { Err(said.text) }
    });
    assert_eq!(said.code, Some(1));
    assert!(said.check("reachable").1.contains("failurePolicy is Ignore"), "{}", said.text);
}
