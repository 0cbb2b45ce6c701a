//! Routes of our own beside those that the VPN's own programs set.

use serde::Deserialize;

use super::plan::{Plan, Side};
use super::rule::Device;
use crate::net::{Cidr, Family, MappedNetwork};

/// The number by which routes of ours are known: Linux keeps one with each route and gives it no meaning. Numbers up to
/// 191 that no routing daemon has registered are free.
pub const ROUTE_PROTOCOL: &str = "131";

/// A route of the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelRoute {
    /// Where to.
    pub to: Cidr,
    /// By which device.
    pub device: String,
    /// Whether we set it.
    pub is_ours: bool,
}

/// A step towards the right routes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteChange {
    /// Packets to there go by this device from now on.
    Set(Cidr, String),
    /// This route goes.
    Remove(Cidr, String),
}

#[derive(Deserialize)]
struct Listed<'a> {
    dst: &'a str,
    #[serde(default)]
    dev: &'a str,
    #[serde(default)]
    protocol: &'a str,
}

/// Reads the output of `ip -json route`. What leads to no network, such as `default`, is left out.
pub fn read_routes(json: &str) -> Result<Vec<KernelRoute>, serde_json::Error> {
    // Without any route, iproute2 prints nothing.
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let listed: Vec<Listed<'_>> = serde_json::from_str(json)?;
    let route = |route: Listed<'_>| {
        let to = route.dst.parse().or_else(|_| {
            let address: std::net::IpAddr = route.dst.parse().map_err(drop)?;
            Cidr::new(address, if address.is_ipv4() { 32 } else { 128 }).ok_or(())
        });
        let (device, is_ours) = (route.dev.to_owned(), route.protocol == ROUTE_PROTOCOL);
        Some(KernelRoute { to: to.ok()?, device, is_ours }).filter(|route| !route.device.is_empty())
    };
    Ok(listed.into_iter().filter_map(route).collect())
}

/// The plan's routes by one device.
pub fn routes_by(plan: &Plan, device: &str, existing: &[KernelRoute]) -> Vec<RouteChange> {
    let mut changes: Vec<RouteChange> = Vec::new();
    for route in &plan.routes {
        set(route.to, device, existing, &mut changes);
    }
    remove_stale(existing, &mut changes, |to| plan.routes.iter().any(|route| route.to == to));
    changes
}

/// Routes that follow those of a VPN that knows no overlap: it sends the Shoot's networks, or the addresses of API
/// servers, by the link that works at the moment. The mapped ones go by the same link; on the Seed's side the untranslated
/// go away, because there they are the Seed's. What is set by a VPN that knows better is left alone.
pub fn follow_routes(plan: &Plan, tunnel: &Device, existing: &[KernelRoute]) -> Vec<RouteChange> {
    let mut changes: Vec<RouteChange> = Vec::new();
    let theirs = || {
        let is_theirs = |route: &&KernelRoute| !route.is_ours && tunnel.matches(&route.device);
        existing.iter().filter(is_theirs).filter(|route| route.to.family() == Family::V4)
    };
    match (plan.side, plan.seed_pods) {
        (Side::Seed, _) => {
            let followed: Vec<&KernelRoute> =
                theirs().filter(|route| plan.shoot.iter().any(|(_, network)| network.original == route.to)).collect();
            if let Some(link) = followed.first() {
                for route in plan.routes.iter().filter(|route| route.to.family() == Family::V4) {
                    set(route.to, &link.device, existing, &mut changes);
                }
            }
            changes.extend(followed.iter().map(|route| RouteChange::Remove(route.to, route.device.clone())));
        }
        (Side::Shoot, Some(pods)) => {
            let image = |route: &KernelRoute| image(route.to, pods);
            for route in theirs() {
                if let Some(to) = image(route) {
                    set(to, &route.device, existing, &mut changes);
                }
            }
            remove_stale(existing, &mut changes, |to| theirs().any(|route| image(route) == Some(to)));
        }
        (Side::Shoot, None) => {}
    }
    changes
}

fn set(to: Cidr, device: &str, existing: &[KernelRoute], changes: &mut Vec<RouteChange>) {
    let change = RouteChange::Set(to, device.to_owned());
    let is_there = existing.iter().any(|route| route.to == to && route.device == device);
    if !is_there && !changes.contains(&change) {
        changes.push(change);
    }
}

/// Ours that nothing needs any more go.
fn remove_stale(existing: &[KernelRoute], changes: &mut Vec<RouteChange>, is_needed: impl Fn(Cidr) -> bool) {
    let stale = existing.iter().filter(|route| route.is_ours && !is_needed(route.to));
    changes.extend(stale.map(|route| RouteChange::Remove(route.to, route.device.clone())));
}

/// Where a part of a mapped network appears.
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
    use crate::nat::{End, Networks, plan};

    fn planned(side: Side, seed_pods: &str) -> Plan {
        let cidrs = |text: &str| text.split(',').map(|text| text.parse().unwrap()).collect();
        let networks = Networks {
            seed_pods: cidrs(seed_pods),
            pods: cidrs("100.96.0.0/11"),
            services: cidrs("100.64.0.0/13,fd00:1::/112"),
            nodes: cidrs("10.250.0.0/16"),
        };
        plan(&networks, &End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6: true }).unwrap()
    }

    fn existing(text: &str) -> Vec<KernelRoute> {
        let route = |text: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            let (device, is_ours) = (words[1].to_owned(), words.get(2) == Some(&"ours"));
            KernelRoute { to: words[0].parse().unwrap(), device, is_ours }
        };
        text.split(", ").filter(|text| !text.is_empty()).map(route).collect()
    }

    fn shown(changes: &[RouteChange]) -> String {
        let show = |change: &RouteChange| match change {
            RouteChange::Set(to, device) => format!("+{to} {device}"),
            RouteChange::Remove(to, device) => format!("-{to} {device}"),
        };
        changes.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn follows() {
        const OVERLAP: &str = "10.250.128.0/17";
        for (name, side, seed_pods, routes, want) in [
            ("no tunnel yet", Side::Seed, OVERLAP, "10.250.128.0/17 eth0", ""),
            (
                "a VPN that knows no overlap",
                Side::Seed,
                OVERLAP,
                "10.250.0.0/16 bond0-ip6tnl1, 100.64.0.0/13 bond0-ip6tnl1, 100.96.0.0/11 bond0-ip6tnl1, fd00:1::/112 bond0-ip6tnl1",
                "+244.0.0.0/8 bond0-ip6tnl1, +243.0.0.0/8 bond0-ip6tnl1, +242.0.0.0/8 bond0-ip6tnl1, \
                 -10.250.0.0/16 bond0-ip6tnl1, -100.64.0.0/13 bond0-ip6tnl1, -100.96.0.0/11 bond0-ip6tnl1",
            ),
            (
                "followed",
                Side::Seed,
                OVERLAP,
                "244.0.0.0/8 bond0-ip6tnl1 ours, 243.0.0.0/8 bond0-ip6tnl1 ours, 242.0.0.0/8 bond0-ip6tnl1 ours",
                "",
            ),
            (
                "to the other link",
                Side::Seed,
                OVERLAP,
                "244.0.0.0/8 bond0-ip6tnl1 ours, 243.0.0.0/8 bond0-ip6tnl0, 10.250.0.0/16 bond0-ip6tnl0",
                "+244.0.0.0/8 bond0-ip6tnl0, +242.0.0.0/8 bond0-ip6tnl0, -10.250.0.0/16 bond0-ip6tnl0",
            ),
            ("a VPN that knows better", Side::Seed, OVERLAP, "242.0.0.0/8 bond0-ip6tnl0", ""),
            ("no overlap", Side::Seed, "10.64.0.0/11", "10.250.0.0/16 bond0-ip6tnl0", ""),
            (
                "API servers",
                Side::Shoot,
                OVERLAP,
                "10.250.130.7/32 bond0-a, 10.250.131.8/32 bond0-b, 10.250.1.1/32 bond0-c, 10.250.132.1/32 eth0, 241.250.9.9/32 bond0-d ours",
                "+241.250.130.7/32 bond0-a, +241.250.131.8/32 bond0-b, -241.250.9.9/32 bond0-d",
            ),
            ("no overlap there", Side::Shoot, "10.64.0.0/11", "10.64.1.1/32 bond0-a", ""),
        ] {
            let changes = follow_routes(&planned(side, seed_pods), &"bond0+".parse().unwrap(), &existing(routes));
            assert_eq!(shown(&changes), want, "{name}");
        }
    }

    #[test]
    fn by_one_link() {
        let plan = planned(Side::Seed, "10.250.128.0/17");
        let routes = existing("244.0.0.0/8 bond0, 242.0.0.0/8 bond1 ours, 10.9.0.0/16 bond0 ours, 10.8.0.0/16 bond0");
        assert_eq!(
            shown(&routes_by(&plan, "bond0", &routes)),
            "+243.0.0.0/8 bond0, +fd00:1::/112 bond0, +242.0.0.0/8 bond0, -10.9.0.0/16 bond0"
        );
    }

    #[test]
    fn reads_what_iproute2_prints() {
        let json = r#"[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"10.250.0.0/16","dev":"bond0","protocol":"131","scope":"link","flags":["linkdown"]},
            {"type":"blackhole","dst":"10.9.0.0/16","flags":[]},
            {"dst":"10.250.1.1","dev":"bond0","protocol":"boot","flags":[]},{"dst":"fd00::/64","dev":"eth0","flags":[]}]"#;
        let routes = read_routes(json).unwrap();
        let shown: Vec<String> =
            routes.iter().map(|route| format!("{} {} {}", route.to, route.device, route.is_ours)).collect();
        assert_eq!(shown, ["10.250.0.0/16 bond0 true", "10.250.1.1/32 bond0 false", "fd00::/64 eth0 false"]);
        assert_eq!(read_routes("").unwrap(), []);
        assert!(read_routes("{}").is_err());
    }
}
