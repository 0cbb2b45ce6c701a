//! The `Shoot` resource (`core.gardener.cloud/v1beta1`).
//!
//! This is the only view of a Shoot: of one in a review, in the garden, and in a Cluster. It borrows from the text and
//! keeps raw what users configure freely. What is kept of a Shoot is made from it:
//! [`ShootFacts`](super::ShootFacts) in the garden, [`ClusterFacts`](super::ClusterFacts) on a Seed.

mod reading;

use self::reading::{Problem, enter, enter_list, go_bool, name, read, text, texts};
use super::operation::LastOperation;
use super::{FieldError, ShootUid};
use crate::json::{self, AtMost, FirstOf, Members, Text};
use crate::net::{Family, NetworkKind};

/// The extension type of Shoot peering (`spec.extensions[].type`).
pub const PEERING_TYPE: &str = "osc-peering-service";

/// The annotation without which Gardener deletes no Shoot.
pub const CONFIRMATION: &str = "confirmation.gardener.cloud/deletion";

/// The annotation by which the owner of a Shoot takes the responsibility for a switch of Calico's overlay: `force`.
pub const OVERLAY_SWITCH: &str = "network-guard.extensions.gardener.cloud/overlay-switch";

/// The annotation that overrides whether the VPN is highly available.
pub(super) const HA_VPN: &str = "alpha.control-plane.shoot.gardener.cloud/high-availability-vpn";

/// A Shoot.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Shoot<'a> {
    /// `metadata.namespace`.
    pub namespace: Text<'a>,
    /// `metadata.name`; empty where `generateName` has not been resolved yet.
    pub name: Text<'a>,
    /// `metadata.uid`, where it is one.
    pub uid: Option<ShootUid>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub is_being_deleted: bool,
    /// Whether the annotation that Gardener demands before a deletion is `true`.
    pub is_deletion_confirmed: bool,
    /// Whether the annotation [`OVERLAY_SWITCH`] says `force`.
    pub is_switch_forced: bool,
    /// The annotation `alpha.control-plane.shoot.gardener.cloud/high-availability-vpn`, where it is a boolean.
    pub ha_vpn: Option<bool>,
    /// `spec.seedName`.
    pub seed: Option<Text<'a>>,
    /// `status.seedName`: another than in `spec` during a migration.
    pub status_seed: Option<Text<'a>>,
    /// `spec.networking`.
    pub networking: Networking<'a>,
    /// `spec.networking.type`.
    pub network_type: Text<'a>,
    /// The text of `spec.networking.providerConfig`; `None` also for `null`.
    pub network_config: Option<&'a str>,
    /// `spec.provider.type`.
    pub provider_type: Text<'a>,
    /// The text of `spec.provider.infrastructureConfig`; `None` also for `null`.
    pub infrastructure_config: Option<&'a str>,
    /// `spec.kubernetes.version`.
    pub kubernetes_version: Text<'a>,
    /// The text of `spec.kubernetes.kubeAPIServer`; `None` also for `null`.
    pub kube_apiserver: Option<&'a str>,
    /// `status.networking`.
    pub status_networking: StatusNetworking<'a>,
    /// `status.lastOperation`.
    pub last_operation: LastOperation,
    /// The text of `status.constraints`; `None` also for `null`.
    pub constraints: Option<&'a str>,
    /// The text of `spec.controlPlane`.
    pub control_plane: Option<&'a str>,
    /// `spec.maintenance.confineSpecUpdateRollout`, of a Cluster: whether changes wait for the maintenance window.
    pub confines_rollout: bool,
    /// Whether something that a switch of the overlay depends on is of a wrong type.
    pub has_unreadable_state: bool,
    /// `spec.hibernation.enabled`.
    pub shall_sleep: bool,
    /// `status.hibernated`: it has no nodes.
    pub sleeps: bool,
    /// Whether `spec.provider.workers` has an element.
    pub has_workers: bool,
    /// The text of `spec.provider.workers`; `None` also for `null`.
    pub workers: Option<&'a str>,
    /// The extension [`PEERING_TYPE`], with its place in `spec.extensions`. Gardener takes care that there is one at
    /// most.
    pub peering: Option<Extension<'a>>,
}

/// The addresses of `spec.networking`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networking<'a> {
    /// The network of Pods.
    pub pods: Option<Text<'a>>,
    /// The network of Services.
    pub services: Option<Text<'a>>,
    /// The network of nodes.
    pub nodes: Option<Text<'a>>,
    /// `IPv4`, `IPv6` or both.
    pub ip_families: Option<Vec<Text<'a>>>,
}

/// `status.networking`, as far as it is read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatusNetworking<'a> {
    pods: Vec<Text<'a>>,
    services: Vec<Text<'a>>,
    nodes: Vec<Text<'a>>,
}

/// The most networks of one kind that are read of a status in a review. gardenlet lists one, and one more for each time
/// that the infrastructure grew by another.
const MOST_NETWORKS: usize = 128;

/// The most IP families: Kubernetes knows two.
pub(super) const MOST_FAMILIES: usize = 8;

/// An element of `spec.extensions`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension<'a> {
    /// Its place in the list.
    pub index: usize,
    /// `disabled`.
    pub is_disabled: bool,
    /// The text of `providerConfig`; `None` also for `null`.
    pub provider_config: Option<&'a str>,
}

impl<'a> Networking<'a> {
    /// The network of this kind, as it is written.
    pub fn get(&self, kind: NetworkKind) -> Option<&Text<'a>> {
        match kind {
            NetworkKind::Pods => self.pods.as_ref(),
            NetworkKind::Services => self.services.as_ref(),
            NetworkKind::Nodes => self.nodes.as_ref(),
        }
    }

    /// Whether the Shoot has addresses of this family; without `ipFamilies` it has IPv4 only.
    pub(crate) fn has_family(&self, family: Family) -> bool {
        let families = self.ip_families.as_deref().unwrap_or_default();
        match family {
            Family::V4 => families.is_empty() || families.iter().any(|name| &**name == "IPv4"),
            Family::V6 => families.iter().any(|name| &**name == "IPv6"),
        }
    }
}

impl<'a> StatusNetworking<'a> {
    /// The networks of this kind, as they are written.
    pub fn get(&self, kind: NetworkKind) -> &[Text<'a>] {
        match kind {
            NetworkKind::Pods => &self.pods,
            NetworkKind::Services => &self.services,
            NetworkKind::Nodes => &self.nodes,
        }
    }
}

/// Where the text of a Shoot comes from.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Source {
    /// Its writer, who is told what is wrong with it, or the garden.
    Review,
    /// A Cluster, which gardenlet wrote.
    Cluster,
}

impl Source {
    /// How many networks of a list of the status are read. In a Cluster all of them count.
    fn most_networks(self) -> usize {
        if self == Self::Cluster { usize::MAX } else { MOST_NETWORKS }
    }
}

/// Whether this text is a boolean, or nothing.
fn is_flag(text: &str) -> bool {
    matches!(text, "true" | "false" | "null")
}

impl<'a> Shoot<'a> {
    /// The peering extension, if it is present and not disabled.
    pub(crate) fn enabled_peering(&self) -> Option<&Extension<'a>> {
        self.peering.as_ref().filter(|extension| !extension.is_disabled)
    }

    /// Whether `spec.controlPlane.highAvailability` is set.
    pub(super) fn is_highly_available(&self) -> bool {
        let value = self.control_plane.and_then(|text| json::find(text, &["highAvailability"]));
        value.is_some_and(|value| value != "null")
    }

    /// A flag of an object of the specification.
    fn flag(&mut self, object: &str, name: &str) -> bool {
        let value = json::find(object, &[name]).unwrap_or("null");
        self.has_unreadable_state |= !is_flag(value) || !object.starts_with('{') && object != "null";
        value == "true"
    }

    /// Reads the text of a Shoot.
    pub fn read(text: &'a str) -> Result<Self, FieldError> {
        Self::read_as(text, Source::Review)
    }

    /// The same of a Cluster, which gardenlet wrote: without what only reviews look at, so that trouble there makes no Cluster
    /// unusable.
    pub(super) fn read_of_cluster(text: &'a str) -> Result<Self, FieldError> {
        Self::read_as(text, Source::Cluster)
    }

    fn read_as(text: &'a str, source: Source) -> Result<Self, FieldError> {
        let mut shoot = Self::default();
        let mut members = Members::of(text);
        shoot.walk(&mut members, source).map_err(Problem::into_field)?;
        Ok(shoot)
    }

    fn walk(&mut self, members: &mut Members<'a>, source: Source) -> Result<(), Problem> {
        let object = |error| Problem::at("", error);
        enter("", members)?;
        while let Some(key) = members.key().map_err(object)? {
            match &*key {
                "metadata" if !members.is_null() => self.metadata(members, source)?,
                "spec" if !members.is_null() => self.spec(members, source)?,
                "status" if !members.is_null() => self.status(members, source)?,
                _ => drop(members.skip().map_err(object)?),
            }
        }
        members.end().map_err(object)
    }

    fn metadata(&mut self, members: &mut Members<'a>, source: Source) -> Result<(), Problem> {
        let here = |error| Problem::at("metadata", error);
        enter("metadata", members)?;
        while let Some(key) = members.key().map_err(here)? {
            match &*key {
                "name" if source == Source::Review => self.name = name("metadata.name", members)?.unwrap_or_default(),
                "namespace" if source == Source::Review => {
                    self.namespace = name("metadata.namespace", members)?.unwrap_or_default();
                }
                "uid" => {
                    let uid: Option<Text<'_>> = serde_json::from_str(members.skip().map_err(here)?).ok();
                    self.uid = uid.and_then(|uid| ShootUid::parse(&uid));
                }
                "deletionTimestamp" => self.is_being_deleted = members.skip().map_err(here)? != "null",
                "annotations" if !members.is_null() => {
                    let here = |error| Problem::at("metadata.annotations", error);
                    enter("metadata.annotations", members)?;
                    while let Some(key) = members.key().map_err(here)? {
                        let value = members.skip().map_err(here)?;
                        match &*key {
                            CONFIRMATION => self.is_deletion_confirmed = value == "\"true\"",
                            OVERLAY_SWITCH => {
                                self.is_switch_forced = value == "\"force\"";
                                self.has_unreadable_state |= !value.starts_with('"') && value != "null";
                            }
                            HA_VPN => self.ha_vpn = serde_json::from_str(value).ok().and_then(go_bool),
                            _ => {}
                        }
                    }
                }
                _ => drop(members.skip().map_err(here)?),
            }
        }
        Ok(())
    }

    fn spec(&mut self, members: &mut Members<'a>, source: Source) -> Result<(), Problem> {
        let here = |error| Problem::at("spec", error);
        enter("spec", members)?;
        while let Some(key) = members.key().map_err(here)? {
            match &*key {
                "seedName" => self.seed = name("spec.seedName", members)?,
                "networking" if !members.is_null() => self.networking(members, source)?,
                "kubernetes" if source == Source::Review && !members.is_null() => {
                    let here = |error| Problem::at("spec.kubernetes", error);
                    enter("spec.kubernetes", members)?;
                    while let Some(key) = members.key().map_err(here)? {
                        match &*key {
                            "version" => {
                                self.kubernetes_version = read("spec.kubernetes.version", members)?.unwrap_or_default();
                            }
                            "kubeAPIServer" => self.kube_apiserver = text(members).map_err(here)?,
                            _ => drop(members.skip().map_err(here)?),
                        }
                    }
                }
                "provider" if !members.is_null() => {
                    let here = |error| Problem::at("spec.provider", error);
                    enter("spec.provider", members)?;
                    while let Some(key) = members.key().map_err(here)? {
                        if &*key == "type" {
                            self.provider_type = read("spec.provider.type", members)?.unwrap_or_default();
                            continue;
                        }
                        let value = text(members).map_err(here)?;
                        match (&*key, value) {
                            ("infrastructureConfig", config) => self.infrastructure_config = config,
                            ("workers", Some(value)) => {
                                let here = |error| Problem::at("spec.provider.workers", error);
                                let mut workers = Members::of(value);
                                enter_list("spec.provider.workers", &mut workers)?;
                                self.has_workers = workers.element().map_err(here)?;
                                self.workers = Some(value);
                            }
                            _ => {}
                        }
                    }
                }
                "hibernation" => {
                    let hibernation = members.skip().map_err(here)?;
                    self.shall_sleep = self.flag(hibernation, "enabled");
                }
                "maintenance" if source == Source::Cluster => {
                    let maintenance = members.skip().map_err(here)?;
                    self.confines_rollout = self.flag(maintenance, "confineSpecUpdateRollout");
                }
                "controlPlane" => self.control_plane = text(members).map_err(here)?,
                "extensions" if source == Source::Review && !members.is_null() => self.extensions(members)?,
                _ => drop(members.skip().map_err(here)?),
            }
        }
        Ok(())
    }

    fn networking(&mut self, members: &mut Members<'a>, source: Source) -> Result<(), Problem> {
        const PATH: &str = "spec.networking";
        let here = |error| Problem::at(PATH, error);
        enter(PATH, members)?;
        while let Some(key) = members.key().map_err(here)? {
            match &*key {
                "pods" => self.networking.pods = read("spec.networking.pods", members)?,
                "services" => self.networking.services = read("spec.networking.services", members)?,
                "nodes" => self.networking.nodes = read("spec.networking.nodes", members)?,
                "ipFamilies" if source == Source::Cluster => {
                    let families: Option<FirstOf<_, MOST_FAMILIES>> = read("spec.networking.ipFamilies", members)?;
                    self.networking.ip_families = families.map(|families| families.0);
                }
                "ipFamilies" => {
                    let families: Option<AtMost<_, MOST_FAMILIES>> = read("spec.networking.ipFamilies", members)?;
                    self.networking.ip_families = families.map(|families| families.0);
                }
                "type" => self.network_type = read("spec.networking.type", members)?.unwrap_or_default(),
                "providerConfig" => self.network_config = text(members).map_err(here)?,
                _ => drop(members.skip().map_err(here)?),
            }
        }
        Ok(())
    }

    fn extensions(&mut self, members: &mut Members<'a>) -> Result<(), Problem> {
        let here = |error| Problem::at("spec.extensions", error);
        enter_list("spec.extensions", members)?;
        let mut index = 0;
        while members.element().map_err(here)? {
            let mut extension = Extension { index, is_disabled: false, provider_config: None };
            let mut is_peering = false;
            enter("spec.extensions", members).map_err(|problem| problem.of_item(index))?;
            while let Some(key) = members.key().map_err(here)? {
                match &*key {
                    "type" => {
                        let name: Option<Text<'_>> =
                            read("spec.extensions", members).map_err(|problem| problem.of_item(index))?;
                        is_peering = name.as_deref() == Some(PEERING_TYPE);
                    }
                    "disabled" => {
                        let is_disabled = read("spec.extensions", members).map_err(|problem| problem.of_item(index))?;
                        extension.is_disabled = is_disabled.unwrap_or_default();
                    }
                    "providerConfig" => extension.provider_config = text(members).map_err(here)?,
                    _ => drop(members.skip().map_err(here)?),
                }
            }
            if is_peering && self.peering.is_none() {
                self.peering = Some(extension);
            }
            index += 1;
        }
        Ok(())
    }

    fn status_networking(&mut self, members: &mut Members<'a>, most: usize) -> Result<(), Problem> {
        const PATH: &str = "status.networking";
        let here = |error| Problem::at(PATH, error);
        let lists = &mut self.status_networking;
        enter(PATH, members)?;
        while let Some(key) = members.key().map_err(here)? {
            match &*key {
                "pods" => lists.pods = texts("status.networking.pods", members, most)?,
                "services" => lists.services = texts("status.networking.services", members, most)?,
                "nodes" => lists.nodes = texts("status.networking.nodes", members, most)?,
                _ => drop(members.skip().map_err(here)?),
            }
        }
        Ok(())
    }

    fn status(&mut self, members: &mut Members<'a>, source: Source) -> Result<(), Problem> {
        let here = |error| Problem::at("status", error);
        enter("status", members)?;
        while let Some(key) = members.key().map_err(here)? {
            match &*key {
                "seedName" => self.status_seed = name("status.seedName", members)?,
                "networking" if !members.is_null() => self.status_networking(members, source.most_networks())?,
                // gardenlet wrote these, and the writer could not correct them, so a review ignores wrong types.
                "hibernated" => {
                    let value = members.skip().map_err(here)?;
                    self.sleeps = value == "true";
                    self.has_unreadable_state |= !is_flag(value);
                }
                "lastOperation" => {
                    let operation = serde_json::from_str::<Option<_>>(members.skip().map_err(here)?);
                    self.has_unreadable_state |= operation.is_err();
                    self.last_operation = operation.ok().flatten().unwrap_or_default();
                }
                "constraints" => self.constraints = text(members).map_err(here)?,
                _ => drop(members.skip().map_err(here)?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
