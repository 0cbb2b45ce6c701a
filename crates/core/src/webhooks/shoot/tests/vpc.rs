//! Shoots without an overlay in one VPC, the limits of the infrastructure, and who is told.

use super::*;
use crate::gardener::shoot::OVERLAY_SWITCH;
use crate::webhooks;

pub(super) const OWN: &str = "garden-shop/web";
pub(super) const NEIGHBOUR: &str = "garden-shop/orders";
pub(super) const STRANGER: &str = "garden-bank/ledger";

/// A Shoot without an overlay, in this VPC.
pub(super) fn native(name: &str, pods: &str, vpc: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "Shoot",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "seedName": "eu1-a",
            "kubernetes": {"version": "1.36.1"},
            "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": false}}, "pods": pods},
            "provider": {
                "type": "aws", "workers": [{"name": "w", "maximum": 3}],
                "infrastructureConfig": {"networks": {"vpc": {"id": vpc}}},
            },
        },
    })
}

pub(super) const PODS: &str = "100.64.0.0/16";

pub(super) fn overlay(shoot: Value) -> Value {
    with(shoot, "/spec/networking/providerConfig/overlay/enabled", json!(true))
}

pub(super) const VPC_ID: &str = "/spec/provider/infrastructureConfig/networks/vpc/id";

/// One row a neighbour: whether it is in the way of a new Shoot with [`PODS`] in `vpc-1`.
#[test]
fn pod_networks_of_one_vpc_must_differ() {
    let gcp = |shoot: Value| {
        let shoot = with(shoot, "/spec/provider/type", json!("gcp"));
        with(shoot, "/spec/provider/infrastructureConfig/networks", json!({"vpc": {"name": "shared"}}))
    };
    let own = || native(OWN, PODS, "vpc-1");
    let neighbour = |pods| native(NEIGHBOUR, pods, "vpc-1");
    let stranger = |pods| native(STRANGER, pods, "vpc-1");
    for (what, own, other, is_told) in [
        ("the same network", own(), neighbour(PODS), true),
        ("a part of it", own(), neighbour("100.64.7.0/24"), true),
        ("another one", own(), neighbour("100.65.0.0/16"), false),
        ("in another VPC", own(), native(NEIGHBOUR, PODS, "vpc-2"), false),
        ("with an overlay", own(), overlay(neighbour(PODS)), false),
        ("with another network type", own(), with(neighbour(PODS), "/spec/networking/type", json!("cilium")), true),
        (
            "with another network type and a tunnel",
            own(),
            overlay(with(neighbour(PODS), "/spec/networking/type", json!("cilium"))),
            false,
        ),
        (
            "where nothing is set, so that it has a tunnel",
            own(),
            with(neighbour(PODS), "/spec/networking/providerConfig", json!({})),
            false,
        ),
        ("that needs no routes", own(), with(neighbour(PODS), "/spec/networking/ipFamilies", json!(["IPv6"])), false),
        ("without workers", own(), with(neighbour(PODS), "/spec/provider/workers", json!([])), false),
        ("of another provider", own(), with(neighbour(PODS), "/spec/provider/type", json!("alicloud")), false),
        (
            "by its status",
            own(),
            {
                let other = with(neighbour(PODS), "/spec/networking/pods", Value::Null);
                with(other, "/status", json!({"networking": {"pods": [PODS]}}))
            },
            true,
        ),
        ("without a network yet", own(), with(neighbour(PODS), "/spec/networking/pods", Value::Null), false),
        ("hibernated", own(), with(neighbour(PODS), "/spec/hibernation", json!({"enabled": true})), true),
        ("of another project", own(), stranger(PODS), true),
        ("with a name that means the same", gcp(own()), gcp(neighbour(PODS)), true),
        ("with a name that does not", gcp(own()), gcp(stranger(PODS)), false),
    ] {
        let said = Garden::of(&[other]).create(&own);
        said.warns(if is_told { &["overlay/shared-vpc"] } else { &[] });
        assert_eq!(said.decision, "accepted", "{what}");
    }
    Garden::of(&[neighbour(PODS)]).create(&own()).says(
        "spec.networking.pods: 100.64.0.0/16 overlaps Pods of garden-shop/orders (100.64.0.0/16), without an overlay in the \
         same VPC vpc-1; choose another Pod network, or keep the overlay",
    );
}

/// On Alibaba Cloud there are routes beside an overlay too: one row a Shoot and its neighbour.
#[test]
fn routes_beside_an_overlay_count() {
    let alicloud = |shoot: Value| with(shoot, "/spec/provider/type", json!("alicloud"));
    let own = || alicloud(native(OWN, PODS, "vpc-1"));
    let neighbour = || alicloud(native(NEIGHBOUR, PODS, "vpc-1"));
    let shared = &["overlay/shared-vpc"][..];
    for (what, old, new, other, warned) in [
        ("off and off", None, own(), neighbour(), shared),
        ("on and off", None, overlay(own()), neighbour(), shared),
        ("off and on", None, own(), overlay(neighbour()), shared),
        ("on and on", None, overlay(own()), overlay(neighbour()), &[]),
        (
            "the overlay goes, and the other stays",
            Some(overlay(own())),
            own(),
            overlay(neighbour()),
            &["overlay/switch", "overlay/shared-vpc"],
        ),
        ("the overlay comes", Some(own()), overlay(own()), neighbour(), &[]),
        (
            "a Pod network comes",
            Some(overlay(alicloud(native(OWN, "10.1.0.0/16", "vpc-1")))),
            overlay(own()),
            neighbour(),
            shared,
        ),
        ("a VPC comes", Some(overlay(alicloud(native(OWN, PODS, "vpc-2")))), overlay(own()), neighbour(), shared),
    ] {
        let said = Garden::of(&[other]).validate(old.as_ref(), &new);
        assert_eq!((&*said.denied, &*said.warned), (&[][..], warned), "{what}: {said:#?}");
    }
    Garden::of(&[neighbour()]).create(&overlay(own())).says(
        "spec.networking.pods: 100.64.0.0/16 overlaps Pods of garden-shop/orders (100.64.0.0/16), and routes to both are in \
         the same VPC vpc-1; choose another Pod network",
    );
}

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
    let deleting = |shoot: &Value| with(shoot.clone(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
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
        ("a deletion", Some(&deleting(&on)), deleting(&stored), &[], &[], false),
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

/// What gardenlet writes is noted, and nothing is asked.
#[test]
fn gardenlet_is_told_nothing() {
    let mut garden = Garden::of(&[native(NEIGHBOUR, PODS, "vpc-1")]);
    garden.groups = vec!["gardener.cloud:system:seeds"];
    let stored = with(native(OWN, PODS, "vpc-1"), "/spec/networking/pods", Value::Null);
    let said = garden.update(&stored, &native(OWN, PODS, "vpc-1"));
    assert_eq!((&*said.denied, &*said.warned, &*said.noted), (&[][..], &[][..], &["overlay/shared-vpc"][..]));
    assert!(garden.asked.take().is_empty());
}

/// Where operators made a refusal of it, the Shoot in the way is read again, and nobody is refused because of a cache that
/// is behind, or because of a default.
#[test]
fn refusals_rest_on_what_is_there_now() {
    let neighbour = native(NEIGHBOUR, PODS, "vpc-1");
    let name = ShootName::new("garden-shop", "orders");
    let strict = || {
        let mut garden = Garden::of(std::slice::from_ref(&neighbour));
        assert!(garden.settings.policy.set(rule("overlay/shared-vpc"), Some(Severity::Deny)));
        garden
    };
    let own = native(OWN, PODS, "vpc-1");
    let garden = strict();
    garden.create(&own).denies(&["overlay/shared-vpc"]);
    assert_eq!(garden.asked.take().shoots, [name.clone()].into());
    strict().create(&with(own.clone(), "/spec/networking/pods", Value::Null)).warns(&["overlay/shared-vpc"]);
    strict().hiding(&[NEIGHBOUR]).create(&own).warns(&[]);
    for live in [
        Answer::Absent,
        Answer::Unanswered("late".to_owned()),
        Answer::Found(Arc::new(facts_of(&overlay(neighbour.clone())))),
        Answer::Found(Arc::new(facts_of(&native(NEIGHBOUR, PODS, "vpc-2")))),
        Answer::Found(Arc::new(facts_of(&native(NEIGHBOUR, "100.80.0.0/16", "vpc-1")))),
    ] {
        let mut garden = strict();
        garden.live = vec![(name.clone(), live.clone())];
        let said = garden.create(&own);
        assert!(said.denied.is_empty() && said.warned.is_empty(), "{live:?}: {said:#?}");
    }
}

/// Access reviews fail: nobody is refused, and the writer is told that nobody looked, in words that depend on nobody else.
#[test]
fn unanswered_is_not_silent() {
    let down = |shoots: &[Value], severity: Option<Severity>| {
        let mut garden = Garden::of(shoots);
        garden.is_down = true;
        assert!(garden.settings.policy.set(rule("overlay/shared-vpc"), severity));
        garden
    };
    let own = native(OWN, PODS, "vpc-1");
    let neighbours = [native(NEIGHBOUR, PODS, "vpc-1"), native(STRANGER, PODS, "vpc-1")];
    for shoots in [&[][..], &neighbours] {
        for severity in [Severity::Warn, Severity::Deny] {
            let said = down(shoots, Some(severity)).create(&own);
            said.warns(&["overlay/not-compared"]);
            said.says(
                "spec.networking.pods: other Shoots in the same VPC vpc-1 were not compared: no answer in time; apply again \
                 to have them compared",
            );
        }
        down(shoots, None).create(&own).warns(&[]);
    }
    let mut gardenlet = down(&neighbours, Some(Severity::Deny));
    gardenlet.groups = vec!["gardener.cloud:system:seeds"];
    assert!(!gardenlet.create(&own).noted.contains(&"overlay/not-compared"), "nothing is asked for it");
}

/// The same of a deletion and of a move: who lists the Shoot was not looked for.
#[test]
fn unanswered_deletions_say_so() {
    let alone = shoot(A, "10.5.0.0/27", &[]);
    let lister = shoot(B, "10.5.0.32/27", &[peer(A, "eu1-a")]);
    for shoots in [&[][..], std::slice::from_ref(&lister)] {
        let mut garden = Garden::of(shoots);
        garden.is_down = true;
        let said = garden.advise(&garden.request(Some(&alone), None));
        said.warns(&["not-verified"]);
        said.says("Shoots that list this one were not looked up: no answer in time; correct or remove their entries");
        let mut request = garden.request(Some(&alone), Some(&with(alone.clone(), "/spec/seedName", json!("eu1-b"))));
        request["subResource"] = json!("binding");
        garden.advise(&request).warns(&["not-verified"]);
    }
}

/// A rule that is off asks nobody.
#[test]
fn off_is_off() {
    let mut garden = Garden::of(&[native(NEIGHBOUR, PODS, "vpc-1")]);
    assert!(garden.settings.policy.set(rule("overlay/shared-vpc"), None));
    garden.create(&native(OWN, PODS, "vpc-1")).warns(&[]);
    assert!(garden.asked.take().is_empty());
}

pub(super) fn rule(name: &str) -> &'static crate::diagnostics::Rule {
    webhooks::rules().find(|rule| rule.name == name).unwrap()
}
