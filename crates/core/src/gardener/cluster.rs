//! The `Cluster` resource (`extensions.gardener.cloud/v1alpha1`): gardenlet's copy of Shoot and Seed, one for each
//! Shoot, cluster-scoped and named like the Shoot's control-plane namespace.

use serde::Deserialize;

use super::facts::passed;
use super::field_error::{FieldError, instead, typed};
use super::seed::SeedSpec;
use super::{Shoot, ShootUid, SwitchFacts};
use crate::json::{FieldPath, Members, excerpt};
use crate::net::{Cidr, NetworkKind, ParseCidrError};

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
struct Spec<'a> {
    shoot: Option<&'a str>,
    seed: Option<Seed>,
}

#[derive(Deserialize)]
struct Seed {
    spec: Option<SeedSpec>,
}

impl<'a> Spec<'a> {
    /// Most of a Cluster is the profile of its cloud, which is skipped.
    fn read(text: &'a str) -> Result<Self, FieldError> {
        let (mut shoot, mut seed, mut members) = (None, None, Members::of(text));
        members.enter().map_err(|error| FieldError::new("", instead("a mapping", members.rest(), error)))?;
        while let Some(key) = members.key()? {
            let value = Some(members.skip()?).filter(|text| *text != "null");
            match &*key {
                "shoot" => shoot = value,
                "seed" => seed = value,
                _ => {}
            }
        }
        members.end()?;
        // Of those that are repeated the last counts, so none is read before all were seen.
        let seed = seed.map(typed).transpose().map_err(|error| error.within("seed"))?;
        Ok(Self { shoot, seed })
    }
}

/// Where a Cluster has the networks of its Shoot.
const SPEC: &str = "spec.shoot.spec.networking";
const STATUS: &str = "spec.shoot.status.networking";

impl ClusterFacts {
    /// Reads the JSON text of a Cluster's `spec`; all fields that cannot be used are reported at once.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let spec = Spec::read(text).map_err(|error| vec![error.within("spec")])?;
        let Some(shoot) = spec.shoot else {
            return Err(vec![FieldError::missing("spec.shoot")].into());
        };
        let shoot = Shoot::read_of_cluster(shoot).map_err(|error| vec![error.within("spec.shoot")])?;

        let mut errors = Vec::new();
        let seed_pods = spec.seed.and_then(|seed| {
            const PATH: &str = "spec.seed.spec.networks.pods";
            let Some(text) = seed.spec.as_ref().and_then(SeedSpec::pods) else {
                errors.push(FieldError::missing(PATH));
                return None;
            };
            text.parse().map_err(|problem| errors.push(unreadable(PATH.into(), text, &problem))).ok()
        });
        let expected_vpn = expected_vpn(&shoot);
        let shoot_networks = networks(&shoot, &mut errors);
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
            return Err(Unusable { problems: errors, shoot_uid: shoot.uid });
        }
        let is_elsewhere =
            matches!((&shoot.seed, &shoot.status_seed), (Some(wanted), Some(present)) if wanted != present);
        Ok(Self {
            seed_pods,
            shoot_networks,
            expected_vpn,
            switch: SwitchFacts::of(&shoot).map(Box::new),
            shoot_uid: shoot.uid,
            is_leaving: shoot.is_being_deleted || is_elsewhere,
        })
    }
}

fn expected_vpn(shoot: &Shoot<'_>) -> ExpectedVpn {
    match shoot.ha_vpn.unwrap_or_else(|| shoot.is_highly_available()) {
        _ if !shoot.has_workers => ExpectedVpn::Absent,
        true => ExpectedVpn::HighlyAvailable,
        false => ExpectedVpn::Single,
    }
}

fn networks(shoot: &Shoot<'_>, errors: &mut Vec<FieldError>) -> Box<[ShootNetwork]> {
    let mut networks = Vec::new();
    for kind in NetworkKind::ALL {
        for (place, cidr) in passed(&shoot.networking, &shoot.status_networking, kind) {
            match cidr {
                Ok(cidr) => networks.push(ShootNetwork { kind, cidr }),
                Err((text, problem)) => {
                    let path = match place {
                        None => FieldPath::from(SPEC).field(kind.name()),
                        Some(at) => FieldPath::from(STATUS).field(kind.name()).index(at),
                    };
                    errors.push(unreadable(path, text, &problem));
                }
            }
        }
    }
    networks.into_boxed_slice()
}

fn unreadable(path: FieldPath, text: &str, problem: &ParseCidrError) -> FieldError {
    FieldError { path, value: excerpt(&format!("{text:?}")), problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
