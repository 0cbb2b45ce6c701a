//! One entry with its target, which most rules examine.

use crate::diagnostics::Finding;
use crate::gardener::ShootName;
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

/// A rule that looks at one entry and its target, for whatever its writer touched. The caller limits its severity by
/// [`Touch::most`](crate::diagnostics::ratchet::Touch::most). A rule that must not speak of stored entries at all looks at
/// `listed.touch` itself, as `networks::told_clash` does, and leaves them to `breaks_peer`.
pub(in crate::peering) type PairRule = fn(&Pair<'_>) -> Option<Finding>;

impl Pair<'_> {
    /// The target of the entry.
    pub(super) fn name(&self) -> &ShootName {
        &self.listed.target
    }

    /// The path of the entry.
    pub(super) fn path(&self) -> String {
        self.subject.entry_path(&self.listed.entry)
    }

    /// The path of the entry's Seed.
    pub(super) fn seed_path(&self) -> String {
        format!("{}.seed", self.path())
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
        Target::Visible(facts) => conflicting(nodes, &facts.networks.nodes).map(Some),
        Target::Consenting(consent) => consent.overlaps(nodes).then_some(None),
        Target::Missing | Target::Hidden | Target::Unverified(_) => None,
    }
}
