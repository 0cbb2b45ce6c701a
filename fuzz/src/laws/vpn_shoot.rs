//! The end of the VPN in a Shoot.

use std::sync::LazyLock;

use k8s_openapi::api::apps::v1::StatefulSet;
use network_guard_core::vpn::nat::{Mode, Own};
use network_guard_core::webhooks::VpnShoot;
use serde_json::Value;

use super::bytes::Bytes;
use super::deployment::others;
use super::edits::edited;
use super::scene::{Scene, overlapping, parsed, review};

const STATEFUL_SETS: (&str, &str) = ("apps", "statefulsets");

/// By vpn2's own variables; by our containers; and by either while nobody answers.
static SCENES: LazyLock<[Scene; 4]> = LazyLock::new(|| {
    let cluster = overlapping();
    let (theirs, ours) = (VpnShoot::new(&Mode::default()), VpnShoot::new(&Mode::Own(Own::new("guard:1"))));
    let [theirs, ours] = [theirs, ours].map(|webhook| Scene::new(webhook, &cluster));
    let (theirs_blind, ours_blind) = (VpnShoot::new(&Mode::default()), VpnShoot::new(&Mode::Own(Own::new("guard:2"))));
    let [theirs_blind, ours_blind] = [theirs_blind, ours_blind].map(|webhook| Scene::new(webhook, &cluster).blind());
    [theirs, ours, theirs_blind, ours_blind]
});

/// gardenlet's, and the same with our containers.
static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let recorded = parsed(include_str!("../../../tests/fixtures/gardener/ha-overlap/vpn-shoot.json"));
    let stored = SCENES[1].obeys(review(STATEFUL_SETS, &recorded, None), &[""]).expect("it is answered").object;
    assert_ne!(recorded, stored);
    vec![recorded, stored]
});

pub(super) fn law(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let scene = bytes.choose(&*SCENES);
    let old = bytes.flag().then(|| edited(bytes.choose(&OBJECTS).clone(), &mut bytes));
    let object = edited(bytes.choose(&OBJECTS).clone(), &mut bytes);
    let places = ["/spec/template/spec/", "/spec/template/metadata", "/metadata/annotations"];
    let review = review(STATEFUL_SETS, &object, old.as_ref());
    if let Some(done) = scene.obeys_typed::<StatefulSet>(review, &places) {
        assert_eq!(others(done.object), others(object), "touched what is not ours");
    }
}
