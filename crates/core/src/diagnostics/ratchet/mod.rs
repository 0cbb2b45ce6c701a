//! The ratchet: what is said of a write is about what its writer changed. It has two steps.
//!
//! 1. The scope, [`Scope`] and [`Entries`], says which fields and entries a write touched. It is decided from what is written
//!    and what was stored, before anything is looked up, so it also says what is asked.
//! 2. The comparison, [`compare`], tells the findings about what is written from those about what was stored. A finding is
//!    recognised by its rule and its [subject](super::Subject), and weighed by its severity and its magnitude.
//!
//! These laws hold of both, and are tested here:
//!
//! - A stored problem blocks nobody: it is dropped, or told as a warning at most.
//! - What was added is judged in full, whatever is stored beside it.
//! - Moving and reordering are no change.
//! - What got worse counts as new.
//! - A write without a change finds nothing new.

mod compare;
mod entries;
mod scope;

pub use compare::{Compared, as_stored, compare};
pub use entries::{Entries, Touch, added, are_edited};
pub use scope::Scope;

#[cfg(test)]
mod tests;
