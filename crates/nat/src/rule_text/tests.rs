use std::collections::BTreeSet;

use super::*;
use network_guard_core::net::Family;
use network_guard_core::vpn::nat::{End, Side, plan};
use network_guard_core::vpn::{CannotPlan, Networks};

fn networks(seed_pods: &str, pods: &str, services: &str, nodes: &str) -> Networks {
    Networks::parse([seed_pods, pods, services, nodes]).unwrap()
}

fn end(side: Side, has_ipv6: bool) -> End {
    End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6 }
}

/// The parts of a rule without their order, which iptables does not keep.
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
    (format!("{program} -t {} -A {}", rule.table.name(), rule.hook.name()), parts(&rule_text(rule)))
}

/// The rules that vpn2's own code wrote into an empty namespace for sixty random configurations.
#[test]
fn rules_equal_those_of_vpn2() {
    let recorded = include_str!("../../../../tests/fixtures/vpn2/rules.txt");
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

        // Translations have no order among them; all other rules have this order in each chain.
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
            plan.rules.iter().map(|rule| format!("{} {}", line(rule).0, rule_text(rule))).collect();
        lines.extend(plan.routes.iter().map(|route| format!("route {}", route.to)));
        lines.extend(plan.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)));
        insta::assert_snapshot!(name, lines.join("\n"));
    }
}
