//! A field of an object that cannot be used, and where it is.

use std::fmt;

use serde::Deserialize;

use crate::json::{FieldPath, Malformed, excerpt};

/// A field that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldError {
    /// The path in the object, such as `spec.shoot.status.networking.nodes[1]`.
    pub path: FieldPath,
    /// The value as JSON, or empty when the field is missing.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.problem)
        } else if self.value.is_empty() {
            write!(f, "{}: {}", self.path, self.problem)
        } else {
            write!(f, "{}: {}: {}", self.path, self.value, self.problem)
        }
    }
}

impl FieldError {
    /// An error about a field, without its value.
    pub fn new(path: impl Into<FieldPath>, problem: String) -> Self {
        Self { path: path.into(), value: String::new(), problem }
    }

    /// The same error, seen from the object around it.
    #[must_use]
    pub fn within(self, outer: impl Into<FieldPath>) -> Self {
        Self { path: outer.into().join(self.path), ..self }
    }

    pub(super) fn missing(path: impl Into<FieldPath>) -> Self {
        Self::new(path, "is missing".to_owned())
    }
}

impl From<Malformed> for FieldError {
    fn from(error: Malformed) -> Self {
        Self::new("", error.to_string())
    }
}

/// What is there instead, in the terms of YAML.
pub(super) fn instead(expected: &str, rest: &str, error: Malformed) -> String {
    let found = match rest.as_bytes().first() {
        Some(b'n') => return "is empty".to_owned(),
        Some(b'{') => "a mapping",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'0'..=b'9' | b'-') => "a number",
        _ => return error.to_string(),
    };
    format!("is {found}, not {expected}")
}

/// Reads a value of a type; the error has the path of what is wrong inside.
pub(super) fn typed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let path = FieldPath::from(error.path());
        FieldError::new(path, excerpt(&error.into_inner().to_string()))
    })
}
