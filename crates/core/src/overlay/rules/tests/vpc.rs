//! Shoots without an overlay in one VPC.

use super::*;

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
        let warned = if is_told { &["overlay/shared-vpc"][..] } else { &[] };
        assert_eq!((&*said.denied, &*said.warned), (&[][..], warned), "{what}: {said:#?}");
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

/// Where operators made a refusal of it, the Shoot in the way is read again, and nobody is refused because of a cache that
/// is behind, or because of a default.
#[test]
fn refusals_rest_on_what_is_there_now() {
    let neighbour = native(NEIGHBOUR, PODS, "vpc-1");
    let name = ShootName::new("garden-shop", "orders");
    let strict = || {
        let mut garden = Garden::of(std::slice::from_ref(&neighbour));
        assert!(garden.settings.policy.set(&SHARED_VPC, Some(Severity::Deny)));
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
        assert!(garden.settings.policy.set(&SHARED_VPC, severity));
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
}

/// A rule that is off asks nobody.
#[test]
fn off_is_off() {
    let mut garden = Garden::of(&[native(NEIGHBOUR, PODS, "vpc-1")]);
    assert!(garden.settings.policy.set(&SHARED_VPC, None));
    garden.create(&native(OWN, PODS, "vpc-1")).warns(&[]);
    assert!(garden.asked.take().is_empty());
}
