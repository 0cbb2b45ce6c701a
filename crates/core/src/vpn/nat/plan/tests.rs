use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::gardener::{ClusterFacts, ExpectedVpn, ShootNetwork};
use crate::vpn::cannot_translate;

fn networks(seed_pods: &str, pods: &str, services: &str, nodes: &str) -> Networks {
    Networks::parse([seed_pods, pods, services, nodes]).unwrap()
}

fn end(side: Side, has_ipv6: bool) -> End {
    End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6 }
}

#[test]
fn without_an_overlap_nothing_is_translated() {
    let networks = networks("10.64.0.0/11", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16,fd00::/64");
    for side in [Side::Seed, Side::Shoot] {
        let plan = plan(&networks, &end(side, true)).unwrap();
        assert!(plan.overlaps.is_empty() && plan.shoot.is_empty() && plan.seed_pods.is_none());
        assert!(plan.rules.iter().all(|rule| !matches!(rule.target, Target::Netmap(_))));
        let routes: Vec<String> = plan.routes.iter().map(|route| route.to.to_string()).collect();
        let want: &[&str] = match side {
            Side::Seed => &["100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16", "fd00::/64"],
            Side::Shoot => &["10.64.0.0/11"],
        };
        assert_eq!(routes, want);
    }
}

/// A repeated network takes a block of the mapping of its own; rules and routes are not repeated.
#[test]
fn repeated_networks() {
    let nodes = "10.250.0.0/16,10.249.0.0/16,10.249.0.0/16,10.248.0.0/16";
    for (name, seed_pods, mapped) in [
        ("overlap", "10.0.0.0/8", &["242.0.0.0/16", "242.2.0.0/16", "242.3.0.0/16"][..]),
        ("none", "192.168.0.0/16", &[]),
    ] {
        for side in [Side::Seed, Side::Shoot] {
            let plan = plan(&networks(seed_pods, "", "", nodes), &end(side, false)).unwrap();
            let got: Vec<String> = plan.shoot.iter().map(|(_, network)| network.mapped.to_string()).collect();
            assert_eq!(got, mapped, "{name}");
            assert_eq!(plan.overlaps.len(), mapped.len(), "{name}: {:?}", plan.overlaps);
            let routes: BTreeSet<String> = plan.routes.iter().map(|route| route.to.to_string()).collect();
            assert_eq!(routes.len(), plan.routes.len(), "{name}: {:?}", plan.routes);
            let rules: BTreeSet<String> = plan.rules.iter().map(|rule| format!("{rule:?}")).collect();
            assert_eq!(rules.len(), plan.rules.len(), "{name}: {:?}", plan.rules);
        }
    }
}

proptest! {
    /// The shortcut agrees with a whole plan.
    #[test]
    fn what_cannot_be_translated_cannot_be_planned(
        pods in (any::<u32>(), 5u8..12),
        shoot in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 7u8..12), 0..6),
    ) {
        let network = |(base, length)| Cidr::v4(base, length).unwrap();
        let of_a_kind = |(kind, base, length): &(prop::sample::Index, u32, u8)| ShootNetwork {
            kind: NetworkKind::ALL[kind.index(3)],
            cidr: network((*base, *length)),
        };
        let facts = ClusterFacts {
            seed_pods: Some(network(pods)),
            shoot_networks: shoot.iter().map(of_a_kind).collect(),
            expected_vpn: ExpectedVpn::HighlyAvailable,
            switch: None,
            shoot_uid: None,
            is_leaving: false,
        };
        for side in [Side::Seed, Side::Shoot] {
            prop_assert_eq!(cannot_translate(&facts), plan(&Networks::of(&facts), &end(side, false)).err());
        }
    }
}

#[test]
fn says_why_there_is_no_plan() {
    for (seed_pods, nodes, want) in [
        ("10.0.0.0/7", "10.1.0.0/16", "the Seed's Pod network 10.0.0.0/7 does not fit into 241.0.0.0/8"),
        (
            "10.0.0.0/8,11.0.0.0/8",
            "10.1.0.0/16",
            "the Seed has two Pod networks of one family, 10.0.0.0/8 and 11.0.0.0/8",
        ),
        ("fd00::/64,fd01::/64", "", "the Seed has two Pod networks of one family"),
        ("10.0.0.0/8", "10.0.0.0/9,11.0.0.0/9,12.0.0.0/9", "no room left for 12.0.0.0/9"),
        ("192.168.0.0/16", "10.0.0.0/9,11.0.0.0/9,12.0.0.0/9", "no room left for 12.0.0.0/9"),
    ] {
        let error = plan(&networks(seed_pods, "", "", nodes), &end(Side::Seed, false)).unwrap_err().to_string();
        assert!(error.contains(want), "{seed_pods} {nodes}: {error}");
    }
    // The Seed's Pods are mapped only where something overlaps.
    assert!(plan(&networks("10.0.0.0/7", "", "", "192.168.0.0/16"), &end(Side::Seed, false)).is_ok());
}
