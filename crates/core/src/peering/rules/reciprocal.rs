//! Whether the target of an entry lists this Shoot too.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::facts::PeeringFacts;
use crate::gardener::shoot::PEERING_TYPE;
use crate::gardener::{ShootFacts, ShootName};
use crate::json::FieldPath;
use crate::landscape::{Target, View};

use super::super::kind::{API_VERSION, KIND};
use super::super::subject::Subject;
use super::pair::Pair;
use super::scene::{SCENE, peer, visible};
use super::words::{names_within, scalar};

rules! {
    /// The target does not list this Shoot. There are no routes until it does; one side has to be first. Several such
    /// targets are reported in one warning, the last one.
    pub static NOT_RECIPROCAL = {
        name: "peering/not-reciprocal",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Awaited,
        fix: "Add the entry that the message shows to the target. Where the target has no peering extension, or one without a list, the message shows the entry inside the extension or list.",
        example: || {
            let peering = PeeringFacts::Enabled(Box::default());
            SCENE.pair(not_reciprocal, &visible(ShootFacts { peering, ..peer() }))
        },
    };

    /// The target lists this Shoot, but its peering extension is disabled: that counts as not listing it.
    pub static DISABLED = {
        name: "peering/target-disabled",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Enable the extension on the target.",
        example: || {
            let peering = PeeringFacts::Disabled(peer().peers().into());
            SCENE.pair(disabled, &visible(ShootFacts { peering, ..peer() }))
        },
    };
}

pub(super) fn not_reciprocal(pair: &Pair<'_>) -> Option<Finding> {
    // Where there can be no peering, a reciprocal entry would not help.
    let facts = pair.target.visible().filter(|facts| !facts.is_workerless && !facts.is_being_deleted)?;
    let own = pair.subject.name.as_ref();
    if own.is_some_and(|own| facts.lists(own) || facts.would_list(own)) {
        return None;
    }
    Some(awaited(pair.path(), pair.subject, &[(pair.name(), Lack::of(facts))]))
}

/// What a target lacks, besides the entry for this Shoot.
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

/// The finding for targets that do not list the Shoot, with the entry to copy and what else the targets lack.
fn awaited(path: FieldPath, subject: &Subject<'_>, targets: &[(&ShootName, Lack)]) -> Finding {
    let message = match targets {
        [(name, _)] => format!("{name} does not list this Shoot"),
        _ => {
            let names: Vec<&ShootName> = targets.iter().map(|(name, _)| *name).collect();
            format!("{} Shoots do not list this one: {}", targets.len(), names_within(&names, NAMES_ROOM))
        }
    };
    let Some(own) = &subject.name else {
        // Targets cannot list a Shoot whose name is not generated yet.
        return NOT_RECIPROCAL.finding(path, message, "add this Shoot there once it has a name");
    };
    // A Shoot without a Seed omits it: the webhook will fill it in.
    let seed = subject.seed.map(|seed| format!(", seed: {}", scalar(seed))).unwrap_or_default();
    let entry = format!("{{name: {}, namespace: {}{seed}}}", scalar(own.name()), scalar(own.namespace()));
    let config = || format!("providerConfig: {{apiVersion: {API_VERSION}, kind: {KIND}, shootPeerings: [{entry}]}}");
    let extension = || format!("- {{type: {PEERING_TYPE}, {}}}", config());
    let lacking = |lacks: fn(Lack) -> bool| targets.iter().filter(|(_, lack)| lacks(*lack)).count();
    let mut help = match (lacking(|lack| lack == Lack::Extension), lacking(Lack::has_no_list)) {
        (0, 0) => format!("add there: - {entry}"),
        // An entry alone would not be valid there.
        (0, _) => format!("add there, to the extension, what is missing of: {}", config()),
        (all, _) if all == targets.len() => format!("add there, to spec.extensions: {}", extension()),
        _ => format!("add there, to spec.extensions, what is missing of: {}", extension()),
    };
    if lacking(Lack::is_disabled) > 0 {
        help += if targets.len() == 1 { "; and enable the extension" } else { "; and enable it where it is disabled" };
    }
    NOT_RECIPROCAL.finding(path, message, help)
}

/// One finding for all targets that do not list the Shoot.
pub(in crate::peering) fn all_awaited(subject: &Subject<'_>, names: &[ShootName], view: &mut View<'_>) -> Finding {
    let targets: Vec<(&ShootName, Lack)> = names
        .iter()
        .map(|name| {
            let target = view.target(name, subject.name.as_ref());
            (name, target.as_ref().and_then(Target::visible).map_or(Lack::Nothing, Lack::of))
        })
        .collect();
    awaited(subject.path.clone().field("shootPeerings"), subject, &targets)
}

/// The maximum length of several names in one line, in characters. The rest is for the entry to copy.
const NAMES_ROOM: usize = 120;

pub(super) fn disabled(pair: &Pair<'_>) -> Option<Finding> {
    let facts = pair.target.visible()?;
    facts.would_list(pair.subject.name.as_ref()?).then(|| {
        let message = format!("{} lists this Shoot, but its peering extension is disabled", pair.name());
        DISABLED.finding(pair.path(), message, "enable it there")
    })
}
