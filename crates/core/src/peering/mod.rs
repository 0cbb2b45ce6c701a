//! Shoot peering: two Shoots join their node networks by listing each other in the providerConfig of the extension
//! `osc-peering-service`.
//!
//! ```text
//! providerConfig ── config::decode ──> entries ── local rules ─────────────┐
//!                                        │                                 ├──> findings
//!                          View ──> Target of each entry ── remote rules ──┘
//! ```
//!
//! What a user may not see must not influence the answer. [`Target`](crate::landscape::Target) decides this in one
//! place: a hidden Shoot that does not list this one carries no data, so no rule can leak any.

mod config;
mod defaulting;
mod evaluate;
mod judge;
mod kind;
mod leaving;
mod pair_state;
mod ruled;
pub mod rules;
mod settings;
mod subject;

pub use defaulting::{Filled, Missing, fill, guesses, missing};
pub use judge::{deletion_confirmed, judge};
pub use kind::{API_VERSION, KIND};
pub use leaving::{deleted, moved};
pub use pair_state::PairState;
pub use settings::{MOST_PEERS, NodePrefixes, STORED_LIMIT, Settings};
