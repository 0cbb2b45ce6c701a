//! What is found in networks.

mod edits;

use serde_json::{Value, json};

use super::*;
use crate::diagnostics::Policy;
use crate::diagnostics::ratchet::Scope;
use crate::gardener::Shoot;
use crate::landscape::View;
use crate::landscape::garden::{self, Judge, is_judged, with};

/// The judging function of this room, with its settings.
#[derive(Default)]
struct Judging {
    policy: Policy,
}

impl Judge for Judging {
    fn judge(&self, scope: Scope<'_>, view: &mut View<'_>) -> Vec<Finding> {
        self.policy.apply(judge(scope, view).0)
    }
}

type Garden = garden::Garden<Judging>;

/// A Shoot with this node network.
fn shoot(nodes: &str) -> Value {
    json!({
        "metadata": {"namespace": "garden-sales", "name": "crm"},
        "spec": {"seedName": "eu1-a", "networking": {"nodes": nodes}, "provider": {"workers": [{"name": "w"}]}},
    })
}

fn found(networking: &Value, status: &Value) -> Vec<String> {
    found_on("10.0.0.0/11", networking, status)
}

fn found_on(seed_pods: &str, networking: &Value, status: &Value) -> Vec<String> {
    let text = json!({"spec": {"networking": networking}, "status": {"networking": status}}).to_string();
    let shoot = Shoot::read(&text).unwrap();
    let seed = SeedFacts {
        pods: Some(seed_pods.parse().unwrap()),
        services: Some("fd00:5e::/112".parse().unwrap()),
        nodes: Some("10.250.0.0/16".parse().unwrap()),
    };
    check(&shoot.networking, &shoot.status_networking, Some(("eu1-a", &seed)))
        .iter()
        .map(|finding| format!("{} {}", finding.severity.name(), finding))
        .collect()
}

#[test]
fn says_what_gardener_would_refuse_and_what_breaks() {
    for (name, networking, status, want) in [
        ("nothing", json!({}), json!({}), vec![]),
        (
            "well",
            json!({"pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16"}),
            json!({}),
            vec![],
        ),
        (
            "no CIDR",
            json!({"pods": "100.96.0.0"}),
            json!({}),
            vec![
                "deny spec.networking.pods: \"100.96.0.0\" has no prefix length, write it as `100.96.0.0/32` if the single address is meant",
            ],
        ),
        (
            "host part",
            json!({"nodes": "10.250.0.1/16"}),
            json!({}),
            vec!["deny spec.networking.nodes: 10.250.0.1/16 has a host part; write 10.250.0.0/16"],
        ),
        (
            "IPv4 written as IPv6",
            json!({"nodes": "::ffff:10.250.0.0/112", "services": "::FFFF:6440:0/109"}),
            json!({}),
            vec![
                "deny spec.networking.services: ::FFFF:6440:0/109 is the IPv4 network 100.64.0.0/13, written as an IPv6 one; write 100.64.0.0/13",
                "deny spec.networking.nodes: ::ffff:10.250.0.0/112 is the IPv4 network 10.250.0.0/16, written as an IPv6 one; write 10.250.0.0/16",
            ],
        ),
        (
            "IPv4 written as IPv6, with a host part",
            json!({"nodes": "::ffff:10.250.0.1/112"}),
            json!({}),
            vec!["deny spec.networking.nodes: ::ffff:10.250.0.1/112 has a host part; write 10.250.0.0/16"],
        ),
        (
            "IPv4 written as IPv6, and all that is to be said of the network itself",
            json!({"pods": "::ffff:243.0.0.0/104", "services": "::ffff:243.1.0.0/112", "nodes": "::ffff:10.1.0.0/112"}),
            json!({"nodes": ["10.1.0.0/16"]}),
            vec![
                "deny spec.networking.pods: ::ffff:243.0.0.0/104 is the IPv4 network 243.0.0.0/8, written as an IPv6 one; write 243.0.0.0/8",
                "deny spec.networking.services: ::ffff:243.1.0.0/112 is the IPv4 network 243.1.0.0/16, written as an IPv6 one; write 243.1.0.0/16",
                "deny spec.networking.nodes: ::ffff:10.1.0.0/112 is the IPv4 network 10.1.0.0/16, written as an IPv6 one; write 10.1.0.0/16",
                "deny spec.networking.pods: 243.0.0.0/8 is 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
                "deny spec.networking.services: 243.1.0.0/16 is in 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
                "deny spec.networking.services: 243.1.0.0/16 overlaps pods 243.0.0.0/8 of this Shoot; choose disjoint networks",
                "warn spec.networking.nodes: 10.1.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
            ],
        ),
        (
            "nearly IPv4 is IPv6",
            json!({"nodes": "::fffe:0:0/95", "pods": "64:ff9b::10.0.0.0/104", "ipFamilies": ["IPv6"]}),
            json!({}),
            vec![],
        ),
        ("IPv6 written out is fine", json!({"nodes": "fd00:0:0::/64", "ipFamilies": ["IPv6"]}), json!({}), vec![]),
        (
            "reserved",
            json!({"pods": "243.1.0.0/16"}),
            json!({}),
            vec![
                "deny spec.networking.pods: 243.1.0.0/16 is in 243.0.0.0/8, which Gardener reserves for: Shoot service network mapping; choose another range",
            ],
        ),
        (
            "reserved, and more",
            json!({"nodes": "192.0.0.0/2"}),
            json!({}),
            vec![
                "deny spec.networking.nodes: 192.0.0.0/2 contains 240.0.0.0/8, which Gardener reserves for: kube-apiserver mapping; choose another range",
                "warn spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 192.0.0.0/2; choose smaller networks, double NAT needs the room",
            ],
        ),
        (
            "reserved IPv6",
            json!({"nodes": "fd8f:6d53:b97a::/48"}),
            json!({}),
            vec![
                "deny spec.networking.nodes: fd8f:6d53:b97a::/48 contains fd8f:6d53:b97a:1::/96, which Gardener reserves for: VPN transfer network; choose another range",
            ],
        ),
        (
            "own overlap",
            json!({"pods": "100.64.0.0/10", "services": "100.64.0.0/13"}),
            json!({}),
            vec![
                "deny spec.networking.services: 100.64.0.0/13 overlaps pods 100.64.0.0/10 of this Shoot; choose disjoint networks",
            ],
        ),
        (
            "own overlap, IPv6 only: Gardener permits it",
            json!({"pods": "fd00::/48", "services": "fd00::/112", "ipFamilies": ["IPv6"]}),
            json!({}),
            vec![],
        ),
        (
            "double NAT",
            json!({"pods": "10.1.0.0/16"}),
            json!({"pods": ["10.1.0.0/16"]}),
            vec![
                "warn spec.networking.pods: 10.1.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
            ],
        ),
        (
            "double NAT, from the status",
            json!({}),
            json!({"nodes": ["10.2.0.0/16"]}),
            vec![
                "warn spec.networking.nodes: 10.2.0.0/16 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed, double NAT translates between them",
            ],
        ),
        (
            "too large, translated",
            json!({"nodes": "10.0.0.0/9"}),
            json!({"nodes": ["11.0.0.0/9", "12.0.0.0/9"]}),
            vec![
                "deny spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 12.0.0.0/9; choose smaller networks, double NAT needs the room",
                "warn spec.networking.nodes: 10.0.0.0/9 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed",
            ],
        ),
        (
            "too large because vpn2 maps a repetition too",
            json!({"nodes": "10.0.0.0/9"}),
            json!({"nodes": ["10.0.0.0/9", "11.0.0.0/9", "11.0.0.0/9"]}),
            vec![
                "deny spec.networking.nodes: the IPv4 nodes networks do not fit into 242.0.0.0/8: no room left for 11.0.0.0/9; choose smaller networks, double NAT needs the room",
                "warn spec.networking.nodes: 10.0.0.0/9 overlaps the Pods 10.0.0.0/11 of Seed eu1-a; allowed",
            ],
        ),
        (
            "too large, not translated",
            json!({"pods": "16.0.0.0/7"}),
            json!({}),
            vec![
                "warn spec.networking.pods: the IPv4 pods networks do not fit into 244.0.0.0/8: no room left for 16.0.0.0/7; choose smaller networks, double NAT needs the room",
            ],
        ),
        (
            "IPv6 overlap",
            json!({"pods": "fd00:5e::/48", "ipFamilies": ["IPv4", "IPv6"]}),
            json!({}),
            vec![
                "deny spec.networking.pods: fd00:5e::/48 overlaps services fd00:5e::/112 of Seed eu1-a, and IPv6 cannot be translated; choose another range",
            ],
        ),
        (
            "IPv6 overlap, IPv6 only",
            json!({"pods": "fd00:5e::/48", "ipFamilies": ["IPv6"]}),
            json!({}),
            vec![
                "warn spec.networking.pods: fd00:5e::/48 overlaps services fd00:5e::/112 of Seed eu1-a, and IPv6 cannot be translated; choose another range",
            ],
        ),
    ] {
        assert_eq!(found(&networking, &status), want, "{name}");
    }
}

/// Two Pods of such a Seed may have one address in the Shoot, which is said once, and only where it matters.
#[test]
fn a_seed_whose_pods_do_not_fit() {
    let own = json!({"pods": "100.96.0.0/11", "services": "11.1.0.0/16", "nodes": "10.250.0.0/16"});
    assert_eq!(
        found_on("10.0.0.0/7", &own, &json!({})),
        [
            "warn spec.networking.services: 11.1.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a, which are wider than the /8 that double NAT maps them into; choose networks that do not overlap them, or another Seed",
            "warn spec.networking.services: 11.1.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a; allowed",
            "warn spec.networking.nodes: 10.250.0.0/16 overlaps the Pods 10.0.0.0/7 of Seed eu1-a; allowed",
        ]
    );
    assert_eq!(found_on("12.0.0.0/7", &own, &json!({})), [""; 0]);
    assert_eq!(found_on("100.0.0.0/8", &own, &json!({})).len(), 1, "a /8 fits");
}

#[test]
fn without_a_seed_only_the_shoot_is_judged() {
    let shoot = json!({"spec": {"networking": {"pods": "10.1.0.0/16"}}}).to_string();
    let shoot = Shoot::read(&shoot).unwrap();
    assert_eq!(check(&shoot.networking, &shoot.status_networking, None), []);
}
