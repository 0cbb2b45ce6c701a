//! The other Shoots in the VPC of a Shoot without an overlay, as far as its writer may know of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::settings::GardenSettings;
use super::vpc::{Newcomer, SHARED_VPC};
use crate::diagnostics::{Finding, Policy, Severity};
use crate::gardener::{Shoot, ShootFacts, ShootName, facts, is_dns_label};
use crate::landscape::{Freshness, Grant, Target, View};

/// The most Shoots of the same project, and of other projects, that are compared; all of them may be visible. A VPC of
/// AWS has room for 200 subnets by default and each Shoot takes at least three, so it holds about as many.
const LOOKED_AT: usize = 64;

/// The most projects of peers that are considered; this bounds the number of questions.
const PROJECTS: usize = 8;

/// The overlaps in the VPC of a Shoot whose writer changed something that they depend on. Visibility is asked project
/// by project, for those that the writer named, and for all at once. So the questions follow from the request alone,
/// and Shoots that are not visible change nothing, however many there are.
pub(super) fn shared(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    settings: &GardenSettings,
    policy: &Policy,
    view: &mut View<'_>,
) -> Vec<Finding> {
    let is_off = !policy.weigh(&mut SHARED_VPC.finding("", String::new(), ""));
    let newcomer = if is_off { None } else { Newcomer::of(new, old, &settings.vpcs) };
    let Some(newcomer) = newcomer else { return Vec::new() };
    let own = ShootName::new(&new.namespace, &new.name);
    let everything = view.sees_all_of(Grant::Everywhere);
    let mut sees = |project: &str| view.sees_all_of(Grant::Namespace(project.into()));
    let own_project = sees(own.namespace());
    let projects: Vec<_> = projects_of_peers(new).iter().filter_map(|project| sees(project)).collect();
    // A missing answer must be reported: it is not a "no".
    let unanswered = view.unanswered().filter(|_| everything.is_none());
    let mut findings: Vec<Finding> = unanswered.map(|why| newcomer.not_compared(why)).into_iter().collect();

    let of_own_project = own_project.as_ref().map(|project| view.in_vpc(&newcomer.vpc, project));
    let others: Names<'_> = match &everything {
        Some(everything) => {
            let all = view.in_vpc(&newcomer.vpc, everything);
            Box::new(all.filter(|name| name.namespace() != own.namespace()))
        }
        None => {
            let by_project: Vec<_> = projects.iter().map(|project| view.in_vpc(&newcomer.vpc, project)).collect();
            Box::new(by_project.into_iter().flatten())
        }
    };
    let mut names: Vec<&ShootName> = Vec::new();
    let mut may_be_more = false;
    for mut some in [Box::new(of_own_project.into_iter().flatten()), others] {
        names.extend(some.by_ref().filter(|name| **name != own).take(LOOKED_AT));
        may_be_more |= some.any(|name| *name != own);
    }
    let visible = visible(&names, &newcomer, settings, view);
    if let Some(mut shared) = newcomer.meet(visible.iter().map(|(name, facts)| (*name, &**facts)), may_be_more) {
        policy.weigh(&mut shared.finding);
        if shared.finding.severity == Severity::Deny {
            // A refusal rests on the present objects, not on the cache.
            shared.rests_on.iter().for_each(|name| view.confirm(name));
        }
        findings.push(shared.finding);
    }
    findings.retain_mut(|finding| policy.weigh(finding));
    findings
}

/// A part of the Shoots of a VPC.
type Names<'n> = Box<dyn Iterator<Item = &'n ShootName> + 'n>;

/// The projects, besides its own, of those that the Shoot lists as peers.
fn projects_of_peers(shoot: &Shoot<'_>) -> BTreeSet<String> {
    let peers = shoot.enabled_peering().map_or_else(Box::default, |extension| facts::peers(extension.provider_config));
    let mut projects = BTreeSet::new();
    for project in peers.iter().map(|peer| peer.target.namespace()) {
        if projects.len() < PROJECTS && *project != *shoot.namespace && is_dns_label(project) {
            projects.insert(project.to_owned());
        }
    }
    projects
}

/// The Shoots that the writer may see, and that are still in this VPC.
fn visible<'n>(
    names: &[&'n ShootName],
    newcomer: &Newcomer,
    settings: &GardenSettings,
    view: &mut View<'_>,
) -> Vec<(&'n ShootName, Arc<ShootFacts>)> {
    let mut found = Vec::new();
    for name in names {
        if let Some(Target::Visible(facts)) = view.shoot(name, Freshness::Cached)
            && settings.vpcs.key(name.namespace(), &facts.vpc).as_ref() == Some(&newcomer.vpc)
        {
            found.push((*name, facts));
        }
    }
    found
}
