//! The `Cluster` resource (`extensions.gardener.cloud/v1alpha1`): gardenlet's copy of Shoot and Seed, one for each
//! Shoot, cluster-scoped and named like the Shoot's control-plane namespace.

use serde::Deserialize;

use super::field_error::{FieldError, typed};
use super::{ShootUid, SwitchFacts};
use crate::json::{FieldPath, excerpt};
use crate::net::{Cidr, NetworkKind};

/// What a decision needs to know of a `Cluster`. Parsed once, when the object arrives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterFacts {
    /// `spec.seed.spec.networks.pods`; `None` for a self-hosted Shoot, whose Cluster has no Seed.
    pub seed_pods: Option<Cidr>,
    /// The Shoot's networks of all kinds and families, from spec and status: pods, services, nodes, each with the one
    /// in `spec` first. As gardenlet passes them to both ends of the VPN, so a network may be listed several times:
    /// vpn2 maps each.
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
    /// The UID of its Shoot, if that could be read: `spec.shoot.metadata.uid`.
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

/// Where a Cluster has the networks of its Shoot.
const SPEC: &str = "spec.shoot.spec.networking";
const STATUS: &str = "spec.shoot.status.networking";

impl ClusterFacts {
    /// Reads the JSON text of a Cluster's `spec`; all fields that cannot be used are reported at once.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let spec: ClusterSpec = typed(text).map_err(|error| Unusable::from(vec![error.within("spec")]))?;
        Ok(Self { switch: SwitchFacts::parse(text).map(Box::new), ..Self::from_spec(spec)? })
    }

    /// Reads a `spec` that came in another format, all but what a switch of the overlay depends on.
    pub(crate) fn from_spec(spec: ClusterSpec) -> Result<Self, Unusable> {
        let Some(shoot) = spec.shoot else {
            return Err(vec![FieldError::missing("spec.shoot")].into());
        };

        let mut errors = Vec::new();
        let seed_pods = spec.seed.and_then(|seed| {
            const PATH: &str = "spec.seed.spec.networks.pods";
            let pods = seed.spec.and_then(|spec| spec.networks).and_then(|networks| networks.pods);
            match pods {
                Some(text) => read(&text, PATH.into(), &mut errors),
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
            // Both are set before there is a Cluster. Node networks come with the infrastructure, and may be missing
            // until then.
            for kind in [NetworkKind::Pods, NetworkKind::Services] {
                if !shoot_networks.iter().any(|network| network.kind == kind) {
                    errors.push(FieldError::missing(FieldPath::from(SPEC).field(kind.name())));
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
            let from_spec = in_spec.and_then(|text| read(&text, FieldPath::from(SPEC).field(kind.name()), errors));
            let from_status = in_status
                .unwrap_or_default()
                .into_iter()
                .enumerate()
                .filter(|(_, text)| !repeats_spec(from_spec, text))
                .filter_map(|(i, text)| read(&text, FieldPath::from(STATUS).field(kind.name()).index(i), errors));
            networks.extend(from_spec.into_iter().chain(from_status).map(|cidr| ShootNetwork { kind, cidr }));
        }
        networks.into_boxed_slice()
    }
}

/// Whether gardenlet leaves out a network of `status` because `spec` has it already (gardener `copyUniqueCIDRs`): only
/// where it is written exactly as gardenlet itself writes the one in `spec`. All other repetitions count.
pub fn repeats_spec(in_spec: Option<Cidr>, in_status: &str) -> bool {
    in_spec.is_some_and(|cidr| cidr.to_string() == in_status)
}

fn read(text: &str, path: FieldPath, errors: &mut Vec<FieldError>) -> Option<Cidr> {
    text.parse()
        .map_err(|problem: crate::net::ParseCidrError| {
            errors.push(FieldError { path, value: excerpt(&format!("{text:?}")), problem: problem.to_string() });
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
mod tests;
