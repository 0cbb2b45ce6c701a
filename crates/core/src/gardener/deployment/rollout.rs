//! The parts of a Deployment that decide whether a write starts Pods.

use super::reading::{each_member, parse};
use super::{Annotations, Deployment, Spec};
use crate::gardener::FieldError;
use crate::json::{Members, Text};

/// What decides whether a write starts a Pod that did not run before, and whether it changes network-guard's
/// annotation. Most of the object is skipped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rollout<'a> {
    /// The text of `spec.template`.
    pub template: &'a str,
    /// `spec.replicas`; absent means 1.
    pub replicas: i32,
    /// network-guard's annotation on the Deployment; empty without one.
    pub overlaps: Text<'a>,
}

impl<'a> Rollout<'a> {
    /// Reads a Deployment's JSON text in one walk.
    pub fn read(deployment: &'a str) -> Result<Self, FieldError> {
        Self::walk(Members::of(deployment))
    }

    /// The same, with what is known of the text.
    pub fn walk(mut members: Members<'a>) -> Result<Self, FieldError> {
        let (mut template, mut replicas) = (None, None);
        let mut annotations: Option<Annotations<'a>> = None;
        each_member(&mut members, |key, members| match key {
            "metadata" => each_member(members, |key, members| {
                match key {
                    "annotations" => annotations = parse("annotations", members)?,
                    _ => drop(members.skip()?),
                }
                Ok(())
            }),
            "spec" => each_member(members, |key, members| {
                match key {
                    "template" => template = Some(members.skip()?),
                    "replicas" => replicas = parse("replicas", members)?,
                    _ => drop(members.skip()?),
                }
                Ok(())
            }),
            _ => {
                members.skip()?;
                Ok(())
            }
        })?;
        members.end()?;
        let template = template.ok_or_else(|| FieldError::missing("spec.template"))?;
        Ok(Self::new(template, replicas, annotations.as_ref()))
    }

    /// The same from a Deployment that was read already.
    pub fn of(deployment: &Deployment<'a>) -> Self {
        let Spec { replicas, template } = &deployment.spec;
        Self::new(template.text, *replicas, deployment.metadata.annotations.as_ref())
    }

    fn new(template: &'a str, replicas: Option<i32>, annotations: Option<&Annotations<'a>>) -> Self {
        let overlaps = annotations.and_then(|annotations| annotations.overlaps.clone()).unwrap_or_default();
        Self { template, replicas: replicas.unwrap_or(1), overlaps }
    }
}
