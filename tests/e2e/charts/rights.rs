//! The server as a chart installs it: its arguments, its configuration, its registration, and as the chart's
//! ServiceAccount, with the chart's rights and no others.

#![allow(clippy::print_stdout, reason = "people may want to see what is missed")]

mod certificates;
pub mod garden;
pub mod seed;

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::harness::{Guard, Kubectl, until};

/// What a ServiceAccount asked an API server for, as the audit log of that server says.
struct Audit {
    folder: Rc<tempfile::TempDir>,
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
        let [audit] = Self::of_all([(namespace, name)]);
        audit
    }

    /// Of several in one log.
    fn of_all<const N: usize>(accounts: [(&str, &str); N]) -> [Self; N] {
        let folder = Rc::new(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let users = accounts.map(|(namespace, name)| format!("system:serviceaccount:{namespace}:{name}"));
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": users.as_slice()}],
        });
        std::fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
        users.map(|user| Self { folder: Rc::clone(&folder), user })
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
        let events = lines.map(|line| serde_json::from_str::<Value>(line).expect(line));
        events.filter(|event| event["user"]["username"] == *self.user).filter_map(|event| asked(&event)).collect()
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

/// Each verb of each rule that nobody has asked for.
fn unused<'a>(rules: impl Iterator<Item = &'a Value>, asked: &[Asked]) -> Vec<String> {
    let mut unused = Vec::new();
    for rule in rules {
        for verb in rule["verbs"].as_array().unwrap() {
            let mut one = rule.clone();
            one["verbs"] = json!([verb]);
            if !asked.iter().any(|asked| covers(&one, asked)) {
                unused.push(format!("{} {}", verb.as_str().unwrap(), rule["resources"][0].as_str().unwrap()));
            }
        }
    }
    unused
}

/// Waits until the server was refused something this often: each time it looked again.
#[track_caller]
fn refused(what: &str, audit: &Audit, position: usize, times: usize, is_meant: impl Fn(&Asked) -> bool) {
    until(what, || audit.since(position).iter().filter(|asked| !asked.allowed && is_meant(asked)).count() >= times);
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
pub(super) fn install<'a>(admin: &Kubectl, objects: impl Iterator<Item = &'a Value>) {
    let items: Vec<&Value> = objects.collect();
    admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
}

/// Plain bytes where TLS is spoken, and a body that is no review, so that there is something to count.
fn disturb(guard: &Guard) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", guard.port())).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    for path in ["mutate/kube-apiserver", "validate/shoot"] {
        let url = format!("{}/webhooks/{path}", guard.url());
        let text = ["--silent", "--insecure", "--data", "x", "--header", "Content-Type: text/plain", &url];
        assert!(std::process::Command::new("curl").args(text).output().unwrap().status.success());
    }
}
