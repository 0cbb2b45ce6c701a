//! The webhooks, a file or folder for each kind of object that is reviewed: which rules they call, which verdict those make.

mod kube_apiserver;
mod network;
mod shoot;
mod vpn_ends;
mod vpn_shoot;

use crate::diagnostics::{self, Rule};
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

/// All rules, in the order of the documentation.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let rooms = [vpn::rules::RULES, peering::rules::RULES, &[networks::rules::RULES], overlay::rules::RULES];
    rooms.into_iter().flatten().copied().flatten().copied()
}

/// The documentation of all rules, as Markdown: `docs/reference/rules.md`. Its introduction is `rules_introduction.md`, all else is
/// made from the rules.
pub fn rules_markdown() -> String {
    let table = |family: &str| (family == "overlay").then(gardener::providers::markdown);
    diagnostics::markdown(include_str!("rules_introduction.md"), rules(), table)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_finds_itself_in_its_example() {
        let missing: Vec<&str> = rules().filter(|rule| rule.example().is_none()).map(|rule| rule.name).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn names_are_unique_and_of_their_room() {
        let names: Vec<&str> = rules().map(|rule| rule.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let mut rooms: Vec<&str> = names.iter().filter_map(|name| Some(name.split_once('/')?.0)).collect();
        assert_eq!(rooms.len(), names.len());
        rooms.dedup();
        assert_eq!(rooms, ["vpn", "peering", "networks", "overlay"]);
    }
}
