//! JSON texts with duplicate keys.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The first duplicate key of a JSON text. What is nested too deeply for a recursive reader is not checked.
pub(super) fn twice(json: &str) -> Option<String> {
    Twice(&RandomState::new()).deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap_or(None)
}

#[derive(Clone, Copy)]
struct Twice<'a>(&'a RandomState);

impl<'de> DeserializeSeed<'de> for Twice<'_> {
    type Value = Option<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Twice<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Option<String>, A::Error> {
        while let Some(found) = access.next_element_seed(self)? {
            if found.is_some() {
                while access.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Option<String>, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = access.next_key::<String>()? {
            let is_new = keys.insert(self.0.hash_one(&key));
            let found = access.next_value_seed(self)?.or_else(|| (!is_new).then_some(key));
            if found.is_some() {
                while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Reads JSON that may have duplicate and merge keys, and writes it with each key once, as goyaml does: a later member
/// counts, and a merge is placed among them where it is written.
pub(super) fn settle(json: &str, marker: Option<&str>) -> Result<String, String> {
    let mut values = serde_json::Deserializer::from_str(json);
    let value = Settled(marker)
        .deserialize(&mut values)
        .map_err(|error| super::without_place(&error.to_string()).to_owned())?;
    Ok(value.to_string())
}

#[derive(Clone, Copy)]
struct Settled<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for Settled<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Settled<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(self)?;
            if self.0 != Some(&*key) {
                map.insert(key, value);
                continue;
            }
            // Of several the first counts.
            let merged = if let Value::Array(several) = value { several } else { vec![value] };
            for value in merged.into_iter().rev() {
                let Value::Object(members) = value else {
                    return Err(A::Error::custom("a merge key (`<<`) needs a mapping, or a list of mappings"));
                };
                map.extend(members);
            }
        }
        Ok(map.into())
    }
}
