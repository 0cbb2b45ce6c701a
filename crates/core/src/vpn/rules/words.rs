//! Lists in messages.

use std::fmt;

/// The first of these, and how many more there are.
pub(super) fn first_and_more<T: fmt::Display>(all: &[T]) -> String {
    match all {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
