//! Rules about the target of an entry.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::ShootFacts;
use crate::landscape::Target;

use super::pair::Pair;
use super::scene::{SCENE, Scene, peer, visible};

rules! {
    /// There is no such Shoot. A new Shoot may list one that does not exist yet, with a warning: of two Shoots that
    /// list each other, one is created first. For a stored entry it is a warning too.
    pub static MISSING = {
        name: "peering/target-missing",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Correct namespace and name, or create the target first. Peers in another garden cannot be used.",
        example: || Scene { stored: Some("{}"), ..SCENE }.pair(missing, &Target::Missing),
    };

    /// The target is being deleted. For an entry that was stored before, and where the writer may not see the target,
    /// this is a warning.
    pub static DELETING = {
        name: "peering/target-deleting",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove the entry.",
        example: || SCENE.pair(deleting, &visible(ShootFacts { is_being_deleted: true, ..peer() })),
    };

    /// The target has no workers and can never have any, so it has no node network.
    pub static WORKERLESS = {
        name: "peering/target-workerless",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove the entry.",
        example: || SCENE.pair(workerless, &visible(ShootFacts { is_workerless: true, ..peer() })),
    };
}

pub(super) fn missing(pair: &Pair<'_>) -> Option<Finding> {
    let Target::Missing = pair.target else { return None };
    let (help, most) = if pair.subject.is_new() {
        ("create it, or correct the name", Severity::Warn)
    } else {
        ("correct the name, or create it first", Severity::Deny)
    };
    Some(MISSING.finding(pair.path(), format!("{} does not exist", pair.name()), help).at_most(most))
}

pub(super) fn deleting(pair: &Pair<'_>) -> Option<Finding> {
    let most = match pair.target {
        Target::Visible(facts) if facts.is_being_deleted => Severity::Deny,
        Target::Consenting(consent) if consent.is_being_deleted() => Severity::Warn,
        _ => return None,
    };
    let message = format!("{} is being deleted", pair.name());
    Some(DELETING.finding(pair.path(), message, "remove the entry").at_most(most))
}

pub(super) fn workerless(pair: &Pair<'_>) -> Option<Finding> {
    let (message, help) = match pair.target {
        Target::Visible(facts) if facts.is_workerless => ("has no workers, so no node network", "remove the entry"),
        Target::Consenting(consent) if consent.is_workerless() => ("cannot be a peer", "ask its owner"),
        _ => return None,
    };
    Some(WORKERLESS.finding(pair.path(), format!("{} {message}", pair.name()), help))
}
