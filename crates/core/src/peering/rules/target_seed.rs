//! Rules about the Seed of an entry.

use crate::diagnostics::ratchet::Touch;
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::ShootFacts;
use crate::json::excerpt;
use crate::landscape::{Answer, Answers, Seed, Snapshot, Target, View};

use super::super::subject::{Listed, Subject};
use super::pair::Pair;
use super::scene::{SCENE, Scene, peer, visible};
use super::unverified::seed_not_verified;

rules! {
    /// The Seed of the target is missing. It is filled in where the writer may see the target. Where the target has no
    /// Seed yet, this is a warning.
    pub static SEED_MISSING = {
        name: "peering/seed-missing",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the spec.seedName of the target.",
        example: || Scene { seed: "", ..SCENE }.pair(seed_missing, &visible(peer())),
    };

    /// The Seed that an entry names does not exist. All users may read Seeds, so this reveals nothing about the target.
    pub static SEED_UNKNOWN = {
        name: "peering/seed-unknown",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the spec.seedName of the target.",
        example: || {
            let answers = Answers { seeds: [("eu9".to_owned(), Answer::Absent)].into(), ..Answers::default() };
            Scene { seed: "eu9", ..SCENE }
                .of(|subject| {
                    let (snapshot, listed) = (Snapshot::default(), &subject.peers[0]);
                    seed_unknown(subject, listed, &mut View::new(Some(&snapshot), &answers))
                })
                .into_iter()
                .collect()
        },
    };

    /// The entry names another Seed than the target has. It is a warning for an entry that was stored before, and where
    /// the writer may not see the target.
    pub static SEED_WRONG = {
        name: "peering/seed-wrong",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the spec.seedName of the target.",
        example: || Scene { seed: "eu1-b", ..SCENE }.pair(seed_wrong, &visible(peer())),
    };

    /// The control plane of the target is being moved, and the entry names the Seed that it comes from.
    pub static MIGRATING = {
        name: "peering/target-migrating",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the Seed that it moves to.",
        example: || {
            let (seed, old_seed) = (Some("eu1-b".into()), Some("eu1-a".into()));
            SCENE.pair(migrating, &visible(ShootFacts { seed, old_seed, ..peer() }))
        },
    };

    /// The target has no Seed yet, so whether the entry names the right one is unknown.
    pub static UNSCHEDULED = {
        name: "peering/target-unscheduled",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Unverified,
        fix: "Check again when the target is scheduled.",
        example: || SCENE.pair(unscheduled, &visible(ShootFacts { seed: None, ..peer() })),
    };
}

pub(super) fn seed_missing(pair: &Pair<'_>) -> Option<Finding> {
    if !pair.listed.entry.seed.is_empty() {
        return None;
    }
    let missing = || "is missing".to_owned();
    let write = || "write the spec.seedName of the target".to_owned();
    let (message, help, most) = match (pair.target, pair.target.visible().map(|facts| &facts.seed)) {
        (_, Some(Some(seed))) => (missing(), format!("write {seed}"), Severity::Deny),
        (_, Some(None)) => {
            let message = format!("is missing, and {} has no Seed yet", pair.name());
            (message, "add it as soon as it has one".to_owned(), Severity::Warn)
        }
        // The webhook could not fill it in either.
        (Target::Unverified(_), _) => (missing(), write(), Severity::Warn),
        (_, None) => (missing(), write(), Severity::Deny),
    };
    Some(SEED_MISSING.finding(pair.seed_path(), message, help).at_most(most))
}

/// Checks whether the Seed exists, and asks for it if it is unknown.
pub(in crate::peering) fn seed_unknown(
    subject: &Subject<'_>,
    listed: &Listed<'_>,
    view: &mut View<'_>,
) -> Option<Finding> {
    let seed = &*listed.entry.seed;
    if seed.is_empty() {
        return None;
    }
    let path = || subject.entry_path(&listed.entry).field("seed");
    let finding = match view.seed(seed) {
        Seed::Found(_) | Seed::Asked => return None,
        Seed::Unanswered(why) => return Some(seed_not_verified(path(), seed, why)),
        Seed::Absent => SEED_UNKNOWN.finding(
            path(),
            format!("there is no Seed {:?}", excerpt(seed)),
            "write the spec.seedName of the target",
        ),
    };
    Some(finding.at_most(listed.touch.most(Touch::Edited)))
}

/// The help where the writer may not know the right Seed.
pub(in crate::peering) const ASK_ITS_OWNER: &str = "ask the owner of the target";

pub(super) fn seed_wrong(pair: &Pair<'_>) -> Option<Finding> {
    let seed = &*pair.listed.entry.seed;
    if seed.is_empty() {
        return None;
    }
    let name = pair.name();
    match pair.target {
        Target::Visible(facts) => {
            let own = facts.seed.as_deref()?;
            if own == seed || facts.old_seed.as_deref() == Some(seed) {
                return None;
            }
            let message = format!("{} is not the Seed of {name}", excerpt(seed));
            Some(SEED_WRONG.finding(pair.seed_path(), message, format!("write {own}")))
        }
        Target::Consenting(consent) if consent.has_other_seed(seed) => {
            let message = format!("{} is probably not the Seed of {name}", excerpt(seed));
            let finding = SEED_WRONG.finding(pair.seed_path(), message, ASK_ITS_OWNER);
            Some(finding.at_most(Severity::Warn))
        }
        _ => None,
    }
}

pub(super) fn migrating(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let (new, old) = (facts.seed.as_deref()?, facts.old_seed.as_deref()?);
    (*pair.listed.entry.seed == *old).then(|| {
        let message = format!("{} is moving from {old} to {new}", pair.name());
        MIGRATING.finding(pair.seed_path(), message, format!("write {new}"))
    })
}

pub(super) fn unscheduled(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    (facts.seed.is_none() && !pair.listed.entry.seed.is_empty()).then(|| {
        let message = format!("{} has no Seed yet, so this one cannot be checked", pair.name());
        UNSCHEDULED.finding(pair.seed_path(), message, "")
    })
}
