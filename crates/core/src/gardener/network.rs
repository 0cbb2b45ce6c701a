//! The `Network` resource (`extensions.gardener.cloud/v1alpha1`): what gardenlet requests from a network extension.

mod annotations;
mod reason;
mod record;
mod status;
mod switching;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use annotations::{Operation, SwitchAnnotations, SwitchState};
pub use reason::Reason;
pub use record::{Phase, Record, StoredRecord};
pub use status::{MissingRoute, Replacement, Routes, SwitchStatus, WaitsFor};
pub use switching::SwitchingNetwork;

use annotations::Annotations;

use super::field_error::{FieldError, typed};
use super::shoot::MOST_FAMILIES;
use crate::json::{AtMost, FirstOf, Members, Text, Written};
use crate::net::Family;

/// gardenlet's request for an action of the extension: `reconcile`, `restore`, `migrate` or `wait-for-state`.
pub const OPERATION: &str = "gardener.cloud/operation";

/// When gardenlet wrote the object last, RFC 3339 with nanoseconds. gardenlet waits until the extension has answered
/// exactly this write, so no other writer may change it.
pub const TIMESTAMP: &str = "gardener.cloud/timestamp";

/// The state of a held switch: `pending`, `approved` or `forced`.
pub const SWITCH_STATE: &str = "network-guard.extensions.gardener.cloud/overlay-switch-state";

/// When a switch was held first, RFC 3339.
pub const SWITCH_SINCE: &str = "network-guard.extensions.gardener.cloud/overlay-switch-since";

/// What was requested: a digest of the configuration on which encapsulation depends.
pub const SWITCH_REQUESTED: &str = "network-guard.extensions.gardener.cloud/overlay-switch-requested";

/// What a held switch waits for, as a message.
pub const SWITCH_MESSAGE: &str = "network-guard.extensions.gardener.cloud/overlay-switch-message";

/// When an approval was last confirmed, RFC 3339.
pub const SWITCH_APPROVED: &str = "network-guard.extensions.gardener.cloud/overlay-switch-approved";

/// Why a switch without a record passed, `routes`, `forced` or `hibernated`, and with which write of gardenlet: `forced
/// 2026-11-20T10:00:00Z`. The webhook writes it for the leader, which starts the record from it and removes it. Nothing
/// else depends on it, so a Network is not sent to the webhook because of it.
pub const SWITCH_PASSED: &str = "network-guard.extensions.gardener.cloud/overlay-switch-passed";

/// All annotations of a held switch.
pub const SWITCH_ANNOTATIONS: [&str; 5] =
    [SWITCH_STATE, SWITCH_SINCE, SWITCH_REQUESTED, SWITCH_MESSAGE, SWITCH_APPROVED];

/// network-guard's member of `status.state`. Gardener copies `status.state` when a control plane moves to another Seed,
/// which it does not do with annotations.
pub const STATE_MEMBER: &str = "networkGuard";

/// A Network in a review; it borrows from the request.
#[derive(Clone, Debug, Default)]
pub struct Network<'a> {
    /// `metadata.uid`.
    pub uid: Text<'a>,
    /// `metadata.resourceVersion`.
    pub resource_version: Text<'a>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub is_being_deleted: bool,
    /// Whether there is a `metadata.annotations` to add to.
    pub has_annotations: bool,
    /// The annotation [`OPERATION`].
    pub operation: Option<Operation>,
    /// The annotation [`TIMESTAMP`].
    pub timestamp: Option<Written<Text<'a>, Timestamp>>,
    /// The annotations of a held switch.
    pub switch: SwitchAnnotations<Text<'a>>,
    /// The annotation [`SWITCH_PASSED`].
    pub passed: Option<Text<'a>>,
    /// `spec.type`, such as `calico`.
    pub network_type: Text<'a>,
    /// `spec.class`; the default is `shoot`.
    pub class: Option<Text<'a>>,
    /// `spec.ipFamilies`, those that are known.
    pub families: Vec<Family>,
    /// `status.ipFamilies`: those that the extension has deployed, if it reports any. Calico's names those of which its
    /// configuration has a section (`updateProviderStatus` in `pkg/controller/status.go` of networking-calico,
    /// v1.60.0-dev), be it the Shoot's or its own for each family that counts. These are the families that counted:
    /// before it reports them it renders its chart, which fails over a section of a family that does not count
    /// (`mergeCalicoValuesWithConfig` in `pkg/charts/utils.go`, since before there was this field).
    pub deployed: Vec<Family>,
    /// The text of `spec.providerConfig`; `None` also for `null`.
    pub provider_config: Option<&'a str>,
    /// The text of `spec`: API servers write equal objects the same way.
    pub spec: &'a str,
    /// The text of network-guard's member of `status.state`.
    record: Option<&'a str>,
    /// Whether `status.state` has other members too.
    pub has_other_state: bool,
    /// The text of `status.lastOperation`.
    last_operation: Option<&'a str>,
    /// The text of `status.lastError`.
    last_error: Option<&'a str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    annotations: Option<Annotations<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, rename = "type")]
    network_type: Text<'a>,
    #[serde(borrow)]
    class: Option<Text<'a>>,
    #[serde(borrow)]
    ip_families: Option<&'a RawValue>,
    #[serde(borrow)]
    provider_config: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    ip_families: Option<&'a RawValue>,
    #[serde(borrow)]
    last_operation: Option<&'a RawValue>,
    #[serde(borrow)]
    last_error: Option<&'a RawValue>,
}

impl<'a> Network<'a> {
    /// Reads the text of a Network.
    pub fn read(text: &'a str) -> Result<Self, FieldError> {
        let wire: Wire<'_> = typed(text)?;
        let spec_text = wire.spec.map_or("{}", RawValue::get);
        let spec: Spec<'_> = typed(spec_text).map_err(|error| error.within("spec"))?;
        let families = match spec.ip_families.map(RawValue::get) {
            Some(text) => typed::<Option<AtMost<Text<'_>, MOST_FAMILIES>>>(text)
                .map_err(|error| error.within("spec.ipFamilies"))?,
            None => None,
        };
        let families = families.iter().flat_map(|families| &families.0);
        // A status is written by others, and the API server ignores it in a write of the object, so an unreadable one
        // is ignored.
        let status: Status<'_> =
            wire.status.and_then(|status| serde_json::from_str(status.get()).ok()).unwrap_or_default();
        let (record, has_other_state) = status.state.and_then(|state| members_of(state.get())).unwrap_or_default();
        let deployed: Option<FirstOf<Text<'_>, MOST_FAMILIES>> =
            status.ip_families.and_then(|text| serde_json::from_str(text.get()).ok());
        let Metadata { uid, resource_version, deletion_timestamp, annotations } = wire.metadata;
        let has_annotations = annotations.is_some();
        let Annotations { operation, timestamp, switch, passed } = annotations.unwrap_or_default();
        Ok(Self {
            uid: uid.unwrap_or_default(),
            resource_version: resource_version.unwrap_or_default(),
            is_being_deleted: deletion_timestamp.is_some(),
            has_annotations,
            operation,
            timestamp,
            switch,
            passed,
            network_type: spec.network_type,
            class: spec.class,
            families: families.filter_map(|name| family(name)).collect(),
            deployed: deployed.iter().flat_map(|names| &names.0).filter_map(|name| family(name)).collect(),
            provider_config: spec.provider_config.map(RawValue::get),
            spec: spec_text,
            record: record.filter(|text| *text != "null"),
            has_other_state,
            last_operation: status.last_operation.map(RawValue::get),
            last_error: status.last_error.map(RawValue::get),
        })
    }

    /// Whether network-guard has a record here, readable or not.
    pub fn has_record(&self) -> bool {
        self.record.is_some()
    }

    /// Reads the record, if there is one that can be read. Few reviews need it, and none of them twice.
    pub fn read_record(&self) -> Option<Record> {
        Record::read(self.record?)
    }

    /// Whether this is the network of a Shoot, and not of a Seed or the garden.
    pub(crate) fn is_of_a_shoot(&self) -> bool {
        self.class.as_deref().is_none_or(|class| class == "shoot")
    }
}

/// network-guard's member of a state, and whether there are others; `None` where the state is not an object.
fn members_of(state: &str) -> Option<(Option<&str>, bool)> {
    let mut members = Members::of(state);
    let (mut ours, mut has_others) = (None, false);
    members.enter().ok()?;
    while let Some(key) = members.key().ok()? {
        let value = members.skip().ok()?;
        if &*key == STATE_MEMBER { ours = Some(value) } else { has_others = true }
    }
    Some((ours, has_others))
}

/// The name of an IP family in the API.
pub const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// An IP family by its name in the API.
pub(crate) fn family(name: &str) -> Option<Family> {
    match name {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_read_as_far_as_it_is_needed() {
        let text = json!({
            "metadata": {
                "name": "orders",
                "annotations": {
                    "gardener.cloud/operation": "reconcile",
                    "gardener.cloud/timestamp": "2026-11-20T10:00:00.123456789Z",
                    "network-guard.extensions.gardener.cloud/overlay-switch-state": "pending",
                    "other": "\u{e9}",
                },
                "managedFields": [{"f:spec": {}}],
            },
            "spec": {
                "type": "calico", "podCIDR": "100.96.0.0/11", "ipFamilies": ["IPv4", "IPv6", "IPv9"],
                "providerConfig": {"overlay": {"enabled": false}},
            },
            "status": {"state": {"other": 1, "networkGuard": {"phase": "held"}}, "conditions": null},
        })
        .to_string();
        let network = Network::read(&text).unwrap();
        assert_eq!(network.operation, Some(Operation::Reconcile));
        assert_eq!(network.timestamp.as_deref(), Some("2026-11-20T10:00:00.123456789Z"));
        assert_eq!(network.switch.state.as_deref(), Some("pending"));
        assert_eq!((&*network.network_type, network.is_of_a_shoot()), ("calico", true));
        assert_eq!(network.families, [Family::V4, Family::V6]);
        assert_eq!(network.provider_config, Some(r#"{"overlay":{"enabled":false}}"#));
        assert_eq!(network.record, Some(r#"{"phase":"held"}"#));
        assert!(network.has_other_state);
        assert!(!network.is_being_deleted && network.has_annotations);
    }

    #[test]
    fn every_annotation_has_its_key() {
        for key in SWITCH_ANNOTATIONS {
            let text = json!({"metadata": {"annotations": {key: "x"}}}).to_string();
            let switch = Network::read(&text).unwrap().switch;
            let want = SWITCH_ANNOTATIONS.map(|other| (other, (other == key).then_some("x")));
            assert_eq!((switch.pairs(), switch.is_empty()), (want, false));
            assert_eq!(SwitchAnnotations::<Box<str>>::from(switch).pairs(), want);
        }
        let text = json!({"metadata": {"annotations": {SWITCH_PASSED: "x"}}}).to_string();
        let network = Network::read(&text).unwrap();
        assert_eq!((network.passed.as_deref(), network.switch.is_empty()), (Some("x"), true));
    }

    #[test]
    fn only_those_with_a_switch_are_kept() {
        let read = |text: &str| SwitchingNetwork::read(text).unwrap();
        assert_eq!(read(r#"{"metadata":{"annotations":{"a":"b"}},"status":{"state":{"other":1}}}"#), None);
        let network = read(
            r#"{"metadata":{"uid":"u","resourceVersion":"7","annotations":{
                "network-guard.extensions.gardener.cloud/overlay-switch-state":"pending"}},
                "status":{"lastOperation":{"state":"Succeeded"}}}"#,
        )
        .unwrap();
        assert_eq!((&*network.uid, &*network.resource_version), ("u", "7"));
        assert!(network.switch.is(SwitchState::Pending));
        assert!(network.has_succeeded);
        assert!(read(r#"{"metadata":{},"status":{"state":{"networkGuard":{}}}}"#).unwrap().stored.is_some());
    }

    #[test]
    fn what_is_missing_is_empty() {
        for text in
            ["{}", r#"{"metadata":{"annotations":null},"spec":{"type":"calico","providerConfig":null},"status":null}"#]
        {
            let network = Network::read(text).unwrap();
            assert!(network.provider_config.is_none() && network.switch.is_empty() && !network.has_annotations);
            assert!(network.record.is_none() && network.families.is_empty());
        }
        for status in ["5", "[]", r#"{"state":[]}"#, r#"{"state":"x"}"#] {
            assert!(Network::read(&format!(r#"{{"status":{status}}}"#)).unwrap().record.is_none(), "{status}");
        }
        let text = r#"{"metadata":{"deletionTimestamp":"x"},"spec":{"class":"seed"},"status":{"state":null}}"#;
        let network = Network::read(text).unwrap();
        assert!(network.is_being_deleted && !network.is_of_a_shoot());
    }

    #[test]
    fn says_what_cannot_be_read() {
        for (text, want) in [
            (r#"{"spec":{"type":5}}"#, "spec.type: "),
            (r#"{"spec":{"ipFamilies":"IPv4"}}"#, "spec.ipFamilies: "),
            (
                r#"{"metadata":{"annotations":{"gardener.cloud/operation":5}}}"#,
                "metadata.annotations.gardener.cloud/operation",
            ),
            ("[5", ""),
        ] {
            let error = Network::read(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }
}
