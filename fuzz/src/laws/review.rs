//! The body of an admission call, as any bytes: what is read of it is what serde reads, and every webhook has an answer.

use std::sync::LazyLock;

use network_guard_core::admission;
use network_guard_core::vpn::nat::Mode;
use network_guard_core::vpn::sidecar::Settings;
use network_guard_core::webhooks::{AdviseShoot, HoldNetwork, KubeApiserver, MutateShoot, ValidateShoot, VpnShoot};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::scene::{Scene, overlapping};

/// A review as serde reads it. Both refuse a field that is there twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: String,
    kind: String,
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: String,
    resource: Resource,
    operation: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    user_info: Option<User>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    group: String,
    resource: String,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

static SCENES: LazyLock<[Scene; 6]> = LazyLock::new(|| {
    let (mode, cluster) = (Mode::default(), overlapping());
    [
        Scene::new(KubeApiserver::new(&Settings::default(), &mode), &cluster),
        Scene::new(VpnShoot::new(&mode), &cluster),
        Scene::new(HoldNetwork::default(), &cluster),
        Scene::new(MutateShoot::default(), &cluster),
        Scene::new(ValidateShoot::default(), &cluster),
        Scene::new(AdviseShoot::default(), &cluster),
    ]
});

pub(super) fn law(body: &[u8]) {
    let Ok(ours) = admission::decode(body) else {
        return is_no_review(body);
    };
    for scene in &*SCENES {
        scene.answers(body);
    }
    // What nobody reads is not checked, so serde may refuse what is read here.
    if serde_json::from_slice::<Value>(body).is_err() {
        return;
    }
    let theirs: Review<'_> = serde_json::from_slice(body).expect("serde reads it, too");
    assert_eq!((&*theirs.api_version, &*theirs.kind), ("admission.k8s.io/v1", "AdmissionReview"));
    let theirs = theirs.request;
    assert_eq!((&*ours.uid, &*ours.name, &*ours.namespace), (&*theirs.uid, &*theirs.name, &*theirs.namespace));
    assert_eq!((&*ours.group, &*ours.resource), (&*theirs.resource.group, &*theirs.resource.resource));
    assert_eq!((&*ours.sub_resource, ours.operation.name()), (&*theirs.sub_resource, &*theirs.operation));
    assert_eq!(ours.dry_run, theirs.dry_run.unwrap_or_default());
    assert_eq!(&*ours.user, theirs.user_info.unwrap_or_default().username);
    assert_eq!(ours.object, theirs.object.map(RawValue::get));
    assert_eq!(ours.old_object, theirs.old_object.map(RawValue::get));
}

/// What is refused is no review to serde either, or says what no API server does.
fn is_no_review(body: &[u8]) {
    // Of what it skips serde_json does not see whether it is text.
    let Ok(Ok(review)) = std::str::from_utf8(body).map(serde_json::from_str::<Review<'_>>) else { return };
    let request = review.request;
    let names = [
        &request.uid,
        &request.name,
        &request.namespace,
        &request.sub_resource,
        &request.resource.group,
        &request.resource.resource,
    ];
    let is_odd = (&*review.api_version, &*review.kind) != ("admission.k8s.io/v1", "AdmissionReview")
        || !["CREATE", "UPDATE", "DELETE", "CONNECT"].contains(&&*request.operation)
        || request.uid.is_empty()
        || names.iter().any(|name| name.len() > 253);
    assert!(is_odd, "serde reads it: {:?}", String::from_utf8_lossy(body));
}
