//! Who else is in the VPC of a Shoot without an overlay, as far as its writer may know.

use std::sync::Arc;

use crate::admission::{Finding, Policy, Severity};
use crate::gardener::{Shoot, ShootFacts, ShootName};
use crate::overlay::GardenSettings;
use crate::overlay::vpc::{Newcomer, SHARED_VPC};
use crate::peering::{Knowledge, Target};

/// The most Shoots of the same project, and of other projects, whose visibility is asked for. A VPC of AWS has room for
/// 200 subnets by default and each Shoot takes at least three, so it holds fewer; and those of other projects, who may be
/// hidden, never displace those of the same one.
const ASKED: usize = 64;

/// What overlaps in the VPC of a Shoot whose writer changed that. Who is asked about follows from who is there, never
/// from what overlaps; and whoever may not be seen is as good as not there.
pub(super) fn shared(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    settings: &GardenSettings,
    policy: &Policy,
    knowledge: &mut Knowledge<'_>,
) -> Option<Finding> {
    let is_off = !policy.weigh(&mut SHARED_VPC.finding("", String::new(), ""));
    let newcomer = if is_off { None } else { Newcomer::of(new, old, &settings.vpcs) }?;
    let own = ShootName::new(&new.namespace, &new.name);
    let shoots = &knowledge.snapshot().shoots;
    let others = |name: &&ShootName| **name != own;
    let neighbours: Vec<&ShootName> =
        shoots.neighbours(&newcomer.vpc, &new.namespace).filter(others).take(ASKED).collect();
    let strangers: Vec<&ShootName> =
        shoots.in_vpc(&newcomer.vpc).filter(|name| name.namespace() != &*new.namespace).take(ASKED).collect();
    let neighbours = visible(&neighbours, &newcomer, settings, knowledge);
    let strangers = visible(&strangers, &newcomer, settings, knowledge);

    // That there are more is said of the writer's own project only, where nobody is hidden from members: elsewhere it
    // would tell whether all that were asked about are seen, and so whether somebody hidden is among them.
    let may_be_more = neighbours.len() == ASKED;
    let all = neighbours.iter().chain(&strangers).map(|(name, facts)| (*name, &**facts));
    let mut shared = newcomer.meet(all, may_be_more)?;
    policy.weigh(&mut shared.finding);
    if shared.finding.severity == Severity::Deny {
        // A refusal rests on what is there now, not on what was there when we last looked.
        shared.rests_on.iter().for_each(|name| knowledge.confirm(name));
    }
    Some(shared.finding)
}

/// Those that the writer may see, and that are still in this VPC.
fn visible<'n>(
    names: &[&'n ShootName],
    newcomer: &Newcomer,
    settings: &GardenSettings,
    knowledge: &mut Knowledge<'_>,
) -> Vec<(&'n ShootName, Arc<ShootFacts>)> {
    let mut found = Vec::new();
    for name in names {
        if let Some(Target::Visible(facts)) = knowledge.target(name, None)
            && settings.vpcs.key(name.namespace(), &facts.vpc).as_ref() == Some(&newcomer.vpc)
        {
            found.push((*name, facts));
        }
    }
    found
}
