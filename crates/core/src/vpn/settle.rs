//! All operations on one Pod of the VPN, in an order in which none moves the target of another one.

use super::nat::Translation;
use super::sidecar::{Injection, mutate};
use super::{Change, Taken};
use crate::admission::{ListEdits, Patch, PatchBuilder, Pointer};
use crate::gardener::Deployment;

/// The sidecar as a Deployment should have it.
#[derive(Clone, Copy, Debug)]
pub struct WantedSidecar<'i> {
    /// Its parts.
    pub injection: &'i Injection,
    /// The pairs that need it (see [`super::overlaps_text`]); `None` for a Deployment that should not have it.
    pub overlaps: Option<&'i str>,
}

/// What was done to a Pod.
#[derive(Debug)]
pub struct Settled {
    /// About the sidecar.
    pub sidecar: Change,
    /// About the containers that translate.
    pub containers: Change,
    /// The operations, if anything was done.
    pub patch: Option<Patch>,
}

/// Brings the Pod of a Deployment or StatefulSet into the desired state: first the operations that address containers
/// by index, at the end those that move them. `raw` is the text from which `object` was read. The error is what is in
/// the way.
pub fn settle(
    object: &Deployment<'_>,
    raw: &str,
    sidecar: Option<WantedSidecar<'_>>,
    translation: &Translation,
) -> Result<Settled, Vec<Taken>> {
    let (mut patch, mut edits) = (PatchBuilder::default(), ListEdits::default());
    translation.correct(&mut patch);
    let sidecar = match sidecar {
        None => Ok(Change::Unchanged),
        Some(WantedSidecar { injection, overlaps }) => mutate(injection, overlaps, object, raw, &mut patch, &mut edits),
    };
    let containers = translation.containers.ensure(&object.spec.template.spec, raw, &mut patch, &mut edits);
    match (sidecar, containers) {
        (Ok(sidecar), Ok(containers)) => {
            edits.apply(&Pointer::to("/spec/template/spec/containers"), &mut patch);
            Ok(Settled { sidecar, containers, patch: patch.finish() })
        }
        (sidecar, containers) => Err([sidecar.err(), containers.err()].into_iter().flatten().flatten().collect()),
    }
}
