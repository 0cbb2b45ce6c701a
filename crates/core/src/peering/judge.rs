//! Findings about the peerings of a Shoot that is written: all rules, with configured severities, limited to what the
//! writer caused.

use std::collections::HashMap;

use super::config::{Limits, Own};
use super::evaluate::{Local, config_path, gather_awaited, local, prefer_precise, remote};
use super::pair_state::PairState;
use super::ruled::Ruled;
use super::rules;
use super::rules::lifecycle;
use super::settings::{STORED_LIMIT, Settings};
use super::subject::Subject;
use crate::diagnostics::{Finding, Policy, Severity};
use crate::gardener::{Shoot, ShootName, facts};
use crate::json::FieldPath;
use crate::landscape::{Target, View};

/// The maximum number of findings about a new configuration by itself.
const FINDINGS_LIMIT: usize = 100;

/// All findings about peerings, and the state of each pair. They are valid only when `view` has no questions left. With
/// `spares_networks`, a component of Gardener wrote the networks, and only entries are judged.
pub fn judge(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    settings: &Settings,
    policy: &Policy,
    spares_networks: bool,
    view: &mut View<'_>,
) -> (Vec<Finding>, Vec<PairState>) {
    // The new object and the stored one are read up to the same limit, which is above what is permitted. So no stored
    // entry or finding counts as new because it moved below the limit, and nothing above the limit evades the rules.
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
        let path = FieldPath::from("spec.extensions").index(extension.index);
        said.extend(lifecycle::switched_off(path, listed).filter(|_| is_touched));
    }
    let mut findings = policy.apply(said);

    let path = new.enabled_peering().map(config_path).unwrap_or_default();
    let (config, usable) = new_local.map(|local| (local.config, local.usable)).unzip();
    let old_config = old_local.as_ref().map(|old| &old.config);
    let mut subject = Subject::new(new, old, path, usable.unwrap_or_default(), config.as_ref(), old_config);
    subject.look_up(settings.looked_up());
    let (mut ruled, states) = remote(&subject, settings, view);
    if old_local.as_ref().is_some_and(|old| old.is_cut) {
        // It is unknown which entries are new: one that moved below the limit was stored before.
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

/// Limits a finding about an entry to a warning.
fn at_most_warned(ruled: Ruled) -> Ruled {
    let is_of_entry = ruled.finding.path.has_field("shootPeerings");
    Ruled { finding: if is_of_entry { ruled.finding.at_most(Severity::Warn) } else { ruled.finding }, ..ruled }
}

/// Limits a finding about networks to a note: Gardener wrote them.
fn spare_networks(ruled: Ruled) -> Ruled {
    let is_of_networks = ruled.finding.path.is_within(&"spec.networking".into());
    Ruled { finding: if is_of_networks { ruled.finding.at_most(Severity::Note) } else { ruled.finding }, ..ruled }
}

/// The finding when the deletion of a Shoot with peers is confirmed.
pub fn deletion_confirmed(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Option<Finding> {
    if !new.is_deletion_confirmed || old.is_none_or(|old| old.is_deletion_confirmed) {
        return None;
    }
    let peers = facts::peers(new.enabled_peering()?.provider_config).len();
    (peers > 0).then(|| lifecycle::deletion_confirmed(peers))
}

/// Requests a fresh read of everything that a denial rests on. The first read may reveal other conflicts, so the second
/// round reads every known target, and a third round is never needed.
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

/// Limits stored problems to warnings: they must not block an edit of something else.
fn ratchet(new: &mut Local<'_>, old: Option<&Local<'_>>) -> Vec<Finding> {
    let found = std::mem::take(&mut new.findings);
    let Some(old) = old else { return found.into_iter().map(|own| own.finding).collect() };
    let mut stored: HashMap<Said<'_>, usize> = HashMap::new();
    for own in &old.findings {
        *stored.entry(said(own)).or_default() += 1;
    }
    let of_the_whole = [&rules::shape::TOO_MANY, &lifecycle::NO_WORKERS];
    let mut are_stored = Vec::with_capacity(found.len());
    for own in &found {
        are_stored.push(if of_the_whole.contains(&own.finding.rule) {
            new.config.count <= old.config.count && old.findings.iter().any(|old| old.finding.rule == own.finding.rule)
        } else {
            // If the stored object exceeded a limit, anything may have been stored.
            stored.get_mut(&said(own)).filter(|count| **count > 0).map(|count| *count -= 1).is_some() || old.is_cut
        });
    }
    let weighed = found.into_iter().zip(are_stored);
    weighed.map(|(own, is_stored)| if is_stored { own.finding.at_most(Severity::Warn) } else { own.finding }).collect()
}

/// Identifies a finding by its rule, entry, field and message, independent of the entry's index.
type Said<'a> = (&'static str, &'a str, &'a str, &'a str);

fn said(own: &Own) -> Said<'_> {
    let field = own.finding.path.last_field().unwrap_or_default();
    (own.finding.rule.name, &own.about, field, &own.finding.message)
}
