//! network-guard's containers that translate beside a vpn2 that does not.
//!
//! An init container sets the rules before anything is sent. Optionally, a second container keeps them in place, and
//! makes the routes follow those of the old vpn2.

use k8s_openapi::api::core::v1::{Capabilities, Container, ResourceRequirements, SeccompProfile, SecurityContext};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Own, Side};
use crate::admission::{Fragment, ListEdits, PatchBuilder, Pointer};
use crate::gardener::EnvValue;
use crate::gardener::deployment::{self, PodSpec, RawPieces};
use crate::json::FieldPath;
use crate::net::{Cidr, Family};
use crate::vpn::{Change, Networks, Taken};

/// The init container that sets the rules.
pub const INIT_CONTAINER: &str = "network-guard-nat-init";
/// The container that keeps them in place.
pub const CONTAINER: &str = "network-guard-nat";

/// The longest stored container that is kept, in bytes: network-guard's have two KiB, more with many networks.
const LONGEST_CONTAINER: usize = 64 << 10;

/// The beginning of both commands. A container of this name with another command is not network-guard's.
const COMMAND: [&str; 3] = ["network-guard", "nat", "apply"];

/// The containers as they should be; none for a Pod in which network-guard does not translate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Containers {
    init: Option<Fragment>,
    agent: Option<Fragment>,
}

impl Containers {
    /// The containers for this end of the tunnel between these networks.
    pub fn new(own: &Own, side: Side, networks: &Networks) -> Self {
        let init = container(own, INIT_CONTAINER, command(side, networks, None));
        let agent =
            own.keep_seconds.map(|seconds| container(own, CONTAINER, command(side, networks, Some(seconds.get()))));
        Self { init: Some(Fragment::new(&init)), agent: agent.as_ref().map(Fragment::new) }
    }

    /// The init container, if there should be one.
    pub fn init(&self) -> Option<&Fragment> {
        self.init.as_ref()
    }

    /// The container that keeps the rules, if there should be one.
    pub fn agent(&self) -> Option<&Fragment> {
        self.agent.as_ref()
    }

    /// Those that a Pod has, as they are. `raw` is the text of the object around it.
    pub fn stored(pod: &PodSpec<'_>, raw: &str) -> Self {
        let found = Places::of(pod);
        if found.init.is_none() && found.agent.is_none() {
            return Self::default();
        }
        let Ok(pieces) = RawPieces::read(raw) else { return Self::default() };
        let fragment = |list: &[&serde_json::value::RawValue], index: Option<usize>| {
            let found = index.and_then(|index| list.get(index)).filter(|text| text.get().len() <= LONGEST_CONTAINER);
            found.map(Fragment::new)
        };
        Self { init: fragment(&pieces.init_containers, found.init), agent: fragment(&pieces.containers, found.agent) }
    }

    /// Whether stored containers have the same configuration as these. Their networks are ignored: those follow the
    /// Shoot.
    pub(crate) fn is_configured_as(&self, stored: &Self) -> bool {
        is_configured_as(self.init.as_ref(), stored.init.as_ref())
            && is_configured_as(self.agent.as_ref(), stored.agent.as_ref())
    }

    /// Adds, corrects or removes the containers of a Pod. `raw` is the text of the object from which `pod` was read;
    /// edits that move its containers are left to the caller.
    pub fn ensure<'p>(
        &'p self,
        pod: &PodSpec<'_>,
        raw: &str,
        patch: &mut PatchBuilder,
        containers: &mut ListEdits<'p>,
    ) -> Result<Change, Vec<Taken>> {
        let found = Places::of(pod);
        if self.init.is_some() || self.agent.is_some() {
            let taken = found.taken(pod);
            if !taken.is_empty() {
                return Err(taken);
            }
        }
        let is_there = found.init.is_some() || found.agent.is_some();
        // The text is only read when there is something to compare.
        let pieces = is_there.then(|| RawPieces::read(raw).ok()).flatten();
        let (init_containers, others) =
            pieces.as_ref().map_or((&[][..], &[][..]), |pieces| (&*pieces.init_containers, &*pieces.containers));

        let mut changed = false;
        let at = Pointer::to("/spec/template/spec/initContainers");
        let mut edits = ListEdits::default();
        match (&self.init, &pod.init_containers) {
            (Some(init), None) => {
                patch.add(&at, &format!("[{}]", init.json()));
                changed = true;
            }
            (desired, list) => {
                let count = list.as_ref().map_or(0, Vec::len);
                changed |= ensure(desired.as_ref(), found.init, count, init_containers, &at, patch, &mut edits);
            }
        }
        edits.apply(&at, patch);
        let at = Pointer::to("/spec/template/spec/containers");
        changed |= ensure(self.agent.as_ref(), found.agent, pod.containers.len(), others, &at, patch, containers);
        Ok(match (changed, is_there, self.init.is_some()) {
            (false, _, _) => Change::Unchanged,
            (true, _, false) => Change::Removed,
            (true, true, true) => Change::Updated,
            (true, false, true) => Change::Added,
        })
    }
}

fn is_configured_as(desired: Option<&Fragment>, stored: Option<&Fragment>) -> bool {
    let (Some(desired), Some(stored)) = (desired, stored) else { return desired.is_none() && stored.is_none() };
    // The networks are in the middle of the command, and the interval is at its end.
    let last = |fragment: &Fragment| fragment.value()["command"].as_array().and_then(|words| words.last().cloned());
    let mut settings = desired.value().clone();
    settings["command"] = stored.value()["command"].clone();
    let stored_text = serde_json::value::to_raw_value(stored.value()).expect("a value is JSON");
    last(desired) == last(stored) && Fragment::new(&settings).is_in(&stored_text)
}

/// Adds, corrects or removes one container, and returns which of these it was.
fn ensure<'p>(
    desired: Option<&'p Fragment>,
    found: Option<usize>,
    count: usize,
    existing: &[&serde_json::value::RawValue],
    list: &Pointer<'_>,
    patch: &mut PatchBuilder,
    edits: &mut ListEdits<'p>,
) -> bool {
    match (desired, found) {
        (None, None) => return false,
        (None, Some(index)) => edits.remove(index),
        (Some(desired), None) => edits.insert(count, desired),
        (Some(desired), Some(index)) => {
            if existing.get(index).is_some_and(|actual| desired.is_in(actual)) {
                return false;
            }
            patch.replace(&list.index(index), desired.json());
        }
    }
    true
}

/// The positions of network-guard's containers.
struct Places {
    init: Option<usize>,
    agent: Option<usize>,
}

impl Places {
    fn of(pod: &PodSpec<'_>) -> Self {
        let ours = |list: &[deployment::Container<'_>], name: &str| {
            list.iter().position(|container| &*container.name == name && is_ours(container))
        };
        Self {
            init: ours(pod.init_containers.as_deref().unwrap_or_default(), INIT_CONTAINER),
            agent: ours(&pod.containers, CONTAINER),
        }
    }

    /// Other containers with a name of network-guard's, in either list: container names are unique in a Pod.
    fn taken(&self, pod: &PodSpec<'_>) -> Vec<Taken> {
        let init_containers = pod.init_containers.as_deref().unwrap_or_default();
        let lists = [("initContainers", init_containers, self.init), ("containers", &pod.containers, self.agent)];
        let mut taken = Vec::new();
        for (list, containers, ours) in lists {
            for (index, container) in containers.iter().enumerate() {
                if matches!(&*container.name, INIT_CONTAINER | CONTAINER) && ours != Some(index) {
                    let path = FieldPath::from("spec.template.spec").field(list).index(index).field("name");
                    let what =
                        format!("`{}` is not network-guard's: it does not run `{}`", container.name, COMMAND.join(" "));
                    taken.push(Taken { path, what });
                }
            }
        }
        taken
    }
}

fn is_ours(container: &deployment::Container<'_>) -> bool {
    container.command.iter().flatten().map(|word| &**word).take(COMMAND.len()).eq(COMMAND)
}

/// The flags that give network-guard's containers the networks, in the order of [`super::NAMES`].
pub const FLAGS: [&str; 4] = ["--seed-pods", "--shoot-pods", "--shoot-services", "--shoot-nodes"];

/// The networks that each of network-guard's containers gets.
pub(super) fn told(pod: &PodSpec<'_>) -> Vec<[EnvValue<'static>; 4]> {
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    let ours =
        containers.filter(|container| matches!(&*container.name, INIT_CONTAINER | CONTAINER) && is_ours(container));
    ours.map(|container| {
        let words = container.command.as_deref().unwrap_or_default();
        FLAGS.map(|flag| {
            let at = words.iter().position(|word| &**word == flag);
            let value = at.and_then(|at| words.get(at + 1));
            value.map_or(EnvValue::Missing, |value| EnvValue::Text(value.to_string().into()))
        })
    })
    .collect()
}

/// The command of a container: it runs once, or every so many seconds.
fn command(side: Side, networks: &Networks, every: Option<u32>) -> Vec<String> {
    let mut command = COMMAND.map(str::to_owned).to_vec();
    let mut flag = |name: &str, value: String| command.extend([name.to_owned(), value]);
    flag("--side", side.name().to_owned());
    let lists = [&networks.seed_pods, &networks.pods, &networks.services, &networks.nodes];
    for (name, list) in FLAGS.into_iter().zip(lists) {
        if !list.is_empty() {
            flag(name, list.iter().map(Cidr::to_string).collect::<Vec<_>>().join(","));
        }
    }
    flag("--ip-families", if networks.has(Family::V6) { "IPv4,IPv6" } else { "IPv4" }.to_owned());
    // The VPN's own init container, which is privileged, sets the kernel settings.
    flag("--settings", "leave".to_owned());
    // Also while there is no tunnel yet: until then, nothing that has to be translated may leave the Pod.
    flag("--routes", "follow".to_owned());
    if let Some(seconds) = every {
        flag("--every", seconds.to_string());
    }
    command
}

/// Complete, because a default that the API server adds would look like a change each time.
fn container(own: &Own, name: &str, command: Vec<String>) -> Container {
    let requests = [("cpu", &own.cpu_request), ("memory", &own.memory_request)];
    Container {
        name: name.to_owned(),
        image: Some(own.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(command),
        resources: Some(ResourceRequirements {
            requests: Some(requests.map(|(name, request)| (name.to_owned(), Quantity(request.clone()))).into()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                add: Some(vec!["NET_ADMIN".to_owned()]),
                drop: Some(vec!["ALL".to_owned()]),
            }),
            read_only_root_filesystem: Some(true),
            // Only root has a capability that is added.
            run_as_non_root: Some(false),
            run_as_user: Some(0),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..SecurityContext::default()
        }),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        ..Container::default()
    }
}
