//! The lifecycle of certificates that a server issues itself: from fingerprints, dates and the time to the next step.
//!
//! ```text
//! Secret ── read ──> Material ─┬─ bundle ──────────> webhook configurations
//!                              ├─ is_leaf_due ─────> each replica's own leaf, in memory
//!                     clock ───┴─ next_step ── carried_out ──> the next Material
//! ```
//!
//! This module only decides. The crate `controllers` executes the steps: it makes keys and certificates, and reads PEM.

mod ca;
#[cfg(test)]
mod fixtures;
mod lifecycle;
mod material;

pub use ca::{BACKDATED, Ca, CaPair, Fingerprint, Leaf};
pub use lifecycle::{Lifetimes, Published, Reason, Step, Waiting, carried_out, is_leaf_due, next_step};
pub use material::{Material, Next};
