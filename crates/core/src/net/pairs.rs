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

/// Which of these networks, each with its owner, overlap one of another owner: in O(n log n), however many pairs there are.
pub fn clashing<O: Copy + PartialEq>(networks: &[(Cidr, O)]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..networks.len()).collect();
    order.sort_by_key(|i| networks[*i].0);
    let mut clash = vec![false; networks.len()];
    // The networks around the current place, each inside the one before it: with the owner of all of them up to here, and the
    // owner of all inside it so far, this one included; `None` where there are several.
    let mut around: Vec<(usize, Option<O>, Option<O>)> = Vec::new();
    let close = |around: &mut Vec<(usize, Option<O>, Option<O>)>, clash: &mut Vec<bool>| {
        let Some((inner, _, inside)) = around.pop() else { return };
        clash[inner] |= inside != Some(networks[inner].1);
        if let Some((_, _, outer)) = around.last_mut() {
            *outer = outer.filter(|owner| inside == Some(*owner));
        }
    };
    for i in order {
        let (network, owner) = networks[i];
        while around.last().is_some_and(|(outer, ..)| !networks[*outer].0.contains(network.base())) {
            close(&mut around, &mut clash);
        }
        let before = around.last().map_or(Some(owner), |(_, owner, _)| *owner).filter(|before| *before == owner);
        clash[i] = before.is_none();
        around.push((i, before, Some(owner)));
    }
    while !around.is_empty() {
        close(&mut around, &mut clash);
    }
    clash
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

        #[test]
        fn clashes_are_those_of_a_double_loop(networks in prop::collection::vec((network(), 0u8..4), 0..40)) {
            let clashes = |(one, owner): &(Cidr, u8)| networks.iter().any(|(other, its)| its != owner && one.overlaps(*other));
            prop_assert_eq!(clashing(&networks), networks.iter().map(clashes).collect::<Vec<_>>());
        }
    }
}
