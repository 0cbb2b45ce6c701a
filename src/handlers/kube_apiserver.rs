//! `/webhooks/mutate/kube-apiserver`: the overlap sidecar on a Shoot's kube-apiserver Deployment.

use std::sync::Arc;

use crate::admission::{
    Answer, Answers, AuditKey, Finding, Handler, Operation, Outcome, Questions, Request, Resource, Severity, Step,
    Verdict,
};
use crate::gardener::deployment::{Metadata, Rollout};
use crate::gardener::{ClusterFacts, Deployment, FieldError, is_dns_label};
use crate::landscape::{ClusterRecord, Snapshot};
use crate::overlap::{
    Change, Decision, Injection, Overlap, Proxy, Settings, Vpn, decide, mutate, overlaps_text, rules,
};

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
            let audit = vec![(AUDIT_DECISION, "gardenlet".to_owned())];
            return Ok(Step::Done(Verdict { decision: "gardenlet", audit, ..verdict }));
        }
        // Without a container of the VPN nothing hinges on the Cluster: a missing one must not stop the write.
        let needed = vpn != Vpn::Absent;
        let facts = match self::facts(&request.namespace, cached, answers) {
            Known::Facts(facts) => Some(facts),
            Known::NotYet | Known::Refused(_) if !needed => None,
            // A name that no namespace can have is never put into the path of a request of ours.
            Known::NotYet if !is_dns_label(&request.namespace) => {
                let error = "is not the name of a namespace".to_owned();
                let value = format!("{:?}", &*request.namespace);
                return Err(FieldError { path: "request.namespace".to_owned(), value, problem: error });
            }
            Known::NotYet => {
                let cluster = Some(request.namespace.to_string());
                return Ok(Step::Ask(Questions { cluster, ..Questions::default() }));
            }
            Known::Refused(findings) => {
                return Ok(Step::Done(self.without_facts(request, &deployment, raw, findings)));
            }
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

    /// Nobody can tell whether networks overlap. What was decided before holds on: where the stored Deployment carries
    /// our sidecar, gardenlet's object, which never does, gets it again. With it an API server is right on overlap and
    /// does no harm without. Any other write is refused, unless it starts nothing new as it is.
    fn without_facts(
        &self,
        request: &Request<'_>,
        deployment: &Deployment<'_>,
        raw: &str,
        findings: Vec<Finding>,
    ) -> Verdict {
        let Some(old) = request.old_object else { return refuse(request, raw, findings) };
        let kept = Deployment::read(old).ok().and_then(|stored| {
            Vpn::of(&deployment.spec.template.spec).eq(&Vpn::Complete).then_some(())?;
            matches!(Proxy::of(&stored.spec.template.spec.containers), Proxy::Ours(_)).then_some(())?;
            let annotations = stored.metadata.annotations?;
            Some(annotations.overlaps?.to_string())
        });
        let Some(overlaps) = kept else { return refuse(request, raw, findings) };
        let Ok((change, patch)) = mutate(&self.injection, Some(&overlaps), deployment, raw) else {
            return refuse(request, raw, findings);
        };
        let mut findings = soften(findings);
        findings.extend(rules::kept(change));
        Verdict {
            outcome: patch.map_or(Outcome::Allowed, Outcome::Patched),
            decision: "kept",
            findings,
            audit: vec![(AUDIT_DECISION, "kept".to_owned()), (AUDIT_OVERLAPS, overlaps)],
        }
    }

    /// Brings the Deployment to where it should be; the flag says that somebody else stands in the way.
    fn settle(
        &self,
        deployment: &Deployment<'_>,
        raw: &str,
        overlaps: Option<&[Overlap]>,
        mut findings: Vec<Finding>,
    ) -> (Verdict, bool) {
        let text = overlaps.map(overlaps_text);
        let (change, patch) = match mutate(&self.injection, text.as_deref(), deployment, raw) {
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
        audit.extend(text.map(|text| (AUDIT_OVERLAPS, text)));
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
    Deployment::read(raw).map_err(|error| error.within("request.object"))
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
fn refuse(request: &Request<'_>, raw: &str, findings: Vec<Finding>) -> Verdict {
    let (outcome, decision, findings) = if request.old_object.is_some_and(|old| starts_no_new_pod(old, raw)) {
        (Outcome::Allowed, "tolerated", soften(findings))
    } else {
        (Outcome::Denied, "refused", findings)
    };
    Verdict { outcome, decision, findings, audit: vec![(AUDIT_DECISION, decision.to_owned())] }
}

/// What would refuse a write only warns of it.
fn soften(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        if finding.severity == Severity::Deny {
            finding.severity = Severity::Warn;
        }
    }
    findings
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
