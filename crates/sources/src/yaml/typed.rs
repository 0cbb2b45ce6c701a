//! A document as a value of a type, for files of network-guard's own kinds.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

use super::{Document, Problem, documents, without_place};

/// Reads the only document of a text. A number where a text belongs is accepted, as in sigs.k8s.io/yaml; a boolean is
/// not, because it may have been written as `y`. A duplicate key is refused, as by strict readers of Kubernetes. A
/// mapping or a list whose lines are all commented out is an empty one.
///
/// # Errors
///
/// Names the error: with the path of a value, or with the line of a document that cannot be read.
pub fn only<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let document = only_document(text).map_err(|problem| problem.to_string())?;
    // A place in converted text is none in the file; the path shows where it is.
    let bad = |problem: &str| without_place(problem).to_owned();
    let value: Value = serde_json::from_str(&document.json).map_err(|error| bad(&error.to_string()))?;
    serde_path_to_error::deserialize(Lax(value)).map_err(|error| {
        let path = error.path().to_string();
        let mut problem = bad(&error.inner().to_string());
        if problem.contains("invalid type: boolean") && problem.ends_with("expected a string") {
            problem += "; put words such as `yes`, `on` and `y` in quotes";
        }
        if path == "." { problem } else { format!("{path}: {problem}") }
    })
}

fn only_document(text: &str) -> Result<Document, Problem> {
    let mut all = documents(text);
    let document = match all.next() {
        None => return Err(Problem { line: 1, problem: "there is no document".to_owned() }),
        Some(document) => document.map_err(|unreadable| unreadable.problem)?,
    };
    if let Some(next) = all.next() {
        let line = next.map_or_else(|unreadable| unreadable.problem.line, |document| document.line);
        return Err(Problem { line, problem: "there is a second document".to_owned() });
    }
    if let Some(line) = document.rest {
        return Err(Problem { line, problem: "there is more behind the end of the document".to_owned() });
    }
    if let Some((line, key)) = document.twice.first() {
        return Err(Problem { line: *line, problem: format!("the key {key:?} is a duplicate") });
    }
    Ok(document)
}

struct Lax(Value);

impl Lax {
    /// The value as a text, where one belongs.
    fn text(self) -> Value {
        match self.0 {
            Value::Number(number) => Value::String(number.to_string()),
            other => other,
        }
    }
}

impl IntoDeserializer<'_, Error> for Lax {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Lax {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => {
                let mut list = SeqDeserializer::new(list.into_iter().map(Lax));
                let value = visitor.visit_seq(&mut list)?;
                list.end()?;
                Ok(value)
            }
            Value::Object(map) => {
                let mut map = MapDeserializer::new(map.into_iter().map(|(key, value)| (key, Lax(value))));
                let value = visitor.visit_map(&mut map)?;
                map.end()?;
                Ok(value)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text().deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text().deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Self(if self.0.is_null() { Value::Array(Vec::new()) } else { self.0 }).deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Self(if self.0.is_null() { Value::Object(Map::new()) } else { self.0 }).deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // A choice may be called `off`.
        let choice = if let Value::Bool(value) = self.0 { Value::String(value.to_string()) } else { self.text() };
        choice.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}
