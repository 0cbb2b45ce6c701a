//! The server as a chart installs it: its arguments, its configuration, its registration, and as the chart's
//! ServiceAccount, with the chart's rights and no others.

#![allow(clippy::print_stdout, reason = "people may want to see what is missed")]

mod garden;
mod seed;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, Kubectl, until};

/// What a ServiceAccount asked an API server for, as the audit log of that server says.
struct Audit {
    folder: tempfile::TempDir,
    user: String,
}

/// One request.
#[derive(Debug)]
struct Asked {
    verb: String,
    group: String,
    resource: String,
    name: String,
    allowed: bool,
}

impl Audit {
    fn of(namespace: &str, name: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [user]}],
        });
        std::fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
        Self { folder, user }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// For kube-apiserver.
    fn arguments(&self) -> Vec<String> {
        let policy = self.folder.path().join("policy.json");
        vec![
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", self.log().display()),
            "--audit-log-mode=blocking".to_owned(),
        ]
    }

    /// All requests from a position in the log on.
    fn since(&self, position: usize) -> Vec<Asked> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines = text[position..].split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.filter_map(|line| asked(&serde_json::from_str(line).expect(line))).collect()
    }

    /// The end of the last line that is complete.
    fn position(&self) -> usize {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.rfind('\n').map_or(0, |end| end + 1)
    }
}

/// What an audit event says; none for what is not of a resource.
fn asked(event: &Value) -> Option<Asked> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let reference = &event["objectRef"];
    let (resource, subresource) = (text(&reference["resource"]), text(&reference["subresource"]));
    (!resource.is_empty()).then(|| Asked {
        verb: text(&event["verb"]),
        group: text(&reference["apiGroup"]),
        resource: if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") },
        name: text(&reference["name"]),
        allowed: event["annotations"]["authorization.k8s.io/decision"] == "allow"
            && event["responseStatus"]["code"] != 403,
    })
}

/// Whether a rule gives this request the right to be made.
fn covers(rule: &Value, asked: &Asked) -> bool {
    let has = |field: &str, value: &str| rule[field].as_array().unwrap().iter().any(|one| one == value);
    let is_named = rule["resourceNames"].is_null() || has("resourceNames", &asked.name);
    has("apiGroups", &asked.group) && has("resources", &asked.resource) && has("verbs", &asked.verb) && is_named
}

/// The same rules without one of them.
fn without(role: &Value, index: usize) -> Value {
    let mut role = role.clone();
    role["rules"].as_array_mut().unwrap().remove(index);
    role
}

/// Replaces the rules of a role, and waits until the API server goes by them.
fn replace_rules(admin: &Kubectl, audit: &Audit, role: &Value, probe: &Value, namespace: &str, can: bool) {
    admin.ok(&["replace", "-f", "-"], Some(&role.to_string()));
    let first = |field: &str| probe[field][0].as_str().unwrap().to_owned();
    let group = first("apiGroups");
    let (resource, subresource) = {
        let resource = first("resources");
        let (resource, subresource) = resource.split_once('/').map_or((&*resource, ""), |parts| parts);
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        (format!("{resource}{group}"), format!("--subresource={subresource}"))
    };
    let name = probe["resourceNames"][0].as_str().map_or(resource.clone(), |name| format!("{resource}/{name}"));
    let user = format!("--as={}", audit.user);
    until("the API server goes by the new rules", || {
        let answer = admin.run(&["auth", "can-i", &first("verbs"), &name, &subresource, "-n", namespace, &user], None);
        (answer.stdout == "yes\n") == can
    });
}

/// Applies some of the rendered objects.
fn install<'a>(admin: &Kubectl, objects: impl Iterator<Item = &'a Value>) {
    let items: Vec<&Value> = objects.collect();
    admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
}

/// Plain bytes where TLS is spoken, a body that is no review, and a certificate without its key, so that there is
/// something to count.
fn disturb(control_plane: &ControlPlane, guard: &Guard) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", guard.port())).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    for path in ["mutate/kube-apiserver", "validate/shoot"] {
        let url = format!("{}/webhooks/{path}", guard.url());
        let text = ["--silent", "--insecure", "--data", "x", "--header", "Content-Type: text/plain", &url];
        assert!(std::process::Command::new("curl").args(text).output().unwrap().status.success());
    }
    let key = control_plane.folder().join("mounted/etc/network-guard/tls/tls.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "nonsense").unwrap();
    until("the certificate is refused", || guard.metric("network_guard_certificate_reloads_total") > 0.0);
    std::fs::write(&key, good).unwrap();
}
