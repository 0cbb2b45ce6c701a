//! The view of a Shoot's `kube-apiserver` Deployment (`apps/v1`).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::FieldError;
use crate::json::{AtMost, Malformed, Members, Text, excerpt, too_many};

/// The most containers of a Pod, and the most init containers. What gardener v1.149 writes
/// (`pkg/component/kubernetes/apiserver`) has six and one; the rest is room for sidecars of others.
const MOST_CONTAINERS: usize = 100;

/// The most containers of the VPN among them: two clients or servers, one for each VPN server
/// (`HighAvailabilityNumberOfSeedServers` and `…ShootClients` of gardener v1.149,
/// `pkg/component/networking/vpn/seedserver`), and the path controller.
const MOST_OF_VPN: usize = 16;

/// The most volumes of a Pod, and arguments or mounts of a container. gardener v1.149 writes 29, 51 and 23.
const MOST_ELEMENTS: usize = 2_000;

/// A list of texts, or of other small things, in a Pod.
type Elements<T> = Option<AtMost<T, MOST_ELEMENTS>>;

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
    /// Reads a Deployment's JSON text in one walk. What is not in the view, which is most of the text, is skipped.
    pub fn read(text: &'a str) -> Result<Self, FieldError> {
        let (mut metadata, mut spec) = (Metadata::default(), None);
        let mut members = Members::of(text);
        each_member(&mut members, |key, members| {
            match key {
                "metadata" => metadata = Metadata::read(members).map_err(|error| error.within("metadata"))?,
                "spec" => spec = Some(Spec::read(members).map_err(|error| error.within("spec"))?),
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        members.end()?;
        Ok(Self { metadata, spec: spec.ok_or_else(|| FieldError::missing("spec"))? })
    }
}

impl<'a> Metadata<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let mut metadata = Self::default();
        each_member(members, |key, members| {
            match key {
                "name" => metadata.name = parse("name", members)?,
                "labels" => metadata.labels = parse("labels", members)?,
                "annotations" => metadata.annotations = parse("annotations", members)?,
                "deletionTimestamp" => metadata.is_being_deleted = members.skip()? != "null",
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        Ok(metadata)
    }
}

impl<'a> Spec<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let (mut replicas, mut template) = (None, None);
        each_member(members, |key, members| {
            match key {
                "replicas" => replicas = parse("replicas", members)?,
                "template" => template = Some(Template::read(members).map_err(|error| error.within("template"))?),
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        Ok(Self { replicas, template: template.ok_or_else(|| FieldError::missing("template"))? })
    }
}

impl<'a> Template<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let (mut metadata, mut spec) = (None, None);
        let rest = members.rest();
        each_member(members, |key, members| {
            match key {
                "metadata" => metadata = parse("metadata", members)?,
                "spec" => spec = Some(PodSpec::read(members).map_err(|error| error.within("spec"))?),
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        let text = &rest[..rest.len() - members.rest().len()];
        Ok(Self { text, metadata, spec: spec.ok_or_else(|| FieldError::missing("spec"))? })
    }
}

impl<'a> PodSpec<'a> {
    /// Reads a Pod's specification.
    pub fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let mut pod = Self { containers: Vec::new(), init_containers: None, volumes: None, host_aliases: None };
        each_member(members, |key, members| {
            match key {
                "containers" => pod.containers = containers(key, members)?.unwrap_or_default(),
                "initContainers" => pod.init_containers = containers(key, members)?,
                "volumes" => pod.volumes = list(key, members, MOST_ELEMENTS, Volume::read)?,
                "hostAliases" => pod.host_aliases = Some(members.skip()?),
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        Ok(pod)
    }
}

impl<'a> Container<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let mut container = Self::default();
        each_member(members, |key, members| {
            match key {
                "name" => container.name = parse("name", members)?,
                "command" => container.command = elements("command", members)?,
                "args" => container.args = elements("args", members)?,
                "env" => container.env = Some(members.skip()?).filter(|env| *env != "null"),
                "volumeMounts" => container.volume_mounts = elements("volumeMounts", members)?,
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        Ok(container)
    }
}

impl Container<'_> {
    /// Whether it is one of the VPN's, on the Seed's side (gardener `pkg/component/kubernetes/apiserver`) or on the Shoot's
    /// (`pkg/component/networking/vpn/shoot`) where that is highly available.
    pub fn is_of_vpn(&self) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |prefix| self.name.strip_prefix(prefix);
        let is_numbered = ["vpn-client-", "vpn-shoot-s"].into_iter().filter_map(number).any(is_number);
        is_numbered || matches!(&*self.name, "vpn-path-controller" | "vpn-client-init" | "vpn-shoot-init")
    }
}

impl<'a> Volume<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, FieldError> {
        let mut volume = Self::default();
        each_member(members, |key, members| {
            match key {
                "name" => volume.name = parse("name", members)?,
                "downwardAPI" => volume.is_downward_api = members.skip()? != "null",
                "emptyDir" => volume.is_empty_dir = members.skip()? != "null",
                _ => drop(members.skip()?),
            }
            Ok(())
        })?;
        Ok(volume)
    }
}

/// Enters the object that comes next and calls for each of its members.
fn each_member<'a>(
    members: &mut Members<'a>,
    mut each: impl FnMut(&str, &mut Members<'a>) -> Result<(), FieldError>,
) -> Result<(), FieldError> {
    members.enter()?;
    while let Some(key) = members.key()? {
        each(&key, members)?;
    }
    Ok(())
}

/// Reads the containers that come next.
fn containers<'a>(name: &str, members: &mut Members<'a>) -> Result<Option<Vec<Container<'a>>>, FieldError> {
    let found = list(name, members, MOST_CONTAINERS, Container::read)?;
    let mut of_vpn = found.iter().flatten().enumerate().filter(|(_, container)| container.is_of_vpn());
    let beyond = of_vpn.nth(MOST_OF_VPN).map(|(index, container)| (index, excerpt(&container.name)));
    match beyond {
        None => Ok(found),
        Some((index, called)) => Err(FieldError {
            path: format!("{name}[{index}].name"),
            value: format!("{called:?}"),
            problem: format!("there are more than {MOST_OF_VPN} containers of the VPN, while gardenlet writes three"),
        }),
    }
}

/// Reads the list of small things that comes next.
fn elements<'a, T: Deserialize<'a>>(name: &str, members: &mut Members<'a>) -> Result<Option<Vec<T>>, FieldError> {
    Ok(parse::<Elements<T>>(name, members)?.map(|list| list.0))
}

/// Reads the array that comes next, element by element; `null` is no array, and one that is longer than `most` an error.
fn list<'a, T>(
    name: &str,
    members: &mut Members<'a>,
    most: usize,
    read: impl Fn(&mut Members<'a>) -> Result<T, FieldError>,
) -> Result<Option<Vec<T>>, FieldError> {
    if members.is_null() {
        members.skip()?;
        return Ok(None);
    }
    let mut found = Vec::with_capacity(USUAL_LIST);
    members.enter_array().map_err(|error| FieldError::from(error).within(name))?;
    while members.element()? {
        if found.len() == most {
            return Err(FieldError { path: name.to_owned(), value: String::new(), problem: too_many(most) });
        }
        let element = read(members).map_err(|error| error.within(&format!("{name}[{}]", found.len())))?;
        found.push(element);
    }
    Ok(Some(found))
}

/// Room for the lists of a kube-apiserver Pod, so that they seldom grow while they are read.
const USUAL_LIST: usize = 32;

/// Reads the value that comes next; the error names the path of what is wrong inside it.
fn parse<'a, T: Deserialize<'a>>(path: &str, members: &mut Members<'a>) -> Result<T, FieldError> {
    let rest = members.rest();
    members.read().or_else(|_| {
        // Read again, slower, only to say where.
        let mut text = serde_json::Deserializer::from_str(rest);
        serde_path_to_error::deserialize(&mut text).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." => path.to_owned(),
                inner if inner.starts_with('[') => format!("{path}{inner}"),
                inner => format!("{path}.{inner}"),
            };
            FieldError { path, value: String::new(), problem: excerpt(&error.into_inner().to_string()) }
        })
    })
}

impl From<Malformed> for FieldError {
    fn from(error: Malformed) -> Self {
        Self { path: String::new(), value: String::new(), problem: error.to_string() }
    }
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
    /// Its text.
    pub text: &'a str,
    /// `spec.template.metadata`.
    pub metadata: Option<TemplateMetadata<'a>>,
    /// `spec.template.spec`.
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
#[derive(Debug)]
pub struct PodSpec<'a> {
    /// `containers`.
    pub containers: Vec<Container<'a>>,
    /// `initContainers`.
    pub init_containers: Option<Vec<Container<'a>>>,
    /// `volumes`.
    pub volumes: Option<Vec<Volume<'a>>>,
    /// The text of `hostAliases`: see [`PodSpec::host_aliases`].
    pub host_aliases: Option<&'a str>,
}

impl<'a> PodSpec<'a> {
    /// The names that the Pod gives addresses, read only when somebody asks. What is no list of them is refused by the
    /// API server; nothing of it counts.
    pub fn host_aliases(&self) -> Vec<HostAlias<'a>> {
        let aliases = self.host_aliases.and_then(|text| serde_json::from_str::<Option<_>>(text).ok());
        aliases.flatten().unwrap_or_default()
    }
}

/// Names that a Pod gives an address.
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
    /// The program, and for some writers its arguments too.
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

/// A volume: its name and which of the two sources that we use it has.
#[derive(Debug, Default)]
pub struct Volume<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Files from fields of the Pod: `downwardAPI`.
    pub is_downward_api: bool,
    /// An empty directory: `emptyDir`.
    pub is_empty_dir: bool,
}

/// The raw text of containers and volumes, in the order of the view. Read only when something of ours is already
/// there and has to be compared with what it should be.
#[derive(Debug)]
pub struct RawPieces<'a> {
    /// `spec.template.spec.containers`.
    pub containers: Vec<&'a RawValue>,
    /// `spec.template.spec.initContainers`.
    pub init_containers: Vec<&'a RawValue>,
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
        #[serde(rename_all = "camelCase")]
        struct Inner<'a> {
            #[serde(borrow)]
            containers: Vec<&'a RawValue>,
            #[serde(borrow)]
            init_containers: Option<Vec<&'a RawValue>>,
            #[serde(borrow)]
            volumes: Option<Vec<&'a RawValue>>,
        }

        let Outer { spec: OuterSpec { template: OuterTemplate { spec } } } = serde_json::from_str(deployment)?;
        Ok(Self {
            containers: spec.containers,
            init_containers: spec.init_containers.unwrap_or_default(),
            volumes: spec.volumes.unwrap_or_default(),
        })
    }
}

/// What decides whether a write starts a Pod that did not run before, and whether it changes our annotation. Most of the
/// object is skipped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rollout<'a> {
    /// The text of `spec.template`.
    pub template: &'a str,
    /// `spec.replicas`; absent means 1.
    pub replicas: i32,
    /// Our annotation on the Deployment; empty without one.
    pub overlaps: Text<'a>,
}

impl<'a> Rollout<'a> {
    /// Reads a Deployment's JSON text in one walk.
    pub fn read(deployment: &'a str) -> Result<Self, FieldError> {
        let (mut template, mut replicas) = (None, None);
        let mut annotations: Option<Annotations<'a>> = None;
        let mut members = Members::of(deployment);
        each_member(&mut members, |key, members| match key {
            "metadata" => each_member(members, |key, members| {
                match key {
                    "annotations" => annotations = parse("annotations", members)?,
                    _ => drop(members.skip()?),
                }
                Ok(())
            }),
            "spec" => each_member(members, |key, members| {
                match key {
                    "template" => template = Some(members.skip()?),
                    "replicas" => replicas = parse("replicas", members)?,
                    _ => drop(members.skip()?),
                }
                Ok(())
            }),
            _ => {
                members.skip()?;
                Ok(())
            }
        })?;
        members.end()?;
        let template = template.ok_or_else(|| FieldError::missing("spec.template"))?;
        Ok(Self::new(template, replicas, annotations.as_ref()))
    }

    /// The same of a Deployment that was read already.
    pub fn of(deployment: &Deployment<'a>) -> Self {
        let Spec { replicas, template } = &deployment.spec;
        Self::new(template.text, *replicas, deployment.metadata.annotations.as_ref())
    }

    fn new(template: &'a str, replicas: Option<i32>, annotations: Option<&Annotations<'a>>) -> Self {
        let overlaps = annotations.and_then(|annotations| annotations.overlaps.clone()).unwrap_or_default();
        Self { template, replicas: replicas.unwrap_or(1), overlaps }
    }
}

#[cfg(test)]
mod tests;
