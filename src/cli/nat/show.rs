//! The output of a plan, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::columns::columns;
use network_guard_core::net::{Cidr, Family};
use network_guard_core::vpn::nat::{Match, Plan, Rule, Side, Target};
use network_guard_nat::{match_text, rule_text};

/// A table of the mappings, with the rule for each.
pub(super) fn table(plan: &Plan) -> String {
    let mut text = match plan.side {
        Side::Seed => "Seed side, in the Pod of the kube-apiserver\n".to_owned(),
        Side::Shoot => "Shoot side, in the vpn-shoot Pod\n".to_owned(),
    };
    if plan.overlaps.is_empty() {
        text.push_str("\nNo network of the Shoot overlaps the Seed's Pods: nothing is translated.\n");
    } else {
        for pair in &plan.overlaps {
            let _ = writeln!(text, "  {pair}");
        }
        let mut rows = vec![["NETWORK", "", "IN THE TUNNEL", "RULE"].map(str::to_owned)];
        let seed_pods = plan.seed_pods.map(|network| ("Seed pods".to_owned(), network));
        let shoot = plan.shoot.iter().map(|(kind, network)| (format!("Shoot {}", kind.name()), *network));
        for (what, network) in shoot.chain(seed_pods) {
            let mut cells = [network.original.to_string(), what, network.mapped.to_string()];
            for rule in plan.rules.iter().filter(|rule| translates(rule, network.original, network.mapped)) {
                let [original, what, mapped] = cells;
                rows.push([original, what, mapped, format!("{} {}", rule.hook.name(), in_words(rule))]);
                cells = [const { String::new() }; 3];
            }
        }
        text.push('\n');
        text.push_str(&columns(&rows));
    }
    let mut rows = vec![["FURTHER RULES", "", ""].map(str::to_owned)];
    for rule in plan.rules.iter().filter(|rule| !matches!(rule.target, Target::Netmap(_))) {
        let family = if rule.family == Family::V4 { "IPv4" } else { "IPv6" };
        rows.push([format!("{} {}", rule.table.name(), rule.hook.name()), family.to_owned(), rule_text(rule)]);
    }
    text.push('\n');
    text.push_str(&columns(&rows));
    text.push_str("\nROUTES through the link of the tunnel that works\n");
    for route in &plan.routes {
        let _ = writeln!(text, "  {}", route.to);
    }
    let mut rows = vec![["KERNEL SETTINGS", "WITHOUT"].map(str::to_owned)];
    let settings = plan.settings.iter();
    rows.extend(settings.map(|setting| [format!("{}={}", setting.name, setting.value), setting.why.to_owned()]));
    text.push('\n');
    text.push_str(&columns(&rows));
    text
}

/// Whether this rule translates the one network to the other.
fn translates(rule: &Rule, original: Cidr, mapped: Cidr) -> bool {
    let Target::Netmap(to) = rule.target else { return false };
    let from = rule.matches.iter().find_map(|condition| match condition {
        Match::To(network) | Match::From(network) => Some(*network),
        _ => None,
    });
    (from, to) == (Some(original), mapped) || (from, to) == (Some(mapped), original)
}

/// A translating rule in words.
fn in_words(rule: &Rule) -> String {
    let mut text = String::new();
    for condition in &rule.matches {
        let _ = match condition {
            Match::To(network) => write!(text, "to {network}"),
            Match::From(network) => write!(text, "from {network}"),
            Match::In(device) => write!(text, ", in by {device}"),
            Match::Out(device) => write!(text, ", out by {device}"),
            Match::Group(group) => write!(text, ", sent by group {group} (Envoy)"),
            Match::Established | Match::Icmpv6 | Match::TcpSyn => write!(text, " {}", match_text(condition)),
        };
    }
    if let Target::Netmap(network) = rule.target {
        let _ = write!(text, ": becomes {network}");
    }
    text
}

/// The plan as JSON.
pub(super) fn json(plan: &Plan) -> Value {
    let family = |family| if family == Family::V4 { "IPv4" } else { "IPv6" };
    json!({
        "side": plan.side.name(),
        "overlaps": plan.overlaps.iter().map(|pair| json!({
            "kind": pair.shoot.kind.name(), "network": pair.shoot.cidr.to_string(), "seedPods": pair.seed_pods.to_string(),
        })).collect::<Vec<_>>(),
        "seedPods": plan.seed_pods.map(|network| json!({
            "network": network.original.to_string(), "mapped": network.mapped.to_string(),
        })),
        "shoot": plan.shoot.iter().map(|(kind, network)| json!({
            "kind": kind.name(), "network": network.original.to_string(), "mapped": network.mapped.to_string(),
        })).collect::<Vec<_>>(),
        "rules": plan.rules.iter().map(|rule| json!({
            "family": family(rule.family), "table": rule.table.name(), "chain": rule.hook.name(), "rule": rule_text(rule),
        })).collect::<Vec<_>>(),
        "routes": plan.routes.iter().map(|route| route.to.to_string()).collect::<Vec<_>>(),
        "settings": plan.settings.iter().map(|setting| (setting.name.to_owned(), Value::from(setting.value)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use network_guard_core::vpn::Networks;
    use network_guard_core::vpn::nat::{End, plan};

    fn planned(side: Side, seed_pods: &str) -> Plan {
        let networks =
            Networks::parse([seed_pods, "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16,10.249.0.0/24"]).unwrap();
        plan(&networks, &End { side, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6: false }).unwrap()
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!("seed", table(&planned(Side::Seed, "10.250.128.0/17")));
        insta::assert_snapshot!("shoot", table(&planned(Side::Shoot, "10.250.128.0/17")));
        insta::assert_snapshot!("no_overlap", table(&planned(Side::Seed, "10.64.0.0/11")));
    }

    #[test]
    fn for_programs() {
        insta::assert_json_snapshot!(json(&planned(Side::Seed, "10.250.128.0/17")));
    }
}
