//! What is wrong with the Shoot that an entry names.

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::gardener::facts::PeeringFacts;
use crate::gardener::shoot::PEERING_TYPE;
use crate::gardener::{ShootFacts, ShootName};
use crate::json::excerpt;

use super::super::knowledge::Seed;
use super::super::{API_VERSION, KIND, Knowledge, Listed, Settings, Subject, Target, Touch};
use super::words::{names_within, scalar};

/// The seed of an entry is missing.
pub static SEED_MISSING: Rule = Rule {
    name: "peering/seed-missing",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The Seed of the target is missing. It is filled in where the writer may see the target. Where the target has no Seed yet, this is a warning.",
    fix: "Write the spec.seedName of the target.",
};

/// No such Seed.
pub static SEED_UNKNOWN: Rule = Rule {
    name: "peering/seed-unknown",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "There is no Seed of the name that an entry gives. Everybody may read Seeds, so this tells nobody anything about the target.",
    fix: "Write the spec.seedName of the target.",
};

/// The target is not there.
pub static MISSING: Rule = Rule {
    name: "peering/target-missing",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "There is no such Shoot. A new Shoot may list one that does not exist yet, with a warning: two that list each other have to begin somewhere. So may an entry that is stored already.",
    fix: "Correct namespace and name, or create the target first. Peers in another garden cannot be used.",
};

/// The target does not list this Shoot.
pub static NOT_RECIPROCAL: Rule = Rule {
    name: "peering/not-reciprocal",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Awaited,
    summary: "The target does not list this Shoot. There are no routes until it does; one side has to be first. Several such targets are told in one warning, the last one.",
    fix: "Add the entry that the message shows to the target. Where the target has no peering extension, or one without a list, the message shows what belongs around the entry.",
};

/// Another Seed than the target's.
pub static SEED_WRONG: Rule = Rule {
    name: "peering/seed-wrong",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The entry names another Seed than the target has. It is a warning for an entry that was stored before, and where the writer may not see the target.",
    fix: "Write the spec.seedName of the target.",
};

/// The target is being moved to another Seed.
pub static MIGRATING: Rule = Rule {
    name: "peering/target-migrating",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The control plane of the target is being moved, and the entry names the Seed that it comes from.",
    fix: "Write the Seed that it moves to.",
};

/// The target has no Seed yet.
pub static UNSCHEDULED: Rule = Rule {
    name: "peering/target-unscheduled",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Unverified,
    summary: "The target has no Seed yet, so whether the entry names the right one is unknown.",
    fix: "Look again when the target is scheduled.",
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

/// The target's extension is switched off.
pub static DISABLED: Rule = Rule {
    name: "peering/target-disabled",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The target lists this Shoot, but its peering extension is disabled: that counts as not listing it.",
    fix: "Enable the extension on the target.",
};

/// The user may not see the target.
pub static HIDDEN: Rule = Rule {
    name: "peering/target-hidden",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Unverified,
    summary: "The writer may not see the target. The same words are said whether it exists or not, and whatever is the matter with it, unless it lists this Shoot: that is its owner's consent to verdicts, such as `peering/overlap`. They are also said of one that lists this Shoot and has no Seed or no node network yet, or moves to another Seed.",
    fix: "Ask the owner of the target to list this Shoot, and agree on node networks.",
};

/// A lookup failed.
pub static NOT_VERIFIED: Rule = Rule {
    name: "peering/not-verified",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Unverified,
    summary: "The API server did not answer in time, or not at all: the entry is accepted unchecked. Or there are more entries than one request looks up, which are as many as `peering.maxPeers` of the configuration permits; new and changed ones come first, and the others are accepted unchecked too. Or peers of peers were not compared: there are more than one request asks about, or nobody answered. Or a Shoot is deleted or moved, and nobody answered whether the writer may see those that list it.",
    fix: "Apply the Shoot again to have it checked, and look at the webhook's log if this stays. Of too many entries remove some.",
};

/// One Shoot, one entry, and what is known of whom it names.
pub(in super::super) struct Pair<'a> {
    pub(in super::super) subject: &'a Subject<'a>,
    pub(in super::super) listed: &'a Listed<'a>,
    pub(in super::super) target: &'a Target,
    pub(in super::super) settings: &'a Settings,
    /// Whether what was stored is told too, because the list is edited.
    pub(in super::super) tells_stored: bool,
}

/// A rule that looks at one entry and its target. It says what is wrong as if the entry were new; the caller knows
/// what was stored before.
pub(in super::super) type PairRule = fn(&Pair<'_>) -> Option<Finding>;

/// The rules about the Seed that an entry gives.
pub(in super::super) static SEED_RULES: [PairRule; 4] = [seed_missing, seed_wrong, migrating, unscheduled];

/// The rules about the target itself.
pub(in super::super) static RULES: [PairRule; 7] =
    [missing, not_reciprocal, deleting, workerless, disabled, hidden, not_verified];

/// Those of them that are told of an entry which is left as it was, when the list is edited.
pub(in super::super) static STORED_RULES: [PairRule; 4] = [seed_wrong, missing, deleting, workerless];

impl Pair<'_> {
    fn name(&self) -> &ShootName {
        &self.listed.target
    }

    /// The path of the entry.
    pub(super) fn path(&self) -> String {
        self.subject.entry_path(&self.listed.entry)
    }

    fn seed_path(&self) -> String {
        format!("{}.seed", self.path())
    }
}

fn seed_missing(pair: &Pair<'_>) -> Option<Finding> {
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
        // It could not be filled in either.
        (Target::Unverified(_), _) => (missing(), write(), Severity::Warn),
        (_, None) => (missing(), write(), Severity::Deny),
    };
    Some(SEED_MISSING.finding(&pair.seed_path(), message, help).at_most(most))
}

/// Asks for the Seed, if it is not known.
pub(in super::super) fn seed_unknown(
    subject: &Subject<'_>,
    listed: &Listed<'_>,
    knowledge: &mut Knowledge<'_>,
) -> Option<Finding> {
    let seed = &*listed.entry.seed;
    if seed.is_empty() {
        return None;
    }
    let path = || format!("{}.seed", subject.entry_path(&listed.entry));
    let finding = match knowledge.seed(seed) {
        Seed::Found(_) | Seed::Asked => return None,
        Seed::Unanswered(why) => return Some(seed_not_verified(&path(), seed, why)),
        Seed::Absent => SEED_UNKNOWN.finding(
            &path(),
            format!("there is no Seed {:?}", excerpt(seed)),
            "write the spec.seedName of the target",
        ),
    };
    Some(if listed.touch >= Touch::Reseeded { finding } else { finding.at_most(Severity::Warn) })
}

fn missing(pair: &Pair<'_>) -> Option<Finding> {
    let Target::Missing = pair.target else { return None };
    let (help, most) = if pair.subject.is_new() {
        ("create it, or correct the name", Severity::Warn)
    } else {
        ("correct the name, or create it first", Severity::Deny)
    };
    Some(MISSING.finding(&pair.path(), format!("{} does not exist", pair.name()), help).at_most(most))
}

fn not_reciprocal(pair: &Pair<'_>) -> Option<Finding> {
    // Where there can be no peering, nobody need add anything.
    let facts = pair.target.visible().filter(|facts| !facts.is_workerless && !facts.is_being_deleted)?;
    let own = pair.subject.name.as_ref();
    if own.is_some_and(|own| facts.lists(own) || facts.would_list(own)) {
        return None;
    }
    Some(awaited(&pair.path(), pair.subject, &[(pair.name(), Lack::of(facts))]))
}

/// What else a target lacks that does not list the Shoot.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Lack {
    Nothing,
    /// Its extension has no list.
    List,
    /// Its extension is disabled.
    Enabled,
    /// It is disabled, and has no list.
    EnabledList,
    /// It has no extension.
    Extension,
}

impl Lack {
    fn of(facts: &ShootFacts) -> Self {
        match (&facts.peering, facts.has_peer_list) {
            (PeeringFacts::Absent, _) => Self::Extension,
            (PeeringFacts::Disabled(_), false) => Self::EnabledList,
            (PeeringFacts::Disabled(_), true) => Self::Enabled,
            (PeeringFacts::Enabled(_), false) => Self::List,
            (PeeringFacts::Enabled(_), true) => Self::Nothing,
        }
    }

    const fn is_disabled(self) -> bool {
        matches!(self, Self::Enabled | Self::EnabledList)
    }

    const fn has_no_list(self) -> bool {
        matches!(self, Self::List | Self::EnabledList)
    }
}

/// These do not list the Shoot: all of them in one finding, with what is to be copied to each, and what else each lacks.
fn awaited(path: &str, subject: &Subject<'_>, targets: &[(&ShootName, Lack)]) -> Finding {
    let message = match targets {
        [(name, _)] => format!("{name} does not list this Shoot"),
        _ => {
            let names: Vec<&ShootName> = targets.iter().map(|(name, _)| *name).collect();
            format!("{} Shoots do not list this one: {}", targets.len(), names_within(&names, NAMES_ROOM))
        }
    };
    let Some(own) = &subject.name else {
        // A name to be generated can be listed by nobody yet.
        return NOT_RECIPROCAL.finding(path, message, "list it there when it has its name");
    };
    // Without a Seed of its own yet: what is missing will be filled in.
    let seed = subject.seed.map(|seed| format!(", seed: {}", scalar(seed))).unwrap_or_default();
    let entry = format!("{{name: {}, namespace: {}{seed}}}", scalar(own.name()), scalar(own.namespace()));
    let config = || format!("providerConfig: {{apiVersion: {API_VERSION}, kind: {KIND}, shootPeerings: [{entry}]}}");
    let extension = || format!("- {{type: {PEERING_TYPE}, {}}}", config());
    let lacking = |lacks: fn(Lack) -> bool| targets.iter().filter(|(_, lack)| lacks(*lack)).count();
    let mut help = match (lacking(|lack| lack == Lack::Extension), lacking(Lack::has_no_list)) {
        (0, 0) => format!("add there: - {entry}"),
        // An entry alone would have no place there.
        (0, _) => format!("add there, to the extension, what is missing of: {}", config()),
        (all, _) if all == targets.len() => format!("add there, to spec.extensions: {}", extension()),
        _ => format!("add there, to spec.extensions, what is missing of: {}", extension()),
    };
    if lacking(Lack::is_disabled) > 0 {
        help += if targets.len() == 1 { "; and enable the extension" } else { "; and enable it where it is disabled" };
    }
    NOT_RECIPROCAL.finding(path, message, help)
}

/// All targets that do not list the Shoot, as one finding for the whole list.
pub(in super::super) fn all_awaited(
    subject: &Subject<'_>,
    names: &[ShootName],
    knowledge: &mut Knowledge<'_>,
) -> Finding {
    let targets: Vec<(&ShootName, Lack)> = names
        .iter()
        .map(|name| {
            let target = knowledge.target(name, subject.name.as_ref());
            (name, target.as_ref().and_then(Target::visible).map_or(Lack::Nothing, Lack::of))
        })
        .collect();
    awaited(&format!("{}.shootPeerings", subject.path), subject, &targets)
}

/// The characters that names may have in one line, where there are several: the rest is for what is to be copied.
const NAMES_ROOM: usize = 120;

/// What helps where the right Seed may not be told.
pub(in super::super) const ASK_ITS_OWNER: &str = "ask the owner of the target";

fn seed_wrong(pair: &Pair<'_>) -> Option<Finding> {
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
            Some(SEED_WRONG.finding(&pair.seed_path(), message, format!("write {own}")))
        }
        Target::Consenting(consent) if consent.has_other_seed(seed) => {
            let message = format!("{} is probably not the Seed of {name}", excerpt(seed));
            let finding = SEED_WRONG.finding(&pair.seed_path(), message, ASK_ITS_OWNER);
            Some(finding.at_most(Severity::Warn))
        }
        _ => None,
    }
}

fn migrating(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    let (new, old) = (facts.seed.as_deref()?, facts.old_seed.as_deref()?);
    (*pair.listed.entry.seed == *old).then(|| {
        let message = format!("{} is moving from {old} to {new}", pair.name());
        MIGRATING.finding(&pair.seed_path(), message, format!("write {new}"))
    })
}

fn unscheduled(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    (facts.seed.is_none() && !pair.listed.entry.seed.is_empty()).then(|| {
        let message = format!("{} has no Seed yet, so this one cannot be checked", pair.name());
        UNSCHEDULED.finding(&pair.seed_path(), message, "")
    })
}

fn deleting(pair: &Pair<'_>) -> Option<Finding> {
    let most = match pair.target {
        Target::Visible(facts) if facts.is_being_deleted => Severity::Deny,
        Target::Consenting(consent) if consent.is_being_deleted() => Severity::Warn,
        _ => return None,
    };
    let message = format!("{} is being deleted", pair.name());
    Some(DELETING.finding(&pair.path(), message, "remove the entry").at_most(most))
}

fn workerless(pair: &Pair<'_>) -> Option<Finding> {
    let (message, help) = match pair.target {
        Target::Visible(facts) if facts.is_workerless => ("has no workers, so no node network", "remove the entry"),
        Target::Consenting(consent) if consent.is_workerless() => ("cannot be a peer", "ask its owner"),
        _ => return None,
    };
    Some(WORKERLESS.finding(&pair.path(), format!("{} {message}", pair.name()), help))
}

fn disabled(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    facts.would_list(pair.subject.name.as_ref()?).then(|| {
        let message = format!("{} lists this Shoot, but its peering extension is disabled", pair.name());
        DISABLED.finding(&pair.path(), message, "enable it there")
    })
}

fn hidden(pair: &Pair<'_>) -> Option<Finding> {
    match pair.target {
        Target::Hidden => {}
        Target::Consenting(consent) if consent.is_unsettled() => {}
        _ => return None,
    }
    Some(HIDDEN.finding(
        &pair.path(),
        format!("{} cannot be verified with your permissions", pair.name()),
        "its owner must list this Shoot, and node networks must differ",
    ))
}

fn not_verified(pair: &Pair<'_>) -> Option<Finding> {
    let Target::Unverified(why) = pair.target else { return None };
    let message = format!("{} was not verified: {why}", pair.name());
    Some(NOT_VERIFIED.finding(&pair.path(), message, "apply again to have it checked"))
}

/// Entries beyond those that one request looks up, all in one.
pub(in super::super) fn not_looked_up(path: &str, beyond: usize, looked_up: usize) -> Finding {
    let entries = if beyond == 1 { "1 entry was".to_owned() } else { format!("{beyond} entries were") };
    let message = format!("{entries} not verified: one request looks up {looked_up}");
    NOT_VERIFIED.finding(&format!("{path}.shootPeerings"), message, "remove some")
}

/// So many peers of peers were not compared, or no more than that, all in one.
pub(super) fn not_compared(path: &str, count: usize, is_exact: bool, why: &str) -> Finding {
    let peers = match (count, is_exact) {
        (1, true) => "1 peer of a peer was".to_owned(),
        (_, true) => format!("{count} peers of peers were"),
        (_, false) => format!("up to {count} peers of peers were"),
    };
    let message = format!("{peers} not compared: {why}");
    NOT_VERIFIED.finding(&format!("{path}.shootPeerings"), message, "node networks of theirs may be in the way")
}

/// Who lists a Shoot that goes or moves was not looked for.
pub fn listers_not_verified(why: &str) -> Finding {
    let message = format!("Shoots that list this one were not looked for: {why}");
    NOT_VERIFIED.finding("", message, "correct or remove their entries")
}

/// A Seed that could not be looked up.
pub fn seed_not_verified(path: &str, seed: &str, why: &str) -> Finding {
    let message = format!("Seed {} was not verified: {why}", excerpt(seed));
    NOT_VERIFIED.finding(path, message, "apply again to have it checked")
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = "spec.extensions[0].providerConfig.shootPeerings[0]";
    let seed = &format!("{path}.seed");
    let target = "garden-shop/orders";
    vec![
        (&SEED_MISSING, SEED_MISSING.finding(seed, "is missing".to_owned(), "write eu1-a")),
        (
            &SEED_UNKNOWN,
            SEED_UNKNOWN.finding(seed, "there is no Seed \"eu9\"".to_owned(), "write the spec.seedName of the target"),
        ),
        (&MISSING, MISSING.finding(path, format!("{target} does not exist"), "correct the name, or create it first")),
        (
            &NOT_RECIPROCAL,
            NOT_RECIPROCAL.finding(
                path,
                format!("{target} does not list this Shoot"),
                "add there: - {name: crm, namespace: garden-sales, seed: eu1-b}",
            ),
        ),
        (&SEED_WRONG, SEED_WRONG.finding(seed, format!("eu1-b is not the Seed of {target}"), "write eu1-a")),
        (&MIGRATING, MIGRATING.finding(seed, format!("{target} is moving from eu1-a to eu1-b"), "write eu1-b")),
        (
            &UNSCHEDULED,
            UNSCHEDULED.finding(seed, format!("{target} has no Seed yet, so this one cannot be checked"), ""),
        ),
        (&DELETING, DELETING.finding(path, format!("{target} is being deleted"), "remove the entry")),
        (
            &WORKERLESS,
            WORKERLESS.finding(path, format!("{target} has no workers, so no node network"), "remove the entry"),
        ),
        (
            &DISABLED,
            DISABLED.finding(
                path,
                format!("{target} lists this Shoot, but its peering extension is disabled"),
                "enable it there",
            ),
        ),
        (
            &HIDDEN,
            HIDDEN.finding(
                path,
                format!("{target} cannot be verified with your permissions"),
                "its owner must list this Shoot, and node networks must differ",
            ),
        ),
        (
            &NOT_VERIFIED,
            NOT_VERIFIED.finding(
                path,
                format!("{target} was not verified: no answer within 4500 ms"),
                "apply again to have it checked",
            ),
        ),
    ]
}
