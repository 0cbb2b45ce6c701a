use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::gardener::ExpectedVpn;

fn networks(seed_pods: &str, pods: &str, services: &str, nodes: &str) -> Networks {
    Networks::parse([seed_pods, pods, services, nodes])
}

fn end(side: Side, has_ipv6: bool) -> End {
    End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6 }
}

/// A rule's parts without their order, which iptables does not keep.
fn parts(body: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    for part in body.split(" -") {
        let part = part.trim_start_matches('-');
        // iptables itself adds the protocol's own module.
        if part != "m tcp" {
            parts.insert(part.to_owned());
        }
    }
    parts
}

fn line(rule: &Rule) -> (String, BTreeSet<String>) {
    let program = if rule.family == Family::V4 { "iptables" } else { "ip6tables" };
    (format!("{program} -t {} -A {}", rule.table.name(), rule.hook.name()), parts(&rule.body()))
}

/// What vpn2's own code put into an empty namespace for sixty random configurations.
#[test]
fn equals_what_vpn2_does() {
    let recorded = include_str!("../../../tests/fixtures/vpn2/rules.txt");
    let mut count = 0;
    for case in recorded.split("# ").filter(|case| !case.is_empty()) {
        let (head, rules) = case.split_once('\n').unwrap();
        let mut words = head.split(' ');
        let side = if words.next() == Some("seed") { Side::Seed } else { Side::Shoot };
        let field: std::collections::HashMap<&str, &str> = words.map(|word| word.split_once('=').unwrap()).collect();
        let networks = networks(field["seed-pods"], field["pods"], field["services"], field["nodes"]);
        let got = plan(&networks, &end(side, field["families"].contains("IPv6")));
        count += 1;
        if rules.starts_with("does not fit") || !rules.contains("NETMAP") && got.is_err() {
            // Without an overlap vpn2 sets the other rules, and then fails over the routes.
            assert!(matches!(got, Err(CannotPlan::DoesNotFit(_))), "{head}: {got:?}");
            continue;
        }
        let got = got.unwrap_or_else(|error| panic!("{head}: {error}"));

        // Translations have no order of their own; of everything else, each chain has its rules in this order.
        let split = |rules: Vec<(String, BTreeSet<String>)>| {
            let is_netmap = |(_, parts): &(String, BTreeSet<String>)| parts.contains("j NETMAP");
            let (netmap, others): (Vec<_>, Vec<_>) = rules.into_iter().partition(is_netmap);
            let mut chains = std::collections::BTreeMap::<String, Vec<BTreeSet<String>>>::new();
            for (chain, parts) in others {
                chains.entry(chain).or_default().push(parts);
            }
            (netmap.into_iter().collect::<BTreeSet<_>>(), chains)
        };
        let want: Vec<_> = rules
            .lines()
            .map(|rule| {
                let words: Vec<&str> = rule.splitn(6, ' ').collect();
                (words[..5].join(" "), parts(words[5]))
            })
            .collect();
        assert_eq!(split(got.rules.iter().map(line).collect()), split(want), "{head}");
    }
    assert_eq!(count, 60);
}

#[test]
fn both_sides_of_an_overlap() {
    let networks = networks(
        "10.250.128.0/17",
        "100.96.0.0/11,fd00:10::/48",
        "100.64.0.0/13",
        "10.250.0.0/16,10.249.0.0/24,fd00:20::/64",
    );
    for (name, end) in [("seed", end(Side::Seed, true)), ("shoot", end(Side::Shoot, true))] {
        let plan = plan(&networks, &end).unwrap();
        let mut lines: Vec<String> =
            plan.rules.iter().map(|rule| format!("{} {}", line(rule).0, rule.body())).collect();
        lines.extend(plan.routes.iter().map(|route| format!("route {}", route.to)));
        lines.extend(plan.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)));
        insta::assert_snapshot!(name, lines.join("\n"));
    }
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

/// A repetition takes a block of the mapping; everything else is there once.
#[test]
fn networks_that_are_there_twice() {
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
    /// The short way says the same as a whole plan.
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
