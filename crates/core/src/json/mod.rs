//! Reads JSON texts from untrusted writers without a tree in memory: values borrow from the text, and take no more
//! memory than the reader permits.

mod blocks;
mod bounded;
mod long;
mod noting;
mod path;
mod plain;
mod query;
mod scanner;
mod text;
mod written;

pub use blocks::is_plain;
pub use bounded::{AtMost, Bounded, FirstOf, too_many};
pub use long::LongValues;
pub use path::FieldPath;
pub use plain::{Plain, PlainText};
pub use query::{are_same, find, is_same};
pub use scanner::{Malformed, Members};
pub use text::{Text, excerpt};
pub use written::Written;
