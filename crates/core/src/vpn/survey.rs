//! The state of one Shoot: which of its networks overlap, how they are mapped in the tunnel, whether its API server has
//! a proxy, and whether its VPN has the networks of its Cluster.

use std::collections::HashMap;

use super::mapping::map_shoot;
use super::nat::{Difference, differences, told};
use super::sidecar::Proxy;
use super::{CannotPlan, Networks, Overlap, Vpn, cannot_translate, overlaps};
use crate::gardener::{ClusterFacts, Deployment, ExpectedVpn};
use crate::net::{Cidr, DoesNotFit, NetworkKind, each_once};

/// The state of one Shoot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Survey {
    /// The networks that overlap the Seed's Pods.
    pub overlaps: Vec<Overlap>,
    /// All networks of the Shoot, each once, and what they are mapped to in the tunnel; IPv6 networks are not mapped.
    pub networks: Result<Vec<(NetworkKind, Cidr, Option<Cidr>)>, DoesNotFit>,
    /// What tells its API server's traffic to the Shoot from that to the Seed.
    pub help: Help,
    /// Networks of its kube-apiserver's VPN that differ from the Cluster's; `None` where nothing is mapped.
    pub told: Option<Vec<Difference>>,
    /// Why its networks cannot be translated.
    pub untranslatable: Option<CannotPlan>,
}

/// What tells an API server's traffic to the Shoot from that to the Seed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Help {
    /// network-guard's sidecar.
    Ours,
    /// gardenlet's own proxy.
    Gardenlet,
    /// It needs a proxy and has none.
    Missing,
    /// It needs a proxy, and somebody else's `envoy-proxy` is in the way.
    Foreign,
    /// It needs none: its VPN has one server, which always translates.
    SingleVpn,
    /// It needs none: the Shoot has no workers, so no VPN.
    NoVpn,
    /// Only IPv6 overlaps, which nothing translates.
    Ipv6,
    /// The sidecar is present, and nothing overlaps any more; gardenlet's next write removes it.
    Leftover,
    /// It needs none: nothing overlaps.
    Apart,
    /// Its Deployment is not known.
    Unknown,
}

impl Help {
    /// A few words for a column of a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "network-guard's",
            Self::Gardenlet => "gardenlet's",
            Self::Missing => "MISSING",
            Self::Foreign => "FOREIGN",
            Self::SingleVpn => "not needed (one VPN server)",
            Self::NoVpn => "not needed (no workers)",
            Self::Ipv6 => "none (IPv6 is not translated)",
            Self::Leftover => "no longer needed",
            Self::Apart => "not needed (nothing overlaps)",
            Self::Unknown => "unknown (no Deployment)",
        }
    }

    /// Whether an operator should act.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Missing | Self::Foreign)
    }
}

impl Survey {
    /// Whether there is nothing to report: no overlap, and no sidecar.
    pub fn is_quiet(&self) -> bool {
        self.overlaps.is_empty() && self.help != Help::Leftover
    }

    /// Whether its VPN has other networks than the Cluster.
    pub fn is_told_otherwise(&self) -> bool {
        self.told.as_ref().is_some_and(|told| !told.is_empty())
    }

    /// Whether an operator should act.
    pub fn is_trouble(&self) -> bool {
        self.help.is_trouble() || self.is_told_otherwise() || self.untranslatable.is_some()
    }

    /// The Seed's Pods, where one of the Shoot's networks overlaps them. There is one such network, so nothing is searched.
    pub fn overlapped_by(&self, network: Cidr) -> Option<Cidr> {
        self.overlaps.first().map(|pair| pair.seed_pods).filter(|seed_pods| network.overlaps(*seed_pods))
    }
}

/// Determines the state of one Shoot.
pub fn survey(facts: &ClusterFacts, deployment: Option<&Deployment<'_>>) -> Survey {
    let overlaps: Vec<Overlap> = overlaps(facts).collect();
    let has_ipv4 = overlaps.iter().any(Overlap::is_ipv4);
    let help = match help(facts, deployment, has_ipv4) {
        Help::Missing | Help::Foreign | Help::Unknown if overlaps.is_empty() => Help::Apart,
        Help::Missing | Help::Foreign | Help::Unknown if !has_ipv4 => Help::Ipv6,
        help => help,
    };
    let told = deployment.and_then(told).map(|told| differences(&told, facts));
    let has_vpn = facts.expected_vpn != ExpectedVpn::Absent && facts.seed_pods.is_some();
    let untranslatable = has_vpn.then(|| cannot_translate(facts)).flatten();
    Survey { overlaps, networks: networks(facts), help, told, untranslatable }
}

fn help(facts: &ClusterFacts, deployment: Option<&Deployment<'_>>, overlaps: bool) -> Help {
    let (vpn, proxy) = match deployment {
        Some(deployment) => {
            let pod = &deployment.spec.template.spec;
            (Some(Vpn::of(pod)), Proxy::of(&pod.containers))
        }
        None => (None, Proxy::Absent),
    };
    match (proxy, facts.expected_vpn, vpn) {
        (Proxy::Ours(_), _, _) if !overlaps => Help::Leftover,
        (Proxy::Ours(_), _, _) => Help::Ours,
        (Proxy::Gardenlet, _, _) => Help::Gardenlet,
        // The VPN of the Deployment counts; without a Deployment, the one that the Shoot asks for.
        (_, ExpectedVpn::Absent, Some(Vpn::Absent) | None) => Help::NoVpn,
        (_, ExpectedVpn::Single, None) | (_, _, Some(Vpn::Absent)) => Help::SingleVpn,
        (_, _, None) => Help::Unknown,
        (Proxy::Foreign(_), _, Some(_)) => Help::Foreign,
        (Proxy::Absent, _, Some(_)) => Help::Missing,
    }
}

fn networks(facts: &ClusterFacts) -> Result<Vec<(NetworkKind, Cidr, Option<Cidr>)>, DoesNotFit> {
    let networks = Networks::of(facts);
    let mapped = map_shoot(&networks)?.into_iter();
    let images: HashMap<_, Cidr> = mapped.map(|(kind, network)| ((kind, network.original), network.mapped)).collect();
    let each = each_once(networks.all_of_shoot());
    Ok(each.map(|network| (network.kind, network.cidr, images.get(&(network.kind, network.cidr)).copied())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gardener::ShootNetwork;

    fn facts(seed_pods: &str, expected_vpn: ExpectedVpn) -> ClusterFacts {
        let network = |kind, text: &str| ShootNetwork { kind, cidr: text.parse().unwrap() };
        ClusterFacts {
            seed_pods: Some(seed_pods.parse().unwrap()),
            shoot_networks: [
                network(NetworkKind::Pods, "100.96.0.0/11"),
                network(NetworkKind::Nodes, "10.250.0.0/16"),
                network(NetworkKind::Nodes, "fd00::/64"),
                network(NetworkKind::Nodes, "fd00::/64"),
                network(NetworkKind::Nodes, "10.250.0.0/16"),
                network(NetworkKind::Nodes, "10.248.0.0/16"),
            ]
            .into(),
            expected_vpn,
            shoot_uid: None,
            is_leaving: false,
            switch: None,
        }
    }

    #[test]
    fn how_it_is_helped() {
        use ExpectedVpn::{Absent, HighlyAvailable, Single};
        let vpn = ["vpn-client-0", "vpn-client-1", "vpn-path-controller"];
        let with = |proxy: Option<Value>| {
            let mut containers = vec![json!({"name": "kube-apiserver", "args": ["--egress-selector-config-file=/x"]})];
            containers.extend(proxy);
            containers.extend(vpn.map(|name| json!({ "name": name })));
            Some(json!({"containers": containers, "initContainers": [{"name": "vpn-client-init"}]}))
        };
        let proxy =
            |volume| Some(json!({"name": "envoy-proxy", "volumeMounts": [{"name": volume, "mountPath": "/etc/x"}]}));
        let single = || Some(json!({"containers": [{"name": "kube-apiserver"}]}));
        for (name, seed_pods, expected, pod, want) in [
            ("ours", "10.0.0.0/8", HighlyAvailable, with(proxy("network-guard-config")), Help::Ours),
            ("gardenlet's", "10.0.0.0/8", HighlyAvailable, with(proxy("envoy-config")), Help::Gardenlet),
            ("foreign", "10.0.0.0/8", HighlyAvailable, with(proxy("other")), Help::Foreign),
            ("missing", "10.0.0.0/8", HighlyAvailable, with(None), Help::Missing),
            ("on its way to one server", "10.0.0.0/8", Single, with(None), Help::Missing),
            ("on its way from one server", "10.0.0.0/8", HighlyAvailable, single(), Help::SingleVpn),
            ("one server", "10.0.0.0/8", Single, single(), Help::SingleVpn),
            ("no workers", "10.0.0.0/8", Absent, single(), Help::NoVpn),
            ("one server, unseen", "10.0.0.0/8", Single, None, Help::SingleVpn),
            ("unseen", "10.0.0.0/8", HighlyAvailable, None, Help::Unknown),
            ("leftover", "10.64.0.0/11", HighlyAvailable, with(proxy("network-guard-config")), Help::Leftover),
            ("IPv6 only", "fd00::/48", HighlyAvailable, with(None), Help::Ipv6),
            ("apart", "10.64.0.0/11", HighlyAvailable, with(None), Help::Apart),
            ("apart, gardenlet's", "10.64.0.0/11", HighlyAvailable, with(proxy("envoy-config")), Help::Gardenlet),
        ] {
            let text = pod.map(|pod| json!({"metadata": {}, "spec": {"template": {"spec": pod}}}).to_string());
            let deployment = text.as_deref().map(|text| Deployment::read(text).unwrap());
            let survey = survey(&facts(seed_pods, expected), deployment.as_ref());
            assert_eq!(survey.help, want, "{name}");
            assert_eq!(survey.is_quiet(), name.starts_with("apart"), "{name}");
        }
    }

    /// Whether one of the Shoot's networks overlaps is decided without a search, however many there are.
    #[test]
    fn overlaps_are_those_of_the_networks() {
        for seed_pods in ["10.0.0.0/8", "10.248.0.0/16", "fd00::/48", "10.64.0.0/11"] {
            let survey = survey(&facts(seed_pods, ExpectedVpn::HighlyAvailable), None);
            let networks = survey.networks.as_ref().unwrap().iter().map(|(_, cidr, _)| *cidr);
            let found: Vec<Cidr> = networks.filter(|cidr| survey.overlapped_by(*cidr).is_some()).collect();
            assert_eq!(found, survey.overlaps.iter().map(|pair| pair.shoot.cidr).collect::<Vec<_>>(), "{seed_pods}");
        }
    }

    #[test]
    fn where_networks_appear() {
        let survey = survey(&facts("10.0.0.0/8", ExpectedVpn::HighlyAvailable), None);
        let shown: Vec<String> = survey
            .networks
            .unwrap()
            .iter()
            .map(|(kind, cidr, mapped)| format!("{} {cidr} {mapped:?}", kind.name()))
            .collect();
        assert_eq!(
            shown,
            [
                "pods 100.96.0.0/11 Some(244.0.0.0/11)",
                "nodes 10.250.0.0/16 Some(242.1.0.0/16)",
                "nodes fd00::/64 None",
                "nodes 10.248.0.0/16 Some(242.2.0.0/16)",
            ]
        );
        assert_eq!(survey.overlaps.len(), 2);
    }
}
