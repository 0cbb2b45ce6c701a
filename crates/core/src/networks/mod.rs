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
mod tests;
