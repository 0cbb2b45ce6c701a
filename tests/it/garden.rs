//! What people do with the Shoots of `examples/landscape/garden`, and what kubectl would print.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_core::webhooks::{ADVISE_SHOOT_PATH, MUTATE_SHOOT_PATH, VALIDATE_SHOOT_PATH};
use serde_json::{Value, json};

use crate::support::TestServer;

/// The Shoots of the example landscape by namespace and name.
fn shoots() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/landscape/garden");
    let mut shoots = BTreeMap::new();
    for file in ["shop.yaml", "billing.yaml"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for document in text.split("\n---\n") {
            let shoot: Value = serde_saphyr::from_str(document).unwrap();
            let text = |pointer| shoot.pointer(pointer).unwrap().as_str().unwrap();
            shoots.insert(format!("{}/{}", text("/metadata/namespace"), text("/metadata/name")), shoot);
        }
    }
    shoots
}

/// A request: who does what, from which Shoot to which.
struct Scene {
    what: &'static str,
    user: &'static str,
    groups: &'static [&'static str],
    path: &'static str,
    old: Option<Value>,
    new: Option<Value>,
    sub_resource: &'static str,
}

impl Scene {
    fn body(&self) -> String {
        let object = self.new.as_ref().or(self.old.as_ref()).unwrap();
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "resource": {"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"},
                "subResource": self.sub_resource,
                "name": object["metadata"]["name"],
                "namespace": object["metadata"]["namespace"],
                "operation": match (&self.old, &self.new) { (None, _) => "CREATE", (_, None) => "DELETE", _ => "UPDATE" },
                "userInfo": {"username": self.user, "groups": self.groups},
                "object": self.new,
                "oldObject": self.old,
            },
        })
        .to_string()
    }
}

/// What kubectl would print.
fn printed(answer: &Value) -> String {
    let response = &answer["response"];
    let mut text = String::new();
    for warning in response["warnings"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "Warning: {}", warning.as_str().unwrap());
    }
    if let Some(patch) = response["patch"].as_str() {
        let _ = writeln!(text, "patched: {}", String::from_utf8(STANDARD.decode(patch).unwrap()).unwrap());
    }
    if response["allowed"] == true {
        text.push_str("accepted\n");
    } else {
        let _ = writeln!(text, "Error: {}", response["status"]["message"].as_str().unwrap());
        let causes = response["status"]["details"]["causes"].as_array().unwrap().len();
        let _ = writeln!(text, "(causes: {causes})");
    }
    text
}

const PEERINGS: &str = "/spec/extensions/0/providerConfig/shootPeerings";

fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

/// The Shoot with one more peer.
fn plus(object: &Value, peer: &str, seed: &str) -> Value {
    let mut object = object.clone();
    let (namespace, name) = peer.split_once('/').unwrap();
    let entry = json!({"name": name, "namespace": namespace, "seed": seed});
    match object.pointer_mut(PEERINGS) {
        Some(entries) => entries.as_array_mut().unwrap().push(entry),
        None => {
            object["spec"]["extensions"] = json!([{
                "type": "osc-peering-service",
                "providerConfig": {
                    "apiVersion": "service.peering.extensions.osc.t-systems.com/v1",
                    "kind": "PeeringConfig",
                    "shootPeerings": [entry],
                },
            }]);
        }
    }
    object
}

fn renamed(object: &Value, name: &str) -> Value {
    with(object, "/metadata/name", json!(name))
}

fn scenes() -> Vec<Scene> {
    let all = shoots();
    let shop = |name: &str| all[&format!("garden-shop/{name}")].clone();
    let (orders, web, quiet, twin, hub) = (shop("orders"), shop("web"), shop("quiet"), shop("twin"), shop("hub"));
    let scene = |what, old: Option<&Value>, new: Option<&Value>| Scene {
        what,
        user: "alice",
        groups: &["system:authenticated"],
        path: VALIDATE_SHOOT_PATH,
        old: old.cloned(),
        new: new.cloned(),
        sub_resource: "",
    };
    let update = |what, old: &Value, new: Value| scene(what, Some(old), Some(&new));
    let create = |what, new: Value| scene(what, None, Some(&new));

    let new = with(&renamed(&quiet, "crm"), "/spec/networking/nodes", json!("10.9.0.0/27"));
    let to_unknown = plus(&new, "garden-shop/erp", "eu1-a");
    let by_name = with(
        &plus(&new, "garden-shop/web", ""),
        PEERINGS,
        json!([{"name": "web"}, {"name": "ledger", "namespace": "garden-billing"}]),
    );
    let three = with(
        &plus(&new, "garden-shop/crm", "eu1-a"),
        PEERINGS,
        json!([
            {"name": "crm", "namespace": "garden-shop", "seed": "eu1-a"},
            {"name": "web", "namespace": "garden-shop", "seed": "eu1-a"},
            {"name": "web", "namespace": "garden-shop", "seed": "eu1-b"},
            {"name": "", "namespace": "garden-shop", "seed": "eu1-a"},
        ]),
    );
    let seedname = with(
        &plus(&new, "garden-shop/web", "eu1-a"),
        PEERINGS,
        json!([{"name": "web", "namespace": "garden-shop", "seedname": "eu1-a"}]),
    );
    let in_vpc = |pods: &str| {
        let routed = with(&renamed(&shop("routed"), "crm"), "/spec/networking/nodes", json!("10.9.0.0/27"));
        with(&routed, "/spec/networking/pods", json!(pods))
    };
    let labelled = |object: &Value| with(object, "/metadata/labels", json!({"team": "a"}));
    let overlapping = with(&plus(&new, "garden-shop/web", "eu1-a"), "/spec/networking/nodes", json!("10.5.0.0/24"));
    let patient = shop("patient");
    vec![
        create("1. a new Shoot lists one that does not list it back", plus(&new, "garden-shop/web", "eu1-a")),
        update("2. the other side of a peering follows", &with(&web, PEERINGS, json!([])), web.clone()),
        create("3. a new Shoot lists one that does not exist yet", to_unknown.clone()),
        update("3. an entry for a Shoot that does not exist", &new, to_unknown),
        update("4. the same node network in the same project", &twin, plus(&twin, "garden-shop/orders", "eu1-a")),
        update(
            "5. an overlap with a Shoot that cannot be seen",
            &orders,
            plus(&orders, "garden-billing/secret", "eu1-b"),
        ),
        update(
            "5. no such Shoot, in a project that cannot be seen",
            &orders,
            plus(&orders, "garden-billing/nobody", "eu1-b"),
        ),
        update(
            "6. an overlap with a hidden Shoot that lists this one",
            &web,
            plus(&web, "garden-billing/vault", "eu1-b"),
        ),
        update(
            "7. a network grows into a peer",
            &orders,
            with(&orders, "/spec/networking/nodes", json!("10.5.0.0/26")),
        ),
        update("8. two peers overlap each other", &hub, plus(&hub, "garden-shop/narrow", "eu1-a")),
        update("9. a peer has moved, and a label changes", &patient, labelled(&patient)),
        update(
            "9. a peer has moved, and its entry is touched",
            &patient,
            with(
                &patient,
                PEERINGS,
                json!([
                    {"name": "moving", "namespace": "garden-shop", "seed": "eu1-c"},
                ]),
            ),
        ),
        Scene {
            user: "gardener.cloud:system:seed:eu1-a",
            groups: &["gardener.cloud:system:seeds"],
            ..update(
                "10. gardenlet sets a node network that overlaps a peer",
                &orders,
                with(&orders, "/spec/networking/nodes", json!("10.5.0.0/26")),
            )
        },
        update(
            "11. a finalizer goes from a Shoot that is being deleted",
            &shop("leaving"),
            with(&shop("leaving"), "/metadata/finalizers", json!([])),
        ),
        create("12. a disabled extension with a configuration of anything", renamed(&shop("switched-off"), "other")),
        create("13. a misspelt field", seedname),
        create("14. itself, a duplicate, and an empty name", three),
        Scene { path: ADVISE_SHOOT_PATH, ..scene("15. a Shoot with peers is deleted", Some(&orders), None) },
        update(
            "17. two families, one of which overlaps",
            &shop("dual"),
            plus(&shop("dual"), "garden-shop/six", "eu1-a"),
        ),
        update("18. a hibernated Shoot is judged like any other", &shop("sleeping"), {
            let sleeping = with(&shop("sleeping"), "/spec/networking/nodes", json!("10.5.0.0/24"));
            plus(&sleeping, "garden-shop/orders", "eu1-a")
        }),
        Scene {
            sub_resource: "status",
            ..update(
                "20. a status is written",
                &orders,
                with(&orders, "/status", json!({"networking": {"nodes": ["10.5.0.0/24"]}})),
            )
        },
        create("a Shoot without workers as a peer", plus(&new, "garden-shop/workless", "eu1-a")),
        create("a Shoot without a Seed and without networks as a peer", plus(&new, "garden-shop/fresh", "eu1-a")),
        create("no Seed of that name", plus(&new, "garden-billing/secret", "eu9")),
        create("several things at once", overlapping),
        create("networks that overlap those of the Seed", with(&new, "/spec/networking/pods", json!("10.64.0.0/13"))),
        create("a reserved range", with(&new, "/spec/networking/pods", json!("244.0.0.0/16"))),
        create("a Pod network without an overlay that somebody in the VPC has", in_vpc("100.64.0.0/20")),
        create("one that only a hidden Shoot in the VPC has", in_vpc("100.65.0.0/20")),
        Scene {
            user: "carol",
            groups: &["operators"],
            ..create("the same, and the writer may see it", in_vpc("100.64.0.0/10"))
        },
        update(
            "more nodes than routes",
            &shop("routed"),
            with(&shop("routed"), "/spec/provider/workers", json!([{"name": "small", "maximum": 600}])),
        ),
        update(
            "the overlay is switched off",
            &with(&shop("routed"), "/spec/networking/providerConfig", json!({"overlay": {"enabled": true}})),
            with(&shop("routed"), "/spec/kubernetes", json!({"version": "1.35.4"})),
        ),
        Scene {
            path: MUTATE_SHOOT_PATH,
            ..create("namespace and Seed are filled in, as far as they can be seen", by_name)
        },
        Scene {
            path: ADVISE_SHOOT_PATH,
            sub_resource: "binding",
            user: "carol",
            groups: &["operators"],
            ..update("an operator moves a Shoot with peers", &orders, with(&orders, "/spec/seedName", json!("eu1-b")))
        },
    ]
}

/// The scenarios that this table leaves to others: 16, an access review that is not answered, is
/// `a_failed_lookup_refuses_nobody` of the handler; 19, a dry run, `a_dry_run_is_answered_like_any_other_request`.
#[tokio::test]
async fn what_people_are_told() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let mut story = String::new();
    for scene in scenes() {
        let answer = client.post(scene.path, &scene.body()).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", scene.what);
        let again = client.post(scene.path, &scene.body()).await;
        assert_eq!(answer.body, again.body, "{}: the same request, the same bytes", scene.what);
        let _ = writeln!(story, "# {}: {}\n{}", scene.what, scene.user, printed(&answer.json()));
    }
    insta::assert_snapshot!(story);

    let metrics = server.metrics().await;
    for line in [
        "network_guard_shoots 21",
        "network_guard_seeds 2",
        "network_guard_peering_entries{state=\"reciprocal\"} 8",
        "network_guard_peering_entries{state=\"one_sided\"} 4",
        "network_guard_peering_entries{state=\"overlapping\"} 2",
        "network_guard_peering_entries{state=\"peers_overlapping\"} 0",
        "network_guard_peering_entries{state=\"stale_seed\"} 0",
        "network_guard_findings_total{rule=\"peering/breaks-peer\",severity=\"note\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("orders"), "no names of Shoots");
}
