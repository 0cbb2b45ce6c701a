//! The decision about a write to a Network: whether it switches the overlay off, and may do so now.
//!
//! Pure, from the request and the facts of the Shoot. Whether routes exist is not known here: the controller observes
//! that and approves the switch.

use jiff::SignedDuration;
use serde_json::Value;

use super::desired::{Desired, desired};
use super::obstacle::obstacle;
use super::settings::HoldSettings;
use super::subset::{LONGEST_CONFIG, Subset, too_long};
use crate::gardener::network::{Network, Operation, Phase, Reason, Record, SwitchState};
use crate::gardener::{CALICO, Encapsulation, FieldError, Hibernation, SwitchFacts, encapsulation};
use crate::json::{Written, excerpt};
use crate::net::Family;

/// How long an approval is valid without being confirmed.
pub const APPROVAL: SignedDuration = SignedDuration::from_mins(5);

/// How far clocks of gardenlet and leader may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// The decision about a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// network-guard does not touch it: it passes unchanged.
    NotConcerned,
    /// It passes, and the held switch is cleared.
    Clear,
    /// It passes, and the held switch stays held.
    Keep,
    /// It passes, and the switch is over: with approval, or by force.
    Release {
        /// Why.
        why: Reason,
        /// Whether there is no record of it, so that the leader needs a trace to follow the rollout of Calico's Pods.
        is_unknown: bool,
    },
    /// It passes with the old encapsulation.
    Hold(Box<Held>),
}

/// A switch that is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The `providerConfig` to store; `None` when there is none.
    pub config: Option<Value>,
    /// The `spec.ipFamilies` to store, where it is not what was asked for: Calico cannot have two families with an overlay.
    /// Empty when there are to be none.
    pub families: Option<Vec<Family>>,
    /// Since when it is held; empty when that is not recorded yet.
    pub since: String,
    /// The digest of what was asked for.
    pub requested: String,
    /// Whether the same switch was held before.
    pub is_known: bool,
    /// Why it cannot end by routes at present, if a reason is known.
    pub obstacle: Option<&'static str>,
}

/// Decides about a write. `shoot` is `None` when nothing is known of the Shoot; in doubt the switch is then held.
pub fn decide(
    new: &Network<'_>,
    old: Option<&Network<'_>>,
    shoot: Option<&SwitchFacts>,
    settings: &HoldSettings,
) -> Result<Decision, FieldError> {
    if new.is_being_deleted || !new.is_of_a_shoot() || &*new.network_type != CALICO {
        return Ok(Decision::NotConcerned);
    }
    if new.operation == Some(Operation::Migrate) {
        return Ok(Decision::NotConcerned);
    }
    let Some(old) = old else {
        // A new Shoot, or one that moves here from another Seed and is not restored yet.
        return Ok(if new.switch.is_empty() { Decision::NotConcerned } else { Decision::Clear });
    };
    let new_config = match parse(new) {
        Ok(config) => config,
        // It was there before, so this write is not to blame.
        Err(_) if new.provider_config == old.provider_config => return Ok(Decision::Keep),
        Err(error) => return Err(error),
    };
    let old_config = parse(old).unwrap_or_default();
    let stored = Subset::of(old_config.as_ref());
    // A second family may not count yet. No write is needed when it begins to count, so it is judged as if it did.
    let asked = match Desired::read(new.provider_config, new_config.as_ref(), &new.families) {
        Ok(asked) => Some(asked),
        // It was there before, so this write is not to blame.
        Err(_) if Subset::of(new_config.as_ref()) == stored => None,
        Err(error) => return Err(error.within(CONFIG)),
    };
    let native = asked.filter(|asked| asked.encapsulation == Encapsulation::Native);
    let listed = |shoot: &SwitchFacts| settings.providers.iter().any(|provider| **provider == *shoot.provider);
    let is_listed = shoot.is_none_or(listed);

    if let Some(record) = restored(new) {
        // Whatever is asked for now, a held switch means that Calico has its overlay.
        if let Some(asked) = &native
            && is_listed
        {
            let before = Before { config: None, subset: record.subset(), families: held_families(&record, old) };
            return Ok(hold(new_config, &before, new, record.since.to_string(), asked, shoot, old));
        }
        if native.is_none() && new.switch != old.switch && !new.switch.is_empty() {
            // The webhook's own change of the restoring write, seen again when the API server calls after other
            // webhooks.
            return Ok(Decision::Keep);
        }
    }
    if was_native(new, old, shoot) {
        return Ok(Decision::Clear);
    }
    let Some(asked) = native else {
        return Ok(if is_given_up(new, old, shoot) { Decision::Clear } else { Decision::Keep });
    };
    let is_as_stored = asked.subset == stored && *asked.families == *old.families;
    if !is_listed || (is_as_stored && !starts_to_count(new, old)) {
        // No route controller would report routes, or nothing changes that ends the overlay.
        return Ok(Decision::Clear);
    }
    // A release takes the annotations away. When an API server calls again after other webhooks, the stored object still
    // has them.
    let switch = if new.switch.is_empty() { &old.switch } else { &new.switch };
    let release = |why| Ok(Decision::Release { why, is_unknown: !is_remembered(old) });
    if shoot.is_some_and(|shoot| shoot.is_forced) {
        return release(Reason::Forced);
    }
    if shoot.is_some_and(|shoot| shoot.hibernation == Hibernation::Asleep) {
        return release(Reason::Hibernated);
    }
    let is_for_this = switch.requested.as_deref().is_some_and(|digest| asked.is_named(digest));
    if is_for_this && switch.is(SwitchState::Forced) {
        return release(Reason::Forced);
    }
    // The approval was for families with which routes are made.
    let has_routes = || shoot.is_none_or(|shoot| obstacle(shoot, &asked).is_none());
    if is_for_this && switch.is(SwitchState::Approved) && is_fresh(new, old) && has_routes() {
        return release(Reason::Routes);
    }
    let since = old.switch.since.as_deref().or(new.timestamp.as_deref()).unwrap_or_default().to_owned();
    let before = Before { config: old_config, subset: stored, families: old.families.clone() };
    Ok(hold(new_config, &before, new, since, &asked, shoot, old))
}

/// Whether a stored family may begin to count with this write, although the write changes nothing: gardenlet has the
/// extension deploy again, for the first time with this family.
fn starts_to_count(new: &Network<'_>, old: &Network<'_>) -> bool {
    new.timestamp != old.timestamp && !old.deployed.is_empty() && !old.deployed.contains(&Family::V6)
}

/// Whether Calico runs without an overlay by what is stored.
///
/// A second family counts if the extension, which deploys it, lists it in the status. If the extension lists nothing,
/// it counts if the Shoot's nodes have it. If nothing is known of the Shoot, it does not count.
fn was_native(new: &Network<'_>, old: &Network<'_>, shoot: Option<&SwitchFacts>) -> bool {
    // A stored configuration that cannot be read was never deployed. The one before it is assumed to have an overlay.
    let means = |families| encapsulation(old.provider_config, families) == Ok(Encapsulation::Native);
    let first = &old.families[..old.families.len().min(1)];
    if means(first) || !means(&old.families) {
        return means(first);
    }
    // A switch that was just released, and that the extension has still to deploy, is not held again.
    if (old.has_record() || old.passed.is_some()) && old.switch.is_empty() && new.switch.is_empty() {
        return true;
    }
    if !old.deployed.is_empty() {
        return old.deployed.contains(&Family::V6);
    }
    shoot.is_some_and(|shoot| !shoot.counts_one_family)
}

/// Whether an approval is young enough for this write. A leader confirms it repeatedly; one that is not confirmed any
/// more says nothing about nodes that joined since.
fn is_fresh(new: &Network<'_>, old: &Network<'_>) -> bool {
    // The API server calls again after the webhook removed the annotations.
    if new.switch.is_empty() {
        return true;
    }
    // gardenlet stamps its writes. Of other writes only the leader's counts, which approves in the same write.
    if new.timestamp == old.timestamp {
        return new.switch.approved.is_some() && new.switch.approved != old.switch.approved;
    }
    let [approved, written] = [&new.switch.approved, &new.timestamp].map(|time| time.as_ref().and_then(Written::value));
    let age = approved.zip(written).map(|(approved, written)| written.duration_since(approved));
    age.is_some_and(|age| (-SKEW..=APPROVAL).contains(&age))
}

/// Whether a write that keeps the overlay shows that the Shoot does not ask for native routing any more.
///
/// The request alone does not show it: when other webhooks change the object afterwards, the API server calls again
/// with the object that this webhook changed, and that looks like a Shoot that reverted the switch. So the Shoot's
/// configuration is checked. Where it is not known, the controller clears the switch later.
fn is_given_up(new: &Network<'_>, old: &Network<'_>, shoot: Option<&SwitchFacts>) -> bool {
    // gardenlet stamps each of its writes, and sends all of `spec`. Other writes, such as the extension's removal of
    // the operation annotation, say nothing about what the Shoot asks for.
    let is_gardenlets = new.timestamp != old.timestamp || new.spec != old.spec;
    // In the first write that is held, gardenlet's Cluster may not have arrived here yet.
    let is_new = new.switch != old.switch;
    is_gardenlets
        && !is_new
        && shoot.and_then(desired).is_some_and(|desired| desired.encapsulation == Encapsulation::Overlay)
}

/// Whether the leader has a record of the stored switch, or has just released it itself. The record of a former switch
/// does not count.
fn is_remembered(old: &Network<'_>) -> bool {
    let is_this = |record: &Record| !old.switch.is_empty() && Some(&*record.since) == old.switch.since.as_deref();
    old.read_record().is_some_and(|record| is_this(&record))
}

/// The record of a switch that was held on another Seed, in the writes that restore it here.
fn restored(new: &Network<'_>) -> Option<Record> {
    if new.operation != Some(Operation::Restore) {
        return None;
    }
    new.read_record().filter(|record| record.phase == Phase::Held)
}

/// The families that were held on another Seed. The record of an older version has none: then it is the first of the
/// stored families, which are those that the Shoot asks for. No overlay works with two.
fn held_families(record: &Record, old: &Network<'_>) -> Vec<Family> {
    record.families().unwrap_or_else(|| old.families.iter().take(1).copied().collect())
}

/// What was in force before a switch.
struct Before {
    config: Option<Value>,
    subset: Subset,
    families: Vec<Family>,
}

fn hold(
    new_config: Option<Value>,
    before: &Before,
    new: &Network<'_>,
    since: String,
    asked: &Desired,
    shoot: Option<&SwitchFacts>,
    old: &Network<'_>,
) -> Decision {
    let mut config = before.subset.put_into(new_config, before.config.as_ref());
    // Without `ipFamilies` there is IPv4 only.
    let stored: &[Family] = if before.families.is_empty() { &[Family::V4] } else { &before.families };
    let is_more = new.families.iter().any(|family| !stored.contains(family));
    let mut families = if is_more { &*before.families } else { &*new.families };
    // The held configuration must mean an overlay also when all families count.
    let text = config.as_ref().map(Value::to_string);
    let means = |families| encapsulation(text.as_deref(), families) == Ok(Encapsulation::Overlay);
    if !means(families) && means(&families[..families.len().min(1)]) {
        families = &families[..1];
    }
    // Calico's chart fails over an `ipv6` section without the family. A configuration that was written so is not
    // corrected.
    let is_theirs = asked.ipv6.is_some() && !new.families.contains(&Family::V6);
    if !families.contains(&Family::V6) && !is_theirs {
        config = Subset::without_ipv6(config, before.config.as_ref());
    }
    let is_known = old.switch.is(SwitchState::Pending)
        && old.switch.requested.as_deref().is_some_and(|digest| asked.is_named(digest));
    Decision::Hold(Box::new(Held {
        config,
        families: (*families != *new.families).then(|| families.to_vec()),
        since,
        requested: asked.digest(),
        is_known,
        obstacle: shoot.and_then(|shoot| obstacle(shoot, asked)),
    }))
}

/// Where a Network has Calico's configuration.
const CONFIG: &str = "spec.providerConfig";

fn parse(network: &Network<'_>) -> Result<Option<Value>, FieldError> {
    let Some(text) = network.provider_config else { return Ok(None) };
    if text.len() > LONGEST_CONFIG {
        return Err(too_long(text.len()).within(CONFIG));
    }
    serde_json::from_str(text).map_err(|error| FieldError::new(CONFIG, excerpt(&error.to_string())))
}
