//! Small values that are read without serde_json, where their text is plain: no escapes, no control characters, no fractions,
//! no deep nesting, no member twice of those that are read. That is how API servers write nearly all of them. Anything else is
//! left to serde_json, so what a text means and what is wrong with it is decided in one place.

use super::blocks::plain_string_end;
use super::{AtMost, Bounded, Text};

/// A value whose plain text can be read without serde_json.
pub trait Plain<'a>: Sized {
    /// Reads it as serde_json would; `None` says nothing about the text.
    fn read(text: &mut PlainText<'a>) -> Option<Self>;
}

/// A place in a text, in front of a value.
#[derive(Debug)]
pub struct PlainText<'a> {
    text: &'a str,
    at: usize,
}

/// Room for the first elements of a list.
const USUAL_LIST: usize = 16;

/// How deep a value that nobody reads is looked at.
const DEEPEST: usize = 4;

impl<'a> PlainText<'a> {
    /// Reads the value at the beginning of a text, and says where it ends.
    pub(super) fn first<T: Plain<'a>>(text: &'a str) -> Option<(T, usize)> {
        let mut text = Self { text, at: 0 };
        let value = T::read(&mut text)?;
        Some((value, text.at))
    }

    /// Reads the one value of a text.
    pub fn whole<T: Plain<'a>>(text: &'a str) -> Option<T> {
        let (value, end) = Self::first(text)?;
        (end == text.len()).then_some(value)
    }

    /// The string that comes next.
    #[inline]
    pub fn string(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at;
        self.at = plain_string_end(self.text.as_bytes(), start)?;
        Some(&self.text[start + 1..self.at - 1])
    }

    /// Reads a member that may be there once.
    pub fn once<T: Plain<'a>>(&mut self, found: &mut Option<T>) -> Option<()> {
        found.replace(T::read(self)?).is_none().then_some(())
    }

    /// Calls for each member of the object that comes next; who is called reads or skips its value.
    pub fn each_member(&mut self, mut see: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.each([b'{', b'}'], |text| {
            let key = text.string()?;
            text.expect(b':')?;
            see(key, text)
        })
    }

    /// Skips the value that comes next.
    pub fn skip(&mut self) -> Option<()> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, levels: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => {
                let inner = levels.checked_sub(1)?;
                self.each_member(|_, text| text.skip_within(inner))
            }
            b'[' => {
                let inner = levels.checked_sub(1)?;
                self.each([b'[', b']'], |text| text.skip_within(inner))
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.digits().map(drop),
        }
    }

    /// Calls for each element of the array, or member of the object, that comes next.
    fn each(&mut self, [open, close]: [u8; 2], mut see: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(open)?;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            see(self)?;
            let behind = self.peek()?;
            self.at += 1;
            if behind != b',' {
                return (behind == close).then_some(());
            }
        }
    }

    /// The digits of the natural number that comes next, without a fraction or an exponent.
    fn digits(&mut self) -> Option<&'a str> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|b| !b.is_ascii_digit())?;
        let is_natural = length == 1 || length > 1 && !rest.starts_with('0');
        self.at += length;
        (is_natural && self.is_over()).then(|| &rest[..length])
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.peek()?;
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        (is_there && self.is_over()).then_some(())
    }

    /// Whether a number or a word ends here.
    fn is_over(&self) -> bool {
        let behind = self.text.as_bytes().get(self.at);
        behind.is_none_or(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The byte that comes next, behind white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }
}

impl<'a> Plain<'a> for Text<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        text.string().map(Self::from)
    }
}

impl<'a> Plain<'a> for bool {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        match text.peek()? {
            b't' => text.word("true").map(|()| true),
            _ => text.word("false").map(|()| false),
        }
    }
}

impl<'a> Plain<'a> for i32 {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        text.digits()?.parse().ok()
    }
}

/// `null` is left to serde_json.
impl<'a, T: Plain<'a>> Plain<'a> for Option<T> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        T::read(text).map(Some)
    }
}

impl<'a, T: Plain<'a>, const N: usize> Plain<'a> for AtMost<T, N> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let mut found = Vec::with_capacity(USUAL_LIST);
        text.each([b'[', b']'], |text| {
            if found.len() == N {
                return None;
            }
            found.push(T::read(text)?);
            Some(())
        })?;
        Some(Bounded(found))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Small<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(default)]
        flag: bool,
        #[serde(borrow)]
        list: Option<AtMost<Text<'a>, 3>>,
        number: Option<i32>,
    }

    impl<'a> Plain<'a> for Small<'a> {
        fn read(text: &mut PlainText<'a>) -> Option<Self> {
            let (mut name, mut flag, mut list, mut number) = (None, None, None, None);
            text.each_member(|key, text| match key {
                "name" => text.once(&mut name),
                "flag" => text.once(&mut flag),
                "list" => text.once(&mut list),
                "number" => text.once(&mut number),
                _ => text.skip(),
            })?;
            Some(Self { name: name?, flag: flag.unwrap_or_default(), list, number })
        }
    }

    /// Whether it was read; then serde_json reads the same, and as far.
    fn check<'a, T: Plain<'a> + Deserialize<'a> + PartialEq + Debug>(text: &'a str) -> bool {
        let Some((value, end)) = PlainText::first::<T>(text) else { return false };
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
        let same = values.next().unwrap().unwrap();
        assert_eq!((value, end), (same, values.byte_offset()), "{text}");
        true
    }

    #[test]
    fn plain_is_what_api_servers_write() {
        for (text, is_plain) in [
            (r#"{"name":"a"}"#, true),
            (r#" { "name" : "é" , "flag" : true , "list" : [ "x" , "" ] } rest"#, true),
            (r#"{"other":{"a":[1,{},[],null,true,false,0]},"name":"a","list":[],"number":12}"#, true),
            (r#"{"name":"a","list":["1","2","3"]}"#, true),
            (r#"{"name":"a","list":["1","2","3","4"]}"#, false),
            (r#"{"name":"a","name":"a"}"#, false),
            (r#"{"name":"a\n"}"#, false),
            (r#"{"n\u0061me":"a"}"#, false),
            ("{\"name\":\"a\n\"}", false),
            (r#"{"name":null}"#, false),
            (r#"{"name":"a","flag":truely}"#, false),
            (r#"{"name":"a","number":012}"#, false),
            (r#"{"name":"a","number":1.5}"#, false),
            (r#"{"name":"a","number":-1}"#, false),
            (r#"{"name":"a","number":99999999999}"#, false),
            (r#"{"name":"a","other":[[[[[1]]]]]}"#, false),
            (r#"{"name":"a","other":01}"#, false),
            (r#"{"name":"a",}"#, false),
            (r#"{"name":"a" "flag":true}"#, false),
            (r#"{"name":"a""#, false),
            (r#"["a"]"#, false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(check::<Small<'_>>(text), is_plain, "{text}");
        }
        assert_eq!(PlainText::whole::<Text<'_>>(r#""a""#), Some("a".into()));
        assert_eq!(PlainText::whole::<Text<'_>>(r#""a"x"#), None);
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            8 => r#"("name"|"flag"|"list"|"number"|"x"|"xxxxxxxxxxxxxx[a-d]{0,3}"|"\\\\n")"#,
            6 => r"[:,\[\]{} ]",
            4 => "(true|false|null|0|1|12|01|1\\.5|-1|1e5|99999999999)",
            4 => r#"("name":"a"|"flag":true|"list":\["a"\]|"number":7|,|, )"#,
            1 => ".",
        ];
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever is read here is read by serde_json too, with the same result.
        #[test]
        fn agrees_with_serde_json(text in text()) {
            check::<Small<'_>>(&text);
            check::<Small<'_>>(&format!("{{\"name\":\"a\",{text}}}"));
            check::<AtMost<Text<'_>, 3>>(&format!("[{text}]"));
            check::<Option<Text<'_>>>(&format!("\"{text}\""));
            check::<Option<i32>>(&format!("{text},"));
            check::<bool>(&text);
        }
    }
}
