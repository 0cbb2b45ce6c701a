//! Rules about the overlay and a second IP family. `overlay::families` says what Calico makes of both.

use super::super::families::{TWO_NODE_NETWORKS, has_no_routes_with_two_families};
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{Encapsulation, Key, Shoot};
use crate::json::{self, FieldPath};
use crate::net::Family;

rules! {
    /// The overlay is switched off in a Shoot on GCP that has a second IP family, gets one in the same edit, or had one
    /// once, so that its infrastructure has it (two networks in `status.networking.nodes`). There the infrastructure
    /// extension makes no routes as soon as a Shoot has two families: nodes that are created from then on have alias
    /// ranges instead, and those that are there already get them only in exchange for routes that they have. So Pods on
    /// nodes without a route are cut off until the nodes are replaced, and a Seed that holds the switch does so until
    /// it is forced or reverted. Once the infrastructure has the second family, removing it does not bring routes. Not
    /// reported for a hibernated Shoot: all its nodes will be new.
    pub static TOGETHER = {
        name: "overlay/with-families",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Switch the overlay off alone; add the second family when Calico runs without an overlay.",
        example: || {
            let old = shoot(r#""IPv4""#, r#"{"overlay": {"enabled": true}}"#);
            let new = shoot(r#""IPv4", "IPv6""#, r#"{"overlay": {"enabled": false}}"#);
            let read = |text| Shoot::read(text).expect("a constant");
            ends_with_families(&read(&new), &read(&old)).into_iter().collect()
        },
    };

    /// `overlay.enabled` is true in a Shoot with IPv6. Calico never encapsulates IPv6. For IPv4 its pool asks for an
    /// IPIP tunnel, but Calico makes none as soon as there is IPv6; only with `vxlan.enabled` there is one. Gardener
    /// supports IPv6 without an overlay only, and some infrastructure extensions (AWS, GCP) refuse it otherwise.
    pub static ON_WITH_IPV6 = {
        name: "overlay/on-with-ipv6",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Switch the overlay off first, and add IPv6 when Calico runs without one.",
        example: || {
            let new = shoot(r#""IPv4", "IPv6""#, r#"{"overlay": {"enabled": true}}"#);
            on_with_ipv6(&Shoot::read(&new).expect("a constant")).into_iter().collect()
        },
    };
}

/// Where a Shoot lists its families.
pub(super) const FIELD: &str = "spec.networking.ipFamilies";

const CONFIG: &str = "spec.networking.providerConfig";

const OVERLAY: &str = "spec.networking.providerConfig.overlay";

/// Whether the families end the overlay of a Shoot that does not set `overlay`.
pub(super) fn end_the_overlay(new: &Shoot<'_>) -> bool {
    let says_so = new.network_config.and_then(|config| json::find(config, &["overlay"])).is_some_and(|it| it != "null");
    let alone = crate::gardener::encapsulation(new.network_config, &[Family::V4]).ok();
    !says_so && alone == Some(Encapsulation::Overlay)
}

/// The finding where the overlay of a Shoot with nodes ends, and a second family keeps its nodes without routes.
pub(super) fn ends_with_families(new: &Shoot<'_>, old: &Shoot<'_>) -> Option<Finding> {
    let has_ipv6 = |shoot: &Shoot<'_>| shoot.networking.has_family(Family::V6);
    let when = if old.has_two_node_networks() {
        When::Before
    } else if !has_ipv6(new) {
        return None;
    } else if has_ipv6(old) {
        When::Stored
    } else {
        When::Now
    };
    has_no_routes_with_two_families(&new.provider_type).then(|| say_together(when, new.key() == Key::Absent))
}

/// When a Shoot whose overlay ends got its second family.
#[derive(Clone, Copy)]
enum When {
    /// Before: its infrastructure has it, whether or not the Shoot still lists it.
    Before,
    /// Before this edit: the Shoot lists it, and its infrastructure does not have it yet.
    Stored,
    /// In this edit.
    Now,
}

fn say_together(when: When, is_not_set: bool) -> Finding {
    let (path, what) = match (is_not_set, when) {
        (false, _) => (OVERLAY, "is switched off"),
        (true, When::Now) => (FIELD, "`overlay` is not set, and Calico gives up its overlay"),
        (true, _) => (CONFIG, "`overlay` is not set, and Calico gives up its overlay"),
    };
    let (message, help) = match (when, is_not_set) {
        (When::Before, _) => (format!("{what}: {TWO_NODE_NETWORKS}"), ""),
        (When::Stored, _) => (
            format!("{what} in a Shoot that has a second IP family, for which gcp makes no routes"),
            "keep the overlay, or replace all nodes, as new ones need no route; only while `status.networking.nodes` has one network, that family can be taken back instead, and added when the overlay is off",
        ),
        (When::Now, false) => (
            format!("{what} together with a second IP family, for which gcp makes no routes"),
            "first the overlay, then the families",
        ),
        (When::Now, true) => (
            format!("{what} together with a second IP family, for which gcp makes no routes"),
            "write `overlay: {enabled: false}` first, and add the family when that is done",
        ),
    };
    TOGETHER.finding(path, message, help)
}

/// The finding about an overlay in a Shoot with IPv6, on every infrastructure.
pub(super) fn on_with_ipv6(new: &Shoot<'_>) -> Option<Finding> {
    let is_on = new.networking.has_family(Family::V6) && new.encapsulation() == Some(Encapsulation::Overlay);
    let has_vxlan = is_on && new.network_config.and_then(|it| json::find(it, &["vxlan", "enabled"])) == Some("true");
    is_on.then(|| say_on_with_ipv6(has_vxlan))
}

fn say_on_with_ipv6(has_vxlan: bool) -> Finding {
    let message = if has_vxlan {
        "is true together with IPv6, which Calico never encapsulates"
    } else {
        "is true together with IPv6, which Calico never encapsulates, and then it makes no tunnel for IPv4 either"
    };
    let help = "switch it off first, then add IPv6";
    // With VXLAN the IPv4 part works, but the problem is the same.
    ON_WITH_IPV6.finding(FieldPath::from(OVERLAY).field("enabled"), message.to_owned(), help).about("")
}

/// A Shoot on GCP with these families and this configuration of Calico, for examples.
fn shoot(families: &str, config: &str) -> String {
    format!(
        r#"{{"spec": {{"networking": {{"type": "calico", "ipFamilies": [{families}], "providerConfig": {config}}},
            "provider": {{"type": "gcp", "workers": [{{}}]}}}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::check as all;
    use super::*;

    fn shoot(provider: &str, config: &Value, families: &[&str]) -> String {
        json!({
            "spec": {
                "kubernetes": {"version": "1.36.1"},
                "networking": {"type": "calico", "providerConfig": config, "ipFamilies": families},
                "provider": {"type": provider, "workers": [{}]},
            },
        })
        .to_string()
    }

    fn said(old: &str, new: &str) -> Vec<String> {
        let (old, new) = (Shoot::read(old).unwrap(), Shoot::read(new).unwrap());
        all(&new, Some(&old)).into_iter().map(|finding| format!("{} {}", finding.rule.name, finding.path)).collect()
    }

    #[test]
    fn what_a_second_family_does() {
        let (on, off) = (json!({"overlay": {"enabled": true}}), json!({"overlay": {"enabled": false}}));
        let (one, two) = (&["IPv4"][..], &["IPv4", "IPv6"][..]);
        let vxlan = json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}});
        let null = Value::Null;
        let switch = "overlay/switch spec.networking.providerConfig.overlay";
        let by_families = "overlay/switch spec.networking.ipFamilies";
        let by_backend = "overlay/switch spec.networking.providerConfig";
        let together = "overlay/with-families spec.networking.providerConfig.overlay";
        let on_with_ipv6 = "overlay/on-with-ipv6 spec.networking.providerConfig.overlay.enabled";
        for (what, provider, old, new, want) in [
            ("first the overlay", "gcp", (&on, one), (&off, one), &[switch][..]),
            ("then the families", "gcp", (&off, one), (&off, two), &[]),
            ("both at once", "gcp", (&on, one), (&off, two), &[together]),
            ("both at once, not set before", "gcp", (&null, one), (&off, two), &[together]),
            ("the families were there", "gcp", (&on, two), (&off, two), &[together]),
            (
                "by the families",
                "gcp",
                (&null, one),
                (&null, two),
                &["overlay/with-families spec.networking.ipFamilies"],
            ),
            ("by the families", "openstack", (&null, one), (&null, two), &[by_families]),
            ("by the families, explicitly not", "openstack", (&null, one), (&on, two), &[on_with_ipv6]),
            ("`null` is not set", "aws", (&null, one), (&json!({"overlay": null}), two), &[by_families]),
            ("by the families and the backend", "aws", (&null, one), (&json!({"backend": "none"}), two), &[by_backend]),
            ("both at once where it ends", "aws", (&on, one), (&off, two), &[switch]),
            ("both at once where it ends", "openstack", (&on, one), (&off, two), &[switch]),
            ("both at once where it ends", "alicloud", (&on, one), (&off, two), &[switch]),
            ("nothing is known of it", "elsewhere", (&on, one), (&off, two), &[]),
            ("Calico is the same everywhere", "onmetal", (&on, one), (&on, two), &[on_with_ipv6]),
            ("IPv6 on an overlay", "openstack", (&on, one), (&on, two), &[on_with_ipv6]),
            ("IPv6 on VXLAN", "openstack", (&vxlan, one), (&vxlan, two), &[on_with_ipv6]),
            ("the family is taken back", "openstack", (&off, two), (&off, one), &[]),
        ] {
            assert_eq!(
                said(&shoot(provider, old.0, old.1), &shoot(provider, new.0, new.1)),
                want,
                "{what}, {provider}"
            );
        }
    }

    /// One row for each Shoot on GCP whose overlay ends: the finding about its families.
    #[test]
    fn the_finding_fits_the_shoot() {
        let (on, off) = (json!({"overlay": {"enabled": true}}), json!({"overlay": {"enabled": false}}));
        let (none, backend) = (json!({}), json!({"backend": "none"}));
        let (one, two) = (&["IPv4"][..], &["IPv4", "IPv6"][..]);
        let with = |text: String, key: &str, value: Value| {
            let mut shoot: Value = serde_json::from_str(&text).unwrap();
            shoot[key] = value;
            shoot
        };
        let nodes =
            |text: String| with(text, "status", json!({"networking": {"nodes": ["10.250.0.0/16", "fd00::/64"]}}));
        let plain = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let asleep = |text: String| {
            let mut shoot = with(text, "status", json!({"hibernated": true}));
            shoot["spec"]["hibernation"] = json!({"enabled": true});
            shoot
        };
        let gcp = |config: &Value, families: &[&str]| shoot("gcp", config, families);
        let never = format!("is switched off: {TWO_NODE_NETWORKS}");
        let not_set = "`overlay` is not set, and Calico gives up its overlay";
        let by_families = format!("{not_set} together with a second IP family, for which gcp makes no routes");
        let by_backend = format!("{not_set}: {TWO_NODE_NETWORKS}");
        let both = "is switched off together with a second IP family, for which gcp makes no routes";
        let stored = "is switched off in a Shoot that has a second IP family, for which gcp makes no routes";
        for (what, old, new, want) in [
            ("taken back, too late", nodes(gcp(&on, one)), plain(gcp(&off, one)), Some(&*never)),
            ("taken back in this edit", nodes(gcp(&on, two)), plain(gcp(&off, one)), Some(&never)),
            ("on the infrastructure and listed", nodes(gcp(&on, two)), plain(gcp(&off, two)), Some(&never)),
            ("by the backend, too late", nodes(gcp(&none, one)), plain(gcp(&backend, one)), Some(&by_backend)),
            ("what the writer says of its status", plain(gcp(&on, one)), nodes(gcp(&off, one)), None),
            ("both at once", plain(gcp(&on, one)), plain(gcp(&off, two)), Some(both)),
            ("there already", plain(gcp(&on, two)), plain(gcp(&off, two)), Some(stored)),
            ("by the families", plain(gcp(&none, one)), plain(gcp(&none, two)), Some(&by_families)),
            ("by both", plain(gcp(&none, one)), plain(gcp(&backend, two)), Some(&by_families)),
            ("asleep", asleep(gcp(&on, one)), asleep(gcp(&off, two)), None),
            ("asleep, by the families", asleep(gcp(&none, one)), asleep(gcp(&none, two)), None),
            ("it stays on", nodes(gcp(&on, one)), plain(gcp(&on, one)), None),
            ("it was off", nodes(gcp(&off, two)), plain(gcp(&off, one)), None),
        ] {
            let (old, new) = (old.to_string(), new.to_string());
            let found = all(&Shoot::read(&new).unwrap(), Some(&Shoot::read(&old).unwrap()));
            let found: Vec<&str> = found.iter().filter(|it| it.rule == &TOGETHER).map(|it| &*it.message).collect();
            assert_eq!(found, Vec::from_iter(want), "{what}");
        }
    }
}
