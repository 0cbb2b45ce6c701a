//! The sign that `network-guard doctor` asks for: a dry run with an annotation is answered with a warning that only this
//! server gives, so the doctor knows that the API server asked, and whom.
//!
//! What it says is the same for every caller, and nothing of any object: the release, and whether the server still hears
//! of changes.

use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::json::Text;

/// The annotation; its value comes back in the answer. Webhook configurations know it too.
pub const DOCTOR_ANNOTATION: &str = "network-guard.extensions.gardener.cloud/doctor";

/// What a warning with a sign begins with.
const PREFIX: &str = "network-guard doctor: ";

/// The longest value that is taken for one of the doctor's, in bytes: it uses 16.
const LONGEST: usize = 32;

/// What the server says of itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sign {
    /// The value of the annotation.
    pub id: String,
    /// The release of the server.
    pub release: String,
    /// Whether the server has received nothing from the API server for so long that it reads what matters live.
    pub stale: bool,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    annotations: Annotations<'a>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/doctor")]
    doctor: Text<'a>,
}

/// What a doctor asks with: in a dry run only, so that no stored object makes the server talk.
pub fn doctor_asks<'a>(request: &Request<'a>) -> Option<Text<'a>> {
    let object = request.object.filter(|_| request.dry_run)?;
    let object: Object<'a> = serde_json::from_str(object).ok()?;
    let id = object.metadata.annotations.doctor;
    let is_ours = |id: &str| !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|b| b.is_ascii_alphanumeric());
    Some(id).filter(|id| is_ours(id))
}

impl Sign {
    /// As a warning of an answer.
    pub fn warning(&self) -> String {
        format!("{PREFIX}{}", serde_json::to_string(self).expect("texts and a truth value"))
    }

    /// Reads a warning; `None`: it is another one.
    pub fn read(warning: &str) -> Option<Self> {
        serde_json::from_str(warning.strip_prefix(PREFIX)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::decode;
    use super::*;

    fn review(dry_run: bool, metadata: &Value) -> String {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "UPDATE", "name": "x", "namespace": "y", "dryRun": dry_run,
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "object": {"spec": {"a": [1, {"metadata": {}}]}, "metadata": metadata},
            },
        })
        .to_string()
    }

    #[test]
    fn only_dry_runs_of_a_doctor_are_told() {
        let with = |value: Value| json!({"name": "x", "annotations": {"a": "b", DOCTOR_ANNOTATION: value}});
        for (dry_run, metadata, want) in [
            (true, with(json!("c0ffee12")), Some("c0ffee12")),
            (false, with(json!("c0ffee12")), None),
            (true, with(json!("")), None),
            (true, with(json!("x".repeat(33))), None),
            (true, with(json!("a\nb")), None),
            (true, with(json!("a\"b")), None),
            (true, with(json!(7)), None),
            (true, with(Value::Null), None),
            (true, json!({"annotations": null}), None),
            (true, json!({"annotations": []}), None),
            (true, Value::Null, None),
        ] {
            let body = review(dry_run, &metadata);
            let request = decode(body.as_bytes()).unwrap();
            assert_eq!(doctor_asks(&request).as_deref(), want, "{dry_run} {metadata}");
        }
    }

    #[test]
    fn a_warning_is_read_back() {
        let sign = Sign { id: "c0ffee12".to_owned(), release: "0.1.0".to_owned(), stale: true };
        let warning = sign.warning();
        assert_eq!(warning, r#"network-guard doctor: {"id":"c0ffee12","release":"0.1.0","stale":true}"#);
        assert_eq!(Sign::read(&warning), Some(sign));
        for other in ["", "network-guard doctor: {}", "nodes 10.250.0.0/16 overlaps Seed pods 10.0.0.0/8"] {
            assert_eq!(Sign::read(other), None, "{other}");
        }
    }
}
