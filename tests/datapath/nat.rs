//! Double NAT on both sides of the tunnel, as the product sets it.

use std::process::Command;

use crate::lab::{Backend, Lab, SEED_TUNNEL, SHOOT_TUNNEL};
use crate::space::{Space, must};

/// Sets rules, routes and kernel settings on both sides, from the Cluster alone.
pub fn apply(lab: &Lab) {
    let cluster = lab.networks.cluster().to_string();
    for (space, side, link) in sides(lab) {
        must(network_guard(lab, space, "apply").args(["--side", side, "--routes", link]), &cluster);
    }
}

/// Asserts that everything is there, and as it should be.
#[track_caller]
pub fn assert_in_place(lab: &Lab) {
    let cluster = lab.networks.cluster().to_string();
    for (space, side, _) in sides(lab) {
        must(network_guard(lab, space, "verify").args(["--side", side]), &cluster);
    }
}

fn sides(lab: &Lab) -> [(&Space, &'static str, &'static str); 2] {
    [(&lab.seed, "seed", SEED_TUNNEL), (&lab.vpn, "shoot", SHOOT_TUNNEL)]
}

/// `network-guard nat` with the rights that its container has, and no others.
fn network_guard(lab: &Lab, space: &Space, what: &str) -> Command {
    let (backend, rights) = match lab.backend {
        Backend::Nft => ("nft", "-all,+net_admin"),
        Backend::Legacy => ("legacy", "-all,+net_admin,+net_raw"),
    };
    let mut command = space.command("setpriv");
    command.args(["--bounding-set", rights, "--inh-caps", rights, "--", env!("CARGO_BIN_EXE_network-guard")]);
    command.args(["nat", what, "--cluster", "-", "--iptables", backend]);
    command
}
