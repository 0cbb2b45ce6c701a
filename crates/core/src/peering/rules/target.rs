//! Rules about the target of an entry, and the order in which all rules about a target run.

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::landscape::Target;

use super::pair::{Pair, PairRule};
use super::reciprocal::{DISABLED, NOT_RECIPROCAL, disabled, not_reciprocal};
use super::target_seed::{
    MIGRATING, SEED_MISSING, SEED_UNKNOWN, SEED_WRONG, UNSCHEDULED, migrating, seed_missing, seed_wrong, unscheduled,
};
use super::unverified::{HIDDEN, NOT_VERIFIED, hidden, not_verified};

/// The target does not exist.
pub static MISSING: Rule = Rule {
    name: "peering/target-missing",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "There is no such Shoot. A new Shoot may list one that does not exist yet, with a warning: of two Shoots that list each other, one is created first. For a stored entry it is a warning too.",
    fix: "Correct namespace and name, or create the target first. Peers in another garden cannot be used.",
};

/// The target is being deleted.
pub static DELETING: Rule = Rule {
    name: "peering/target-deleting",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The target is being deleted. For an entry that was stored before, and where the writer may not see the target, this is a warning.",
    fix: "Remove the entry.",
};

/// The target has no nodes.
pub static WORKERLESS: Rule = Rule {
    name: "peering/target-workerless",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The target has no workers and can never have any, so it has no node network.",
    fix: "Remove the entry.",
};

/// The rules about the Seed of an entry.
pub(in crate::peering) static SEED_RULES: [PairRule; 4] = [seed_missing, seed_wrong, migrating, unscheduled];

/// The rules about the target itself.
pub(in crate::peering) static RULES: [PairRule; 7] =
    [missing, not_reciprocal, deleting, workerless, disabled, hidden, not_verified];

/// The subset that is also evaluated for stored, unchanged entries when the list is edited.
pub(in crate::peering) static STORED_RULES: [PairRule; 4] = [seed_wrong, missing, deleting, workerless];

fn missing(pair: &Pair<'_>) -> Option<Finding> {
    let Target::Missing = pair.target else { return None };
    let (help, most) = if pair.subject.is_new() {
        ("create it, or correct the name", Severity::Warn)
    } else {
        ("correct the name, or create it first", Severity::Deny)
    };
    Some(MISSING.finding(pair.path(), format!("{} does not exist", pair.name()), help).at_most(most))
}

fn deleting(pair: &Pair<'_>) -> Option<Finding> {
    let most = match pair.target {
        Target::Visible(facts) if facts.is_being_deleted => Severity::Deny,
        Target::Consenting(consent) if consent.is_being_deleted() => Severity::Warn,
        _ => return None,
    };
    let message = format!("{} is being deleted", pair.name());
    Some(DELETING.finding(pair.path(), message, "remove the entry").at_most(most))
}

fn workerless(pair: &Pair<'_>) -> Option<Finding> {
    let (message, help) = match pair.target {
        Target::Visible(facts) if facts.is_workerless => ("has no workers, so no node network", "remove the entry"),
        Target::Consenting(consent) if consent.is_workerless() => ("cannot be a peer", "ask its owner"),
        _ => return None,
    };
    Some(WORKERLESS.finding(pair.path(), format!("{} {message}", pair.name()), help))
}

/// The rules about an entry and its target, with an example of each.
pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = super::example_entry;
    let seed = || path().field("seed");
    let target = "garden-shop/orders";
    vec![
        (&SEED_MISSING, SEED_MISSING.finding(seed(), "is missing".to_owned(), "write eu1-a")),
        (
            &SEED_UNKNOWN,
            SEED_UNKNOWN.finding(
                seed(),
                "there is no Seed \"eu9\"".to_owned(),
                "write the spec.seedName of the target",
            ),
        ),
        (&MISSING, MISSING.finding(path(), format!("{target} does not exist"), "correct the name, or create it first")),
        (
            &NOT_RECIPROCAL,
            NOT_RECIPROCAL.finding(
                path(),
                format!("{target} does not list this Shoot"),
                "add there: - {name: crm, namespace: garden-sales, seed: eu1-b}",
            ),
        ),
        (&SEED_WRONG, SEED_WRONG.finding(seed(), format!("eu1-b is not the Seed of {target}"), "write eu1-a")),
        (&MIGRATING, MIGRATING.finding(seed(), format!("{target} is moving from eu1-a to eu1-b"), "write eu1-b")),
        (
            &UNSCHEDULED,
            UNSCHEDULED.finding(seed(), format!("{target} has no Seed yet, so this one cannot be checked"), ""),
        ),
        (&DELETING, DELETING.finding(path(), format!("{target} is being deleted"), "remove the entry")),
        (
            &WORKERLESS,
            WORKERLESS.finding(path(), format!("{target} has no workers, so no node network"), "remove the entry"),
        ),
        (
            &DISABLED,
            DISABLED.finding(
                path(),
                format!("{target} lists this Shoot, but its peering extension is disabled"),
                "enable it there",
            ),
        ),
        (
            &HIDDEN,
            HIDDEN.finding(
                path(),
                format!("{target} cannot be verified with your permissions"),
                "its owner must list this Shoot, and node networks must differ",
            ),
        ),
        (
            &NOT_VERIFIED,
            NOT_VERIFIED.finding(
                path(),
                format!("{target} was not verified: no answer within 4500 ms"),
                "apply again to have it checked",
            ),
        ),
    ]
}
