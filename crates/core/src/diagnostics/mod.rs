//! What is wrong, and what is said about it: rules, their findings, and what operators make of both.
//!
//! A rule is data: its name, its weight, its rank and its documentation. The check itself is a function in the room whose decision
//! it is; it gives [`Finding`]s, possibly none. Who calls it decides what becomes of them.

mod documentation;
mod finding;
mod policy;
pub mod ratchet;
mod rule;
mod weight;
mod wording;

pub use documentation::markdown;
pub use finding::{Finding, Subject, in_order};
pub use policy::Policy;
pub use rule::Rule;
pub use weight::{Rank, Severity};
pub use wording::{counted, cut, line, printable};
