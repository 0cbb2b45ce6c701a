//! The address ranges that Gardener keeps for the tunnel between Seed and Shoot.

use super::Cidr;

/// A kind of a Shoot's networks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NetworkKind {
    /// Addresses of Pods.
    Pods,
    /// Cluster IPs of Services.
    Services,
    /// Addresses of Nodes.
    Nodes,
}

impl NetworkKind {
    /// All kinds, in the order that messages use.
    pub const ALL: [Self; 3] = [Self::Pods, Self::Services, Self::Nodes];

    /// The name of the field in `spec.networking` and `status.networking`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::Nodes => "nodes",
        }
    }
}

/// A range that no Shoot or Seed network may touch.
#[derive(Clone, Copy, Debug)]
pub struct ReservedRange {
    /// The range in CIDR notation.
    pub cidr: &'static str,
    /// What Gardener uses it for.
    pub purpose: &'static str,
}

/// Gardener's reserved ranges (documentation on networking: "reserved network ranges"; constants of
/// `pkg/apis/core/v1beta1/constants`).
pub const RESERVED_RANGES: [ReservedRange; 6] = [
    ReservedRange { cidr: "240.0.0.0/8", purpose: "kube-apiserver mapping" },
    ReservedRange { cidr: "241.0.0.0/8", purpose: "Seed pod network mapping" },
    ReservedRange { cidr: "242.0.0.0/8", purpose: "Shoot node network mapping" },
    ReservedRange { cidr: "243.0.0.0/8", purpose: "Shoot service network mapping" },
    ReservedRange { cidr: "244.0.0.0/8", purpose: "Shoot pod network mapping" },
    ReservedRange { cidr: "fd8f:6d53:b97a:1::/96", purpose: "VPN transfer network" },
];

/// The first reserved range that a network touches.
pub fn reserved_for(network: Cidr) -> Option<&'static ReservedRange> {
    RESERVED_RANGES.iter().find(|range| range.network().overlaps(network))
}

impl ReservedRange {
    /// The range.
    pub fn network(&self) -> Cidr {
        self.cidr.parse().expect("a test reads every row of the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_canonical() {
        for range in RESERVED_RANGES {
            assert_eq!(range.cidr.parse::<Cidr>().unwrap().to_string(), range.cidr);
        }
    }

    #[test]
    fn finds_the_range() {
        for (network, want) in [
            ("10.0.0.0/8", None),
            ("239.255.255.255/32", None),
            ("245.0.0.0/8", None),
            ("240.1.0.0/16", Some("240.0.0.0/8")),
            ("242.0.0.0/8", Some("242.0.0.0/8")),
            ("244.255.255.255/32", Some("244.0.0.0/8")),
            ("0.0.0.0/0", Some("240.0.0.0/8")),
            ("fd8f:6d53:b97a:1::5/128", Some("fd8f:6d53:b97a:1::/96")),
            ("fd8f:6d53:b97a:2::/96", None),
        ] {
            assert_eq!(reserved_for(network.parse().unwrap()).map(|r| r.cidr), want, "{network}");
        }
    }

    /// The result of Gardener's own code; it names the IPv6 range before the others.
    #[test]
    fn agrees_with_gardener() {
        for line in include_str!("../../../../tests/fixtures/cidrs/networks.txt").lines() {
            let (text, said) = line.split_once(" -> ").expect(line);
            let Ok(network) = text.parse() else { continue };
            let want = said.split(' ').find_map(|word| word.strip_prefix("reserved:"));
            assert_eq!(reserved_for(network).map(|range| range.cidr), want, "{text}");
        }
    }
}
