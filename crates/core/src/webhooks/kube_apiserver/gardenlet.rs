//! A Deployment in which gardenlet put its own proxy: it stays, or the sidecar takes its place.

use super::KubeApiserver;
use super::facts::{self, Known};
use crate::admission::{Request, Verdict};
use crate::diagnostics::Finding;
use crate::gardener::Deployment;
use crate::gardener::deployment::Rollout;
use crate::landscape::{Asked, Freshness, View};
use crate::vpn::nat::{Mode, Side, Translation};
use crate::vpn::sidecar::Sidecar;
use crate::vpn::{Change, Decision, Vpn, decide, rules};
use crate::webhooks::vpn_ends::{AUDIT_DECISION, soften};

impl KubeApiserver {
    /// gardenlet's proxy works, so nothing is refused here: what keeps the sidecar out leaves gardenlet's where it is.
    pub(super) fn review_gardenlets_proxy(
        &self,
        request: &Request<'_>,
        deployment: &Deployment<'_>,
        raw: &str,
        stored: Option<&Rollout<'_>>,
        view: &mut View<'_>,
    ) -> Result<Verdict, Asked> {
        let pod = &deployment.spec.template.spec;
        let replaces = self.injection.sidecar() == Sidecar::Always;
        let freshness = if replaces { Freshness::Present } else { Freshness::Known };
        let known = match facts::known(&request.namespace, view.cluster(&request.namespace, freshness)?) {
            Known::Facts(known) => known,
            Known::Refused(findings) if replaces => {
                let kept = self.kept(request, deployment, raw, &findings);
                return Ok(kept.unwrap_or_else(|| self.left(deployment, raw, &Translation::default(), findings)));
            }
            Known::Unknown | Known::Refused(_) => {
                return Ok(self.left(deployment, raw, &Translation::default(), Vec::new()));
            }
        };

        let (decision, conflicts) = decide(&Vpn::of(pod), known.facts);
        let overlaps = match &decision {
            Decision::Inject(overlaps) | Decision::Incomplete(overlaps, _) => Some(overlaps.as_slice()),
            Decision::Leave => None,
        };
        // With a proxy of its own gardenlet relies on vpn2, which has to be told the right networks all the same.
        let translation = Translation::of(&Mode::VpnClient, Side::Seed, pod, &known, overlaps).unwrap_or_default();
        if translation.depends_on_now() {
            view.cluster(&request.namespace, Freshness::Live)?;
        }
        if !replaces {
            return Ok(self.left(deployment, raw, &translation, Vec::new()));
        }
        let hindrance = match &decision {
            Decision::Inject(overlaps) => {
                let conflicts = conflicts.iter().map(rules::conflict).collect();
                let (mut verdict, is_taken) = self.verdict(deployment, raw, Some(overlaps), &translation, conflicts);
                if !is_taken {
                    verdict.findings.extend(self.replaced(request, stored, &translation));
                    return Ok(verdict);
                }
                verdict.findings
            }
            Decision::Incomplete(overlaps, missing) => vec![rules::vpn_incomplete(overlaps, missing)],
            Decision::Leave => {
                // gardenlet may know of an overlap that we have not heard of: what is stored is not taken away.
                let kept = || self.kept(request, deployment, raw, &translation.findings(Change::Unchanged));
                if let Some(verdict) = translation.depends_on_now().then(kept).flatten() {
                    return Ok(verdict);
                }
                Vec::new()
            }
        };
        Ok(self.left(deployment, raw, &translation, hindrance))
    }

    /// gardenlet's proxy stays, for these reasons; without any it is meant to.
    fn left(
        &self,
        deployment: &Deployment<'_>,
        raw: &str,
        translation: &Translation,
        reasons: Vec<Finding>,
    ) -> Verdict {
        let mut findings = soften(reasons);
        findings.push(rules::gardenlet_proxy());
        let (mut verdict, _) = self.verdict(deployment, raw, None, translation, findings);
        if !translation.corrects() {
            verdict.decision = "gardenlet";
            verdict.audit = vec![(AUDIT_DECISION, "gardenlet".to_owned())];
        }
        verdict
    }
}
