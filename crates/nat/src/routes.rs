//! network-guard's own routes beside those that the VPN's programs set.

use serde::Deserialize;

use network_guard_core::net::{Cidr, Family, MappedNetwork};
use network_guard_core::vpn::nat::{Device, Plan, Side};

/// The protocol number of routes that network-guard manages: Linux stores one with each route and gives it no meaning.
/// Numbers up to 191 that no routing daemon has registered are free.
pub(super) const ROUTE_PROTOCOL: &str = "131";

/// The routing table into which routes of others are stashed. No rule refers to it, so it routes nothing.
pub(super) const STASH_TABLE: &str = "131";

/// The metric of a blackhole: the highest one, so that any other route to the same network wins.
pub(super) const BLACKHOLE_METRIC: &str = "4294967295";

/// A route of the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KernelRoute {
    /// The destination.
    pub(super) to: Cidr,
    /// The action.
    pub(super) way: Way,
    /// Whether network-guard set it.
    pub(super) is_ours: bool,
}

/// The action for packets of a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// They leave by this device, without a gateway.
    Device(Box<str>),
    /// Anything else: a gateway, or several devices.
    Other,
    /// They are dropped, and their sender gets an error.
    Blackhole,
}

/// A change of the routes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum RouteChange {
    /// Sets the route to this network by this device.
    Set(Cidr, Box<str>),
    /// Removes this route of network-guard.
    Remove(Cidr, Box<str>),
    /// Packets to this network are dropped while there is no other route to it.
    AddBlackhole(Cidr),
    /// They are not dropped any more.
    RemoveBlackhole(Cidr),
    /// Moves a route of others to the stash, where it routes nothing.
    Stash(Cidr, Box<str>),
    /// Moves a stashed route of others back.
    Restore(Cidr, Box<str>),
}

/// A foreign route is in the place of one of network-guard.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is a route to {0} already that is not ours; remove it, or leave routes alone with --routes none")]
pub(super) struct TakenRoute(Cidr);

#[derive(Deserialize)]
struct Listed<'a> {
    dst: &'a str,
    #[serde(rename = "type", default)]
    kind: &'a str,
    #[serde(default)]
    dev: &'a str,
    #[serde(default)]
    protocol: &'a str,
    gateway: Option<&'a str>,
    via: Option<serde::de::IgnoredAny>,
}

/// Reads the output of `ip -json route`. Routes to no network, such as `default`, are skipped.
pub(super) fn read_routes(json: &str) -> Result<Vec<KernelRoute>, serde_json::Error> {
    // Without any route, iproute2 prints nothing.
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let listed: Vec<Listed<'_>> = serde_json::from_str(json)?;
    let route = |route: Listed<'_>| {
        let to: Result<Cidr, ()> = route.dst.parse().or_else(|_| {
            let address: std::net::IpAddr = route.dst.parse().map_err(drop)?;
            Cidr::new(address, if address.is_ipv4() { 32 } else { 128 }).ok_or(())
        });
        // For the kernel these are IPv6 routes, and none of network-guard.
        let to = to.ok().filter(|to| !to.is_written_as_ipv6(route.dst))?;
        let way = match (route.kind, route.dev) {
            ("blackhole", _) => Way::Blackhole,
            (_, device) if !device.is_empty() && route.gateway.is_none() && route.via.is_none() => {
                Way::Device(device.into())
            }
            _ => Way::Other,
        };
        Some(KernelRoute { to, way, is_ours: route.protocol == ROUTE_PROTOCOL })
    };
    Ok(listed.into_iter().filter_map(route).collect())
}

/// The plan's routes by one device. Routes of others are never replaced.
pub(super) fn routes_by(plan: &Plan, device: &str, existing: &[KernelRoute]) -> Result<Vec<RouteChange>, TakenRoute> {
    let mut changes: Vec<RouteChange> = Vec::new();
    for route in &plan.routes {
        let by_device = Way::Device(device.into());
        let is_taken = |found: &KernelRoute| {
            found.to == route.to && !found.is_ours && ![&by_device, &Way::Blackhole].contains(&&found.way)
        };
        if existing.iter().any(is_taken) {
            return Err(TakenRoute(route.to));
        }
        set(route.to, device, existing, &mut changes);
    }
    remove_stale(existing, &mut changes, |to| plan.routes.iter().any(|route| route.to == to));
    Ok(changes)
}

/// Routes that follow those of a VPN that does not know the overlap: it sends the Shoot's networks, or the addresses of
/// API servers, by the link that works at the moment. The mapped networks use the same link, and none while there is
/// none. The untranslated routes are stashed, because for a sender on either side those addresses belong to its own
/// side. Routes that a newer VPN sets are left alone.
pub(super) fn follow_routes(
    plan: &Plan,
    tunnel: &Device,
    existing: &[KernelRoute],
    stashed: &[KernelRoute],
) -> Vec<RouteChange> {
    let mut changes: Vec<RouteChange> = Vec::new();
    let theirs = || existing.iter().filter(|route| !route.is_ours && route.to.family() == Family::V4);
    let by_tunnel = || {
        theirs().filter_map(|route| match &route.way {
            Way::Device(device) if tunnel.matches(device) => Some((route.to, device)),
            _ => None,
        })
    };
    match (plan.side, plan.seed_pods) {
        (Side::Seed, _) if !plan.shoot.is_empty() => {
            let mapped = || plan.routes.iter().map(|route| route.to).filter(|to| to.family() == Family::V4);
            for to in mapped() {
                let is_blackhole = |route: &KernelRoute| route.to == to && route.is_ours && route.way == Way::Blackhole;
                if !existing.iter().any(is_blackhole) {
                    changes.push(RouteChange::AddBlackhole(to));
                }
            }
            let is_original = |to: Cidr| plan.shoot.iter().any(|(_, network)| network.original == to);
            let followed: Vec<(Cidr, &Box<str>)> = by_tunnel().filter(|(to, _)| is_original(*to)).collect();
            if let Some((_, link)) = followed.first() {
                for to in mapped().filter(|to| theirs().all(|route| route.to != *to)) {
                    set(to, link, existing, &mut changes);
                }
            }
            changes.extend(followed.into_iter().map(|(to, link)| RouteChange::Stash(to, link.clone())));
        }
        (Side::Shoot, Some(pods)) => {
            for (to, link) in by_tunnel() {
                if let Some(image) = image(to, pods) {
                    set(image, link, existing, &mut changes);
                    changes.push(RouteChange::Stash(to, link.clone()));
                }
            }
            let known: Vec<Cidr> = by_tunnel().map(|(to, _)| to).chain(stashed.iter().map(|route| route.to)).collect();
            remove_stale(existing, &mut changes, |to| known.iter().any(|known| image(*known, pods) == Some(to)));
        }
        _ => changes = undo_routes(existing, stashed),
    }
    changes
}

/// Removes all routes of network-guard, and restores those of others.
pub(super) fn undo_routes(existing: &[KernelRoute], stashed: &[KernelRoute]) -> Vec<RouteChange> {
    let mut changes: Vec<RouteChange> = Vec::new();
    for route in stashed {
        if let Way::Device(device) = &route.way {
            changes.push(RouteChange::Restore(route.to, device.clone()));
        }
    }
    remove_stale(existing, &mut changes, |_| false);
    changes
}

fn set(to: Cidr, device: &str, existing: &[KernelRoute], changes: &mut Vec<RouteChange>) {
    let change = RouteChange::Set(to, device.into());
    let is_there = existing.iter().any(|route| route.to == to && route.way == Way::Device(device.into()));
    if !is_there && !changes.contains(&change) {
        changes.push(change);
    }
}

/// Removes routes of network-guard that are not needed any more.
fn remove_stale(existing: &[KernelRoute], changes: &mut Vec<RouteChange>, is_needed: impl Fn(Cidr) -> bool) {
    let stale = existing.iter().filter(|route| route.is_ours && !is_needed(route.to));
    changes.extend(stale.filter_map(|route| match &route.way {
        Way::Device(device) => Some(RouteChange::Remove(route.to, device.clone())),
        Way::Blackhole => Some(RouteChange::RemoveBlackhole(route.to)),
        Way::Other => None,
    }));
}

/// The mapped form of a part of a network.
fn image(part: Cidr, whole: MappedNetwork) -> Option<Cidr> {
    let (std::net::IpAddr::V4(base), std::net::IpAddr::V4(mapped)) = (part.base(), whole.mapped.base()) else {
        return None;
    };
    let is_part = whole.original.contains(part.base()) && part.prefix_len() >= whole.original.prefix_len();
    let rest = base.to_bits() & (u32::MAX >> whole.mapped.prefix_len());
    Cidr::v4(mapped.to_bits() | rest, part.prefix_len()).filter(|_| is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use network_guard_core::vpn::Networks;
    use network_guard_core::vpn::nat::{End, plan};

    fn planned(side: Side, seed_pods: &str) -> Plan {
        let networks =
            Networks::parse([seed_pods, "100.96.0.0/11", "100.64.0.0/13,fd00:1::/112", "10.250.0.0/16"]).unwrap();
        plan(&networks, &End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6: true }).unwrap()
    }

    /// Where to, by what (`blackhole`, or `via` for a gateway), and whether it is ours.
    fn existing(text: &str) -> Vec<KernelRoute> {
        let route = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let way = match words[1] {
                "blackhole" => Way::Blackhole,
                "via" => Way::Other,
                device => Way::Device(device.into()),
            };
            KernelRoute { to: words[0].parse().unwrap(), way, is_ours: words.get(2) == Some(&"ours") }
        };
        text.split(", ").filter(|text| !text.is_empty()).map(route).collect()
    }

    fn shown(changes: &[RouteChange]) -> String {
        let show = |change: &RouteChange| match change {
            RouteChange::Set(to, device) => format!("+{to} {device}"),
            RouteChange::Remove(to, device) => format!("-{to} {device}"),
            RouteChange::AddBlackhole(to) => format!("blackhole {to}"),
            RouteChange::RemoveBlackhole(to) => format!("no blackhole {to}"),
            RouteChange::Stash(to, device) => format!("stash {to} {device}"),
            RouteChange::Restore(to, device) => format!("restore {to} {device}"),
        };
        changes.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn follows() {
        const OVERLAP: &str = "10.250.128.0/17";
        const BLACKHOLES: &str = "244.0.0.0/8 blackhole ours, 243.0.0.0/8 blackhole ours, 242.0.0.0/8 blackhole ours";
        for (name, side, seed_pods, routes, stashed, want) in [
            (
                "no tunnel yet",
                Side::Seed,
                OVERLAP,
                "10.250.128.0/17 eth0",
                "",
                "blackhole 244.0.0.0/8, blackhole 243.0.0.0/8, blackhole 242.0.0.0/8",
            ),
            (
                "a VPN that knows no overlap",
                Side::Seed,
                OVERLAP,
                "BLACKHOLES, 10.250.0.0/16 bond0-ip6tnl1, 100.64.0.0/13 bond0-ip6tnl1, 100.96.0.0/11 bond0-ip6tnl1, fd00:1::/112 bond0-ip6tnl1",
                "",
                "+244.0.0.0/8 bond0-ip6tnl1, +243.0.0.0/8 bond0-ip6tnl1, +242.0.0.0/8 bond0-ip6tnl1, \
                 stash 10.250.0.0/16 bond0-ip6tnl1, stash 100.64.0.0/13 bond0-ip6tnl1, stash 100.96.0.0/11 bond0-ip6tnl1",
            ),
            (
                "followed",
                Side::Seed,
                OVERLAP,
                "BLACKHOLES, 244.0.0.0/8 bond0-ip6tnl1 ours, 243.0.0.0/8 bond0-ip6tnl1 ours, 242.0.0.0/8 bond0-ip6tnl1 ours",
                "10.250.0.0/16 bond0-ip6tnl1 ours",
                "",
            ),
            (
                "to the other link",
                Side::Seed,
                OVERLAP,
                "BLACKHOLES, 244.0.0.0/8 bond0-ip6tnl1 ours, 243.0.0.0/8 bond0-ip6tnl0 ours, 10.250.0.0/16 bond0-ip6tnl0",
                "",
                "+244.0.0.0/8 bond0-ip6tnl0, +242.0.0.0/8 bond0-ip6tnl0, stash 10.250.0.0/16 bond0-ip6tnl0",
            ),
            (
                "a VPN that knows better",
                Side::Seed,
                OVERLAP,
                "BLACKHOLES, 242.0.0.0/8 bond0-ip6tnl0, 10.250.0.0/16 bond0-ip6tnl1",
                "",
                "+244.0.0.0/8 bond0-ip6tnl1, +243.0.0.0/8 bond0-ip6tnl1, stash 10.250.0.0/16 bond0-ip6tnl1",
            ),
            ("by a gateway", Side::Seed, OVERLAP, "BLACKHOLES, 10.250.0.0/16 via", "", ""),
            ("no overlap", Side::Seed, "10.64.0.0/11", "10.250.0.0/16 bond0-ip6tnl0", "", ""),
            (
                "the overlap ended",
                Side::Seed,
                "10.64.0.0/11",
                "242.0.0.0/8 bond0-ip6tnl0 ours, 242.0.0.0/8 blackhole ours",
                "10.250.0.0/16 bond0-ip6tnl0 ours",
                "restore 10.250.0.0/16 bond0-ip6tnl0, -242.0.0.0/8 bond0-ip6tnl0, no blackhole 242.0.0.0/8",
            ),
            (
                "API servers",
                Side::Shoot,
                OVERLAP,
                "10.250.130.7/32 bond0-a, 10.250.131.8/32 bond0-b, 10.250.1.1/32 bond0-c, 10.250.132.1/32 eth0, 241.250.9.9/32 bond0-d ours",
                "",
                "+241.250.130.7/32 bond0-a, stash 10.250.130.7/32 bond0-a, +241.250.131.8/32 bond0-b, \
                 stash 10.250.131.8/32 bond0-b, -241.250.9.9/32 bond0-d",
            ),
            (
                "API servers that are known",
                Side::Shoot,
                OVERLAP,
                "241.250.130.7/32 bond0-a ours, 241.250.131.8/32 bond0-b ours",
                "10.250.130.7/32 bond0-a ours",
                "-241.250.131.8/32 bond0-b",
            ),
            ("no overlap there", Side::Shoot, "10.64.0.0/11", "10.64.1.1/32 bond0-a", "", ""),
            ("nor any more", Side::Shoot, "10.64.0.0/11", "241.64.1.1/32 bond0-a ours", "", "-241.64.1.1/32 bond0-a"),
        ] {
            let (routes, stashed) = (existing(&routes.replace("BLACKHOLES", BLACKHOLES)), existing(stashed));
            let changes = follow_routes(&planned(side, seed_pods), &"bond0+".parse().unwrap(), &routes, &stashed);
            assert_eq!(shown(&changes), want, "{name}");
        }
    }

    #[test]
    fn by_one_link() {
        let plan = planned(Side::Seed, "10.250.128.0/17");
        let routes = existing("244.0.0.0/8 bond0, 242.0.0.0/8 bond1 ours, 10.9.0.0/16 bond0 ours, 10.8.0.0/16 bond0");
        assert_eq!(
            shown(&routes_by(&plan, "bond0", &routes).unwrap()),
            "+243.0.0.0/8 bond0, +fd00:1::/112 bond0, +242.0.0.0/8 bond0, -10.9.0.0/16 bond0"
        );
        for taken in ["243.0.0.0/8 bond1", "243.0.0.0/8 via"] {
            assert_eq!(
                routes_by(&plan, "bond0", &existing(taken)),
                Err(TakenRoute("243.0.0.0/8".parse().unwrap())),
                "{taken}"
            );
        }
    }

    #[test]
    fn reads_what_iproute2_prints() {
        let json = r#"[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"10.250.0.0/16","dev":"bond0","protocol":"131","scope":"link","flags":["linkdown"]},
            {"dst":"10.251.0.0/16","gateway":"10.0.0.1","dev":"bond0","protocol":"static","flags":[]},
            {"dst":"10.252.0.0/16","flags":[],"nexthops":[{"dev":"a"},{"dev":"b"}]},
            {"dst":"10.253.0.0/16","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","flags":[]},
            {"type":"blackhole","dst":"10.9.0.0/16","protocol":"131","metric":4294967295,"flags":[]},
            {"dst":"10.250.1.1","dev":"bond0","protocol":"boot","flags":[]},{"dst":"fd00::/64","dev":"eth0","flags":[]},
            {"dst":"::ffff:10.250.0.0/112","dev":"eth0","flags":[]},{"dst":"::ffff:10.250.0.1","dev":"eth0","flags":[]}]"#;
        let shown: Vec<String> = read_routes(json)
            .unwrap()
            .iter()
            .map(|route| format!("{} {:?} {}", route.to, route.way, route.is_ours))
            .collect();
        assert_eq!(
            shown,
            [
                "10.250.0.0/16 Device(\"bond0\") true",
                "10.251.0.0/16 Other false",
                "10.252.0.0/16 Other false",
                "10.253.0.0/16 Other false",
                "10.9.0.0/16 Blackhole true",
                "10.250.1.1/32 Device(\"bond0\") false",
                "fd00::/64 Device(\"eth0\") false"
            ]
        );
        assert_eq!(read_routes("").unwrap(), []);
        assert!(read_routes("{}").is_err());
    }
}
