use serde_json::json;

use super::*;
use crate::gardener::shoot::{HA_VPN, MOST_FAMILIES, OVERLAY_SWITCH};

fn parse(spec: &serde_json::Value) -> Result<ClusterFacts, Vec<String>> {
    ClusterFacts::parse(&spec.to_string()).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The networks in `spec`, those in `status`, and what gardenlet makes of both.
#[test]
fn joins_spec_and_status_as_gardenlet_does() {
    let rows: [(&str, Option<&str>, &[&str], &[&str]); 9] = [
        ("spec alone", Some("10.250.0.0/16"), &[], &["10.250.0.0/16"]),
        ("the same", Some("10.250.0.0/16"), &["10.250.0.0/16"], &["10.250.0.0/16"]),
        (
            "the same in another place",
            Some("10.250.0.0/16"),
            &["10.180.0.0/16", "10.250.0.0/16", "fd00:1::/64", "10.250.0.0/16"],
            &["10.250.0.0/16", "10.180.0.0/16", "fd00:1::/64"],
        ),
        (
            "a repetition in status",
            Some("10.250.0.0/16"),
            &["10.250.0.0/16", "10.249.0.0/16", "10.249.0.0/16", "10.248.0.0/16"],
            &["10.250.0.0/16", "10.249.0.0/16", "10.249.0.0/16", "10.248.0.0/16"],
        ),
        ("a repetition in status alone", None, &["10.1.0.0/16", "10.1.0.0/16"], &["10.1.0.0/16", "10.1.0.0/16"]),
        ("host bits in status", Some("10.250.0.0/16"), &["10.250.0.1/16"], &["10.250.0.0/16", "10.250.0.0/16"]),
        ("host bits in spec", Some("10.250.0.1/16"), &["10.250.0.0/16"], &["10.250.0.0/16"]),
        // gardenlet compares with the network, not with what is written in `spec`.
        ("host bits in both", Some("10.250.0.1/16"), &["10.250.0.1/16"], &["10.250.0.0/16", "10.250.0.0/16"]),
        ("IPv6 written out", Some("fd00:1::/64"), &["fd00:1:0::/64"], &["fd00:1::/64", "fd00:1::/64"]),
    ];
    for kind in NetworkKind::ALL {
        for (name, in_spec, in_status, want) in rows {
            let mut spec = json!({"shoot": {"spec": {"networking": {}}, "status": {"networking": {}}}});
            spec["shoot"]["spec"]["networking"][kind.name()] = json!(in_spec);
            spec["shoot"]["status"]["networking"][kind.name()] = json!(in_status);
            let facts = parse(&spec).unwrap();
            let got: Vec<String> = facts.shoot_networks.iter().map(|network| network.cidr.to_string()).collect();
            assert_eq!(got, want, "{name}, {}", kind.name());
            assert!(facts.shoot_networks.iter().all(|network| network.kind == kind), "{name}");
        }
    }
}

#[test]
fn reads_all_kinds() {
    let facts = parse(&json!({
        "seed": {"spec": {"networks": {"pods": "10.64.0.0/11", "services": "10.96.0.0/11"}}},
        "shoot": {
            "spec": {
                "networking": {"pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16"},
                "provider": {"workers": [{}]},
            },
            "status": {"networking": {"pods": ["fd00:1::/64"], "nodes": ["10.250.0.0/16", "10.180.0.0/16"]}},
        },
    }))
    .unwrap();
    let networks: Vec<String> = facts.shoot_networks.iter().map(|n| format!("{} {}", n.kind.name(), n.cidr)).collect();
    assert_eq!(
        networks,
        [
            "pods 100.96.0.0/11",
            "pods fd00:1::/64",
            "services 100.64.0.0/13",
            "nodes 10.250.0.0/16",
            "nodes 10.180.0.0/16",
        ]
    );
    assert_eq!(facts.seed_pods, Some("10.64.0.0/11".parse().unwrap()));
    assert_eq!(facts.expected_vpn, ExpectedVpn::Single);
}

#[test]
fn reports_every_bad_field_with_its_path() {
    for (name, spec, want) in [
        ("no shoot", json!({"seed": null}), vec!["spec.shoot: is missing"]),
        (
            "bad values",
            json!({
                "seed": {"spec": {"networks": {"pods": "10.0.0.0"}}},
                "shoot": {
                    "spec": {"networking": {"pods": "100.96.0.0/11", "services": "x"}},
                    "status": {"networking": {"nodes": ["10.0.0.0/16", "10.250.0.0/33"]}},
                },
            }),
            vec![
                "spec.seed.spec.networks.pods: \"10.0.0.0\": has no prefix length, write it as `10.0.0.0/32` if the single address is meant",
                "spec.shoot.spec.networking.services: \"x\": is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`",
                "spec.shoot.status.networking.nodes[1]: \"10.250.0.0/33\": is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`",
            ],
        ),
        (
            "a Seed without a pod network",
            json!({"seed": {"spec": {"networks": {}}}, "shoot": {}}),
            vec!["spec.seed.spec.networks.pods: is missing"],
        ),
        (
            "workers without networks",
            json!({"shoot": {"spec": {"provider": {"workers": [{}]}, "networking": {"nodes": "10.0.0.0/16"}}}}),
            vec!["spec.shoot.spec.networking.pods: is missing", "spec.shoot.spec.networking.services: is missing"],
        ),
        (
            "wrong type",
            json!({"shoot": {"status": {"networking": {"nodes": ["10.0.0.0/16", 5]}}}}),
            vec![
                "spec.shoot.status.networking.nodes[1]: invalid type: integer `5`, expected a string at line 1 column 1",
            ],
        ),
    ] {
        assert_eq!(parse(&spec).unwrap_err(), want, "{name}");
    }
}

/// Of a member that is repeated the last counts, as Go's decoders have it.
#[test]
fn of_repeated_members_the_last_counts() {
    let seed = r#"{"spec":{"networks":{"pods":"10.64.0.0/11"}}}"#;
    let pods = Some("10.64.0.0/11".parse().unwrap());
    for (spec, want) in [
        (format!(r#"{{"seed":5,"seed":{seed},"shoot":{{}}}}"#), Ok(pods)),
        (format!(r#"{{"seed":{{"spec":[]}},"shoot":{{}},"seed":{seed}}}"#), Ok(pods)),
        (format!(r#"{{"seed":null,"seed":{seed},"shoot":{{}}}}"#), Ok(pods)),
        (format!(r#"{{"seed":{seed},"seed":null,"shoot":{{}}}}"#), Ok(None)),
        (format!(r#"{{"seed":{seed},"seed":{{}},"shoot":{{}}}}"#), Err("spec.seed.spec.networks.pods: is missing")),
        (format!(r#"{{"seed":{seed},"shoot":5,"shoot":{{}}}}"#), Ok(pods)),
        (format!(r#"{{"shoot":null,"seed":{seed},"shoot":{{}}}}"#), Ok(pods)),
        (format!(r#"{{"shoot":{{}},"seed":{seed},"shoot":null}}"#), Err("spec.shoot: is missing")),
    ] {
        let got = ClusterFacts::parse(&spec).map(|facts| facts.seed_pods);
        let got = got.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        assert_eq!(got, want.map_err(str::to_owned), "{spec}");
    }
}

#[test]
fn says_what_is_there_in_place_of_a_spec() {
    for (spec, want) in [
        ("[]", "spec: is a list, not a mapping"),
        ("5", "spec: is a number, not a mapping"),
        ("\"x\"", "spec: is a text, not a mapping"),
        ("true", "spec: is a boolean, not a mapping"),
        ("null", "spec: is empty"),
        ("", "spec: malformed JSON at byte 0"),
        ("{\"seed\"}", "spec: malformed JSON at byte 7"),
    ] {
        let errors = ClusterFacts::parse(spec).unwrap_err();
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [want], "{spec:?}");
    }
}

/// What only a switch of the overlay depends on makes no Cluster unusable; but in doubt no switch is let through.
#[test]
fn a_state_that_cannot_be_read_is_none() {
    let networking = json!({"pods": "100.96.0.0/11", "services": "100.64.0.0/13"});
    let base = json!({
        "metadata": {"annotations": {}},
        "spec": {"networking": networking, "provider": {"workers": [{}]}},
        "status": {},
    });
    let facts = parse(&json!({"shoot": base})).unwrap();
    assert_eq!(facts.switch.as_deref(), Some(&SwitchFacts::default()));
    for (object, member, value) in [
        ("metadata", "annotations", json!({OVERLAY_SWITCH: true})),
        ("status", "lastOperation", json!("x")),
        ("status", "lastOperation", json!({"type": 5})),
        ("status", "lastOperation", json!({"state": {}})),
        ("status", "constraints", json!({"type": 5})),
        ("status", "constraints", json!([5])),
        ("status", "hibernated", json!("no")),
        ("spec", "hibernation", json!({"enabled": "no"})),
        ("spec", "hibernation", json!("no")),
        ("spec", "maintenance", json!([])),
        ("spec", "maintenance", json!({"confineSpecUpdateRollout": 1})),
    ] {
        let mut shoot = base.clone();
        shoot[object][member] = value;
        let facts = parse(&json!({"shoot": shoot})).unwrap();
        assert_eq!(facts.switch, None, "{shoot}");
        assert_eq!(facts.expected_vpn, ExpectedVpn::Single, "{shoot}");
    }
}

/// What nobody looks at in a Cluster, and what means nothing to a switch.
#[test]
fn trouble_elsewhere_makes_no_cluster_unusable() {
    let networking = json!({
        "pods": "100.96.0.0/11", "services": "100.64.0.0/13", "ipFamilies": vec!["IPv4"; 99],
    });
    let shoot = json!({
        "metadata": {"name": 5, "namespace": {}, "uid": 5, "annotations": {HA_VPN: 1, "other": {}}},
        "spec": {
            "networking": networking, "provider": {"workers": [{}]},
            "kubernetes": {"version": 1.35}, "extensions": [{"type": 5, "disabled": "x"}], "controlPlane": 5,
            "hibernation": null, "maintenance": null,
        },
        "status": {"lastOperation": null, "constraints": null, "hibernated": null},
    });
    let facts = parse(&json!({"shoot": shoot})).unwrap();
    assert_eq!((facts.expected_vpn, facts.shoot_uid.is_none()), (ExpectedVpn::Single, true));
    assert_eq!(facts.switch.unwrap().families.len(), MOST_FAMILIES);
}

#[test]
fn reads_the_uid_and_whether_the_shoot_leaves() {
    let uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55";
    for (name, metadata, seeds, is_leaving) in [
        ("stays", json!({"uid": uid}), ["a", "a"], false),
        ("is being deleted", json!({"uid": uid, "deletionTimestamp": "2026-01-01T00:00:00Z"}), ["a", "a"], true),
        ("moves", json!({"uid": uid}), ["b", "a"], true),
    ] {
        let facts = parse(&json!({"shoot": {
            "metadata": metadata, "spec": {"seedName": seeds[0]}, "status": {"seedName": seeds[1]},
        }}));
        let facts = facts.unwrap();
        assert_eq!(facts.is_leaving, is_leaving, "{name}");
        assert!(facts.shoot_uid.unwrap().is(&ShootUid::parse(uid).unwrap()), "{name}");
    }
    assert!(
        !parse(&json!({"shoot": {"spec": {"seedName": "a"}}})).unwrap().is_leaving,
        "a Shoot without a status has not left"
    );
}

#[test]
fn knows_which_vpn_the_shoot_asks_for() {
    let workers = json!([{"name": "w"}]);
    for (name, annotation, workers, ha, want) in [
        ("single", None, workers.clone(), None, ExpectedVpn::Single),
        ("node", None, workers.clone(), Some("node"), ExpectedVpn::HighlyAvailable),
        ("switched off", Some("false"), workers.clone(), Some("zone"), ExpectedVpn::Single),
        ("forced", Some("true"), workers.clone(), None, ExpectedVpn::HighlyAvailable),
        ("nonsense is ignored", Some("maybe"), workers, Some("zone"), ExpectedVpn::HighlyAvailable),
        ("workerless", Some("true"), json!([]), Some("zone"), ExpectedVpn::Absent),
    ] {
        let networking = json!({"pods": "100.96.0.0/11", "services": "100.64.0.0/13"});
        let mut spec =
            json!({"shoot": {"metadata": {}, "spec": {"networking": networking, "provider": {"workers": workers}}}});
        if let Some(value) = annotation {
            spec["shoot"]["metadata"]["annotations"] = json!({HA_VPN: value});
        }
        if let Some(tolerance) = ha {
            spec["shoot"]["spec"]["controlPlane"] =
                json!({"highAvailability": {"failureTolerance": {"type": tolerance}}});
        }
        assert_eq!(parse(&spec).unwrap().expected_vpn, want, "{name}");
    }
}
