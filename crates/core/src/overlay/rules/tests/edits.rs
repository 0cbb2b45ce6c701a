//! Edits: only what the writer changed is judged, and the ways out stay open.

use super::*;
use crate::gardener::shoot::OVERLAY_SWITCH;

/// One row a request: which rules speak, and whether anything is looked up.
#[test]
fn only_what_the_writer_changed_is_judged() {
    let stored = native(OWN, PODS, "vpc-1");
    let grown = with(stored.clone(), "/spec/provider/workers/0/maximum", json!(501));
    let moving = |shoot: &Value, last: &str, state: &str| {
        with(shoot.clone(), "/status", json!({"lastOperation": {"type": last, "state": state}}))
    };
    let old_kubernetes = |shoot: Value| with(shoot, "/spec/kubernetes/version", json!("1.35.4"));
    let vxlan = |shoot: Value| with(shoot, "/spec/networking/providerConfig/vxlan", json!({"enabled": true}));
    let forced = |shoot: Value| with(shoot, "/metadata/annotations", json!({OVERLAY_SWITCH: "force"}));
    let on = overlay(stored.clone());
    let (shared, switch, limit) = ("overlay/shared-vpc", "overlay/switch", "overlay/route-limit");
    let (blocks, policy) = ("overlay/pod-addresses", "overlay/admission-policy");
    for (what, old, new, denied, warned, asks) in [
        ("created", None, stored.clone(), &[][..], &[shared][..], true),
        ("the same again", Some(&stored), stored.clone(), &[], &[], false),
        ("a label", Some(&stored), with(stored.clone(), "/metadata/labels", json!({"a": "b"})), &[], &[], false),
        ("hibernation", Some(&stored), with(stored.clone(), "/spec/hibernation", json!({})), &[], &[], false),
        ("Kubernetes", Some(&stored), old_kubernetes(stored.clone()), &[], &[], false),
        ("more nodes", Some(&stored), grown.clone(), &[], &[limit], false),
        ("fewer nodes", Some(&grown), stored.clone(), &[], &[], false),
        (
            "a typha",
            Some(&stored),
            with(stored.clone(), "/spec/networking/providerConfig/typha", json!({})),
            &[],
            &[],
            false,
        ),
        ("the overlay goes", Some(&on), stored.clone(), &[], &[switch, shared], true),
        ("the overlay comes", Some(&stored), on.clone(), &[], &["overlay/routes-left"], false),
        ("another VPC", Some(&with(stored.clone(), VPC_ID, json!("vpc-2"))), stored.clone(), &[], &[shared], true),
        ("another Pod network", Some(&native(OWN, "100.66.0.0/16", "vpc-1")), stored.clone(), &[], &[shared], true),
        (
            "old Kubernetes",
            Some(&old_kubernetes(on.clone())),
            old_kubernetes(stored.clone()),
            &[],
            &[switch, policy, shared],
            true,
        ),
        ("VXLAN", Some(&vxlan(on.clone())), stored.clone(), &[blocks], &[switch, shared], true),
        ("VXLAN, forced", Some(&vxlan(on.clone())), forced(stored.clone()), &[], &[blocks, switch, shared], true),
        (
            "a migration",
            Some(&moving(&on, "Migrate", "Processing")),
            moving(&vxlan(stored.clone()), "Migrate", "Processing"),
            &[],
            &[],
            false,
        ),
        ("a restoration", Some(&moving(&on, "Restore", "Error")), moving(&stored, "Restore", "Error"), &[], &[], false),
        (
            "after it",
            Some(&moving(&on, "Restore", "Succeeded")),
            moving(&stored, "Restore", "Succeeded"),
            &[],
            &[switch, shared],
            true,
        ),
    ] {
        let garden = Garden::of(&[native(NEIGHBOUR, PODS, "vpc-1"), stored.clone()]);
        let said = garden.validate(old, &new);
        let mut spoke = said.warned.clone();
        spoke.sort_unstable_by_key(|rule| warned.iter().position(|want| want == rule));
        assert_eq!((&*said.denied, &*spoke), (denied, warned), "{what}: {said:#?}");
        assert_eq!(!garden.asked.take().is_empty(), asks, "{what}");
    }
}

/// However much operators make of the rules about the overlay, the ways out that are told stay open.
#[test]
fn ways_out_stay_open() {
    let mut garden = Garden::of(&[]);
    for rule in crate::overlay::rules::RULES.iter().copied().flatten() {
        let most = if rule.name == "overlay/routes-left" { Severity::Warn } else { Severity::Deny };
        garden.settings.policy.set(rule, Some(most));
    }
    assert!(!garden.settings.policy.set(&crate::overlay::rules::configuration::ROUTES_LEFT, Some(Severity::Deny)));
    let shoot = |provider: &str, config: Value, families: &[&str], maximum: u64| {
        json!({
            "metadata": {"namespace": "garden-shop", "name": "web"},
            "spec": {
                "kubernetes": {"version": "1.36.1"},
                "networking": {"type": "calico", "providerConfig": config, "ipFamilies": families},
                "provider": {"type": provider, "workers": [{"name": "w", "maximum": maximum, "maxSurge": 0}]},
            },
        })
    };
    let (on, off) = (|| json!({"overlay": {"enabled": true}}), || json!({"overlay": {"enabled": false}}));
    let vxlan = || json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}});
    let (one, two) = (&["IPv4"][..], &["IPv4", "IPv6"][..]);
    for (what, old, new, denied, warned) in [
        (
            "the overlay is set back",
            shoot("aws", off(), one, 3),
            shoot("aws", on(), one, 3),
            &[][..],
            &["overlay/routes-left"][..],
        ),
        ("VXLAN beside IPv6", shoot("openstack", on(), two, 3), shoot("openstack", vxlan(), two, 3), &[], &[]),
        (
            "IPv6 comes",
            shoot("openstack", on(), one, 3),
            shoot("openstack", on(), two, 3),
            &["overlay/on-with-ipv6"],
            &[],
        ),
        (
            "a family is taken back",
            shoot("gcp", off(), two, 350),
            shoot("gcp", off(), one, 350),
            &[],
            &["overlay/route-limit"],
        ),
        (
            "the same, and more nodes",
            shoot("gcp", off(), two, 350),
            shoot("gcp", off(), one, 351),
            &["overlay/route-limit"],
            &[],
        ),
        ("nodes grow", shoot("gcp", off(), one, 350), shoot("gcp", off(), one, 351), &["overlay/route-limit"], &[]),
        (
            "the overlay goes",
            shoot("gcp", on(), one, 350),
            shoot("gcp", off(), one, 350),
            &["overlay/switch", "overlay/route-limit"],
            &[],
        ),
    ] {
        let said = garden.update(&old, &new);
        assert_eq!((&*said.denied, &*said.warned), (denied, warned), "{what}: {said:#?}");
    }
}

/// A Shoot without a word about the overlay gains IPv6, and Calico's configuration stays as it is: not there.
#[test]
fn calicos_overlay_ends_with_a_second_family() {
    let review = include_str!("../../../../../../tests/fixtures/overlay/shoot-gains-ipv6.json");
    let review: Value = serde_json::from_str(review).unwrap();
    let said = Garden::of(&[]).update(&review["request"]["oldObject"], &review["request"]["object"]);
    assert!(said.denied.is_empty() && said.warned.contains(&"overlay/switch"), "{said:#?}");
    let about = "spec.networking.ipFamilies: ends the overlay, because `overlay` is not set";
    assert!(said.texts.iter().any(|text| text.starts_with(about)), "{said:#?}");
}
