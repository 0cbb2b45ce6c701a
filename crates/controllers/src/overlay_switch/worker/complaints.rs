//! Complaints of route controllers: their events in the Shoot.

use jiff::Timestamp;
use serde::Deserialize;

use super::super::access::PAGE;
use super::Worker;
use network_guard_core::gardener::list::{List, ListLimits, Listed};
use network_guard_core::json::excerpt;

/// The reasons of their warnings: of aws-custom-route-controller (`reportEventIfNeeded` in its
/// `pkg/controller/node_reconciler.go`), of cloud-controller-managers (`k8s.io/cloud-provider`,
/// `controllers/route/route_controller.go`, v0.36), and of Alibaba's (`pkg/controller/helper/event.go` of
/// `kubernetes/cloud-provider-alibaba-cloud`).
const REASONS: [&str; 4] = ["RoutesUpdateFailed", "FailedToCreateRoute", "CreateRouteFailed", "SyncRouteFailed"];

/// The limits of events with one reason: 5,000 of them. An API server lists them by name, not by time, and keeps them
/// for an hour; beyond the limit the newest may be missed, and the newest of those read is reported. What counts is
/// kept for a page.
const LIMITS: ListLimits = ListLimits { objects: PAGE, page: PAGE, pages: 20, arriving: 16 << 20, kept: 1 << 20 };

impl Worker {
    /// The newest warning of a route controller since then; `None` when none can be read. Complaints are optional: a
    /// switch is handled without them too.
    pub(super) async fn complaint_since(&mut self, held: Option<Timestamp>) -> Option<Option<String>> {
        let mut newest: Option<Complaint> = None;
        let mut is_read = false;
        for reason in REASONS {
            let query = format!("&fieldSelector=type%3DWarning%2Creason%3D{reason}");
            let mut keep = |list: &mut List<Complaint>| {
                is_read = true;
                let page = list.take().into_iter().filter(|complaint| held.is_none_or(|held| complaint.at >= held));
                newest = newest.take().into_iter().chain(page).max_by_key(|complaint| complaint.at);
            };
            // What was read before the failure counts.
            let _ = self.access.pages("/api/v1/events", &query, &mut List::new(LIMITS), &mut keep).await;
        }
        is_read.then(|| newest.map(|newest| newest.message))
    }
}

/// A warning event in a Shoot.
#[derive(Debug)]
struct Complaint {
    /// When it was seen last.
    at: Timestamp,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    message: String,
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    series: Option<Series>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    last_observed_time: Option<Timestamp>,
}

impl<'de> Deserialize<'de> for Complaint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, message, last_timestamp, event_time, series } = Wire::deserialize(deserializer)?;
        // Events of the newer API (`events.k8s.io`) have no last timestamp; a series holds the time of the last
        // repetition.
        let again = series.and_then(|series| series.last_observed_time);
        let at = [last_timestamp, again, event_time, metadata.creation_timestamp].into_iter().flatten().max();
        Ok(Self { at: at.unwrap_or(Timestamp::MIN), message: excerpt(&message) })
    }
}

impl Listed for Complaint {
    fn heap(&self) -> usize {
        self.message.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_counts_from_when_it_was_seen_last() {
        let at = |minute: u32| format!("2026-11-20T10:{minute:02}:00Z");
        let created = json!({"creationTimestamp": at(1)});
        for (what, event, want) in [
            ("created", json!({"metadata": created}), 1),
            ("nulls", json!({"metadata": created, "lastTimestamp": null, "eventTime": null, "series": null}), 1),
            ("repeated", json!({"metadata": created, "lastTimestamp": at(5)}), 5),
            ("new API", json!({"metadata": created, "lastTimestamp": null, "eventTime": at(2)}), 2),
            (
                "new API, repeated",
                json!({"metadata": created, "eventTime": at(2), "series": {"count": 3, "lastObservedTime": at(7)}}),
                7,
            ),
            ("the latest of all", json!({"metadata": created, "lastTimestamp": at(9), "eventTime": at(3)}), 9),
        ] {
            let complaint: Complaint = serde_json::from_value(event).unwrap();
            assert_eq!(complaint.at, at(want).parse().unwrap(), "{what}");
        }
        let long = json!({"metadata": {}, "message": "x\n".repeat(5_000)});
        let complaint: Complaint = serde_json::from_value(long).unwrap();
        assert!(complaint.heap() < 310 && !complaint.message.contains('\n'));
    }
}
