//! Removes duplicates from lists.

use std::collections::HashSet;
use std::hash::Hash;

/// Lists of up to this length are searched in place, without extra memory: more than the networks of nearly every
/// Shoot.
const FEW: usize = 8;

/// Each element once, at its first position. The time is linear in the length of the list, also for a hostile list.
pub fn each_once<T: Copy + Eq + Hash>(all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut few, mut many) = ([None; FEW], HashSet::new());
    all.into_iter().filter(move |element| {
        for place in &mut few {
            match place {
                Some(known) if known == element => return false,
                Some(_) => {}
                None => {
                    *place = Some(*element);
                    return true;
                }
            }
        }
        many.insert(*element)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    /// A number that counts how often it is compared.
    #[derive(Clone, Copy, Debug)]
    struct Counted<'c>(u32, &'c Cell<usize>);

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.1.set(self.1.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted<'_> {}

    impl Hash for Counted<'_> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    proptest! {
        /// The first of each, in their order.
        #[test]
        fn is_what_a_comparison_of_all_gives(list in prop::collection::vec(0u8..24, 0..64)) {
            let firsts = list.iter().enumerate().filter(|(i, element)| !list[..*i].contains(element));
            let want: Vec<u8> = firsts.map(|(_, element)| *element).collect();
            prop_assert_eq!(each_once(list.iter().copied()).collect::<Vec<_>>(), want);
        }
    }

    /// Two comparisons for each of the few, and a collision now and then.
    #[test]
    fn compares_in_proportion_to_the_list() {
        for different in [1, 7, 8, 9, 1_000, 50_000] {
            let compared = Cell::new(0);
            let list = (0..50_000).map(|number| Counted(number % different, &compared));
            assert_eq!(each_once(list).count(), different as usize);
            assert!(compared.get() < 50_000 * (FEW + 2), "{different}: {}", compared.get());
        }
    }
}
