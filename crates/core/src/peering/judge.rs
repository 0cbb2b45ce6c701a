//! Findings about the peerings of a Shoot that is written: all rules, with configured severities, limited to what the
//! writer caused.

use super::config::Limits;
use super::evaluate::{config_path, gather_awaited, local, prefer_precise, remote};
use super::pair_state::PairState;
use super::ruled::Ruled;
use super::rules::lifecycle;
use super::settings::{STORED_LIMIT, Settings};
use super::subject::Subject;
use crate::diagnostics::ratchet::{self, Scope, compare};
use crate::diagnostics::{Finding, Policy, Severity};
use crate::gardener::{ShootName, facts};
use crate::json::FieldPath;
use crate::landscape::{Target, View};

/// The maximum number of findings about a new configuration by itself.
const FINDINGS_LIMIT: usize = 100;

/// All findings about peerings, and the state of each pair. They are valid only when `view` has no questions left. With
/// `spares_networks`, a component of Gardener wrote the networks, and only entries are judged.
pub fn judge(
    scope: Scope<'_>,
    settings: &Settings,
    policy: &Policy,
    spares_networks: bool,
    view: &mut View<'_>,
) -> (Vec<Finding>, Vec<PairState>) {
    let Scope { new, old } = scope;
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
        // A stored problem must not block an edit of something else.
        let (stored, is_cut) = old_local.as_ref().map_or((&[][..], false), |old| (&old.findings, old.is_cut));
        said.extend(compare(std::mem::take(&mut local.findings), stored).cut(is_cut).all());
    } else if let Some(extension) = &new.peering {
        let listed = facts::peers(extension.provider_config).len();
        let path = FieldPath::from("spec.extensions").index(extension.index);
        said.extend(lifecycle::switched_off(path, listed).filter(|_| scope.touches_peerings()));
    }
    let mut findings = policy.apply(said);

    let path = new.enabled_peering().map(config_path).unwrap_or_default();
    let (config, usable) = new_local.map(|local| (local.config, local.usable)).unzip();
    let old_config = old_local.as_ref().map(|old| &old.config);
    let mut subject = Subject::new(scope, path, usable.unwrap_or_default(), config.as_ref(), old_config);
    subject.look_up(settings.looked_up());
    let (mut ruled, states) = remote(&subject, settings, view);
    if old_local.as_ref().is_some_and(|old| old.is_cut) {
        // It is unknown which entries are new: one that moved below the limit was stored before.
        ruled = ruled.into_iter().map(stored_entry).collect();
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

/// Limits a finding about an entry, which may have been stored.
fn stored_entry(ruled: Ruled) -> Ruled {
    let is_of_entry = ruled.finding.path.has_field("shootPeerings");
    Ruled { finding: if is_of_entry { ratchet::as_stored(ruled.finding) } else { ruled.finding }, ..ruled }
}

/// Limits a finding about networks to a note: Gardener wrote them.
fn spare_networks(ruled: Ruled) -> Ruled {
    let is_of_networks = ruled.finding.path.is_within(&"spec.networking".into());
    Ruled { finding: if is_of_networks { ruled.finding.at_most(Severity::Note) } else { ruled.finding }, ..ruled }
}

/// The finding when the deletion of a Shoot with peers is confirmed.
pub fn deletion_confirmed(Scope { new, old }: Scope<'_>) -> Option<Finding> {
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
