//! The `Cluster` resource (`extensions.gardener.cloud/v1alpha1`): gardenlet's copy of Shoot and Seed, one for each
//! Shoot, cluster-scoped and named like the Shoot's control-plane namespace.

use std::fmt;

use serde::Deserialize;

use super::{ShootUid, SwitchFacts};
use crate::net::{Cidr, NetworkKind};

/// What a decision needs to know of a `Cluster`. Parsed once, when the object arrives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterFacts {
    /// `spec.seed.spec.networks.pods`; `None` for a self-hosted Shoot, whose Cluster has no Seed.
    pub seed_pods: Option<Cidr>,
    /// The Shoot's networks of all kinds and families, from spec and status: pods, services, nodes, each with the one in
    /// `spec` first. As gardenlet passes them to both ends of the VPN, so a network may be there several times: vpn2 maps
    /// each.
    pub shoot_networks: Box<[ShootNetwork]>,
    /// The VPN that the Shoot's specification asks for.
    pub expected_vpn: ExpectedVpn,
    /// What a switch of Calico's overlay depends on; `None` for a Shoot without workers.
    pub switch: Option<Box<SwitchFacts>>,
    /// `spec.shoot.metadata.uid`, by which the Shoot's own API server shows that it is this Shoot's.
    pub shoot_uid: Option<ShootUid>,
    /// Whether the Shoot is being deleted, or on its way to another Seed.
    pub is_leaving: bool,
}

/// Why a `Cluster` cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unusable {
    /// All fields that cannot be used.
    pub problems: Vec<FieldError>,
    /// Whose it is, if that much could be read: `spec.shoot.metadata.uid`.
    pub shoot_uid: Option<ShootUid>,
}

impl From<Vec<FieldError>> for Unusable {
    fn from(problems: Vec<FieldError>) -> Self {
        Self { problems, shoot_uid: None }
    }
}

impl std::ops::Deref for Unusable {
    type Target = [FieldError];

    fn deref(&self) -> &[FieldError] {
        &self.problems
    }
}

/// One network of a Shoot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ShootNetwork {
    /// Pods, services or nodes.
    pub kind: NetworkKind,
    /// The network.
    pub cidr: Cidr,
}

/// The VPN between Seed and Shoot that a Shoot's specification asks for. The running Deployment may lag behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExpectedVpn {
    /// No workers, so no VPN at all.
    Absent,
    /// One tunnel through `vpn-seed-server`, which always goes through Envoy.
    Single,
    /// Several tunnels that end in the kube-apiserver Pod.
    HighlyAvailable,
}

/// A field that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldError {
    /// The path in the object, such as `spec.shoot.status.networking.nodes[1]`.
    pub path: String,
    /// The value as JSON, or empty when the field is missing.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.problem)
        } else if self.value.is_empty() {
            write!(f, "{}: {}", self.path, self.problem)
        } else {
            write!(f, "{}: {}: {}", self.path, self.value, self.problem)
        }
    }
}

/// The `spec` of a Cluster, as far as we read it.
#[derive(Deserialize)]
pub struct ClusterSpec {
    shoot: Option<Shoot>,
    seed: Option<Seed>,
}

#[derive(Deserialize)]
struct Seed {
    spec: Option<SeedSpec>,
}

#[derive(Deserialize)]
struct SeedSpec {
    networks: Option<SeedNetworks>,
}

#[derive(Deserialize)]
struct SeedNetworks {
    pods: Option<String>,
}

#[derive(Deserialize)]
struct Shoot {
    metadata: Option<ShootMetadata>,
    spec: Option<ShootSpec>,
    status: Option<ShootStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShootMetadata {
    annotations: Option<ShootAnnotations>,
    uid: Option<String>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ShootAnnotations {
    /// Overrides whether the VPN is highly available.
    #[serde(rename = "alpha.control-plane.shoot.gardener.cloud/high-availability-vpn")]
    ha_vpn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShootSpec {
    seed_name: Option<String>,
    networking: Option<SpecNetworking>,
    provider: Option<Provider>,
    control_plane: Option<ControlPlane>,
}

#[derive(Deserialize)]
struct SpecNetworking {
    pods: Option<String>,
    services: Option<String>,
    nodes: Option<String>,
}

#[derive(Deserialize)]
struct Provider {
    workers: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ControlPlane {
    high_availability: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShootStatus {
    seed_name: Option<String>,
    networking: Option<StatusNetworking>,
}

#[derive(Deserialize)]
struct StatusNetworking {
    pods: Option<Vec<String>>,
    services: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
}

impl ClusterFacts {
    /// Reads the JSON text of a Cluster's `spec`; all fields that cannot be used are reported at once.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let spec: ClusterSpec = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
            .map_err(|error| {
                let path = match error.path().to_string().as_str() {
                    "." => "spec".to_owned(),
                    path => format!("spec.{path}"),
                };
                let problem = super::excerpt(&error.into_inner().to_string());
                Unusable::from(vec![FieldError { path, value: String::new(), problem }])
            })?;
        Ok(Self { switch: SwitchFacts::parse(text).map(Box::new), ..Self::from_spec(spec)? })
    }

    /// Reads a `spec` that came in another format, all but what a switch of the overlay depends on.
    pub fn from_spec(spec: ClusterSpec) -> Result<Self, Unusable> {
        let Some(shoot) = spec.shoot else {
            return Err(vec![FieldError::missing("spec.shoot")].into());
        };

        let mut errors = Vec::new();
        let seed_pods = spec.seed.and_then(|seed| {
            const PATH: &str = "spec.seed.spec.networks.pods";
            let pods = seed.spec.and_then(|spec| spec.networks).and_then(|networks| networks.pods);
            match pods {
                Some(text) => read(&text, PATH.to_owned(), &mut errors),
                None => {
                    errors.push(FieldError::missing(PATH));
                    None
                }
            }
        });
        let expected_vpn = shoot.expected_vpn();
        let is_leaving = shoot.is_leaving();
        let shoot_uid = shoot.metadata.as_ref().and_then(|metadata| metadata.uid.as_deref()).and_then(ShootUid::parse);
        let shoot_networks = shoot.networks(&mut errors);
        if expected_vpn != ExpectedVpn::Absent && errors.is_empty() {
            // Both are set before there is a Cluster. Nodes come with the infrastructure, and may be missing until then.
            for kind in [NetworkKind::Pods, NetworkKind::Services] {
                if !shoot_networks.iter().any(|network| network.kind == kind) {
                    errors.push(FieldError::missing(&format!("spec.shoot.spec.networking.{}", kind.name())));
                }
            }
        }

        if !errors.is_empty() {
            return Err(Unusable { problems: errors, shoot_uid });
        }
        Ok(Self { seed_pods, shoot_networks, expected_vpn, switch: None, shoot_uid, is_leaving })
    }
}

impl Shoot {
    fn expected_vpn(&self) -> ExpectedVpn {
        let spec = self.spec.as_ref();
        let has_workers = spec
            .and_then(|spec| spec.provider.as_ref())
            .and_then(|provider| provider.workers.as_ref())
            .is_some_and(|workers| !workers.is_empty());
        if !has_workers {
            return ExpectedVpn::Absent;
        }
        let requested = self.metadata.as_ref().and_then(|m| m.annotations.as_ref()).and_then(|a| a.ha_vpn.as_deref());
        let highly_available = match requested.and_then(go_bool) {
            Some(requested) => requested,
            None => spec
                .and_then(|spec| spec.control_plane.as_ref())
                .is_some_and(|control_plane| control_plane.high_availability.is_some()),
        };
        if highly_available { ExpectedVpn::HighlyAvailable } else { ExpectedVpn::Single }
    }

    fn is_leaving(&self) -> bool {
        let is_being_deleted = self.metadata.as_ref().is_some_and(|metadata| metadata.deletion_timestamp.is_some());
        let wanted = self.spec.as_ref().and_then(|spec| spec.seed_name.as_deref());
        let present = self.status.as_ref().and_then(|status| status.seed_name.as_deref());
        is_being_deleted || matches!((wanted, present), (Some(wanted), Some(present)) if wanted != present)
    }

    fn networks(self, errors: &mut Vec<FieldError>) -> Box<[ShootNetwork]> {
        let (spec_pods, spec_services, spec_nodes) = self
            .spec
            .and_then(|spec| spec.networking)
            .map(|networking| (networking.pods, networking.services, networking.nodes))
            .unwrap_or_default();
        let (status_pods, status_services, status_nodes) = self
            .status
            .and_then(|status| status.networking)
            .map(|networking| (networking.pods, networking.services, networking.nodes))
            .unwrap_or_default();

        let mut networks: Vec<ShootNetwork> = Vec::new();
        for (kind, in_spec, in_status) in [
            (NetworkKind::Pods, spec_pods, status_pods),
            (NetworkKind::Services, spec_services, status_services),
            (NetworkKind::Nodes, spec_nodes, status_nodes),
        ] {
            let from_spec =
                in_spec.and_then(|text| read(&text, format!("spec.shoot.spec.networking.{}", kind.name()), errors));
            let from_status = in_status
                .unwrap_or_default()
                .into_iter()
                .enumerate()
                .filter(|(_, text)| !repeats_spec(from_spec, text))
                .filter_map(|(i, text)| {
                    read(&text, format!("spec.shoot.status.networking.{}[{i}]", kind.name()), errors)
                });
            networks.extend(from_spec.into_iter().chain(from_status).map(|cidr| ShootNetwork { kind, cidr }));
        }
        networks.into_boxed_slice()
    }
}

impl FieldError {
    /// The same error, seen from the object around it.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let path = if self.path.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.path) };
        Self { path, ..self }
    }

    pub(super) fn missing(path: &str) -> Self {
        Self { path: path.to_owned(), value: String::new(), problem: "is missing".to_owned() }
    }
}

/// Whether gardenlet leaves out a network of `status` because `spec` has it already (gardener `copyUniqueCIDRs`): only
/// where it is written exactly as gardenlet itself writes the one in `spec`. All other repetitions count.
pub fn repeats_spec(in_spec: Option<Cidr>, in_status: &str) -> bool {
    in_spec.is_some_and(|cidr| cidr.to_string() == in_status)
}

fn read(text: &str, path: String, errors: &mut Vec<FieldError>) -> Option<Cidr> {
    text.parse()
        .map_err(|problem: crate::net::ParseCidrError| {
            errors.push(FieldError { path, value: super::excerpt(&format!("{text:?}")), problem: problem.to_string() });
        })
        .ok()
}

/// A boolean as Go's `strconv.ParseBool` reads it, which is how Gardener reads the annotation.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(spec: &serde_json::Value) -> Result<ClusterFacts, Vec<String>> {
        ClusterFacts::parse(&spec.to_string()).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    /// What is in `spec`, what is in `status`, and what gardenlet makes of both.
    #[test]
    fn joins_spec_and_status_as_gardenlet_does() {
        let rows: [(&str, Option<&str>, &[&str], &[&str]); 9] = [
            ("spec alone", Some("10.250.0.0/16"), &[], &["10.250.0.0/16"]),
            ("the same", Some("10.250.0.0/16"), &["10.250.0.0/16"], &["10.250.0.0/16"]),
            (
                "the same in another place",
                Some("10.250.0.0/16"),
                &["10.180.0.0/16", "10.250.0.0/16", "fd00:1::/64", "10.250.0.0/16"],
                &["10.250.0.0/16", "10.180.0.0/16", "fd00:1::/64"],
            ),
            (
                "a repetition in status",
                Some("10.250.0.0/16"),
                &["10.250.0.0/16", "10.249.0.0/16", "10.249.0.0/16", "10.248.0.0/16"],
                &["10.250.0.0/16", "10.249.0.0/16", "10.249.0.0/16", "10.248.0.0/16"],
            ),
            ("a repetition in status alone", None, &["10.1.0.0/16", "10.1.0.0/16"], &["10.1.0.0/16", "10.1.0.0/16"]),
            ("host bits in status", Some("10.250.0.0/16"), &["10.250.0.1/16"], &["10.250.0.0/16", "10.250.0.0/16"]),
            ("host bits in spec", Some("10.250.0.1/16"), &["10.250.0.0/16"], &["10.250.0.0/16"]),
            // gardenlet compares with the network, not with what is written in `spec`.
            ("host bits in both", Some("10.250.0.1/16"), &["10.250.0.1/16"], &["10.250.0.0/16", "10.250.0.0/16"]),
            ("IPv6 written out", Some("fd00:1::/64"), &["fd00:1:0::/64"], &["fd00:1::/64", "fd00:1::/64"]),
        ];
        for kind in NetworkKind::ALL {
            for (name, in_spec, in_status, want) in rows {
                let mut spec = json!({"shoot": {"spec": {"networking": {}}, "status": {"networking": {}}}});
                spec["shoot"]["spec"]["networking"][kind.name()] = json!(in_spec);
                spec["shoot"]["status"]["networking"][kind.name()] = json!(in_status);
                let facts = parse(&spec).unwrap();
                let got: Vec<String> = facts.shoot_networks.iter().map(|network| network.cidr.to_string()).collect();
                assert_eq!(got, want, "{name}, {}", kind.name());
                assert!(facts.shoot_networks.iter().all(|network| network.kind == kind), "{name}");
            }
        }
    }

    #[test]
    fn reads_all_kinds() {
        let facts = parse(&json!({
            "seed": {"spec": {"networks": {"pods": "10.64.0.0/11", "services": "10.96.0.0/11"}}},
            "shoot": {
                "spec": {
                    "networking": {"pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16"},
                    "provider": {"workers": [{}]},
                },
                "status": {"networking": {"pods": ["fd00:1::/64"], "nodes": ["10.250.0.0/16", "10.180.0.0/16"]}},
            },
        }))
        .unwrap();
        let networks: Vec<String> =
            facts.shoot_networks.iter().map(|n| format!("{} {}", n.kind.name(), n.cidr)).collect();
        assert_eq!(
            networks,
            [
                "pods 100.96.0.0/11",
                "pods fd00:1::/64",
                "services 100.64.0.0/13",
                "nodes 10.250.0.0/16",
                "nodes 10.180.0.0/16",
            ]
        );
        assert_eq!(facts.seed_pods, Some("10.64.0.0/11".parse().unwrap()));
        assert_eq!(facts.expected_vpn, ExpectedVpn::Single);
    }

    #[test]
    fn reports_every_bad_field_with_its_path() {
        for (name, spec, want) in [
            ("no shoot", json!({"seed": null}), vec!["spec.shoot: is missing"]),
            (
                "bad values",
                json!({
                    "seed": {"spec": {"networks": {"pods": "10.0.0.0"}}},
                    "shoot": {
                        "spec": {"networking": {"pods": "100.96.0.0/11", "services": "x"}},
                        "status": {"networking": {"nodes": ["10.0.0.0/16", "10.250.0.0/33"]}},
                    },
                }),
                vec![
                    "spec.seed.spec.networks.pods: \"10.0.0.0\": has no prefix length, write it as `10.0.0.0/32` if the single address is meant",
                    "spec.shoot.spec.networking.services: \"x\": is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`",
                    "spec.shoot.status.networking.nodes[1]: \"10.250.0.0/33\": is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`",
                ],
            ),
            (
                "a Seed without a pod network",
                json!({"seed": {"spec": {"networks": {}}}, "shoot": {}}),
                vec!["spec.seed.spec.networks.pods: is missing"],
            ),
            (
                "workers without networks",
                json!({"shoot": {"spec": {"provider": {"workers": [{}]}, "networking": {"nodes": "10.0.0.0/16"}}}}),
                vec!["spec.shoot.spec.networking.pods: is missing", "spec.shoot.spec.networking.services: is missing"],
            ),
            (
                "wrong type",
                json!({"shoot": {"status": {"networking": {"nodes": ["10.0.0.0/16", 5]}}}}),
                vec![
                    "spec.shoot.status.networking.nodes[1]: invalid type: integer `5`, expected a string at line 1 column 58",
                ],
            ),
        ] {
            assert_eq!(parse(&spec).unwrap_err(), want, "{name}");
        }
    }

    #[test]
    fn knows_who_the_shoot_is_and_whether_it_leaves() {
        let uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55";
        for (name, metadata, seeds, is_leaving) in [
            ("stays", json!({"uid": uid}), ["a", "a"], false),
            ("is being deleted", json!({"uid": uid, "deletionTimestamp": "2026-01-01T00:00:00Z"}), ["a", "a"], true),
            ("moves", json!({"uid": uid}), ["b", "a"], true),
        ] {
            let facts = parse(&json!({"shoot": {
                "metadata": metadata, "spec": {"seedName": seeds[0]}, "status": {"seedName": seeds[1]},
            }}));
            let facts = facts.unwrap();
            assert_eq!(facts.is_leaving, is_leaving, "{name}");
            assert!(facts.shoot_uid.unwrap().is(&ShootUid::parse(uid).unwrap()), "{name}");
        }
        assert!(!parse(&json!({"shoot": {"spec": {"seedName": "a"}}})).unwrap().is_leaving, "nobody knows yet");
    }

    #[test]
    fn knows_which_vpn_the_shoot_asks_for() {
        let workers = json!([{"name": "w"}]);
        for (name, annotation, workers, ha, want) in [
            ("single", None, workers.clone(), None, ExpectedVpn::Single),
            ("node", None, workers.clone(), Some("node"), ExpectedVpn::HighlyAvailable),
            ("switched off", Some("false"), workers.clone(), Some("zone"), ExpectedVpn::Single),
            ("forced", Some("true"), workers.clone(), None, ExpectedVpn::HighlyAvailable),
            ("nonsense is ignored", Some("maybe"), workers, Some("zone"), ExpectedVpn::HighlyAvailable),
            ("workerless", Some("true"), json!([]), Some("zone"), ExpectedVpn::Absent),
        ] {
            let networking = json!({"pods": "100.96.0.0/11", "services": "100.64.0.0/13"});
            let mut spec = json!({"shoot": {"metadata": {}, "spec": {"networking": networking, "provider": {"workers": workers}}}});
            if let Some(value) = annotation {
                spec["shoot"]["metadata"]["annotations"] =
                    json!({"alpha.control-plane.shoot.gardener.cloud/high-availability-vpn": value});
            }
            if let Some(tolerance) = ha {
                spec["shoot"]["spec"]["controlPlane"] =
                    json!({"highAvailability": {"failureTolerance": {"type": tolerance}}});
            }
            assert_eq!(parse(&spec).unwrap().expected_vpn, want, "{name}");
        }
    }
}
