//! The addresses of networks inside the tunnel.

use super::overlap::overlaps_between;
use super::{Networks, Overlap};
use crate::gardener::ClusterFacts;
use crate::net::{Cidr, DoesNotFit, Family, MappedNetwork, NetworkKind, WIDEST_SEED_PODS, fit_together, map_networks};

/// The first octet of the /8 that the Seed's Pod network is mapped into (the table of reserved ranges).
const SEED_PODS_OCTET: u32 = 241;

/// The mapping of networks inside the tunnel: the same at both ends, whatever their devices are.
pub(super) struct Mapping {
    /// The Shoot's networks that overlap the Seed's Pods, of both families as in vpn2: an overlap of IPv6, which
    /// Gardener does not admit, makes vpn2 translate IPv4.
    pub(super) overlaps: Vec<Overlap>,
    /// The Seed's Pods.
    pub(super) seed_pods: Option<MappedNetwork>,
    /// The Shoot's networks; none where nothing is translated.
    pub(super) shoot: Vec<(NetworkKind, MappedNetwork)>,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CannotPlan {
    /// A kind of networks is larger than its range.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// Mapped, several of the Seed's Pods would have the same address.
    #[error("the Seed's Pod network {0} does not fit into 241.0.0.0/8: it has to have a prefix length of at least 8")]
    SeedPodsTooWide(Cidr),
    /// A Seed has one Pod network of each family.
    #[error("the Seed has two Pod networks of one family, {0} and {1}: only one can be mapped to 241.0.0.0/8")]
    TwoSeedPods(Cidr, Cidr),
}

impl Mapping {
    /// The mapping of these networks; the error says why there is none.
    pub(super) fn of(networks: &Networks) -> Result<Self, CannotPlan> {
        let seed_pods_of = |family| networks.seed_pods.iter().copied().filter(move |pods| pods.family() == family);
        for family in [Family::V4, Family::V6] {
            let mut of_family = seed_pods_of(family);
            if let (Some(one), Some(other)) = (of_family.next(), of_family.next()) {
                return Err(CannotPlan::TwoSeedPods(one, other));
            }
        }
        // Also without an overlap: vpn2's path controller maps first, and sets no route at all if that fails.
        let mut shoot = map_shoot(networks)?;
        let overlaps: Vec<Overlap> = overlaps_between(networks.all_of_shoot(), &networks.seed_pods).collect();
        let mut seed_pods = None;
        if overlaps.is_empty() {
            shoot.clear();
        } else {
            seed_pods = seed_pods_of(Family::V4).next().map(map_seed_pods).transpose()?;
        }
        Ok(Self { overlaps, seed_pods, shoot })
    }
}

/// The mapping of a Shoot's IPv4 networks, kind by kind, for the case that they are translated.
pub(super) fn map_shoot(networks: &Networks) -> Result<Vec<(NetworkKind, MappedNetwork)>, DoesNotFit> {
    let mut shoot = Vec::new();
    for kind in NetworkKind::ALL {
        shoot.extend(map_networks(kind, networks.shoot(kind))?.into_iter().map(|network| (kind, network)));
    }
    Ok(shoot)
}

/// Whether networks can be mapped into the ranges that are reserved for them; the error says why not.
pub(super) fn fit(networks: &Networks) -> Result<(), CannotPlan> {
    Mapping::of(networks).map(drop)
}

/// Why neither end could translate between the networks of a Cluster if they overlapped: the result of `fit`, with a
/// shortcut for the usual case, in which they fit.
pub fn cannot_translate(facts: &ClusterFacts) -> Option<CannotPlan> {
    let is_wide = |pods: Cidr| pods.family() == Family::V4 && pods.prefix_len() < WIDEST_SEED_PODS;
    let of_kind = |kind| facts.shoot_networks.iter().filter(move |network| network.kind == kind).map(|it| it.cidr);
    if !facts.seed_pods.is_some_and(is_wide) && NetworkKind::ALL.iter().all(|kind| fit_together(of_kind(*kind))) {
        return None;
    }
    fit(&Networks::of(facts)).err()
}

/// The mapping of the Seed's Pod network: its addresses keep their last 24 bits.
fn map_seed_pods(original: Cidr) -> Result<MappedNetwork, CannotPlan> {
    if original.prefix_len() < WIDEST_SEED_PODS {
        return Err(CannotPlan::SeedPodsTooWide(original));
    }
    let mapped = Cidr::v4(SEED_PODS_OCTET << 24, 8).expect("8 is an IPv4 prefix length");
    Ok(MappedNetwork { original, mapped })
}
