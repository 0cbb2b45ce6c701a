//! The answer to a review, with anything in it: it is what serde reads and would write.

use std::sync::LazyLock;

use network_guard_core::admission::{self, AuditKey, Outcome, PatchBuilder, Pointer, Verdict};
use network_guard_core::diagnostics::{Finding, Rule, Severity};
use network_guard_core::webhooks;
use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::scene;

static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| webhooks::rules().collect());
const KEYS: [(AuditKey, &str); 2] = [(AuditKey::new("one"), "one"), (AuditKey::new("two"), "two")];

/// The most bytes of an audit annotation that are written, without the dots behind them.
const AUDITED: usize = 4 << 10;

pub(super) fn law(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let uid = bytes.text();
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": uid, "operation": "CREATE", "name": bytes.text(), "namespace": bytes.text(),
        "resource": {"group": "", "version": "v1", "resource": "x"}, "object": {},
    }})
    .to_string();
    let Ok(request) = admission::decode(body.as_bytes()) else { return };
    let (outcome, expected) = outcome(&mut bytes);
    let is_denied = outcome == Outcome::Denied;
    let audit: Vec<(AuditKey, String)> =
        KEYS.into_iter().take(bytes.below(3)).map(|(key, _)| (key, long(&mut bytes))).collect();
    let findings: Vec<Finding> = (0..bytes.below(64)).map(|_| finding(&mut bytes)).collect();
    let denied = findings.iter().filter(|finding| finding.severity == Severity::Deny).count();
    let warned = findings.iter().any(|finding| finding.severity == Severity::Warn);
    let verdict = Verdict { outcome, decision: "fuzzed", findings, audit: audit.clone() };

    let written: Map<String, Value> =
        serde_json::from_slice(&admission::encode(&request, &verdict)).expect("an answer is JSON");
    assert_eq!(written.keys().collect::<Vec<_>>().len(), 3);
    assert_eq!((&written["apiVersion"], &written["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    let response = &written["response"];
    scene::bounded(response);
    let mut shown = json!({"uid": uid, "allowed": !is_denied});
    if let Some(expected) = expected {
        assert_eq!(scene::patch(response), Some(expected));
        shown["patchType"] = json!("JSONPatch");
        shown["patch"] = response["patch"].clone();
    }
    if is_denied {
        assert_eq!(response["status"]["code"], 403);
        assert_eq!(response["status"]["details"]["causes"].as_array().map(Vec::len), Some(denied.min(100)));
        shown["status"] = response["status"].clone();
    }
    if warned {
        assert!(response["warnings"].is_array());
        shown["warnings"] = response["warnings"].clone();
    }
    for ((_, key), (_, value)) in KEYS.into_iter().zip(audit) {
        let text = match value.len() {
            0..=AUDITED => value,
            _ => format!("{}...", &value[..value.floor_char_boundary(AUDITED)]),
        };
        shown["auditAnnotations"][key] = json!(text);
    }
    assert_eq!(response, &shown);
}

/// An outcome, and the patch in it.
fn outcome(bytes: &mut Bytes<'_>) -> (Outcome, Option<Value>) {
    match bytes.below(3) {
        0 => return (Outcome::Allowed, None),
        1 => return (Outcome::Denied, None),
        _ => {}
    }
    let (mut patch, mut expected) = (PatchBuilder::default(), Vec::new());
    for _ in 0..=bytes.below(8) {
        let steps: Vec<Step> = (0..bytes.below(6))
            .map(|_| if bytes.flag() { Step::Index(bytes.below(1_000)) } else { Step::Field(bytes.text()) })
            .collect();
        let (mut place, mut at) = ("/object".to_owned(), Pointer::to("/object"));
        for step in &steps {
            (place, at) = match step {
                Step::Index(index) => (format!("{place}/{index}"), at.index(*index)),
                Step::Field(key) => (format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), at.field(key)),
            };
        }
        let value = json!(long(bytes));
        expected.push(match bytes.below(3) {
            0 => {
                patch.add(&at, &value.to_string());
                json!({"op": "add", "path": place, "value": value})
            }
            1 => {
                patch.replace(&at, &value.to_string());
                json!({"op": "replace", "path": place, "value": value})
            }
            _ => {
                patch.remove(&at);
                json!({"op": "remove", "path": place})
            }
        });
    }
    (Outcome::Patched(patch.finish().expect("it has an operation")), Some(expected.into()))
}

enum Step {
    Index(usize),
    Field(String),
}

fn finding(bytes: &mut Bytes<'_>) -> Finding {
    let severity = *bytes.choose(&[Severity::Deny, Severity::Warn, Severity::Note]);
    let rule = bytes.choose(&RULES);
    Finding { severity, ..rule.finding("spec", long(bytes), bytes.text()) }
}

/// Sometimes longer than what is written of it.
fn long(bytes: &mut Bytes<'_>) -> String {
    let times = if bytes.below(4) == 0 { bytes.below(256) } else { 1 };
    bytes.text().repeat(times)
}
