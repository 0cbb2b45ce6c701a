//! Converts one YAML document to JSON while it is read: there is no tree in memory.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::Problem;
use super::scalar::{Scalar, excerpt};
use super::settle::settle;

/// The most bytes of JSON that aliases of one document may add. A hundred aliases of a block of labels take kilobytes;
/// a file that grows exponentially exceeds it at once.
pub const MOST_ALIASED: usize = 64 << 20;

/// The deepest nesting. goyaml gives up at 10,000; no manifest comes near either.
const DEEPEST: usize = 1_000;

/// The most duplicate keys whose place is kept.
const MOST_TWICE: usize = 20;

const MERGE_TAG: &str = "tag:yaml.org,2002:merge";

/// The result.
pub(super) struct Composed {
    /// The document as JSON. Of a duplicate key the last value is kept.
    pub(super) json: String,
    /// The lines of the elements of the list `items` at the top.
    pub(super) items: Vec<usize>,
    /// Duplicate keys, with the line of the later one: the first of them.
    pub(super) twice: Vec<(usize, String)>,
    /// The line where text follows that does not belong to the document.
    pub(super) rest: Option<usize>,
}

/// Reads the first document of a text; `None` if it is empty.
pub(super) fn compose(text: &str) -> Result<Option<Composed>, Problem> {
    let mut options = granit_parser::options! { flow_nesting_limit: DEEPEST, block_nesting_limit: DEEPEST };
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut composer = Composer::default();
    let mut has_document = false;
    while let Some((event, span)) = next(&mut parser)? {
        let line = span.start.line();
        match event {
            Event::DocumentStart(..) => has_document = true,
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Scalar(_, ScalarStyle::Plain, ..) if let Some(next) = joined_colon(rest(text, &span)) => {
                return Err(Problem { line, problem: format!("write a blank between `:` and `{next}`") });
            }
            event => composer.take(event, line).map_err(|problem| Problem { line, problem })?,
        }
    }
    if !has_document {
        return Ok(None);
    }
    let rest = match next(&mut parser) {
        Ok(Some((Event::StreamEnd, _)) | None) => None,
        Ok(Some((_, span))) => Some(span.start.line()),
        Err(Problem { line, .. }) => Some(line),
    };
    composer.finish(rest).map(Some).map_err(|problem| Problem { line: 1, problem })
}

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Result<Option<(Event<'a>, Span)>, Problem> {
    let event = parser.next_event().transpose();
    event.map_err(|error| Problem { line: error.marker().line(), problem: error.info() })
}

/// What follows a part of a text.
fn rest<'t>(text: &'t str, span: &Span) -> &'t str {
    span.end.byte_offset().and_then(|end| text.get(end..)).unwrap_or_default()
}

/// The bracket or comma after a colon that ends a key without quotes, as in `{a:}`. The colon belongs to the key for
/// goyaml (YAML 1.1), and not for YAML 1.2: nobody means to write that, so it is refused. `rest` is the text after the
/// key.
fn joined_colon(rest: &str) -> Option<char> {
    rest.trim_start().strip_prefix(':')?.chars().next().filter(|next| ",[]{}".contains(*next))
}

/// A mapping or sequence that is open.
struct Frame {
    /// Where its text begins.
    start: usize,
    /// Its anchor; 0 is none.
    anchor: usize,
    kind: Kind,
}

enum Kind {
    Sequence {
        /// Whether it is the list `items` at the top.
        is_items: bool,
    },
    Mapping {
        /// Digests of its keys.
        keys: HashSet<u64>,
        next: Next,
    },
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Next {
    Key,
    Value,
    /// The value of `items` at the top.
    Items,
}

/// The value of an alias.
enum Anchored {
    /// It is still being read: an alias inside it would never end.
    Open,
    Scalar(Scalar<'static>),
    /// Its text.
    Collection(Range<usize>),
}

#[derive(Default)]
struct Composer {
    out: Vec<u8>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    /// The bytes that aliases have added.
    aliased: usize,
    hasher: RandomState,
    /// Whether the text has a merge key, or a duplicate key.
    is_raw: bool,
    items: Vec<usize>,
    twice: Vec<(usize, String)>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                let is_plain = style == ScalarStyle::Plain;
                let is_merge_key = text == "<<" && (is_plain && tag.is_none() || tag.as_deref() == Some(MERGE_TAG));
                let scalar = Scalar::read(text, is_plain, tag.as_deref())?;
                if anchor != 0 {
                    self.anchors.insert(anchor, Anchored::Scalar(scalar.clone().into_owned()));
                }
                self.scalar(scalar, is_merge_key, line)
            }
            Event::SequenceStart(_, anchor, _) => {
                let is_items = self.begin(line)? == Next::Items;
                if is_items {
                    self.items.clear();
                }
                self.open(Kind::Sequence { is_items }, anchor, b'[');
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(line)?;
                self.open(Kind::Mapping { keys: HashSet::new(), next: Next::Key }, anchor, b'{');
                Ok(())
            }
            Event::SequenceEnd => {
                self.close(b']');
                Ok(())
            }
            Event::MappingEnd => {
                self.close(b'}');
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, scalar: Scalar<'_>, is_merge_key: bool, line: usize) -> Result<(), String> {
        let is_key = matches!(self.frames.last(), Some(Frame { kind: Kind::Mapping { next: Next::Key, .. }, .. }));
        if is_key && is_merge_key {
            self.is_raw = true;
            let marker = self.marker();
            return self.key(&marker, false, line);
        }
        if is_key {
            return self.key(&scalar.into_key()?, true, line);
        }
        self.begin(line)?;
        scalar.write(&mut self.out)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), String> {
        let before = self.out.len();
        match self.anchors.get(&anchor) {
            None | Some(Anchored::Open) => return Err("an alias refers to a value that contains it".to_owned()),
            Some(Anchored::Scalar(scalar)) => {
                let scalar = scalar.clone();
                self.scalar(scalar, false, line)?;
            }
            Some(Anchored::Collection(range)) => {
                let range = range.clone();
                // Before the copy is made: it may be large.
                self.charge(range.len())?;
                self.begin(line)?;
                self.out.extend_from_within(range);
                return Ok(());
            }
        }
        self.charge(self.out.len() - before)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), String> {
        self.aliased += bytes;
        if self.aliased <= MOST_ALIASED {
            return Ok(());
        }
        Err(format!("its aliases (`*name`) expand to more than {} MiB, which is refused", MOST_ALIASED >> 20))
    }

    /// A value begins here, after a comma where there is a value before it. Returns whose value it is.
    fn begin(&mut self, line: usize) -> Result<Next, String> {
        let is_first = matches!(self.out.last(), Some(b'['));
        match self.frames.last_mut().map(|frame| &mut frame.kind) {
            None => Ok(Next::Value),
            Some(Kind::Sequence { is_items }) => {
                if !is_first {
                    self.out.push(b',');
                }
                if *is_items {
                    self.items.push(line);
                }
                Ok(Next::Value)
            }
            Some(Kind::Mapping { next: Next::Key, .. }) => Err("a list or a mapping cannot be a key".to_owned()),
            Some(Kind::Mapping { next, .. }) => Ok(std::mem::replace(next, Next::Key)),
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, bracket: u8) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
        self.frames.push(Frame { start: self.out.len(), anchor, kind });
        self.out.push(bracket);
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        if let Some(Frame { start, anchor, .. }) = self.frames.pop()
            && anchor != 0
        {
            self.anchors.insert(anchor, Anchored::Collection(start..self.out.len()));
        }
    }

    fn key(&mut self, key: &str, counts: bool, line: usize) -> Result<(), String> {
        let is_top = self.frames.len() == 1;
        let digest = self.hasher.hash_one(key);
        let Some(Frame { kind: Kind::Mapping { keys, next }, .. }) = self.frames.last_mut() else { return Ok(()) };
        *next = if is_top && key == "items" { Next::Items } else { Next::Value };
        if counts && !keys.insert(digest) {
            self.is_raw = true;
            if self.twice.len() < MOST_TWICE {
                self.twice.push((line, excerpt(key)));
            }
        }
        if !matches!(self.out.last(), Some(b'{')) {
            self.out.push(b',');
        }
        serde_json::to_writer(&mut self.out, key).map_err(|error| error.to_string())?;
        self.out.push(b':');
        Ok(())
    }

    /// A key that no document can have.
    fn marker(&self) -> String {
        format!("\u{0}<<{:016x}", self.hasher.hash_one("<<"))
    }

    fn finish(self, rest: Option<usize>) -> Result<Composed, String> {
        let marker = self.marker();
        let json = String::from_utf8(self.out).map_err(|error| error.to_string())?;
        let json = if self.is_raw { settle(&json, Some(&*marker))? } else { json };
        Ok(Composed { json, items: self.items, twice: self.twice, rest })
    }
}
