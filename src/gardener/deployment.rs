//! The view of a Shoot's `kube-apiserver` Deployment (`apps/v1`).

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::members::{Malformed, Members};
use super::{FieldError, Text, excerpt};

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
    /// `metadata.labels`, those that tell Shoot API servers from other Deployments.
    pub labels: Option<Labels<'a>>,
    /// `metadata.annotations`, ours.
    pub annotations: Option<Annotations<'a>>,
    /// Whether the object is being deleted: `metadata.deletionTimestamp` is there.
    pub is_being_deleted: bool,
}

impl<'a> Deployment<'a> {
    /// Reads a Deployment's JSON text. Managed fields and status, which are most of it, are skipped.
    pub fn read(text: &'a str) -> Result<Self, FieldError> {
        let malformed = |error| malformed(text, error);
        let (mut metadata, mut spec) = (Metadata::default(), None);
        let mut members = Members::of(text);
        members.enter().map_err(malformed)?;
        while let Some(key) = members.key().map_err(malformed)? {
            match &*key {
                "metadata" => metadata.read(&mut members, text)?,
                "spec" => spec = Some(parse("spec", &mut members)?),
                _ => drop(members.skip().map_err(malformed)?),
            }
        }
        members.end().map_err(malformed)?;
        let spec = spec.ok_or_else(|| FieldError::missing("spec"))?;
        Ok(Self { metadata, spec })
    }
}

impl<'a> Metadata<'a> {
    fn read(&mut self, members: &mut Members<'a>, text: &str) -> Result<(), FieldError> {
        let malformed = |error| malformed(text, error);
        members.enter().map_err(malformed)?;
        while let Some(key) = members.key().map_err(malformed)? {
            match &*key {
                "name" => self.name = parse("metadata.name", members)?,
                "labels" => self.labels = parse("metadata.labels", members)?,
                "annotations" => self.annotations = parse("metadata.annotations", members)?,
                "deletionTimestamp" => self.is_being_deleted = members.skip().map_err(malformed)? != "null",
                _ => drop(members.skip().map_err(malformed)?),
            }
        }
        Ok(())
    }
}

/// Reads the value that comes next; the error names the path of what is wrong inside it.
fn parse<'a, T: Deserialize<'a>>(path: &str, members: &mut Members<'a>) -> Result<T, FieldError> {
    let rest = members.rest();
    members.read().or_else(|_| {
        // Read again, slower, only to say where.
        let mut text = serde_json::Deserializer::from_str(rest);
        serde_path_to_error::deserialize(&mut text).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." => path.to_owned(),
                inner => format!("{path}.{inner}"),
            };
            FieldError { path, value: String::new(), problem: excerpt(&error.into_inner().to_string()) }
        })
    })
}

fn malformed(text: &str, error: Malformed) -> FieldError {
    let problem = match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => error.to_string(),
        Ok(_) => error.to_string(),
    };
    FieldError { path: String::new(), value: String::new(), problem }
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

/// Our annotation on the Deployment. Others are skipped.
#[derive(Debug, Deserialize)]
pub struct Annotations<'a> {
    /// The overlapping pairs.
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/overlaps")]
    pub overlaps: Option<Text<'a>>,
}

/// `spec` of the Deployment.
#[derive(Debug, Deserialize)]
pub struct Spec<'a> {
    /// `spec.replicas`; 0 while the Shoot is hibernated, absent means 1.
    pub replicas: Option<i32>,
    /// `spec.template`.
    #[serde(borrow)]
    pub template: Template<'a>,
}

/// `spec.template`.
#[derive(Debug, Deserialize)]
pub struct Template<'a> {
    /// `spec.template.metadata`.
    #[serde(borrow)]
    pub metadata: Option<TemplateMetadata<'a>>,
    /// `spec.template.spec`.
    #[serde(borrow)]
    pub spec: PodSpec<'a>,
}

/// `spec.template.metadata`.
#[derive(Debug, Deserialize)]
pub struct TemplateMetadata<'a> {
    /// `spec.template.metadata.annotations`, ours.
    #[serde(borrow)]
    pub annotations: Option<TemplateAnnotations<'a>>,
}

/// Our annotations on the Pod template. Others are skipped.
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
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec<'a> {
    /// `containers`.
    #[serde(borrow)]
    pub containers: Vec<Container<'a>>,
    /// `initContainers`.
    #[serde(borrow)]
    pub init_containers: Option<Vec<InitContainer<'a>>>,
    /// `volumes`.
    #[serde(borrow)]
    pub volumes: Option<Vec<Volume<'a>>>,
}

/// A container of the Pod.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The program, and for some writers its arguments too.
    #[serde(borrow)]
    pub command: Option<Vec<Text<'a>>>,
    /// The arguments.
    #[serde(borrow)]
    pub args: Option<Vec<Text<'a>>>,
    /// The mounted volumes.
    #[serde(borrow)]
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

/// An init container: its name, and what it mounts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitContainer<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The mounted volumes.
    #[serde(borrow)]
    pub volume_mounts: Option<Vec<VolumeMount<'a>>>,
}

/// A volume: its name and which of the two sources that we use it has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Files from fields of the Pod.
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<IgnoredAny>,
    /// An empty directory.
    pub empty_dir: Option<IgnoredAny>,
}

/// The raw text of containers and volumes, in the order of the view. Read only when something of ours is already
/// there and has to be compared with what it should be.
#[derive(Debug)]
pub struct RawPieces<'a> {
    /// `spec.template.spec.containers`.
    pub containers: Vec<&'a RawValue>,
    /// `spec.template.spec.volumes`.
    pub volumes: Vec<&'a RawValue>,
}

impl<'a> RawPieces<'a> {
    /// Reads a Deployment's JSON text.
    pub fn read(deployment: &'a str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            spec: OuterSpec<'a>,
        }
        #[derive(Deserialize)]
        struct OuterSpec<'a> {
            #[serde(borrow)]
            template: OuterTemplate<'a>,
        }
        #[derive(Deserialize)]
        struct OuterTemplate<'a> {
            #[serde(borrow)]
            spec: Inner<'a>,
        }
        #[derive(Deserialize)]
        struct Inner<'a> {
            #[serde(borrow)]
            containers: Vec<&'a RawValue>,
            #[serde(borrow)]
            volumes: Option<Vec<&'a RawValue>>,
        }

        let Outer { spec: OuterSpec { template: OuterTemplate { spec } } } = serde_json::from_str(deployment)?;
        Ok(Self { containers: spec.containers, volumes: spec.volumes.unwrap_or_default() })
    }
}

/// What decides whether a write can start a Pod that did not run before: the template's text and the replicas.
#[derive(Debug)]
pub struct Rollout<'a> {
    /// The text of `spec.template`.
    pub template: &'a str,
    /// `spec.replicas`; absent means 1.
    pub replicas: i32,
}

impl<'a> Rollout<'a> {
    /// Reads a Deployment's JSON text.
    pub fn read(deployment: &'a str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            spec: Inner<'a>,
        }
        #[derive(Deserialize)]
        struct Inner<'a> {
            replicas: Option<i32>,
            #[serde(borrow)]
            template: &'a RawValue,
        }

        let Outer { spec } = serde_json::from_str(deployment)?;
        Ok(Self { template: spec.template.get(), replicas: spec.replicas.unwrap_or(1) })
    }
}
