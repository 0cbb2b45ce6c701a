//! What is said of the overlay.

use super::*;

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
