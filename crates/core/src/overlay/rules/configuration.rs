//! Rules about the configuration of Calico in a Shoot. They compare the old with the new one, and use what is known of
//! the provider. For an unknown provider they report only what Calico alone decides.

use super::{families, limits};
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::providers::NewKey;
use crate::gardener::shoot::OVERLAY_SWITCH;
use crate::gardener::{CALICO, Encapsulation, Key, Pods, Provider, Shoot, Way};
use crate::json::{self, FieldPath};
use crate::net::Family;

rules! {
    /// `overlay` is there without a boolean `enabled`. If `enabled` is missing, Calico reads that as `false`, and some
    /// infrastructure extensions fail on it; if it is something else, Calico cannot read its configuration.
    pub static ENABLED = {
        name: "overlay/enabled",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write `enabled: true` or `enabled: false`.",
        example: || found(None, r#"{"overlay": {}}"#),
    };

    /// The overlay is switched off where Pods have addresses of Calico's own blocks, because of VXLAN or calico-ipam.
    /// Routes lead to the Pod network of each node (spec.podCIDR), so they do not lead to those Pods, even when all
    /// routes are there. In a hibernated Shoot only the addresses of the new configuration count, because all Pods get
    /// new ones. With the annotation `network-guard.extensions.gardener.cloud/overlay-switch: force` on the Shoot it is
    /// a warning. For a new Shoot without an overlay, which has no Pods to cut off yet, it is never more.
    pub static POD_ADDRESSES = {
        name: "overlay/pod-addresses",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Keep the overlay, or begin with a new Shoot. If you know that it works in this landscape, set the annotation.",
        example: || found(Some(ON), r#"{"overlay": {"enabled": false}, "vxlan": {"enabled": true}}"#),
    };

    /// The overlay is switched off on AWS with Kubernetes before 1.22, where instances drop what is not addressed to
    /// themselves.
    pub static OLD_KUBERNETES = {
        name: "overlay/old-kubernetes",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Update Kubernetes first.",
        example: || found(None, OFF),
    };

    /// The overlay is switched off in a Shoot that runs. Without one, a node's Pods are reached only when there is a
    /// route to the node: that takes minutes on large Shoots, and for ever where a quota of routes is exhausted, or
    /// where no routes are made because `overlay` is not set. Not reported where no routes are needed (see the table),
    /// nor for a hibernated Shoot. With `network-guard serve seed` on the Shoot's Seed, and a provider that reports
    /// routes, Calico keeps the overlay until every node has its route. Otherwise Pods on other nodes are cut off
    /// meanwhile.
    pub static SWITCH = {
        name: "overlay/switch",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Risk,
        fix: "Check the condition NetworkUnavailable of the nodes. Where the Seed holds the switch, wait; where it does not, switch at a time when an interruption is acceptable.",
        example: || found(Some(ON), OFF),
    };

    /// The overlay is switched on where nodes had routes of the infrastructure, and the infrastructure stops making
    /// them. Those routes are not removed: they use up quota, and may later lead nowhere. Not reported for a hibernated
    /// Shoot.
    pub static ROUTES_LEFT = {
        name: "overlay/routes-left",
        severity: Severity::Warn,
        // Switching the overlay on again is a remedy while nodes are replaced because they have no route.
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Remove the routes from the infrastructure's route tables afterwards.",
        example: || found(Some(OFF), ON),
    };

    /// There is no encapsulation because of `backend` or `ipv4.mode`, and `overlay` is not set. The infrastructure
    /// extension reads `overlay` only, so it provides no routes. Reported where that is so (see the table): elsewhere
    /// routes are made without the key, or nodes announce them.
    pub static INDIRECT = {
        name: "overlay/indirect",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write `overlay: {enabled: false}` too.",
        example: || found(Some("{}"), r#"{"backend": "none"}"#),
    };

    /// `overlay.createPodRoutes` is set, and the overlay is on: it has no effect.
    pub static POD_ROUTES = {
        name: "overlay/pod-routes",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Notice,
        fix: "Remove it.",
        example: || found(None, r#"{"overlay": {"enabled": true, "createPodRoutes": true}}"#),
    };

    /// A new Shoot with Calico does not set `overlay`. What that means depends on the provider (see the table): the
    /// admission of some extensions sets it, which a manifest does not show. Not reported where the provider has its
    /// own default for Calico.
    pub static DEFAULT_MODE = {
        name: "overlay/default-mode",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Risk,
        fix: "Write what you want; changing it later needs care.",
        example: || found(None, "{}"),
    };
}

const CONFIG: &str = "spec.networking.providerConfig";

const OVERLAY: &str = "spec.networking.providerConfig.overlay";

/// Calico's configuration in a Shoot, and what follows from it.
#[derive(Clone, Copy)]
struct Config<'a> {
    text: Option<&'a str>,
    pods: Pods,
}

impl<'a> Config<'a> {
    /// `stored` as for [`Shoot::pods`].
    fn of(shoot: &Shoot<'a>, stored: Option<&Shoot<'_>>) -> Option<Self> {
        Some(Self { text: shoot.network_config, pods: shoot.pods(stored)? })
    }

    /// The text of a member, if it is present and not `null`.
    fn member(&self, path: &[&str]) -> Option<&'a str> {
        json::find(self.text?, path).filter(|text| *text != "null")
    }

    fn has_overlay(&self) -> bool {
        self.pods.encapsulation == Some(Encapsulation::Overlay)
    }

    /// Whether Pods get addresses of Calico's own blocks.
    fn has_blocks(&self) -> bool {
        self.member(&["vxlan", "enabled"]) == Some("true") || self.member(&["ipam", "type"]) == Some("\"calico-ipam\"")
    }
}

/// The findings about Calico in a Shoot that is created or whose configuration changes. A configuration that cannot be
/// read is left to Calico's own validation.
pub fn check(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    if &*new.network_type != CALICO || !new.has_workers {
        return Vec::new();
    }
    let set_by = if old.is_none() { set_by_admission(new) } else { None };
    // These are Calico's own, on every infrastructure.
    let mut findings: Vec<Finding> =
        [enabled(new), pod_routes(new, old), families::on_with_ipv6(new)].into_iter().flatten().collect();
    let Some(config) = Config::of(new, old) else {
        findings.extend(set_by);
        return findings;
    };
    let is_asleep = new.is_asleep(old);
    let old_config = old.and_then(|old| Config::of(old, Some(old)));
    let goes_native = config.pods.are_native() && old_config.is_some_and(|old| old.has_overlay());
    let becomes_native = goes_native || (old.is_none() && config.pods.are_native());
    let overlay_comes = config.has_overlay() && old_config.is_some_and(|old| old.pods.need_routes());
    let others = [
        goes_native.then(|| pod_addresses(&config, old_config.filter(|_| !is_asleep), new.is_switch_forced)).flatten(),
        if old.is_none() { new_pod_addresses(&config) } else { None },
        becomes_native.then(|| old_kubernetes(new)).flatten(),
        old_config
            .filter(|_| goes_native && !is_asleep)
            .and_then(|old| switch(old.pods, config.pods, families::end_the_overlay(new))),
        (overlay_comes && !is_asleep && config.pods.way != Way::Routes).then(routes_left),
        indirect(&config, new),
        set_by.or_else(|| if old.is_none() { default_mode(&config) } else { None }),
        old.filter(|_| goes_native && !is_asleep).and_then(|old| families::ends_with_families(new, old)),
    ];
    findings.extend(others.into_iter().flatten());
    findings
}

/// The text of a member of Calico's configuration, if it is present and not `null`.
fn member<'a>(shoot: &Shoot<'a>, path: &[&str]) -> Option<&'a str> {
    json::find(shoot.network_config?, path).filter(|text| *text != "null")
}

fn enabled(shoot: &Shoot<'_>) -> Option<Finding> {
    let overlay = member(shoot, &["overlay"])?;
    let message = match member(shoot, &["overlay", "enabled"]) {
        Some("true" | "false") => return None,
        None if overlay.starts_with('{') => "is missing, which Calico reads as false",
        _ => "is not true or false, so Calico cannot read its configuration",
    };
    Some(ENABLED.finding(FieldPath::from(OVERLAY).field("enabled"), message.to_owned(), "write what is meant"))
}

/// `old` is `None` where the Pods of before do not matter.
fn pod_addresses(config: &Config<'_>, old: Option<Config<'_>>, is_forced: bool) -> Option<Finding> {
    let has_blocks = config.has_blocks() || old.is_some_and(|old| old.has_blocks());
    (has_blocks && config.pods.way != Way::Announced).then(|| {
        let message =
            "Pods have addresses of Calico's own blocks (vxlan, calico-ipam), to which no route leads".to_owned();
        if is_forced {
            let help = "it was forced by annotation";
            return POD_ADDRESSES.finding(OVERLAY, message, help).at_most(Severity::Warn);
        }
        POD_ADDRESSES.finding(OVERLAY, message, format!("keep the overlay, or annotate {OVERLAY_SWITCH}=force"))
    })
}

/// For a new Shoot, in which no Pods are cut off: it starts without an overlay.
fn new_pod_addresses(config: &Config<'_>) -> Option<Finding> {
    let is_led_by_routes = config.pods.are_native() && matches!(config.pods.way, Way::Routes | Way::Nowhere);
    (is_led_by_routes && config.has_blocks()).then(|| {
        let message = "Pods will have addresses of Calico's own blocks (vxlan, calico-ipam), to which no route leads";
        let help = "leave those out, or write `overlay: {enabled: true}`";
        POD_ADDRESSES.finding(CONFIG, message.to_owned(), help).at_most(Severity::Warn)
    })
}

fn old_kubernetes(shoot: &Shoot<'_>) -> Option<Finding> {
    let version = &*shoot.kubernetes_version;
    let minor = limits::minor(version)?;
    (&*shoot.provider_type == "aws" && minor < 22).then(|| {
        let message = format!("without an overlay AWS needs Kubernetes 1.22, this is {version}");
        OLD_KUBERNETES.finding(OVERLAY, message, "update Kubernetes first")
    })
}

/// The finding when the tunnels are removed. Where Pods are reached without routes of the infrastructure, nothing that
/// is known has to be waited for.
fn switch(before: Pods, after: Pods, is_by_families: bool) -> Option<Finding> {
    let what = match (after.way, before.way) {
        (Way::Routes, Way::Routes) => {
            "unless the Seed waits for all routes, Pods on nodes without one are cut off; the infrastructure makes routes \
             while there is an overlay too"
        }
        (Way::Routes, _) => {
            "unless the Seed waits for all routes, Pods on other nodes are cut off until theirs are there"
        }
        (Way::Nowhere, _) => "no routes are made, so Pods on other nodes are cut off unless the Seed keeps the overlay",
        (Way::Addresses | Way::Announced, _) => return None,
    };
    Some(if is_by_families {
        let message = format!("ends the overlay, because `overlay` is not set and Calico has none with IPv6: {what}");
        let help = "write `overlay: {enabled: false}` first, and add the family when that is done";
        SWITCH.finding(families::FIELD, message, help)
    } else if after.key == Key::Absent {
        SWITCH.finding(CONFIG, format!("`overlay` is not set, and Calico gives up its overlay: {what}"), "")
    } else {
        SWITCH.finding(OVERLAY, format!("is switched off: {what}"), "")
    })
}

fn routes_left() -> Finding {
    let message = "is switched on: routes of the infrastructure stay behind".to_owned();
    ROUTES_LEFT.finding(OVERLAY, message, "remove them afterwards")
}

fn indirect(config: &Config<'_>, shoot: &Shoot<'_>) -> Option<Finding> {
    let is_indirect = config.pods.are_native() && config.pods.key == Key::Absent && config.pods.way == Way::Nowhere;
    (is_indirect && !shoot.networking.has_family(Family::V6)).then(|| {
        let message =
            "`overlay` is not set, and off by `backend` or `ipv4.mode` only, so no routes are provided".to_owned();
        INDIRECT.finding(CONFIG, message, "write `overlay: {enabled: false}`")
    })
}

fn pod_routes(shoot: &Shoot<'_>, stored: Option<&Shoot<'_>>) -> Option<Finding> {
    let encapsulation = shoot.pods(stored).map_or_else(|| shoot.encapsulation(), |pods| pods.encapsulation);
    let has_overlay = encapsulation == Some(Encapsulation::Overlay);
    (has_overlay && member(shoot, &["overlay", "createPodRoutes"]) == Some("true")).then(|| {
        let path = FieldPath::from(OVERLAY).field("createPodRoutes");
        POD_ROUTES.finding(path, "has no effect while the overlay is on".to_owned(), "remove it")
    })
}

/// The mode that the provider's admission sets in a new Shoot without the key.
fn set_by_admission(shoot: &Shoot<'_>) -> Option<Finding> {
    let provider = Provider::of(&shoot.provider_type).filter(|_| shoot.key() == Key::Absent)?;
    let name = provider.name;
    let message = match provider.new_key {
        NewKey::Off => format!(
            "`overlay` is not set: the admission of provider-{name} makes that `enabled: false`, so Calico will run without an overlay"
        ),
        NewKey::Flag => {
            let mut message = format!(
                "`overlay` is not set: a flag of the admission of provider-{name} decides; unless it was changed, Calico will run with an overlay"
            );
            if shoot.networking.has_family(Family::V6) {
                message.push_str(", which does not go together with IPv6");
                return Some(DEFAULT_MODE.finding(CONFIG, message, "write `overlay: {enabled: false}`"));
            }
            message
        }
        NewKey::Untouched => return None,
    };
    Some(DEFAULT_MODE.finding(CONFIG, message, ""))
}

/// The mode that Calico chooses without the key.
fn default_mode(config: &Config<'_>) -> Option<Finding> {
    let says_so = ["backend", "ipv4"].iter().any(|key| config.member(&[key]).is_some());
    let has_own_default = !config.pods.provider.has_calico_overlay || config.pods.way == Way::Announced;
    if config.pods.key != Key::Absent || says_so || has_own_default {
        return None;
    }
    let mode = match config.pods.encapsulation? {
        Encapsulation::Overlay => "with an overlay",
        Encapsulation::Native => "without an overlay",
    };
    Some(DEFAULT_MODE.finding(CONFIG, format!("`overlay` is not set, so Calico will run {mode}"), ""))
}

const ON: &str = r#"{"overlay": {"enabled": true}}"#;
const OFF: &str = r#"{"overlay": {"enabled": false}}"#;

/// What is found where the configuration of Calico changes in a Shoot on AWS, for examples.
fn found(old: Option<&'static str>, new: &'static str) -> Vec<Finding> {
    let shoot = |config| Shoot {
        network_type: CALICO.into(),
        network_config: Some(config),
        kubernetes_version: "1.21.14".into(),
        provider_type: "aws".into(),
        has_workers: true,
        ..Shoot::default()
    };
    check(&shoot(new), old.map(shoot).as_ref())
}

#[cfg(test)]
mod tests;
