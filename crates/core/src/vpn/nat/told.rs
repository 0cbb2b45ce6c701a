//! Whether the VPN of a kube-apiserver is configured with the networks of its Cluster.
//!
//! After a Shoot has grown, gardenlet writes the Cluster first and the kube-apiserver when the steps between are done.
//! Until then, or for as long as one of them fails, the Seed's end of the tunnel maps by the old networks.

use std::fmt;

use super::own;
use super::variables::{Wanted, container_variables, is_reference, text_of};
use crate::gardener::deployment::PodSpec;
use crate::gardener::{ClusterFacts, Deployment, EnvValue, ToldNetworks};
use crate::json::excerpt;

/// Networks that the VPN is configured with and that differ from the Cluster's, so that they lead to another mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Whose networks.
    pub whose: &'static str,
    /// The configured networks; empty if there are none.
    pub told: String,
    /// What the Cluster says.
    pub wanted: String,
}

/// In the order of [`super::NAMES`].
const WHOSE: [&str; 4] = ["Seed pods", "pods", "services", "nodes"];

/// The most sets that are compared: more than a VPN has containers, all of which usually have the same set.
const MOST_SETS: usize = 8;

/// The networks that a kube-apiserver's VPN is configured with. `None` where nothing is mapped: its VPN ends elsewhere,
/// the Shoot is hibernated, or the Deployment is being deleted.
pub fn told(deployment: &Deployment<'_>) -> Option<ToldNetworks> {
    if deployment.metadata.is_being_deleted || deployment.spec.replicas == Some(0) {
        return None;
    }
    let pod = &deployment.spec.template.spec;
    let own = own::told(pod);
    // Where network-guard's containers translate, vpn2 does not.
    let all = if own.is_empty() { of_vpn(pod) } else { own };
    let mut sets: Vec<[EnvValue<'static>; 4]> = Vec::new();
    for set in all {
        if sets.len() < MOST_SETS && !sets.contains(&set) {
            sets.push(set);
        }
    }
    (!sets.is_empty()).then(|| ToldNetworks { sets: sets.into() })
}

fn of_vpn(pod: &PodSpec<'_>) -> Vec<[EnvValue<'static>; 4]> {
    let found = container_variables(pod).into_iter().map(|(_, _, _, found)| found);
    found.map(|found| found.map(|found| found.map_or(EnvValue::Missing, |(_, value)| value.into_owned()))).collect()
}

/// All differences between a kube-apiserver's VPN and its Cluster, each once. Only the resulting mapping is compared. A
/// value that is unknown before the Pod starts is no difference. There is none where nothing is translated, nor for a
/// Shoot that is being deleted or moved, because gardenlet does not write its Deployment any more.
pub fn differences(told: &ToldNetworks, facts: &ClusterFacts) -> Vec<Difference> {
    let Some(wanted) = Wanted::of(facts).filter(|_| !facts.is_leaving) else { return Vec::new() };
    let mut differences = Vec::new();
    for set in &told.sets {
        let instead = wanted.instead_of(set.each_ref());
        for ((value, whose), wanted) in set.iter().zip(WHOSE).zip(instead) {
            let Some(wanted) = wanted.filter(|_| !is_reference(value)) else { continue };
            let difference = Difference { whose, told: text_of(value).to_owned(), wanted };
            if !differences.contains(&difference) {
                differences.push(difference);
            }
        }
    }
    differences
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, told, wanted } = self;
        write!(f, "{whose} `{}`, the Cluster says `{}`", excerpt(told), excerpt(wanted))
    }
}

#[cfg(test)]
mod tests;
