//! Rules about the configured node networks: permitted prefix lengths, and the default for Shoots that set none.

use crate::diagnostics::ratchet::compare;
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::net::{Cidr, Family};

use super::super::settings::{NodePrefixes, Settings};
use super::super::subject::Subject;
use super::pair::{NODES, Pair, clash, conflicting};
use super::scene::{SCENE, Scene};
use super::words::names_within;

rules! {
    /// One of the two Shoots has a default node network (`peering.defaultNodeNetworks` of the configuration), or sets
    /// none and will get it. Connections may work in one direction only, and the next Shoot may get the same network.
    /// If the other Shoot has it already, or gets it too, there can be no routes.
    pub static DEFAULT_NODES = {
        name: "peering/default-nodes",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Risk,
        fix: "Choose a separate node network for every Shoot with peers.",
        example: || {
            let default_node_networks = "10.250.0.0/16".parse().into_iter().collect();
            let settings = Settings { default_node_networks, ..Settings::default() };
            let scene = Scene { networking: r#"{"nodes": "10.250.7.0/27"}"#, ..SCENE };
            scene.of(|subject| own(subject, &settings)).into_iter().collect()
        },
    };

    /// The prefix of an IPv4 node network is shorter or longer than the platform permits: `peering.nodePrefixLengths`
    /// of the configuration; without it the rule is not applied. The Open Sovereign Cloud permits /23 and longer ones,
    /// and gives a /27 to a Shoot that sets none.
    pub static PREFIX = {
        name: "peering/nodes-prefix",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose a node network with such a prefix before the Shoot is created: it can grow, and never shrink.",
        example: || {
            let settings = Settings { node_prefixes: NodePrefixes::new(23, 32), ..Settings::default() };
            let scene = Scene { networking: r#"{"nodes": "10.5.0.0/22"}"#, ..SCENE };
            scene.of(|subject| prefix(subject, &settings)).into_iter().collect()
        },
    };
}

const ONE_WAY: &str = "routes may work in one direction only";
const SET_IT: &str = "set spec.networking.nodes";

/// The maximum length of a list of default networks, in characters.
const ROOM: usize = 60;

/// The first of these networks that overlaps a default one, with that default.
fn in_default(nodes: &[Cidr], settings: &Settings) -> Option<(Cidr, Cidr)> {
    let default = |nodes: Cidr| settings.default_node_networks.iter().find(|default| default.overlaps(nodes));
    nodes.iter().find_map(|nodes| Some((*nodes, *default(*nodes)?)))
}

/// The Shoot's own network, where it is a default one. Growing within a stored conflict is always permitted.
pub(super) fn own(subject: &Subject<'_>, settings: &Settings) -> Option<Finding> {
    let overlaps = |own: Cidr| settings.default_node_networks.iter().filter(move |default| default.overlaps(own));
    let of = |nodes: &[Cidr]| -> Vec<Finding> {
        nodes.iter().flat_map(|own| overlaps(*own).map(|default| say_own(*own, *default))).collect()
    };
    compare(of(subject.networks.nodes()), &of(subject.old_nodes())).first()
}

fn say_own(own: Cidr, default: Cidr) -> Finding {
    let message = format!("{own} {} the default node network {default}", own.lies(default));
    DEFAULT_NODES.finding(NODES, message, ONE_WAY).about(default.to_string())
}

/// The default network that a Shoot without a node network gets, if one is configured.
pub(super) fn own_to_come(subject: &Subject<'_>, settings: &Settings) -> Option<Finding> {
    let message = match &*settings.default_node_networks {
        [] => return None,
        [default] => {
            format!("is not set, so this Shoot gets the default {default}, like every Shoot that does not set it")
        }
        several => format!("is not set, so this Shoot gets one of the defaults {}", names_within(several, ROOM)),
    };
    let most = if subject.is_new() { Severity::Deny } else { Severity::Warn };
    Some(DEFAULT_NODES.finding(NODES, message, "set it to a network of its own").at_most(most))
}

/// A conflict of a pair with a default network: one that a Shoot has, or will get.
pub(super) fn of_pair(pair: &Pair<'_>) -> Option<Finding> {
    let (defaults, name) = (&*pair.settings.default_node_networks, &pair.listed.target);
    if defaults.is_empty() {
        return None;
    }
    let (own, target) = (pair.subject.networks.nodes(), pair.target.visible());
    let gets_own = own.is_empty() && !pair.subject.is_workerless;
    let gets_target = target.is_some_and(|facts| facts.networks.nodes().is_empty() && !facts.is_workerless);
    let say = |message: String, help: &'static str| Some(DEFAULT_NODES.finding(pair.path(), message, help));
    // With several defaults it is unknown which one the Shoot gets: a denial needs a conflict with all of them.
    let gets = if defaults.len() == 1 { "gets" } else { "may get" };
    let weigh = |finding: Finding, all: bool| finding.at_most(if all { Severity::Deny } else { Severity::Warn });
    if gets_own && gets_target {
        let both = format!("this Shoot and {name} set no node network, and both");
        return match defaults {
            [default] => say(format!("{both} get the default {default}"), SET_IT),
            several => {
                let message = format!("{both} may get the same of the defaults {}", names_within(several, ROOM));
                let all = several.iter().all(|one| several.iter().all(|other| one.overlaps(*other)));
                say(message, SET_IT).map(|finding| weigh(finding, all))
            }
        };
    }
    if gets_own && let Some(clash) = clash(pair, defaults) {
        let message = match clash {
            Some((default, theirs)) if default == theirs => {
                format!("the default {default} that this Shoot {gets} is identical to the node network of {name}")
            }
            Some((default, theirs)) => {
                format!("the default {default} that this Shoot {gets} overlaps {theirs} of {name}")
            }
            None => format!("the default that this Shoot {gets} overlaps the node network of {name}"),
        };
        let all = defaults.iter().all(|default| self::clash(pair, &[*default]).is_some());
        return say(message, SET_IT).map(|finding| weigh(finding, all));
    }
    if gets_target && let Some((own_one, default)) = conflicting(own, defaults) {
        let overlaps = if own_one == default { "is identical to" } else { "overlaps" };
        let message = format!("the default {default} that {name} {gets} {overlaps} {own_one} of this Shoot");
        let all = defaults.iter().all(|default| own.iter().any(|own| own.overlaps(*default)));
        return say(message, "set a node network there").map(|finding| weigh(finding, all));
    }
    let (nodes, default) = in_default(target?.networks.nodes(), pair.settings)?;
    say(format!("node network {nodes} of {name} {} the default {default}", nodes.lies(default)), ONE_WAY)
}

/// A network of the Shoot that is larger or smaller than the platform permits. Growing is always permitted: a network that
/// was too large or too small before may stay so.
pub(super) fn prefix(subject: &Subject<'_>, settings: &Settings) -> Option<Finding> {
    let permitted = settings.node_prefixes.as_ref()?;
    let is_outside = |cidr: &&Cidr| cidr.family() == Family::V4 && !permitted.contains(cidr.prefix_len());
    let of = |nodes: &[Cidr]| -> Vec<Finding> {
        nodes.iter().filter(is_outside).map(|cidr| say_prefix(*cidr, permitted)).collect()
    };
    compare(of(subject.networks.nodes()), &of(subject.old_nodes())).first()
}

fn say_prefix(cidr: Cidr, permitted: &NodePrefixes) -> Finding {
    let (shortest, longest) = (permitted.shortest(), permitted.longest());
    if cidr.prefix_len() < shortest {
        let message = format!("{cidr} is larger than a /{shortest}, the largest node network here");
        PREFIX.finding(NODES, message, format!("choose a /{shortest} or a smaller one")).about("too large")
    } else {
        let message = format!("{cidr} is smaller than a /{longest}, the smallest node network here");
        PREFIX.finding(NODES, message, format!("choose a /{longest} or a larger one")).about("too small")
    }
}
