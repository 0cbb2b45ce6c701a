//! Whether the network extension carried out a released switch.
//!
//! Only the extension knows. Its feature gate `SeamlessOverlaySwitch` demands a route for every node, also for those
//! that do not count here because they have not been ready for long: then the extension fails, and Calico keeps its
//! overlay.

use crate::gardener::network::{Phase, Record, SwitchingNetwork};
use crate::json::Written;

/// The outcome of a released switch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The extension has not answered yet.
    Open,
    /// It carried the switch out.
    Succeeded,
    /// It failed with this error, and tries again.
    Fails(Box<str>),
}

/// The outcome of the switch of this record.
pub fn outcome(network: &SwitchingNetwork, record: &Record) -> Outcome {
    // An operation before the release says nothing about the switch. Gardener writes times to the second.
    let operated = network.operated.as_ref().and_then(Written::value);
    let is_later = (operated.zip(record.released.value()))
        .is_some_and(|(operated, released)| operated.as_second() >= released.as_second());
    match &network.failure {
        _ if record.phase != Phase::Released || network.switch.state.is_some() || !is_later => Outcome::Open,
        Some(why) => Outcome::Fails(why.clone()),
        None if network.has_succeeded && network.operation.is_none() => Outcome::Succeeded,
        None => Outcome::Open,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_extension_says_since() {
        let fails = |why: &str| Outcome::Fails(why.into());
        let at = |second: u32| format!("2026-11-20T10:00:{second:02}Z");
        let error = json!({"description": "waiting for routes"});
        let table = [
            ("nothing", json!({}), json!(null), Outcome::Open),
            ("success", json!({"state": "Succeeded", "lastUpdateTime": at(31)}), json!(null), Outcome::Succeeded),
            (
                "in the same second",
                json!({"state": "Succeeded", "lastUpdateTime": at(30)}),
                json!(null),
                Outcome::Succeeded,
            ),
            ("an old success", json!({"state": "Succeeded", "lastUpdateTime": at(29)}), json!(null), Outcome::Open),
            ("without a time", json!({"state": "Succeeded"}), json!(null), Outcome::Open),
            ("at work", json!({"state": "Processing", "lastUpdateTime": at(31)}), json!(null), Outcome::Open),
            (
                "an error",
                json!({"state": "Error", "lastUpdateTime": at(31)}),
                error.clone(),
                fails("waiting for routes"),
            ),
            ("an old error", json!({"state": "Error", "lastUpdateTime": at(3)}), error.clone(), Outcome::Open),
            (
                "given up",
                json!({"state": "Failed", "lastUpdateTime": at(31)}),
                error.clone(),
                fails("waiting for routes"),
            ),
            ("again", json!({"state": "Processing", "lastUpdateTime": at(31)}), error, fails("waiting for routes")),
            (
                "without an error",
                json!({"state": "Error", "lastUpdateTime": at(31), "description": "x\ny"}),
                json!(null),
                fails("x y"),
            ),
            (
                "without a description",
                json!({"state": "Failed", "lastUpdateTime": at(31)}),
                json!({}),
                fails("it does not say why"),
            ),
        ];
        let record = Record { phase: Phase::Released, released: at(30).into(), ..Record::default() };
        for (what, operation, error, want) in table {
            let network = json!({
                "metadata": {}, "spec": {},
                "status": {"state": {"networkGuard": record}, "lastOperation": operation, "lastError": error},
            });
            let network = SwitchingNetwork::read(&network.to_string()).unwrap().unwrap();
            assert_eq!(outcome(&network, &record), want, "{what}");
            let held = Record { phase: Phase::Held, ..record.clone() };
            assert_eq!(outcome(&network, &held), Outcome::Open, "{what}, held");
            let mut again = network;
            again.switch.state = Some("pending".into());
            assert_eq!(outcome(&again, &record), Outcome::Open, "{what}, held again");
        }
    }
}
