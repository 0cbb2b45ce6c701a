//! Double NAT on both sides of the tunnel.

use network_guard::net::{Cidr, Family, NetworkKind, map_networks};

use crate::lab::{Lab, SEED_TUNNEL, SHOOT_TUNNEL};

/// Sets rules, routes and kernel settings on both sides.
pub fn apply(lab: &Lab) {
    let networks = &lab.networks;
    let overlap = networks.overlap();
    let kinds = [
        (NetworkKind::Pods, networks.pods),
        (NetworkKind::Services, networks.services),
        (NetworkKind::Nodes, networks.nodes),
    ];
    let mut seed = "*filter\n-A INPUT -i bond0+ -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i bond0+ -j DROP\nCOMMIT\n*nat\n".to_owned();
    let mut shoot = "*filter\n-A FORWARD -i bond0+ -j ACCEPT\nCOMMIT\n*mangle\n-A POSTROUTING -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\nCOMMIT\n*nat\n-A POSTROUTING -o eth0 -j MASQUERADE\n".to_owned();
    for (kind, networks) in kinds {
        let cidrs: Vec<Cidr> = networks.iter().map(|network| network.parse().unwrap()).collect();
        for network in cidrs.iter().filter(|network| !overlap || network.family() == Family::V6) {
            lab.seed.run(&format!("ip route replace {network} dev {SEED_TUNNEL}"));
        }
        if !overlap {
            continue;
        }
        lab.seed.run(&format!("ip route replace {} dev {SEED_TUNNEL}", kind.mapping_range()));
        for pair in map_networks(kind, &cidrs).unwrap() {
            let (original, mapped) = (pair.original, pair.mapped);
            seed += &format!("-A OUTPUT -m owner --gid-owner 31415 -d {original} -j NETMAP --to {mapped}\n");
            shoot += &format!("-A PREROUTING -i bond0+ -d {mapped} -j NETMAP --to {original}\n");
            shoot += &format!("-A POSTROUTING -o bond0+ -s {original} -j NETMAP --to {mapped}\n");
        }
    }
    if overlap {
        let pods = networks.seed_pods;
        seed += &format!("-A POSTROUTING -o bond0+ -s {pods} -j NETMAP --to 241.0.0.0/8\n");
        seed += &format!("-A PREROUTING -i bond0+ -d 241.0.0.0/8 -j NETMAP --to {pods}\n");
    }
    let restore = format!("iptables-{}-restore -w --noflush", lab.backend.name());
    lab.seed.feed(&restore, &format!("{seed}COMMIT\n"));
    lab.vpn.feed(&restore, &format!("{shoot}COMMIT\n"));
    for setting in
        ["ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1", "ipv4.conf.all.rp_filter=0", "ipv4.conf.bond0.rp_filter=0"]
    {
        lab.vpn.run(&format!("sysctl -qw net.{setting}"));
    }
    let _ = SHOOT_TUNNEL;
}
