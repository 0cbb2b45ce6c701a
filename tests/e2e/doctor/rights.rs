//! What the doctor asks for is what the roles of the charts give.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::Chart;

type Rights = BTreeSet<String>;

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// Each verb of each rule of these objects.
fn given(objects: &[Value], kind: &str) -> Rights {
    let mut rights = Rights::new();
    for rule in objects.iter().filter(|object| object["kind"] == kind).flat_map(|role| texts_of(&role["rules"])) {
        let names = texts(&rule["resourceNames"]);
        let names = if names.is_empty() { vec![""] } else { names };
        for (group, resource) in texts(&rule["apiGroups"])
            .iter()
            .flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (*group, resource)))
        {
            for name in &names {
                rights.extend(texts(&rule["verbs"]).iter().map(|verb| format!("{verb} {resource}.{group} {name}")));
            }
        }
    }
    rights
}

fn texts_of(rules: &Value) -> Vec<&Value> {
    rules.as_array().into_iter().flatten().collect()
}

/// What the doctor asks for in this mode.
fn asked(role: &str, place: &str, modes: &[&str], owner: &str) -> Rights {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/doctor/rights.yaml");
    let all: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let secret = if role == "seed" { "network-guard-certificates" } else { "network-guard-garden-certificates" };
    let mut rights = Rights::new();
    for right in all[role].as_array().unwrap() {
        let is_needed = right["when"].as_str().is_none_or(|when| modes.contains(&when));
        if right["in"] != place || !is_needed {
            continue;
        }
        let names = texts(&right["names"]);
        for name in if names.is_empty() { vec![""] } else { names } {
            let name = name.replace("OWNER", owner).replace("SECRET", secret);
            for verb in texts(&right["verbs"]) {
                rights.insert(format!(
                    "{verb} {}.{} {name}",
                    right["resource"].as_str().unwrap(),
                    right["group"].as_str().unwrap()
                ));
            }
        }
    }
    rights
}

#[test]
fn the_doctor_asks_for_what_the_charts_give() {
    let ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let mounted = json!({"tls": {"mode": "secret", "caBundle": ca}});
    let full = json!({"config": {
        "vpn": {"nat": {"shootWebhook": {}}}, "overlay": {"fallback": "gardener-internal"},
    }});
    let owner = "extensions.gardener.cloud:extension-network-guard:network-guard";
    for (values, modes) in [
        (json!({}), &["selfManaged"][..]),
        (mounted.clone(), &["mounted"]),
        (full, &["selfManaged", "shootWebhook", "gardenerInternal"]),
    ] {
        let objects = Chart::SEED.render("extension-network-guard", &values);
        assert_eq!(asked("seed", "registered", modes, owner), given(&objects, "ClusterRole"), "{modes:?}");
        assert_eq!(asked("seed", "home", modes, owner), given(&objects, "Role"), "{modes:?}");
    }
    let owner = "gardener-extension-admission-network-guard";
    for (values, modes) in [(json!({}), &["selfManaged"][..]), (mounted, &["mounted"])] {
        let objects = Chart::APPLICATION.render("extension-network-guard", &values);
        assert_eq!(asked("garden", "registered", modes, owner), given(&objects, "ClusterRole"), "{modes:?}");
        let objects = Chart::RUNTIME.render("garden", &values);
        assert_eq!(asked("garden", "home", modes, owner), given(&objects, "Role"), "{modes:?}");
    }
}
