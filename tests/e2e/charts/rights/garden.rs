//! In the garden.

use std::time::Duration;

use jiff::Timestamp;
use network_guard::tls::Authority;
use serde_json::{Value, json};

use super::super::{CA, RUNTIME, VIRTUAL, merged, monitoring};
use super::{Audit, install, replace_rules, without};
use crate::garden::{apply, peer, place, shoot};
use crate::harness::{Chart, ControlPlane, Garden, Guard, eventually, free_port, only, until};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-admission-network-guard";

/// Both charts of the garden, with the server of one and the rights and webhooks of the other.
fn install_charts(virtual_garden: &ControlPlane) -> (Guard, Vec<Value>) {
    let ca = Authority::new("chart CA", Timestamp::now(), Duration::from_secs(86400)).unwrap();
    let port = free_port();
    let values = json!({
        "tls": {"caBundle": ca.certificate()},
        "webhooks": {"url": format!("https://127.0.0.1:{port}")},
        "config": {"server": {"stopPropagationSeconds": 1}},
    });
    let registered = Chart::APPLICATION.render(VIRTUAL, &values);
    let admin = virtual_garden.admin();
    admin.ok(&["create", "serviceaccount", NAME, "-n", NAMESPACE], None);
    install(&admin, registered.iter().filter(|object| object["kind"].as_str().unwrap().contains("Role")));
    let kubeconfig = virtual_garden.service_account(NAMESPACE, NAME);
    let objects = Chart::RUNTIME.render(RUNTIME, &values);
    let names = ["127.0.0.1".to_owned()];
    let guard =
        Guard::start_rendered(virtual_garden.folder(), &objects, &kubeconfig, (ca, &names), [port, free_port()]);
    (guard, registered)
}

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

#[test]
fn the_garden_charts_give_what_is_needed_and_nothing_else() {
    let audit = Audit::of(NAMESPACE, NAME);
    let mut objects = Vec::new();
    let mut garden = Garden::start_installed(&audit.arguments(), |virtual_garden| {
        let (guard, registered) = install_charts(virtual_garden);
        objects = registered;
        guard
    });
    let admin = garden.admin();
    garden.guard.wait_until_ready();
    install(&admin, objects.iter().filter(|object| object["kind"].as_str().unwrap().contains("Webhook")));
    garden.wait_until_called();

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
    let asked = audit.since(0);
    let refused: Vec<_> = asked.iter().filter(|asked| !asked.allowed).collect();
    assert!(refused.is_empty(), "the chart gives too little: {refused:?}");
    let mut unused = Vec::new();
    for rule in &rules {
        for verb in rule["verbs"].as_array().unwrap() {
            let mut one = rule.clone();
            one["verbs"] = json!([verb]);
            if !asked.iter().any(|asked| super::covers(&one, asked)) {
                unused.push(format!("{} {}", verb.as_str().unwrap(), rule["resources"][0].as_str().unwrap()));
            }
        }
    }
    // gardener-apiserver has streaming lists, which are watched only. The Seed's in these tests has none.
    assert_eq!(unused, ["list shoots", "list seeds"], "the chart gives too much");
    super::disturb(garden.control_plane(), &garden.guard);
    let all = merged(json!({"tls": {"caBundle": CA}}), &json!({}));
    monitoring::shown_by(&garden.guard, &Chart::RUNTIME.render(RUNTIME, &all));

    // Without one of them.
    for (index, rule) in rules.iter().enumerate() {
        let resource = rule["resources"][0].as_str().unwrap();
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
}
