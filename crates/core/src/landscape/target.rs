//! What a user may learn of a Shoot.

use std::sync::Arc;

use crate::gardener::{ShootFacts, ShootName};
use crate::net::Cidr;

/// A Shoot, as far as the requesting user may know it.
#[derive(Clone, Debug)]
pub enum Target {
    /// The user may see it, and it is there.
    Visible(Arc<ShootFacts>),
    /// The user may see it, and it is not there.
    Missing,
    /// The user may not see it, but it lists this Shoot: its owner agreed that verdicts about the pair are known.
    Consenting(Consent),
    /// The user may not see it, or it is not there: nothing may be said, not even which of the two.
    Hidden,
    /// The lookup failed.
    Unverified(String),
}

/// A Shoot that the user may not see and that lists this one. Only verdicts come out of it, never its fields.
#[derive(Clone, Debug)]
pub struct Consent(Arc<ShootFacts>);

impl Target {
    /// A Shoot that the user may not see: consent opens it a little.
    pub fn hidden(facts: Option<&Arc<ShootFacts>>, subject: Option<&ShootName>) -> Self {
        match (facts, subject) {
            (Some(facts), Some(subject)) if facts.lists(subject) => Self::Consenting(Consent(Arc::clone(facts))),
            _ => Self::Hidden,
        }
    }

    /// Its facts, if the user may see them.
    pub fn visible(&self) -> Option<&ShootFacts> {
        match self {
            Self::Visible(facts) => Some(facts),
            _ => None,
        }
    }

    /// Its node networks, for a verdict only: a rule that puts one into a message asks [`Target::visible`].
    pub(crate) fn nodes_for_verdicts(&self) -> &[Cidr] {
        match self {
            Self::Visible(facts) | Self::Consenting(Consent(facts)) => facts.networks.nodes(),
            Self::Missing | Self::Hidden | Self::Unverified(_) => &[],
        }
    }
}

impl Consent {
    /// Whether one of these networks overlaps its node networks.
    pub fn overlaps(&self, nodes: &[Cidr]) -> bool {
        self.0.networks.nodes().iter().any(|own| nodes.iter().any(|other| own.overlaps(*other)))
    }

    /// Whether one of these networks overlaps one of its node networks that none of the old ones did.
    pub(crate) fn newly_overlaps(&self, nodes: &[Cidr], old: &[Cidr]) -> bool {
        let overlaps = |nodes: &[Cidr], own: &Cidr| nodes.iter().any(|other| own.overlaps(*other));
        self.0.networks.nodes().iter().any(|own| overlaps(nodes, own) && !overlaps(old, own))
    }

    /// Whether it can have no node network at all.
    pub(crate) fn is_workerless(&self) -> bool {
        self.0.is_workerless
    }

    /// Whether it is being deleted.
    pub fn is_being_deleted(&self) -> bool {
        self.0.is_being_deleted
    }

    /// Whether this is neither the Seed that it has nor the one that it comes from.
    pub(crate) fn has_other_seed(&self, seed: &str) -> bool {
        self.0.seed.as_deref().is_some_and(|own| own != seed) && self.0.old_seed.as_deref() != Some(seed)
    }

    /// Whether there is something to check later: it has no Seed or no node network yet, or it is moving.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.0.seed.is_none() || self.0.old_seed.is_some() || self.0.networks.nodes().is_empty()
    }
}
