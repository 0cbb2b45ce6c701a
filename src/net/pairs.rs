//! Which networks of a list overlap.

use super::Cidr;

/// Calls for each pair of networks that overlap, as positions in the list, the smaller one first; in an order that depends on
/// nothing but the list, in O(n log n + pairs) and without keeping any.
pub fn for_overlapping_pairs(networks: &[Cidr], mut found: impl FnMut(usize, usize)) {
    let mut order: Vec<usize> = (0..networks.len()).collect();
    order.sort_by_key(|i| networks[*i]);
    // The networks around the current place, each inside the one before it.
    let mut around: Vec<usize> = Vec::new();
    for i in order {
        while around.last().is_some_and(|outer| !networks[*outer].contains(networks[i].base())) {
            around.pop();
        }
        for outer in &around {
            found(i.min(*outer), i.max(*outer));
        }
        around.push(i);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network() -> impl Strategy<Value = Cidr> {
        prop_oneof![
            4 => (0u32..4096, 18u8..=32).prop_map(|(base, len)| Cidr::v4(0x0a00_0000 + base, len).unwrap()),
            1 => (any::<u32>(), 0u8..=8).prop_map(|(base, len)| Cidr::v4(base, len).unwrap()),
            1 => (0u128..256, 118u8..=128).prop_map(|(base, len)| Cidr::new(std::net::IpAddr::V6(base.into()), len).unwrap()),
            1 => Just("::/0".parse().unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn pairs_are_those_of_a_double_loop(networks in prop::collection::vec(network(), 0..40)) {
            let mut want = Vec::new();
            for i in 0..networks.len() {
                want.extend((i + 1..networks.len()).filter(|j| networks[i].overlaps(networks[*j])).map(|j| (i, j)));
            }
            let mut pairs = Vec::new();
            for_overlapping_pairs(&networks, |a, b| pairs.push((a, b)));
            pairs.sort_unstable();
            prop_assert_eq!(pairs, want);
        }
    }
}
