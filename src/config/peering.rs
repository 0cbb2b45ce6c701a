//! The section `peering` of the configuration: limits for Shoots in the garden.

use serde::Deserialize;

use super::rules::Choice;
use super::{ConfigError, bad};
use network_guard_core::net::ParseCidrError;
use network_guard_core::peering;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Peering {
    max_peers: Option<usize>,
    #[serde(default)]
    default_node_networks: Vec<String>,
    node_prefix_lengths: Option<PrefixLengths>,
    private_stack: Option<bool>,
    pub(super) conflicts: Option<Choice>,
}

/// Of IPv4 networks.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PrefixLengths {
    shortest: Option<u8>,
    longest: Option<u8>,
}

impl Peering {
    pub(super) fn settings(&self) -> Result<peering::Settings, ConfigError> {
        let default = peering::Settings::default();
        let max_peers = self.max_peers.unwrap_or(default.max_peers);
        if !(1..=peering::MOST_PEERS).contains(&max_peers) {
            let most = peering::MOST_PEERS;
            let problem = format!("must be from 1 to {most}: every peer may be a lookup while somebody waits");
            return Err(bad("peering.maxPeers", max_peers.to_string(), &problem));
        }
        let network = |(i, text): (usize, &String)| {
            text.parse().map_err(|error: ParseCidrError| {
                bad(&format!("peering.defaultNodeNetworks[{i}]"), format!("{text:?}"), &error.to_string())
            })
        };
        Ok(peering::Settings {
            max_peers,
            default_node_networks: self
                .default_node_networks
                .iter()
                .enumerate()
                .map(network)
                .collect::<Result<_, _>>()?,
            node_prefixes: self.node_prefix_lengths.map(PrefixLengths::read).transpose()?,
            is_private_stack: self.private_stack.unwrap_or(default.is_private_stack),
        })
    }
}

impl PrefixLengths {
    fn read(self) -> Result<peering::NodePrefixes, ConfigError> {
        let (shortest, longest) = (self.shortest.unwrap_or(0), self.longest.unwrap_or(32));
        peering::NodePrefixes::new(shortest, longest).ok_or_else(|| {
            let problem =
                "must be prefix lengths of IPv4 networks, from 0 to 32, the shortest one not above the longest";
            bad("peering.nodePrefixLengths", format!("{shortest} to {longest}"), problem)
        })
    }
}
