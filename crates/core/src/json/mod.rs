//! JSON texts that somebody else wrote, read without a tree in memory: what is read borrows from the text, and takes no more
//! memory than its reader permits.

mod bounded;
mod query;
mod scanner;
mod text;

pub use bounded::{AtMost, Bounded, FirstOf, too_many};
pub use query::{are_same, find, is_same};
pub use scanner::{Malformed, Members};
pub use text::{Text, excerpt};
