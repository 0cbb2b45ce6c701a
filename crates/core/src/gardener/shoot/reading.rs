//! Reads one member of a Shoot, or reports why it cannot be read.

use serde::Deserialize;

use crate::gardener::field_error::instead;
use crate::gardener::{FieldError, LONGEST_NAME};
use crate::json::{FieldPath, Malformed, Members, Text, excerpt};

/// What is wrong at a fixed path, or in an item of a list there.
pub(super) struct Problem {
    path: &'static str,
    index: Option<usize>,
    problem: String,
}

impl Problem {
    pub(super) fn new(path: &'static str, problem: String) -> Self {
        Self { path, index: None, problem }
    }

    pub(super) fn at(path: &'static str, error: Malformed) -> Self {
        Self::new(path, error.to_string())
    }

    pub(super) fn of_item(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }

    pub(super) fn into_field(self) -> FieldError {
        let path = FieldPath::from(self.path);
        let path = if let Some(index) = self.index { path.index(index) } else { path };
        FieldError::new(path, excerpt(&self.problem))
    }
}

/// Enters a mapping, or reports what is there instead.
pub(super) fn enter(path: &'static str, members: &mut Members<'_>) -> Result<(), Problem> {
    members.enter().map_err(|error| Problem::new(path, instead("a mapping", members.rest(), error)))
}

/// Enters a list, or reports what is there instead.
pub(super) fn enter_list(path: &'static str, members: &mut Members<'_>) -> Result<(), Problem> {
    members.enter_array().map_err(|error| Problem::new(path, instead("a list", members.rest(), error)))
}

/// The text of the value that comes next; `None` for `null`.
pub(super) fn text<'a>(members: &mut Members<'a>) -> Result<Option<&'a str>, Malformed> {
    Ok(Some(members.skip()?).filter(|text| *text != "null"))
}

/// Reads a name; an overlong one is an error.
pub(super) fn name<'a>(path: &'static str, members: &mut Members<'a>) -> Result<Option<Text<'a>>, Problem> {
    let name: Option<Text<'_>> = read(path, members)?;
    match name.as_ref().map_or(0, |name| name.len()) {
        ..=LONGEST_NAME => Ok(name),
        length => Err(Problem::new(path, format!("has {length} bytes, more than a name can have"))),
    }
}

/// Reads a list of texts, of which no more are kept than these; `null` has none.
pub(super) fn texts<'a>(path: &'static str, members: &mut Members<'a>, most: usize) -> Result<Vec<Text<'a>>, Problem> {
    let here = |error| Problem::at(path, error);
    let mut texts = Vec::new();
    if members.is_null() {
        members.skip().map_err(here)?;
        return Ok(texts);
    }
    enter_list(path, members)?;
    while members.element().map_err(here)? {
        if texts.len() < most {
            let text = members.read().map_err(|error| Problem::new(path, error.to_string()).of_item(texts.len()));
            texts.push(text?);
        } else {
            members.skip().map_err(here)?;
        }
    }
    Ok(texts)
}

pub(super) fn read<'a, T: Deserialize<'a>>(
    path: &'static str,
    members: &mut Members<'a>,
) -> Result<Option<T>, Problem> {
    members.read().map_err(|error| Problem::new(path, error.to_string()))
}

/// A boolean as Go's `strconv.ParseBool` reads it, which is how Gardener reads annotations.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
