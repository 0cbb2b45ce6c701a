//! The webhooks, a file or folder for each kind of object that is reviewed: which rules they call, which verdict those make.

mod kube_apiserver;
mod network;
mod shoot;
mod vpn_ends;
mod vpn_shoot;

use crate::diagnostics::{self, Finding, Rule};
use crate::gardener;
use crate::networks;
use crate::overlay;
use crate::peering;
use crate::vpn;
pub use kube_apiserver::{KUBE_APISERVER_PATH, KubeApiserver};
pub use network::{HoldNetwork, NETWORK_PATH};
pub use shoot::{
    ADVISE_SHOOT_PATH, AdviseShoot, MUTATE_SHOOT_PATH, MutateShoot, ShootSettings, VALIDATE_SHOOT_PATH, ValidateShoot,
};
pub use vpn_shoot::{VPN_SHOOT_PATH, VpnShoot};

/// All rules with an example of each.
pub fn rules() -> Vec<(&'static Rule, Finding)> {
    let vpn = vpn::rules::RULES.into_iter().zip(vpn::rules::examples());
    let garden = [peering::rules::documented(), networks::rules::documented(), overlay::rules::documented()];
    let seed = overlay::rules::held::RULES.into_iter().zip(overlay::rules::held::examples());
    vpn.chain(garden.into_iter().flatten()).chain(seed).collect()
}

/// The documentation of all rules, as Markdown: `docs/reference/rules.md`. Its introduction is `rules_introduction.md`, all else is
/// made from the rules.
pub fn rules_markdown() -> String {
    let table = |family: &str| (family == "overlay").then(gardener::providers::markdown);
    diagnostics::markdown(include_str!("rules_introduction.md"), rules(), table)
}
