//! `/webhooks/mutate/kube-apiserver`: the overlap sidecar on a Shoot's kube-apiserver Deployment.

use std::sync::Arc;

use crate::admission::{
    Answer, Answers, AuditKey, Finding, Handler, Operation, Outcome, Questions, Request, Resource, Severity, Step,
    Verdict,
};
use crate::gardener::deployment::{Metadata, Rollout};
use crate::gardener::{ClusterFacts, Deployment, FieldError};
use crate::landscape::{ClusterRecord, Snapshot};
use crate::overlap::{Change, Decision, Injection, Overlap, Proxy, Settings, Vpn, decide, mutate, rules};

/// The path of this webhook.
pub const KUBE_APISERVER_PATH: &str = "/webhooks/mutate/kube-apiserver";

const AUDIT_DECISION: AuditKey = AuditKey::new("decision");
const AUDIT_OVERLAPS: AuditKey = AuditKey::new("overlaps");

/// The webhook.
#[derive(Debug)]
pub struct KubeApiserver {
    injection: Injection,
}

/// How far a decision got.
enum Known<'s> {
    Facts(&'s ClusterFacts),
    Refused(Vec<Finding>),
    NotYet,
}

impl KubeApiserver {
    /// Prepares everything that depends on the configuration only.
    pub fn new(settings: &Settings) -> Self {
        Self { injection: Injection::new(settings) }
    }

    /// What would be injected.
    pub fn injection(&self) -> &Injection {
        &self.injection
    }

    fn review_deployment(
        &self,
        request: &Request<'_>,
        raw: &str,
        snapshot: &Snapshot,
        answers: &Answers,
    ) -> Result<Step, FieldError> {
        let deployment = read(raw)?;
        if !is_shoot_api_server(&deployment.metadata) || deployment.metadata.is_being_deleted {
            return Ok(Step::Done(Verdict::allow("not-concerned")));
        }

        let pod = &deployment.spec.template.spec;
        let vpn = Vpn::of(pod);
        let cached = snapshot.cluster(&request.namespace);
        if Proxy::of(&pod.containers) == Proxy::Gardenlet {
            let (verdict, _) = self.settle(&deployment, raw, None, vec![rules::gardenlet_proxy()]);
            return Ok(Step::Done(Verdict { decision: "gardenlet", ..verdict }));
        }
        // Without a container of the VPN nothing hinges on the Cluster: a missing one must not stop the write.
        let needed = vpn != Vpn::Absent;
        let facts = match self::facts(&request.namespace, cached, answers) {
            Known::Facts(facts) => Some(facts),
            Known::NotYet | Known::Refused(_) if !needed => None,
            Known::NotYet => {
                return Ok(Step::Ask(Questions { cluster: Some(request.namespace.to_string()) }));
            }
            Known::Refused(findings) => return Ok(Step::Done(refuse(request, raw, findings))),
        };

        let (decision, conflicts) = match facts {
            Some(facts) => decide(&vpn, facts),
            None => (Decision::Leave, Vec::new()),
        };
        let mut findings: Vec<Finding> = conflicts.iter().map(rules::conflict).collect();
        let overlaps = match &decision {
            Decision::Inject(overlaps) => Some(overlaps.as_slice()),
            Decision::Leave => None,
            Decision::Incomplete(overlaps, missing) => {
                findings.insert(0, rules::vpn_incomplete(overlaps, missing));
                return Ok(Step::Done(refuse(request, raw, findings)));
            }
        };
        let (verdict, taken) = self.settle(&deployment, raw, overlaps, findings);
        Ok(Step::Done(if taken { refuse(request, raw, verdict.findings) } else { verdict }))
    }

    /// Brings the Deployment to where it should be; the flag says that somebody else stands in the way.
    fn settle(
        &self,
        deployment: &Deployment<'_>,
        raw: &str,
        overlaps: Option<&[Overlap]>,
        mut findings: Vec<Finding>,
    ) -> (Verdict, bool) {
        let (change, patch) = match mutate(&self.injection, overlaps, deployment, raw) {
            Ok(done) => done,
            Err(taken) => {
                findings.splice(0..0, taken.iter().map(rules::name_taken));
                return (Verdict { findings, ..Verdict::allow("refused") }, true);
            }
        };
        let decision = match (change, overlaps) {
            (Change::Injected, _) => "injected",
            (Change::Updated, _) => "updated",
            (Change::Removed, _) => "removed",
            (Change::Unchanged, Some(_)) => "unchanged",
            (Change::Unchanged, None) => "none",
        };
        findings.extend(rules::change(change, overlaps.unwrap_or_default()));
        let mut audit = vec![(AUDIT_DECISION, decision.to_owned())];
        if let Some(overlaps) = overlaps {
            let pairs: Vec<String> = overlaps.iter().map(ToString::to_string).collect();
            audit.push((AUDIT_OVERLAPS, pairs.join("; ")));
        }
        let outcome = patch.map_or(Outcome::Allowed, Outcome::Patched);
        (Verdict { outcome, decision, findings, audit }, false)
    }
}

impl Handler for KubeApiserver {
    fn name(&self) -> &'static str {
        "kube-apiserver"
    }

    fn path(&self) -> &'static str {
        KUBE_APISERVER_PATH
    }

    fn resource(&self) -> Resource {
        Resource { group: "apps", plural: "deployments" }
    }

    fn review(&self, request: &Request<'_>, snapshot: &Snapshot, answers: &Answers) -> Step {
        let writes = matches!(request.operation, Operation::Create | Operation::Update);
        let Some(raw) = request.object.filter(|_| writes && request.sub_resource.is_empty()) else {
            return Step::Done(Verdict::allow("not-concerned"));
        };
        match self.review_deployment(request, raw, snapshot, answers) {
            Ok(step) => step,
            Err(error) => Step::Unreadable(vec![error]),
        }
    }
}

fn read(raw: &str) -> Result<Deployment<'_>, FieldError> {
    Deployment::read(raw).map_err(|error| {
        let path = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
        FieldError { path: format!("request.object{path}"), ..error }
    })
}

/// Name and labels of the kube-apiserver that gardenlet writes for a Shoot (gardener
/// `pkg/component/kubernetes/apiserver`). The webhook configuration selects by the same, so this only matters to a
/// wider one.
fn is_shoot_api_server(metadata: &Metadata<'_>) -> bool {
    &*metadata.name == "kube-apiserver"
        && metadata.labels.as_ref().is_some_and(|labels| {
            labels.app.as_deref() == Some("kubernetes") && labels.role.as_deref() == Some("apiserver")
        })
}

/// The facts of the Cluster: from the snapshot, or from the answer to our question.
fn facts<'s>(namespace: &str, cached: Option<&'s Arc<ClusterRecord>>, answers: &'s Answers) -> Known<'s> {
    let record = match (cached, &answers.cluster) {
        (Some(record), _) | (None, Some(Answer::Found(record))) => record,
        (None, None) => return Known::NotYet,
        (None, Some(Answer::Absent)) => return Known::Refused(vec![rules::cluster_missing(namespace)]),
        (None, Some(Answer::Unanswered(why))) => {
            return Known::Refused(vec![rules::cluster_unanswered(namespace, why)]);
        }
    };
    match &**record {
        Ok(facts) => Known::Facts(facts),
        Err(errors) => Known::Refused(errors.iter().map(|error| rules::cluster_unreadable(namespace, error)).collect()),
    }
}

/// Refuses, unless the write starts no Pod that did not run before: a stored problem stops nobody's label, finalizer
/// or scale-down. Then its sender is warned instead.
fn refuse(request: &Request<'_>, raw: &str, mut findings: Vec<Finding>) -> Verdict {
    let mut verdict = Verdict::allow("refused");
    verdict.outcome = Outcome::Denied;
    if request.old_object.is_some_and(|old| starts_no_new_pod(old, raw)) {
        for finding in &mut findings {
            if finding.severity == Severity::Deny {
                finding.severity = Severity::Warn;
            }
        }
        verdict = Verdict::allow("tolerated");
    }
    verdict.audit = vec![(AUDIT_DECISION, verdict.decision.to_owned())];
    verdict.findings = findings;
    verdict
}

/// Whether the Pod template stays as it is and a hibernated Shoot stays hibernated. An API server writes both objects
/// the same way, so equal templates are equal texts.
fn starts_no_new_pod(old: &str, new: &str) -> bool {
    match (Rollout::read(old), Rollout::read(new)) {
        (Ok(old), Ok(new)) => old.template == new.template && (old.replicas > 0 || new.replicas == 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
