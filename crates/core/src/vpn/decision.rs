//! What follows from an overlap for a kube-apiserver's Deployment.

use super::{Overlap, Vpn, overlaps};
use crate::gardener::{ClusterFacts, ExpectedVpn};

/// What to do with a Deployment whose Cluster is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It needs the sidecar because of these IPv4 pairs.
    Inject(Vec<Overlap>),
    /// It does not need the sidecar; a present one is removed.
    Leave,
    /// It needs the sidecar, but these containers of the VPN are missing, without which the sidecar does not work.
    Incomplete(Vec<Overlap>, Vec<&'static str>),
}

/// A contradiction that does not prevent a decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// The Shoot asks for another VPN than the Deployment carries: it is changing to or from high availability.
    OtherVpn {
        /// What the Shoot asks for.
        expected: ExpectedVpn,
    },
    /// IPv6 networks overlap. IPv6 is never translated.
    Ipv6(Overlap),
}

/// Decides by the VPN that the Deployment carries. A Shoot that asks for another one is a conflict to report, never a
/// reason to refuse.
pub fn decide(vpn: &Vpn, facts: &ClusterFacts) -> (Decision, Vec<Conflict>) {
    let carries_ha = *vpn != Vpn::Absent;
    let expects_ha = facts.expected_vpn == ExpectedVpn::HighlyAvailable;
    let mut conflicts = Vec::new();
    if carries_ha != expects_ha {
        conflicts.push(Conflict::OtherVpn { expected: facts.expected_vpn });
    }
    if !carries_ha {
        return (Decision::Leave, conflicts);
    }

    let (ipv4, ipv6): (Vec<_>, Vec<_>) = overlaps(facts).partition(Overlap::is_ipv4);
    conflicts.extend(ipv6.into_iter().map(Conflict::Ipv6));
    let decision = match vpn {
        _ if ipv4.is_empty() => Decision::Leave,
        Vpn::Partial(missing) => Decision::Incomplete(ipv4, missing.clone()),
        Vpn::Complete | Vpn::Absent => Decision::Inject(ipv4),
    };
    (decision, conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gardener::ShootNetwork;
    use crate::net::NetworkKind;

    fn facts(seed_pods: Option<&str>, networks: &[(NetworkKind, &str)], expected_vpn: ExpectedVpn) -> ClusterFacts {
        ClusterFacts {
            seed_pods: seed_pods.map(|text| text.parse().unwrap()),
            shoot_networks: networks
                .iter()
                .map(|(kind, text)| ShootNetwork { kind: *kind, cidr: text.parse().unwrap() })
                .collect(),
            expected_vpn,
            switch: None,
            shoot_uid: None,
            is_leaving: false,
        }
    }

    /// Name, Seed pods, Shoot networks, VPN of the Deployment, VPN that the Shoot asks for, decision and conflicts.
    #[test]
    fn every_case() {
        use ExpectedVpn::{Absent, HighlyAvailable, Single};
        use NetworkKind::{Nodes, Pods, Services};
        let plain = [(Pods, "100.96.0.0/11"), (Services, "100.64.0.0/13"), (Nodes, "10.250.0.0/16")];
        let partial = || Vpn::Partial(vec!["vpn-client-1"]);
        let rows = [
            ("none", Some("10.64.0.0/11"), &plain[..], Vpn::Complete, HighlyAvailable, "leave"),
            ("by pods", Some("100.96.0.0/16"), &plain, Vpn::Complete, HighlyAvailable, "inject pods 100.96.0.0/11"),
            (
                "by services",
                Some("100.64.0.0/10"),
                &plain[1..2],
                Vpn::Complete,
                HighlyAvailable,
                "inject services 100.64.0.0/13",
            ),
            ("by nodes", Some("10.0.0.0/8"), &plain, Vpn::Complete, HighlyAvailable, "inject nodes 10.250.0.0/16"),
            (
                "by nodes that are listed twice, and of which another kind has one",
                Some("10.0.0.0/8"),
                &[(Pods, "10.1.0.0/16"), (Nodes, "10.1.0.0/16"), (Nodes, "10.2.0.0/16"), (Nodes, "10.1.0.0/16")],
                Vpn::Complete,
                HighlyAvailable,
                "inject pods 10.1.0.0/16 nodes 10.1.0.0/16 nodes 10.2.0.0/16",
            ),
            (
                "IPv6 twice",
                Some("fd00::/16"),
                &[(Pods, "fd00:1::/64"), (Pods, "fd00:1::/64")],
                Vpn::Complete,
                HighlyAvailable,
                "leave; ipv6 pods fd00:1::/64",
            ),
            (
                "by several",
                Some("0.0.0.0/0"),
                &plain,
                Vpn::Complete,
                HighlyAvailable,
                "inject pods 100.96.0.0/11 services 100.64.0.0/13 nodes 10.250.0.0/16",
            ),
            (
                "IPv6 only",
                Some("fd00::/16"),
                &[(Pods, "fd00:1::/64")],
                Vpn::Complete,
                HighlyAvailable,
                "leave; ipv6 pods fd00:1::/64",
            ),
            (
                "dual-stack Shoot on an IPv4 Seed",
                Some("10.0.0.0/8"),
                &[(Pods, "fd00:1::/64"), (Nodes, "10.1.0.0/16"), (Nodes, "fd00:2::/64")],
                Vpn::Complete,
                HighlyAvailable,
                "inject nodes 10.1.0.0/16",
            ),
            (
                "IPv4 written as IPv6",
                Some("10.0.0.0/8"),
                &[(Pods, "::ffff:100.96.0.0/107"), (Nodes, "::ffff:10.250.0.0/112"), (Nodes, "::fffe:10.250.0.0/112")],
                Vpn::Complete,
                HighlyAvailable,
                "inject nodes 10.250.0.0/16",
            ),
            (
                "a Seed's IPv4 written as IPv6",
                Some("::ffff:10.0.0.0/104"),
                &plain,
                Vpn::Complete,
                HighlyAvailable,
                "inject nodes 10.250.0.0/16",
            ),
            ("non-HA", Some("10.0.0.0/8"), &plain, Vpn::Absent, Single, "leave"),
            ("workerless", Some("10.0.0.0/8"), &plain[1..2], Vpn::Absent, Absent, "leave"),
            ("self-hosted", None, &plain, Vpn::Complete, HighlyAvailable, "leave"),
            (
                "HA Shoot, Deployment not yet",
                Some("10.0.0.0/8"),
                &plain,
                Vpn::Absent,
                HighlyAvailable,
                "leave; Shoot asks for HighlyAvailable",
            ),
            (
                "HA Deployment, Shoot not any more",
                Some("10.0.0.0/8"),
                &plain,
                Vpn::Complete,
                Single,
                "inject nodes 10.250.0.0/16; Shoot asks for Single",
            ),
            (
                "incomplete with overlap",
                Some("10.0.0.0/8"),
                &plain,
                partial(),
                HighlyAvailable,
                "incomplete vpn-client-1 nodes 10.250.0.0/16",
            ),
            ("incomplete without", Some("10.64.0.0/11"), &plain, partial(), HighlyAvailable, "leave"),
        ];
        for (name, seed_pods, networks, vpn, expected, want) in rows {
            let (decision, conflicts) = decide(&vpn, &facts(seed_pods, networks, expected));
            let pairs = |pairs: &[Overlap]| {
                pairs.iter().map(|p| format!(" {} {}", p.shoot.kind.name(), p.shoot.cidr)).collect::<String>()
            };
            let mut got = match &decision {
                Decision::Inject(overlaps) => format!("inject{}", pairs(overlaps)),
                Decision::Leave => "leave".to_owned(),
                Decision::Incomplete(overlaps, missing) => {
                    format!("incomplete {}{}", missing.join(" "), pairs(overlaps))
                }
            };
            for conflict in &conflicts {
                got += &match conflict {
                    Conflict::OtherVpn { expected } => format!("; Shoot asks for {expected:?}"),
                    Conflict::Ipv6(pair) => format!("; ipv6{}", pairs(&[*pair])),
                };
            }
            assert_eq!(got, want, "{name}");
        }
    }
}
