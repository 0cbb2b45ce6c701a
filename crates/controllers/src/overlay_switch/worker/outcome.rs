//! After a switch: whether the network extension could carry it out.

use super::super::events::Happened;
use super::Worker;
use network_guard_core::gardener::network::SwitchingNetwork;
use network_guard_core::overlay::{Outcome, Record, outcome};

impl Worker {
    /// Checks the result of a switch that was let through; a failure is reported once.
    pub(super) async fn outcome(&mut self, network: &SwitchingNetwork, record: &Record) -> Outcome {
        let outcome = outcome(network, record);
        match &outcome {
            Outcome::Fails(why) => {
                if self.failure.is_none() {
                    let note = record.status.clone().unwrap_or_default().failure(why);
                    self.report(network, Happened::Failed, note).await;
                }
                self.failure = Some(why.clone());
            }
            Outcome::Succeeded => self.failure = None,
            Outcome::Open => {}
        }
        outcome
    }
}
