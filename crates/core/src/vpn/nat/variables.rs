//! The variables that configure the VPN's containers with the networks.
//!
//! Each end of the tunnel translates by its own variables, so both have to lead to the same mapping. Therefore the
//! mappings are compared, not the texts, and both ends are compared with the Cluster, from which gardenlet makes them.

use std::fmt;

use crate::admission::{PatchBuilder, Pointer};
use crate::gardener::deployment::{Container, PodSpec};
use crate::gardener::{ClusterFacts, EnvValue, ShootNetwork};
use crate::json::{FieldPath, excerpt};
use crate::net::{Cidr, Family, NetworkKind, map_networks};
use crate::vpn::overlap::overlaps_between;
use crate::vpn::overlaps;

/// The variables by which vpn2 learns the networks: first that of the Seed's Pods, then those of `KINDS`.
pub const NAMES: [&str; 4] =
    ["SEED_POD_NETWORK", "SHOOT_POD_NETWORKS", "SHOOT_SERVICE_NETWORKS", "SHOOT_NODE_NETWORKS"];

/// The kinds of Shoot networks in the order of [`NAMES`].
const KINDS: [NetworkKind; 3] = [NetworkKind::Pods, NetworkKind::Services, NetworkKind::Nodes];

/// What the four variables of a VPN container should say about IPv4. IPv6 entries are ignored: IPv6 is never
/// translated, and during the migration to dual-stack gardenlet leaves one family out.
pub(super) struct Wanted<'f> {
    facts: &'f ClusterFacts,
    seed_pods: Cidr,
    /// Whether a Shoot network overlaps the Seed's Pods.
    overlaps: bool,
}

/// A variable of a container that is not, or may not be, what the Cluster says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Correction {
    /// `containers` or `initContainers`.
    pub list: &'static str,
    /// The place of the container in its list.
    pub index: usize,
    /// The name of the container.
    pub container: String,
    /// The name of the variable.
    pub variable: &'static str,
    /// What is there.
    pub found: Found,
    /// What should be there.
    pub wanted: String,
}

/// What a container has instead of the right value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// Another value, at this index of `env`; `None` where the member `value` is missing, as in an empty variable.
    Value(usize, Option<String>),
    /// No such variable. The flag says whether there is an `env` by the time this correction is applied.
    Nothing(bool),
    /// A reference, at this index of `env`, whose value is not known before the Pod starts. It is left as it is.
    Reference(usize),
}

/// All corrections in the VPN's containers of a Pod, in the order of the containers. Empty where nothing is translated:
/// if nothing overlaps, neither by the Cluster nor by the variables of a container, the mapping does not matter.
pub fn corrections(pod: &PodSpec<'_>, facts: &ClusterFacts) -> Vec<Correction> {
    let Some(wanted) = Wanted::of(facts) else { return Vec::new() };
    let told = container_variables(pod);
    told.iter().flat_map(|(list, index, container, found)| wanted.judge(list, *index, container, found)).collect()
}

/// Each of [`NAMES`] with its index in the environment, where it is present.
type FoundVariables<'a> = [Option<(usize, EnvValue<'a>)>; 4];

/// The containers of the VPN: the list and the index of each, and its variables.
pub(super) fn container_variables<'p, 'a>(
    pod: &'p PodSpec<'a>,
) -> Vec<(&'static str, usize, &'p Container<'a>, FoundVariables<'a>)> {
    let lists =
        [("initContainers", pod.init_containers.as_deref().unwrap_or_default()), ("containers", &pod.containers)];
    let mut told = Vec::new();
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate().filter(|(_, container)| container.is_of_vpn()) {
            let found = container.variables(NAMES);
            // Those that only prepare devices may have none of the variables.
            if list == "initContainers" && found.iter().all(Option::is_none) {
                continue;
            }
            told.push((list, index, container, found));
        }
    }
    told
}

impl<'f> Wanted<'f> {
    /// What the Cluster says; `None` without an IPv4 Pod network of a Seed, because then nothing is translated.
    pub(super) fn of(facts: &'f ClusterFacts) -> Option<Self> {
        let seed_pods = facts.seed_pods.filter(|pods| pods.family() == Family::V4)?;
        Some(Self { facts, seed_pods, overlaps: overlaps(facts).next().is_some() })
    }

    /// The Shoot's IPv4 networks of this kind. Repetitions count: each takes a block of the mapping.
    fn networks(&self, kind: NetworkKind) -> impl Iterator<Item = Cidr> + '_ {
        let is_meant = move |network: &&ShootNetwork| network.kind == kind && network.cidr.family() == Family::V4;
        self.facts.shoot_networks.iter().filter(is_meant).map(|network| network.cidr)
    }

    /// What each of [`NAMES`] should say instead; nothing where nothing is translated, neither by the Cluster nor by these
    /// values.
    pub(super) fn instead_of(&self, values: [&EnvValue<'_>; 4]) -> [Option<String>; 4] {
        let [seed_pods, pods, services, nodes] = values;
        let wanted = [
            self.seed_pods_instead_of(seed_pods),
            self.networks_instead_of(KINDS[0], pods),
            self.networks_instead_of(KINDS[1], services),
            self.networks_instead_of(KINDS[2], nodes),
        ];
        // Asked only when something is wrong, which is seldom.
        let is_wrong = wanted.iter().any(Option::is_some);
        if is_wrong && !self.overlaps && !shows_overlap(values) { [const { None }; 4] } else { wanted }
    }

    /// What `SEED_POD_NETWORK` should say instead; `None` if it is right, or IPv6. It is one network, no list.
    fn seed_pods_instead_of(&self, value: &EnvValue<'_>) -> Option<String> {
        let text = text_of(value);
        let found: Option<Cidr> = text.parse().ok();
        let is_right = |found: Cidr| found == self.seed_pods && !found.is_written_as_ipv6(text);
        let is_fine = found.is_some_and(|found| is_right(found) || found.family() == Family::V6);
        (!is_fine).then(|| self.seed_pods.to_string())
    }

    /// What a list should say instead; `None` if it leads to the same mapping, or if there is no better value.
    fn networks_instead_of(&self, kind: NetworkKind, value: &EnvValue<'_>) -> Option<String> {
        if self.is_listed(kind, text_of(value)) {
            return None;
        }
        let found = Listed::of(text_of(value));
        let lists_v6_only = found.v4.is_empty() && !found.v6.is_empty();
        let is_readable = !found.has_unreadable;
        // What the Cluster does not know cannot be corrected.
        let is_known = self.networks(kind).next().is_some();
        if !is_known || is_readable && (lists_v6_only || self.networks(kind).eq(found.v4.iter().copied())) {
            return None;
        }
        // Nor can networks that fit into no mapping.
        let networks: Vec<Cidr> = self.networks(kind).collect();
        let mapping = map_networks(kind, &networks).ok()?;
        if is_readable && map_networks(kind, &found.v4).is_ok_and(|found| found == mapping) {
            return None;
        }
        let (first, second) = if found.is_v6_first { (&found.v6, &networks) } else { (&networks, &found.v6) };
        let all: Vec<String> = first.iter().chain(second).map(ToString::to_string).collect();
        // Nor a list that would be longer than the limit of reading: the next review would find it wrong again.
        Some(all.join(",")).filter(|wanted| wanted.len() <= MOST_BYTES)
    }

    /// Whether a text lists just the networks of the Cluster, as it usually does. That takes no list in memory.
    fn is_listed(&self, kind: NetworkKind, text: &str) -> bool {
        let mut networks = self.networks(kind);
        let is_next = |entry: &str| {
            let found = entry.parse::<Cidr>().ok().filter(|found| !found.is_written_as_ipv6(entry));
            found.is_some() && networks.next() == found
        };
        text.len() <= MOST_BYTES && text.split(',').all(is_next) && networks.next().is_none()
    }

    fn judge(
        &self,
        list: &'static str,
        index: usize,
        container: &Container<'_>,
        found: &FoundVariables<'_>,
    ) -> Vec<Correction> {
        let values = found.each_ref().map(|found| found.as_ref().map_or(&EnvValue::Missing, |(_, value)| value));
        let mut has_env = container.env.is_some();
        let mut corrections = Vec::new();
        for (at, (found, wanted)) in found.iter().zip(self.instead_of(values)).enumerate() {
            let Some(wanted) = wanted else { continue };
            let found = match found {
                None => Found::Nothing(std::mem::replace(&mut has_env, true)),
                Some((place, EnvValue::Missing)) => Found::Value(*place, None),
                Some((place, value)) if is_reference(value) => Found::Reference(*place),
                Some((place, EnvValue::Text(text))) => Found::Value(*place, Some(text.to_string())),
                Some((place, EnvValue::Elsewhere)) => Found::Reference(*place),
            };
            let container = container.name.to_string();
            corrections.push(Correction { list, index, container, variable: NAMES[at], found, wanted });
        }
        corrections
    }
}

/// The longest list that is read, in bytes: some thousand networks.
const MOST_BYTES: usize = 32 << 10;

/// What a variable says.
#[derive(Default)]
struct Listed {
    /// The IPv4 networks, as they are listed.
    v4: Vec<Cidr>,
    v6: Vec<Cidr>,
    is_v6_first: bool,
    /// Something that vpn2 cannot read, so that it does not start. That includes a space, and an IPv4 network that is
    /// written as an IPv6 one: vpn2 takes its prefix length for that of an IPv4 network.
    has_unreadable: bool,
}

impl Listed {
    fn of(text: &str) -> Self {
        let mut listed = Self::default();
        // No real Shoot has that many networks, so their writer only wants to cause work.
        if text.len() > MOST_BYTES {
            return Self { has_unreadable: true, ..listed };
        }
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            match entry.parse::<Cidr>() {
                Ok(cidr) if cidr.family() == Family::V4 => {
                    listed.has_unreadable |= cidr.is_written_as_ipv6(entry);
                    listed.v4.push(cidr);
                }
                Ok(cidr) => {
                    listed.is_v6_first |= listed.v4.is_empty();
                    listed.v6.push(cidr);
                }
                Err(_) => listed.has_unreadable = true,
            }
        }
        listed
    }
}

pub(super) fn is_reference(value: &EnvValue<'_>) -> bool {
    // `$(NAME)` is another variable's value.
    matches!(value, EnvValue::Elsewhere) || matches!(value, EnvValue::Text(text) if text.contains("$("))
}

pub(super) fn text_of<'v>(value: &'v EnvValue<'_>) -> &'v str {
    match value {
        EnvValue::Text(text) => text,
        EnvValue::Missing | EnvValue::Elsewhere => "",
    }
}

/// Whether vpn2 would translate by these variables.
fn shows_overlap([seed_pods, networks @ ..]: [&EnvValue<'_>; 4]) -> bool {
    let Ok(seed_pods) = text_of(seed_pods).parse::<Cidr>() else { return false };
    let listed = KINDS.into_iter().zip(networks).flat_map(|(kind, value)| {
        Listed::of(text_of(value)).v4.into_iter().map(move |cidr| ShootNetwork { kind, cidr })
    });
    overlaps_between(listed, &[seed_pods]).next().is_some()
}

impl Correction {
    /// Whether it can be corrected.
    pub(crate) fn is_possible(&self) -> bool {
        !matches!(self.found, Found::Reference(_))
    }

    /// Corrects it. Corrections of one Pod have to be applied in their order, and before any edit that moves its
    /// containers.
    pub fn apply(&self, patch: &mut PatchBuilder) {
        let at = Pointer::to("/spec/template/spec").field(self.list).index(self.index).field("env");
        let wanted = serde_json::Value::from(&*self.wanted).to_string();
        let entry = || serde_json::json!({"name": self.variable, "value": self.wanted}).to_string();
        match &self.found {
            Found::Value(place, Some(_)) => patch.replace(&at.index(*place).field("value"), &wanted),
            Found::Value(place, None) => patch.add(&at.index(*place).field("value"), &wanted),
            Found::Nothing(true) => patch.add(&at.end(), &entry()),
            Found::Nothing(false) => patch.add(&at, &format!("[{}]", entry())),
            Found::Reference(_) => {}
        }
    }

    /// The path of the variable in the object.
    pub fn path(&self) -> FieldPath {
        let env = FieldPath::from("spec.template.spec").field(self.list).index(self.index).field("env");
        match self.found {
            Found::Value(place, _) => env.index(place).field("value"),
            Found::Reference(place) => env.index(place),
            Found::Nothing(_) => env,
        }
    }
}

/// What is wrong, as a message.
impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}` ", self.variable, excerpt(&self.container))?;
        match &self.found {
            Found::Value(_, Some(text)) => write!(f, "says `{}`", excerpt(text))?,
            Found::Value(_, None) => f.write_str("is empty")?,
            Found::Nothing(_) => f.write_str("is missing")?,
            Found::Reference(_) => f.write_str("is a reference, whose value is not known before the Pod starts")?,
        }
        write!(f, ", the Cluster says `{}`", self.wanted)
    }
}

#[cfg(test)]
mod tests;
