//! From intent to JSON Patch: every piece of the injection is found by name, then added, replaced or removed.
//!
//! What we did not put there is never touched, and a piece that is already as it should be yields no operation: a
//! second application changes nothing.

use super::Injection;
use super::inject::inject;
use super::remove::remove;
use crate::admission::{ListEdits, PatchBuilder};
use crate::gardener::Deployment;
use crate::vpn::{Change, Taken};

/// Brings a Deployment to where it should be: with the injection for these pairs (see
/// [`overlaps_text`]), or, with `None`, without anything
/// of ours. `raw` is the text from which `deployment` was read. What moves its containers is left to the caller, who
/// may have more to do with them.
pub fn mutate<'i>(
    injection: &'i Injection,
    overlaps: Option<&str>,
    deployment: &Deployment<'_>,
    raw: &str,
    patch: &mut PatchBuilder,
    containers: &mut ListEdits<'i>,
) -> Result<Change, Vec<Taken>> {
    match overlaps {
        Some(overlaps) => inject(injection, overlaps, deployment, raw, patch, containers),
        None => Ok(remove(deployment, patch, containers)),
    }
}
