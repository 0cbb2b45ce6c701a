//! From intent to JSON Patch: every part of the sidecar is found by name, then added, replaced or removed.
//!
//! Parts of others are never touched, and a part that is already as it should be yields no operation: a second
//! application changes nothing.

use super::Injection;
use super::inject::inject;
use super::remove::remove;
use crate::admission::{ListEdits, PatchBuilder};
use crate::gardener::Deployment;
use crate::vpn::{Change, Taken};

/// Brings a Deployment into the desired state: with the sidecar for these pairs (see [`overlaps_text`](crate::vpn::overlaps_text)), or, for
/// `None`, without it. `raw` is the text from which `deployment` was read. Edits that move its containers are left to
/// the caller, which may have more of them.
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
