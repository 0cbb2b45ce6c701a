//! The rules of this module, next to their messages.

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::json::excerpt;
use crate::net::{Cidr, DoesNotFit, NetworkKind, ParseCidrError, RESERVED_RANGES, ReservedRange};

/// Not a CIDR.
pub static MALFORMED: Rule = Rule {
    name: "networks/malformed",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "A network is not a CIDR.",
    fix: "Write it as a base address and a prefix length.",
};

/// A host part.
pub static NOT_CANONICAL: Rule = Rule {
    name: "networks/not-canonical",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The address of a network is not its first one. Gardener refuses such networks.",
    fix: "Write the network as the message shows.",
};

/// An IPv4 network, written as an IPv6 one.
pub static IPV4_AS_IPV6: Rule = Rule {
    name: "networks/ipv4-as-ipv6",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "An IPv4 network is written as an IPv6 one, under `::ffff:0:0/96`. Gardener accepts that and treats it as the IPv4 network. A component that gets the string as written may not accept it: vpn2, for example, cannot translate it.",
    fix: "Write the IPv4 network as the message shows. A stored network may stay as it is.",
};

/// A reserved range.
pub static RESERVED: Rule = Rule {
    name: "networks/reserved-range",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "A network overlaps a range that Gardener reserves for the tunnel between Seed and Shoot: 240.0.0.0/8 to 244.0.0.0/8, or fd8f:6d53:b97a:1::/96.",
    fix: "Choose another range.",
};

/// Pods, Services and nodes overlap.
pub static OVERLAP: Rule = Rule {
    name: "networks/overlap",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "Two of the Shoot's own networks overlap.",
    fix: "Choose disjoint networks for Pods, Services and nodes.",
};

/// IPv6 networks of Shoot and Seed overlap.
pub static SEED_IPV6: Rule = Rule {
    name: "networks/seed-ipv6-overlap",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "An IPv6 network of the Shoot overlaps one of its Seed. Only IPv4 can be translated. For Shoots without IPv4 this is a warning, because Gardener permits it.",
    fix: "Choose another IPv6 range.",
};

/// Networks are too large to be translated.
pub static DOES_NOT_FIT: Rule = Rule {
    name: "networks/does-not-fit",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The IPv4 networks of one kind are together larger than the /8 that double NAT maps them into. As long as no network overlaps the Pods of the Seed this is a warning.",
    fix: "Choose smaller networks, or networks that do not overlap the Seed's Pods.",
};

/// The Seed's Pods are too many to be translated.
pub static SEED_TOO_WIDE: Rule = Rule {
    name: "networks/seed-too-wide",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "An IPv4 network of the Shoot overlaps the Pods of its Seed, and these are wider than the /8 that double NAT maps them into: two Pods of the Seed may have one address in the Shoot.",
    fix: "Choose networks that do not overlap the Seed's Pods, or another Seed.",
};

/// IPv4 networks of Shoot and Seed overlap.
pub static DOUBLE_NAT: Rule = Rule {
    name: "networks/double-nat",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Notice,
    summary: "An IPv4 network of the Shoot overlaps the Pods of its Seed. That is allowed: double NAT in the VPN translates between them.",
    fix: "Nothing.",
};

fn path(kind: NetworkKind) -> String {
    format!("spec.networking.{}", kind.name())
}

pub(super) fn malformed(kind: NetworkKind, text: &str, error: &ParseCidrError) -> Finding {
    MALFORMED.finding(&path(kind), format!("{:?} {error}", excerpt(text)), "")
}

pub(super) fn not_canonical(kind: NetworkKind, text: &str, canonical: &str) -> Finding {
    NOT_CANONICAL.finding(&path(kind), format!("{} has a host part", excerpt(text)), format!("write {canonical}"))
}

pub(super) fn ipv4_as_ipv6(kind: NetworkKind, text: &str, cidr: Cidr) -> Finding {
    let message = format!("{} is the IPv4 network {cidr}, written as an IPv6 one", excerpt(text));
    IPV4_AS_IPV6.finding(&path(kind), message, format!("write {cidr}"))
}

pub(super) fn reserved(kind: NetworkKind, cidr: Cidr, range: &ReservedRange) -> Finding {
    let lies = cidr.lies(range.network());
    let message = format!("{cidr} {lies} {}, which Gardener reserves for: {}", range.cidr, range.purpose);
    RESERVED.finding(&path(kind), message, "choose another range")
}

pub(super) fn overlap(kind: NetworkKind, cidr: Cidr, other_kind: NetworkKind, other: Cidr) -> Finding {
    let message = format!("{cidr} overlaps {} {other} of this Shoot", other_kind.name());
    OVERLAP.finding(&path(kind), message, "choose disjoint networks")
}

pub(super) fn ipv6_overlap(kind: NetworkKind, cidr: Cidr, seed_kind: NetworkKind, seed: Cidr, name: &str) -> Finding {
    let message = format!("{cidr} overlaps {} {seed} of Seed {name}, and IPv6 cannot be translated", seed_kind.name());
    SEED_IPV6.finding(&path(kind), message, "choose another range")
}

pub(super) fn does_not_fit(kind: NetworkKind, error: &DoesNotFit) -> Finding {
    // Which of several networks has no room depends on all of them.
    let help = "choose smaller networks, double NAT needs the room";
    DOES_NOT_FIT.finding(&path(kind), error.to_string(), help).about(kind.name())
}

pub(super) fn seed_too_wide(kind: NetworkKind, cidr: Cidr, seed_pods: Cidr, name: &str) -> Finding {
    let message = format!(
        "{cidr} overlaps the Pods {seed_pods} of Seed {name}, which are wider than the /8 that double NAT maps them into"
    );
    // Which network meets the Seed first depends on all of them.
    SEED_TOO_WIDE.finding(&path(kind), message, "choose networks that do not overlap them, or another Seed").about("")
}

pub(super) fn double_nat(kind: NetworkKind, cidr: Cidr, seed_pods: Cidr, name: &str, translates: bool) -> Finding {
    let message = format!("{cidr} overlaps the Pods {seed_pods} of Seed {name}");
    let help = if translates { "allowed, double NAT translates between them" } else { "allowed" };
    DOUBLE_NAT.finding(&path(kind), message, help)
}

/// All rules with an example of each, in the order of the documentation.
pub fn documented() -> Vec<(&'static Rule, Finding)> {
    let cidr = |text: &str| -> Cidr { text.parse().expect("a constant") };
    let (nodes, pods, services) = (NetworkKind::Nodes, NetworkKind::Pods, NetworkKind::Services);
    let seed = "eu1-a";
    let too_large = DoesNotFit { kind: nodes, network: cidr("12.0.0.0/9") };
    vec![
        (&MALFORMED, malformed(pods, "100.96.0.0/33", &ParseCidrError::Malformed)),
        (&NOT_CANONICAL, not_canonical(nodes, "10.250.0.1/16", "10.250.0.0/16")),
        (&IPV4_AS_IPV6, ipv4_as_ipv6(nodes, "::ffff:10.250.0.0/112", cidr("10.250.0.0/16"))),
        (&RESERVED, reserved(pods, cidr("243.1.0.0/16"), &RESERVED_RANGES[3])),
        (&OVERLAP, overlap(services, cidr("100.64.0.0/13"), pods, cidr("100.64.0.0/10"))),
        (&SEED_IPV6, ipv6_overlap(pods, cidr("fd00:5e::/48"), services, cidr("fd00:5e::/112"), seed)),
        (&DOES_NOT_FIT, does_not_fit(nodes, &too_large)),
        (&SEED_TOO_WIDE, seed_too_wide(nodes, cidr("10.250.0.0/16"), cidr("10.0.0.0/7"), seed)),
        (&DOUBLE_NAT, double_nat(pods, cidr("10.1.0.0/16"), cidr("10.0.0.0/11"), seed, true)),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_example_is_of_its_rule_and_every_name_is_unique() {
        let documented = super::documented();
        for (rule, example) in &documented {
            assert_eq!(rule.name, example.rule);
            assert!(rule.name.starts_with("networks/"), "{}", rule.name);
        }
        let unique: std::collections::BTreeSet<_> = documented.iter().map(|(rule, _)| rule.name).collect();
        assert_eq!(unique.len(), documented.len());
    }
}
