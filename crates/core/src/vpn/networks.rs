//! The networks at both ends of a tunnel.

use crate::gardener::{ClusterFacts, ShootNetwork};
use crate::net::{Cidr, Family, NetworkKind, ParseCidrError};

/// The networks at both ends, as vpn2 gets them: one that is listed several times takes as many blocks of the mapping.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks {
    /// The Seed's Pod network, one of each family at most.
    pub seed_pods: Vec<Cidr>,
    /// The Shoot's networks of Pods.
    pub pods: Vec<Cidr>,
    /// The Shoot's networks of Services.
    pub services: Vec<Cidr>,
    /// The Shoot's networks of nodes.
    pub nodes: Vec<Cidr>,
}

/// An entry of a list that is not a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("entry {entry}, {text:?}: {error}")]
pub struct NotANetwork {
    /// The index of the list, from 0, in the order of [`Networks::parse`].
    pub list: usize,
    /// The position of the entry, from 1.
    pub entry: usize,
    /// The text of the entry.
    pub text: String,
    /// What is wrong with it.
    pub error: ParseCidrError,
}

impl Networks {
    /// The networks of a Cluster.
    pub fn of(facts: &ClusterFacts) -> Self {
        let kind = |kind| {
            facts.shoot_networks.iter().filter(|network| network.kind == kind).map(|network| network.cidr).collect()
        };
        Self {
            seed_pods: facts.seed_pods.into_iter().collect(),
            pods: kind(NetworkKind::Pods),
            services: kind(NetworkKind::Services),
            nodes: kind(NetworkKind::Nodes),
        }
    }

    /// From comma-separated lists, as vpn2's variables are: the Seed's Pods, the Shoot's Pods, Services and nodes. An empty
    /// text is an empty list.
    pub fn parse(lists: [&str; 4]) -> Result<Self, NotANetwork> {
        let read = |list: usize| {
            let entries = lists[list].split(',').map(str::trim).enumerate();
            let parse = |(index, text): (usize, &str)| {
                text.parse::<Cidr>().map_err(|error| NotANetwork {
                    list,
                    entry: index + 1,
                    text: text.to_owned(),
                    error,
                })
            };
            entries.filter(|_| !lists[list].trim().is_empty()).map(parse).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { seed_pods: read(0)?, pods: read(1)?, services: read(2)?, nodes: read(3)? })
    }

    /// The Shoot's networks of this kind.
    pub fn shoot(&self, kind: NetworkKind) -> &[Cidr] {
        match kind {
            NetworkKind::Pods => &self.pods,
            NetworkKind::Services => &self.services,
            NetworkKind::Nodes => &self.nodes,
        }
    }

    /// All networks of the Shoot, kind by kind.
    pub(super) fn all_of_shoot(&self) -> impl Iterator<Item = ShootNetwork> + '_ {
        NetworkKind::ALL
            .into_iter()
            .flat_map(|kind| self.shoot(kind).iter().map(move |cidr| ShootNetwork { kind, cidr: *cidr }))
    }

    /// Whether the Shoot has networks of this family.
    pub fn has(&self, family: Family) -> bool {
        self.all_of_shoot().any(|network| network.cidr.family() == family)
    }
}
