//! A field of an object that cannot be used, and where it is.

use std::fmt;

use serde::Deserialize;

use crate::json::{Malformed, excerpt};

/// A field that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldError {
    /// The path in the object, such as `spec.shoot.status.networking.nodes[1]`.
    pub path: String,
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
    /// The same error, seen from the object around it.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let path = if self.path.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.path) };
        Self { path, ..self }
    }

    pub(super) fn missing(path: &str) -> Self {
        Self { path: path.to_owned(), value: String::new(), problem: "is missing".to_owned() }
    }
}

impl From<Malformed> for FieldError {
    fn from(error: Malformed) -> Self {
        Self { path: String::new(), value: String::new(), problem: error.to_string() }
    }
}

/// Reads a text that is at this path; it is empty for a whole object.
pub(super) fn typed<'a, T: Deserialize<'a>>(outer: &str, text: &'a str) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let path = match error.path().to_string().as_str() {
            "." => String::new(),
            path => path.to_owned(),
        };
        let error = FieldError { path, value: String::new(), problem: excerpt(&error.into_inner().to_string()) };
        if outer.is_empty() { error } else { error.within(outer) }
    })
}
