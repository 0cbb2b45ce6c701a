//! On a Seed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::SEED;
use super::{
    OVERLAY, RIGHTS, SHOOT, VPN, Write, account_token, encoded, filled_in, in_shoot, install, judge, managed_resource,
    owners, policies, requestor, secret, with,
};
use crate::harness::{Chart, ControlPlane, documents, until};

const ACCOUNT: &str = "/metadata/annotations/serviceaccount.resources.gardener.cloud~1";

#[test]
fn a_token_of_a_seed_is_worth_little() {
    const NAME: &str = "gardener-extension-network-guard";
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    for (name, labels) in [(SEED, json!({})), ("other", json!({})), (SHOOT, json!({"gardener.cloud/role": "shoot"}))] {
        admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
    }
    let url = format!("https://{NAME}-shoots.{SEED}.svc");
    let values = json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}}});
    let objects = Chart::SEED.render(SEED, &values);
    let thief = install(&control_plane, &objects, (SEED, NAME));

    // What Gardener has there.
    admin.apply(&json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {"name": "b", "namespace": SHOOT, "labels": {"a": "b"}, "finalizers": ["extensions.gardener.cloud/network"]},
        "spec": {"type": "calico", "podCIDR": "10.0.0.0/16", "serviceCIDR": "10.1.0.0/16", "providerConfig": {"a": 1}},
    }));
    admin.ok(
        &[
            "patch",
            "network",
            "b",
            "-n",
            SHOOT,
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status": {"observedGeneration": 1}}"#,
        ],
        None,
    );
    admin.apply(&json!({
        "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
        "metadata": {"name": "shoot-core-vpn-shoot", "namespace": SHOOT}, "spec": {"secretRefs": [{"name": "x"}]},
    }));
    // What gardener-resource-manager has filled in.
    let filled = with(requestor("network-guard"), &[("/data", json!({"token": encoded("token")}))]);
    admin.apply(&filled);
    let mut configuration = documents(&Chart::SEED.file("files/webhooks.yaml")).remove(0);
    configuration["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("network-guard");

    let rights = secret(OVERLAY, &json!({"rights.yaml": encoded(RIGHTS)}));
    let at_home = with(
        secret("network-guard-certificates", &json!({"ca.key": encoded("key")})),
        &[("/metadata/namespace", json!(SEED)), ("/metadata/ownerReferences", json!([]))],
    );
    // The server may patch it without reading it.
    let vpn = |change: Value| {
        let mut object = json!({
            "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
            "metadata": {"name": "shoot-core-vpn-shoot", "namespace": SHOOT},
        });
        super::super::merge(&mut object, &change);
        object
    };
    let network = |change: Value| {
        let mut object = json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
            "metadata": {"name": "b", "namespace": SHOOT},
        });
        super::super::merge(&mut object, &change);
        object
    };
    let reconcile = vpn(json!({"metadata": {"annotations": {"gardener.cloud/operation": "reconcile"}}}));
    let event = |controller: &str| {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": SHOOT},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": controller, "reportingInstance": "x",
            "action": "a", "reason": "r", "type": "Normal", "regarding": {"kind": "Network", "namespace": SHOOT, "name": "b"},
        })
    };
    let lease = |name: &str, namespace: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace}});

    let mut own = vec![
        Write::apply("the rights in a Shoot", rights.clone()),
        Write::apply("the ManagedResource of the rights", managed_resource("network-guard-overlay")),
        Write::apply("the request for a token", requestor("network-guard")),
        Write::apply("the ManagedResource of the webhook in a Shoot", managed_resource("network-guard-vpn-shoot")),
        Write::apply("the webhook in a Shoot, without a CA", in_shoot(0, &url, SHOOT, "Ignore")),
        Write::create("the CA", at_home.clone()),
        Write::create("the registration", configuration.clone()),
        Write::create("the Lease", lease("network-guard-certificates", SEED)),
        Write::create("an event", event("network-guard")),
        Write::apply("a new write of the VPN", reconcile),
        Write::apply_status("the state of a switch", network(json!({"status": {"state": {"networkGuard": {}}}}))),
        Write::patch(
            "a release",
            "network/b",
            &json!({
                "metadata": {"annotations": {
                    "gardener.cloud/operation": "reconcile", "network-guard.extensions.gardener.cloud/overlay-switch-state": "approved",
                }},
                "spec": {"providerConfig": {"overlay": {"enabled": false}}, "ipFamilies": ["IPv4"]},
            }),
        ),
    ];
    // Base64 has three endings. The last one is what docs/operations/security.md promises: six CAs.
    for length in [600, 601, 602, 12_000] {
        let object = in_shoot(length, &url, SHOOT, "Ignore");
        own.push(Write::apply(&format!("the webhook in a Shoot, with a CA of {length} bytes"), object));
    }

    // Within the names of fields, where it means a webhook that fails, and is called for everything.
    let hidden = |what: &str, letters: &[u8]| {
        let mut object = in_shoot(600, &url, SHOOT, "Ignore");
        let text = STANDARD.decode(object["data"]["webhook.json"].as_str().unwrap()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut bytes = Vec::new();
        for (index, part) in text.split("Policy\":\"Ignore").enumerate() {
            if index > 0 {
                bytes.extend([b"Pol", letters, b"icy\":\"Ignore"].concat());
            }
            bytes.extend(part.as_bytes());
        }
        object["data"]["webhook.json"] = json!(STANDARD.encode(bytes));
        Write::apply(what, object)
    };
    let evil = |text: &str| encoded(&format!("{RIGHTS}{text}"));
    let service = "/webhooks/0/clientConfig";
    let thefts = [
        Write::create("a token of a foreign account", account_token("a", SHOOT)),
        Write::create("a token of a foreign account under our name", account_token("network-guard-certificates", SEED)),
        Write::create("a token of a foreign account under our name in a Shoot", account_token(OVERLAY, SHOOT)),
        Write::apply("a token of another account of a Shoot", requestor("cluster-admin")),
        Write::apply(
            "the same in another namespace of the Shoot",
            with(requestor("network-guard"), &[(&format!("{ACCOUNT}namespace"), json!("x"))]),
        ),
        Write::apply(
            "a token that lives longer",
            with(requestor("network-guard"), &[(&format!("{ACCOUNT}token-expiration-duration"), json!("9999h"))]),
        ),
        Write::apply(
            "a token somewhere else",
            with(
                requestor("network-guard"),
                &[(&format!("{ACCOUNT}inject-ca-bundle"), json!("false")), ("/metadata/namespace", json!("other"))],
            ),
        ),
        Write::apply(
            "a token of another class",
            with(requestor("network-guard"), &[("/metadata/labels/resources.gardener.cloud~1class", json!("seed"))]),
        ),
        Write::create(
            "a token by a Secret of another name",
            with(requestor("network-guard"), &[("/metadata/name", json!("shoot-access-evil"))]),
        ),
        Write::create(
            "a token by the Secret of the CA",
            with(
                requestor("x"),
                &[
                    ("/metadata/name", json!("network-guard-certificates")),
                    ("/metadata/namespace", json!(SEED)),
                    ("/metadata/ownerReferences", json!([])),
                ],
            ),
        ),
        Write::apply("a forged token", with(filled.clone(), &[("/data/token", json!(encoded("evil")))])),
        Write::apply(
            "more rights in a Shoot",
            with(rights.clone(), &[("/data/rights.yaml", json!(evil("---\nx: y")))]),
        ),
        Write::apply("other objects in a Shoot", with(rights.clone(), &[("/data/more.yaml", json!(encoded("x: y")))])),
        Write::create("objects in the Seed", with(rights.clone(), &[("/metadata/namespace", json!("other"))])),
        Write::apply("a Secret that stays", with(rights.clone(), &[("/immutable", json!(true))])),
        Write::apply(
            "a Secret that cannot be deleted",
            with(rights.clone(), &[("/metadata/finalizers", json!(["a/b"]))]),
        ),
        Write::apply(
            "a Secret that holds up the end of a node",
            with(
                rights,
                &[(
                    "/metadata/ownerReferences",
                    json!([{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "1"}]),
                )],
            ),
        ),
        Write::apply(
            "a ManagedResource of class seed",
            with(managed_resource("network-guard-overlay"), &[("/spec/class", json!("seed"))]),
        ),
        Write::apply(
            "a ManagedResource with other content",
            with(managed_resource("network-guard-overlay"), &[("/spec/secretRefs/0/name", json!("x"))]),
        ),
        Write::apply(
            "a ManagedResource with more content",
            with(
                managed_resource("network-guard-overlay"),
                &[("/spec/secretRefs", json!([{"name": OVERLAY}, {"name": "x"}]))],
            ),
        ),
        Write::apply(
            "a ManagedResource that stays",
            with(managed_resource("network-guard-overlay"), &[("/spec/keepObjects", json!(true))]),
        ),
        Write::create("a ManagedResource of another name", managed_resource("evil")),
        Write::create(
            "a ManagedResource somewhere else",
            with(managed_resource("network-guard-overlay"), &[("/metadata/namespace", json!("other"))]),
        ),
        Write::apply("another VPN", vpn(json!({"spec": {"secretRefs": [{"name": "evil"}]}}))),
        Write::apply(
            "a VPN that nobody looks after",
            vpn(json!({"metadata": {"annotations": {"resources.gardener.cloud/ignore": "true"}}})),
        ),
        Write::apply(
            "a webhook in a Shoot that calls somebody else",
            in_shoot(600, "https://evil.example", SHOOT, "Ignore"),
        ),
        Write::apply("a webhook in a Shoot for another Shoot", in_shoot(600, &url, "shoot--a--c", "Ignore")),
        Write::apply("a webhook in a Shoot that blocks it", in_shoot(600, &url, SHOOT, "Fail")),
        Write::apply(
            "something else in a Shoot",
            with(in_shoot(0, &url, SHOOT, "Ignore"), &[("/data/webhook.json", json!(encoded("x: ÿ")))]),
        ),
        // Letters that a decoder might leave out make other fields of them, which an API server drops.
        hidden("a webhook in a Shoot with fields that only look like ours", b"\x7f"),
        hidden("a webhook in a Shoot with fields that are no text", b"\x80"),
        hidden("a webhook in a Shoot with fields in other letters", "\u{7f}\u{80}".as_bytes()),
        hidden("a webhook in a Shoot with control characters", b"\x1f"),
        Write::apply("a webhook in a Shoot that costs too much", in_shoot(200_000, &url, SHOOT, "Ignore")),
        Write::create(
            "a foreign webhook configuration",
            with(configuration.clone(), &[("/metadata/name", json!("evil"))]),
        ),
        Write::create(
            "webhooks that call another Service",
            with(configuration.clone(), &[(&format!("{service}/service/namespace"), json!("other"))]),
        ),
        Write::create(
            "webhooks that call an address",
            with(
                configuration.clone(),
                &[(service, json!({"url": "https://evil.example/webhooks/mutate/kube-apiserver"}))],
            ),
        ),
        Write::create(
            "webhooks that see Secrets",
            with(
                configuration.clone(),
                &[
                    ("/webhooks/0/rules/0/resources", json!(["secrets"])),
                    ("/webhooks/0/rules/0/apiGroups", json!([""])),
                ],
            ),
        ),
        Write::create(
            "webhooks that see all Deployments",
            with(configuration.clone(), &[("/webhooks/0/objectSelector", json!({}))]),
        ),
        Write::create(
            "webhooks that see all namespaces",
            with(configuration.clone(), &[("/webhooks/0/namespaceSelector", json!({}))]),
        ),
        Write::create(
            "webhooks of another name",
            with(configuration.clone(), &[("/webhooks/0/name", json!("evil.example.com"))]),
        ),
        Write::create(
            "a registration with another owner",
            with(configuration, &[("/metadata/ownerReferences", owners())]),
        ),
        Write::patch("other Pods' addresses in a Network", "network/b", &json!({"spec": {"podCIDR": "10.2.0.0/16"}})),
        Write::patch("a Network of another class", "network/b", &json!({"spec": {"class": "seed"}})),
        Write::patch(
            "a migration of a Network",
            "network/b",
            &json!({"metadata": {"annotations": {"gardener.cloud/operation": "migrate"}}}),
        ),
        Write::patch("a Network without its finalizer", "network/b", &json!({"metadata": {"finalizers": null}})),
        Write::patch("a Network with other labels", "network/b", &json!({"metadata": {"labels": {"a": null}}})),
        Write::apply_status("the status of a Network", network(json!({"status": {"observedGeneration": 7}}))),
        Write::create("a foreign Lease", lease("kube-scheduler", SEED)),
        Write::create(
            "a Lease that somebody goes by",
            with(lease("network-guard-certificates", SEED), &[("/metadata/labels", json!({"a": "b"}))]),
        ),
        Write::create(
            "a Lease that holds up the end of another object",
            with(lease("network-guard-certificates", SEED), &[("/metadata/ownerReferences", owners())]),
        ),
        Write::create("an event in the name of others", event("kubelet")),
        Write::create(
            "an event with annotations of others",
            with(event("network-guard"), &[("/metadata/annotations", json!({"a": "b"}))]),
        ),
        Write::create(
            "an event that holds up the end of another object",
            with(event("network-guard"), &[("/metadata/ownerReferences", owners())]),
        ),
    ];
    judge(&control_plane, &thief, &policies(&objects), &own, &thefts);

    // With containers of our own the webhook has to answer, and says by a digest which containers it adds.
    let nat = json!({"mode": "own", "image": "registry.example.com/network-guard:v1", "shootWebhook": {}});
    let by_ours = Chart::SEED.render(SEED, &json!({"config": {"vpn": {"nat": nat}}}));
    admin.apply(&policies(&by_ours));
    let ours = |key: &str, policy: &str| {
        let digest = "0".repeat(64);
        let containers = format!(r#""annotations":{{"network-guard.extensions.gardener.cloud/{key}":"{digest}"}},"#);
        let parts = [
            ("CONTAINERS", &*containers),
            ("BUNDLE", ""),
            ("URL", &url),
            ("NAMESPACE", SHOOT),
            ("FAILURE_POLICY", policy),
        ];
        Write::apply("a webhook with containers of our own", filled_in(&parts)).by(&thief)
    };
    until("the policy is in force", || ours("containers", "Fail").is_ok());
    ours("containers", "Ignore").unwrap_err();
    ours("other", "Fail").unwrap_err();

    // Where webhooks in Shoots are not configured, they are not permitted either.
    let plain = Chart::SEED.render(SEED, &json!({}));
    admin.apply(&policies(&plain));
    let webhook = Write::apply("a webhook in a Shoot", in_shoot(600, &url, SHOOT, "Ignore"));
    until("the policy is in force", || webhook.by(&thief).is_err());
    // Deletions are restricted by names alone, so that nothing is left behind.
    admin.apply(&in_shoot(600, &url, SHOOT, "Ignore"));
    thief.ok(&["delete", "secret", VPN, "-n", SHOOT], None);
}
