//! What somebody can do who has a token of our server: without the policies of the charts, which only looks whether a role
//! permits it, and with them.

#![allow(clippy::print_stdout, reason = "people may want to see what is refused")]

mod garden;
mod seed;

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{RUNTIME, SEED, VIRTUAL};
use crate::harness::{Chart, ControlPlane, Kubectl, documents, eventually, only, run, tool, until};

const SHOOT: &str = "shoot--a--b";
const RIGHTS: &str = include_str!("../../../crates/controllers/src/overlay_switch/rights.yaml");
const TOKEN: &str = "shoot-access-network-guard";
const OVERLAY: &str = "managedresource-network-guard-overlay";
const VPN: &str = "managedresource-network-guard-vpn-shoot";

/// One write.
struct Write {
    what: String,
    arguments: Vec<String>,
    object: Value,
}

impl Write {
    /// A creation, or a change of what is there, as the server does both.
    fn apply(what: &str, object: Value) -> Self {
        Self::new(
            what,
            &["apply", "--server-side", "--force-conflicts", "--field-manager=network-guard", "-f", "-"],
            object,
        )
    }

    /// A change of the status, which the server may write without reading it.
    fn apply_status(what: &str, object: Value) -> Self {
        let mut write = Self::apply(what, object);
        write.arguments.insert(1, "--subresource=status".to_owned());
        write
    }

    /// A creation of what must not be there.
    fn create(what: &str, object: Value) -> Self {
        Self::new(what, &["create", "-f", "-"], object)
    }

    /// A patch of what is there, in the namespace of the Shoot.
    fn patch(what: &str, object: &str, patch: &Value) -> Self {
        let text = patch.to_string();
        Self::new(what, &["patch", object, "-n", SHOOT, "--type=merge", "-p", &text], Value::Null)
    }

    fn new(what: &str, arguments: &[&str], object: Value) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { what: what.to_owned(), arguments, object }
    }

    /// Tried, but not stored; what the API server says when it refuses.
    fn by(&self, user: &Kubectl) -> Result<(), String> {
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.push("--dry-run=server");
        let input = (!self.object.is_null()).then(|| self.object.to_string());
        let output = user.run(&arguments, input.as_deref());
        if output.ok { Ok(()) } else { Err(output.stderr) }
    }
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

fn owners() -> Value {
    json!([{"apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network", "name": "b", "uid": "1"}])
}

/// A Secret in the Shoot's namespace, as the server writes it.
fn secret(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
        "metadata": {
            "name": name, "namespace": SHOOT, "ownerReferences": owners(),
            "labels": {"app.kubernetes.io/managed-by": "network-guard"},
        },
    })
}

/// The Secret that asks for a token of an account in the Shoot.
fn requestor(account: &str) -> Value {
    const SERVICE_ACCOUNT: &str = "serviceaccount.resources.gardener.cloud";
    let mut object = secret(TOKEN, &Value::Null);
    object.as_object_mut().unwrap().remove("data");
    object["metadata"]["labels"]["resources.gardener.cloud/purpose"] = json!("token-requestor");
    object["metadata"]["labels"]["resources.gardener.cloud/class"] = json!("shoot");
    object["metadata"]["annotations"] = json!({
        format!("{SERVICE_ACCOUNT}/name"): account,
        format!("{SERVICE_ACCOUNT}/namespace"): "kube-system",
        format!("{SERVICE_ACCOUNT}/inject-ca-bundle"): "true",
    });
    object
}

/// A token of a ServiceAccount of the cluster itself.
fn account_token(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": name, "namespace": namespace,
            "annotations": {"kubernetes.io/service-account.name": "gardener-resource-manager"},
        },
    })
}

fn managed_resource(name: &str) -> Value {
    json!({
        "apiVersion": "resources.gardener.cloud/v1alpha1", "kind": "ManagedResource",
        "metadata": {"name": name, "namespace": SHOOT, "labels": {"origin": "network-guard"}, "ownerReferences": owners()},
        "spec": {"secretRefs": [{"name": format!("managedresource-{name}")}], "keepObjects": false},
    })
}

/// What the server registers in a Shoot, with parts that differ.
fn in_shoot(bundle: usize, url: &str, namespace: &str, policy: &str) -> Value {
    let bundle = if bundle == 0 { String::new() } else { format!(r#""caBundle":"{}","#, encoded(&"x".repeat(bundle))) };
    filled_in(&[
        ("CONTAINERS", ""),
        ("BUNDLE", &bundle),
        ("URL", url),
        ("NAMESPACE", namespace),
        ("FAILURE_POLICY", policy),
    ])
}

/// The same with all parts.
fn filled_in(parts: &[(&str, &str)]) -> Value {
    let text = Chart::SEED.file("files/shoot-webhook/vpn.json");
    let text = text.trim().replace("@UID@", "/5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55\"");
    let fill = |text: String, (name, part): &(&str, &str)| text.replace(&format!("@{name}@"), part);
    let text = parts.iter().fold(text, fill);
    let mut object = secret(VPN, &json!({"webhook.json": encoded(&text)}));
    object["metadata"]["annotations"] = json!({"network-guard.extensions.gardener.cloud/digest": "a"});
    object
}

/// The same object with other values at some places, or without them.
fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match (parent, field.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items[index] = value.clone(),
            (parent, _) => drop(parent.as_object_mut().unwrap().insert(field.replace("~1", "/"), value.clone())),
        }
    }
    object
}

/// The policies among the objects of a chart.
fn policies(objects: &[Value]) -> Value {
    let is_policy = |object: &&Value| object["kind"].as_str().unwrap().contains("AdmissionPolicy");
    json!({"apiVersion": "v1", "kind": "List", "items": objects.iter().filter(is_policy).collect::<Vec<_>>()})
}

/// Installs the rights of a chart, and gives who has the token.
fn install(control_plane: &ControlPlane, objects: &[Value], account: (&str, &str)) -> Kubectl {
    let admin = control_plane.admin();
    let is_right = |object: &&Value| object["kind"].as_str().unwrap().contains("Role");
    let rights: Vec<_> = objects.iter().filter(is_right).collect();
    admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": rights}));
    admin.ok(&["create", "serviceaccount", account.1, "-n", account.0], None);
    control_plane.as_service_account(account.0, account.1)
}

/// Without the policy every theft works; with it none does, what the server writes passes, and nobody else is asked.
fn judge(control_plane: &ControlPlane, thief: &Kubectl, policies: &Value, own: &[Write], thefts: &[Write]) {
    let admin = control_plane.admin();
    // The API server learns of new roles by a watch.
    for write in own.iter().chain(thefts) {
        eventually(&format!("a role permits {}", write.what), || write.by(thief));
    }
    admin.apply(policies);
    until("the policy is in force", || thefts[0].by(thief).is_err());
    for write in own {
        write.by(thief).unwrap_or_else(|error| panic!("the server has to be able to write {}: {error}", write.what));
    }
    for write in thefts {
        let Err(error) = write.by(thief) else { panic!("{} is not refused", write.what) };
        assert!(error.contains("ValidatingAdmissionPolicy"), "{}: {error}", write.what);
        say!("refused: {}: {}", write.what, error.trim().rsplit("denied request: ").next().unwrap());
        write.by(&admin).unwrap_or_else(|error| panic!("others may do {}: {error}", write.what));
    }
    say!("figure: {} thefts refused, {} own writes pass", thefts.len(), own.len());
}

/// While a roll-out lasts, the server of an older release works under the newer policy: what it writes is permitted for as long
/// as the chart keeps it.
#[test]
fn what_older_releases_write_may_be_kept() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let chart = folder.path().join("chart");
    let copied = Command::new("cp").arg("-r").arg(Chart::SEED.folder()).arg(&chart).status().unwrap();
    assert!(copied.success());
    let webhook = Chart::SEED.file("files/shoot-webhook/vpn.json");
    let older = webhook.replace(r#""timeoutSeconds":5"#, r#""timeoutSeconds":3"#);
    assert_ne!(older, webhook);
    std::fs::write(chart.join("files/shoot-webhook/vpn-0.1.0.json"), older).unwrap();
    std::fs::write(chart.join("files/rights/overlay-0.1.0.yaml"), "older").unwrap();
    let mut helm = Command::new(tool("helm"));
    helm.args(["template", "network-guard", "--kube-version", "1.36.0", "--set", "image.repository=x"]);
    helm.args(["--set-json", r#"config={"vpn":{"nat":{"shootWebhook":{}}}}"#, "-s", "templates/admissionpolicy.yaml"])
        .arg(&chart);
    let output = run(&mut helm, None);
    assert!(output.ok, "{output:?}");
    let policy = documents(&output.stdout).remove(0);
    let expression = |message: &str| {
        let validations = policy["spec"]["validations"].as_array().unwrap();
        let validation = validations.iter().find(|validation| validation["message"] == message).unwrap();
        validation["expression"].as_str().unwrap().to_owned()
    };
    let rights = expression("network-guard asks for no other rights in a Shoot");
    assert!(rights.contains(&encoded(RIGHTS)) && rights.contains(&encoded("older")), "{rights}");
    let webhooks = expression("network-guard registers nothing else in a Shoot");
    assert!(webhooks.contains(r#"\"timeoutSeconds\":5"#) && webhooks.contains(r#"\"timeoutSeconds\":3"#), "{webhooks}");
}

/// Nobody but the account of the server is asked, and only about what it may write at all.
#[test]
fn policies_are_for_one_account_and_what_it_may_write() {
    for (chart, namespace, role_kinds, user) in [
        (Chart::SEED, SEED, ["ClusterRole", "Role"].as_slice(), format!("{SEED}:gardener-extension-network-guard")),
        (Chart::RUNTIME, RUNTIME, ["Role"].as_slice(), format!("{RUNTIME}:gardener-extension-admission-network-guard")),
        (
            Chart::APPLICATION,
            VIRTUAL,
            ["ClusterRole"].as_slice(),
            "kube-system:extension-admission-network-guard".to_owned(),
        ),
    ] {
        let objects = chart.render(namespace, &json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}}}));
        let policy = only(&objects, "ValidatingAdmissionPolicy");
        let spec = &policy["spec"];
        assert_eq!(spec["failurePolicy"], "Fail");
        let condition = json!([{
            "name": "is-network-guard",
            "expression": format!("request.userInfo.username == \"system:serviceaccount:{user}\""),
        }]);
        assert_eq!(spec["matchConditions"], condition, "{chart:?}");
        // With this reason an API server answers 403, and the server's metrics say so.
        for validation in spec["validations"].as_array().unwrap() {
            assert_eq!(validation["reason"], "Forbidden", "{validation}");
        }
        let binding = &only(&objects, "ValidatingAdmissionPolicyBinding")["spec"];
        assert_eq!(binding, &json!({"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}));

        // Every right to write is narrowed.
        let rules = spec["matchConstraints"]["resourceRules"].as_array().unwrap();
        for kind in role_kinds {
            for rule in only(&objects, kind)["rules"].as_array().unwrap() {
                let verbs: Vec<&str> = rule["verbs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                let writes = verbs.iter().any(|verb| ["create", "update", "patch"].contains(verb));
                let resource = &rule["resources"][0];
                if !writes || resource == "subjectaccessreviews" {
                    continue;
                }
                let is_narrowed = rules.iter().any(|narrowed| {
                    let resources = narrowed["resources"].as_array().unwrap();
                    narrowed["apiGroups"] == rule["apiGroups"] && resources.contains(resource)
                });
                assert!(is_narrowed, "{chart:?}: {rule}");
            }
        }
        let off = chart.render(namespace, &json!({"admissionPolicy": {"enabled": false}}));
        assert_eq!(policies(&off)["items"], json!([]));
        let audit = chart.render(namespace, &json!({"admissionPolicy": {"validationActions": ["Warn", "Audit"]}}));
        let binding = &only(&audit, "ValidatingAdmissionPolicyBinding")["spec"];
        assert_eq!(binding["validationActions"], json!(["Warn", "Audit"]));
    }
    assert_eq!(
        Chart::SEED.file("templates/_policy.tpl"),
        Chart::APPLICATION.file("templates/_policy.tpl"),
        "one is a copy of the other"
    );
    // What this release asks for is among what is permitted.
    assert_eq!(
        Chart::SEED.file("files/rights/overlay.yaml"),
        RIGHTS,
        "cp crates/controllers/src/overlay_switch/rights.yaml there"
    );
}
