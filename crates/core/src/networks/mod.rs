//! The networks of a Shoot: only what Gardener itself would deny, or what breaks.
//!
//! [`check`] is a function of the Shoot and its Seed. [`judge`] compares its findings with those of the stored Shoot: a problem that
//! is stored blocks nobody.

mod judge;
pub mod rules;

use std::net::IpAddr;

pub use judge::judge;

use crate::diagnostics::{Finding, Severity};
use crate::gardener::SeedFacts;
use crate::gardener::facts::Networks;
use crate::gardener::shoot::{Networking, StatusNetworking};
use crate::json::Text;
use crate::net::{Cidr, DoesNotFit, Family, NetworkKind, WIDEST_SEED_PODS, map_networks, reserved_for};

/// Judges the networks of a Shoot: what it asks for, and what its stored status says. Without a Seed, what concerns the
/// Seed is left out.
pub fn check(
    networking: &Networking<'_>,
    status: &StatusNetworking<'_>,
    seed: Option<(&str, &SeedFacts)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked: Vec<(NetworkKind, Cidr)> = Vec::new();
    for kind in NetworkKind::ALL {
        let Some(text) = networking.get(kind) else { continue };
        match read(kind, text) {
            Ok(cidr) => {
                if cidr.is_written_as_ipv6(text) {
                    findings.push(rules::ipv4_as_ipv6(kind, text, cidr));
                }
                asked.push((kind, cidr));
            }
            Err(finding) => findings.push(finding),
        }
    }
    for (kind, cidr) in &asked {
        if let Some(range) = reserved_for(*cidr) {
            findings.push(rules::reserved(*kind, *cidr, range));
        }
    }
    if networking.has_family(Family::V4) {
        for (i, (kind, cidr)) in asked.iter().enumerate() {
            for (other_kind, other) in asked[..i].iter().filter(|(_, other)| other.overlaps(*cidr)) {
                findings.push(rules::overlap(*kind, *cidr, *other_kind, *other));
            }
        }
    }
    let networks = Networks::of(networking, status);
    let too_large: Vec<(NetworkKind, DoesNotFit)> = NetworkKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, map_networks(kind, &Networks::passed(networking, status, kind)).err()?)))
        .collect();
    let fits = too_large.is_empty();
    let translated = seed.map_or_else(Vec::new, |(name, seed)| ipv4_overlaps(name, seed, &networks, fits));
    let is_translated = !translated.is_empty();
    if let Some((name, seed)) = seed {
        findings.extend(ipv6_overlaps(name, seed, networking, &networks));
    }
    for (kind, error) in too_large {
        let finding = rules::does_not_fit(kind, &error);
        // Without an overlap a Shoot with a highly available VPN needs no translation.
        findings.push(if is_translated { finding } else { finding.at_most(Severity::Warn) });
    }
    findings.extend(translated);
    findings
}

fn read(kind: NetworkKind, text: &Text<'_>) -> Result<Cidr, Finding> {
    let cidr: Cidr = text.parse().map_err(|error| rules::malformed(kind, text, &error))?;
    let canonical = cidr.to_string();
    // IPv6 has many ways to write an address; what Gardener refuses is a host part.
    let address = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
    let has_host_part = address.map(|address| address.to_canonical()) != Some(cidr.base());
    if has_host_part { Err(rules::not_canonical(kind, text, &canonical)) } else { Ok(cidr) }
}

/// Only Pods of the Seed talk into the tunnel, so only their network matters. `fits` says whether the Shoot's networks have
/// room in the tunnel.
fn ipv4_overlaps(name: &str, seed: &SeedFacts, networks: &Networks, fits: bool) -> Vec<Finding> {
    let Some(seed_pods) = seed.pods.filter(|pods| pods.family() == Family::V4) else { return Vec::new() };
    let is_wide = seed_pods.prefix_len() < WIDEST_SEED_PODS;
    let translates = !is_wide && fits;
    let networks =
        NetworkKind::ALL.into_iter().flat_map(|kind| networks.get(kind).iter().map(move |cidr| (kind, *cidr)));
    let mut overlaps = networks.filter(|(_, cidr)| cidr.overlaps(seed_pods)).peekable();
    // Once: it is the Seed's network that is too wide, whatever overlaps it.
    let first = overlaps.peek().filter(|_| is_wide);
    let mut findings: Vec<Finding> =
        first.map(|(kind, cidr)| rules::seed_too_wide(*kind, *cidr, seed_pods, name)).into_iter().collect();
    findings.extend(overlaps.map(|(kind, cidr)| rules::double_nat(kind, cidr, seed_pods, name, translates)));
    findings
}

/// Whether a finding says that double NAT cannot translate between the Shoot and its Seed.
pub fn is_untranslatable(finding: &Finding) -> bool {
    let is_needed = finding.at_most == Severity::Deny;
    finding.rule == &rules::SEED_TOO_WIDE || finding.rule == &rules::DOES_NOT_FIT && is_needed
}

/// IPv6 cannot be translated. Gardener refuses the overlap for Shoots that have IPv4 too; for others it looks away, so
/// they are only warned.
fn ipv6_overlaps(name: &str, seed: &SeedFacts, networking: &Networking<'_>, networks: &Networks) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in NetworkKind::ALL {
        for cidr in networks.get(kind).iter().filter(|cidr| cidr.family() == Family::V6) {
            for seed_kind in NetworkKind::ALL {
                if let Some(other) = seed.get(seed_kind).filter(|other| other.overlaps(*cidr)) {
                    let finding = rules::ipv6_overlap(kind, *cidr, seed_kind, other, name);
                    let most = if networking.has_family(Family::V4) { Severity::Deny } else { Severity::Warn };
                    findings.push(finding.at_most(most));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gardener::Shoot;

    fn found(networking: &serde_json::Value, status: &serde_json::Value) -> Vec<String> {
        found_on("10.0.0.0/11", networking, status)
    }

    fn found_on(seed_pods: &str, networking: &serde_json::Value, status: &serde_json::Value) -> Vec<String> {
        let text = json!({"spec": {"networking": networking}, "status": {"networking": status}}).to_string();
        let shoot = Shoot::read(&text).unwrap();
        let seed = SeedFacts {
            pods: Some(seed_pods.parse().unwrap()),
            services: Some("fd00:5e::/112".parse().unwrap()),
            nodes: Some("10.250.0.0/16".parse().unwrap()),
        };
        check(&shoot.networking, &shoot.status_networking, Some(("eu1-a", &seed)))
            .iter()
            .map(|finding| format!("{} {}", finding.severity.name(), finding))
            .collect()
    }

    #[test]
    fn says_what_gardener_would_refuse_and_what_breaks() {
        for (name, networking, status, want) in [
            ("nothing", json!({}), json!({}), vec![]),
            (
                "well",
                json!({"pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16"}),
                json!({}),
                vec![],
            ),
            (
                "no CIDR",
                json!({"pods": "100.96.0.0"}),
                json!({}),
                vec![
                    "deny spec.networking.pods: \"100.96.0.0\" has no prefix length, write it as `100.96.0.0/32` if the single address is meant",
                ],
            ),
            (
                "host part",
                json!({"nodes": "10.250.0.1/16"}),
                json!({}),
                vec!["deny spec.networking.nodes: 10.250.0.1/16 has a host part; write 10.250.0.0/16"],
            ),
            (
                "IPv4 written as IPv6",
                json!({"nodes": "::ffff:10.250.0.0/112", "services": "::FFFF:6440:0/109"}),
                json!({}),
                vec![
                    "deny spec.networking.services: ::FFFF:6440:0/109 is the IPv4 network 100.64.0.0/13, written as an IPv6 one; write 100.64.0.0/13",
                    "deny spec.networking.nodes: ::ffff:10.250.0.0/112 is the IPv4 network 10.250.0.0/16, written as an IPv6 one; write 10.250.0.0/16",
                ],
            ),
            (
                "IPv4 written as IPv6, with a host part",
                json!({"nodes": "::ffff:10.250.0.1/112"}),
                json!({}),
                vec!["deny spec.networking.nodes: ::ffff:10.250.0.1/112 has a host part; write 10.250.0.0/16"],
            ),
            (
                "IPv4 written as IPv6, and all that is to be said of the network itself",
                json!({"pods": "::ffff:243.0.0.0/104", "services": "::ffff:243.1.0.0/112", "nodes": "::ffff:10.1.0.0/112"}),
                json!({"nodes": ["10.1.0.0/16"]}),
                vec![
                    "deny spec.networking.pods: ::ffff:243.0.0.0/104 is the IPv4 network 243.0.0.0/8, written as an IPv6 one; write 243.0.0.0/8",
                    "deny spec.networking.services: ::ffff:243.1.0.0/112 is the IPv4 network 243.1.0.0/16, written as an IPv6 one; write 243.1.0.0/16",
                    "deny spec.networking.nodes: ::ffff:10.1.0.0/112 is the IPv4 network 10.1.0.0/16, written as an IPv6 one; write 10.1.0.0/16",
                    "deny spec.networking.pods: 243.0.0.0/8 is 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
                    "deny spec.networking.services: 243.1.0.0/16 is in 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
                    "deny spec.networking.services: 243.1.0.0/16 overlaps pods 243.0.0.0/8 of this Shoot; choose disjoint networks",
                    "warn spec.networking.nodes: 10.1.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
                ],
            ),
            (
                "nearly IPv4 is IPv6",
                json!({"nodes": "::fffe:0:0/95", "pods": "64:ff9b::10.0.0.0/104", "ipFamilies": ["IPv6"]}),
                json!({}),
                vec![],
            ),
            ("IPv6 written out is fine", json!({"nodes": "fd00:0:0::/64", "ipFamilies": ["IPv6"]}), json!({}), vec![]),
            (
                "reserved",
                json!({"pods": "243.1.0.0/16"}),
                json!({}),
                vec![
                    "deny spec.networking.pods: 243.1.0.0/16 is in 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
                ],
            ),
            (
                "reserved, and more",
                json!({"nodes": "192.0.0.0/2"}),
                json!({}),
                vec![
                    "deny spec.networking.nodes: 192.0.0.0/2 contains 240.0.0.0/8, which Gardener reserves for: kube-apiserver mapping; choose another range",
                    "warn spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 192.0.0.0/2; choose smaller networks, double NAT needs the room",
                ],
            ),
            (
                "reserved IPv6",
                json!({"nodes": "fd8f:6d53:b97a::/48"}),
                json!({}),
                vec![
                    "deny spec.networking.nodes: fd8f:6d53:b97a::/48 contains fd8f:6d53:b97a:1::/96, which Gardener reserves for: VPN transfer network; choose another range",
                ],
            ),
            (
                "own overlap",
                json!({"pods": "100.64.0.0/10", "services": "100.64.0.0/13"}),
                json!({}),
                vec![
                    "deny spec.networking.services: 100.64.0.0/13 overlaps pods 100.64.0.0/10 of this Shoot; choose disjoint networks",
                ],
            ),
            (
                "own overlap, IPv6 only: Gardener permits it",
                json!({"pods": "fd00::/48", "services": "fd00::/112", "ipFamilies": ["IPv6"]}),
                json!({}),
                vec![],
            ),
            (
                "double NAT",
                json!({"pods": "10.1.0.0/16"}),
                json!({"pods": ["10.1.0.0/16"]}),
                vec![
                    "warn spec.networking.pods: 10.1.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
                ],
            ),
            (
                "double NAT, from the status",
                json!({}),
                json!({"nodes": ["10.2.0.0/16"]}),
                vec![
                    "warn spec.networking.nodes: 10.2.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
                ],
            ),
            (
                "too large, translated",
                json!({"nodes": "10.0.0.0/9"}),
                json!({"nodes": ["11.0.0.0/9", "12.0.0.0/9"]}),
                vec![
                    "deny spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 12.0.0.0/9; choose smaller networks, double NAT needs the room",
                    "warn spec.networking.nodes: 10.0.0.0/9 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed",
                ],
            ),
            (
                "too large because vpn2 maps a repetition too",
                json!({"nodes": "10.0.0.0/9"}),
                json!({"nodes": ["10.0.0.0/9", "11.0.0.0/9", "11.0.0.0/9"]}),
                vec![
                    "deny spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 11.0.0.0/9; choose smaller networks, double NAT needs the room",
                    "warn spec.networking.nodes: 10.0.0.0/9 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed",
                ],
            ),
            (
                "too large, not translated",
                json!({"pods": "16.0.0.0/7"}),
                json!({}),
                vec![
                    "warn spec.networking.pods: the IPv4 pods networks do not fit into 244.0.0.0/8: no room left for 16.0.0.0/7; choose smaller networks, double NAT needs the room",
                ],
            ),
            (
                "IPv6 overlap",
                json!({"pods": "fd00:5e::/48", "ipFamilies": ["IPv4", "IPv6"]}),
                json!({}),
                vec![
                    "deny spec.networking.pods: fd00:5e::/48 overlaps services fd00:5e::/112 of Seed eu1-a, and IPv6 cannot be translated; choose another range",
                ],
            ),
            (
                "IPv6 overlap, IPv6 only",
                json!({"pods": "fd00:5e::/48", "ipFamilies": ["IPv6"]}),
                json!({}),
                vec![
                    "warn spec.networking.pods: fd00:5e::/48 overlaps services fd00:5e::/112 of Seed eu1-a, and IPv6 cannot be translated; choose another range",
                ],
            ),
        ] {
            assert_eq!(found(&networking, &status), want, "{name}");
        }
    }

    /// Two Pods of such a Seed may have one address in the Shoot, which is said once, and only where it matters.
    #[test]
    fn a_seed_whose_pods_do_not_fit() {
        let own = json!({"pods": "100.96.0.0/11", "services": "11.1.0.0/16", "nodes": "10.250.0.0/16"});
        assert_eq!(
            found_on("10.0.0.0/7", &own, &json!({})),
            [
                "warn spec.networking.services: 11.1.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a, which are wider than the /8 that double NAT maps them into; choose networks that do not overlap them, or another Seed",
                "warn spec.networking.services: 11.1.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a; allowed",
                "warn spec.networking.nodes: 10.250.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a; allowed",
            ]
        );
        assert_eq!(found_on("12.0.0.0/7", &own, &json!({})), [""; 0]);
        assert_eq!(found_on("100.0.0.0/8", &own, &json!({})).len(), 1, "a /8 fits");
    }

    #[test]
    fn without_a_seed_only_the_shoot_is_judged() {
        let shoot = json!({"spec": {"networking": {"pods": "10.1.0.0/16"}}}).to_string();
        let shoot = Shoot::read(&shoot).unwrap();
        assert_eq!(check(&shoot.networking, &shoot.status_networking, None), []);
    }
}
