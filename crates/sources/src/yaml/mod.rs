//! Files of YAML or JSON as kubectl reads them: each document becomes JSON text.
//!
//! kubectl takes a file for JSON if it begins with `{`, and otherwise splits it at `---` and hands each part to goyaml
//! (`k8s.io/apimachinery/pkg/util/yaml`, `sigs.k8s.io/yaml`). This module reads whatever kubectl reads, with the same
//! result, which `tests/e2e/yaml.rs` checks against kubectl's own code, and some more files: `--- {…}` on one line, and
//! the directive `%YAML 1.2`.
//!
//! The time taken and the memory are a small multiple of the text's length, and [`MOST_ALIASED`] for each document with aliases.

mod compose;
mod scalar;
mod settle;
mod typed;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::compose::MOST_ALIASED;
use self::compose::{Composed, compose};
use self::settle::{settle, twice};
pub use self::typed::only;

/// The largest file that is read, in bytes. Ten thousand Shoots with their managed fields are a third of it.
pub const MOST_BYTES: u64 = 1 << 30;

/// One document.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Document {
    /// The line where it begins, from 1.
    pub line: usize,
    /// Its text as JSON, without duplicate keys.
    pub json: String,
    /// The lines of the elements of its list `items`.
    pub items: Vec<usize>,
    /// Duplicate keys, with the line of the later one, which counts: the first of them. Of JSON it is only one, with
    /// the line of the document.
    pub twice: Vec<(usize, String)>,
    /// The line from which text follows that kubectl does not read.
    pub rest: Option<usize>,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// A document that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable<'a> {
    /// Why.
    pub problem: Problem,
    /// Its text.
    pub text: &'a str,
}

/// The text of a file: UTF-8, or UTF-16 with a byte order mark, as a Windows shell writes it. Other bytes become
/// U+FFFD, as for kubectl (`FileVisitor` of `k8s.io/cli-runtime`); the line of the first one, from 1, is returned too.
pub fn decode(bytes: Vec<u8>) -> (String, Option<usize>) {
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let (pairs, odd) = bytes[2..].as_chunks();
        let (mut text, mut replaced) = (String::with_capacity(bytes.len()), None);
        for unit in char::decode_utf16(pairs.iter().map(|pair| read(*pair))) {
            if unit.is_err() {
                replaced.get_or_insert_with(|| 1 + newlines(text.as_bytes()));
            }
            text.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !odd.is_empty() {
            replaced.get_or_insert_with(|| 1 + newlines(text.as_bytes()));
            text.push(char::REPLACEMENT_CHARACTER);
        }
        (text, replaced)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let line = 1 + newlines(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
                let mut text = String::with_capacity(error.as_bytes().len());
                for chunk in error.as_bytes().utf8_chunks() {
                    text.push_str(chunk.valid());
                    text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
                }
                (text, Some(line))
            }
        },
    }
}

/// The remark about bytes that are no text.
pub const NOT_UTF8: &str = "has a byte that is not UTF-8";

/// All non-empty documents of a text.
pub fn documents(text: &str) -> Documents<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Documents { rest: text, line: 1, json: text.trim_start().starts_with('{').then_some(0), has_lines: false }
}

/// See [`documents`].
#[derive(Clone, Debug)]
pub struct Documents<'a> {
    rest: &'a str,
    /// The line where the rest begins.
    line: usize,
    /// How many documents were JSON, as long as the text may be.
    json: Option<usize>,
    /// Whether kubectl has lines for its next document already: it takes `---# next` for a marker only behind some.
    has_lines: bool,
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Document, Unreadable<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(count) = self.json {
                match self.next_json(count) {
                    Json::Document(document) => return Some(document),
                    Json::End => return None,
                    Json::Other => self.json = None,
                }
            }
            if self.rest.is_empty() {
                return None;
            }
            let follows_lines = self.has_lines;
            let (mut document, rest) = self.rest.split_at(end(self.rest, &mut self.has_lines));
            let mut line = self.line;
            self.advance(rest);
            // For kubectl this is a marker, for YAML it is none.
            if follows_lines && is_joined_marker(document) {
                document = document.split_once('\n').map_or("", |(_, document)| document);
                line += 1;
            }
            // kubectl ends each line, also the last one.
            let ended = (!document.ends_with('\n')).then(|| format!("{document}\n"));
            match compose(ended.as_deref().unwrap_or(document)) {
                Ok(None) => {}
                Ok(Some(Composed { json, .. })) if json == "null" => {}
                Ok(Some(Composed { json, items, twice, rest })) => {
                    let place = |at: usize| line - 1 + at;
                    return Some(Ok(Document {
                        line: line + leading(document),
                        json,
                        items: items.into_iter().map(place).collect(),
                        twice: twice.into_iter().map(|(at, key)| (place(at), key)).collect(),
                        rest: rest.filter(|at| has_content(document, *at)).map(place),
                    }));
                }
                Err(Problem { line: at, problem }) => {
                    let problem = Problem { line: line - 1 + at.max(1), problem };
                    return Some(Err(Unreadable { problem, text: document }));
                }
            }
        }
    }
}

impl<'a> Documents<'a> {
    fn advance(&mut self, rest: &'a str) {
        self.line += newlines(&self.rest.as_bytes()[..self.rest.len() - rest.len()]);
        self.rest = rest;
    }

    fn next_json(&mut self, count: usize) -> Json<'a> {
        let start = self.rest.trim_start();
        // kubectl leaves out blanks behind JSON up to the end of that line. Further empty lines are lines of the next document.
        self.has_lines = count > 0 && newlines(&self.rest.as_bytes()[..self.rest.len() - start.len()]) > 1;
        self.advance(start);
        if start.is_empty() {
            return Json::End;
        }
        let line = self.line;
        let mut values = serde_json::Deserializer::from_str(start).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(value)) if value.get().starts_with('{') => {
                let document = json_document(value.get(), line);
                self.json = Some(count + 1);
                self.advance(&start[values.byte_offset()..]);
                Json::Document(document.map_err(|problem| Unreadable { problem, text: value.get() }))
            }
            // Behind a first document, or as the first one, YAML may come.
            Some(Err(error))
                if count > 1 || count == 0 && start[1..].trim_start().starts_with('"') && !is_yaml(start) =>
            {
                let problem = without_place(&error.to_string()).to_owned();
                self.rest = "";
                let problem = Problem { line: line - 1 + error.line().max(1), problem };
                Json::Document(Err(Unreadable { problem, text: start }))
            }
            _ => Json::Other,
        }
    }
}

/// What comes next in a text that may be JSON.
enum Json<'a> {
    Document(Result<Document, Unreadable<'a>>),
    End,
    /// It is no JSON.
    Other,
}

/// Whether a text that begins like JSON is a YAML document.
fn is_yaml(text: &str) -> bool {
    compose(&text[..end(text, &mut false)]).is_ok()
}

fn json_document(text: &str, line: usize) -> Result<Document, Problem> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: Option<Vec<&'a RawValue>>,
    }

    let bad = |error: &str| Problem { line, problem: without_place(error).to_owned() };
    let mut items = Vec::new();
    let mut at = (line, 0);
    // A duplicate list is settled below, and has no lines.
    if let Ok(List { items: Some(elements) }) = serde_json::from_str::<List<'_>>(text) {
        for element in elements {
            let start = element.get().as_ptr() as usize - text.as_ptr() as usize;
            at = (at.0 + newlines(&text.as_bytes()[at.1..start]), start);
            items.push(at.0);
        }
    }
    // JSON has no merge keys.
    let twice: Vec<(usize, String)> = twice(text).map(|key| (line, key)).into_iter().collect();
    let json = if twice.is_empty() { text.to_owned() } else { settle(text, None).map_err(|error| bad(&error))? };
    Ok(Document { line, json, items, twice, rest: None })
}

/// Where the first document of a text ends: before the next line that begins with `---`, unless there is nothing before it but
/// comments and directives. `has_lines` is what [`Documents`] has: kubectl drops a marker that ends its lines, and otherwise keeps
/// it as a line (`YAMLReader::Read` of `k8s.io/apimachinery/pkg/util/yaml`).
fn end(text: &str, has_lines: &mut bool) -> usize {
    let (mut at, mut has_content) = (0, false);
    for line in text.split_inclusive('\n') {
        let is_marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_marker && has_content || at > 0 && *has_lines && is_joined_marker(line) {
            return at;
        }
        *has_lines = !(*has_lines && line.starts_with("---"));
        let first = line.trim_start();
        // With its marker, a document may be empty.
        has_content |= is_marker || !(first.is_empty() || first.starts_with('#') || line.starts_with('%'));
        at += line.len();
    }
    text.len()
}

/// Whether a line is a marker of kubectl with a comment that no blank precedes, as `---# next`.
fn is_joined_marker(line: &str) -> bool {
    line.starts_with("---#")
}

/// Whether there is more than comments and directives from a line on.
fn has_content(document: &str, line: usize) -> bool {
    let is_empty = |line: &str| {
        let start = line.trim_start();
        start.is_empty() || start.starts_with('#') || line.starts_with('%') || line.trim_end() == "..."
    };
    !document.lines().skip(line.saturating_sub(1)).all(is_empty)
}

/// How many lines of a document come before what it says.
fn leading(document: &str) -> usize {
    let is_empty = |line: &&str| {
        let line = line.strip_prefix("---").unwrap_or(line).trim_start();
        line.is_empty() || line.starts_with('#') || line.starts_with('%')
    };
    document.lines().take_while(is_empty).count()
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// Removes the place in a converted document, which is none in the file.
pub fn without_place(problem: &str) -> &str {
    problem.split_once(" at line ").map_or(problem, |(problem, _)| problem)
}

#[cfg(test)]
mod tests;
