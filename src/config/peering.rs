//! The sections `peering` and `rules` of the configuration: limits for Shoots in the garden, and the severity of rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ConfigError, bad};
use network_guard_core::diagnostics::{Policy, Rule, Severity};
use network_guard_core::net::ParseCidrError;
use network_guard_core::peering;
use network_guard_core::webhooks;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Peering {
    max_peers: Option<usize>,
    #[serde(default)]
    default_node_networks: Vec<String>,
    node_prefix_lengths: Option<PrefixLengths>,
    private_stack: Option<bool>,
    conflicts: Option<Choice>,
}

/// Of IPv4 networks.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PrefixLengths {
    shortest: Option<u8>,
    longest: Option<u8>,
}

/// The severity of a rule.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Choice {
    /// In YAML `off` without quotes is a boolean.
    #[serde(alias = "false")]
    Off,
    Note,
    Warn,
    Deny,
}

impl Choice {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Note => Some(Severity::Note),
            Self::Warn => Some(Severity::Warn),
            Self::Deny => Some(Severity::Deny),
        }
    }
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

/// The severity of rules: first the common switch for conflicts, then each rule by its name.
pub(super) fn policy(peering: &Peering, choices: &BTreeMap<String, Choice>) -> Result<Policy, ConfigError> {
    let mut policy = Policy::default();
    if let Some(choice) = peering.conflicts {
        for rule in peering::rules::CONFLICTS {
            policy.set(rule, choice.severity());
        }
    }
    let known: Vec<&'static Rule> = webhooks::rules().into_iter().map(|(rule, _)| rule).collect();
    for (name, choice) in choices {
        let path = format!("rules.{name}");
        let value = choice.severity().map_or("off", Severity::name).to_owned();
        let Some(rule) = known.iter().find(|rule| rule.name == name) else {
            let similar = known
                .iter()
                .map(|rule| rule.name)
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let problem = format!("there is no such rule; is `{}` meant?", similar.unwrap_or_default());
            return Err(bad(&path, value, &problem));
        };
        if !policy.set(rule, choice.severity()) {
            let problem = match rule.up_to {
                None => "this rule cannot be configured, what it refuses would break a cluster".to_owned(),
                Some(most) => format!("this rule can be `{}` at most", most.name()),
            };
            return Err(bad(&path, value, &problem));
        }
    }
    Ok(policy)
}
