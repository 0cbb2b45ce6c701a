//! One entry with its target, which most rules examine.

use crate::diagnostics::Finding;
use crate::diagnostics::ratchet::Touch;
use crate::gardener::ShootName;
use crate::json::FieldPath;
use crate::landscape::Target;
use crate::net::Cidr;

use super::super::settings::Settings;
use super::super::subject::{Listed, Subject};

/// This Shoot, one entry, and what is known of the target.
pub(in crate::peering) struct Pair<'a> {
    pub(in crate::peering) subject: &'a Subject<'a>,
    pub(in crate::peering) listed: &'a Listed<'a>,
    pub(in crate::peering) target: &'a Target,
    pub(in crate::peering) settings: &'a Settings,
    /// Whether stored problems are reported too, because the list is edited.
    pub(in crate::peering) tells_stored: bool,
}

/// A check of one entry and its target.
pub(in crate::peering) type Check = fn(&Pair<'_>) -> Option<Finding>;

/// A check, and when it is made. One that must not speak of stored entries at all looks at `listed.touch` itself, as
/// `networks::told_clash` does, and leaves them to `breaks_peer`.
pub(in crate::peering) struct PairRule {
    pub(in crate::peering) check: Check,
    /// What of an entry its writer has to touch so that it denies.
    pub(in crate::peering) cause: Touch,
    /// Whether it is also made for stored, unchanged entries when the list is edited.
    pub(in crate::peering) even_stored: bool,
}

impl PairRule {
    /// A check of what only a new entry is the cause of.
    pub(super) const fn of_entry(check: Check) -> Self {
        Self { check, cause: Touch::Added, even_stored: false }
    }

    /// A check of the Seed, a field of the entry.
    pub(super) const fn of_seed(check: Check) -> Self {
        Self { check, cause: Touch::Edited, even_stored: false }
    }

    /// A check of the Shoot's own networks beside an entry.
    pub(super) const fn of_networks(check: Check) -> Self {
        Self { check, cause: Touch::Beside, even_stored: false }
    }

    pub(super) const fn even_stored(self) -> Self {
        Self { even_stored: true, ..self }
    }
}

impl Pair<'_> {
    /// The target of the entry.
    pub(super) fn name(&self) -> &ShootName {
        &self.listed.target
    }

    /// The path of the entry.
    pub(super) fn path(&self) -> FieldPath {
        self.subject.entry_path(&self.listed.entry)
    }

    /// The path of the entry's Seed.
    pub(super) fn seed_path(&self) -> FieldPath {
        self.path().field("seed")
    }
}

/// The path of the node network.
pub(super) const NODES: &str = "spec.networking.nodes";

/// The first pair of identical networks, or else the first pair that overlaps.
pub(super) fn conflicting(own: &[Cidr], others: &[Cidr]) -> Option<(Cidr, Cidr)> {
    let pairs = || own.iter().flat_map(|own| others.iter().map(move |other| (*own, *other)));
    pairs().find(|(own, other)| own == other).or_else(|| pairs().find(|(own, other)| own.overlaps(*other)))
}

/// The networks of a pair that clash; the inner value is `None` if the writer may know only that they do.
pub(super) type Clash = Option<(Cidr, Cidr)>;

/// Whether these networks of the Shoot clash with those of the target.
pub(super) fn clash(pair: &Pair<'_>, nodes: &[Cidr]) -> Option<Clash> {
    match pair.target {
        Target::Visible(facts) => conflicting(nodes, facts.networks.nodes()).map(Some),
        Target::Consenting(consent) => consent.overlaps(nodes).then_some(None),
        Target::Missing | Target::Hidden | Target::Unverified(_) => None,
    }
}
