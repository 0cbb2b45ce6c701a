//! After a switch: whether the network extension could carry it out.

use super::super::events::Happened;
use super::Worker;
use network_guard_core::gardener::network::{Record, SwitchingNetwork};
use network_guard_core::overlay::Outcome;

impl Worker {
    /// Notes the result of a switch that was let through; a failure is reported once.
    pub(super) async fn note_outcome(&mut self, network: &SwitchingNetwork, record: &Record, outcome: &Outcome) {
        match outcome {
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
    }
}
