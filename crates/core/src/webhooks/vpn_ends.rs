//! What the webhooks for both ends of the VPN share.

use std::borrow::Cow;

use crate::admission::{AuditKey, Outcome, Request, Stop, Verdict};
use crate::diagnostics::{Finding, Severity};
use crate::gardener::deployment::Rollout;
use crate::gardener::{Deployment, FieldError};
use crate::landscape::WhyOld;
use crate::vpn::{Taken, rules};

pub(super) const AUDIT_DECISION: AuditKey = AuditKey::new("decision");
pub(super) const AUDIT_VARIABLES: AuditKey = AuditKey::new("variables");

/// Why the cached Cluster counts, in words for gardenlet.
pub(super) fn in_words(why: &WhyOld<'_>) -> Cow<'static, str> {
    match why {
        WhyOld::NotAsked => "the Cluster was not read again".into(),
        WhyOld::Unanswered(why) => format!("the Cluster could not be read again: {why}").into(),
        WhyOld::Gone => "the Cluster is gone".into(),
        WhyOld::Unreadable => "the Cluster has networks by now that cannot be read".into(),
    }
}

/// The same for a Shoot, which must not learn what happens in the Seed.
pub(super) fn for_shoots(why: &WhyOld<'_>) -> Cow<'static, str> {
    match why {
        WhyOld::NotAsked => "the Cluster was not read again".into(),
        WhyOld::Unanswered(_) | WhyOld::Gone | WhyOld::Unreadable => "the Cluster could not be read again".into(),
    }
}

/// Reads a Deployment, or a StatefulSet, which has the same fields where we look.
pub(super) fn read<'a>(request: &Request<'a>) -> Result<Deployment<'a>, FieldError> {
    let object = request.walk_object().ok_or_else(|| FieldError::new("request.object", "is missing".to_owned()))?;
    Deployment::walk(object).map_err(|error| error.within("request.object"))
}

/// The fields and names that are taken, as findings.
pub(super) fn taken(places: &[Taken]) -> Vec<Finding> {
    places.iter().map(rules::name_taken).collect()
}

/// Whether a write over this stored object starts only Pods like those that run, if any: the template stays as it is, and a
/// hibernated Shoot stays hibernated. How many there are does not matter: an autoscaler is not stopped by what is stored.
///
/// An API server writes both objects the same way, so equal templates are equal texts.
pub(super) fn starts_only_more_of_the_same(old: &str, new: &str) -> bool {
    match (Rollout::read(old), Rollout::read(new)) {
        (Ok(old), Ok(new)) => old.template == new.template && (old.replicas > 0 || new.replicas == 0),
        _ => false,
    }
}

/// Refuses, unless the write starts only Pods like those that run: a stored problem stops nobody's label, finalizer or
/// scaling. Then its sender is warned instead.
pub(super) fn refuse(request: &Request<'_>, raw: &str, findings: Vec<Finding>) -> Verdict {
    if request.old_object.is_some_and(|old| starts_only_more_of_the_same(old, raw)) {
        return tolerate(findings);
    }
    let audit = vec![(AUDIT_DECISION, "refused".to_owned())];
    Verdict { outcome: Outcome::Denied, decision: "refused", findings, audit }
}

/// A write passes as it came, and its sender is warned of what would refuse it.
pub(super) fn tolerate(findings: Vec<Finding>) -> Verdict {
    let audit = vec![(AUDIT_DECISION, "tolerated".to_owned())];
    Verdict { outcome: Outcome::Allowed, decision: "tolerated", findings: soften(findings), audit }
}

/// What cannot be read is refused, unless that is tolerated, and passes like anything else that starts only Pods
/// like those that run.
pub(super) fn unreadable(
    request: &Request<'_>,
    raw: &str,
    error: FieldError,
    is_tolerant: bool,
) -> Result<Verdict, Stop> {
    if request.old_object.is_some_and(|old| starts_only_more_of_the_same(old, raw)) {
        return Ok(Verdict::allow("tolerated"));
    }
    if is_tolerant {
        return Ok(tolerate(vec![rules::unreadable(&error)]));
    }
    Err(error.into())
}

/// What would refuse a write only warns of it.
pub(super) fn soften(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        if finding.severity == Severity::Deny {
            finding.severity = Severity::Warn;
        }
    }
    findings
}
