//! A list from the API server of a Shoot, read while it arrives. That server belongs to the Shoot's owner, who may have
//! it send anything: no page is ever held as a whole, texts are cut before they are decoded, and what is kept of all
//! pages has a limit in bytes.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// The most bytes of one text that are decoded, as they are written in JSON. Names are far shorter ([`super::LONGEST_NAME`]).
const TEXT: usize = 1 << 10;

/// The most bytes of one object whose texts are cut: more than an API server stores of one (1.5 MiB in etcd).
const OBJECT: usize = 2 << 20;

/// The most bytes of a page besides its objects.
const REST: usize = 64 << 10;

/// The longest continue token, in bytes. An API server makes it of a version and a name.
const TOKEN: usize = 4 << 10;

/// How deep the objects of a list are: inside the page, and inside `items`.
const DEPTH: usize = 2;

/// An object that can be read from a list.
pub trait Listed: DeserializeOwned + Send {
    /// The bytes that it holds besides its own size.
    fn heap(&self) -> usize;
}

/// The limits of a list with all its pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListLimits {
    /// Objects.
    pub objects: usize,
    /// Objects of one page: as many as were requested, so that the kept objects grow by a page at a time.
    pub page: usize,
    /// Pages.
    pub pages: usize,
    /// Bytes that arrive.
    pub arriving: usize,
    /// Bytes that are kept.
    pub kept: usize,
}

/// Why a list is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListError {
    /// It is not a list, or is truncated.
    Unreadable,
    /// One of its objects is too large.
    Object,
    /// It has more objects than this.
    Objects(usize),
    /// One of its pages has more objects than this, which were requested.
    Page(usize),
    /// It has more pages than this.
    Pages(usize),
    /// It has more bytes than this.
    Arriving(usize),
    /// More bytes than this would have to be kept.
    Kept(usize),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("its answer cannot be read"),
            Self::Object => write!(f, "it has an object of more than {} MiB", OBJECT >> 20),
            Self::Objects(most) => write!(f, "it has more than {most} of them"),
            Self::Page(most) => write!(f, "a page of its list has more than the {most} that were asked for"),
            Self::Pages(most) => write!(f, "its list has more than {most} pages"),
            Self::Arriving(most) => write!(f, "its list is larger than {} MiB", most >> 20),
            Self::Kept(most) => {
                write!(f, "names and conditions in its list are larger than {} MiB together", most >> 20)
            }
        }
    }
}

/// A list, as far as it was read.
#[derive(Debug)]
pub struct List<T> {
    limits: ListLimits,
    objects: Vec<T>,
    pages: usize,
    /// Where the page that is being read begins among the objects.
    first: usize,
    arrived: usize,
    kept: usize,
    page: Page,
}

/// The page that is being read.
#[derive(Debug, Default)]
struct Page {
    /// What it has besides its objects, without white space: `{"metadata":{},"items":[]}`.
    rest: Vec<u8>,
    /// The object that is being read, with its texts cut.
    object: Vec<u8>,
    /// Braces and brackets that are open.
    depth: usize,
    text: Option<TextState>,
    /// Where the last text of the rest begins, which may be the name of a member.
    name: usize,
    /// Inside `items`.
    items: Option<Expected>,
}

/// The text that is being read.
#[derive(Clone, Copy, Debug)]
struct TextState {
    /// Where it begins.
    start: usize,
    is_escaped: bool,
    is_cut: bool,
}

/// What may come between two objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    ObjectOrEnd,
    Object,
    CommaOrEnd,
}

impl<T: Listed> List<T> {
    /// Nothing was read yet.
    pub fn new(limits: ListLimits) -> Self {
        Self { limits, objects: Vec::new(), pages: 0, first: 0, arrived: 0, kept: 0, page: Page::default() }
    }

    /// Reads on, where the last bytes ended. After an error the list cannot be read on.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), ListError> {
        self.arrived += bytes.len();
        if self.arrived > self.limits.arriving {
            return Err(ListError::Arriving(self.limits.arriving));
        }
        while let Some(byte) = bytes.first() {
            if self.page.text.is_some() {
                bytes = &bytes[self.page.text(bytes)?..];
            } else {
                if self.page.byte(*byte)? {
                    self.object()?;
                }
                bytes = &bytes[1..];
            }
        }
        Ok(())
    }

    /// Keeps the object that has arrived.
    fn object(&mut self) -> Result<(), ListError> {
        let object: T = serde_json::from_slice(&self.page.object).map_err(|_| ListError::Unreadable)?;
        self.page.object.clear();
        // A large object must not leave a large buffer behind.
        self.page.object.shrink_to(REST);
        self.kept += size_of::<T>() + object.heap();
        if self.kept > self.limits.kept {
            return Err(ListError::Kept(self.limits.kept));
        }
        if self.objects.len() == self.limits.objects {
            return Err(ListError::Objects(self.limits.objects));
        }
        if self.objects.len() - self.first == self.limits.page {
            return Err(ListError::Page(self.limits.page));
        }
        self.objects.push(object);
        Ok(())
    }

    /// Ends a page. Returns the continue token; `None` after the last page.
    pub fn end_page(&mut self) -> Result<Option<String>, ListError> {
        let page = std::mem::take(&mut self.page);
        let rest: Rest = serde_json::from_slice(&page.rest).map_err(|_| ListError::Unreadable)?;
        // Objects that are still in it would be objects that were not read.
        if !rest.items.is_empty() {
            return Err(ListError::Unreadable);
        }
        self.pages += 1;
        self.first = self.objects.len();
        let next = rest.metadata.next.filter(|next| !next.is_empty());
        match &next {
            Some(token) if token.len() > TOKEN => Err(ListError::Unreadable),
            Some(_) if self.pages >= self.limits.pages => Err(ListError::Pages(self.limits.pages)),
            _ => Ok(next),
        }
    }

    /// The bytes that are kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Takes out the objects that were read, which then do not count among the kept ones.
    pub fn take(&mut self) -> Vec<T> {
        (self.kept, self.first) = (0, 0);
        std::mem::take(&mut self.objects)
    }

    /// All objects.
    pub fn into_objects(self) -> Vec<T> {
        self.objects
    }
}

#[derive(Deserialize)]
struct Rest {
    metadata: RestMetadata,
    items: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct RestMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl Page {
    fn is_in_object(&self) -> bool {
        self.items.is_some() && self.depth > DEPTH
    }

    /// The buffer of the current text, and its limit.
    fn target(&mut self) -> (&mut Vec<u8>, usize, ListError) {
        if self.is_in_object() {
            (&mut self.object, OBJECT, ListError::Object)
        } else {
            (&mut self.rest, REST, ListError::Unreadable)
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        let (target, most, error) = self.target();
        if target.len() + bytes.len() > most {
            return Err(error);
        }
        target.extend_from_slice(bytes);
        Ok(())
    }

    /// A byte outside texts. Returns whether an object ends with it.
    fn byte(&mut self, byte: u8) -> Result<bool, ListError> {
        if byte.is_ascii_whitespace() {
            return Ok(false);
        }
        if let (Some(expected), DEPTH) = (self.items, self.depth) {
            self.items = match (expected, byte) {
                (Expected::ObjectOrEnd | Expected::Object, b'{') => Some(Expected::CommaOrEnd),
                (Expected::CommaOrEnd, b',') => Some(Expected::Object),
                (Expected::ObjectOrEnd | Expected::CommaOrEnd, b']') => None,
                _ => return Err(ListError::Unreadable),
            };
            if byte == b',' {
                return Ok(false);
            }
        }
        match byte {
            b'{' | b'[' => {
                let begins_items = byte == b'[' && self.depth == 1 && self.rest[self.name..] == *b"items\":";
                self.depth += 1;
                self.push(&[byte])?;
                if begins_items {
                    self.items = Some(Expected::ObjectOrEnd);
                }
                Ok(false)
            }
            b'}' | b']' => {
                self.push(&[byte])?;
                self.depth = self.depth.checked_sub(1).ok_or(ListError::Unreadable)?;
                Ok(self.items.is_some() && self.depth == DEPTH)
            }
            b'"' => {
                self.push(&[byte])?;
                let start = self.target().0.len();
                if !self.is_in_object() {
                    self.name = start;
                }
                self.text = Some(TextState { start, is_escaped: false, is_cut: false });
                Ok(false)
            }
            _ => self.push(&[byte]).map(|()| false),
        }
    }

    /// Continues a text, to its end at most. Returns the number of bytes.
    fn text(&mut self, bytes: &[u8]) -> Result<usize, ListError> {
        let Some(mut text) = self.text else { return Ok(0) };
        let is_in_object = self.is_in_object();
        let mut end = 0;
        let mut is_over = false;
        while let Some(byte) = bytes.get(end) {
            match byte {
                _ if text.is_escaped => text.is_escaped = false,
                b'\\' => text.is_escaped = true,
                b'"' => {
                    is_over = true;
                    break;
                }
                _ => {}
            }
            end += 1;
        }
        if !text.is_cut {
            let room = if is_in_object { TEXT.saturating_sub(self.object.len() - text.start) } else { usize::MAX };
            self.push(&bytes[..end.min(room)])?;
            if end > room {
                text.is_cut = true;
                self.object.truncate(text.start + whole(&self.object[text.start..]));
            }
        }
        if is_over {
            self.push(b"\"")?;
            self.text = None;
            return Ok(end + 1);
        }
        self.text = Some(text);
        Ok(end)
    }
}

/// How many bytes of the beginning of a text, as it is written in JSON, are whole characters.
fn whole(text: &[u8]) -> usize {
    let (mut at, mut whole) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let size = match rest {
            [b'\\', b'u', ..] => 6,
            [0xf0..=0xff, ..] => 4,
            [0xe0..=0xef, ..] => 3,
            [b'\\' | 0xc0..=0xdf, ..] => 2,
            _ => 1,
        };
        at += size;
        if at > text.len() {
            break;
        }
        // The first half of a character in two escapes.
        if !matches!(rest, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) {
            whole = at;
        }
    }
    whole
}

#[cfg(test)]
mod tests;
