//! What is said of the peerings of a Shoot that is written: all rules, weighed, and kept to what its writer caused.

use std::collections::HashMap;

use super::config::{Limits, Own};
use super::evaluate::{Local, config_path, gather_awaited, local, prefer_precise, remote};
use super::pair::PairState;
use super::ruled::Ruled;
use super::rules;
use super::rules::lifecycle;
use super::settings::{STORED_LIMIT, Settings};
use super::subject::Subject;
use crate::diagnostics::{Finding, Policy, Severity};
use crate::gardener::{Shoot, ShootName, facts};
use crate::landscape::{Target, View};

/// The most findings about a new configuration in itself.
const FINDINGS_LIMIT: usize = 100;

/// All findings about peerings, and how the pairs stand. They count only when there is nothing left to ask. With `spares_networks`
/// a component of Gardener wrote the networks, and only entries are judged.
pub fn judge(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    settings: &Settings,
    policy: &Policy,
    spares_networks: bool,
    view: &mut View<'_>,
) -> (Vec<Finding>, Vec<PairState>) {
    // As much is read of the new object as of what is stored, and more than would be accepted now: neither entries nor
    // findings become new by coming into view, and none is a way past the rules.
    let permitted = settings.max_peers;
    let limits = Limits { permitted, entries: permitted.max(STORED_LIMIT), findings: STORED_LIMIT };
    let old_local = old.and_then(|old| Some(local(old, old.enabled_peering()?, limits)));
    let stored = old_local.as_ref().map_or(0, |old| old.findings.len());
    let limits = Limits { findings: FINDINGS_LIMIT + stored, ..limits };
    let mut new_local = new.enabled_peering().map(|extension| local(new, extension, limits));
    let mut said = Vec::new();
    if let Some(local) = &mut new_local {
        said.extend(ratchet(local, old_local.as_ref()));
    } else if let Some(extension) = &new.peering {
        let is_touched = old.is_none_or(|old| old.peering.as_ref() != Some(extension));
        let listed = facts::peers(extension.provider_config).len();
        let path = format!("spec.extensions[{}]", extension.index);
        said.extend(lifecycle::switched_off(&path, listed).filter(|_| is_touched));
    }
    let mut findings = policy.apply(said);

    let path = new.enabled_peering().map(config_path).unwrap_or_default();
    let (config, usable) = new_local.map(|local| (local.config, local.usable)).unzip();
    let old_config = old_local.as_ref().map(|old| &old.config);
    let mut subject = Subject::new(new, old, path, usable.unwrap_or_default(), config.as_ref(), old_config);
    subject.look_up(settings.looked_up());
    let (mut ruled, states) = remote(&subject, settings, view);
    if old_local.as_ref().is_some_and(|old| old.is_cut) {
        // Which of the entries are new is not known: what comes into view was stored.
        ruled = ruled.into_iter().map(at_most_warned).collect();
    }
    if spares_networks {
        ruled = ruled.into_iter().map(spare_networks).collect();
    }
    ruled.retain_mut(|ruled| {
        ruled.instead_of.is_none_or(|rule| !policy.is_off(rule)) && policy.weigh(&mut ruled.finding)
    });
    prefer_precise(&mut ruled);
    gather_awaited(&mut ruled, &subject, view);
    confirm(&subject, &ruled, view);
    findings.extend(ruled.into_iter().map(|ruled| ruled.finding));
    (findings, states)
}

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
pub fn deletion_confirmed(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Option<Finding> {
    if !new.is_deletion_confirmed || old.is_none_or(|old| old.is_deletion_confirmed) {
        return None;
    }
    let peers = facts::peers(new.enabled_peering()?.provider_config).len();
    (peers > 0).then(|| lifecycle::deletion_confirmed(peers))
}

/// Has everything read anew that a refusal would rest on. What is read first may show that others are in the way: the
/// second time all are read that anything is known of, so that there is no third.
fn confirm(subject: &Subject<'_>, ruled: &[Ruled], view: &mut View<'_>) {
    let refusals = || ruled.iter().filter(|ruled| is_refusal(&ruled.finding));
    let is_second_look = view.is_second_look();
    let unconfirmed: Vec<&ShootName> =
        refusals().flat_map(|ruled| &ruled.rests_on).filter(|name| !view.is_confirmed(name)).collect();
    for name in &unconfirmed {
        view.confirm(name);
    }
    if is_second_look && !unconfirmed.is_empty() {
        for listed in subject.peers.iter().filter(|listed| listed.is_looked_up) {
            let target = view.target(&listed.target, subject.name.as_ref());
            if let Some(Target::Visible(_) | Target::Missing | Target::Consenting(_)) = target {
                view.confirm(&listed.target);
            }
        }
    }
    if let Some(seed) = subject.seed.filter(|_| refusals().any(|ruled| ruled.rests_on_seed)) {
        view.confirm_seed(seed);
    }
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
