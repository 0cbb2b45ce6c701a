//! Decides: what network-guard finds wrong, changes, holds and releases, as pure functions. What waits, talks, reads a clock or
//! draws a random number must never enter.
//!
//! A room uses only what is below it. Rooms of floor 2 do not know each other; on floor 1 each uses only those that are named
//! before it. `tests/it/architecture.rs` of the program checks that, and `clippy.toml` of this crate that it stays pure.
//!
//! | floor | rooms | |
//! |---|---|---|
//! | 3 | [`webhooks`] | a file or folder for each kind of object that is reviewed: which rules are called, which verdict they make |
//! | 2 | [`certificates`], [`networks`], [`overlay`], [`peering`], [`vpn`] | one room for each subject |
//! | 1 | [`gardener`], [`diagnostics`], [`landscape`], [`admission`] | typed views of Gardener's objects; rules and findings; the snapshot, questions and answers; the protocol |
//! | 0 | [`net`], [`json`] | CIDRs and the mapping into Gardener's reserved ranges; JSON without a tree |

#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read fixtures"))]

pub mod admission;
pub mod certificates;
pub mod diagnostics;
pub mod gardener;
pub mod json;
pub mod landscape;
pub mod net;
pub mod networks;
pub mod overlay;
pub mod peering;
pub mod vpn;
pub mod webhooks;
