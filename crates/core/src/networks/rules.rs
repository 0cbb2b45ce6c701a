//! The rules of this room, next to their messages.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{SeedFacts, Shoot};
use crate::json::{FieldPath, excerpt};
use crate::net::{Cidr, DoesNotFit, NetworkKind, ParseCidrError, ReservedRange};

rules! {
    /// A network is not a CIDR.
    pub static MALFORMED = {
        name: "networks/malformed",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write it as a base address and a prefix length.",
        example: || found(r#"{"pods": "100.96.0.0/33"}"#, "{}", "10.0.0.0/8"),
    };

    /// The address of a network is not its first one. Gardener refuses such networks.
    pub static NOT_CANONICAL = {
        name: "networks/not-canonical",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the network as the message shows.",
        example: || found(r#"{"nodes": "10.250.0.1/16"}"#, "{}", "10.0.0.0/8"),
    };

    /// An IPv4 network is written as an IPv6 one, under `::ffff:0:0/96`. Gardener accepts that and treats it as the
    /// IPv4 network. A component that gets the string as written may not accept it: vpn2, for example, cannot translate
    /// it.
    pub static IPV4_AS_IPV6 = {
        name: "networks/ipv4-as-ipv6",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the IPv4 network as the message shows. A stored network may stay as it is.",
        example: || found(r#"{"nodes": "::ffff:10.250.0.0/112"}"#, "{}", "10.0.0.0/8"),
    };

    /// A network overlaps a range that Gardener reserves for the tunnel between Seed and Shoot: 240.0.0.0/8 to
    /// 244.0.0.0/8, or fd8f:6d53:b97a:1::/96.
    pub static RESERVED = {
        name: "networks/reserved-range",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose another range.",
        example: || found(r#"{"pods": "243.1.0.0/16"}"#, "{}", "10.0.0.0/8"),
    };

    /// Two of the Shoot's own networks overlap.
    pub static OVERLAP = {
        name: "networks/overlap",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose disjoint networks for Pods, Services and nodes.",
        example: || found(r#"{"pods": "100.64.0.0/10", "services": "100.64.0.0/13"}"#, "{}", "10.0.0.0/8"),
    };

    /// An IPv6 network of the Shoot overlaps one of its Seed. Only IPv4 can be translated. For Shoots without IPv4 this
    /// is a warning, because Gardener permits it.
    pub static SEED_IPV6 = {
        name: "networks/seed-ipv6-overlap",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose another IPv6 range.",
        example: || found(r#"{"pods": "fd00:5e::/48", "ipFamilies": ["IPv4", "IPv6"]}"#, "{}", "10.0.0.0/8"),
    };

    /// The IPv4 networks of one kind are together larger than the /8 that double NAT maps them into. As long as no
    /// network overlaps the Pods of the Seed this is a warning.
    pub static DOES_NOT_FIT = {
        name: "networks/does-not-fit",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose smaller networks, or networks that do not overlap the Seed's Pods.",
        example: || found(r#"{"nodes": "10.0.0.0/9"}"#, r#"{"nodes": ["11.0.0.0/9", "12.0.0.0/9"]}"#, "10.0.0.0/8"),
    };

    /// An IPv4 network of the Shoot overlaps the Pods of its Seed, and these are wider than the /8 that double NAT maps
    /// them into: two Pods of the Seed may have one address in the Shoot.
    pub static SEED_TOO_WIDE = {
        name: "networks/seed-too-wide",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose networks that do not overlap the Seed's Pods, or another Seed.",
        example: || found(r#"{"nodes": "10.250.0.0/16"}"#, "{}", "10.0.0.0/7"),
    };

    /// An IPv4 network of the Shoot overlaps the Pods of its Seed. That is allowed: double NAT in the VPN translates
    /// between them.
    pub static DOUBLE_NAT = {
        name: "networks/double-nat",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Notice,
        fix: "Nothing.",
        example: || found(r#"{"pods": "10.1.0.0/16"}"#, "{}", "10.0.0.0/11"),
    };
}

fn path(kind: NetworkKind) -> FieldPath {
    FieldPath::from("spec.networking").field(kind.name())
}

pub(super) fn malformed(kind: NetworkKind, text: &str, error: &ParseCidrError) -> Finding {
    MALFORMED.finding(path(kind), format!("{:?} {error}", excerpt(text)), "")
}

pub(super) fn not_canonical(kind: NetworkKind, text: &str, canonical: &str) -> Finding {
    NOT_CANONICAL.finding(path(kind), format!("{} has a host part", excerpt(text)), format!("write {canonical}"))
}

pub(super) fn ipv4_as_ipv6(kind: NetworkKind, text: &str, cidr: Cidr) -> Finding {
    let message = format!("{} is the IPv4 network {cidr}, written as an IPv6 one", excerpt(text));
    IPV4_AS_IPV6.finding(path(kind), message, format!("write {cidr}"))
}

pub(super) fn reserved(kind: NetworkKind, cidr: Cidr, range: &ReservedRange) -> Finding {
    let lies = cidr.lies(range.network());
    let message = format!("{cidr} {lies} {}, which Gardener reserves for: {}", range.cidr, range.purpose);
    RESERVED.finding(path(kind), message, "choose another range")
}

pub(super) fn overlap(kind: NetworkKind, cidr: Cidr, other_kind: NetworkKind, other: Cidr) -> Finding {
    let message = format!("{cidr} overlaps {} {other} of this Shoot", other_kind.name());
    OVERLAP.finding(path(kind), message, "choose disjoint networks")
}

pub(super) fn ipv6_overlap(kind: NetworkKind, cidr: Cidr, seed_kind: NetworkKind, seed: Cidr, name: &str) -> Finding {
    let message = format!("{cidr} overlaps {} {seed} of Seed {name}, and IPv6 cannot be translated", seed_kind.name());
    SEED_IPV6.finding(path(kind), message, "choose another range")
}

pub(super) fn does_not_fit(kind: NetworkKind, error: &DoesNotFit) -> Finding {
    // Which of several networks has no room depends on all of them.
    let help = "choose smaller networks, double NAT needs the room";
    DOES_NOT_FIT.finding(path(kind), error.to_string(), help).about(kind.name())
}

pub(super) fn seed_too_wide(kind: NetworkKind, cidr: Cidr, seed_pods: Cidr, name: &str) -> Finding {
    let message = format!(
        "{cidr} overlaps the Pods {seed_pods} of Seed {name}, which are wider than the /8 that double NAT maps them into"
    );
    // Which network meets the Seed first depends on all of them.
    SEED_TOO_WIDE.finding(path(kind), message, "choose networks that do not overlap them, or another Seed").about("")
}

pub(super) fn double_nat(kind: NetworkKind, cidr: Cidr, seed_pods: Cidr, name: &str, translates: bool) -> Finding {
    let message = format!("{cidr} overlaps the Pods {seed_pods} of Seed {name}");
    let help = if translates { "allowed, double NAT translates between them" } else { "allowed" };
    DOUBLE_NAT.finding(path(kind), message, help)
}

/// What is found in these networks of a Shoot and of its status, for examples. Its Seed has these Pods.
fn found(networking: &str, status: &str, seed_pods: &str) -> Vec<Finding> {
    let text = format!(r#"{{"spec": {{"networking": {networking}}}, "status": {{"networking": {status}}}}}"#);
    let shoot = Shoot::read(&text).expect("a constant");
    let seed = SeedFacts { pods: seed_pods.parse().ok(), services: "fd00:5e::/112".parse().ok(), nodes: None };
    super::check(&shoot.networking, &shoot.status_networking, Some(("eu1-a", &seed)))
}
