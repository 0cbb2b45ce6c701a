//! Events on a Network: what `kubectl describe network` shows.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};

use network_guard_core::landscape::NetworkName;

/// The reason of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happened {
    Held,
    Progress,
    Approved,
    Withdrawn,
    Released,
    Forced,
    Slow,
    Freed,
    ConditionRemoved,
    NodesAtRisk,
    Failed,
}

impl Happened {
    const fn reason(self) -> &'static str {
        match self {
            Self::Held => "OverlaySwitchHeld",
            Self::Progress => "OverlaySwitchProgress",
            Self::Approved => "OverlaySwitchApproved",
            Self::Withdrawn => "OverlaySwitchWithdrawn",
            Self::Released => "OverlaySwitchReleased",
            Self::Forced => "OverlaySwitchForced",
            Self::Slow => "OverlaySwitchSlow",
            Self::Freed => "OverlaySwitchNodeFreed",
            Self::ConditionRemoved => "OverlaySwitchConditionRemoved",
            Self::NodesAtRisk => "OverlaySwitchNodesAtRisk",
            Self::Failed => "OverlaySwitchFailed",
        }
    }

    const fn is_warning(self) -> bool {
        matches!(self, Self::Slow | Self::NodesAtRisk | Self::Failed)
    }
}

/// The longest note, in bytes (`noteLengthLimit` of `k8s.io/kubernetes/pkg/apis/core/validation/events.go`): an API server
/// refuses an event with a longer one.
const NOTE: usize = 1_024;

/// The note, cut to the permitted length.
fn cut(mut note: String) -> String {
    if note.len() > NOTE {
        note.truncate(note.floor_char_boundary(NOTE - '…'.len_utf8()));
        note.push('…');
    }
    note
}

/// Reports an event. A failure to report stops nothing.
pub(super) async fn report(recorder: &Recorder, name: &NetworkName, uid: &str, what: Happened, note: String) {
    let event = Event {
        type_: if what.is_warning() { EventType::Warning } else { EventType::Normal },
        reason: what.reason().to_owned(),
        note: Some(cut(note)),
        action: "OverlaySwitch".to_owned(),
        secondary: None,
    };
    let network = ObjectReference {
        api_version: Some("extensions.gardener.cloud/v1alpha1".to_owned()),
        kind: Some("Network".to_owned()),
        namespace: Some(name.namespace.to_string()),
        name: Some(name.name.to_string()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    tracing::info!(
        namespace = &*name.namespace,
        network = &*name.name,
        reason = event.reason,
        note = event.note,
        "switch"
    );
    if let Err(error) = recorder.publish(&event, &network).await {
        tracing::warn!(namespace = &*name.namespace, %error, "an event cannot be reported");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_have_the_length_that_an_api_server_accepts() {
        for (letter, length) in [("x", NOTE), ("ü", NOTE / 2), ("漢", NOTE / 3)] {
            assert_eq!(cut(letter.repeat(length)), letter.repeat(length), "it fits");
            let note = cut(letter.repeat(length + 1));
            assert!(note.ends_with('…') && (NOTE - 3..=NOTE).contains(&note.len()), "{letter}: {} bytes", note.len());
        }
    }
}
