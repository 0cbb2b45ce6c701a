//! What is true of a Shoot, by what is known of providers, told without the rules: the model that their sentences are held against.

use super::*;

/// What is true of a Shoot at one time.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Truth {
    key: Option<bool>,
    tunnels: Option<bool>,
    routes: bool,
    /// Pods are reached without routes.
    reached: bool,
    blocks: bool,
    nodes: u64,
    sleeps: bool,
}

impl Truth {
    fn of(case: &Case, state: &State, old: Option<&State>) -> Self {
        let key = case.settled(state, old);
        // Of an update the status is what is stored.
        let stored = old.unwrap_or(state);
        Self {
            key,
            tunnels: case.has_tunnels(key, state),
            routes: case.makes_routes(key, state, stored.has_two_networks),
            reached: case.is_reached_anyhow(state, stored.has_two_networks),
            sleeps: state.sleeps && stored.sleeps,
            blocks: matches!(state.extra, Extra::Vxlan | Extra::CalicoIpam),
            nodes: state.maximum + state.surge.machines(state.maximum),
        }
    }
}

/// The nodes that may have a route; `None` where that is unknown.
fn limit(case: &Case) -> Option<u64> {
    case.limit.or(match case.provider {
        "aws" => Some(500),
        "gcp" => Some(300),
        "alicloud" => Some(200),
        _ => None,
    })
}

/// Why a sentence is not true; `Ok` if it is.
pub(super) fn verify(case: &Case, finding: &Finding) -> Result<(), &'static str> {
    let new = Truth::of(case, &case.new, case.old.as_ref());
    let old = case.old.as_ref().map(|old| Truth::of(case, old, Some(old)));
    let is_calico = case.network == "calico";
    let gives_up = old.as_ref().is_some_and(|old| old.tunnels == Some(true)) && new.tunnels == Some(false);
    let says = |words: &str| finding.message.contains(words);
    let true_if = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
    // What Calico alone decides is true of every provider.
    let is_calicos = ["overlay/enabled", "overlay/pod-routes", "overlay/on-with-ipv6"].contains(&finding.rule.name);
    // So is what its operator says.
    let is_configured = finding.rule.name == "overlay/route-limit" && case.limit.is_some();
    true_if(is_calicos || is_configured || case.is_known(), "nothing is known of the provider")?;
    match finding.rule.name {
        "overlay/enabled" => true_if(is_calico && case.new.overlay == Written::Empty, "there is a boolean"),
        "overlay/pod-addresses" => {
            let pods_of_before = old.is_some_and(|old| old.blocks) && !new.sleeps;
            if case.old.is_none() {
                true_if(new.tunnels == Some(false) && new.blocks, "no Pod will have such an address")?;
                return true_if(new.routes || !new.reached, "no routes are needed");
            }
            true_if(gives_up && (new.blocks || pods_of_before), "no Pod has such an address")?;
            true_if(case.provider != "metal", "BGP may announce them")
        }
        "overlay/old-kubernetes" => {
            true_if(case.provider == "aws" && new.tunnels == Some(false) && case.version < 22, "it works")
        }
        "overlay/switch" => {
            true_if(is_calico && gives_up, "Calico does not give up an overlay")?;
            true_if(!new.sleeps, "there is no Pod")?;
            true_if(new.routes || !new.reached, "no routes are needed")?;
            true_if(says("is not set") == new.key.is_none(), "it is set, or not")?;
            let had_routes = old.is_some_and(|old| old.routes);
            true_if(says("no routes are made") != new.routes, "somebody makes routes, or nobody")?;
            true_if(says("until theirs are there") == (new.routes && !had_routes), "routes come, or were there")?;
            true_if(says("while there is an overlay too") == (new.routes && had_routes), "there were none, or some")
        }
        "overlay/routes-left" => {
            true_if(new.tunnels == Some(true) && !new.sleeps, "there is no overlay, or no node")?;
            true_if(old.is_some_and(|old| old.routes) && !new.routes, "there were no routes, or they are taken care of")
        }
        "overlay/indirect" => {
            true_if(is_calico && new.tunnels == Some(false) && new.key.is_none(), "it is not indirect")?;
            true_if(!new.routes && !new.reached, "somebody leads to Pods")
        }
        "overlay/pod-routes" => true_if(new.tunnels == Some(true), "there is no overlay"),
        "overlay/default-mode" => {
            true_if(case.old.is_none() && matches!(case.new.overlay, Written::Absent | Written::Null), "it is set")?;
            let is_without = says("without an overlay");
            true_if(is_without != says("with an overlay"), "it says either")?;
            true_if(new.tunnels == Some(!is_without), "it will run in the other mode")
        }
        "overlay/admission-policy" => {
            true_if(is_calico && gives_up && !new.sleeps && new.routes, "nothing waits for routes")?;
            let has_one = ["aws", "gcp", "openstack"].contains(&case.provider);
            // Beta, and off by default, in these.
            let is_there = case.version >= 36 || matches!(case.version, 34 | 35) && case.opts_in == (true, true);
            true_if(has_one && !is_there, "it is there, or never")
        }
        "overlay/route-limit" => {
            let needs_none = new.tunnels != Some(false) || (case.is_known() && !new.routes && case.provider != "metal");
            true_if(!needs_none, "no routes are needed")?;
            true_if(limit(case).is_some_and(|limit| new.nodes > limit), "there are enough")?;
            true_if(says("with maxSurge") == (new.nodes > case.new.maximum), "there is some surge, or none")?;
            true_if(says(&format!("may become {} nodes", new.nodes)), "it counts others")
        }
        "overlay/shared-vpc" => {
            let (network, overlay, has_own_table) = case.other;
            let is_apart = case.provider == "alicloud" && (case.new.has_own_table || has_own_table);
            true_if(!is_apart, "one of them has a table of its own")?;
            let other = Case { network, ..case.clone() };
            let state = State::plain(overlay, case.new.families);
            let other = Truth::of(&other, &state, Some(&state));
            true_if(new.routes && other.routes, "one of them has no routes")?;
            let is_native = [new.tunnels, other.tunnels].contains(&Some(false));
            true_if(is_native, "tunnels lead to the Pods of both")?;
            let is_alone = matches!(case.provider, "alicloud" | "azure" | "ironcore" | "ironcore-metal");
            true_if(says("without an overlay") != is_alone, "an overlay ends routes, or does not")
        }
        // Families, as `overlay::families` says it.
        "overlay/with-families" => {
            let stored = case.old.as_ref().ok_or("there is no switch")?;
            true_if(case.provider == "gcp" && gives_up && !new.sleeps, "there are routes, or no nodes")?;
            true_if(case.new.has("IPv6") || stored.has_two_networks, "there is one family")?;
            true_if(
                says("once the infrastructure has") == stored.has_two_networks,
                "the infrastructure has it, or not",
            )?;
            let comes = !stored.has("IPv6") && !stored.has_two_networks;
            true_if(says("together with a second") == comes, "it comes in this edit, or was there")?;
            true_if(says("is not set") == new.key.is_none(), "it is set, or not")
        }
        "overlay/on-with-ipv6" => true_if(is_calico && case.new.has("IPv6") && new.key == Some(true), "it is not on"),
        _ => Err("the model does not know this rule"),
    }
}

/// The rules that have to speak, of those whose silence would be a fault.
pub(super) fn owed(case: &Case) -> Vec<&'static str> {
    let new = Truth::of(case, &case.new, case.old.as_ref());
    let old = case.old.as_ref().map(|old| Truth::of(case, old, Some(old)));
    let mut owed = Vec::new();
    let is_as_before = case
        .old
        .as_ref()
        .is_some_and(|old| Case::config(old) == Case::config(&case.new) && old.families == case.new.families);
    let was_empty = case.old.as_ref().is_some_and(|old| old.overlay == Written::Empty);
    if case.network == "calico" && case.new.overlay == Written::Empty && !was_empty {
        owed.push("overlay/enabled");
    }
    if !case.is_known() {
        return owed;
    }
    let needs_routes = |truth: &Truth| truth.tunnels == Some(false) && truth.routes;
    // What a new Shoot on OpenStack gets depends on flags.
    let is_settled = case.old.is_some()
        || case.provider != "openstack"
        || !matches!(case.new.overlay, Written::Absent | Written::Null);
    let grows = old.as_ref().is_none_or(|old| !needs_routes(old) || old.nodes < new.nodes);
    if needs_routes(&new) && is_settled && grows && limit(case).is_some_and(|limit| new.nodes > limit) {
        owed.push("overlay/route-limit");
    }
    let loses_overlay = old.is_some_and(|old| old.tunnels == Some(true)) && new.tunnels == Some(false);
    if case.network == "calico" && loses_overlay && !is_as_before && !new.sleeps {
        if new.routes || !new.reached {
            owed.push("overlay/switch");
        }
        let had_two = case.old.as_ref().is_some_and(|old| old.has_two_networks);
        if case.provider == "gcp" && (case.new.has("IPv6") || had_two) {
            owed.push("overlay/with-families");
        }
        if !new.routes && !new.reached && !case.new.has("IPv6") {
            owed.push("overlay/indirect");
        }
    }
    owed
}
