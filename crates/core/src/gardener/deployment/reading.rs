//! How a Deployment is read: in one walk, with limits for each of its lists.

use serde::Deserialize;

use super::{Container, Deployment, Metadata, PodSpec, Spec, Template, Volume};
use crate::gardener::field_error::{FieldError, typed};
use crate::json::{AtMost, FieldPath, Members, Plain, excerpt, too_many};

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

impl<'a> Deployment<'a> {
    /// Reads a Deployment's JSON text in one walk. What is not in the view, which is most of the text, is skipped.
    pub fn read(text: &'a str) -> Result<Self, FieldError> {
        Self::walk(Members::of(text))
    }

    /// The same, with what is known of the text.
    pub fn walk(mut members: Members<'a>) -> Result<Self, FieldError> {
        let (mut metadata, mut spec) = (Metadata::default(), None);
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
                "containers" => pod.containers = containers("containers", members)?.unwrap_or_default(),
                "initContainers" => pod.init_containers = containers("initContainers", members)?,
                "volumes" => pod.volumes = list("volumes", members, MOST_ELEMENTS, Volume::read)?,
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
pub(super) fn each_member<'a>(
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
fn containers<'a>(name: &'static str, members: &mut Members<'a>) -> Result<Option<Vec<Container<'a>>>, FieldError> {
    let found = list(name, members, MOST_CONTAINERS, Container::read)?;
    let mut of_vpn = found.iter().flatten().enumerate().filter(|(_, container)| container.is_of_vpn());
    let beyond = of_vpn.nth(MOST_OF_VPN).map(|(index, container)| (index, excerpt(&container.name)));
    match beyond {
        None => Ok(found),
        Some((index, called)) => Err(FieldError {
            path: FieldPath::from(name).index(index).field("name"),
            value: format!("{called:?}"),
            problem: format!("there are more than {MOST_OF_VPN} containers of the VPN, while gardenlet writes three"),
        }),
    }
}

/// Reads the list of small things that comes next.
fn elements<'a, T: Deserialize<'a> + Plain<'a>>(
    name: &'static str,
    members: &mut Members<'a>,
) -> Result<Option<Vec<T>>, FieldError> {
    Ok(parse::<Elements<T>>(name, members)?.map(|list| list.0))
}

/// Reads the array that comes next, element by element; `null` is no array, and one that is longer than `most` an error.
fn list<'a, T>(
    name: &'static str,
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
            return Err(FieldError::new(name, too_many(most)));
        }
        let element = read(members).map_err(|error| error.within(FieldPath::from(name).index(found.len())))?;
        found.push(element);
    }
    Ok(Some(found))
}

/// Room for the lists of a kube-apiserver Pod, so that they seldom grow while they are read.
const USUAL_LIST: usize = 32;

/// Reads the value that comes next; the error names the path of what is wrong inside it.
pub(super) fn parse<'a, T: Deserialize<'a> + Plain<'a>>(
    path: &'static str,
    members: &mut Members<'a>,
) -> Result<T, FieldError> {
    let rest = members.rest();
    // Read again, slower, only to say where.
    members.read_small().or_else(|_| typed(rest).map_err(|error| error.within(path)))
}
