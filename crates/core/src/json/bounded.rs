//! Lists that take no more memory than their limit, however long the text is.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// A list of at most `N` elements. One that has more is an error, or, unless it is `STRICT`, ends there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounded<T, const N: usize, const STRICT: bool>(pub Vec<T>);

/// A list that must not have more than `N` elements.
pub type AtMost<T, const N: usize> = Bounded<T, N, true>;

/// The first `N` elements of a list.
pub type FirstOf<T, const N: usize> = Bounded<T, N, false>;

/// The error about a list with too many elements.
pub fn too_many(most: usize) -> String {
    format!("has more than {most} elements, which no real object has")
}

impl<'de, T: Deserialize<'de>, const N: usize, const STRICT: bool> Deserialize<'de> for Bounded<T, N, STRICT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const N: usize, const STRICT: bool>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize, const STRICT: bool> Visitor<'de> for ListVisitor<T, N, STRICT> {
            type Value = Bounded<T, N, STRICT>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while found.len() < N {
                    let Some(element) = list.next_element()? else { return Ok(Bounded(found)) };
                    found.push(element);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    if STRICT {
                        return Err(A::Error::custom(too_many(N)));
                    }
                }
                Ok(Bounded(found))
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_at_its_limit() {
        let strict = |text| serde_json::from_str::<AtMost<u8, 2>>(text).map_err(|error| error.to_string());
        let first = |text| serde_json::from_str::<FirstOf<u8, 2>>(text).unwrap().0;
        assert_eq!(strict("[1,2]").unwrap().0, [1, 2]);
        assert!(strict("[1,2,3]").unwrap_err().starts_with("has more than 2 elements"));
        assert_eq!((first("[]"), first("[1,2]"), first("[1,2,3,{}]")), (vec![], vec![1, 2], vec![1, 2]));
        assert!(serde_json::from_str::<FirstOf<u8, 2>>("[1,2,3").is_err());
    }
}
