//! Which networks of a Shoot share addresses with the Pods of its Seed.

use std::fmt::{self, Write as _};

use crate::gardener::{ClusterFacts, ShootNetwork};
use crate::net::{Cidr, Family, each_once};

/// A Shoot network that shares addresses with the Seed's Pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// The Shoot's network.
    pub shoot: ShootNetwork,
    /// The Seed's Pod network.
    pub seed_pods: Cidr,
}

impl Overlap {
    /// Whether it is a pair of IPv4 networks; only those can be translated.
    pub fn is_ipv4(&self) -> bool {
        self.seed_pods.family() == Family::V4
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} overlaps Seed pods {}", self.shoot.kind.name(), self.shoot.cidr, self.seed_pods)
    }
}

/// All Shoot networks that overlap the Seed's Pod network, of both families, in the Cluster's order, each once. A
/// self-hosted Shoot has no Seed and so no overlap.
pub fn overlaps(facts: &ClusterFacts) -> impl Iterator<Item = Overlap> + '_ {
    overlaps_between(facts.shoot_networks.iter().copied(), facts.seed_pods.as_slice())
}

/// The only computation of the overlap in this room (`networks` has its own for the garden): all pairs of these networks, in the order of the Shoot's, each once.
pub(super) fn overlaps_between<'s>(
    shoot: impl Iterator<Item = ShootNetwork> + 's,
    seed_pods: &'s [Cidr],
) -> impl Iterator<Item = Overlap> + 's {
    let overlapped_by = |shoot: ShootNetwork| seed_pods.iter().filter(move |pods| shoot.cidr.overlaps(**pods));
    let found = shoot.filter(move |shoot| overlapped_by(*shoot).next().is_some());
    each_once(found).flat_map(move |shoot| overlapped_by(shoot).map(move |pods| Overlap { shoot, seed_pods: *pods }))
}

/// The most pairs that are written out. All annotations of an object have 256 KiB together (`TotalAnnotationSizeLimitB`
/// of `k8s.io/apimachinery/pkg/api/validation`), and a write of more is refused: a pair has 60 bytes, so these take 2 %
/// of that.
const MOST_PAIRS: usize = 100;

/// Room for the text of a pair.
const USUAL_PAIR: usize = 64;

/// The value of the annotation that lists the pairs, for people: the first ones, and how many more there are. The same
/// pairs give the same text. No program reads networks out of it: network-guard and its match conditions only check
/// whether the annotation is present, and whether a write changes it.
pub fn overlaps_text(overlaps: &[Overlap]) -> String {
    let (shown, rest) = overlaps.split_at(overlaps.len().min(MOST_PAIRS));
    let mut text = String::with_capacity(shown.len() * USUAL_PAIR);
    for (number, pair) in shown.iter().enumerate() {
        let before = if number == 0 { "" } else { "; " };
        let _ = write!(text, "{before}{pair}");
    }
    if !rest.is_empty() {
        text += &format!("; and {} more", rest.len());
    }
    text
}
