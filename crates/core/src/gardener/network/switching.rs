//! The facts that are kept of a Network with a switch of the overlay.

use serde::Deserialize;

use super::Network;
use crate::gardener::FieldError;
use crate::gardener::field_error::typed;
use crate::json::{Text, excerpt};
use crate::net::Family;

/// A Network with a switch: a held one, or one whose rollout is not finished.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchingNetwork {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub is_being_deleted: bool,
    /// The annotation [`OPERATION`](super::OPERATION).
    pub operation: Option<Box<str>>,
    /// The annotation [`TIMESTAMP`](super::TIMESTAMP).
    pub timestamp: Option<Box<str>>,
    /// The annotation [`SWITCH_STATE`](super::SWITCH_STATE).
    pub state: Option<Box<str>>,
    /// The annotation [`SWITCH_SINCE`](super::SWITCH_SINCE).
    pub since: Option<Box<str>>,
    /// The annotation [`SWITCH_REQUESTED`](super::SWITCH_REQUESTED).
    pub requested: Option<Box<str>>,
    /// The annotation [`SWITCH_MESSAGE`](super::SWITCH_MESSAGE).
    pub message: Option<Box<str>>,
    /// The annotation [`SWITCH_APPROVED`](super::SWITCH_APPROVED).
    pub approved: Option<Box<str>>,
    /// The annotation [`SWITCH_PASSED`](super::SWITCH_PASSED).
    pub passed: Option<Box<str>>,
    /// `spec.ipFamilies`.
    pub families: Box<[Family]>,
    /// The text of `spec.providerConfig`.
    pub config: Option<Box<str>>,
    /// Whether `status.lastOperation.state` is `Succeeded`.
    pub has_succeeded: bool,
    /// `status.lastOperation.lastUpdateTime`, RFC 3339.
    pub operated: Option<Box<str>>,
    /// The last error of the extension, if it has not succeeded since.
    pub failure: Option<Box<str>>,
    /// The text of network-guard's member of `status.state`.
    pub record: Option<Box<str>>,
    /// Whether `status.state` has other members too.
    pub has_other_state: bool,
}

impl SwitchingNetwork {
    /// Whether it has an annotation of a held switch.
    pub fn has_annotations(&self) -> bool {
        let Self { state, since, requested, message, approved, passed, .. } = self;
        [state, since, requested, message, approved, passed].into_iter().any(Option::is_some)
    }

    /// Reads the text of a Network; `None` when it has no switch.
    pub fn read(text: &str) -> Result<Option<Self>, FieldError> {
        let network = Network::read(text)?;
        if network.switch.is_empty() && network.passed.is_none() && network.record.is_none() {
            return Ok(None);
        }
        let Identified { metadata, status } = typed("", text)?;
        let OperationStatus { last_operation, last_error } = status.unwrap_or_default();
        let (operation, error) = (last_operation.unwrap_or_default(), last_error);
        let owned = |text: Option<Text<'_>>| text.map(|text| Box::from(&*text));
        Ok(Some(Self {
            uid: owned(metadata.uid).unwrap_or_default(),
            resource_version: owned(metadata.resource_version).unwrap_or_default(),
            is_being_deleted: network.is_being_deleted,
            operation: owned(network.operation),
            timestamp: owned(network.timestamp),
            state: owned(network.switch.state),
            since: owned(network.switch.since),
            requested: owned(network.switch.requested),
            message: owned(network.switch.message),
            approved: owned(network.switch.approved),
            passed: owned(network.passed),
            families: network.families.into(),
            config: network.provider_config.map(Box::from),
            has_succeeded: operation.state.as_deref() == Some("Succeeded"),
            failure: failure(&operation, error),
            operated: owned(operation.last_update_time),
            record: network.record.map(Box::from),
            has_other_state: network.has_other_state,
        }))
    }
}

#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    metadata: Identity<'a>,
    #[serde(borrow)]
    status: Option<OperationStatus<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OperationStatus<'a> {
    #[serde(borrow)]
    last_operation: Option<LastOperation<'a>>,
    #[serde(borrow)]
    last_error: Option<LastError<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LastOperation<'a> {
    #[serde(borrow)]
    state: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    last_update_time: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LastError<'a> {
    #[serde(borrow)]
    description: Option<Text<'a>>,
}

/// The last error of the extension, cut. It stays while the extension tries again.
fn failure(operation: &LastOperation<'_>, error: Option<LastError<'_>>) -> Option<Box<str>> {
    let is_retrying = matches!(operation.state.as_deref(), Some("Processing" | "Pending")) && error.is_some();
    let has_failed = matches!(operation.state.as_deref(), Some("Error" | "Failed"));
    if !is_retrying && !has_failed {
        return None;
    }
    let description = error.and_then(|error| error.description);
    let description = description.as_deref().or(operation.description.as_deref());
    Some(excerpt(description.unwrap_or("it does not say why")).into())
}
