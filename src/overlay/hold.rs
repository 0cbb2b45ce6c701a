//! What becomes of a write to a Network: whether it switches the overlay off, and may do so now.
//!
//! Pure, from the request and what is known of the Shoot. Whether routes exist is not known here: the controller finds
//! that out and approves.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::plan::wish;
use super::record::{Phase, Record};
use super::rules::CALICO;
use super::subset::LONGEST_CONFIG;
use super::{Encapsulation, Subset, encapsulation};
use crate::gardener::network::Network;
use crate::gardener::{FieldError, Hibernation, SwitchFacts, Text};
use crate::net::Family;

/// The values of the state annotation.
pub mod state {
    /// Held, until every node has its route.
    pub const PENDING: &str = "pending";
    /// Every node has its route; the next write of what was asked for passes.
    pub const APPROVED: &str = "approved";
    /// Somebody decided that it passes now.
    pub const FORCED: &str = "forced";
}

/// What the configuration says about switches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HoldSettings {
    /// The infrastructures whose route controllers tell by the condition `NetworkUnavailable` that a node has its
    /// route. On others a held switch would never end.
    pub providers: Vec<String>,
}

impl Default for HoldSettings {
    /// Those of which it is known: their route controllers set the reason `RouteCreated`. Azure's does too, but Calico
    /// cannot have an overlay there.
    fn default() -> Self {
        Self { providers: crate::gardener::providers::reporting() }
    }
}

/// How long an approval counts without being confirmed.
pub const APPROVAL: SignedDuration = SignedDuration::from_mins(5);

/// How far clocks of gardenlet and leader may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// What becomes of a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Not ours to touch: it passes as it is.
    Pass,
    /// It passes, and no switch is held any more.
    Clear,
    /// It passes, and the held switch stays held.
    Keep,
    /// It passes, and the switch is over: with approval, or by force.
    Release(Released),
    /// It passes with the old encapsulation.
    Hold(Box<Held>),
}

/// Why a switch passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Released {
    /// The controller approved exactly this.
    Approved,
    /// Somebody forced it.
    Forced,
    /// The Shoot sleeps: there is nothing to cut off.
    Asleep,
}

/// A switch that is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The `providerConfig` to store; `None` when there is none.
    pub config: Option<Value>,
    /// Whether `spec.ipFamilies` is to stay as it was too: Calico cannot have two families with an overlay.
    pub keeps_families: bool,
    /// Since when; empty when nobody said so yet.
    pub since: String,
    /// The digest of what was asked for.
    pub requested: String,
    /// Whether the very same was held before.
    pub is_known: bool,
}

/// Decides about a write. `shoot` is `None` when nothing is known of the Shoot, which holds more rather than less.
pub fn decide(
    new: &Network<'_>,
    old: Option<&Network<'_>>,
    shoot: Option<&SwitchFacts>,
    settings: &HoldSettings,
) -> Result<Decision, FieldError> {
    if new.is_being_deleted || !new.is_of_a_shoot() || &*new.network_type != CALICO {
        return Ok(Decision::Pass);
    }
    if new.operation.as_deref() == Some("migrate") {
        return Ok(Decision::Pass);
    }
    let Some(old) = old else {
        // A new Shoot, or one on its way from another Seed, of which nothing is told yet.
        return Ok(if new.switch.is_empty() { Decision::Pass } else { Decision::Clear });
    };
    let new_config = match parse(new) {
        Ok(config) => config,
        // It was there before, so this write is not to blame.
        Err(_) if new.provider_config == old.provider_config => return Ok(Decision::Keep),
        Err(error) => return Err(error),
    };
    let old_config = parse(old).unwrap_or_default();
    let requested = Subset::of(new_config.as_ref());
    let stored = Subset::of(old_config.as_ref());
    let goes_native = match encapsulation_of(new.provider_config, &new.families, shoot, Unknown::Counts) {
        Ok(mode) => mode == Encapsulation::Native,
        // It was there before, so this write is not to blame.
        Err(_) if requested == stored => false,
        Err(error) => return Err(error.within("spec.providerConfig")),
    };
    let listed = |shoot: &SwitchFacts| settings.providers.iter().any(|provider| **provider == *shoot.provider);
    let is_listed = shoot.is_none_or(listed);

    if let Some(record) = restored(new) {
        // Whatever is asked for by now: a switch that is held means that Calico has its overlay.
        if goes_native && is_listed {
            let since = record.since.clone();
            return Ok(hold(new_config, None, &record.subset(), new, since, &requested, old));
        }
        if !goes_native && new.switch != old.switch && !new.switch.is_empty() {
            // What we made of the write that restores it, seen again after other webhooks.
            return Ok(Decision::Keep);
        }
    }
    // A stored configuration that cannot be read is in force nowhere: what was before it was an overlay, for all we know.
    let was_native = encapsulation_of(old.provider_config, &old.families, shoot, Unknown::DoesNotCount)
        .is_ok_and(|mode| mode == Encapsulation::Native);
    if was_native {
        return Ok(Decision::Clear);
    }
    if !goes_native {
        return Ok(if is_given_up(new, old, shoot) { Decision::Clear } else { Decision::Keep });
    }
    if !is_listed || requested == stored {
        // Nobody would report routes; or nothing but the families changes, which no route controller waits for.
        return Ok(Decision::Clear);
    }
    // A release takes the annotations away. When an API server calls again after other webhooks, the stored object still
    // has them.
    let switch = if new.switch.is_empty() { &old.switch } else { &new.switch };
    if shoot.is_some_and(|shoot| shoot.is_forced) {
        return Ok(Decision::Release(Released::Forced));
    }
    if shoot.is_some_and(|shoot| shoot.hibernation == Hibernation::Asleep) {
        return Ok(Decision::Release(Released::Asleep));
    }
    let is_for_this = switch.requested.as_deref() == Some(&*requested.digest());
    match switch.state.as_deref() {
        Some(state::FORCED) if is_for_this => return Ok(Decision::Release(Released::Forced)),
        Some(state::APPROVED) if is_for_this && is_fresh(new, old) => {
            return Ok(Decision::Release(Released::Approved));
        }
        _ => {}
    }
    let since = old.switch.since.as_deref().or(new.timestamp.as_deref()).unwrap_or_default().to_owned();
    Ok(hold(new_config, old_config.as_ref(), &stored, new, since, &requested, old))
}

/// Whether an approval is young enough for this write. A leader confirms it again and again; one that nobody confirms any
/// more says nothing about nodes that joined since.
fn is_fresh(new: &Network<'_>, old: &Network<'_>) -> bool {
    // Called again by the API server, after we took the annotations away.
    if new.switch.is_empty() {
        return true;
    }
    // gardenlet stamps its writes. Others count for nothing, but for the leader, who approves in the same write.
    if new.timestamp == old.timestamp {
        return new.switch.approved.is_some() && new.switch.approved != old.switch.approved;
    }
    let time = |text: &Option<Text<'_>>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    match (time(&new.switch.approved), time(&new.timestamp)) {
        (Some(approved), Some(written)) => (-SKEW..=APPROVAL).contains(&written.duration_since(approved)),
        _ => false,
    }
}

/// Whether a write that keeps the overlay says that the Shoot does not ask for native routing any more.
///
/// The request alone cannot tell: when other webhooks change the object after us, an API server calls us again with what
/// we made of it, and that looks like a Shoot that took its wish back. So the wish itself is looked at. Where it is not
/// known, the controller will see to it.
fn is_given_up(new: &Network<'_>, old: &Network<'_>, shoot: Option<&SwitchFacts>) -> bool {
    // gardenlet stamps each of its writes, and sends all of `spec`. Others, such as the extension taking away the
    // operation annotation, say nothing about the wish.
    let is_gardenlets = new.timestamp != old.timestamp || new.spec != old.spec;
    // In the first write that is held, gardenlet's Cluster may not have arrived here yet.
    let is_new = new.switch != old.switch;
    is_gardenlets && !is_new && shoot.and_then(wish).is_some_and(|wish| wish.encapsulation == Encapsulation::Overlay)
}

/// The record of a switch that was held on another Seed, in the writes that restore it here.
fn restored(new: &Network<'_>) -> Option<Record> {
    if new.operation.as_deref() != Some("restore") {
        return None;
    }
    Record::read(new.record?).filter(|record| record.phase == Phase::Held)
}

fn hold(
    new_config: Option<Value>,
    old_config: Option<&Value>,
    subset: &Subset,
    new: &Network<'_>,
    since: String,
    requested: &Subset,
    old: &Network<'_>,
) -> Decision {
    let config = subset.put_into(new_config, old_config);
    // Without a word there is IPv4 only.
    let stored: &[Family] = if old.families.is_empty() { &[Family::V4] } else { &old.families };
    let keeps_families = new.families.iter().any(|family| !stored.contains(family));
    let requested = requested.digest();
    let is_known =
        old.switch.requested.as_deref() == Some(&*requested) && old.switch.state.as_deref() == Some(state::PENDING);
    Decision::Hold(Box::new(Held { config, keeps_families, since, requested, is_known }))
}

/// Whether a second family counts while nobody knows how far the nodes are.
#[derive(Clone, Copy)]
enum Unknown {
    Counts,
    DoesNotCount,
}

/// The encapsulation that a Network's configuration means for this Shoot.
fn encapsulation_of(
    config: Option<&str>,
    families: &[Family],
    shoot: Option<&SwitchFacts>,
    unknown: Unknown,
) -> Result<Encapsulation, FieldError> {
    let counting = match (shoot, unknown) {
        (Some(shoot), _) => shoot.counting(families),
        (None, Unknown::Counts) => families,
        (None, Unknown::DoesNotCount) => &families[..families.len().min(1)],
    };
    encapsulation(config, counting)
}

fn parse(network: &Network<'_>) -> Result<Option<Value>, FieldError> {
    let Some(text) = network.provider_config else { return Ok(None) };
    let problem = if text.len() > LONGEST_CONFIG {
        format!(
            "has {} bytes, far more than any configuration of Calico; at most {LONGEST_CONFIG} are read",
            text.len()
        )
    } else {
        match serde_json::from_str(text) {
            Ok(config) => return Ok(config),
            Err(error) => crate::gardener::excerpt(&error.to_string()),
        }
    };
    Err(FieldError { path: "spec.providerConfig".to_owned(), value: String::new(), problem })
}
