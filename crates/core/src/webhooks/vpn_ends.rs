//! What the webhooks for both ends of the VPN share.

use std::borrow::Cow;
use std::sync::Arc;

use crate::admission::{AuditKey, Outcome, Request, Step, Verdict};
use crate::diagnostics::{Finding, Severity};
use crate::gardener::deployment::Rollout;
use crate::gardener::{Deployment, FieldError};
use crate::landscape::{Answer, Answers, ClusterRecord, Questions};
use crate::vpn::{Taken, rules};

pub(super) const AUDIT_DECISION: AuditKey = AuditKey::new("decision");
pub(super) const AUDIT_VARIABLES: AuditKey = AuditKey::new("variables");

/// What is known of a Cluster.
pub(super) enum Seen<'s> {
    /// What it says. The answer to our question counts, otherwise the snapshot, which may be older than what the sender used.
    Record(&'s ClusterRecord, Option<WhyOld<'s>>),
    /// It is not in the snapshot, and nobody asked yet.
    NotAsked,
    /// There is none.
    Absent,
    /// It is not in the snapshot, and there was no answer.
    Unanswered(&'s str),
}

/// Why a Cluster may be older than what the sender of a write used.
pub(super) enum WhyOld<'s> {
    NotAsked,
    Unanswered(&'s str),
    Gone,
    Unreadable,
}

impl WhyOld<'_> {
    /// In words, for gardenlet.
    pub(super) fn in_words(&self) -> Cow<'static, str> {
        match self {
            Self::NotAsked => "the Cluster was not read again".into(),
            Self::Unanswered(why) => format!("the Cluster could not be read again: {why}").into(),
            Self::Gone => "the Cluster is gone".into(),
            Self::Unreadable => "the Cluster has networks by now that cannot be read".into(),
        }
    }

    /// In words, for a Shoot, which must not learn what happens in the Seed.
    pub(super) fn for_shoots(&self) -> Cow<'static, str> {
        match self {
            Self::NotAsked => "the Cluster was not read again".into(),
            Self::Unanswered(_) | Self::Gone | Self::Unreadable => "the Cluster could not be read again".into(),
        }
    }
}

/// What snapshot and answers say of a Cluster.
pub(super) fn seen<'s>(cached: Option<&'s Arc<ClusterRecord>>, answers: &'s Answers) -> Seen<'s> {
    match (cached, &answers.cluster) {
        (None, Some(Answer::Found(live))) => Seen::Record(live, None),
        (Some(_), Some(Answer::Found(live))) if live.is_ok() => Seen::Record(live, None),
        // The usual case: nothing was asked, or the answer is not usable.
        (Some(cached), answer) => {
            let why = match answer {
                None => WhyOld::NotAsked,
                Some(Answer::Unanswered(why)) => WhyOld::Unanswered(why),
                Some(Answer::Absent) => WhyOld::Gone,
                Some(Answer::Found(_)) => WhyOld::Unreadable,
            };
            Seen::Record(cached, Some(why))
        }
        (None, None) => Seen::NotAsked,
        (None, Some(Answer::Absent)) => Seen::Absent,
        (None, Some(Answer::Unanswered(why))) => Seen::Unanswered(why),
    }
}

/// Reads a Deployment, or a StatefulSet, which has the same fields where we look.
pub(super) fn read(raw: &str) -> Result<Deployment<'_>, FieldError> {
    Deployment::read(raw).map_err(|error| error.within("request.object"))
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

/// Asks for the Cluster of this control plane as it is now.
pub(super) fn ask(namespace: &str) -> Step {
    Step::Ask(Questions { cluster: Some(namespace.to_owned()), ..Questions::default() })
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
pub(super) fn unreadable(request: &Request<'_>, raw: &str, error: FieldError, is_tolerant: bool) -> Step {
    if request.old_object.is_some_and(|old| starts_only_more_of_the_same(old, raw)) {
        return Step::Done(Verdict::allow("tolerated"));
    }
    if is_tolerant {
        return Step::Done(tolerate(vec![rules::unreadable(&error)]));
    }
    Step::Unreadable(vec![error])
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
