//! The webhooks of the garden: what is said about a Shoot when somebody applies it.
//!
//! | webhook | when | may refuse |
//! |---|---|---|
//! | [`MutateShoot`] | before Gardener validates | no: it fills in what is missing |
//! | [`ValidateShoot`] | after | yes |
//! | [`AdviseShoot`] | deletion, and a move to another Seed | no: it warns |

mod advise;
mod mutate;
mod validate;

pub use advise::AdviseShoot;
pub use mutate::MutateShoot;
pub use validate::ValidateShoot;

use crate::admission::{self, Request, Resource, Stop, UserInfo, Verdict};
use crate::diagnostics::Policy;
use crate::diagnostics::ratchet::Scope;
use crate::gardener::{FieldError, Shoot};
use crate::json::Text;
use crate::overlay;
use crate::peering;

/// The path of the webhook that fills in what is missing.
pub const MUTATE_SHOOT_PATH: &str = "/webhooks/mutate/shoot";

/// The path of the webhook that judges.
pub const VALIDATE_SHOOT_PATH: &str = "/webhooks/validate/shoot";

/// The path of the webhook that warns.
pub const ADVISE_SHOOT_PATH: &str = "/webhooks/advise/shoot";

/// For each entry of the longest list of peers that is looked up there are four questions: who may see it, its present state, its Seed,
/// and the Seed's state. A thousand are more than all others together.
const _: () = assert!(4 * peering::MOST_PEERS + 1_000 <= admission::MOST_QUESTIONS);

const SHOOTS: Resource = Resource { group: "core.gardener.cloud", plural: "shoots" };

/// What operators decide about Shoots.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ShootSettings {
    /// Limits and ranges of peerings.
    pub peering: peering::Settings,
    /// Limits of the infrastructure without an overlay, and where Shoots name their VPC.
    pub overlay: overlay::GardenSettings,
    /// What rules weigh.
    pub policy: Policy,
}

/// The group of the gardenlets of Seeds. Operators run them.
const SEED_GARDENLETS: &str = "gardener.cloud:system:seeds";

/// The group of the gardenlets of self-hosted Shoots. Each runs in its Shoot, so the owner of the Shoot can act as it.
const SHOOT_GARDENLETS: &str = "gardener.cloud:system:shoots";

/// What of a write is let be because a component of Gardener wrote it. gardenlet writes `spec.networking.nodes` when the
/// infrastructure is ready; refusing that would end in an endless reconciliation error that nobody can mend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exempt {
    /// Nothing: somebody else wrote it.
    Nothing,
    /// All but entries of peerings: the gardenlet of a self-hosted Shoot never writes those, but its owner would.
    AllButEntries,
    /// All of it.
    All,
}

impl Exempt {
    fn of(user: &UserInfo, scope: Scope<'_>) -> Self {
        let is_in = |group: &str| user.groups.iter().any(|other| **other == *group);
        if is_in(SEED_GARDENLETS) {
            Self::All
        } else if !is_in(SHOOT_GARDENLETS) {
            Self::Nothing
        } else if scope.touches_peerings() {
            Self::AllButEntries
        } else {
            Self::All
        }
    }
}

/// Decides on a Shoot that is created or updated itself, not one of its subresources; all else is none of these webhooks'
/// business.
fn review_written(request: &Request<'_>, review: impl FnOnce(&str) -> Result<Verdict, Stop>) -> Result<Verdict, Stop> {
    request.written().map_or_else(|| Ok(Verdict::allow("not-concerned")), review)
}

/// Reads one of the objects of a request.
fn read<'a>(request: &Request<'_>, text: &'a str, path: &'static str) -> Result<Shoot<'a>, FieldError> {
    let mut shoot = Shoot::read(text).map_err(|error| error.within(path))?;
    if shoot.namespace.is_empty() {
        shoot.namespace = Text::from(request.namespace.to_string());
    }
    Ok(shoot)
}

#[cfg(test)]
mod tests;
