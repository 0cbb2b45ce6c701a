//! The section `rules` of the configuration: the severity of rules, with the common switch for conflicts of the section `peering`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::peering::Peering;
use super::{ConfigError, bad};
use network_guard_core::diagnostics::{Policy, Rule, Severity};
use network_guard_core::peering;
use network_guard_core::webhooks;

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

/// The severity of rules: first the common switch for conflicts, then each rule by its name.
pub(super) fn policy(peering: &Peering, choices: &BTreeMap<String, Choice>) -> Result<Policy, ConfigError> {
    let mut policy = Policy::default();
    if let Some(choice) = peering.conflicts {
        for rule in peering::rules::conflicts() {
            policy.set(rule, choice.severity());
        }
    }
    let known: Vec<&'static Rule> = webhooks::rules().collect();
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
