//! What the VPN's containers are told about the networks.
//!
//! Each end of the tunnel translates by what its own variables say, so both have to lead to the same mapping. What
//! counts is therefore the mapping, not the text, and what the Cluster says, from which both are made.

use std::collections::HashSet;
use std::fmt;

use crate::admission::{PatchBuilder, Pointer};
use crate::gardener::deployment::{Container, PodSpec};
use crate::gardener::{ClusterFacts, EnvValue, excerpt};
use crate::net::{Cidr, Family, NetworkKind, map_networks};

/// The variables by which vpn2 learns the networks: first that of the Seed's Pods, then those of [`KINDS`].
pub const NAMES: [&str; 4] =
    ["SEED_POD_NETWORK", "SHOOT_POD_NETWORKS", "SHOOT_SERVICE_NETWORKS", "SHOOT_NODE_NETWORKS"];

/// The kinds of Shoot networks in the order of [`NAMES`].
const KINDS: [NetworkKind; 3] = [NetworkKind::Pods, NetworkKind::Services, NetworkKind::Nodes];

/// What the four variables of a VPN container should say, as far as IPv4 is concerned. IPv6 is never translated, and
/// during the migration to dual-stack gardenlet keeps one family back: its entries are nobody's business here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variables {
    /// The Seed's Pod network.
    pub seed_pods: Cidr,
    /// The Shoot's Pod networks.
    pub pods: Vec<Cidr>,
    /// The Shoot's Service networks.
    pub services: Vec<Cidr>,
    /// The Shoot's node networks.
    pub nodes: Vec<Cidr>,
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
    /// Another value, at this place of `env`; `None` is the member that an empty value lacks.
    Value(usize, Option<String>),
    /// Nothing. The flag says that there is an `env` by the time this correction is applied.
    Nothing(bool),
    /// A reference, at this place of `env`, whose value nobody knows before the Pod starts. It is left as it is.
    Reference(usize),
}

/// All that has to be put right in the VPN's containers of a Pod, in the order of the containers. Empty where nothing
/// is translated: without overlap, neither by the Cluster nor by what a container is told, the mapping does not matter.
pub fn corrections(pod: &PodSpec<'_>, facts: &ClusterFacts) -> Vec<Correction> {
    let Some(variables) = Variables::of(facts) else { return Vec::new() };
    let overlaps = variables.overlap();
    let lists =
        [("initContainers", pod.init_containers.as_deref().unwrap_or_default()), ("containers", &pod.containers)];
    let mut told = Vec::new();
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate().filter(|(_, container)| container.is_of_vpn()) {
            let found = container.variables(NAMES);
            // Those that only prepare devices may be told nothing about networks.
            if list == "initContainers" && found.iter().all(Option::is_none) {
                continue;
            }
            told.push((list, index, container, found));
        }
    }
    let text = |found: &[Option<(usize, EnvValue<'_>)>; 4], at: usize| {
        found[at].as_ref().map(|(_, value)| text_of(value).to_owned())
    };
    let agreed = [0, 1, 2, 3].map(|at| {
        let mut texts = told.iter().map(|(_, _, _, found)| text(found, at));
        texts.next().is_none_or(|first| texts.all(|other| other == first))
    });
    told.iter()
        .flat_map(|(list, index, container, found)| variables.judge(list, *index, container, found, overlaps, agreed))
        .collect()
}

impl Variables {
    /// What the Cluster says; `None` without an IPv4 Pod network of a Seed, because then nothing is translated.
    pub fn of(facts: &ClusterFacts) -> Option<Self> {
        let seed_pods = facts.seed_pods.filter(|pods| pods.family() == Family::V4)?;
        let networks = |kind| {
            let is_meant = |cidr: &Cidr| cidr.family() == Family::V4;
            let of_kind = facts.shoot_networks.iter().filter(|network| network.kind == kind);
            of_kind.map(|network| network.cidr).filter(is_meant).collect()
        };
        let [pods, services, nodes] = KINDS.map(networks);
        Some(Self { seed_pods, pods, services, nodes })
    }

    /// Whether a Shoot network overlaps the Seed's Pods.
    pub fn overlap(&self) -> bool {
        let networks = [&self.pods, &self.services, &self.nodes];
        networks.into_iter().flatten().any(|network| network.overlaps(self.seed_pods))
    }

    fn judge(
        &self,
        list: &'static str,
        index: usize,
        container: &Container<'_>,
        found: &[Option<(usize, EnvValue<'_>)>; 4],
        overlaps: bool,
        agreed: [bool; 4],
    ) -> Vec<Correction> {
        let wanted = |at: usize, value: &EnvValue<'_>| match at {
            0 => wanted_seed_pods(self.seed_pods, value),
            1 => wanted_networks(KINDS[0], &self.pods, value, agreed[at]),
            2 => wanted_networks(KINDS[1], &self.services, value, agreed[at]),
            _ => wanted_networks(KINDS[2], &self.nodes, value, agreed[at]),
        };
        let mut has_env = container.env.is_some();
        let mut corrections = Vec::new();
        for (at, found) in found.iter().enumerate() {
            let value = found.as_ref().map_or(&EnvValue::Missing, |(_, value)| value);
            let Some(wanted) = wanted(at, value) else { continue };
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
        // Asked only when something is wrong, which is seldom.
        if !corrections.is_empty() && !overlaps && !shows_overlap(found) {
            corrections.clear();
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
    /// The same without repetitions.
    distinct: Vec<Cidr>,
    v6: Vec<Cidr>,
    is_v6_first: bool,
    /// Something vpn2 cannot read, which keeps it from starting: also a space.
    has_unreadable: bool,
}

impl Listed {
    fn of(text: &str) -> Self {
        let mut listed = Self::default();
        // Nobody has that many, and whoever sends them wants us to be busy.
        if text.len() > MOST_BYTES {
            return Self { has_unreadable: true, ..listed };
        }
        let mut seen = HashSet::new();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            match entry.parse::<Cidr>() {
                Ok(cidr) if cidr.family() == Family::V4 => {
                    listed.v4.push(cidr);
                    if seen.insert(cidr) {
                        listed.distinct.push(cidr);
                    }
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

fn is_reference(value: &EnvValue<'_>) -> bool {
    // `$(NAME)` is another variable's value.
    matches!(value, EnvValue::Elsewhere) || matches!(value, EnvValue::Text(text) if text.contains("$("))
}

fn text_of<'v>(value: &'v EnvValue<'_>) -> &'v str {
    match value {
        EnvValue::Text(text) => text,
        EnvValue::Missing | EnvValue::Elsewhere => "",
    }
}

/// What `SEED_POD_NETWORK` should say instead; `None` if it is right, or IPv6. It is one network, no list.
fn wanted_seed_pods(seed_pods: Cidr, value: &EnvValue<'_>) -> Option<String> {
    let found: Option<Cidr> = text_of(value).parse().ok();
    let is_fine = found.is_some_and(|found| found == seed_pods || found.family() == Family::V6);
    (!is_fine).then(|| seed_pods.to_string())
}

/// What a list should say instead; `None` if it leads to the same mapping, or nobody can say better.
///
/// gardenlet repeats a network that `status` writes in another way than `spec`, for both ends of the tunnel, and a repetition
/// leaves both with the same mapping; so it is tolerated where all containers are told the same.
fn wanted_networks(kind: NetworkKind, networks: &[Cidr], value: &EnvValue<'_>, is_agreed: bool) -> Option<String> {
    let mut found = Listed::of(text_of(value));
    if is_agreed {
        found.v4 = std::mem::take(&mut found.distinct);
    }
    let lists_v6_only = found.v4.is_empty() && !found.v6.is_empty();
    let is_readable = !found.has_unreadable;
    // What the Cluster does not know cannot be put right.
    if networks.is_empty() || is_readable && (lists_v6_only || found.v4 == networks) {
        return None;
    }
    // Nor can what fits into no mapping.
    let mapping = map_networks(kind, networks).ok()?;
    if is_readable && map_networks(kind, &found.v4).is_ok_and(|found| found == mapping) {
        return None;
    }
    let (first, second) = if found.is_v6_first { (&*found.v6, networks) } else { (networks, &*found.v6) };
    let all: Vec<String> = first.iter().chain(second).map(ToString::to_string).collect();
    // Nor what would be longer than we read: the next time we would find it wrong again.
    Some(all.join(",")).filter(|wanted| wanted.len() <= MOST_BYTES)
}

/// Whether vpn2 would translate by what a container is told.
fn shows_overlap(found: &[Option<(usize, EnvValue<'_>)>; 4]) -> bool {
    let [seed_pods, networks @ ..] = found;
    let text = |found: &Option<(usize, EnvValue<'_>)>| {
        found.as_ref().map_or_else(String::new, |(_, value)| text_of(value).to_owned())
    };
    let Ok(seed_pods) = text(seed_pods).parse::<Cidr>() else { return false };
    networks.iter().any(|found| Listed::of(&text(found)).v4.iter().any(|network| network.overlaps(seed_pods)))
}

impl Correction {
    /// Whether it can be put right.
    pub fn is_possible(&self) -> bool {
        !matches!(self.found, Found::Reference(_))
    }

    /// Puts it right. Corrections of one Pod have to be applied in their order, and before anything that moves its
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
    pub fn path(&self) -> String {
        let env = format!("spec.template.spec.{}[{}].env", self.list, self.index);
        match self.found {
            Found::Value(place, _) => format!("{env}[{place}].value"),
            Found::Reference(place) => format!("{env}[{place}]"),
            Found::Nothing(_) => env,
        }
    }
}

/// What is wrong, for people.
impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}` ", self.variable, excerpt(&self.container))?;
        match &self.found {
            Found::Value(_, Some(text)) => write!(f, "says `{}`", excerpt(text))?,
            Found::Value(_, None) => f.write_str("is empty")?,
            Found::Nothing(_) => f.write_str("is missing")?,
            Found::Reference(_) => f.write_str("is a reference, which nobody can judge before the Pod starts")?,
        }
        write!(f, ", the Cluster says `{}`", self.wanted)
    }
}

#[cfg(test)]
mod tests;
