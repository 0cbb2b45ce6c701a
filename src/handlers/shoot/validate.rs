//! `/webhooks/validate/shoot`: judges peerings and networks.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{
    Exempt, SHOOTS, STORED_LIMIT, ShootSettings, VALIDATE_SHOOT_PATH, is_same, is_unchanged, is_unchanged_to_peers,
    read, review_written, vpc,
};
use crate::admission::{AuditKey, Handler, Outcome, Request, Resource, Step, Verdict};
use crate::diagnostics::{Finding, Severity};
use crate::gardener::shoot::StatusNetworking;
use crate::gardener::{FieldError, Shoot, ShootName, facts};
use crate::landscape::{Answers, Knowledge, Seed, Snapshot, Target};
use crate::peering::rules::{self, lifecycle};
use crate::peering::{self, Limits, Local, Own, PairState, Ruled, Subject, config_path};
use crate::{networks, overlay};

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

    fn review_shoot(
        &self,
        request: &Request<'_>,
        text: &str,
        snapshot: &Snapshot,
        answers: &Answers,
    ) -> Result<Step, FieldError> {
        let new = read(request, text, "request.object")?;
        if new.is_being_deleted {
            return Ok(Step::Done(Verdict::allow("deleting")));
        }
        let old = request.old_object.map(|old| read(request, old, "request.oldObject")).transpose()?;
        if old.as_ref().is_some_and(|old| is_unchanged(old, &new) && overlay::is_untouched(&new, old)) {
            return Ok(Step::Done(Verdict::allow("unchanged")));
        }
        let exempt = Exempt::of(&request.user_info()?, old.as_ref(), &new);
        let mut knowledge = Knowledge::new(snapshot, answers, exempt == Exempt::All);
        let (findings, peerings) = self.judge(&new, old.as_ref(), exempt, &mut knowledge);
        let questions = std::mem::take(&mut knowledge.questions).without(answers);
        if !questions.is_empty() {
            return Ok(Step::Ask(questions));
        }
        Ok(Step::Done(verdict(findings, peerings, exempt == Exempt::All)))
    }

    /// All findings, weighed. They count only when there is nothing left to ask.
    fn judge(
        &self,
        new: &Shoot<'_>,
        old: Option<&Shoot<'_>>,
        exempt: Exempt,
        knowledge: &mut Knowledge<'_>,
    ) -> (Vec<Finding>, String) {
        let ShootSettings { peering: settings, policy, .. } = &self.settings;
        if old.is_some_and(|old| is_unchanged(old, new)) {
            // Only nodes or their infrastructure changed, which is nothing to peerings and networks.
            return (self.judge_overlay(new, old, knowledge), String::new());
        }
        let spare =
            |finding: Finding| if exempt == Exempt::Nothing { finding } else { finding.at_most(Severity::Note) };
        let mut findings: Vec<Finding> =
            policy.apply(own_networks(new, old, knowledge)).into_iter().map(spare).collect();
        if let Some(seed) = new.seed.as_deref().filter(|_| findings.iter().any(is_refusal)) {
            // Of a Seed nothing changes that networks depend on, unless it is another one of the same name.
            knowledge.confirm_seed(seed);
        }

        findings.extend(self.judge_overlay(new, old, knowledge).into_iter().map(spare));

        findings.extend(policy.apply(deletion_confirmed(new, old).into_iter().collect()));
        if old.is_some_and(|old| is_unchanged_to_peers(old, new)) {
            return (findings, String::new());
        }

        // As much is read of the new object as of what is stored, and more than would be accepted now: neither entries nor
        // findings become new by coming into view, and none is a way past the rules.
        let permitted = settings.max_peers;
        let limits = Limits { permitted, entries: permitted.max(STORED_LIMIT), findings: STORED_LIMIT };
        let old_local = old.and_then(|old| Some(peering::local(old, old.enabled_peering()?, limits)));
        let stored = old_local.as_ref().map_or(0, |old| old.findings.len());
        let limits = Limits { findings: FINDINGS_LIMIT + stored, ..limits };
        let mut new_local = new.enabled_peering().map(|extension| peering::local(new, extension, limits));
        let mut said = Vec::new();
        if let Some(local) = &mut new_local {
            said.extend(ratchet(local, old_local.as_ref()));
        } else if let Some(extension) = &new.peering {
            let is_touched = old.is_none_or(|old| old.peering.as_ref() != Some(extension));
            let listed = facts::peers(extension.provider_config).len();
            let path = format!("spec.extensions[{}]", extension.index);
            said.extend(lifecycle::switched_off(&path, listed).filter(|_| is_touched));
        }
        findings.extend(policy.apply(said));

        let path = new.enabled_peering().map(config_path).unwrap_or_default();
        let (config, usable) = new_local.map(|local| (local.config, local.usable)).unzip();
        let old_config = old_local.as_ref().map(|old| &old.config);
        let mut subject = Subject::new(new, old, path, usable.unwrap_or_default(), config.as_ref(), old_config);
        subject.look_up(settings.looked_up());
        let (mut ruled, states) = peering::remote(&subject, settings, knowledge);
        if old_local.as_ref().is_some_and(|old| old.is_cut) {
            // Which of the entries are new is not known: what comes into view was stored.
            ruled = ruled.into_iter().map(at_most_warned).collect();
        }
        if exempt == Exempt::AllButEntries {
            ruled = ruled.into_iter().map(spare_networks).collect();
        }
        ruled.retain_mut(|ruled| {
            ruled.instead_of.is_none_or(|rule| !policy.is_off(rule)) && policy.weigh(&mut ruled.finding)
        });
        peering::prefer_precise(&mut ruled);
        peering::gather_awaited(&mut ruled, &subject, knowledge);
        confirm(&subject, &ruled, knowledge);
        findings.extend(ruled.into_iter().map(|ruled| ruled.finding));
        (findings, peerings(&states))
    }

    /// The findings about Calico's overlay, weighed.
    fn judge_overlay(&self, new: &Shoot<'_>, old: Option<&Shoot<'_>>, knowledge: &mut Knowledge<'_>) -> Vec<Finding> {
        let ShootSettings { overlay: settings, policy, .. } = &self.settings;
        if old.is_some_and(|old| old.is_moving) {
            // Whatever is said now would be about two Seeds at once; infrastructure extensions skip it too.
            return Vec::new();
        }
        let mut findings = own_overlay(new, old);
        findings.extend(overlay::limits::check(new, old, settings));
        let mut findings = policy.apply(findings);
        findings.extend(vpc::shared(new, old, settings, policy, knowledge));
        findings
    }
}

/// The most findings about a new configuration in itself.
const FINDINGS_LIMIT: usize = 100;

fn is_refusal(finding: &Finding) -> bool {
    finding.severity == Severity::Deny
}

/// A finding about an entry weighs no more than a warning.
fn at_most_warned(ruled: Ruled) -> Ruled {
    let is_of_entry = ruled.finding.path.contains(".shootPeerings");
    Ruled { finding: if is_of_entry { ruled.finding.at_most(Severity::Warn) } else { ruled.finding }, ..ruled }
}

/// A finding about networks is for the log: who wrote them was Gardener.
fn spare_networks(ruled: Ruled) -> Ruled {
    let is_of_networks = ruled.finding.path.starts_with("spec.networking");
    Ruled { finding: if is_of_networks { ruled.finding.at_most(Severity::Note) } else { ruled.finding }, ..ruled }
}

/// What is said when the deletion of a Shoot with peers is announced.
fn deletion_confirmed(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Option<Finding> {
    if !new.is_deletion_confirmed || old.is_none_or(|old| old.is_deletion_confirmed) {
        return None;
    }
    let peers = facts::peers(new.enabled_peering()?.provider_config).len();
    (peers > 0).then(|| lifecycle::deletion_confirmed(peers))
}

/// Has everything read anew that a refusal would rest on. What is read first may show that others are in the way: the
/// second time all are read that anything is known of, so that there is no third.
fn confirm(subject: &Subject<'_>, ruled: &[Ruled], knowledge: &mut Knowledge<'_>) {
    let refusals = || ruled.iter().filter(|ruled| is_refusal(&ruled.finding));
    let is_second_look = knowledge.is_second_look();
    let unconfirmed: Vec<&ShootName> =
        refusals().flat_map(|ruled| &ruled.rests_on).filter(|name| !knowledge.is_confirmed(name)).collect();
    for name in &unconfirmed {
        knowledge.confirm(name);
    }
    if is_second_look && !unconfirmed.is_empty() {
        for listed in subject.peers.iter().filter(|listed| listed.is_looked_up) {
            let target = knowledge.target(&listed.target, subject.name.as_ref());
            if let Some(Target::Visible(_) | Target::Missing | Target::Consenting(_)) = target {
                knowledge.confirm(&listed.target);
            }
        }
    }
    if let Some(seed) = subject.seed.filter(|_| refusals().any(|ruled| ruled.rests_on_seed)) {
        knowledge.confirm_seed(seed);
    }
}

/// Findings about the Shoot's own networks that its writer caused.
fn own_networks(new: &Shoot<'_>, old: Option<&Shoot<'_>>, knowledge: &mut Knowledge<'_>) -> Vec<Finding> {
    let mut unverified = None;
    let mut check = |shoot: &Shoot<'_>, stored: Option<&Shoot<'_>>| {
        let no_status = StatusNetworking::default();
        let status = stored.map_or(&no_status, |stored| &stored.status_networking);
        let seed = shoot.seed.as_deref().filter(|seed| !seed.is_empty()).and_then(|name| match knowledge.seed(name) {
            Seed::Found(facts) => Some((name, facts)),
            Seed::Unanswered(why) => {
                unverified = Some(rules::unverified::seed_not_verified("spec.seedName", name, why));
                None
            }
            Seed::Absent | Seed::Asked => None,
        });
        networks::check(&shoot.networking, status, seed)
    };
    let stored = old.map_or_else(Vec::new, |old| check(old, Some(old)));
    let found = check(new, old);
    // Nobody else says so, and connections into the Shoot fail: told at every write that is judged, if not refused.
    let lasting: Vec<Finding> = found.iter().filter(|finding| networks::is_untranslatable(finding)).cloned().collect();
    let mut findings = without_stored(found, stored);
    for finding in lasting {
        if !findings.iter().any(|new| (new.rule, &new.path) == (finding.rule, &finding.path)) {
            findings.push(finding.at_most(Severity::Warn));
        }
    }
    findings.extend(unverified);
    findings
}

/// Findings about Calico's overlay that the Shoot's writer caused.
fn own_overlay(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    // With IPv6, Calico's configuration may mean something else.
    let is_as_before = |old: &Shoot<'_>| {
        is_same(old.network_config, new.network_config) && old.networking.ip_families == new.networking.ip_families
    };
    if old.is_some_and(is_as_before) {
        return Vec::new();
    }
    let stored = old.map_or_else(Vec::new, |old| overlay::check(old, Some(old)));
    without_stored(overlay::check(new, old), stored)
}

/// Findings that were not stored before, or weighed less then.
fn without_stored(mut findings: Vec<Finding>, mut stored: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| match stored.iter().position(|old| is_same_or_less(finding, old)) {
        Some(at) => {
            stored.swap_remove(at);
            false
        }
        None => true,
    });
    findings
}

/// Whether a finding says what was said of the stored object, and weighs no more than it did.
fn is_same_or_less(finding: &Finding, old: &Finding) -> bool {
    // Which of several networks has no room depends on all of them; and which of them meets a Seed that is too wide first.
    let is_same = match finding.rule {
        rule if rule == networks::rules::SEED_TOO_WIDE.name => true,
        rule if rule == networks::rules::DOES_NOT_FIT.name => old.path == finding.path,
        // With VXLAN it is half as bad, and still the same.
        rule if rule == overlay::families::ON_WITH_IPV6.name => old.path == finding.path,
        _ => (&old.path, &old.message) == (&finding.path, &finding.message),
    };
    old.rule == finding.rule && is_same && finding.severity <= old.severity
}

/// What was stored before weighs no more than a warning: a stored problem blocks nobody who edits something else.
fn ratchet(new: &mut Local<'_>, old: Option<&Local<'_>>) -> Vec<Finding> {
    let found = std::mem::take(&mut new.findings);
    let Some(old) = old else { return found.into_iter().map(|own| own.finding).collect() };
    let mut stored: HashMap<Said<'_>, usize> = HashMap::new();
    for own in &old.findings {
        *stored.entry(said(own)).or_default() += 1;
    }
    let of_the_whole = [rules::shape::TOO_MANY.name, lifecycle::NO_WORKERS.name];
    let mut are_stored = Vec::with_capacity(found.len());
    for own in &found {
        are_stored.push(if of_the_whole.contains(&own.finding.rule) {
            new.config.count <= old.config.count && old.findings.iter().any(|old| old.finding.rule == own.finding.rule)
        } else {
            // Of more than is read, anything may have been stored.
            stored.get_mut(&said(own)).filter(|count| **count > 0).map(|count| *count -= 1).is_some() || old.is_cut
        });
    }
    let weighed = found.into_iter().zip(are_stored);
    weighed.map(|(own, is_stored)| if is_stored { own.finding.at_most(Severity::Warn) } else { own.finding }).collect()
}

/// What a finding says, about which entry and field, wherever the entry stands.
type Said<'a> = (&'static str, &'a str, &'a str, &'a str);

fn said(own: &Own) -> Said<'_> {
    let field = own.finding.path.rsplit('.').next().unwrap_or_default();
    let field = field.split('[').next().unwrap_or_default();
    (own.finding.rule, &own.about, field, &own.finding.message)
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

    fn review(&self, request: &Request<'_>, snapshot: &Snapshot, answers: &Answers) -> Step {
        review_written(request, |text| self.review_shoot(request, text, snapshot, answers))
    }
}
