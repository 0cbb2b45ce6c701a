//! What is wrong, and what is said about it: rules, their findings, and what operators make of both.
//!
//! A rule is data: its name, its weight, its rank, its documentation, and an example that runs it. The check itself is a function
//! beside it, in the room whose decision it is; it gives [`Finding`]s, possibly none. Who calls it decides what becomes of them.

mod documentation;
mod finding;
mod policy;
pub mod ratchet;
mod rule;
mod weight;
mod wording;

pub use documentation::markdown;
pub use finding::in_order;
pub use policy::Policy;
pub(crate) use rule::rules;
pub use rule::{Finding, Rule, Subject};
pub use weight::{Rank, Severity};
pub use wording::{counted, cut, line, printable};
