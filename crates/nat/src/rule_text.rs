//! A rule in the syntax of `iptables-save`.

use std::fmt::Write as _;

use network_guard_core::vpn::nat::{Match, Rule, Target};

/// The part after `-A <chain>`.
pub fn rule_text(rule: &Rule) -> String {
    let mut text = String::with_capacity(96);
    for condition in &rule.matches {
        push_match(condition, &mut text);
        text.push(' ');
    }
    push_target(&rule.target, &mut text);
    text
}

/// One condition of a rule.
pub fn match_text(condition: &Match) -> String {
    let mut text = String::new();
    push_match(condition, &mut text);
    text
}

fn push_match(condition: &Match, text: &mut String) {
    // Writing to a string never fails.
    let _ = match condition {
        Match::To(network) => write!(text, "-d {network}"),
        Match::From(network) => write!(text, "-s {network}"),
        Match::In(device) => write!(text, "-i {device}"),
        Match::Out(device) => write!(text, "-o {device}"),
        Match::Group(id) => write!(text, "-m owner --gid-owner {id}"),
        Match::Established => text.write_str("-m state --state RELATED,ESTABLISHED"),
        Match::Icmpv6 => text.write_str("-p ipv6-icmp"),
        Match::TcpSyn => text.write_str("-p tcp -m tcp --tcp-flags SYN,RST SYN"),
    };
}

fn push_target(target: &Target, text: &mut String) {
    let _ = match target {
        Target::Netmap(network) => write!(text, "-j NETMAP --to {network}"),
        Target::Accept => text.write_str("-j ACCEPT"),
        Target::Drop => text.write_str("-j DROP"),
        Target::Masquerade => text.write_str("-j MASQUERADE"),
        Target::ClampMss => text.write_str("-j TCPMSS --clamp-mss-to-pmtu"),
    };
}

#[cfg(test)]
mod tests;
