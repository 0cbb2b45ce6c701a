//! In the garden.

use serde_json::{Value, json};

use super::super::{RUNTIME, VIRTUAL, monitoring};
use super::certificates::{Place, register};
use super::{Audit, install, replace_rules, unused, without};
use crate::garden::{apply, peer, place, shoot};
use crate::harness::{Chart, ControlPlane, Garden, Guard, eventually, free_port, only, until};

pub const NAMESPACE: &str = "kube-system";
pub const NAME: &str = "extension-admission-network-guard";

/// The account of the server in the cluster that it runs in.
pub const AT_HOME: &str = "gardener-extension-admission-network-guard";

/// The Secret of its CA, and the Lease.
const SECRET: &str = "network-guard-garden-certificates";

/// Both charts of the garden, with the server of one and the rights of both. One API server is both clusters: what the
/// server does in each it does with another account. Gives the objects of the chart application, and of runtime.
pub fn install_charts(virtual_garden: &ControlPlane) -> (Guard, [Vec<Value>; 2]) {
    let port = free_port();
    let values = json!({
        "webhooks": {"url": format!("https://127.0.0.1:{port}")},
        "config": {"server": {"stopPropagationSeconds": 1}},
    });
    let registered = Chart::APPLICATION.render(VIRTUAL, &values);
    let admin = virtual_garden.admin();
    admin.ok(&["create", "serviceaccount", NAME, "-n", NAMESPACE], None);
    let objects = Chart::RUNTIME.render(RUNTIME, &values);
    let is_right = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.contains("Role") || kind == "ServiceAccount" || kind.contains("AdmissionPolicy")
    };
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RUNTIME}}));
    install(&admin, registered.iter().chain(&objects).filter(is_right));
    let kubeconfigs =
        [virtual_garden.service_account(NAMESPACE, NAME), virtual_garden.service_account(RUNTIME, AT_HOME)];
    let [there, home] = &kubeconfigs;
    let ports = [port, free_port()];
    let guard = Guard::start_rendered(virtual_garden.folder(), &objects, [Some(there), Some(home)], None, ports);
    (guard, [registered, objects])
}

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

#[test]
fn the_garden_charts_give_what_is_needed_and_nothing_else() {
    let [audit, audit_at_home] = Audit::of_all([(NAMESPACE, NAME), (RUNTIME, AT_HOME)]);
    let mut rendered = Default::default();
    let mut garden = Garden::start_installed(&audit.arguments(), |virtual_garden| {
        let (guard, objects) = install_charts(virtual_garden);
        rendered = objects;
        guard
    });
    let [objects, objects_at_home] = rendered;
    let admin = garden.admin();
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
    let certificates = Place { admin: admin.clone(), namespace: RUNTIME, kinds, name: AT_HOME, secret: SECRET };
    garden.guard.wait_until_ready();
    until("it has registered itself", || certificates.is_registered());
    garden.wait_until_called();
    certificates.empty_secret();
    certificates.empty_bundles();

    // A peering that cannot work is refused, with everything that has to be looked up for it.
    let alice = garden.alice();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    garden.settle();
    let conflict = shoot(CRM, "10.5.0.32/27", &[peer(ORDERS, "eu1-a")]);
    let output = apply(&alice, &conflict);
    assert!(!output.ok && output.stderr.contains("(peering/overlap)"), "{output:?}");
    // A Seed that is not known is looked for.
    let output = apply(&alice, &shoot(CRM, "10.5.1.0/24", &[peer(ORDERS, "eu9")]));
    assert!(output.stderr.contains("seed"), "{output:?}");

    let role = only(&objects, "ClusterRole").clone();
    let rules = role["rules"].as_array().unwrap().clone();
    let role_at_home = only(&objects_at_home, "Role").clone();
    let rules_at_home = role_at_home["rules"].as_array().unwrap().clone();
    // gardener-apiserver has streaming lists, which are watched only. The Seed's in these tests has none. In the end the
    // configurations are deleted.
    let want = ["list shoots", "list seeds", "delete mutatingwebhookconfigurations"];
    // A Lease is renewed after a while, and the log of a request may come later than what it did.
    let (asked, asked_at_home) = eventually("the charts give no more than is asked for", || {
        let (asked, asked_at_home) = (audit.since(0), audit_at_home.since(0));
        let (there, home) = (unused(rules.iter(), &asked), unused(rules_at_home.iter(), &asked_at_home));
        let is_used = there == want && home.is_empty();
        if is_used { Ok((asked, asked_at_home)) } else { Err(format!("not asked for: {there:?}, at home {home:?}")) }
    });
    let refused: Vec<_> = asked.iter().chain(&asked_at_home).filter(|asked| !asked.allowed).collect();
    assert!(refused.is_empty(), "the charts give too little: {refused:?}");
    super::disturb(&garden.guard);
    monitoring::shown_by(&garden.guard, &objects_at_home);

    // Without one of them.
    for (index, rule) in rules.iter().enumerate() {
        let resource = rule["resources"][0].as_str().unwrap();
        if certificates.is_concerned(rule) {
            certificates.miss(&audit, &garden.guard, &role, index);
            continue;
        }
        replace_rules(&admin, &audit, &without(&role, index), rule, NAMESPACE, false);
        if resource == "subjectaccessreviews" {
            // Answers are kept for five seconds.
            let output = eventually("peerings are accepted unseen", || {
                let output = apply(&alice, &conflict);
                if output.ok { Ok(output) } else { Err(output.stderr) }
            });
            assert!(output.stderr.contains("Warning: shootPeerings[0]: "), "{output:?}");
            let unverified = garden.guard.series("network_guard_findings_total", "rule=\"peering/not-verified\"");
            assert!(unverified > 0.0, "{output:?}");
        } else {
            garden.guard.kill();
            garden.guard.start_again();
            let position = audit.position();
            until("it is refused", || {
                audit.since(position).iter().any(|asked| !asked.allowed && asked.resource == resource)
            });
            assert!(!garden.guard.health("/readyz").starts_with("HTTP/1.1 200"), "{resource}");
        }
        replace_rules(&admin, &audit, &role, rule, NAMESPACE, true);
        until("it is ready again", || garden.guard.health("/readyz").starts_with("HTTP/1.1 200"));
        println!("missed when it is taken away: {rule}");
    }
    for (index, rule) in rules_at_home.iter().enumerate() {
        if rule["resources"][0] == "secrets" {
            certificates.miss(&audit_at_home, &garden.guard, &role_at_home, index);
            continue;
        }
        // Nobody leads, so nothing that is lost comes back.
        garden.guard.kill();
        replace_rules(&admin, &audit_at_home, &without(&role_at_home, index), rule, RUNTIME, false);
        admin.run(&["delete", "lease", SECRET, "-n", RUNTIME], None);
        admin.ok(&["delete", kinds, AT_HOME], None);
        let position = audit_at_home.position();
        garden.guard.restart();
        until("it is refused", || {
            let asked = audit_at_home.since(position);
            asked.iter().any(|asked| !asked.allowed && asked.resource == "leases")
        });
        assert!(!certificates.is_registered());
        replace_rules(&admin, &audit_at_home, &role_at_home, rule, RUNTIME, true);
        until("it is registered again", || certificates.is_registered());
        println!("missed when it is taken away: {rule}");
    }

    garden.guard.kill();
    register(garden.control_plane().folder(), false);
    admin.ok(&["delete", "lease", SECRET, "-n", RUNTIME], None);
    garden.guard.start_again();
    until("it is registered no more", || {
        let found = admin.ok(&["get", kinds, "-o", "name"], None);
        !found.contains(AT_HOME)
    });
}
