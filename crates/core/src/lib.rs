//! Decides: what network-guard finds wrong, changes, holds and releases, as pure functions. What waits, talks, reads a clock or draws a random number
//! must never enter.
//!
//! Floors, from below; each module uses only those of lower floors:
//!
//! | floor | modules | |
//! |---|---|---|
//! | 3 | [`webhooks`] | one file a webhook: which rules it calls, which verdict they make |
//! | 2 | [`certificates`], [`networks`], [`overlay`], [`peering`], [`vpn`] | decisions, one room each; rooms do not know each other |
//! | 1 | [`gardener`], [`diagnostics`], [`landscape`], [`admission`] | typed views; rules and findings; the snapshot, questions and answers; the protocol: each uses only what is before it |
//! | 0 | [`net`], [`json`] | CIDRs and the mapping into Gardener's reserved ranges; JSON without a tree |
//!
//! `clippy.toml` of this crate forbids the purity to erode; `tests/it/architecture.rs` of the program keeps the floors.

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
