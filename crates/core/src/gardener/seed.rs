//! The `Seed` resource (`core.gardener.cloud/v1beta1`).

use serde::Deserialize;

use crate::net::{Cidr, NetworkKind};

/// What the landscape keeps of a Seed. A network that cannot be read is left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SeedFacts {
    /// `spec.networks.pods`.
    pub pods: Option<Cidr>,
    /// `spec.networks.services`.
    pub services: Option<Cidr>,
    /// `spec.networks.nodes`.
    pub nodes: Option<Cidr>,
}

/// The `spec` of a Seed, as far as it is read.
#[derive(Debug, Default, Deserialize)]
pub struct SeedSpec {
    networks: Option<SeedNetworks>,
}

#[derive(Debug, Deserialize)]
struct SeedNetworks {
    pods: Option<String>,
    services: Option<String>,
    nodes: Option<String>,
}

impl SeedSpec {
    /// `networks.pods`, as it is written.
    pub(super) fn pods(&self) -> Option<&str> {
        self.networks.as_ref()?.pods.as_deref()
    }
}

impl SeedFacts {
    /// What is kept of a Seed.
    pub fn of(spec: &SeedSpec) -> Self {
        let Some(networks) = &spec.networks else { return Self::default() };
        let read = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        Self { pods: read(&networks.pods), services: read(&networks.services), nodes: read(&networks.nodes) }
    }

    /// The network of this kind.
    pub fn get(&self, kind: NetworkKind) -> Option<Cidr> {
        match kind {
            NetworkKind::Pods => self.pods,
            NetworkKind::Services => self.services,
            NetworkKind::Nodes => self.nodes,
        }
    }
}
