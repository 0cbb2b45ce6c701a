//! The members of a JSON object, found without reading their values.
//!
//! Most of a review is never read: managed fields, status, the old object, environments and probes. A parser that
//! checks every byte of them takes longer than all the rest of a call. This one searches only for quotes and brackets,
//! which mark the end of a value, and leaves the values that are read to `serde_json`, which checks them.

use serde::Deserialize;

use super::blocks::{container_end, string_end};
use super::{LongValues, Plain, PlainText, Text};

/// The text is not the object or array that was entered, or ends inside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed JSON at byte {at}")]
pub struct Malformed {
    /// The position of the wrong byte.
    pub at: usize,
}

/// Walks a JSON text once, from member to member; at each value the caller skips, reads, or enters it.
///
/// ```
/// use network_guard_core::json::Members;
///
/// let mut members = Members::of(r#"{"skipped": {"a": [1]}, "entered": {"b": "text"}}"#);
/// let mut found = None;
/// members.enter()?;
/// while let Some(key) = members.key()? {
///     if &*key == "entered" {
///         members.enter()?;
///         while let Some(key) = members.key()? {
///             found = Some((key.to_string(), members.skip()?));
///         }
///     } else {
///         members.skip()?;
///     }
/// }
/// members.end()?;
/// assert_eq!(found, Some(("b".to_owned(), "\"text\"")));
/// # Ok::<(), network_guard_core::json::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a str,
    at: usize,
    /// Whether an object or array was entered and none of its elements was read yet.
    is_first: bool,
    /// Values whose ends need not be searched.
    long: LongValues,
}

impl<'a> Members<'a> {
    /// Starts in front of a value.
    pub fn of(text: &'a str) -> Self {
        Self::knowing(text, LongValues::default())
    }

    /// The same, where the ends of some of its values are known.
    pub fn knowing(text: &'a str, long: LongValues) -> Self {
        Self { text, at: 0, is_first: false, long }
    }

    /// Enters the object that comes next.
    pub fn enter(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.expect(b'{')?;
        self.is_first = true;
        Ok(())
    }

    /// The key of the next member, behind which its value comes next; `None` when the object is over and left.
    pub fn key(&mut self) -> Result<Option<Text<'a>>, Malformed> {
        if !self.another(b'}')? {
            return Ok(None);
        }
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        let (end, has_escapes) = string_end(self.text.as_bytes(), start).ok_or(Malformed { at: start })?;
        self.at = end;
        let key = if has_escapes {
            serde_json::from_str(&self.text[start..end]).map_err(|_| Malformed { at: start })?
        } else {
            Text::from(&self.text[start + 1..end - 1])
        };
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Ok(Some(key))
    }

    /// Skips the value that comes next and gives its text. It ends where it should, but only who reads it knows
    /// whether it is JSON.
    #[inline]
    pub fn skip(&mut self) -> Result<&'a str, Malformed> {
        self.skip_space();
        let start = self.at;
        let known = if matches!(self.peek(), Some(b'{' | b'[')) { self.long.end(start) } else { None };
        let end = known.or_else(|| value_end(self.text.as_bytes(), start)).ok_or(Malformed { at: start })?;
        let value = self.text.get(start..end).ok_or(Malformed { at: start })?;
        self.at = end;
        Ok(value)
    }

    /// Skips the value that comes next, behind which this rest of the text was found.
    pub(super) fn skip_to(&mut self, rest: &str) -> Result<&'a str, Malformed> {
        let (start, end) = (self.at, self.text.len().saturating_sub(rest.len()));
        let value = self.text.get(start..end).ok_or(Malformed { at: start })?;
        self.at = end;
        Ok(value)
    }

    /// Enters the array that comes next.
    pub fn enter_array(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.expect(b'[')?;
        self.is_first = true;
        Ok(())
    }

    /// Whether another element comes next; otherwise the array is over and left.
    pub fn element(&mut self) -> Result<bool, Malformed> {
        self.another(b']')
    }

    /// Reads the value that comes next, without looking for its end first.
    pub fn read<T: Deserialize<'a>>(&mut self) -> Result<T, serde_json::Error> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter();
        let value = values.next().unwrap_or_else(|| Err(serde::de::Error::custom("a value is missing")));
        self.at += values.byte_offset();
        value
    }

    /// The same for a small value, sooner where its text is plain.
    pub fn read_small<T: Deserialize<'a> + Plain<'a>>(&mut self) -> Result<T, serde_json::Error> {
        let Some((value, length)) = PlainText::first(self.rest()) else { return self.read() };
        self.at += length;
        Ok(value)
    }

    /// Whether `null` comes next.
    pub fn is_null(&self) -> bool {
        self.text[self.at..].starts_with("null")
    }

    /// What comes next, to the end of the text.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.malformed()) }
    }

    /// Whether something comes before the closing bracket; steps over the comma before it, or over the bracket.
    #[inline]
    fn another(&mut self, close: u8) -> Result<bool, Malformed> {
        self.skip_space();
        let is_first = std::mem::take(&mut self.is_first);
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
            self.skip_space();
        }
        Ok(true)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }
}

/// The position after the value that starts here. Brackets are counted, not matched: the reader of the value checks
/// them.
#[inline]
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match *bytes.get(start)? {
        b'"' => string_end(bytes, start).map(|(end, _)| end),
        b'{' | b'[' => container_end(bytes, start),
        _ => {
            let is_end = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let length = bytes[start..].iter().position(is_end)?;
            (length > 0).then_some(start + length)
        }
    }
}

#[cfg(test)]
impl<'a> Members<'a> {
    /// All members of the object, behind which the text ends.
    pub(crate) fn all(mut self) -> Result<Vec<(String, &'a str)>, Malformed> {
        let mut found = Vec::new();
        self.enter()?;
        while let Some(key) = self.key()? {
            found.push((key.to_string(), self.skip()?));
        }
        self.end()?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn walk(text: &str) -> Result<Vec<(String, &str)>, Malformed> {
        Members::of(text).all()
    }

    #[test]
    fn finds_members_and_leaves_values_alone() {
        let text = " { \"a\" : [1, {\"b\": \"]}\\\"\"}] ,\"c\\u0064\":null,\"e\":-1.5e3}\n";
        assert_eq!(
            walk(text).unwrap(),
            [("a".to_owned(), "[1, {\"b\": \"]}\\\"\"}]"), ("cd".to_owned(), "null"), ("e".to_owned(), "-1.5e3"),]
        );
        assert_eq!(walk("{}").unwrap(), []);
    }

    #[test]
    fn walks_arrays() {
        let mut members = Members::of(" [ {\"a\": 1} , [] ,\"x\"] ");
        members.enter_array().unwrap();
        let mut found = Vec::new();
        while members.element().unwrap() {
            found.push(members.skip().unwrap());
        }
        members.end().unwrap();
        assert_eq!(found, ["{\"a\": 1}", "[]", "\"x\""]);

        let mut empty = Members::of("[]");
        empty.enter_array().unwrap();
        assert_eq!(empty.element(), Ok(false));
        assert!(Members::of("{}").enter_array().is_err());
        let mut broken = Members::of("[1 2]");
        broken.enter_array().unwrap();
        assert_eq!(broken.element(), Ok(true));
        broken.skip().unwrap();
        assert!(broken.element().is_err());
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "{\"a\":[",
            "{\"a\":1,}",
            "{,\"a\":1}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{\"a\":1}x",
            "{}{}",
            "{\"\\x\":1}",
        ] {
            assert!(walk(text).is_err(), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            r#"["\\{}\[\],:]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever serde_json writes is found again, member by member.
        #[test]
        fn agrees_with_serde_json(map in prop::collection::btree_map(".{0,6}", json(), 0..6), pretty in any::<bool>()) {
            let object: Map<String, Value> = map.into_iter().collect();
            let value = Value::Object(object.clone());
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let walked: Map<String, Value> = walk(&text)
                .unwrap()
                .into_iter()
                .map(|(key, value)| (key, serde_json::from_str(value).unwrap()))
                .collect();
            prop_assert_eq!(walked, object);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,60}", start in 0usize..4) {
            let _ = walk(&text);
            let _ = walk(&(["{\"", "{\"a\":", "{\"a\":[", "{\"a\":\""][start].to_owned() + &text));
        }
    }
}
