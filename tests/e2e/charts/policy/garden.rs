//! In the garden: in the virtual garden, and in the runtime cluster.

use serde_json::{Value, json};

use super::super::{RUNTIME, VIRTUAL};
use super::{Write, account_token, encoded, install, judge, policies, requestor, secret, with};
use crate::harness::{Chart, ControlPlane, documents};

const SECRET: &str = "network-guard-garden-certificates";

#[test]
fn tokens_of_the_garden_are_worth_little() {
    const NAME: &str = "gardener-extension-admission-network-guard";
    let control_plane = ControlPlane::start_bare(&[]);
    let admin = control_plane.admin();
    for namespace in [RUNTIME, "other"] {
        admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    }

    // In the virtual garden.
    let objects = Chart::APPLICATION.render(VIRTUAL, &json!({}));
    let thief = install(&control_plane, &objects, ("kube-system", "extension-admission-network-guard"));
    let configurations: Vec<Value> = documents(&Chart::APPLICATION.file("files/webhooks.yaml"));
    let own: Vec<Write> =
        configurations.iter().map(|object| Write::create(object["kind"].as_str().unwrap(), object.clone())).collect();
    let client = "/webhooks/0/clientConfig";
    let thefts: Vec<Write> = configurations
        .iter()
        .flat_map(|object| {
            [
                Write::create("a foreign configuration", with(object.clone(), &[("/metadata/name", json!("evil"))])),
                Write::create(
                    "another address",
                    with(
                        object.clone(),
                        &[(&format!("{client}/url"), json!("https://evil.example/webhooks/mutate/shoot"))],
                    ),
                ),
                Write::create(
                    "a Service",
                    with(
                        object.clone(),
                        &[(client, json!({"service": {"name": NAME, "namespace": "garden", "path": "/"}}))],
                    ),
                ),
                Write::create(
                    "Secrets",
                    with(
                        object.clone(),
                        &[
                            ("/webhooks/0/rules/0/apiGroups", json!([""])),
                            ("/webhooks/0/rules/0/resources", json!(["secrets"])),
                        ],
                    ),
                ),
                Write::create("all Shoots", with(object.clone(), &[("/webhooks/0/objectSelector", json!({}))])),
            ]
        })
        .collect();
    judge(&control_plane, &thief, &policies(&objects), &own, &thefts);

    // In the runtime cluster, in whose namespace `garden` gardener-resource-manager gives out tokens for the virtual garden.
    let objects = Chart::RUNTIME.render(RUNTIME, &json!({}));
    let thief = install(&control_plane, &objects, (RUNTIME, NAME));
    let at_home = |object: Value, name: &str| {
        let mut object = with(object, &[("/metadata/name", json!(name)), ("/metadata/namespace", json!(RUNTIME))]);
        object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
        object
    };
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": RUNTIME}});
    let ca = at_home(secret("x", &json!({"ca.key": encoded("key")})), SECRET);
    let own = [Write::create("the CA", ca), Write::create("the Lease", lease(SECRET))];
    let thefts = [
        Write::create("a token for the virtual garden", at_home(requestor("cluster-admin"), "shoot-access-evil")),
        Write::create("the same under our name", at_home(requestor("cluster-admin"), SECRET)),
        Write::create("a token of a foreign account", account_token(SECRET, RUNTIME)),
        Write::create("another Secret", at_home(secret("x", &json!({})), "evil")),
        Write::create("a foreign Lease", lease("gardener-scheduler")),
    ];
    judge(&control_plane, &thief, &policies(&objects), &own, &thefts);
}
