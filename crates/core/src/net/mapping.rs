//! The mapping of a Shoot's IPv4 networks inside the tunnel.
//!
//! Each end of the tunnel computes this mapping on its own from the same list of networks, so it has to be what
//! Gardener's vpn2 computes, bit for bit: networks sorted by prefix length, widest first, equal lengths in the order
//! given, and each in turn gets the first free aligned block of its size. A network that is listed twice takes two
//! blocks, and is mapped to the second.
//!
//! Because sizes only shrink along that order, the end of one block is always aligned for the next: a running cursor
//! is the first free block. That is O(n log n) for the sort and O(n) memory, where listing the blocks of a /8 would
//! take sixteen million entries for a single /32.

use std::collections::HashSet;

use super::{Cidr, Family, NetworkKind};

/// A network and the block that it is mapped to inside the tunnel. Addresses keep their offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MappedNetwork {
    /// The network as the Shoot knows it.
    pub original: Cidr,
    /// The block of the same size in the kind's /8.
    pub mapped: Cidr,
}

/// The networks of one kind are together larger than a /8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the IPv4 {} networks do not fit into {}: no room left for {network}",
    .kind.name(), .kind.mapping_range()
)]
pub struct DoesNotFit {
    /// The kind of the networks.
    pub kind: NetworkKind,
    /// The first network that found no room.
    pub network: Cidr,
}

/// The number of addresses in a /8.
const RANGE_SIZE: u64 = 1 << 24;

impl NetworkKind {
    /// The first octet of the /8 that networks of this kind are mapped into (the table of reserved ranges).
    const fn mapping_octet(self) -> u32 {
        match self {
            Self::Nodes => 242,
            Self::Services => 243,
            Self::Pods => 244,
        }
    }

    /// The /8 that networks of this kind are mapped into.
    pub fn mapping_range(self) -> Cidr {
        Cidr::v4(self.mapping_octet() << 24, 8).expect("8 is an IPv4 prefix length")
    }
}

/// The shortest prefix of a Seed's IPv4 Pod network whose addresses remain distinct in 241.0.0.0/8.
pub const WIDEST_SEED_PODS: u8 = 8;

/// Whether the IPv4 networks of one kind fit into their /8 together: whether [`map_networks`] can map them.
pub fn fit_together(networks: impl Iterator<Item = Cidr>) -> bool {
    let ipv4 = networks.filter(|network| network.family() == Family::V4);
    // Widest first, blocks follow each other without gaps, so only their sum matters.
    ipv4.map(|network| 1u64 << (32 - network.prefix_len())).fold(0, u64::saturating_add) <= RANGE_SIZE
}

/// Maps the IPv4 networks of one kind, widest first; IPv6 networks are left out, they are never translated.
pub fn map_networks(kind: NetworkKind, networks: &[Cidr]) -> Result<Vec<MappedNetwork>, DoesNotFit> {
    let mut originals: Vec<Cidr> = networks.iter().copied().filter(|n| n.family() == Family::V4).collect();
    originals.sort_by_key(|network| network.prefix_len());

    let mut cursor = 0u64;
    let mut mapped: Vec<MappedNetwork> = originals
        .into_iter()
        .map(|original| {
            let size = 1u64 << (32 - original.prefix_len());
            let start = cursor;
            cursor += size;
            if cursor > RANGE_SIZE {
                return Err(DoesNotFit { kind, network: original });
            }
            let offset = u32::try_from(start).expect("start is below 2^24, checked above");
            let mapped = Cidr::v4((kind.mapping_octet() << 24) + offset, original.prefix_len())
                .expect("the prefix length comes from an IPv4 network");
            Ok(MappedNetwork { original, mapped })
        })
        .collect::<Result<_, _>>()?;

    // The last block of a network counts: vpn2 keeps its results by network.
    let mut seen = HashSet::with_capacity(mapped.len());
    if !mapped.iter().all(|network| seen.insert(network.original)) {
        seen.clear();
        mapped.reverse();
        mapped.retain(|network| seen.insert(network.original));
        mapped.reverse();
    }
    Ok(mapped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidrs(list: &[&str]) -> Vec<Cidr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The vectors of vpn2's own tests.
    #[test]
    fn agrees_with_vpn2() {
        use NetworkKind::{Nodes, Pods};
        for (kind, networks, want) in [
            (
                Nodes,
                &["10.219.45.0/26", "10.219.45.64/26", "10.96.0.0/11", "10.128.0.0/12"][..],
                &[
                    ("10.96.0.0/11", "242.0.0.0/11"),
                    ("10.128.0.0/12", "242.32.0.0/12"),
                    ("10.219.45.0/26", "242.48.0.0/26"),
                    ("10.219.45.64/26", "242.48.0.64/26"),
                ][..],
            ),
            (
                Nodes,
                &["10.1.0.0/16", "10.2.0.0/16", "10.3.1.0/24", "10.4.2.240/28"],
                &[
                    ("10.1.0.0/16", "242.0.0.0/16"),
                    ("10.2.0.0/16", "242.1.0.0/16"),
                    ("10.3.1.0/24", "242.2.0.0/24"),
                    ("10.4.2.240/28", "242.2.1.0/28"),
                ],
            ),
            (
                Pods,
                &["10.1.0.0/16", "10.2.0.0/24", "fd00:1::/64"],
                &[("10.1.0.0/16", "244.0.0.0/16"), ("10.2.0.0/24", "244.1.0.0/24")],
            ),
            (
                Nodes,
                &["10.3.0.15/32", "100.1.12.3/32"],
                &[("10.3.0.15/32", "242.0.0.0/32"), ("100.1.12.3/32", "242.0.0.1/32")],
            ),
            (Pods, &["10.1.0.1/30"], &[("10.1.0.0/30", "244.0.0.0/30")]),
            (NetworkKind::Services, &["100.64.0.0/13"], &[("100.64.0.0/13", "243.0.0.0/13")]),
            (Pods, &[], &[]),
        ] {
            let got: Vec<(String, String)> = map_networks(kind, &cidrs(networks))
                .unwrap()
                .iter()
                .map(|m| (m.original.to_string(), m.mapped.to_string()))
                .collect();
            let want: Vec<(String, String)> = want.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(got, want, "{kind:?} {networks:?}");
        }
    }

    /// Two thousand random lists and what vpn2's own code makes of them.
    #[test]
    fn agrees_with_vpn2_on_thousands_of_lists() {
        let recorded = include_str!("../../../../tests/fixtures/vpn2/mappings.txt");
        let mut count = 0;
        for line in recorded.lines() {
            let (networks, want) = line.split_once(" -> ").unwrap_or_else(|| panic!("{line}"));
            let networks: Vec<&str> = networks.split(',').filter(|text| !text.is_empty()).collect();
            let got = match map_networks(NetworkKind::Nodes, &cidrs(&networks)) {
                Err(_) => "does not fit".to_owned(),
                Ok(mapped) => {
                    let mut pairs: Vec<String> =
                        mapped.iter().map(|network| format!("{}={}", network.original, network.mapped)).collect();
                    pairs.sort();
                    pairs.join(",")
                }
            };
            assert_eq!(got, want, "{line}");
            count += 1;
        }
        assert_eq!(count, 2_000);
    }

    #[test]
    fn says_what_does_not_fit() {
        let three = cidrs(&["10.0.0.0/9", "11.0.0.0/9", "12.0.0.0/9"]);
        let error = map_networks(NetworkKind::Nodes, &three).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 12.0.0.0/9"
        );
        assert!(map_networks(NetworkKind::Pods, &cidrs(&["0.0.0.0/0"])).is_err());
        assert!(map_networks(NetworkKind::Pods, &cidrs(&["10.0.0.0/8", "11.0.0.1/32"])).is_err());
        assert!(map_networks(NetworkKind::Pods, &cidrs(&["10.0.0.0/8"])).is_ok());
    }

    /// The definition, by brute force on a window of 64 addresses at the start of the range.
    fn naive(networks: &[Cidr]) -> Vec<MappedNetwork> {
        let mut sorted = networks.to_vec();
        sorted.sort_by_key(|n| n.prefix_len());
        let mut taken = std::collections::BTreeSet::new();
        sorted
            .into_iter()
            .map(|original| {
                let size = 1u32 << (32 - original.prefix_len());
                let start = (0u32..)
                    .step_by(size as usize)
                    .find(|start| (*start..start + size).all(|a| !taken.contains(&a)))
                    .unwrap();
                taken.extend(start..start + size);
                MappedNetwork { original, mapped: Cidr::v4((244 << 24) + start, original.prefix_len()).unwrap() }
            })
            .collect()
    }

    fn network(lengths: std::ops::RangeInclusive<u8>) -> impl Strategy<Value = Cidr> {
        (any::<u32>(), lengths).prop_map(|(base, len)| Cidr::v4(base, len).unwrap())
    }

    proptest! {
        #[test]
        fn equals_first_free_aligned_block(networks in prop::collection::vec(network(27..=32), 0..12)) {
            let mut want = naive(&networks);
            for index in (0..want.len()).rev() {
                if want[index + 1..].iter().any(|later| later.original == want[index].original) {
                    want.remove(index);
                }
            }
            prop_assert_eq!(map_networks(NetworkKind::Pods, &networks).unwrap(), want);
        }

        #[test]
        fn is_injective_and_stays_in_its_range(networks in prop::collection::vec(network(8..=32), 0..40)) {
            for kind in NetworkKind::ALL {
                prop_assert_eq!(fit_together(networks.iter().copied()), map_networks(kind, &networks).is_ok());
                let Ok(mapped) = map_networks(kind, &networks) else {
                    let total: u64 = networks.iter().map(|n| 1u64 << (32 - n.prefix_len())).sum();
                    prop_assert!(total > RANGE_SIZE, "refused although it fits");
                    continue;
                };
                let distinct: HashSet<Cidr> = networks.iter().copied().collect();
                prop_assert_eq!(mapped.len(), distinct.len());
                for (i, a) in mapped.iter().enumerate() {
                    prop_assert_eq!(a.original.prefix_len(), a.mapped.prefix_len());
                    prop_assert!(kind.mapping_range().contains(a.mapped.base()));
                    prop_assert!(mapped[..i].iter().all(|b| !a.mapped.overlaps(b.mapped)));
                }
            }
        }

        #[test]
        fn order_is_irrelevant_for_different_lengths(
            lengths in prop::sample::subsequence((9u8..=32).collect::<Vec<_>>(), 0..12),
            base in any::<u32>(),
            seed in any::<u64>(),
        ) {
            let networks: Vec<Cidr> = lengths.iter().map(|len| Cidr::v4(base, *len).unwrap()).collect();
            let mut shuffled = networks.clone();
            // A deterministic shuffle that depends on the case only.
            shuffled.sort_by_key(|n| seed.rotate_left(u32::from(n.prefix_len())).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            prop_assert_eq!(map_networks(NetworkKind::Nodes, &networks), map_networks(NetworkKind::Nodes, &shuffled));
        }
    }
}
