//! Inside a Shoot: what route controllers complain about.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Shoot;

impl Shoot {
    /// A Warning of the route controller about all of its routes.
    pub fn route_controller_warns(&self, message: &str) {
        let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
        self.warns(&json!({"generateName": "aws-custom-route-controller."}), message, now);
    }

    /// The same with an event of this name, which came in this moment.
    pub fn route_controller_warned(&self, name: &str, message: &str, at: Timestamp) {
        self.warns(&json!({"name": name}), message, at.round(jiff::Unit::Second).unwrap());
    }

    /// A warning for this reason, in this moment.
    pub fn warned_for(&self, reason: &str, message: &str) {
        let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
        self.warns_for(reason, &json!({"generateName": "route-controller."}), message, now);
    }

    /// A warning by the newer API of events, which came again and again until now.
    pub fn route_controller_repeats(&self, name: &str, message: &str) {
        let now = Timestamp::now();
        let micros = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        self.api.create(
            "/apis/events.k8s.io/v1/namespaces/kube-system/events",
            &json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", "reason": "RoutesUpdateFailed",
                "note": message, "action": "Reconciling", "metadata": {"name": name, "namespace": "kube-system"},
                "regarding": {
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "namespace": "kube-system", "name": "aws-custom-route-controller",
                },
                "reportingController": "aws-custom-route-controller", "reportingInstance": "aws-custom-route-controller-0",
                "eventTime": micros(now - SignedDuration::from_mins(5)),
                "series": {"count": 2, "lastObservedTime": micros(now)},
            }),
        );
    }

    fn warns(&self, metadata: &Value, message: &str, at: Timestamp) {
        self.warns_for("RoutesUpdateFailed", metadata, message, at);
    }

    fn warns_for(&self, reason: &str, metadata: &Value, message: &str, at: Timestamp) {
        let mut metadata = metadata.clone();
        metadata["namespace"] = json!("kube-system");
        self.api.create(
            "/api/v1/namespaces/kube-system/events",
            &json!({
                "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
                "metadata": metadata,
                "involvedObject": {
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "namespace": "kube-system", "name": "aws-custom-route-controller",
                },
                "source": {"component": "aws-custom-route-controller"},
                "firstTimestamp": at, "lastTimestamp": at, "count": 1,
            }),
        );
    }
}
