//! A field of an object that cannot be used, and where it is.

use std::fmt;

use crate::json::Malformed;

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
