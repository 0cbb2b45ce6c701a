//! What a write touched of the entries of a list.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::weight::Severity;

/// What the writer of a request changed about an entry of a list; the later, the more.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Touch {
    /// Nothing: its problems were stored before.
    Stored,
    /// Something that it is judged with, and nothing of the entry itself.
    Beside,
    /// A field of an entry that was stored before.
    Edited,
    /// It is new, or newly in effect.
    Added,
}

impl Touch {
    /// The most that a finding may weigh which is new from this touch on: with less its problem was stored.
    pub fn most(self, cause: Self) -> Severity {
        if self >= cause { Severity::Deny } else { Severity::Warn }
    }
}

/// The entries of a stored list: under a key, what else each of them says. Their order does not matter.
#[derive(Clone, Debug)]
pub struct Entries<K, V>(HashMap<K, Vec<V>>);

impl<K: Eq + Hash, V: PartialEq> Entries<K, V> {
    /// The stored entries. Of several with one key each counts: any of them may go.
    pub fn stored(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut by_key: HashMap<K, Vec<V>> = HashMap::new();
        for (key, value) in entries {
            by_key.entry(key).or_default().push(value);
        }
        Self(by_key)
    }

    /// Whether an entry has this key.
    pub fn has(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// What the writer changed about this entry. `is_beside_touched` says whether something changed that all entries are judged
    /// with.
    pub fn touch(&self, key: &K, value: &V, is_beside_touched: bool) -> Touch {
        match self.0.get(key) {
            None => Touch::Added,
            Some(values) if !values.contains(value) => Touch::Edited,
            Some(_) if is_beside_touched => Touch::Beside,
            Some(_) => Touch::Stored,
        }
    }

    /// The keys of the stored entries, in any order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}

/// What the writer added to a list.
pub fn added<T: Copy + PartialEq>(list: &[T], stored: &[T]) -> Vec<T> {
    list.iter().copied().filter(|element| !stored.contains(element)).collect()
}

/// Whether a list is another one, and not only in another order.
pub fn are_edited<T: Ord>(list: impl Iterator<Item = T>, stored: impl Iterator<Item = T>) -> bool {
    let (mut list, mut stored): (Vec<T>, Vec<T>) = (list.collect(), stored.collect());
    list.sort_unstable();
    stored.sort_unstable();
    list != stored
}
