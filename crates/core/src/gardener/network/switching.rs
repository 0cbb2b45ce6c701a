//! The facts that are kept of a Network with a switch of the overlay.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Network, Operation, Record, StoredRecord, SwitchAnnotations};
use crate::gardener::field_error::typed;
use crate::gardener::{FieldError, OperationState};
use crate::json::{Text, Written, excerpt};
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
    pub operation: Option<Operation>,
    /// The annotation [`TIMESTAMP`](super::TIMESTAMP).
    pub timestamp: Option<Timestamp>,
    /// The annotations of a held switch.
    pub switch: SwitchAnnotations<Box<str>>,
    /// The annotation [`SWITCH_PASSED`](super::SWITCH_PASSED).
    pub passed: Option<Box<str>>,
    /// `spec.ipFamilies`.
    pub families: Box<[Family]>,
    /// The text of `spec.providerConfig`.
    pub config: Option<Box<str>>,
    /// Whether `status.lastOperation.state` is `Succeeded`.
    pub has_succeeded: bool,
    /// `status.lastOperation.lastUpdateTime`.
    pub operated: Option<Written<Box<str>, Timestamp>>,
    /// The last error of the extension, if it has not succeeded since.
    pub failure: Option<Box<str>>,
    /// network-guard's member of `status.state`.
    pub stored: Option<StoredRecord>,
    /// Whether `status.state` has other members too.
    pub has_other_state: bool,
}

impl SwitchingNetwork {
    /// The record of its switch, if there is one that can be read.
    pub fn record(&self) -> Option<&Record> {
        self.stored.as_ref()?.record()
    }

    /// Whether it has an annotation of network-guard.
    pub fn has_annotations(&self) -> bool {
        !self.switch.is_empty() || self.passed.is_some()
    }

    /// Reads the text of a Network; `None` when it has no switch.
    pub fn read(text: &str) -> Result<Option<Self>, FieldError> {
        let network = Network::read(text)?;
        if network.switch.is_empty() && network.passed.is_none() && network.record.is_none() {
            return Ok(None);
        }
        let operation: LastOperation<'_> = read("status.lastOperation", network.last_operation)?.unwrap_or_default();
        let error = read("status.lastError", network.last_error)?;
        Ok(Some(Self {
            uid: (*network.uid).into(),
            resource_version: (*network.resource_version).into(),
            is_being_deleted: network.is_being_deleted,
            operation: network.operation,
            timestamp: network.timestamp.and_then(|timestamp| timestamp.value()),
            switch: network.switch.into(),
            passed: network.passed.map(|passed| (*passed).into()),
            families: network.families.into(),
            config: network.provider_config.map(Box::from),
            has_succeeded: operation.state == Some(OperationState::Succeeded),
            failure: failure(&operation, error),
            operated: operation.last_update_time,
            stored: network.record.map(StoredRecord::from),
            has_other_state: network.has_other_state,
        }))
    }
}

/// Reads a part of the status.
fn read<'a, T: Deserialize<'a>>(path: &'static str, text: Option<&'a str>) -> Result<Option<T>, FieldError> {
    text.map(|text| typed(text).map_err(|error| error.within(path))).transpose()
}

/// What the extension did last.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LastOperation<'a> {
    state: Option<OperationState>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    last_update_time: Option<Written<Box<str>, Timestamp>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LastError<'a> {
    #[serde(borrow)]
    description: Option<Text<'a>>,
}

/// The last error of the extension, cut. It stays while the extension tries again.
fn failure(operation: &LastOperation<'_>, error: Option<LastError<'_>>) -> Option<Box<str>> {
    let is_retrying = operation.state.is_some_and(OperationState::is_active) && error.is_some();
    let has_failed = matches!(operation.state, Some(OperationState::Error | OperationState::Failed));
    if !is_retrying && !has_failed {
        return None;
    }
    let description = error.and_then(|error| error.description);
    let description = description.as_deref().or(operation.description.as_deref());
    Some(excerpt(description.unwrap_or("it does not say why")).into())
}
