//! Reading an AdmissionReview, or making what is in one.
//!
//! Only the envelope is read; `object` and `oldObject` stay JSON text inside the request body. Unknown fields are
//! skipped, a field that occurs twice is an error, and nothing is copied unless a string has escapes.

use serde::Deserialize;

use super::handler::Resource;
use super::request::{Operation, Request, UserInfo, Writer};
use crate::gardener::LONGEST_NAME;
use crate::json::{LongValues, Members, Plain, PlainText, Text, excerpt};

/// Why a body is not a review that we can answer.
#[derive(Debug, thiserror::Error)]
pub enum BadReview {
    /// Not UTF-8.
    #[error("the body is not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not JSON.
    #[error("the body is not an AdmissionReview: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but not an object.
    #[error("the body is not an AdmissionReview: a JSON object was expected")]
    NotAnObject,
    /// A field is missing.
    #[error("the AdmissionReview has no `request.{field}`")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is duplicate, and it is unknown which one counts.
    #[error("the AdmissionReview has `{field}` twice")]
    Twice {
        /// The field.
        field: &'static str,
    },
    /// A field has another shape.
    #[error("the AdmissionReview has a wrong `{field}`: {error}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// A name is longer than any name can be.
    #[error("`request.{field}` has {length} bytes, more than a name can have")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        length: usize,
    },
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

impl<'a> Plain<'a> for WireResource<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let (mut group, mut resource) = (None, None);
        text.each_member(|key, text| match key {
            "group" => text.once(&mut group),
            "resource" => text.once(&mut resource),
            _ => text.skip(),
        })?;
        Some(Self { group: group.unwrap_or_default(), resource: resource? })
    }
}

impl<'a> Plain<'a> for WireUser<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let mut username = None;
        text.each_member(|key, text| match key {
            "username" => text.once(&mut username),
            _ => text.skip(),
        })?;
        Some(Self { username: username.unwrap_or_default() })
    }
}

impl<'a> Plain<'a> for Operation {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let name = text.string()?;
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Reads the body of an admission call.
pub fn decode(body: &[u8]) -> Result<Request<'_>, BadReview> {
    // One check of the whole body is cheaper than one for each string and each raw value. What is wrong is looked up only then.
    let text = simdutf8::basic::from_utf8(body).or_else(|_| std::str::from_utf8(body))?;
    let malformed = |_| BadReview::malformed(text);
    let (mut api_version, mut kind, mut request) = (None, None, None);
    let mut members = Members::of(text);
    members.enter().map_err(malformed)?;
    while let Some(key) = members.key().map_err(malformed)? {
        match &*key {
            "apiVersion" => once(&mut api_version, "apiVersion", members.skip().map_err(malformed)?)?,
            "kind" => once(&mut kind, "kind", members.skip().map_err(malformed)?)?,
            "request" => {
                let fields = if members.is_null() { None } else { Some(fields(&mut members, text)?) };
                if fields.is_none() {
                    members.skip().map_err(malformed)?;
                }
                once(&mut request, "request", fields)?;
            }
            _ => drop(members.skip().map_err(malformed)?),
        }
    }
    members.end().map_err(malformed)?;
    let api_version: Text<'_> = optional("apiVersion", api_version)?;
    let kind: Text<'_> = optional("kind", kind)?;
    if &*api_version != "admission.k8s.io/v1" || &*kind != "AdmissionReview" {
        return Err(BadReview::OtherKind { api_version: excerpt(&api_version), kind: excerpt(&kind) });
    }
    decode_request(request.flatten().ok_or(BadReview::NoRequest)?)
}

/// The texts of the request's fields, in the order of [`FIELDS`], and what is known of the object and the old object.
type Fields<'a> = ([Option<&'a str>; FIELDS.len()], [LongValues; 2]);

fn fields<'a>(members: &mut Members<'a>, text: &str) -> Result<Fields<'a>, BadReview> {
    let malformed = |_| BadReview::malformed(text);
    let mut found = Fields::default();
    members.enter().map_err(malformed)?;
    let (texts, long) = &mut found;
    while let Some(key) = members.key().map_err(malformed)? {
        let field = FIELDS.iter().position(|field| *field == &*key);
        let value = match field {
            Some(field @ OBJECTS..) => {
                let (value, known) = members.skip_noting().map_err(malformed)?;
                long[field - OBJECTS] = known;
                value
            }
            _ => members.skip().map_err(malformed)?,
        };
        if let Some(field) = field {
            once(&mut texts[field], FIELDS[field], value)?;
        }
    }
    Ok(found)
}

fn decode_request((fields, [long, old_long]): Fields<'_>) -> Result<Request<'_>, BadReview> {
    let [uid, resource, sub_resource, name, namespace, operation, user, dry_run, object, old_object] = fields;
    let resource: WireResource<'_> = required("resource", resource)?;
    let writer = Writer::Text(user.filter(|value| *value != "null"));
    let user: Option<WireUser<'_>> = optional("userInfo", user)?;
    let request = Request {
        uid: required("uid", uid)?,
        group: resource.group,
        resource: resource.resource,
        sub_resource: optional("subResource", sub_resource)?,
        name: optional("name", name)?,
        namespace: optional("namespace", namespace)?,
        operation: required("operation", operation)?,
        user: user.map(|user| user.username).unwrap_or_default(),
        writer,
        dry_run: optional::<Option<bool>>("dryRun", dry_run)?.unwrap_or(false),
        object: object.filter(|value| *value != "null"),
        old_object: old_object.filter(|value| *value != "null"),
        long,
        old_long,
        path_suffix: "",
    };
    if request.uid.is_empty() {
        return Err(BadReview::NoUid);
    }
    bounded(request)
}

/// The request, unless a name in it is too long.
fn bounded(request: Request<'_>) -> Result<Request<'_>, BadReview> {
    for (field, value) in [
        ("uid", &request.uid),
        ("resource.group", &request.group),
        ("resource.resource", &request.resource),
        ("subResource", &request.sub_resource),
        ("name", &request.name),
        ("namespace", &request.namespace),
    ] {
        if value.len() > LONGEST_NAME {
            return Err(BadReview::TooLong { field, length: value.len() });
        }
    }
    Ok(request)
}

impl<'a> Request<'a> {
    /// The creation of this object by this user, as an API server would ask about it. Nobody waits for an answer, so there is no uid.
    ///
    /// # Errors
    ///
    /// When a name is longer than any name can be.
    pub fn creation(
        resource: Resource,
        (namespace, name): (&'a str, &'a str),
        object: &'a str,
        user: &'a UserInfo,
    ) -> Result<Self, BadReview> {
        bounded(Self {
            uid: Text::default(),
            group: resource.group.into(),
            resource: resource.plural.into(),
            sub_resource: Text::default(),
            name: name.into(),
            namespace: namespace.into(),
            operation: Operation::Create,
            user: user.username.as_str().into(),
            writer: Writer::Known(user),
            dry_run: false,
            object: Some(object),
            old_object: None,
            long: LongValues::default(),
            old_long: LongValues::default(),
            path_suffix: "",
        })
    }
}

/// The fields of a request that are read, in the order in which [`decode_request`] takes them.
const FIELDS: [&str; 10] =
    ["uid", "resource", "subResource", "name", "namespace", "operation", "userInfo", "dryRun", "object", "oldObject"];

/// Where the objects are among them.
const OBJECTS: usize = FIELDS.len() - 2;

fn once<T>(found: &mut Option<T>, field: &'static str, value: T) -> Result<(), BadReview> {
    match found.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadReview::Twice { field }),
    }
}

fn required<'a, T: Deserialize<'a> + Plain<'a>>(field: &'static str, value: Option<&'a str>) -> Result<T, BadReview> {
    let value = value.ok_or(BadReview::Missing { field })?;
    if let Some(plain) = PlainText::whole(value) {
        return Ok(plain);
    }
    serde_json::from_str(value).map_err(|error| BadReview::Field { field, error: excerpt(&error.to_string()) })
}

fn optional<'a, T: Deserialize<'a> + Plain<'a> + Default>(
    field: &'static str,
    value: Option<&'a str>,
) -> Result<T, BadReview> {
    match value {
        None | Some("null") => Ok(T::default()),
        value => required(field, value),
    }
}

impl BadReview {
    /// Says where a text is not JSON. Reading it once more, slower, is worth it only now.
    fn malformed(text: &str) -> Self {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Err(error) => Self::NotJson(error),
            Ok(_) => Self::NotAnObject,
        }
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
        let user = request.user_info().unwrap();
        assert_eq!(
            (&*user.username, &*user.groups, &*user.extra["k"]),
            ("gardenlet", &["a".to_owned()][..], &["v".to_owned()][..])
        );
        assert!(!request.dry_run);
        assert_eq!(request.object.unwrap(), r#"{"metadata":{"name":"kube-apiserver"},"n":1.0}"#);
        assert!(request.old_object.is_some());
    }

    #[test]
    fn a_creation_is_what_an_api_server_would_ask() {
        let mut review = review();
        let user = UserInfo { username: "alice".to_owned(), groups: vec!["a".to_owned()], ..UserInfo::default() };
        review["request"]["userInfo"] = json!({"username": user.username, "groups": user.groups});
        review["request"]["operation"] = json!("CREATE");
        review["request"]["oldObject"] = Value::Null;
        let body = review.to_string();
        let mut decoded = decode(body.as_bytes()).unwrap();
        let resource = Resource { group: "apps", plural: "deployments" };
        let name = ("shoot--foo--bar", "kube-apiserver");
        let made = Request::creation(resource, name, decoded.object.unwrap(), &user).unwrap();
        assert_eq!(made.user_info().unwrap(), decoded.user_info().unwrap());
        decoded.uid = Text::default();
        decoded.long = LongValues::default();
        decoded.writer = Writer::Known(&user);
        assert_eq!(format!("{made:?}"), format!("{decoded:?}"));
        let long = "x".repeat(254);
        let error = Request::creation(resource, ("a", &long), "{}", &user).unwrap_err().to_string();
        assert!(error.contains("`request.name` has 254 bytes"), "{error}");
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
            ("request is a list", |r| r["request"] = json!([]), "a JSON object was expected"),
            ("endless uid", |r| r["request"]["uid"] = json!("x".repeat(254)), "`request.uid` has 254 bytes"),
            (
                "endless namespace",
                |r| r["request"]["namespace"] = json!("x".repeat(1 << 20)),
                "more than a name can have",
            ),
            ("endless version", |r| r["apiVersion"] = json!("x".repeat(1 << 20)), "xxx..."),
            ("no uid", |r| drop(r["request"].as_object_mut().unwrap().remove("uid")), "no `request.uid`"),
            ("empty uid", |r| r["request"]["uid"] = json!(""), "`request.uid` is empty"),
            ("uid is a number", |r| r["request"]["uid"] = json!(5), "expected a string"),
            ("unknown operation", |r| r["request"]["operation"] = json!("PATCH"), "unknown variant `PATCH`"),
            (
                "no resource",
                |r| drop(r["request"].as_object_mut().unwrap().remove("resource")),
                "no `request.resource`",
            ),
        ];
        for (name, change, want) in rows {
            let mut review = review();
            change(&mut review);
            let body = review.to_string();
            let error = decode(body.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(want), "{name}: {error}");
            assert!(error.len() < 1_000, "{name}: an answer of {} bytes", error.len());
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

    /// What is known of the object and of the old object, whose long values begin at the same place and end at others, is not mixed
    /// up, in whatever order they come.
    #[test]
    fn long_values_belong_to_their_object() {
        let object =
            |length: usize, rest: usize| json!({"a": {"b": ["x".repeat(length)]}, "c": "y".repeat(rest)}).to_string();
        let envelope = json!({
            "uid": "u", "operation": "UPDATE", "resource": {"group": "apps", "resource": "deployments"},
        });
        let envelope = envelope.to_string();
        for (rest, is_noted) in [(10, false), (30_000, true)] {
            let (new, old) = (object(600, rest), object(700, rest));
            for objects in
                [format!("\"object\":{new},\"oldObject\":{old}"), format!("\"oldObject\":{old},\"object\":{new}")]
            {
                let request = envelope.replacen('{', &format!("{{{objects},"), 1);
                let body = format!(
                    "{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{request}}}"
                );
                let request = decode(body.as_bytes()).unwrap();
                assert_eq!((request.object, request.old_object), (Some(&*new), Some(&*old)));
                for (long, walked, text) in
                    [(request.long, request.walk_object(), &new), (request.old_long, request.walk_old_object(), &old)]
                {
                    assert_eq!(long != LongValues::default(), is_noted, "{} bytes", body.len());
                    assert_eq!(walked.unwrap().all(), Members::of(text).all(), "{} bytes", body.len());
                }
            }
        }
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
