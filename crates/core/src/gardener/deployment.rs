//! The view of a Shoot's `kube-apiserver` Deployment (`apps/v1`).

mod plain;
mod raw;
mod reading;
mod rollout;

use serde::Deserialize;

use crate::json::Text;
pub use raw::RawPieces;
pub use rollout::Rollout;

/// A Deployment, borrowed from the review that carries it.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// `metadata`.
    pub metadata: Metadata<'a>,
    /// `spec`.
    pub spec: Spec<'a>,
}

/// `metadata` of the Deployment.
#[derive(Debug, Default)]
pub struct Metadata<'a> {
    /// `metadata.name`; empty while an API server still has to generate it.
    pub name: Text<'a>,
    /// `metadata.labels`, those that distinguish Shoot API servers from other Deployments.
    pub labels: Option<Labels<'a>>,
    /// `metadata.annotations`, network-guard's.
    pub annotations: Option<Annotations<'a>>,
    /// Whether the object is being deleted: `metadata.deletionTimestamp` is there.
    pub is_being_deleted: bool,
}

/// The labels by which a Shoot's kube-apiserver is known.
#[derive(Debug, Deserialize)]
pub struct Labels<'a> {
    /// `kubernetes` on all control-plane Deployments.
    #[serde(borrow)]
    pub app: Option<Text<'a>>,
    /// `apiserver` on the kube-apiserver.
    #[serde(borrow)]
    pub role: Option<Text<'a>>,
}

/// network-guard's annotation on the Deployment. Others are skipped.
#[derive(Debug, Deserialize)]
pub struct Annotations<'a> {
    /// The overlapping pairs.
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/overlaps")]
    pub overlaps: Option<Text<'a>>,
}

/// `spec` of the Deployment.
#[derive(Debug)]
pub struct Spec<'a> {
    /// `spec.replicas`; 0 while the Shoot is hibernated, absent means 1.
    pub replicas: Option<i32>,
    /// `spec.template`.
    pub template: Template<'a>,
}

/// `spec.template`.
#[derive(Debug)]
pub struct Template<'a> {
    /// The JSON text of `spec.template`.
    pub text: &'a str,
    /// `spec.template.metadata`.
    pub metadata: Option<TemplateMetadata<'a>>,
    /// `spec.template.spec`.
    pub spec: PodSpec<'a>,
}

/// `spec.template.metadata`.
#[derive(Debug, Deserialize)]
pub struct TemplateMetadata<'a> {
    /// `spec.template.metadata.annotations`, network-guard's.
    #[serde(borrow)]
    pub annotations: Option<TemplateAnnotations<'a>>,
}

/// network-guard's annotations on the Pod template. Others are skipped.
#[derive(Debug, Deserialize)]
pub struct TemplateAnnotations<'a> {
    /// Envoy's bootstrap configuration.
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/envoy-config")]
    pub envoy_config: Option<Text<'a>>,
    /// The API server's egress selector.
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/egress-selector-config")]
    pub egress_selector_config: Option<Text<'a>>,
}

/// `spec.template.spec`.
#[derive(Debug)]
pub struct PodSpec<'a> {
    /// `containers`.
    pub containers: Vec<Container<'a>>,
    /// `initContainers`.
    pub init_containers: Option<Vec<Container<'a>>>,
    /// `volumes`.
    pub volumes: Option<Vec<Volume<'a>>>,
    /// The text of `hostAliases`: see `PodSpec::host_aliases`.
    pub host_aliases: Option<&'a str>,
}

impl<'a> PodSpec<'a> {
    /// The host aliases of the Pod, read only on demand. The API server refuses anything but a list of them, so that is
    /// read as none.
    pub(crate) fn host_aliases(&self) -> Vec<HostAlias<'a>> {
        let aliases = self.host_aliases.and_then(|text| serde_json::from_str::<Option<_>>(text).ok());
        aliases.flatten().unwrap_or_default()
    }
}

/// The host names that a Pod has for an address.
#[derive(Debug, Deserialize)]
pub struct HostAlias<'a> {
    /// The address.
    #[serde(borrow, default)]
    pub ip: Text<'a>,
    /// Its names.
    #[serde(borrow)]
    pub hostnames: Option<Vec<Text<'a>>>,
}

/// A container of the Pod.
#[derive(Debug, Default)]
pub struct Container<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// The program; some writers put its arguments here too.
    pub command: Option<Vec<Text<'a>>>,
    /// The arguments.
    pub args: Option<Vec<Text<'a>>>,
    /// The text of the environment: see [`Container::variables`].
    pub env: Option<&'a str>,
    /// The mounted volumes.
    pub volume_mounts: Option<Vec<VolumeMount<'a>>>,
}

/// A mount of a volume into a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount<'a> {
    /// The volume's name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Where it appears.
    #[serde(borrow)]
    pub mount_path: Text<'a>,
    /// Absent means writable.
    #[serde(default)]
    pub read_only: bool,
}

/// A volume: its name, and which of the two sources that the sidecar uses it has.
#[derive(Debug, Default)]
pub struct Volume<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Files from fields of the Pod: `downwardAPI`.
    pub is_downward_api: bool,
    /// An empty directory: `emptyDir`.
    pub is_empty_dir: bool,
}

#[cfg(test)]
mod tests;
