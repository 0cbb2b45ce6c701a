//! One file a webhook: which rules it calls, which verdict they make.

mod kube_apiserver;
mod network;
mod shoot;
mod vpn_ends;
mod vpn_shoot;

use std::fmt::Write as _;

pub use kube_apiserver::{KUBE_APISERVER_PATH, KubeApiserver};
pub use network::{HoldNetwork, NETWORK_PATH};
pub use shoot::{
    ADVISE_SHOOT_PATH, AdviseShoot, MUTATE_SHOOT_PATH, MutateShoot, ShootSettings, VALIDATE_SHOOT_PATH, ValidateShoot,
};
pub use vpn_shoot::{VPN_SHOOT_PATH, VpnShoot};

use crate::admission::{Finding, Rule, Severity};
use crate::{networks, overlay, peering, vpn};

/// All rules with an example of each.
pub fn rules() -> Vec<(&'static Rule, Finding)> {
    let vpn = vpn::rules::RULES.into_iter().zip(vpn::rules::examples());
    let garden = [peering::rules::documented(), networks::rules::documented(), overlay::rules::documented()];
    let seed = overlay::seed_rules::RULES.into_iter().zip(overlay::seed_rules::examples());
    vpn.chain(garden.into_iter().flatten()).chain(seed).collect()
}

/// The documentation of all rules, as Markdown: `docs/rules.md`.
pub fn rules_markdown() -> String {
    let mut text = include_str!("rules.md").to_owned();
    let mut room = "";
    for (rule, example) in rules() {
        let (of, _) = rule.name.split_once('/').unwrap_or_default();
        if of != room {
            room = of;
            let _ = write!(text, "\n# {room}\n");
            if room == "overlay" {
                text.push_str(&overlay::providers::markdown());
            }
        }
        let configurable = match rule.up_to {
            None => "not configurable".to_owned(),
            Some(most) => format!(
                "configurable: off, note{}",
                match most {
                    Severity::Note => "",
                    Severity::Warn => ", warn",
                    Severity::Deny => ", warn, deny",
                }
            ),
        };
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n- By default: {} ({configurable})\n- Rank: {}\n- Says: ``{}``\n- To do: {}\n",
            rule.name,
            rule.summary,
            rule.severity.name(),
            rule.rank.name(),
            example,
            rule.fix
        );
    }
    text
}
