//! A text that another program wrote, with what it means.

use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text as it is stored, with what it means, such as a time. It is read once; a text that cannot be read is kept
/// nevertheless, because others may compare it, or write it again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written<S, T> {
    text: S,
    value: Option<T>,
}

impl<S, T: Copy> Written<S, T> {
    /// What it means; `None` where that is unknown.
    pub fn value(&self) -> Option<T> {
        self.value
    }

    /// The same with another kind of text.
    pub(crate) fn map<U>(self, text: impl FnOnce(S) -> U) -> Written<U, T> {
        Written { text: text(self.text), value: self.value }
    }
}

impl<S: Default, T> Default for Written<S, T> {
    fn default() -> Self {
        Self { text: S::default(), value: None }
    }
}

impl<S: Deref<Target = str>, T> Deref for Written<S, T> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<S: Deref<Target = str>, T: FromStr> Written<S, T> {
    fn new(text: S) -> Self {
        Self { value: text.parse().ok(), text }
    }
}

impl<S: Deref<Target = str> + for<'t> From<&'t str>, T: FromStr> From<&str> for Written<S, T> {
    fn from(text: &str) -> Self {
        Self::new(text.into())
    }
}

impl<S: Deref<Target = str> + From<String>, T: FromStr> From<String> for Written<S, T> {
    fn from(text: String) -> Self {
        Self::new(text.into())
    }
}

impl<'de, S: Deserialize<'de> + Deref<Target = str>, T: FromStr> Deserialize<'de> for Written<S, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        S::deserialize(deserializer).map(Self::new)
    }
}

impl<S: Deref<Target = str>, T> Serialize for Written<S, T> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_kept() {
        for (text, want) in [("1970-01-01T00:00:00Z", Some(Timestamp::UNIX_EPOCH)), ("yesterday", None), ("", None)] {
            let json = serde_json::to_string(text).unwrap();
            let written: Written<String, Timestamp> = serde_json::from_str(&json).unwrap();
            assert_eq!((written.value(), &*written), (want, text));
            assert_eq!(serde_json::to_string(&written).unwrap(), json);
            assert_eq!(written, Written::from(text));
        }
    }
}
