//! From networks to rules, routes and kernel settings, on either end of the tunnel.

use super::rule::{Device, Hook, Match, Rule, Table, Target};
use crate::net::{Cidr, Family, MappedNetwork, NetworkKind, each_once};
use crate::vpn::mapping::Mapping;
use crate::vpn::sidecar::ENVOY_GROUP_ID;
use crate::vpn::{CannotPlan, Networks, Overlap};

/// The device of a vpn-shoot Pod that leads into the Shoot, as vpn2 knows it.
const SHOOT_DEVICE: &str = "eth0";

/// An end of the tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The Pod of the Shoot's kube-apiserver.
    Seed,
    /// The vpn-shoot Pod.
    Shoot,
}

/// What a plan is made for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// Which end.
    pub side: Side,
    /// The devices of the tunnel.
    pub tunnel: Device,
    /// Whether the Shoot has IPv4; without it nothing is translated.
    pub has_ipv4: bool,
    /// Whether the Shoot has IPv6, which then needs rules too.
    pub has_ipv6: bool,
}

/// A network that a route leads to, through the link of the tunnel that works at the moment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Route {
    /// The destination.
    pub to: Cidr,
}

/// A kernel setting, as `sysctl` names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The name, such as `net.ipv4.ip_forward`.
    pub name: &'static str,
    /// The value.
    pub value: &'static str,
    /// What would fail without it.
    pub why: &'static str,
}

/// All that one end of the tunnel needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The end it is for.
    pub side: Side,
    /// The Shoot's networks that overlap the Seed's Pods; without any nothing is translated.
    pub overlaps: Vec<Overlap>,
    /// The Seed's Pod network inside the tunnel.
    pub seed_pods: Option<MappedNetwork>,
    /// The Shoot's networks inside the tunnel.
    pub shoot: Vec<(NetworkKind, MappedNetwork)>,
    /// The rules of the firewall, in the order in which the kernel evaluates them.
    pub rules: Vec<Rule>,
    /// The routes into the tunnel.
    pub routes: Vec<Route>,
    /// The kernel settings.
    pub settings: Vec<Setting>,
}

impl Side {
    /// The value on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Shoot => "shoot",
        }
    }
}

/// Plans one end of the tunnel of a highly available VPN. The same networks give the same mapping at both ends, and
/// rules with the effect of vpn2's, in the same order where the order matters.
pub fn plan(networks: &Networks, end: &End) -> Result<Plan, CannotPlan> {
    let Mapping { overlaps, seed_pods, shoot } = Mapping::of(networks)?;
    let mut plan = Plan {
        side: end.side,
        rules: Vec::with_capacity(2 * shoot.len() + 8),
        routes: routes(networks, end.side, seed_pods, &shoot),
        settings: settings(end.side),
        overlaps,
        seed_pods,
        shoot,
    };
    match end.side {
        Side::Seed => seed_rules(&mut plan, end),
        Side::Shoot => shoot_rules(&mut plan, end),
    }
    if !end.has_ipv4 {
        plan.rules.retain(|rule| rule.family != Family::V4);
    }
    Ok(plan)
}

fn rule(family: Family, table: Table, hook: Hook, matches: Vec<Match>, target: Target) -> Rule {
    Rule { family, table, hook, matches, target }
}

fn families(end: &End) -> impl Iterator<Item = Family> + use<> {
    [end.has_ipv4.then_some(Family::V4), end.has_ipv6.then_some(Family::V6)].into_iter().flatten()
}

/// In the kube-apiserver's Pod: what Envoy sends to the Shoot goes to the mapped address, from a mapped one. The
/// other side may not open connections to this Pod.
fn seed_rules(plan: &mut Plan, end: &End) {
    let tunnel = || end.tunnel.clone();
    for (_, network) in &plan.shoot {
        let matches = vec![Match::To(network.original), Match::Group(ENVOY_GROUP_ID)];
        plan.rules.push(rule(Family::V4, Table::Nat, Hook::Output, matches, Target::Netmap(network.mapped)));
    }
    if let Some(pods) = plan.seed_pods {
        let back = vec![Match::To(pods.mapped), Match::In(tunnel())];
        plan.rules.push(rule(Family::V4, Table::Nat, Hook::Prerouting, back, Target::Netmap(pods.original)));
        let out = vec![Match::From(pods.original), Match::Out(tunnel())];
        plan.rules.push(rule(Family::V4, Table::Nat, Hook::Postrouting, out, Target::Netmap(pods.mapped)));
    }
    for family in families(end) {
        let mut input = |matches, target| plan.rules.push(rule(family, Table::Filter, Hook::Input, matches, target));
        if family == Family::V6 {
            // Neighbour discovery needs it.
            input(vec![Match::In(tunnel()), Match::Icmpv6], Target::Accept);
        }
        input(vec![Match::In(tunnel()), Match::Established], Target::Accept);
        input(vec![Match::In(tunnel())], Target::Drop);
    }
}

/// In the vpn-shoot Pod: mapped addresses become the Shoot's own, and what leaves towards the Shoot comes from the Pod.
fn shoot_rules(plan: &mut Plan, end: &End) {
    let tunnel = || end.tunnel.clone();
    for (_, network) in &plan.shoot {
        let inwards = vec![Match::To(network.mapped), Match::In(tunnel())];
        plan.rules.push(rule(Family::V4, Table::Nat, Hook::Prerouting, inwards, Target::Netmap(network.original)));
        let outwards = vec![Match::From(network.original), Match::Out(tunnel())];
        plan.rules.push(rule(Family::V4, Table::Nat, Hook::Postrouting, outwards, Target::Netmap(network.mapped)));
    }
    let forward = vec![Match::In(tunnel())];
    plan.rules.push(rule(Family::V4, Table::Filter, Hook::Forward, forward, Target::Accept));
    for family in families(end) {
        plan.rules.push(rule(family, Table::Mangle, Hook::Postrouting, vec![Match::TcpSyn], Target::ClampMss));
        let device = SHOOT_DEVICE.parse().expect("a name of a device");
        plan.rules.push(rule(family, Table::Nat, Hook::Postrouting, vec![Match::Out(device)], Target::Masquerade));
    }
}

/// The destinations behind the tunnel. On the Seed's side: the range of each kind that is translated, otherwise the
/// Shoot's networks as they are. On the Shoot's side: the Seed's Pods.
fn routes(
    networks: &Networks,
    side: Side,
    seed_pods: Option<MappedNetwork>,
    shoot: &[(NetworkKind, MappedNetwork)],
) -> Vec<Route> {
    let mut routes = Vec::new();
    match side {
        Side::Seed => {
            for kind in NetworkKind::ALL {
                if shoot.iter().any(|(of, _)| *of == kind) {
                    routes.push(Route { to: kind.mapping_range() });
                }
                let untranslated = |network: &&Cidr| shoot.is_empty() || network.family() == Family::V6;
                routes.extend(networks.shoot(kind).iter().filter(untranslated).map(|to| Route { to: *to }));
            }
        }
        Side::Shoot => {
            let mapped = |network: &Cidr| match seed_pods {
                Some(pods) if pods.original == *network => pods.mapped,
                _ => *network,
            };
            routes.extend(networks.seed_pods.iter().map(|network| Route { to: mapped(network) }));
        }
    }
    each_once(routes).collect()
}

/// The kernel settings that the path needs; vpn2 sets more, for speed.
fn settings(side: Side) -> Vec<Setting> {
    const STRICT: &str = "answers that arrive by another device than the kernel expects are dropped";
    let mut settings = vec![
        Setting { name: "net.ipv4.conf.all.rp_filter", value: "0", why: STRICT },
        Setting { name: "net.ipv4.conf.default.rp_filter", value: "0", why: STRICT },
    ];
    match side {
        Side::Seed => settings.push(Setting {
            name: "net.ipv6.conf.all.disable_ipv6",
            value: "0",
            why: "the tunnel itself has IPv6 addresses, which are then gone",
        }),
        Side::Shoot => settings.extend([
            Setting { name: "net.ipv4.ip_forward", value: "1", why: "packets from the tunnel go no further" },
            Setting { name: "net.ipv6.conf.all.forwarding", value: "1", why: "packets from the tunnel go no further" },
        ]),
    }
    settings
}

#[cfg(test)]
mod tests;
