//! A Network whose overlay is switched, or whose records were changed by others.

use std::sync::LazyLock;

use network_guard_core::gardener::encapsulation;
use network_guard_core::net::Family;
use network_guard_core::webhooks::HoldNetwork;
use serde_json::{Value, json};

use super::bytes::Bytes;
use super::edits::edited;
use super::scene::{Scene, overlapping, review};

const NETWORKS: (&str, &str) = ("extensions.gardener.cloud", "networks");

/// Where a patch may change something.
const OURS: [&str; 3] = ["/spec/providerConfig", "/spec/ipFamilies", "/metadata/annotations"];

/// The scene whose infrastructure has nobody who reports routes.
const UNREPORTED: usize = 1;

/// The scene whose Cluster says that the Shoot has given a switch up, whatever gardenlet writes.
const GIVEN_UP: usize = 3;

/// Of a Shoot on an infrastructure whose routes are reported; of one where nobody reports them; of one that is not known; and of one
/// that asks for an overlay.
static SCENES: LazyLock<[Scene; 4]> = LazyLock::new(|| {
    let on = |provider: &str, overlay: bool| {
        let mut cluster = overlapping();
        let shoot = &mut cluster["spec"]["shoot"]["spec"];
        shoot["provider"]["type"] = json!(provider);
        shoot["networking"]["type"] = json!("calico");
        shoot["networking"]["providerConfig"] = network(overlay)["spec"]["providerConfig"].take();
        Scene::new(HoldNetwork::default(), &cluster)
    };
    [on("aws", false), on("local", false), on("aws", false).blind(), on("aws", true)]
});

/// A written one, by what is asked for.
fn network(overlay: bool) -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {
            "name": "ha", "namespace": "shoot--local--ha", "uid": "00000000-0000-4000-8000-000000000000",
            "resourceVersion": "1", "generation": 1,
            "annotations": {"gardener.cloud/timestamp": "2026-11-20T10:00:00.123456789Z"},
        },
        "spec": {
            "type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13", "ipFamilies": ["IPv4"],
            "providerConfig": {
                "apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig",
                "overlay": {"enabled": overlay}, "typha": {"enabled": true},
            },
        },
        "status": {"lastOperation": {"state": "Succeeded"}, "observedGeneration": 1},
    })
}

/// Whether the extension can deploy it.
fn is_readable(network: &Value) -> bool {
    let config = &network["spec"]["providerConfig"];
    let text = config.to_string();
    encapsulation((!config.is_null()).then_some(&text), &[Family::V4]).is_ok()
}

pub(super) fn law(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let index = bytes.below(SCENES.len());
    let scene = &SCENES[index];
    let write = |old: &Value, object: &Value| {
        let review = review(NETWORKS, object, Some(old));
        if index == GIVEN_UP || !is_readable(old) {
            // There a second call with the same write may clear what the first one held: it looks like gardenlet's that keeps the
            // overlay, or what is held back means none, which nobody has deployed.
            scene.answers(review.to_string().as_bytes());
            return None;
        }
        scene.obeys(review, &OURS)
    };
    if bytes.flag() {
        // Whatever else is asked for with it, a switch that nobody has approved is held.
        let mut wanted = network(false);
        wanted["spec"]["providerConfig"] = edited(wanted["spec"]["providerConfig"].take(), &mut bytes);
        if let Some(done) = write(&network(true), &wanted)
            && done.response["allowed"] == true
            && index != UNREPORTED
        {
            assert_ne!(done.object["spec"]["providerConfig"]["overlay"]["enabled"], false, "nobody has approved it");
        }
        return;
    }
    let mut old = edited(network(bytes.flag()), &mut bytes);
    // What we have written before is what most is read of.
    if bytes.flag()
        && let Some(done) = write(&old, &network(false))
    {
        old = done.object;
    }
    let old = edited(old, &mut bytes);
    let object = if bytes.flag() { old.clone() } else { network(bytes.flag()) };
    write(&old, &edited(object, &mut bytes));
}
