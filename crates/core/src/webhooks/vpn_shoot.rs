//! `/webhooks/mutate/vpn-shoot/NAMESPACE/UID`: the end of the VPN that runs in a Shoot.
//!
//! Unlike the other webhooks this one is called by API servers that are somebody else's, one for each Shoot. So the path
//! says which Shoot calls, by the namespace of its control plane, and proves it by the Shoot's UID, which is no secret but
//! known to its project only. A caller that shows another UID learns nothing: an unknown namespace, a wrong UID and a Shoot without overlap
//! have one answer, the same to the byte, in which everything passes as it came.

use super::vpn_ends::{AUDIT_DECISION, AUDIT_VARIABLES, for_shoots, read, refuse, taken, unreadable};
use crate::admission::{Handler, Outcome, Request, Resource, Stop, Verdict};
use crate::diagnostics::Finding;
use crate::gardener::deployment::Metadata;
use crate::gardener::{ClusterFacts, Deployment, ShootUid, is_dns_label};
use crate::landscape::{Cluster, ClusterRecord, Freshness, View};
use crate::vpn::nat::{self, Containers, KnownFacts, Side, Translation};
use crate::vpn::{self, Change, Overlap, rules};

/// The path of this webhook, behind which the namespace and the UID follow.
pub const VPN_SHOOT_PATH: &str = "/webhooks/mutate/vpn-shoot";

/// The webhook.
#[derive(Debug)]
pub struct VpnShoot {
    nat: nat::Mode,
}

/// Who calls, as the path says.
struct Caller<'a> {
    namespace: &'a str,
    uid: ShootUid,
}

impl<'a> Caller<'a> {
    fn of(path_suffix: &'a str) -> Option<Self> {
        let (namespace, uid) = path_suffix.split_once('/')?;
        // A name that no namespace can have is never put into the path of network-guard's requests.
        Some(Self { namespace, uid: ShootUid::parse(uid)? }).filter(|caller| is_dns_label(caller.namespace))
    }

    /// The facts of the caller's Shoot and what overlaps, should it be the caller's and anything overlap.
    fn concerned<'f>(&self, record: &'f ClusterRecord) -> Concerned<'f> {
        // Compared in any case, and before anything else is looked at.
        let known = match record {
            Ok(facts) => facts.shoot_uid,
            Err(unusable) => unusable.shoot_uid,
        };
        if !known.unwrap_or(ShootUid::NOBODY).is(&self.uid) {
            return Concerned::No;
        }
        let Ok(facts) = record else { return Concerned::Unknown };
        let overlaps: Vec<Overlap> = vpn::overlaps(facts).filter(Overlap::is_ipv4).collect();
        if overlaps.is_empty() { Concerned::No } else { Concerned::Yes(facts, overlaps) }
    }
}

/// Whether the caller's Shoot overlaps its Seed.
enum Concerned<'f> {
    Yes(&'f ClusterFacts, Vec<Overlap>),
    /// It does not, or it is not the caller's.
    No,
    /// It is the caller's, and its Cluster cannot be used.
    Unknown,
}

/// The one answer to a caller that is not concerned, or does not prove its identity.
fn nothing() -> Verdict {
    Verdict::allow("not-concerned")
}

impl VpnShoot {
    /// Prepares what depends on the configuration only.
    pub fn new(nat: &nat::Mode) -> Self {
        Self { nat: nat.clone() }
    }

    /// The decision on a StatefulSet of a Shoot that overlaps its Seed.
    fn judge(
        &self,
        request: &Request<'_>,
        raw: &str,
        known: &KnownFacts<'_>,
        overlaps: &[Overlap],
        caller: &Caller<'_>,
        view: &mut View<'_>,
    ) -> Result<Verdict, Stop> {
        let object = read(request)?;
        if !is_vpn_shoot(&object.metadata) || object.metadata.is_being_deleted {
            return Ok(nothing());
        }
        let pod = &object.spec.template.spec;
        let translation = match Translation::of(&self.nat, Side::Shoot, pod, known, Some(overlaps)) {
            Ok(translation) => translation,
            Err(finding) => return Ok(refuse(request, raw, vec![finding])),
        };
        if translation.depends_on_now() {
            view.cluster(caller.namespace, Freshness::Live)?;
        }
        // gardenlet knows other networks than a Cluster that cannot be read again: then the stored containers are the
        // better guess.
        let stored = request.old_object.filter(|_| translation.depends_on_now()).and_then(|old| self.stored(old));
        let translation = stored.map_or(translation, Translation::kept);
        Ok(settle(&object, raw, &translation).unwrap_or_else(|taken| refuse(request, raw, taken)))
    }

    /// The containers managed by network-guard in the stored object, if the configuration wants any.
    fn stored(&self, old: &str) -> Option<Containers> {
        let nat::Mode::Own(_) = self.nat else { return None };
        let stored = Deployment::read(old).ok()?;
        let containers = Containers::stored(&stored.spec.template.spec, old);
        (containers != Containers::default()).then_some(containers)
    }

    /// The caller is unknown, so every caller gets this answer, which depends only on the request. vpn2 works without
    /// network-guard. Its containers stay where the stored object has them; any other write waits, because a Pod
    /// without them would be unreachable.
    fn without_facts(&self, request: &Request<'_>, raw: &str) -> Verdict {
        let nat::Mode::Own(_) = self.nat else { return Verdict::allow("not-concerned") };
        let kept = request.old_object.and_then(|old| self.stored(old));
        let settled =
            kept.and_then(|containers| settle(&read(request).ok()?, raw, &Translation::kept(containers)).ok());
        settled.map_or_else(
            || refuse(request, raw, vec![rules::cluster_unanswered("of the Shoot", "the Seed does not answer")]),
            |verdict| Verdict { decision: "kept", audit: vec![(AUDIT_DECISION, "kept".to_owned())], ..verdict },
        )
    }
}

/// Brings the object to where it should be. The error is what stands in the way.
fn settle(object: &Deployment<'_>, raw: &str, translation: &Translation) -> Result<Verdict, Vec<Finding>> {
    // Refused, but only behind the webhooks. A container cannot be added to a list that is not there.
    if object.spec.template.spec.containers.is_empty() {
        return Ok(nothing());
    }
    let settled = vpn::settle(object, raw, None, translation).map_err(|places| taken(&places))?;
    let decision = match settled.containers {
        Change::Unchanged if translation.corrects() => "corrected",
        change => change.name(),
    };
    let mut audit = vec![(AUDIT_DECISION, decision.to_owned())];
    audit.extend(translation.audit().map(|text| (AUDIT_VARIABLES, text)));
    Ok(Verdict {
        outcome: settled.patch.map_or(Outcome::Allowed, Outcome::Patched),
        decision,
        findings: translation.findings(settled.containers),
        audit,
    })
}

impl Handler for VpnShoot {
    fn name(&self) -> &'static str {
        "vpn-shoot"
    }

    fn path(&self) -> &'static str {
        VPN_SHOOT_PATH
    }

    fn has_path_suffix(&self) -> bool {
        true
    }

    fn resource(&self) -> Resource {
        Resource { group: "apps", plural: "statefulsets" }
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let Some(raw) = request.written() else { return Ok(nothing()) };
        let Some(caller) = Caller::of(request.path_suffix) else { return Ok(nothing()) };
        let (record, why_old) = match view.cluster(caller.namespace, Freshness::Cached)? {
            Cluster::Record(record, why_old) => (record, why_old.as_ref().map(for_shoots)),
            Cluster::Unanswered(_) => return Ok(self.without_facts(request, raw)),
            Cluster::Absent | Cluster::Unknown => return Ok(nothing()),
        };
        let (facts, overlaps) = match caller.concerned(record) {
            Concerned::Yes(facts, overlaps) => (facts, overlaps),
            Concerned::No => return Ok(nothing()),
            Concerned::Unknown => return Ok(self.without_facts(request, raw)),
        };
        let known = KnownFacts { facts, why_old };
        match self.judge(request, raw, &known, &overlaps, &caller, view) {
            // vpn2 does without us, and this webhook is registered so.
            Err(Stop::Unreadable(error)) => unreadable(request, raw, error, self.nat == nat::Mode::VpnClient),
            result => result,
        }
    }
}

/// The name that gardenlet gives the StatefulSet (gardener `pkg/component/networking/vpn/shoot`). The webhook
/// configuration selects by the same.
fn is_vpn_shoot(metadata: &Metadata<'_>) -> bool {
    let is_labelled = metadata.labels.as_ref().is_some_and(|labels| labels.app.as_deref() == Some("vpn-shoot"));
    &*metadata.name == "vpn-shoot" && is_labelled
}

#[cfg(test)]
mod tests;
