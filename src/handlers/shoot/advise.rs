//! `/webhooks/advise/shoot`: warns when a Shoot with peers is deleted or moved. It refuses nothing.

use std::collections::BTreeSet;

use super::{ADVISE_SHOOT_PATH, SHOOTS, ShootSettings, enabled, read};
use crate::admission::{Answers, Finding, Handler, Operation, Policy, Request, Resource, Sight, Step, Verdict};
use crate::gardener::{FieldError, Shoot, ShootFacts, ShootName, facts};
use crate::landscape::Snapshot;
use crate::peering::{Knowledge, rules::lifecycle};

/// The webhook.
#[derive(Debug, Default)]
pub struct AdviseShoot {
    policy: Policy,
}

/// The most Shoots whose visibility is asked for, of each kind.
const ASKED: usize = 100;

impl AdviseShoot {
    /// With these settings.
    pub fn new(settings: &ShootSettings) -> Self {
        Self { policy: settings.policy.clone() }
    }
}

fn find(request: &Request<'_>, knowledge: &mut Knowledge<'_>) -> Result<Option<Finding>, FieldError> {
    let old = request.old_object.map(|text| read(request, text, "request.oldObject"));
    match (request.operation, &*request.sub_resource) {
        (Operation::Delete, "") => Ok(old.transpose()?.and_then(|shoot| deleted(&shoot, knowledge))),
        (Operation::Update | Operation::Create, "binding") => {
            let new = request.object.map(|text| read(request, text, "request.object")).transpose()?;
            Ok(old.transpose()?.zip(new).and_then(|(old, new)| moved(&old, &new, knowledge)))
        }
        _ => Ok(None),
    }
}

fn deleted(shoot: &Shoot<'_>, knowledge: &mut Knowledge<'_>) -> Option<Finding> {
    let peers = enabled(shoot).map_or_else(Box::default, |extension| facts::peers(extension.provider_config));
    let name = ShootName::new(&shoot.namespace, &shoot.name);
    // Whom the Shoot lists itself, and its neighbours in the project: who else lists it is not even counted, or a user
    // could tell how many there are.
    let snapshot = knowledge.snapshot();
    let neighbours = snapshot.shoots.listers(&name).iter().filter(|lister| lister.namespace() == name.namespace());
    let asked: BTreeSet<&ShootName> = peers
        .iter()
        .map(|peer| &peer.target)
        .take(ASKED)
        .chain(neighbours.take(ASKED))
        .filter(|other| **other != name)
        .collect();
    let mut is_visible = |other: &ShootName| knowledge.sight(other) == Some(&Sight::Visible);
    let visible: Vec<&ShootName> = asked.into_iter().filter(|other| is_visible(other)).collect();
    let lists = |other: &&ShootName| snapshot.shoots.get(other).is_some_and(|facts| facts.lists(&name));
    let listers: Vec<ShootName> = visible.into_iter().filter(lists).cloned().collect();
    (!peers.is_empty() || !listers.is_empty()).then(|| lifecycle::deleted(peers.len(), &listers))
}

/// Whoever may move a control plane is an operator, and sees all who list its Shoot.
fn moved(old: &Shoot<'_>, new: &Shoot<'_>, knowledge: &mut Knowledge<'_>) -> Option<Finding> {
    let seed = |shoot: &Shoot<'_>| shoot.seed.as_deref().unwrap_or_default().to_owned();
    let (old_seed, new_seed) = (seed(old), seed(new));
    if old_seed.is_empty() || new_seed.is_empty() || old_seed == new_seed {
        return None;
    }
    let name = ShootName::new(&new.namespace, &new.name);
    let shoots = &knowledge.snapshot().shoots;
    let names_old_seed =
        |facts: &ShootFacts| facts.peers().iter().any(|peer| peer.target == name && *peer.seed == *old_seed);
    let listers = shoots.listers(&name).iter().filter(|lister| **lister != name);
    let mut listers: Vec<ShootName> = listers
        .filter(|lister| shoots.get(lister).is_some_and(|facts| names_old_seed(facts)))
        .take(ASKED)
        .cloned()
        .collect();
    listers.retain(|lister| knowledge.sight(lister) == Some(&Sight::Visible));
    lifecycle::migrated(&old_seed, &new_seed, &listers)
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
            Ok(finding) => {
                let findings = self.policy.apply(finding.into_iter().collect());
                Step::Done(Verdict { findings, ..Verdict::allow("advised") })
            }
            // Whatever cannot be read is deleted or moved all the same.
            Err(_) => Step::Done(Verdict::allow("unreadable")),
        }
    }
}
