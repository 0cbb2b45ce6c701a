//! What is kept of a kube-apiserver's Deployment: what its VPN is told about the networks.

use super::EnvValue;

/// What a kube-apiserver's VPN is told about the networks. Containers that are told the same are there once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToldNetworks {
    /// The texts for the Seed's Pods, the Shoot's Pods, Services and nodes.
    pub sets: Box<[[EnvValue<'static>; 4]]>,
}

impl ToldNetworks {
    /// What it takes to keep this.
    pub fn bytes(&self) -> usize {
        let text = |value: &EnvValue<'_>| if let EnvValue::Text(text) = value { text.len() } else { 0 };
        size_of_val(&*self.sets) + self.sets.iter().flatten().map(text).sum::<usize>()
    }
}
