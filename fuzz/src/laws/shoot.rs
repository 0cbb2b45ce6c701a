//! A Shoot that its owner has changed: filled in, and judged.

use std::sync::LazyLock;

use network_guard_core::webhooks::{AdviseShoot, MutateShoot, ValidateShoot};
use serde_json::{Value, json};

use super::bytes::Bytes;
use super::edits::edited;
use super::scene::{Scene, overlapping, parsed, peering, review};

static FILLED_IN: LazyLock<Scene> = LazyLock::new(|| Scene::new(MutateShoot::default(), &overlapping()));
static JUDGED: LazyLock<[Scene; 2]> = LazyLock::new(|| {
    let cluster = overlapping();
    [Scene::new(ValidateShoot::default(), &cluster), Scene::new(AdviseShoot::default(), &cluster)]
});

/// Two recorded ones; one with an infrastructure that has routes, without an overlay; and one without a Seed for its peers.
static SHOOTS: LazyLock<[Value; 4]> = LazyLock::new(|| {
    let update = parsed(include_str!("../../../tests/fixtures/reviews/shoot-update.json"))["request"]["object"].take();
    let mut native = parsed(include_str!("../../../tests/fixtures/overlay/shoot-gains-ipv6.json"));
    native["metadata"] = update["metadata"].clone();
    let mut lacking = peering();
    lacking["spec"]["extensions"][0]["providerConfig"]["shootPeerings"] = json!([{"name": "orders"}, {"name": "ledger", "namespace": "garden-bank"}, {"name": "team-0", "seed": "eu1-b"}]);
    [peering(), update, native, lacking]
});

pub(super) fn law(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let start = bytes.choose(&*SHOOTS).clone();
    let old = bytes.flag().then(|| edited(start.clone(), &mut bytes));
    let start = if bytes.flag() { old.clone().unwrap_or(start) } else { start };
    let object = edited(start, &mut bytes);
    let mut review = review(("core.gardener.cloud", "shoots"), &object, old.as_ref());
    let groups = ["system:authenticated", "gardener.cloud:system:seeds", "gardener.cloud:system:shoots"];
    review["request"]["userInfo"]["groups"] = json!([bytes.choose(&groups)]);
    if old.is_some() && bytes.byte() % 8 == 1 {
        review["request"]["operation"] = json!("DELETE");
        review["request"].as_object_mut().expect("it is one").remove("object");
    }
    FILLED_IN.obeys(review.clone(), &["/spec/extensions/"]);
    for scene in &*JUDGED {
        scene.obeys(review.clone(), &[]);
    }
}
