//! The rules of this room, beside the words that they say. They look at the configuration of Calico in a Shoot, as it was
//! and as it shall be.

use super::{Encapsulation, limits, vpc};
use crate::admission::{Finding, Rank, Rule, Severity};
pub use crate::gardener::CALICO;
use crate::gardener::shoot::OVERLAY_SWITCH;
use crate::gardener::{Shoot, json};
use crate::net::Family;

/// `overlay` without a clear `enabled`.
pub static ENABLED: Rule = Rule {
    name: "overlay/enabled",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "`overlay` is there without a boolean `enabled`. Calico reads that as `false`, and some infrastructure extensions fail on it.",
    fix: "Write `enabled: true` or `enabled: false`.",
};

/// Pods have addresses that no route leads to.
pub static POD_ADDRESSES: Rule = Rule {
    name: "overlay/pod-addresses",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The overlay is switched off where Pods have addresses of Calico's own blocks, because of VXLAN or calico-ipam. Routes lead to the Pod network of each node (spec.podCIDR), so they do not lead to those Pods, even when all routes are there. With the annotation `network-guard.extensions.gardener.cloud/overlay-switch: force` on the Shoot it is a warning.",
    fix: "Keep the overlay, or begin with a new Shoot. Whoever knows that it works here sets the annotation.",
};

/// AWS and an old Kubernetes.
pub static OLD_KUBERNETES: Rule = Rule {
    name: "overlay/old-kubernetes",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The overlay is switched off on AWS with Kubernetes before 1.22, where instances drop what is not addressed to themselves.",
    fix: "Update Kubernetes first.",
};

/// Pods wait for routes.
pub static SWITCH: Rule = Rule {
    name: "overlay/switch",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Risk,
    summary: "The overlay is switched off in a Shoot that runs. Without one, a node's Pods are reached only when there is a route to the node: that takes minutes on large Shoots, and for ever where a quota of routes is exhausted. With `network-guard serve seed` on the Shoot's Seed, and a provider that reports routes, Calico keeps the overlay until every node has its route. Otherwise Pods on other nodes are cut off meanwhile.",
    fix: "Look at the condition NetworkUnavailable of the nodes. Where the Seed holds the switch, wait; where it does not, do it when nobody minds.",
};

/// Routes stay behind.
pub static ROUTES_LEFT: Rule = Rule {
    name: "overlay/routes-left",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Notice,
    summary: "The overlay is switched on where nodes had routes. Nobody removes those routes: they use up quota, and may later lead nowhere.",
    fix: "Remove the routes from the infrastructure's route tables afterwards.",
};

/// Native by a side door.
pub static INDIRECT: Rule = Rule {
    name: "overlay/indirect",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "There is no encapsulation because of `backend` or `ipv4.mode`, and no word about `overlay`. Infrastructure extensions look at `overlay` only, so they provide no routes.",
    fix: "Write `overlay: {enabled: false}` too.",
};

/// Routes between nodes that nobody asked for.
pub static POD_ROUTES: Rule = Rule {
    name: "overlay/pod-routes",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Notice,
    summary: "`overlay.createPodRoutes` is set, and the overlay is on: it has no effect.",
    fix: "Remove it.",
};

/// Which mode it will be.
pub static DEFAULT_MODE: Rule = Rule {
    name: "overlay/default-mode",
    severity: Severity::Warn,
    up_to: Some(Severity::Warn),
    rank: Rank::Risk,
    summary: "A new Shoot with Calico says nothing about the overlay, and no infrastructure extension did.",
    fix: "Write what is wanted; it cannot be changed later without care.",
};

const CONFIG: &str = "spec.networking.providerConfig";

/// Calico's configuration in a Shoot.
struct Config<'a> {
    text: Option<&'a str>,
    encapsulation: Option<Encapsulation>,
}

impl<'a> Config<'a> {
    fn of(shoot: &Shoot<'a>) -> Self {
        Self { text: shoot.network_config, encapsulation: shoot.encapsulation() }
    }

    /// The text of a member, if it is there and not `null`.
    fn member(&self, path: &[&str]) -> Option<&'a str> {
        json::find(self.text?, path).filter(|text| *text != "null")
    }

    fn is(&self, encapsulation: Encapsulation) -> bool {
        self.encapsulation == Some(encapsulation)
    }

    /// Whether Pods get addresses of Calico's own blocks.
    fn has_blocks(&self) -> bool {
        self.member(&["vxlan", "enabled"]) == Some("true") || self.member(&["ipam", "type"]) == Some("\"calico-ipam\"")
    }
}

/// Whether an update leaves everything alone that Pods without an overlay depend on, and that is not part of the network's
/// own configuration: how many nodes there may be, and where.
pub fn is_untouched(new: &Shoot<'_>, old: &Shoot<'_>) -> bool {
    let is_same_place = old.infrastructure_config == new.infrastructure_config;
    (is_same_place && new.max_nodes() <= old.max_nodes()) || !new.is_native()
}

/// What there is to say about Calico in a Shoot that is created or whose configuration changes. A configuration that
/// cannot be read is Calico's own business.
pub fn check(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    if &*new.network_type != CALICO || !new.has_workers {
        return Vec::new();
    }
    let (config, old) = (Config::of(new), old.map(Config::of));
    let switches = |from, to| old.as_ref().is_some_and(|old| old.is(from) && config.is(to));
    let goes_native = switches(Encapsulation::Overlay, Encapsulation::Native);
    let is_native_anew = goes_native || (old.is_none() && config.is(Encapsulation::Native));
    [
        enabled(&config),
        goes_native.then(|| pod_addresses(&config, old.as_ref(), new.is_switch_forced)).flatten(),
        is_native_anew.then(|| old_kubernetes(new)).flatten(),
        goes_native.then(switch),
        switches(Encapsulation::Native, Encapsulation::Overlay).then(routes_left),
        indirect(&config, new),
        pod_routes(&config),
        old.is_none().then(|| default_mode(&config)).flatten(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn enabled(config: &Config<'_>) -> Option<Finding> {
    config.member(&["overlay"])?;
    (!matches!(config.member(&["overlay", "enabled"]), Some("true" | "false"))).then(|| {
        let message = "is not true or false, which Calico reads as false".to_owned();
        ENABLED.finding(&format!("{CONFIG}.overlay.enabled"), message, "write what is meant")
    })
}

fn pod_addresses(config: &Config<'_>, old: Option<&Config<'_>>, is_forced: bool) -> Option<Finding> {
    (config.has_blocks() || old.is_some_and(Config::has_blocks)).then(|| {
        let message =
            "Pods have addresses of Calico's own blocks (vxlan, calico-ipam), to which no route leads".to_owned();
        let path = format!("{CONFIG}.overlay");
        if is_forced {
            let help = "it was forced by annotation";
            return POD_ADDRESSES.finding(&path, message, help).at_most(Severity::Warn);
        }
        POD_ADDRESSES.finding(&path, message, format!("keep the overlay, or annotate {OVERLAY_SWITCH}=force"))
    })
}

fn old_kubernetes(shoot: &Shoot<'_>) -> Option<Finding> {
    let version = &*shoot.kubernetes_version;
    let minor = limits::minor(version)?;
    (&*shoot.provider_type == "aws" && minor < 22).then(|| {
        let message = format!("without an overlay AWS needs Kubernetes 1.22, this is {version}");
        OLD_KUBERNETES.finding(&format!("{CONFIG}.overlay"), message, "update Kubernetes first")
    })
}

fn switch() -> Finding {
    let message =
        "is switched off: unless the Seed waits for all routes, Pods on other nodes are cut off until theirs are there"
            .to_owned();
    SWITCH.finding(&format!("{CONFIG}.overlay"), message, "")
}

fn routes_left() -> Finding {
    let message = "is switched on: routes of the infrastructure stay behind".to_owned();
    ROUTES_LEFT.finding(&format!("{CONFIG}.overlay"), message, "remove them afterwards")
}

fn indirect(config: &Config<'_>, shoot: &Shoot<'_>) -> Option<Finding> {
    let says_so = config.member(&["overlay"]).is_some();
    (config.is(Encapsulation::Native) && !says_so && !shoot.networking.has_family(Family::V6)).then(|| {
        let message = "is off by `backend` or `ipv4.mode` only, so nobody provides routes".to_owned();
        INDIRECT.finding(&format!("{CONFIG}.overlay"), message, "write `enabled: false`")
    })
}

fn pod_routes(config: &Config<'_>) -> Option<Finding> {
    (config.is(Encapsulation::Overlay) && config.member(&["overlay", "createPodRoutes"]) == Some("true")).then(|| {
        let path = format!("{CONFIG}.overlay.createPodRoutes");
        POD_ROUTES.finding(&path, "has no effect while the overlay is on".to_owned(), "remove it")
    })
}

fn default_mode(config: &Config<'_>) -> Option<Finding> {
    let says_so = ["overlay", "backend", "ipv4"].iter().any(|key| config.member(&[key]).is_some());
    let mode = match config.encapsulation? {
        Encapsulation::Overlay => "with an overlay",
        Encapsulation::Native => "without an overlay",
    };
    (!says_so).then(|| DEFAULT_MODE.finding(CONFIG, format!("says nothing about it, so Calico will run {mode}"), ""))
}

/// All rules with an example of each, in the order of the documentation.
pub fn documented() -> Vec<(&'static Rule, Finding)> {
    let of = |text: &'static str| Config {
        text: Some(text),
        encapsulation: super::encapsulation(Some(text), &[Family::V4]).ok(),
    };
    let example = |finding: Option<Finding>| finding.expect("an example of what is wrong");
    let aws = Shoot { kubernetes_version: "1.21.14".into(), provider_type: "aws".into(), ..Shoot::default() };
    let mut all = vec![
        (&ENABLED, example(enabled(&of(r#"{"overlay":{}}"#)))),
        (&POD_ADDRESSES, example(pod_addresses(&of(r#"{"vxlan":{"enabled":true}}"#), None, false))),
        (&OLD_KUBERNETES, example(old_kubernetes(&aws))),
        (&SWITCH, switch()),
        (&ROUTES_LEFT, routes_left()),
        (&INDIRECT, example(indirect(&of(r#"{"backend":"none"}"#), &aws))),
        (&POD_ROUTES, example(pod_routes(&of(r#"{"overlay":{"enabled":true,"createPodRoutes":true}}"#)))),
        (&DEFAULT_MODE, example(default_mode(&of("{}")))),
    ];
    all.extend(limits::documented());
    all.extend(vpc::documented());
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A Shoot with this configuration of Calico.
    fn shoot(config: &Value) -> Value {
        json!({
            "spec": {
                "kubernetes": {"version": "1.36.1"},
                "networking": {"type": "calico", "providerConfig": config},
                "provider": {"type": "aws", "workers": [{}]},
            },
        })
    }

    fn said(old: Option<&Value>, new: &Value) -> Vec<String> {
        let (old, new) = (old.map(Value::to_string), new.to_string());
        let old = old.as_deref().map(|old| Shoot::read(old).unwrap());
        check(&Shoot::read(&new).unwrap(), old.as_ref())
            .iter()
            .map(|finding| format!("{} {}", finding.severity.name(), finding.rule.strip_prefix("overlay/").unwrap()))
            .collect()
    }

    #[test]
    fn what_a_configuration_says() {
        let on = || json!({"overlay": {"enabled": true}});
        let off = || json!({"overlay": {"enabled": false}});
        for (what, old, new, want) in [
            ("on", None, on(), &[][..]),
            ("off", None, off(), &[]),
            ("nothing", None, json!(null), &["warn default-mode"]),
            ("nothing about it", None, json!({"typha": {"enabled": true}}), &["warn default-mode"]),
            ("no word, as before", Some(json!(null)), json!({"typha": {"enabled": true}}), &[]),
            ("an empty overlay", None, json!({"overlay": {}}), &["deny enabled"]),
            ("a text", None, json!({"overlay": {"enabled": "no"}}), &["deny enabled"]),
            ("no overlay at all", None, json!({"overlay": null, "backend": "bird"}), &[]),
            ("off while it runs", Some(on()), off(), &["warn switch"]),
            ("off, as it was not said before", Some(json!(null)), off(), &["warn switch"]),
            ("off, as it was", Some(off()), json!({"overlay": {"enabled": false}, "vethMTU": "1400"}), &[]),
            ("on again", Some(off()), on(), &["warn routes-left"]),
            (
                "off with VXLAN before",
                Some(json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}})),
                off(),
                &["deny pod-addresses", "warn switch"],
            ),
            (
                "off with VXLAN still",
                Some(on()),
                json!({"overlay": {"enabled": false}, "vxlan": {"enabled": true}}),
                &["deny pod-addresses", "warn switch"],
            ),
            (
                "off with blocks",
                Some(on()),
                json!({"overlay": {"enabled": false}, "ipam": {"type": "calico-ipam"}}),
                &["deny pod-addresses", "warn switch"],
            ),
            ("VXLAN stays on", Some(on()), json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}}), &[]),
            ("off by the backend", Some(on()), json!({"backend": "none"}), &["warn switch", "warn indirect"]),
            ("off by the mode", None, json!({"ipv4": {"mode": "Never"}}), &["warn indirect"]),
            (
                "routes between nodes",
                None,
                json!({"overlay": {"enabled": true, "createPodRoutes": true}}),
                &["warn pod-routes"],
            ),
            ("routes between nodes, off", None, json!({"overlay": {"enabled": false, "createPodRoutes": true}}), &[]),
            ("not readable", Some(on()), json!({"overlay": {"enabled": true}, "backend": 5}), &[]),
        ] {
            assert_eq!(said(old.as_ref().map(shoot).as_ref(), &shoot(&new)), want, "{what}");
        }
    }

    #[test]
    fn whoever_forces_it_is_warned_only() {
        let mut old = shoot(&json!({"overlay": {"enabled": true}, "ipam": {"type": "calico-ipam"}}));
        for (value, want) in [("force", "warn pod-addresses"), ("yes", "deny pod-addresses")] {
            let mut new = shoot(&json!({"overlay": {"enabled": false}}));
            new["metadata"] = json!({"annotations": {OVERLAY_SWITCH: value}});
            assert_eq!(said(Some(&old), &new), [want, "warn switch"], "{value}");
        }
        // What is stored forces nothing.
        old["metadata"] = json!({"annotations": {OVERLAY_SWITCH: "force"}});
        assert_eq!(
            said(Some(&old), &shoot(&json!({"overlay": {"enabled": false}}))),
            ["deny pod-addresses", "warn switch"]
        );
    }

    #[test]
    fn only_calico_with_workers_is_looked_at() {
        let new = shoot(&json!({"overlay": {}}));
        for (pointer, value) in [("/spec/networking/type", json!("cilium")), ("/spec/provider/workers", json!([]))] {
            let mut new = new.clone();
            *new.pointer_mut(pointer).unwrap() = value;
            assert_eq!(said(None, &new), Vec::<String>::new(), "{pointer}");
        }
    }

    #[test]
    fn two_families_need_no_word() {
        let mut new = shoot(&json!({"backend": "none"}));
        new["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        assert_eq!(said(None, &new), Vec::<String>::new());
        new["spec"]["networking"]["providerConfig"] = json!(null);
        assert_eq!(said(None, &new), ["warn default-mode"]);
    }

    #[test]
    fn old_kubernetes_on_aws() {
        for (version, provider, want) in [
            ("1.21.14", "aws", &["deny old-kubernetes"][..]),
            ("1.22.0", "aws", &[]),
            ("1.21.14", "openstack", &[]),
            ("weird", "aws", &[]),
        ] {
            let mut new = shoot(&json!({"overlay": {"enabled": false}}));
            new["spec"]["kubernetes"]["version"] = json!(version);
            new["spec"]["provider"]["type"] = json!(provider);
            assert_eq!(said(None, &new), want, "{version} {provider}");
        }
    }

    #[test]
    fn every_example_is_of_its_rule_and_every_name_is_unique() {
        let documented = documented();
        for (rule, example) in &documented {
            assert_eq!(rule.name, example.rule);
            assert!(rule.name.starts_with("overlay/"), "{}", rule.name);
        }
        let unique: std::collections::BTreeSet<_> = documented.iter().map(|(rule, _)| rule.name).collect();
        assert_eq!(unique.len(), documented.len());
    }
}
