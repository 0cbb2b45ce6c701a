//! The findings about a configuration, and about a change.

use serde_json::{Value, json};

use super::*;

/// A Shoot with this configuration of Calico.
fn shoot(config: &Value) -> Value {
    json!({
        "spec": {
            "kubernetes": {"version": "1.36.1"},
            "networking": {"type": "calico", "providerConfig": config},
            "provider": {"type": "aws", "workers": [{}]},
        },
    })
}

fn said(old: Option<&Value>, new: &Value) -> Vec<String> {
    let (old, new) = (old.map(Value::to_string), new.to_string());
    let old = old.as_deref().map(|old| Shoot::read(old).unwrap());
    check(&Shoot::read(&new).unwrap(), old.as_ref())
        .iter()
        .map(|finding| format!("{} {}", finding.severity.name(), finding.rule.name.strip_prefix("overlay/").unwrap()))
        .collect()
}

#[test]
fn what_a_configuration_says() {
    let on = || json!({"overlay": {"enabled": true}});
    let off = || json!({"overlay": {"enabled": false}});
    for (what, old, new, want) in [
        ("on", None, on(), &[][..]),
        ("off", None, off(), &[]),
        ("nothing", None, json!(null), &["warn default-mode"]),
        ("`null`", None, json!({"overlay": null}), &["warn default-mode"]),
        ("not set any more, which the provider's admission reverts", Some(off()), json!({"backend": "bird"}), &[]),
        ("nothing about it", None, json!({"typha": {"enabled": true}}), &["warn default-mode"]),
        ("not set, as before", Some(json!(null)), json!({"typha": {"enabled": true}}), &[]),
        ("an empty overlay", None, json!({"overlay": {}}), &["deny enabled"]),
        ("a text", None, json!({"overlay": {"enabled": "no"}}), &["deny enabled"]),
        ("no overlay at all", None, json!({"overlay": null, "backend": "bird"}), &["warn default-mode"]),
        ("off while it runs", Some(on()), off(), &["warn switch"]),
        ("off, not set before", Some(json!(null)), off(), &["warn switch"]),
        ("off, as it was", Some(off()), json!({"overlay": {"enabled": false}, "vethMTU": "1400"}), &[]),
        ("on again", Some(off()), on(), &["warn routes-left"]),
        (
            "off with VXLAN before",
            Some(json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}})),
            off(),
            &["deny pod-addresses", "warn switch"],
        ),
        (
            "off with VXLAN still",
            Some(on()),
            json!({"overlay": {"enabled": false}, "vxlan": {"enabled": true}}),
            &["deny pod-addresses", "warn switch"],
        ),
        (
            "off with blocks",
            Some(on()),
            json!({"overlay": {"enabled": false}, "ipam": {"type": "calico-ipam"}}),
            &["deny pod-addresses", "warn switch"],
        ),
        ("VXLAN stays on", Some(on()), json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}}), &[]),
        ("off by the backend", Some(json!({})), json!({"backend": "none"}), &["warn switch", "warn indirect"]),
        ("off by the backend, which the stored key forbids", Some(on()), json!({"backend": "none"}), &[]),
        ("off by the mode", Some(json!({})), json!({"ipv4": {"mode": "Never"}}), &["warn switch", "warn indirect"]),
        ("off by the mode, new", None, json!({"ipv4": {"mode": "Never"}}), &["warn default-mode"]),
        (
            "routes between nodes",
            None,
            json!({"overlay": {"enabled": true, "createPodRoutes": true}}),
            &["warn pod-routes"],
        ),
        ("routes between nodes, off", None, json!({"overlay": {"enabled": false, "createPodRoutes": true}}), &[]),
        ("not readable", Some(on()), json!({"overlay": {"enabled": true}, "backend": 5}), &[]),
    ] {
        assert_eq!(said(old.as_ref().map(shoot).as_ref(), &shoot(&new)), want, "{what}");
    }
}

/// One row for each provider and change: which rules report it.
#[test]
fn providers_differ() {
    let (on, off, none) = (json!({"overlay": {"enabled": true}}), json!({"overlay": {"enabled": false}}), json!({}));
    let backend = json!({"backend": "none"});
    let blocks = json!({"overlay": {"enabled": false}, "ipam": {"type": "calico-ipam"}});
    let of = |provider: &str, config: &Value| {
        let mut shoot = shoot(config);
        shoot["spec"]["provider"]["type"] = json!(provider);
        shoot
    };
    let (switch, left, mode) = (&["warn switch"][..], &["warn routes-left"][..], &["warn default-mode"][..]);
    for (provider, old, new, want) in [
        ("openstack", Some(&on), &off, switch),
        ("openstack", Some(&off), &on, left),
        ("openstack", None, &none, mode),
        ("openstack", None, &backend, mode),
        ("openstack", Some(&none), &backend, &["warn switch", "warn indirect"]),
        ("alicloud", Some(&on), &off, switch),
        ("alicloud", Some(&off), &on, &[]),
        ("alicloud", None, &none, mode),
        ("alicloud", Some(&none), &backend, switch),
        ("azure", None, &none, &[]),
        ("azure", None, &backend, &[]),
        ("azure", Some(&none), &off, &[]),
        ("azure", Some(&on), &off, &[]),
        ("metal", None, &none, &[]),
        ("metal", None, &backend, &[]),
        ("metal", Some(&on), &blocks, &[]),
        ("metal", Some(&off), &on, &[]),
        ("ironcore", None, &none, mode),
        ("ironcore", None, &backend, &[]),
        ("ironcore", Some(&on), &off, switch),
        ("ironcore", Some(&off), &none, &[]),
        ("ironcore-metal", None, &none, mode),
        ("ironcore-metal", Some(&none), &off, switch),
        ("ironcore-metal", Some(&none), &blocks, &["deny pod-addresses", "warn switch"]),
        ("ironcore-metal", Some(&off), &on, left),
        ("cloud", None, &none, &[]),
        ("cloud", None, &json!({"overlay": {}}), &["deny enabled"]),
        ("onmetal", None, &json!({"overlay": {"enabled": "no"}}), &["deny enabled"]),
        ("onmetal", Some(&on), &json!({"overlay": {}}), &["deny enabled"]),
        ("onmetal", None, &json!({"overlay": {"enabled": true, "createPodRoutes": true}}), &["warn pod-routes"]),
        ("azure", None, &json!({"overlay": {"enabled": true, "createPodRoutes": true}}), &[]),
        ("openstack", None, &blocks, &["warn pod-addresses"]),
        ("metal", None, &blocks, &[]),
        ("azure", None, &blocks, &["warn pod-addresses"]),
        ("cloud", Some(&on), &blocks, &[]),
        ("cloud", Some(&none), &backend, &[]),
    ] {
        let old = old.map(|old| of(provider, old));
        assert_eq!(said(old.as_ref(), &of(provider, new)), want, "{provider}: {old:?} to {new}");
    }
}

/// No Pods are cut off where there are none, and new Pods get new addresses.
#[test]
fn a_hibernated_shoot_has_nothing_to_cut_off() {
    let asleep = |config: Value| {
        let mut shoot = shoot(&config);
        shoot["spec"]["hibernation"] = json!({"enabled": true});
        shoot["status"] = json!({"hibernated": true});
        shoot
    };
    let ipam = || json!({"type": "calico-ipam"});
    let (on, off) = (json!({"overlay": {"enabled": true}}), json!({"overlay": {"enabled": false}}));
    assert_eq!(said(Some(&asleep(on.clone())), &asleep(off.clone())), Vec::<String>::new());
    assert_eq!(said(Some(&asleep(off.clone())), &asleep(on.clone())), Vec::<String>::new());
    let with_blocks = asleep(json!({"overlay": {"enabled": true}, "ipam": ipam()}));
    assert_eq!(said(Some(&with_blocks), &asleep(off)), Vec::<String>::new());
    let still = asleep(json!({"overlay": {"enabled": false}, "ipam": ipam()}));
    assert_eq!(said(Some(&with_blocks), &still), ["deny pod-addresses"]);
}

#[test]
fn a_writer_who_forces_it_is_warned_only() {
    let mut old = shoot(&json!({"overlay": {"enabled": true}, "ipam": {"type": "calico-ipam"}}));
    for (value, want) in [("force", "warn pod-addresses"), ("yes", "deny pod-addresses")] {
        let mut new = shoot(&json!({"overlay": {"enabled": false}}));
        new["metadata"] = json!({"annotations": {OVERLAY_SWITCH: value}});
        assert_eq!(said(Some(&old), &new), [want, "warn switch"], "{value}");
    }
    // What is stored forces nothing.
    old["metadata"] = json!({"annotations": {OVERLAY_SWITCH: "force"}});
    assert_eq!(
        said(Some(&old), &shoot(&json!({"overlay": {"enabled": false}}))),
        ["deny pod-addresses", "warn switch"]
    );
}

#[test]
fn only_calico_with_workers_is_checked() {
    let new = shoot(&json!({"overlay": {}}));
    for (pointer, value) in [("/spec/networking/type", json!("cilium")), ("/spec/provider/workers", json!([]))] {
        let mut new = new.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        assert_eq!(said(None, &new), Vec::<String>::new(), "{pointer}");
    }
}

/// A new Shoot whose Pods no route leads to gets a warning, and never more, whatever operators configure.
#[test]
fn new_pods_that_no_route_leads_to() {
    let blocks = json!({"overlay": {"enabled": false}, "ipam": {"type": "calico-ipam"}});
    for (provider, families, want) in [
        ("aws", &["IPv4"][..], &["warn pod-addresses"][..]),
        ("aws", &["IPv6"], &[]),
        ("gcp", &["IPv4", "IPv6"], &[]),
        ("onmetal", &["IPv4"], &[]),
    ] {
        let mut new = shoot(&blocks);
        new["spec"]["provider"]["type"] = json!(provider);
        new["spec"]["networking"]["ipFamilies"] = json!(families);
        assert_eq!(said(None, &new), want, "{provider} {families:?}");
        let text = new.to_string();
        let found = check(&Shoot::read(&text).unwrap(), None);
        assert!(found.iter().all(|finding| finding.at_most == Severity::Warn), "{found:?}");
        assert_eq!(said(Some(&new), &new), Vec::<String>::new(), "as it was, {provider}");
    }
}

/// The default of a flag may not be compatible with the Shoot's families.
#[test]
fn a_flag_and_two_families() {
    let mut new = shoot(&json!(null));
    new["spec"]["provider"]["type"] = json!("openstack");
    for (families, is_told) in [(json!(["IPv4"]), false), (json!(["IPv4", "IPv6"]), true)] {
        new["spec"]["networking"]["ipFamilies"] = families;
        let text = new.to_string();
        let found = check(&Shoot::read(&text).unwrap(), None);
        let told = "which does not go together with IPv6; write `overlay: {enabled: false}`";
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string().contains(told), is_told, "{found:?}");
    }
}

#[test]
fn two_families_need_no_overlay_key() {
    let mut new = shoot(&json!({"overlay": {"enabled": false}}));
    new["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    assert_eq!(said(None, &new), Vec::<String>::new());
    assert_eq!(said(Some(&new), &new), Vec::<String>::new());
    new["spec"]["networking"]["providerConfig"] = json!({"backend": "none"});
    assert_eq!(said(Some(&new), &new), Vec::<String>::new(), "not by the backend");
    new["spec"]["networking"]["providerConfig"] = json!(null);
    assert_eq!(said(None, &new), ["warn default-mode"]);
}

#[test]
fn old_kubernetes_on_aws() {
    for (version, provider, want) in [
        ("1.21.14", "aws", &["deny old-kubernetes"][..]),
        ("1.22.0", "aws", &[]),
        ("1.21.14", "openstack", &[]),
        ("weird", "aws", &[]),
    ] {
        let mut new = shoot(&json!({"overlay": {"enabled": false}}));
        new["spec"]["kubernetes"]["version"] = json!(version);
        new["spec"]["provider"]["type"] = json!(provider);
        assert_eq!(said(None, &new), want, "{version} {provider}");
    }
}
