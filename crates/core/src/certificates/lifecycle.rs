//! The next step for self-managed certificates, and when it is due.
//!
//! A rotation never breaks a call, because each step waits for what it needs:
//!
//! ```text
//! Issue      a new CA is stored beside the one that signs
//!            ... and published: every webhook configuration has both
//! Announce   the leader saw that; API servers have the margin to receive it
//! Switch     the new CA signs; each replica serves a leaf of it; the key of the old one is gone
//!            ... until the last leaf of the old one would have expired
//! Retire     the old one is removed from the configurations and from the Secret
//! ```
//!
//! After a loss of the Secret it starts in the middle: leaves of CAs that API servers still trust may still be served,
//! so those CAs are adopted as if they were retired, and the new CA has to wait like any other. All decisions are made
//! from the Secret and the configurations, so a leader may stop between any two steps.

use std::time::Duration;

use jiff::Timestamp;

use super::ca::{later, two_thirds};
use super::{Ca, CaPair, Leaf, Material, Next};

/// How long certificates are valid, and how long API servers get to receive a new CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lifetimes {
    /// Of a CA.
    pub ca: Duration,
    /// Of a leaf. None is valid for longer than its CA.
    pub leaf: Duration,
    /// From the moment when a new CA was seen in every webhook configuration to its first leaf.
    pub margin: Duration,
}

impl Default for Lifetimes {
    /// A CA lives for 30 days, as those of Gardener's extensions do, and a leaf for 7, as cert-manager's own webhook has it.
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { ca: Duration::from_secs(30 * DAY), leaf: Duration::from_secs(7 * DAY), margin: Duration::from_secs(60) }
    }
}

/// The CA bundle of one webhook configuration, or of the webhooks in all Shoots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// Its name in messages.
    pub name: String,
    /// The certificates in it that can be read.
    pub bundle: Vec<Ca>,
    /// Whether it is not empty, readable or not.
    pub is_told: bool,
}

impl Published {
    /// Whether it has every certificate that API servers have to trust.
    pub fn has_all(&self, bundle: &[&Ca]) -> bool {
        bundle.iter().all(|ca| self.has(ca))
    }

    fn has(&self, ca: &Ca) -> bool {
        self.bundle.iter().any(|other| other.fingerprint == ca.fingerprint)
    }
}

/// Why a new CA is issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The old one has lived through two thirds of its life.
    Due,
    /// An operator requested it.
    Asked,
    /// The CA that should sign is not valid now.
    NotValid,
    /// The CA that should sign next has become old meanwhile.
    NextIsOld,
}

/// What the leader waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Waiting {
    /// The renewal of the CA.
    Renewal,
    /// These configurations lack a certificate.
    Publication(Vec<String>),
    /// The margin, in which API servers receive the new CA.
    Margin,
    /// The expiry of the last leaf of an old CA.
    LastLeaf,
    /// These configurations still have a retired CA.
    Withdrawal(Vec<String>),
}

/// The next step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// There is no usable Secret: create one. API servers trust these CAs at present.
    Begin {
        /// CAs that are kept in the bundle meanwhile.
        adopted: Vec<Ca>,
        /// Whether API servers trust no CA yet, so that the new CA need not wait until they trust it.
        at_once: bool,
    },
    /// API servers trust CAs that the Secret does not know.
    Adopt {
        /// They are kept in the bundle until their leaves have expired.
        adopted: Vec<Ca>,
        /// Whether no API server trusts the CA that signs, which therefore has to be published first.
        demote: bool,
    },
    /// API servers trust the CA that signs: record that for the replicas.
    ConfirmTrust,
    /// Issue the CA that signs next.
    Issue(Reason),
    /// Record that every configuration has the next CA.
    Announce,
    /// Record that one lacks it again.
    Recall,
    /// Let the next CA sign.
    Switch,
    /// Remove retired CAs.
    Retire,
    /// Do nothing, until this time or until something changes.
    Wait {
        /// When the next step is due by the clock alone.
        until: Option<Timestamp>,
        /// The reason.
        waiting: Waiting,
    },
}

/// Decides the next step.
pub fn next_step(material: Option<&Material>, published: &[Published], now: Timestamp, lifetimes: &Lifetimes) -> Step {
    let mut unknown: Vec<Ca> = Vec::new();
    for ca in published.iter().flat_map(|published| &published.bundle) {
        let is_known = material.is_some_and(|material| material.knows(ca.fingerprint)) || unknown.contains(ca);
        if !is_known && now <= ca.not_after {
            unknown.push(ca.clone());
        }
    }
    let Some(material) = material else {
        let at_once = published.iter().all(|published| !published.is_told);
        return Step::Begin { adopted: unknown, at_once };
    };
    if !unknown.is_empty() {
        let is_trusted = |pair: &CaPair| published.iter().any(|published| published.has(&pair.ca));
        let demote = material.signing.as_ref().is_some_and(|signing| !is_trusted(signing));
        return Step::Adopt { adopted: unknown, demote };
    }
    if let Some(signing) = &material.signing
        && material.confirmed_signing().is_none()
    {
        // The history of this Secret is unknown. Where API servers have no bundle, no trust can be broken.
        let is_trusted = |published: &Published| !published.is_told || published.has(&signing.ca);
        if published.iter().all(is_trusted) {
            return Step::ConfirmTrust;
        }
        return Step::Adopt { adopted: Vec::new(), demote: true };
    }
    match (&material.next, &material.signing) {
        (Some(next), _) => with_next(material, next, published, now, lifetimes),
        (None, Some(signing)) => without_next(material, signing, published, now),
        (None, None) => Step::Issue(Reason::NotValid),
    }
}

fn with_next(material: &Material, next: &Next, published: &[Published], now: Timestamp, lifetimes: &Lifetimes) -> Step {
    if !next.pair.ca.is_valid_at(now) || next.pair.ca.renewal_at() <= now {
        return Step::Issue(Reason::NextIsOld);
    }
    // An operator who suspects one key suspects the other too: both were in this Secret.
    if material.rotation_requested {
        return Step::Issue(Reason::Asked);
    }
    let bundle = material.bundle(now);
    let missing = published.iter().filter(|published| !published.has_all(&bundle));
    let missing: Vec<String> = missing.map(|published| published.name.clone()).collect();
    match next.published_at {
        None if missing.is_empty() => Step::Announce,
        None => Step::Wait { until: None, waiting: Waiting::Publication(missing) },
        Some(_) if !missing.is_empty() => Step::Recall,
        // The clock was ahead, so it is unknown how long ago that was.
        Some(at) if at > now => Step::Announce,
        Some(at) => match later(at, lifetimes.margin) {
            then if then <= now => Step::Switch,
            then => Step::Wait { until: Some(then), waiting: Waiting::Margin },
        },
    }
}

fn without_next(material: &Material, signing: &CaPair, published: &[Published], now: Timestamp) -> Step {
    if !signing.ca.is_valid_at(now) {
        return Step::Issue(Reason::NotValid);
    }
    let renewal = signing.ca.renewal_at();
    if renewal <= now {
        return Step::Issue(Reason::Due);
    }
    if material.rotation_requested {
        return Step::Issue(Reason::Asked);
    }
    if material.retired.is_empty() {
        return Step::Wait { until: Some(renewal), waiting: Waiting::Renewal };
    }
    match material.retired_until {
        // The time is not recorded, so the leaves may have been issued just now.
        None => Step::Adopt { adopted: Vec::new(), demote: false },
        Some(until) if now < until => Step::Wait { until: Some(until.min(renewal)), waiting: Waiting::LastLeaf },
        Some(_) => {
            let has_one = |published: &&Published| material.retired.iter().any(|ca| published.has(ca));
            let left: Vec<String> = published.iter().filter(has_one).map(|published| published.name.clone()).collect();
            if left.is_empty() {
                return Step::Retire;
            }
            Step::Wait { until: Some(renewal), waiting: Waiting::Withdrawal(left) }
        }
    }
}

/// The material to store after a step; `None` if nothing changes. `issue` makes a CA that is valid from now for this
/// long.
pub fn carried_out<E>(
    step: Step,
    material: Option<&Material>,
    now: Timestamp,
    lifetimes: &Lifetimes,
    issue: impl FnOnce(Timestamp, Duration) -> Result<CaPair, E>,
) -> Result<Option<Material>, E> {
    let issue = || issue(now, lifetimes.ca);
    let next = |pair| Some(Next { pair, published_at: None });
    let Some(mut material) = material.cloned() else {
        return match step {
            Step::Begin { at_once: true, .. } => Ok(Some(Material::first(issue()?))),
            Step::Begin { adopted, .. } => {
                let mut material = Material::waiting(next(issue()?));
                material.adopt(adopted, now, lifetimes.leaf);
                Ok(Some(material))
            }
            _ => Ok(None),
        };
    };
    match step {
        Step::Wait { .. } | Step::Begin { .. } => return Ok(None),
        Step::Adopt { adopted, demote } => {
            if demote && let Some(signing) = material.signing.take() {
                match &material.next {
                    None => material.next = next(signing),
                    Some(_) => material.retired.push(signing.ca),
                }
            }
            material.adopt(adopted, now, lifetimes.leaf);
        }
        Step::ConfirmTrust => material.confirm_trust(),
        Step::Issue(_) => {
            material.next = next(issue()?);
            material.rotation_requested = false;
        }
        Step::Announce | Step::Recall => {
            if let Some(next) = &mut material.next {
                next.published_at = (step == Step::Announce).then_some(now);
            }
        }
        Step::Switch => material.switch(now, lifetimes.leaf),
        Step::Retire => {
            material.retired.clear();
            material.retired_until = None;
        }
    }
    Ok(Some(material))
}

/// Whether a replica that serves this leaf, or none, should issue a new one for itself.
///
/// `unknown_issuer_for` is how long the Secret has not known the CA of the leaf.
pub fn is_leaf_due(
    current: Option<&Leaf>,
    material: &Material,
    names: &[String],
    now: Timestamp,
    unknown_issuer_for: Duration,
) -> bool {
    let is_usable = |signing: &&CaPair| signing.ca.is_valid_at(now);
    let Some(signing) = material.confirmed_signing().filter(is_usable) else { return false };
    let Some(leaf) = current else { return true };
    if leaf.issuer != signing.ca.fingerprint {
        // The Secret does not know this CA, so it is another Secret than before, and API servers may not trust its CA.
        // The leader corrects that, if it is wrong.
        return material.knows(leaf.issuer)
            || leaf.not_after <= now
            || unknown_issuer_for >= PATIENCE_WITH_UNKNOWN_ISSUER;
    }
    // A new leaf would expire with the CA too, so it would not last longer.
    let can_last_longer = leaf.not_after < signing.ca.not_after;
    leaf.names != names
        || now < leaf.not_before
        || (can_last_longer && two_thirds(leaf.not_before, leaf.not_after) <= now)
}

/// How long a replica keeps its leaf when the Secret does not know its issuer: some turns of a leader.
const PATIENCE_WITH_UNKNOWN_ISSUER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
