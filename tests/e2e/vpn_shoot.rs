//! The end of the VPN in a Shoot: gardener-resource-manager writes it, and our webhook, which a ManagedResource registers
//! there, looks at it, as long as the networks overlap.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Patch, Switch, eventually, fixture, until};

const WEBHOOK: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/gardener-extension-network-guard-shoot";
const STATEFUL_SET: &str = "/apis/apps/v1/namespaces/kube-system/statefulsets/vpn-shoot";
const OVERLAPPING: &str = "10.250.128.0/17";
const APART: &str = "10.64.0.0/11";

struct Scene {
    switch: Switch,
}

impl Scene {
    /// A Seed and a Shoot, whose networks do not overlap yet.
    fn start(nat: &str) -> Self {
        let webhook = "shootWebhook: {url: GUARD_URL, caFile: GUARD_CA}";
        Self::start_configured(&format!("vpn: {{nat: {{{nat}{webhook}}}}}\n"))
    }

    fn start_configured(configuration: &str) -> Self {
        let switch = Switch::start_configured(&json!({}), configuration);
        let scene = Self { switch };
        let networks = format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{}/networks", scene.namespace());
        scene.switch.seed.api.create(
            &networks,
            &json!({
                "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
                "metadata": {"name": scene.switch.shoot.name},
                "spec": {"type": "other", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13"},
            }),
        );
        scene
    }

    fn namespace(&self) -> &str {
        &self.switch.shoot.namespace
    }

    fn ours(&self, kind: &str) -> Option<Value> {
        let namespace = self.namespace();
        self.switch.seed.api.get(&match kind {
            "Secret" => format!("/api/v1/namespaces/{namespace}/secrets/managedresource-network-guard-vpn-shoot"),
            _ => format!(
                "/apis/resources.gardener.cloud/v1alpha1/namespaces/{namespace}/managedresources/network-guard-vpn-shoot"
            ),
        })
    }

    fn webhook(&self) -> Option<Value> {
        self.switch.shoot.api.get(WEBHOOK)
    }

    /// Writes the StatefulSet into the Shoot as gardenlet does: by a ManagedResource. The write is told by a label of its
    /// Pods.
    fn deploy(&self, round: &str, stateful_set: &Value) {
        let mut stateful_set = stateful_set.clone();
        stateful_set["spec"]["template"]["metadata"]["labels"]["round"] = json!(round);
        let namespace = self.namespace();
        let api = &self.switch.seed.api;
        api.apply(
            &format!("/api/v1/namespaces/{namespace}/secrets"),
            &json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "managedresource-shoot-core-vpn-shoot"},
                "data": {"statefulset.json": STANDARD.encode(stateful_set.to_string())},
            }),
        );
        let resources = format!("/apis/resources.gardener.cloud/v1alpha1/namespaces/{namespace}/managedresources");
        if api.get(&format!("{resources}/shoot-core-vpn-shoot")).is_none() {
            api.create(
                &resources,
                &json!({
                    "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
                    "metadata": {"name": "shoot-core-vpn-shoot", "labels": {"origin": "gardener"}},
                    "spec": {"secretRefs": [{"name": "managedresource-shoot-core-vpn-shoot"}], "keepObjects": false},
                }),
            );
        }
    }

    /// Has gardener-resource-manager write the same again, as it does every hour.
    fn write_again(&self) {
        let resource = format!(
            "/apis/resources.gardener.cloud/v1alpha1/namespaces/{}/managedresources/shoot-core-vpn-shoot",
            self.namespace()
        );
        let now = json!({"metadata": {"annotations": {"gardener.cloud/operation": "reconcile"}}});
        self.switch.seed.api.patch(&resource, Patch::Merge, &now);
    }

    /// The StatefulSet in the Shoot, once this write has arrived there.
    #[track_caller]
    fn stored(&self, round: &str) -> Value {
        eventually("gardener-resource-manager writes the StatefulSet", || {
            let stored = self.switch.shoot.api.get(STATEFUL_SET).ok_or("there is none")?;
            let label = &stored["spec"]["template"]["metadata"]["labels"]["round"];
            if *label == round { Ok(stored) } else { Err(format!("{label}")) }
        })
    }

    /// How often the webhook decided so.
    fn decisions(&self, decision: &str) -> f64 {
        let labels = format!(r#"handler="vpn-shoot",decision="{decision}""#);
        self.switch.guard().series("network_guard_decisions_total", &labels)
    }
}

fn pod(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

fn variable<'v>(object: &'v mut Value, container: usize, name: &str) -> &'v mut Value {
    let env = object["spec"]["template"]["spec"]["containers"][container]["env"].as_array_mut().unwrap();
    &mut env.iter_mut().find(|entry| entry["name"] == name).expect(name)["value"]
}

fn names(object: &Value, list: &str) -> Vec<String> {
    let list = pod(object)[list].as_array().unwrap();
    list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn variables_are_looked_after_as_long_as_networks_overlap() {
    let mut scene = Scene::start("");
    let right = fixture("ha-overlap", "vpn-shoot");
    until("our server knows the Cluster", || scene.switch.guard().metric("network_guard_clusters") >= 1.0);
    scene.switch.guard().after_turns("vpn-shoot", 1, || {
        assert!(scene.ours("ManagedResource").is_none() && scene.webhook().is_none(), "nothing overlaps");
    });

    // They begin to overlap: the webhook is registered in the Shoot, and belongs to the Network on the Seed.
    scene.switch.shoot.seed_pods(OVERLAPPING);
    let webhook = eventually("the webhook is registered", || scene.webhook().ok_or_else(|| "it is not".to_owned()));
    let uid = scene.switch.shoot.shoot()["metadata"]["uid"].as_str().unwrap().to_owned();
    let url =
        format!("{}/webhooks/mutate/vpn-shoot/{}/{uid}", scene.switch.guard().url_for_shoots(), scene.namespace());
    assert_eq!(webhook["webhooks"][0]["clientConfig"]["url"], *url);
    assert_eq!(webhook["webhooks"][0]["failurePolicy"], "Ignore");
    assert_eq!(webhook["metadata"]["labels"]["shoot.gardener.cloud/no-cleanup"], "true");
    for kind in ["Secret", "ManagedResource"] {
        let object = scene.ours(kind).unwrap();
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["name"]), (&json!("Network"), &json!(scene.switch.shoot.name)), "{kind}");
        assert_ne!(object["metadata"]["labels"]["origin"], "gardener", "{kind}");
    }
    let version = |scene: &Scene| {
        let secret = scene.ours("Secret").unwrap()["metadata"]["resourceVersion"].clone();
        (secret, scene.ours("ManagedResource").unwrap()["metadata"]["generation"].clone())
    };
    let written = version(&scene);

    // What gardenlet writes is right, and stays as it is. The API server learns of the webhook by a watch.
    scene.deploy("first", &right);
    scene.stored("first");
    let before = scene.decisions("unchanged");
    until("the webhook is called", || {
        scene.write_again();
        scene.decisions("unchanged") > before
    });
    let first = scene.stored("first");
    assert_eq!(first["metadata"]["generation"], 1);
    for container in 0..2 {
        let env = |object: &Value| -> Vec<Value> {
            let env = pod(object)["containers"][container]["env"].as_array().unwrap();
            env.iter().filter(|entry| entry["valueFrom"].is_null()).cloned().collect()
        };
        assert_eq!(env(&first), env(&right));
    }

    // What is wrong is corrected, each time that it is written, and so the same every time.
    let mut wrong = right.clone();
    *variable(&mut wrong, 1, "SHOOT_NODE_NETWORKS") = json!("10.251.0.0/16");
    scene.deploy("second", &wrong);
    let second = scene.stored("second");
    assert_eq!(pod(&second)["containers"], pod(&first)["containers"]);
    let before = scene.decisions("corrected");
    scene.write_again();
    until("gardener-resource-manager writes again", || scene.decisions("corrected") > before);
    assert_eq!(scene.stored("second")["metadata"]["generation"], second["metadata"]["generation"]);

    // Networks in another form that lead to the same mapping are no mistake.
    let mut other = right.clone();
    *variable(&mut other, 0, "SHOOT_NODE_NETWORKS") = json!("10.250.9.9/16");
    scene.deploy("third", &other);
    assert_eq!(*variable(&mut scene.stored("third"), 0, "SHOOT_NODE_NETWORKS"), "10.250.9.9/16");

    // A new leader finds everything as it should be, and writes nothing.
    scene.switch.seed.kill_guard();
    scene.switch.seed.restart_guard();
    until("the new leader has looked", || scene.switch.guard().metric("network_guard_vpn_shoot_registrations") >= 1.0);
    assert_eq!(version(&scene), written);
    assert!(scene.switch.guard().metric("network_guard_vpn_shoot_registration_failures_total") < 1.0);

    // What is not needed any more goes.
    scene.switch.shoot.seed_pods(APART);
    until("the webhook is gone", || scene.webhook().is_none());
    until("all of network-guard is gone", || scene.ours("Secret").is_none() && scene.ours("ManagedResource").is_none());
    scene.deploy("fourth", &wrong);
    assert_eq!(*variable(&mut scene.stored("fourth"), 1, "SHOOT_NODE_NETWORKS"), "10.251.0.0/16", "nobody looks");
}

#[test]
fn containers_of_ours_translate_and_the_end_of_the_shoot_is_free() {
    let mut scene = Scene::start("mode: own, image: 'network-guard:test', keepSeconds: 30, ");
    let desired = fixture("ha-overlap", "vpn-shoot");
    // gardenlet is faster than the registration.
    scene.deploy("first", &desired);
    assert_eq!(names(&scene.stored("first"), "containers").len(), 3);
    scene.switch.shoot.seed_pods(OVERLAPPING);
    let webhook = eventually("the webhook is registered", || scene.webhook().ok_or_else(|| "it is not".to_owned()));
    assert_eq!(webhook["webhooks"][0]["failurePolicy"], "Fail");

    let first = eventually("they are there", || {
        let stored = scene.stored("first");
        if names(&stored, "containers").contains(&"network-guard-nat".to_owned()) {
            Ok(stored)
        } else {
            Err("no".to_owned())
        }
    });
    assert_eq!(names(&first, "initContainers"), ["vpn-shoot-init", "network-guard-nat-init"]);
    assert_eq!(names(&first, "containers"), ["vpn-shoot-s0", "vpn-shoot-s1", "tunnel-controller", "network-guard-nat"]);
    let agent = &pod(&first)["containers"][3];
    let command: Vec<&str> = agent["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(command.join(" ").starts_with("network-guard nat apply --side shoot --seed-pods 10.250.128.0/17"));

    // They are complete: gardener-resource-manager writes again and again, and no default makes a difference.
    let before = scene.decisions("injected");
    scene.write_again();
    until("gardener-resource-manager writes again", || scene.decisions("injected") > before);
    let again = scene.stored("first");
    assert_eq!(again["metadata"]["generation"], first["metadata"]["generation"]);
    assert_eq!(again["spec"], first["spec"]);

    // While nobody answers, nothing is written: a Pod without them could not be reached.
    scene.switch.seed.kill_guard();
    scene.deploy("second", &desired);
    eventually("the write is refused", || {
        let log = scene.switch.shoot.resource_manager_log();
        let refusal = "failed calling webhook \\\"vpn-shoot.network-guard";
        if log.contains(refusal) { Ok(()) } else { Err(log.chars().rev().take(400).collect::<String>()) }
    });
    assert_eq!(scene.stored("first")["spec"], first["spec"]);
    scene.switch.seed.restart_guard();
    assert_eq!(names(&scene.stored("second"), "containers").len(), 4);

    // No overlap any more: gardenlet's object is all that is left.
    scene.switch.shoot.seed_pods(APART);
    until("all of network-guard is gone", || scene.ours("Secret").is_none() && scene.ours("ManagedResource").is_none());
    until("the containers are gone", || names(&scene.stored("second"), "containers").len() == 3);
    assert!(scene.webhook().is_none());

    // The Shoot is deleted: the webhook goes before anybody has to wait for it.
    scene.switch.shoot.seed_pods(OVERLAPPING);
    until("the webhook is there again", || scene.webhook().is_some());
    scene.switch.shoot.update_cluster(|shoot| shoot["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    until("all of network-guard is gone", || scene.ours("Secret").is_none() && scene.ours("ManagedResource").is_none());
    until("the webhook is gone", || scene.webhook().is_none());
}

/// Self-managed certificates: no new CA signs before every Shoot was told of it.
#[test]
fn shoots_are_told_of_a_new_ca_before_it_signs() {
    let own = "certificates: {namespace: garden, marginSeconds: 1, registration: {url: OWN_URL}}";
    let scene = Scene::start_configured(&format!("vpn: {{nat: {{shootWebhook: {{url: GUARD_URL}}}}}}\n{own}\n"));
    scene.switch.shoot.seed_pods(OVERLAPPING);
    let secret = || scene.switch.seed.api.get("/api/v1/namespaces/garden/secrets/network-guard-certificates").unwrap();
    let signing = || STANDARD.decode(secret()["data"]["ca.crt"].as_str().unwrap()).unwrap();
    let trusted = || {
        let bundle = scene.webhook()?["webhooks"][0]["clientConfig"]["caBundle"].as_str()?.to_owned();
        STANDARD.decode(bundle).ok()
    };
    let old = signing();
    until("the Shoot trusts the CA", || trusted().as_ref() == Some(&old));
    let right = fixture("ha-overlap", "vpn-shoot");
    scene.deploy("first", &right);
    scene.stored("first");
    let called = |scene: &Scene| {
        let before = scene.decisions("unchanged");
        until("the webhook is called", || {
            scene.write_again();
            scene.decisions("unchanged") > before
        });
    };
    called(&scene);

    // While nothing reaches the Shoot, the rotation waits.
    scene.switch.shoot.pause_resource_manager();
    let rotate = json!({"metadata": {"annotations": {"network-guard.extensions.gardener.cloud/rotate": ""}}});
    scene.switch.seed.api.patch("/api/v1/namespaces/garden/secrets/network-guard-certificates", Patch::Merge, &rotate);
    until("the next CA is there", || secret()["data"]["next.crt"].is_string());
    let unpublished = || scene.switch.guard().metric("network_guard_certificate_unpublished");
    until("only the Shoot lacks it", || (unpublished() - 1.0).abs() < f64::EPSILON);
    scene.switch.guard().after_turns("certificates", 4, || {
        let want = (old.clone(), Some(old.clone()));
        assert_eq!((signing(), trusted()), want, "nobody signs with what the Shoot does not trust");
    });

    // When it goes on, so does the rotation, and the webhook is called with either.
    scene.switch.shoot.resume_resource_manager();
    until("the next CA signs", || signing() != old);
    let bundle = trusted().unwrap();
    assert!(bundle.starts_with(&old) || bundle.ends_with(&old), "both are trusted");
    assert!(bundle.len() > old.len());
    called(&scene);
}
