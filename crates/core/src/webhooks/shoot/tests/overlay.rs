//! What is said of the overlay.

use super::*;
use crate::overlay::rules::tests::{NEIGHBOUR, OWN, PODS, native};
use crate::overlay::rules::vpc::SHARED_VPC;

/// The overlay is judged when it changes, whatever is stored of it, and asks nobody.
#[test]
fn calicos_overlay() {
    let calico = |config: Value| {
        let networking = json!({"type": "calico", "nodes": "10.5.0.0/27", "providerConfig": config});
        with(with(a(), "/spec/networking", networking), "/spec/provider/type", json!("aws"))
    };
    let garden = Garden::of(&[b()]);
    let (on, off) = (calico(json!({"overlay": {"enabled": true}})), calico(json!({"overlay": {"enabled": false}})));
    garden.update(&on, &off).warns(&["overlay/switch"]);
    garden.update(&on, &calico(json!({"overlay": {}}))).denies(&["overlay/enabled"]);
    assert_eq!(garden.asked.take(), Questions::default());
    let stored = calico(json!({"overlay": {}}));
    garden
        .update(&stored, &with(stored.clone(), "/spec/networking/nodes", json!("10.5.0.0/28")))
        .warns(&["nodes-shrink", "peers-follow"]);
    let labelled = with(stored.clone(), "/metadata/labels", json!({"a": "b"}));
    assert_eq!(garden.update(&stored, &labelled).decision, "unchanged");
    garden.update(&stored, &calico(json!({"overlay": {}, "vethMTU": "1400"}))).warns(&[]);
    garden.update(&on, &calico(json!({"overlay": {}, "vethMTU": "1400"}))).denies(&["overlay/enabled"]);
    let mut garden = garden;
    garden.groups = vec!["gardener.cloud:system:seeds"];
    let said = garden.update(&on, &stored);
    assert_eq!((&*said.denied, &*said.warned), (&[][..], &[][..]));
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
    garden.is_down = true;
    assert!(garden.settings.policy.set(&SHARED_VPC, Some(Severity::Deny)));
    assert!(!garden.create(&native(OWN, PODS, "vpc-1")).noted.contains(&"overlay/not-compared"));
}
