//! Rules about what could not be verified: the writer may not see it, or a lookup failed.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::json::{FieldPath, excerpt};
use crate::landscape::Target;

use super::pair::Pair;
use super::scene::SCENE;

rules! {
    /// The writer may not see the target. The message is the same whether it exists or not, and in whatever state it
    /// is, unless it lists this Shoot: that is its owner's consent to verdicts, such as `peering/overlap`. The message
    /// is also given for a target that lists this Shoot and has no Seed or no node network yet, or moves to another
    /// Seed.
    pub static HIDDEN = {
        name: "peering/target-hidden",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Unverified,
        fix: "Ask the owner of the target to list this Shoot, and agree on node networks.",
        example: || SCENE.pair(hidden, &Target::Hidden),
    };

    /// The API server did not answer in time, or not at all: the entry is accepted unchecked. Or there are more entries
    /// than one request looks up, which are as many as `peering.maxPeers` of the configuration permits; new and changed
    /// ones come first, and the others are accepted unchecked too. Or peers of peers were not compared: there are more
    /// than one request asks about, or the API server did not answer. Or a Shoot is deleted or moved, and the API
    /// server did not answer whether the writer may see the Shoots that list it.
    pub static NOT_VERIFIED = {
        name: "peering/not-verified",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Unverified,
        fix: "Apply the Shoot again to have it checked, and see the webhook's log if this persists. If there are too many entries, remove some.",
        example: || SCENE.pair(not_verified, &Target::Unverified("no answer within 4500 ms".to_owned())),
    };
}

pub(super) fn hidden(pair: &Pair<'_>) -> Option<Finding> {
    match pair.target {
        Target::Hidden => {}
        Target::Consenting(consent) if consent.is_unsettled() => {}
        _ => return None,
    }
    Some(HIDDEN.finding(
        pair.path(),
        format!("{} cannot be verified with your permissions", pair.name()),
        "its owner must list this Shoot, and node networks must differ",
    ))
}

pub(super) fn not_verified(pair: &Pair<'_>) -> Option<Finding> {
    let Target::Unverified(why) = pair.target else { return None };
    let message = format!("{} was not verified: {why}", pair.name());
    Some(NOT_VERIFIED.finding(pair.path(), message, "apply again to have it checked"))
}

/// One finding for all entries that were not looked up, because of the limit of one request.
pub(in crate::peering) fn not_looked_up(path: FieldPath, beyond: usize, looked_up: usize) -> Finding {
    let entries = if beyond == 1 { "1 entry was".to_owned() } else { format!("{beyond} entries were") };
    let message = format!("{entries} not verified: one request looks up {looked_up}");
    NOT_VERIFIED.finding(path.field("shootPeerings"), message, "remove some")
}

/// One finding for all peers of peers that were not compared; `count` is an upper bound unless `is_exact`.
pub(super) fn not_compared(path: FieldPath, count: usize, is_exact: bool, why: &str) -> Finding {
    let peers = match (count, is_exact) {
        (1, true) => "1 peer of a peer was".to_owned(),
        (_, true) => format!("{count} peers of peers were"),
        (_, false) => format!("up to {count} peers of peers were"),
    };
    let message = format!("{peers} not compared: {why}");
    NOT_VERIFIED.finding(path.field("shootPeerings"), message, "their node networks may conflict")
}

/// The Shoots that list a deleted or moved Shoot could not be determined.
pub fn listers_not_verified(why: &str) -> Finding {
    let message = format!("Shoots that list this one were not looked up: {why}");
    NOT_VERIFIED.finding("", message, "correct or remove their entries")
}

/// A Seed that could not be looked up.
pub fn seed_not_verified(path: impl Into<FieldPath>, seed: &str, why: &str) -> Finding {
    let message = format!("Seed {} was not verified: {why}", excerpt(seed));
    NOT_VERIFIED.finding(path, message, "apply again to have it checked")
}
