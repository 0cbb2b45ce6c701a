//! Which networks overlap: an index for many, and a sweep for a few.
//!
//! Two CIDRs overlap only when one contains the other. So what overlaps a network is either inside it, and then it
//! lies in one run of the sorted order, or around it, and then it is one of at most 128 shorter prefixes.

use std::ops::ControlFlow;

use super::Cidr;

/// Values by network. Persistent: a clone takes constant time and shares what stays the same.
#[derive(Clone, Debug)]
pub struct NetworkIndex<K: Clone + Ord> {
    entries: imbl::OrdMap<Entry<K>, ()>,
    /// How many entries have a prefix of this length, so that only lengths that occur are looked for.
    lengths: Box<[u32]>,
}

/// The key of an entry; `None` is in front of all values of a network.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry<K> {
    cidr: Cidr,
    value: Option<K>,
}

/// Prefix lengths, from 0 to that of an IPv6 address.
const LENGTHS: usize = 129;

impl<K: Clone + Ord> Default for NetworkIndex<K> {
    fn default() -> Self {
        Self { entries: imbl::OrdMap::default(), lengths: vec![0; LENGTHS].into() }
    }
}

impl<K: Clone + Ord> NetworkIndex<K> {
    /// Adds a value to a network; one that is there already stays once.
    pub fn insert(&mut self, cidr: Cidr, value: K) {
        if self.entries.insert(Entry { cidr, value: Some(value) }, ()).is_none() {
            self.lengths[usize::from(cidr.prefix_len())] += 1;
        }
    }

    /// Takes a value from a network.
    pub fn remove(&mut self, cidr: Cidr, value: &K) {
        if self.entries.remove(&Entry { cidr, value: Some(value.clone()) }).is_some() {
            self.lengths[usize::from(cidr.prefix_len())] -= 1;
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `visit` for every entry whose network overlaps this one, widest networks first, until it breaks off.
    pub fn overlapping(&self, cidr: Cidr, mut visit: impl FnMut(Cidr, &K) -> ControlFlow<()>) {
        let around = (0..cidr.prefix_len())
            .filter(|length| self.lengths[usize::from(*length)] > 0)
            .filter_map(|length| Cidr::new(cidr.base(), length));
        for wider in around {
            for (entry, ()) in self.from(wider).take_while(|(entry, ())| entry.cidr == wider) {
                if entry.value.as_ref().is_some_and(|value| visit(entry.cidr, value).is_break()) {
                    return;
                }
            }
        }
        for (entry, ()) in self.from(cidr).take_while(|(entry, ())| cidr.contains(entry.cidr.base())) {
            if entry.value.as_ref().is_some_and(|value| visit(entry.cidr, value).is_break()) {
                return;
            }
        }
    }

    fn from(&self, cidr: Cidr) -> impl Iterator<Item = (&Entry<K>, &())> {
        self.entries.range(Entry { cidr, value: None }..)
    }
}

/// All pairs of networks that overlap, as positions in the list, the smaller one first; sorted, in
/// O(n log n + pairs).
pub fn overlapping_pairs(networks: &[Cidr]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..networks.len()).collect();
    order.sort_by_key(|i| networks[*i]);
    let mut pairs = Vec::new();
    // The networks around the current place, each inside the one before it.
    let mut around: Vec<usize> = Vec::new();
    for i in order {
        while around.last().is_some_and(|outer| !networks[*outer].contains(networks[i].base())) {
            around.pop();
        }
        pairs.extend(around.iter().map(|outer| (i.min(*outer), i.max(*outer))));
        around.push(i);
    }
    pairs.sort_unstable();
    pairs
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

    fn found(index: &NetworkIndex<usize>, cidr: Cidr) -> Vec<(Cidr, usize)> {
        let mut found = Vec::new();
        index.overlapping(cidr, |network, value| {
            found.push((network, *value));
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            networks in prop::collection::vec(network(), 0..60),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            query in network(),
        ) {
            let mut index = NetworkIndex::default();
            let mut all: Vec<(Cidr, usize)> = networks.iter().copied().enumerate().map(|(i, n)| (n, i % 7)).collect();
            for (cidr, value) in &all {
                index.insert(*cidr, *value);
            }
            all.sort_unstable();
            all.dedup();
            let before = index.clone();
            for which in removed.iter().filter(|_| !networks.is_empty()) {
                let (cidr, value) = all[which.index(all.len()).min(all.len() - 1)];
                index.remove(cidr, &value);
                index.remove(cidr, &value);
                all.retain(|entry| *entry != (cidr, value));
                if all.is_empty() {
                    break;
                }
            }
            let want: Vec<_> = all.iter().copied().filter(|(cidr, _)| cidr.overlaps(query)).collect();
            prop_assert_eq!(found(&index, query), want);
            prop_assert_eq!(index.len(), all.len());
            prop_assert!(before.len() >= index.len(), "a clone is not touched");
        }

        #[test]
        fn pairs_are_those_of_a_double_loop(networks in prop::collection::vec(network(), 0..40)) {
            let mut want = Vec::new();
            for i in 0..networks.len() {
                want.extend((i + 1..networks.len()).filter(|j| networks[i].overlaps(networks[*j])).map(|j| (i, j)));
            }
            prop_assert_eq!(overlapping_pairs(&networks), want);
        }
    }

    #[test]
    fn breaks_off_when_told() {
        let mut index = NetworkIndex::default();
        for i in 0..10 {
            index.insert("10.0.0.0/24".parse().unwrap(), i);
        }
        let mut seen = 0;
        index.overlapping("10.0.0.0/8".parse().unwrap(), |_, _| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, 3);
    }
}
