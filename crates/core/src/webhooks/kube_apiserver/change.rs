//! Which writes need a decision. `webhook-config/seed.yaml` says the same in its match conditions, and
//! `tests/e2e/overlap/conditions.rs` compares both.

use crate::gardener::Deployment;
use crate::gardener::deployment::Rollout;
use crate::vpn::is_half_there;

/// Whether a write over this stored object needs none, whatever the Cluster says: it starts no Pod that did not run
/// before, leaves network-guard's annotation as it is, and what is there of network-guard is complete.
///
/// Labels, a pause and scaling down start nothing. gardenlet's reconciliation of a highly available Shoot mostly is no such
/// write, also one that hibernates or deletes the Shoot: its template lacks what other webhooks have added to the stored one.
///
/// Not even one Pod more of a template that runs already: it may get another decision than the first one had. Where one has
/// been made, and is a refusal, `vpn_ends::starts_only_more_of_the_same` is asked.
pub(super) fn needs_no_decision(deployment: &Deployment<'_>, old: &Rollout<'_>) -> bool {
    let new = Rollout::of(deployment);
    new.template == old.template
        && new.replicas <= old.replicas
        && new.overlaps == old.overlaps
        && !is_half_there(deployment)
}
