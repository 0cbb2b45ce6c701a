//! `/webhooks/advise/shoot`: warns when a Shoot with peers is deleted or moved. It refuses nothing.

use std::collections::BTreeSet;

use super::{ADVISE_SHOOT_PATH, SHOOTS, ShootSettings, read};
use crate::admission::{Handler, Operation, Request, Resource, Step, Verdict};
use crate::diagnostics::{Finding, Policy};
use crate::gardener::{FieldError, Shoot, ShootFacts, ShootName, facts};
use crate::landscape::{Answers, Grant, Knowledge, Sight, Snapshot};
use crate::peering::rules;

/// The webhook.
#[derive(Debug, Default)]
pub struct AdviseShoot {
    policy: Policy,
}

/// The most peers whose visibility is asked for.
const ASKED: usize = 100;

/// The most Shoots that are looked at because they list this one; all of them may be seen.
const LOOKED_AT: usize = 1_000;

impl AdviseShoot {
    /// With these settings.
    pub fn new(settings: &ShootSettings) -> Self {
        Self { policy: settings.policy.clone() }
    }
}

fn find(request: &Request<'_>, knowledge: &mut Knowledge<'_>) -> Result<Vec<Finding>, FieldError> {
    let old = request.old_object.map(|text| read(request, text, "request.oldObject"));
    match (request.operation, &*request.sub_resource) {
        (Operation::Delete, "") => Ok(old.transpose()?.map(|shoot| deleted(&shoot, knowledge)).unwrap_or_default()),
        (Operation::Update | Operation::Create, "binding") => {
            let new = request.object.map(|text| read(request, text, "request.object")).transpose()?;
            Ok(old.transpose()?.zip(new).map(|(old, new)| moved(&old, &new, knowledge)).unwrap_or_default())
        }
        _ => Ok(Vec::new()),
    }
}

fn deleted(shoot: &Shoot<'_>, knowledge: &mut Knowledge<'_>) -> Vec<Finding> {
    let peers = shoot.enabled_peering().map_or_else(Box::default, |extension| facts::peers(extension.provider_config));
    let name = ShootName::new(&shoot.namespace, &shoot.name);
    let shoots = &knowledge.snapshot().shoots;
    let (listers, not_verified) = listers(&name, knowledge);
    let mut visible: BTreeSet<&ShootName> = listers.iter().take(LOOKED_AT).collect();
    for peer in peers.iter().take(ASKED) {
        if knowledge.sight(&peer.target) == Some(&Sight::Visible) {
            visible.insert(&peer.target);
        }
    }
    let lists = |other: &&ShootName| **other != name && shoots.get(other).is_some_and(|facts| facts.lists(&name));
    let listers: Vec<ShootName> = visible.into_iter().filter(lists).cloned().collect();
    let has_peers = !peers.is_empty() || !listers.is_empty();
    let deleted = has_peers.then(|| rules::lifecycle::deleted(peers.len(), &listers));
    deleted.into_iter().chain(not_verified).collect()
}

fn moved(old: &Shoot<'_>, new: &Shoot<'_>, knowledge: &mut Knowledge<'_>) -> Vec<Finding> {
    let seed = |shoot: &Shoot<'_>| shoot.seed.as_deref().unwrap_or_default().to_owned();
    let (old_seed, new_seed) = (seed(old), seed(new));
    if old_seed.is_empty() || new_seed.is_empty() || old_seed == new_seed {
        return Vec::new();
    }
    let name = ShootName::new(&new.namespace, &new.name);
    let shoots = &knowledge.snapshot().shoots;
    let names_old_seed =
        |facts: &ShootFacts| facts.peers().iter().any(|peer| peer.target == name && *peer.seed == *old_seed);
    let is_stale = |lister: &&ShootName| shoots.get(lister).is_some_and(|facts| names_old_seed(facts));
    let (listers, not_verified) = listers(&name, knowledge);
    let listers = listers.iter().take(LOOKED_AT).filter(|lister| **lister != name);
    let listers: Vec<ShootName> = listers.filter(is_stale).cloned().collect();
    rules::lifecycle::migrated(&old_seed, &new_seed, &listers).into_iter().chain(not_verified).collect()
}

/// Who lists this Shoot, as far as all Shoots of its project may be seen, or all Shoots everywhere. Who else lists it is
/// not even counted, or a user could tell how many there are. And what is said where nobody answered who may see them.
fn listers<'s>(name: &ShootName, knowledge: &mut Knowledge<'s>) -> (&'s [ShootName], Option<Finding>) {
    let sees_project = knowledge.sees_all_of(Grant::Namespace(name.namespace().into()));
    let sees_everything = knowledge.sees_all_of(Grant::Everywhere);
    let shoots = &knowledge.snapshot().shoots;
    let listers = match (sees_everything, sees_project) {
        (true, _) => return (shoots.listers(name), None),
        (false, true) => shoots.listers_in_project(name),
        (false, false) => &[],
    };
    (listers, knowledge.unanswered().map(rules::unverified::listers_not_verified))
}

impl Handler for AdviseShoot {
    fn name(&self) -> &'static str {
        "advise-shoot"
    }

    fn path(&self) -> &'static str {
        ADVISE_SHOOT_PATH
    }

    fn resource(&self) -> Resource {
        SHOOTS
    }

    fn review(&self, request: &Request<'_>, snapshot: &Snapshot, answers: &Answers) -> Step {
        let mut knowledge = Knowledge::new(snapshot, answers, false);
        let findings = find(request, &mut knowledge);
        let questions = std::mem::take(&mut knowledge.questions).without(answers);
        match findings {
            _ if !questions.is_empty() => Step::Ask(questions),
            Ok(findings) => {
                let findings = self.policy.apply(findings);
                Step::Done(Verdict { findings, ..Verdict::allow("advised") })
            }
            // Whatever cannot be read is deleted or moved all the same.
            Err(_) => Step::Done(Verdict::allow("unreadable")),
        }
    }
}
