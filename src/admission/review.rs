//! Reading an AdmissionReview.
//!
//! Only the envelope is read; `object` and `oldObject` stay raw JSON text inside the request body. Unknown fields are
//! skipped, a field that occurs twice is an error, and nothing is copied unless a string has escapes.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gardener::Text;

/// The request inside a review, borrowed from the body.
#[derive(Debug)]
pub struct Request<'a> {
    /// Identifies this call; echoed in the answer.
    pub uid: Text<'a>,
    /// The group of the resource that the webhook's rule matched.
    pub group: Text<'a>,
    /// The plural name of that resource.
    pub resource: Text<'a>,
    /// The subresource, such as `status`; empty for the object itself.
    pub sub_resource: Text<'a>,
    /// The object's name; empty on CREATE with `generateName` and on a deletion of a collection.
    pub name: Text<'a>,
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: Text<'a>,
    /// What is about to happen.
    pub operation: Operation,
    /// Who asked for it.
    pub user: Text<'a>,
    /// Whether the result will be thrown away.
    pub dry_run: bool,
    /// The object as it will be stored; absent on DELETE.
    pub object: Option<&'a RawValue>,
    /// The object as it is stored; only on UPDATE and DELETE.
    pub old_object: Option<&'a RawValue>,
}

/// What is about to happen to the object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object: an update, a patch, most applies.
    Update,
    /// A removed object.
    Delete,
    /// A connection to a subresource.
    Connect,
}

impl Operation {
    /// The name as the API server writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// Why a body is not a review that we can answer.
#[derive(Debug, thiserror::Error)]
pub enum BadReview {
    /// Not UTF-8.
    #[error("the body is not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not JSON, or JSON of another shape.
    #[error("the body is not an AdmissionReview: {0}")]
    NotJson(#[from] serde_json::Error),
    /// Another kind or version.
    #[error("expected apiVersion `admission.k8s.io/v1` and kind `AdmissionReview`, got `{api_version}` and `{kind}`")]
    OtherKind {
        /// What it says it is.
        api_version: String,
        /// What it says it is.
        kind: String,
    },
    /// Nothing to review, for example an answer that was sent back.
    #[error("the AdmissionReview has no `request`")]
    NoRequest,
    /// An answer could not be matched to its call.
    #[error("`request.uid` is empty")]
    NoUid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    request: Option<WireRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    #[serde(borrow)]
    resource: WireResource<'a>,
    #[serde(borrow, default)]
    sub_resource: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    namespace: Text<'a>,
    operation: Operation,
    #[serde(borrow)]
    user_info: Option<WireUser<'a>>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireResource<'a> {
    #[serde(borrow, default)]
    group: Text<'a>,
    #[serde(borrow)]
    resource: Text<'a>,
}

#[derive(Deserialize)]
struct WireUser<'a> {
    #[serde(borrow, default)]
    username: Text<'a>,
}

/// Reads the body of an admission call.
pub fn decode(body: &[u8]) -> Result<Request<'_>, BadReview> {
    // One check of the whole body is cheaper than one for each string and each raw value.
    let wire: Wire<'_> = serde_json::from_str(std::str::from_utf8(body)?)?;
    let (api_version, kind) = (wire.api_version.unwrap_or_default(), wire.kind.unwrap_or_default());
    if &*api_version != "admission.k8s.io/v1" || &*kind != "AdmissionReview" {
        return Err(BadReview::OtherKind { api_version: api_version.to_string(), kind: kind.to_string() });
    }
    let request = wire.request.ok_or(BadReview::NoRequest)?;
    if request.uid.is_empty() {
        return Err(BadReview::NoUid);
    }
    Ok(Request {
        uid: request.uid,
        group: request.resource.group,
        resource: request.resource.resource,
        sub_resource: request.sub_resource,
        name: request.name,
        namespace: request.namespace,
        operation: request.operation,
        user: request.user_info.map(|user| user.username).unwrap_or_default(),
        dry_run: request.dry_run.unwrap_or(false),
        object: request.object,
        old_object: request.old_object,
    })
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn review() -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "requestKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "name": "kube-apiserver",
                "namespace": "shoot--foo--bar",
                "operation": "UPDATE",
                "userInfo": {"username": "gardenlet", "groups": ["a"], "extra": {"k": ["v"]}},
                "object": {"metadata": {"name": "kube-apiserver"}, "n": 1.0},
                "oldObject": {"metadata": {"name": "kube-apiserver"}},
                "dryRun": false,
                "options": {"kind": "UpdateOptions"},
            },
        })
    }

    #[test]
    fn reads_the_envelope_and_leaves_objects_raw() {
        let body = review().to_string();
        let request = decode(body.as_bytes()).unwrap();
        assert_eq!(&*request.uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
        assert_eq!((&*request.group, &*request.resource), ("apps", "deployments"));
        assert_eq!((&*request.namespace, &*request.name), ("shoot--foo--bar", "kube-apiserver"));
        assert_eq!(request.operation, Operation::Update);
        assert_eq!(&*request.user, "gardenlet");
        assert!(!request.dry_run);
        assert_eq!(request.object.unwrap().get(), r#"{"metadata":{"name":"kube-apiserver"},"n":1.0}"#);
        assert!(request.old_object.is_some());
    }

    /// One row for each way a body can be wrong: a change to the good review, and what the answer says.
    #[test]
    fn says_what_is_wrong() {
        type Change = fn(&mut Value);
        let rows: &[(&str, Change, &str)] = &[
            ("old version", |r| r["apiVersion"] = json!("admission.k8s.io/v1beta1"), "got `admission.k8s.io/v1beta1`"),
            ("other kind", |r| r["kind"] = json!("Status"), "and `Status`"),
            ("no kind", |r| drop(r.as_object_mut().unwrap().remove("kind")), "expected apiVersion"),
            ("no request", |r| drop(r.as_object_mut().unwrap().remove("request")), "has no `request`"),
            ("null request", |r| r["request"] = Value::Null, "has no `request`"),
            ("request is a list", |r| r["request"] = json!([]), "not an AdmissionReview"),
            ("no uid", |r| drop(r["request"].as_object_mut().unwrap().remove("uid")), "missing field `uid`"),
            ("empty uid", |r| r["request"]["uid"] = json!(""), "`request.uid` is empty"),
            ("uid is a number", |r| r["request"]["uid"] = json!(5), "expected a string"),
            ("unknown operation", |r| r["request"]["operation"] = json!("PATCH"), "unknown variant `PATCH`"),
            (
                "no resource",
                |r| drop(r["request"].as_object_mut().unwrap().remove("resource")),
                "missing field `resource`",
            ),
        ];
        for (name, change, want) in rows {
            let mut review = review();
            change(&mut review);
            let body = review.to_string();
            let error = decode(body.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_json_object() {
        let good = review().to_string();
        let twice = good.replacen("\"request\"", "\"request\":null,\"request\"", 1);
        for body in ["", "null", "[]", "\u{1}", &format!("{good}x"), &format!("{good}{good}"), &twice] {
            assert!(decode(body.as_bytes()).is_err(), "{body:?}");
        }
        let mut not_utf8 = good.clone().into_bytes();
        let inside = good.find("gardenlet").unwrap();
        not_utf8[inside] = 0xff;
        assert!(matches!(decode(&not_utf8), Err(BadReview::NotUtf8(_))));
    }

    #[test]
    fn depth_is_bounded_by_the_body_only() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let body = review().to_string().replacen("1.0", &deep, 1);
        assert!(decode(body.as_bytes()).is_ok(), "an object is skipped without recursion");
        assert!(decode(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn every_truncation_is_an_error(cut in 0usize..700) {
            let body = review().to_string();
            prop_assume!(cut < body.len());
            prop_assert!(decode(&body.as_bytes()[..cut]).is_err());
        }

        #[test]
        fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&body).is_err());
        }
    }
}
