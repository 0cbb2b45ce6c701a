//! From networks to rules, routes and kernel settings, on either end of the tunnel.

use super::rule::{Device, Hook, Match, Rule, Table, Target};
use crate::gardener::{ClusterFacts, ShootNetwork};
use crate::net::{
    Cidr, DoesNotFit, Family, MappedNetwork, NetworkKind, WIDEST_SEED_PODS, each_once, fit_together, map_networks,
};

/// The group whose packets are translated on the Seed's side: Envoy's (gardener `EnvoyVPNGroupId`).
const ENVOY_GROUP: u32 = 31_415;

/// The device of a vpn-shoot Pod that leads into the Shoot, as vpn2 knows it.
const SHOOT_DEVICE: &str = "eth0";

/// The first octet of the /8 that the Seed's Pod network is mapped into (the table of reserved ranges).
const SEED_PODS_OCTET: u32 = 241;

/// An end of the tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The Pod of the Shoot's kube-apiserver.
    Seed,
    /// The vpn-shoot Pod.
    Shoot,
}

/// The networks at both ends, as vpn2 gets them: one that is there several times takes as many blocks of the mapping.
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

/// What a plan is made for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// Which end.
    pub side: Side,
    /// The devices of the tunnel.
    pub tunnel: Device,
    /// Whether the Shoot has IPv4; without it nothing is translated.
    pub has_ipv4: bool,
    /// Whether the Shoot has IPv6, so that IPv6 needs rules too.
    pub has_ipv6: bool,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CannotPlan {
    /// A kind of networks is larger than its range.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// The Seed's Pods could not be told apart.
    #[error("the Seed's Pod network {0} does not fit into 241.0.0.0/8: it has to have a prefix length of at least 8")]
    SeedPodsTooWide(Cidr),
    /// A Seed has one Pod network of each family.
    #[error("the Seed has two Pod networks of one family, {0} and {1}: only one can be mapped to 241.0.0.0/8")]
    TwoSeedPods(Cidr, Cidr),
}

/// A network that a route leads to, through the link of the tunnel that works at the moment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
}

/// A kernel setting, as `sysctl` names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The name, such as `net.ipv4.ip_forward`.
    pub name: &'static str,
    /// The value.
    pub value: &'static str,
    /// What would go wrong without.
    pub why: &'static str,
}

/// All that one end of the tunnel needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// For which end.
    pub side: Side,
    /// The Shoot's networks that overlap the Seed's Pods; without any nothing is translated.
    pub overlaps: Vec<(ShootNetwork, Cidr)>,
    /// Where the Seed's Pod network appears inside the tunnel.
    pub seed_pods: Option<MappedNetwork>,
    /// Where the Shoot's networks appear inside the tunnel.
    pub shoot: Vec<(NetworkKind, MappedNetwork)>,
    /// The firewall, in the order in which it is asked.
    pub rules: Vec<Rule>,
    /// Where packets are sent into the tunnel.
    pub routes: Vec<Route>,
    /// What the kernel has to do.
    pub settings: Vec<Setting>,
}

impl Side {
    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Shoot => "shoot",
        }
    }
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

    /// The Shoot's networks of this kind.
    pub fn shoot(&self, kind: NetworkKind) -> &[Cidr] {
        match kind {
            NetworkKind::Pods => &self.pods,
            NetworkKind::Services => &self.services,
            NetworkKind::Nodes => &self.nodes,
        }
    }

    /// Whether the Shoot has networks of this family.
    pub fn has(&self, family: Family) -> bool {
        NetworkKind::ALL.iter().any(|kind| self.shoot(*kind).iter().any(|network| network.family() == family))
    }

    /// Of either family, as vpn2 counts it: what Gardener lets nobody create, an overlap of IPv6, makes it translate IPv4.
    fn overlaps(&self) -> Vec<(ShootNetwork, Cidr)> {
        let mut overlaps = Vec::new();
        for kind in NetworkKind::ALL {
            for cidr in each_once(self.shoot(kind).iter().copied()) {
                let found = self.seed_pods.iter().filter(|seed_pods| cidr.overlaps(**seed_pods));
                overlaps.extend(found.map(|seed_pods| (ShootNetwork { kind, cidr }, *seed_pods)));
            }
        }
        overlaps
    }

    fn seed_pods_of(&self, family: Family) -> Option<Cidr> {
        self.seed_pods.iter().copied().find(|network| network.family() == family)
    }

    /// Whether they can be mapped into the ranges that are reserved for them; the error says why not.
    pub fn fit(&self) -> Result<(), CannotPlan> {
        self.map().map(drop)
    }

    fn map(&self) -> Result<Mapping, CannotPlan> {
        for family in [Family::V4, Family::V6] {
            let mut of_family = self.seed_pods.iter().filter(|network| network.family() == family);
            if let (Some(one), Some(other)) = (of_family.next(), of_family.next()) {
                return Err(CannotPlan::TwoSeedPods(*one, *other));
            }
        }
        // Also without an overlap: vpn2's path controller maps before it looks, and then sets no route at all.
        let mut shoot = Vec::new();
        for kind in NetworkKind::ALL {
            shoot.extend(map_networks(kind, self.shoot(kind))?.into_iter().map(|network| (kind, network)));
        }
        let overlaps = self.overlaps();
        let mut seed_pods = None;
        if overlaps.is_empty() {
            shoot.clear();
        } else {
            seed_pods = self.seed_pods_of(Family::V4).map(map_seed_pods).transpose()?;
        }
        Ok(Mapping { overlaps, seed_pods, shoot })
    }
}

/// Where networks appear inside the tunnel: the same at both ends, whatever their devices are.
struct Mapping {
    overlaps: Vec<(ShootNetwork, Cidr)>,
    seed_pods: Option<MappedNetwork>,
    shoot: Vec<(NetworkKind, MappedNetwork)>,
}

#[cfg(test)]
impl Networks {
    /// From comma-separated lists: the Seed's Pods, the Shoot's Pods, Services and nodes.
    pub(crate) fn parse([seed_pods, pods, services, nodes]: [&str; 4]) -> Self {
        let list = |text: &str| {
            text.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect::<Vec<Cidr>>()
        };
        Self { seed_pods: list(seed_pods), pods: list(pods), services: list(services), nodes: list(nodes) }
    }
}

/// Where the Seed's Pod network appears: its addresses keep their last 24 bits.
fn map_seed_pods(original: Cidr) -> Result<MappedNetwork, CannotPlan> {
    if original.prefix_len() < WIDEST_SEED_PODS {
        return Err(CannotPlan::SeedPodsTooWide(original));
    }
    let mapped = Cidr::v4(SEED_PODS_OCTET << 24, 8).expect("8 is an IPv4 prefix length");
    Ok(MappedNetwork { original, mapped })
}

/// Plans one end of the tunnel of a highly available VPN. The same networks give the same mapping at both ends, and rules
/// that are vpn2's in effect, in the same order where it matters.
pub fn plan(networks: &Networks, end: &End) -> Result<Plan, CannotPlan> {
    let Mapping { overlaps, seed_pods, shoot } = networks.map()?;
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

/// Why neither end could translate between the networks of a Cluster, should they overlap: what [`Networks::fit`] says,
/// without the work where there is nothing to say.
pub fn cannot_translate(facts: &ClusterFacts) -> Option<CannotPlan> {
    let is_wide = |pods: Cidr| pods.family() == Family::V4 && pods.prefix_len() < WIDEST_SEED_PODS;
    let of_kind = |kind| facts.shoot_networks.iter().filter(move |network| network.kind == kind).map(|it| it.cidr);
    if !facts.seed_pods.is_some_and(is_wide) && NetworkKind::ALL.iter().all(|kind| fit_together(of_kind(*kind))) {
        return None;
    }
    Networks::of(facts).fit().err()
}

fn rule(family: Family, table: Table, hook: Hook, matches: Vec<Match>, target: Target) -> Rule {
    Rule { family, table, hook, matches, target }
}

fn families(end: &End) -> impl Iterator<Item = Family> + use<> {
    [end.has_ipv4.then_some(Family::V4), end.has_ipv6.then_some(Family::V6)].into_iter().flatten()
}

/// In the kube-apiserver's Pod: what Envoy sends to the Shoot goes to the mapped address, from a mapped one; nobody on
/// the other side may open a connection to here.
fn seed_rules(plan: &mut Plan, end: &End) {
    let tunnel = || end.tunnel.clone();
    for (_, network) in &plan.shoot {
        let matches = vec![Match::To(network.original), Match::Group(ENVOY_GROUP)];
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
            // Neighbours find each other by it.
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

/// Into the tunnel lead: on the Seed's side the range of each kind that is translated, otherwise the Shoot's networks as
/// they are; on the Shoot's side the Seed's Pods.
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

/// What the path needs of the kernel; vpn2 sets more, for speed.
fn settings(side: Side) -> Vec<Setting> {
    const STRICT: &str = "answers that come back another way than the kernel expects are dropped";
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
