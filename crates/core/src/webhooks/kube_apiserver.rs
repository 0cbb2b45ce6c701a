//! `/webhooks/mutate/kube-apiserver`: the overlap sidecar on a Shoot's kube-apiserver Deployment, and what the double NAT
//! behind it needs.

mod change;
mod facts;
mod gardenlet;

use self::facts::Known;
use super::vpn_ends::{AUDIT_DECISION, AUDIT_VARIABLES, read, refuse, soften, taken, tolerate, unreadable};
use crate::admission::{AuditKey, Handler, Outcome, Request, Resource, Stop, Verdict};
use crate::diagnostics::Finding;
use crate::gardener::deployment::{Metadata, Rollout};
use crate::gardener::{Deployment, FieldError};
use crate::landscape::{Freshness, View};
use crate::vpn::nat::{self, Side, Translation};
use crate::vpn::sidecar::{Injection, Proxy, Settings, is_made_by};
use crate::vpn::{Change, Decision, Overlap, Settled, Vpn, WantedSidecar, decide, overlaps_text, rules, settle};

/// The path of this webhook.
pub const KUBE_APISERVER_PATH: &str = "/webhooks/mutate/kube-apiserver";

const AUDIT_OVERLAPS: AuditKey = AuditKey::new("overlaps");

/// The webhook.
#[derive(Debug)]
pub struct KubeApiserver {
    injection: Injection,
    nat: nat::Mode,
    is_tolerant: bool,
}

impl KubeApiserver {
    /// Prepares everything that depends on the configuration only.
    pub fn new(settings: &Settings, nat: &nat::Mode) -> Self {
        Self { injection: Injection::new(settings), nat: nat.clone(), is_tolerant: false }
    }

    /// Whether what would refuse a write only warns of it: where the webhook is registered with `failurePolicy: Ignore`, the
    /// write would pass if nobody answered, because gardenlet brings a proxy that works.
    ///
    /// With `vpn.nat.mode: own` it is refused all the same. That is for a vpn2 that does not translate, so no proxy of gardenlet's
    /// makes up for our containers; and the other end of the tunnel, in the Shoot, waits for its own in any case.
    #[must_use]
    pub fn tolerant(self, is_tolerant: bool) -> Self {
        Self { is_tolerant: is_tolerant && self.nat == nat::Mode::VpnClient, ..self }
    }

    /// What would be injected.
    pub fn injection(&self) -> &Injection {
        &self.injection
    }

    fn review_deployment(&self, request: &Request<'_>, raw: &str, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let deployment = read(request)?;
        if !is_shoot_api_server(&deployment.metadata) || deployment.metadata.is_being_deleted {
            return Ok(Verdict::allow("not-concerned"));
        }
        let stored = request.walk_old_object().and_then(|members| Rollout::walk(members).ok());
        if stored.as_ref().is_some_and(|stored| change::needs_no_decision(&deployment, stored)) {
            return Ok(Verdict::allow("starts-nothing"));
        }

        let pod = &deployment.spec.template.spec;
        let vpn = Vpn::of(pod);
        if Proxy::of(&pod.containers) == Proxy::Gardenlet {
            return Ok(self.review_gardenlets_proxy(request, &deployment, raw, stored.as_ref(), view)?);
        }
        // Without a container of the VPN nothing hinges on the Cluster: a missing one must not stop the write.
        let needed = vpn != Vpn::Absent;
        let freshness = if needed { Freshness::Present } else { Freshness::Known };
        let known = match facts::known(&request.namespace, view.cluster(&request.namespace, freshness)?) {
            Known::Facts(known) => Some(known),
            Known::Unknown | Known::Refused(_) if !needed => None,
            // It was not asked for.
            Known::Unknown => {
                let problem = "is not the name of a namespace".to_owned();
                let value = format!("{:?}", &*request.namespace);
                return Err(FieldError { path: "request.namespace".into(), value, problem }.into());
            }
            Known::Refused(findings) => return Ok(self.without_facts(request, &deployment, raw, findings)),
        };

        let (decision, conflicts) = match &known {
            Some(known) => decide(&vpn, known.facts),
            None => (Decision::Leave, Vec::new()),
        };
        let mut findings: Vec<Finding> = conflicts.iter().map(rules::conflict).collect();
        let overlaps = match &decision {
            Decision::Inject(overlaps) => Some(overlaps.as_slice()),
            Decision::Leave => None,
            Decision::Incomplete(overlaps, missing) => {
                findings.insert(0, rules::vpn_incomplete(overlaps, missing));
                return Ok(self.refuse(request, raw, findings));
            }
        };
        let translation = match known {
            None => Translation::default(),
            Some(known) => match Translation::of(&self.nat, Side::Seed, pod, &known, overlaps) {
                Ok(translation) => translation,
                Err(finding) => {
                    findings.insert(0, finding);
                    return Ok(self.refuse(request, raw, findings));
                }
            },
        };
        if translation.depends_on_now() {
            view.cluster(&request.namespace, Freshness::Live)?;
            // The sender may know of an overlap that network-guard does not know yet, so nothing is removed, and its
            // containers do not get networks that are older than those they have.
            if overlaps.is_none() || matches!(self.nat, nat::Mode::Own(_)) {
                let told = [findings.clone(), translation.findings(Change::Unchanged)].concat();
                if let Some(verdict) = self.kept(request, &deployment, raw, &told) {
                    return Ok(verdict);
                }
            }
        }
        let (mut verdict, taken) = self.verdict(&deployment, raw, overlaps, &translation, findings);
        if taken {
            return Ok(self.refuse(request, raw, verdict.findings));
        }
        if overlaps.is_some() {
            verdict.findings.extend(self.replaced(request, stored.as_ref(), &translation));
        }
        Ok(verdict)
    }

    /// Whether somebody who is configured otherwise made what is stored and is replaced now. gardenlet never sends the
    /// sidecar, so what it sends does not tell.
    fn replaced(
        &self,
        request: &Request<'_>,
        stored: Option<&Rollout<'_>>,
        translation: &Translation,
    ) -> Option<Finding> {
        stored.filter(|stored| Proxy::may_be_in(stored.template))?;
        self.differs(&Deployment::walk(request.walk_old_object()?).ok()?, request.old_object?, translation)
    }

    /// The same, of what was read already.
    fn differs(&self, stored: &Deployment<'_>, old: &str, translation: &Translation) -> Option<Finding> {
        let is_same = is_made_by(&self.injection, stored, old)?
            && translation.is_configured_as(&nat::Containers::stored(&stored.spec.template.spec, old));
        (!is_same).then(rules::other_configuration)
    }

    fn refuse(&self, request: &Request<'_>, raw: &str, findings: Vec<Finding>) -> Verdict {
        if self.is_tolerant { tolerate(findings) } else { refuse(request, raw, findings) }
    }

    /// It is unknown whether networks overlap: every write is denied, unless it starts nothing new as it is, or the
    /// earlier decision is kept.
    fn without_facts(
        &self,
        request: &Request<'_>,
        deployment: &Deployment<'_>,
        raw: &str,
        findings: Vec<Finding>,
    ) -> Verdict {
        self.kept(request, deployment, raw, &findings).unwrap_or_else(|| self.refuse(request, raw, findings))
    }

    /// Keeps the earlier decision: if the stored Deployment carries the sidecar, gardenlet's object, which never does,
    /// gets it again. With it an API server works if networks overlap, and it does no harm if they do not.
    fn kept(
        &self,
        request: &Request<'_>,
        deployment: &Deployment<'_>,
        raw: &str,
        findings: &[Finding],
    ) -> Option<Verdict> {
        let old = request.old_object?;
        let stored = Deployment::walk(request.walk_old_object()?).ok()?;
        let pod = &stored.spec.template.spec;
        let is_ours = matches!(Proxy::of(&pod.containers), Proxy::Ours(_));
        if !is_ours || Vpn::of(&deployment.spec.template.spec) != Vpn::Complete {
            return None;
        }
        let overlaps = stored.metadata.annotations.as_ref()?.overlaps.as_ref()?.to_string();
        let translation = Translation::kept(nat::Containers::stored(pod, old));
        let sidecar = WantedSidecar { injection: &self.injection, overlaps: Some(&overlaps) };
        let Settled { sidecar: change, patch, .. } = settle(deployment, raw, Some(sidecar), &translation).ok()?;
        let mut findings = soften(findings.to_vec());
        findings.extend(rules::kept(change));
        findings.extend(self.differs(&stored, old, &translation));
        Some(Verdict {
            outcome: patch.map_or(Outcome::Allowed, Outcome::Patched),
            decision: "kept",
            findings,
            audit: vec![(AUDIT_DECISION, "kept".to_owned()), (AUDIT_OVERLAPS, overlaps)],
        })
    }

    /// Brings the Deployment to the desired state; the flag says that a name or place is taken by something else.
    fn verdict(
        &self,
        deployment: &Deployment<'_>,
        raw: &str,
        overlaps: Option<&[Overlap]>,
        translation: &Translation,
        mut findings: Vec<Finding>,
    ) -> (Verdict, bool) {
        let text = overlaps.map(overlaps_text);
        let sidecar = WantedSidecar { injection: &self.injection, overlaps: text.as_deref() };
        let Settled { sidecar: change, containers, patch } = match settle(deployment, raw, Some(sidecar), translation) {
            Ok(settled) => settled,
            Err(places) => {
                findings.splice(0..0, taken(&places));
                return (Verdict { findings, ..Verdict::allow("refused") }, true);
            }
        };
        let decision = match (change, containers) {
            (Change::Unchanged, Change::Unchanged) if translation.corrects() => "corrected",
            (Change::Unchanged, Change::Unchanged) if overlaps.is_none() => "none",
            (Change::Unchanged, Change::Removed) if overlaps.is_none() => "removed",
            (Change::Unchanged, Change::Unchanged) => "unchanged",
            (Change::Unchanged, _) => "updated",
            (change, _) => change.name(),
        };
        findings.extend(rules::change(change, overlaps.unwrap_or_default()));
        findings.extend(translation.findings(containers));
        let mut audit = vec![(AUDIT_DECISION, decision.to_owned())];
        audit.extend(text.map(|text| (AUDIT_OVERLAPS, text)));
        audit.extend(translation.audit().map(|text| (AUDIT_VARIABLES, text)));
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

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let Some(raw) = request.written() else { return Ok(Verdict::allow("not-concerned")) };
        // Only an object that is to get a name has none here.
        if !request.name.is_empty() && &*request.name != NAME {
            return Ok(Verdict::allow("not-concerned"));
        }
        match self.review_deployment(request, raw, view) {
            Err(Stop::Unreadable(error)) => unreadable(request, raw, error, self.is_tolerant),
            result => result,
        }
    }
}

/// The Deployment of a Shoot's kube-apiserver (gardener `pkg/apis/core/v1beta1/constants`).
const NAME: &str = "kube-apiserver";

/// Name and labels of the kube-apiserver that gardenlet writes for a Shoot (gardener
/// `pkg/component/kubernetes/apiserver`). The webhook configuration selects by the same, so this only matters to a
/// wider one.
fn is_shoot_api_server(metadata: &Metadata<'_>) -> bool {
    &*metadata.name == NAME
        && metadata.labels.as_ref().is_some_and(|labels| {
            labels.app.as_deref() == Some("kubernetes") && labels.role.as_deref() == Some("apiserver")
        })
}

#[cfg(test)]
mod tests;
