//! The members of a JSON object, found without reading their values.
//!
//! Most of a review is never read: managed fields, status, the old object, environments and probes. A parser that
//! checks every byte of them takes longer than all the rest of a call. This one looks for quotes and brackets only,
//! which it needs to find the end of a value, and leaves the values that are read to `serde_json`, which checks them.

use memchr::memchr2;

use super::Text;

/// The text is not a JSON object, or breaks off inside one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a JSON object at byte {at}")]
pub struct Malformed {
    /// The byte of the text that should have been another.
    pub at: usize,
}

/// Walks the members of one object.
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a str,
    /// The next byte to look at; behind the closing brace once the walk is over.
    at: usize,
    is_first: bool,
}

impl<'a> Members<'a> {
    /// Starts with the text of an object.
    pub fn of(text: &'a str) -> Result<Self, Malformed> {
        let mut members = Self { text, at: 0, is_first: true };
        members.skip_space();
        members.expect(b'{')?;
        Ok(members)
    }

    /// The next member, its value as text; `None` behind the last one, when nothing but white space may follow.
    ///
    /// Not an `Iterator`, because after an error there is no next member.
    #[allow(clippy::should_implement_trait, reason = "see above")]
    pub fn next(&mut self) -> Result<Option<(Text<'a>, &'a str)>, Malformed> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.skip_space();
            return if self.at == self.text.len() { Ok(None) } else { Err(self.malformed()) };
        }
        if !std::mem::take(&mut self.is_first) {
            self.expect(b',')?;
            self.skip_space();
        }
        let key = self.key()?;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        let start = self.at;
        self.at = value_end(self.text.as_bytes(), start).ok_or(Malformed { at: start })?;
        Ok(Some((key, &self.text[start..self.at])))
    }

    fn key(&mut self) -> Result<Text<'a>, Malformed> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        self.at = string_end(self.text.as_bytes(), start).ok_or(Malformed { at: start })?;
        let quoted = &self.text[start..self.at];
        if quoted.contains('\\') {
            return serde_json::from_str(quoted).map_err(|_| Malformed { at: start });
        }
        Ok(Text::from(&quoted[1..quoted.len() - 1]))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }
}

/// The byte behind the value that starts here. Brackets are counted, not matched: who reads the value will see.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match *bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => {
            let (mut at, mut depth) = (start, 0_usize);
            loop {
                match *bytes.get(at)? {
                    b'"' => {
                        at = string_end(bytes, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => {
            let length =
                bytes[start..].iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))?;
            (length > 0).then_some(start + length)
        }
    }
}

/// The byte behind the closing quote of the string that starts here.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn walk(text: &str) -> Result<Vec<(String, &str)>, Malformed> {
        let mut members = Members::of(text)?;
        let mut found = Vec::new();
        while let Some((key, value)) = members.next()? {
            found.push((key.to_string(), value));
        }
        Ok(found)
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
