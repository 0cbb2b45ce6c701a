//! What is kept of a kube-apiserver's Deployment: the networks that its VPN is configured with.

use super::EnvValue;

/// The networks that a kube-apiserver's VPN is configured with. Containers with equal networks are listed once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToldNetworks {
    /// The texts for the Seed's Pods, the Shoot's Pods, Services and nodes.
    pub sets: Box<[[EnvValue<'static>; 4]]>,
}

impl ToldNetworks {
    /// The memory that this takes, in bytes.
    pub fn bytes(&self) -> usize {
        let text = |value: &EnvValue<'_>| if let EnvValue::Text(text) = value { text.len() } else { 0 };
        size_of_val(&*self.sets) + self.sets.iter().flatten().map(text).sum::<usize>()
    }
}
