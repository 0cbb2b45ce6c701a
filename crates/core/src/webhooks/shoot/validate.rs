//! `/webhooks/validate/shoot`: judges peerings and networks.

use std::fmt::Write as _;

use super::{Exempt, SHOOTS, ShootSettings, VALIDATE_SHOOT_PATH, read, review_written};
use crate::admission::{AuditKey, Handler, Outcome, Request, Resource, Stop, Verdict};
use crate::diagnostics::ratchet::Scope;
use crate::diagnostics::{Finding, Severity};
use crate::landscape::View;
use crate::networks;
use crate::overlay;
use crate::peering::rules::unverified::seed_not_verified;
use crate::peering::{self, PairState};

const AUDIT_DECISION: AuditKey = AuditKey::new("decision");
const AUDIT_PEERINGS: AuditKey = AuditKey::new("peerings");

/// The webhook.
#[derive(Debug, Default)]
pub struct ValidateShoot {
    settings: ShootSettings,
}

impl ValidateShoot {
    /// With these settings.
    pub fn new(settings: &ShootSettings) -> Self {
        Self { settings: settings.clone() }
    }

    fn review_shoot(&self, request: &Request<'_>, text: &str, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let new = read(request, text, "request.object")?;
        if new.is_being_deleted {
            return Ok(Verdict::allow("deleting"));
        }
        let old = request.old_object.map(|old| read(request, old, "request.oldObject")).transpose()?;
        let scope = Scope { new: &new, old: old.as_ref() };
        if scope.is_empty() {
            return Ok(Verdict::allow("unchanged"));
        }
        let exempt = Exempt::of(&request.user_info()?, scope);
        if exempt == Exempt::All {
            view.see_everything();
        }
        let (findings, peerings) = self.judge(scope, exempt, view);
        view.settle()?;
        Ok(verdict(findings, peerings, exempt == Exempt::All))
    }

    /// All findings, weighed. They count only when there is nothing left to ask.
    fn judge(&self, scope: Scope<'_>, exempt: Exempt, view: &mut View<'_>) -> (Vec<Finding>, String) {
        let ShootSettings { peering, overlay, policy } = &self.settings;
        if !scope.touches_more_than_nodes() {
            // Only nodes or their infrastructure changed, which is nothing to peerings and networks.
            return (overlay::rules::judge(scope, overlay, policy, view), String::new());
        }
        let spare =
            |finding: Finding| if exempt == Exempt::Nothing { finding } else { finding.at_most(Severity::Note) };
        let (mut own, unanswered) = networks::judge(scope, view);
        own.extend(unanswered.map(|(seed, why)| seed_not_verified("spec.seedName", &seed, why)));
        let mut findings: Vec<Finding> = policy.apply(own).into_iter().map(spare).collect();
        if let Some(seed) =
            scope.new.seed.as_deref().filter(|_| findings.iter().any(|finding| finding.severity == Severity::Deny))
        {
            // Of a Seed nothing changes that networks depend on, unless it is another one of the same name.
            view.confirm_seed(seed);
        }

        findings.extend(overlay::rules::judge(scope, overlay, policy, view).into_iter().map(spare));

        findings.extend(policy.apply(peering::deletion_confirmed(scope).into_iter().collect()));
        if !scope.touches_pairs() {
            return (findings, String::new());
        }

        let spares_networks = exempt == Exempt::AllButEntries;
        let (found, states) = peering::judge(scope, peering, policy, spares_networks, view);
        findings.extend(found);
        (findings, peerings(&states))
    }
}

/// How many pairs stand how, for the audit log.
fn peerings(states: &[PairState]) -> String {
    let mut text = String::new();
    for state in [PairState::ConfiguredOnBoth, PairState::Incomplete, PairState::CannotBeVerified] {
        let count = states.iter().filter(|other| **other == state).count();
        if count > 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{count} {}", state.name());
        }
    }
    text
}

fn verdict(mut findings: Vec<Finding>, peerings: String, by_gardener: bool) -> Verdict {
    if by_gardener {
        findings = findings.into_iter().map(|finding| finding.at_most(Severity::Note)).collect();
    }
    let is_refused = findings.iter().any(|finding| finding.severity == Severity::Deny);
    let (outcome, decision) = match (is_refused, by_gardener) {
        (true, _) => (Outcome::Denied, "refused"),
        (false, true) => (Outcome::Allowed, "gardener"),
        (false, false) => (Outcome::Allowed, "accepted"),
    };
    let mut audit = vec![(AUDIT_DECISION, decision.to_owned())];
    if !peerings.is_empty() {
        audit.push((AUDIT_PEERINGS, peerings));
    }
    Verdict { outcome, decision, findings, audit }
}

impl Handler for ValidateShoot {
    fn name(&self) -> &'static str {
        "validate-shoot"
    }

    fn path(&self) -> &'static str {
        VALIDATE_SHOOT_PATH
    }

    fn resource(&self) -> Resource {
        SHOOTS
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        review_written(request, |text| self.review_shoot(request, text, view))
    }
}
