//! What counts as correct, what is corrected, and that a second review changes nothing.

mod laws;

use serde_json::{Value, json};

use super::*;
use crate::gardener::{Deployment, ExpectedVpn, ShootNetwork};
use crate::json::Members;

fn facts(seed_pods: &str, pods: &str, services: &str, nodes: &str) -> ClusterFacts {
    let networks = |kind, list: &str| {
        let cidrs: Vec<&str> = list.split(',').filter(|text| !text.is_empty()).collect();
        cidrs.into_iter().map(|text| ShootNetwork { kind, cidr: text.parse().unwrap() }).collect::<Vec<_>>()
    };
    ClusterFacts {
        seed_pods: (!seed_pods.is_empty()).then(|| seed_pods.parse().unwrap()),
        shoot_networks: [
            networks(NetworkKind::Pods, pods),
            networks(NetworkKind::Services, services),
            networks(NetworkKind::Nodes, nodes),
        ]
        .concat()
        .into(),
        expected_vpn: ExpectedVpn::HighlyAvailable,
        switch: None,
        shoot_uid: None,
        is_leaving: false,
    }
}

/// The environment of a container with these networks; `-` leaves a variable out.
fn env(values: [&str; 4]) -> Value {
    let told = NAMES.iter().zip(values).filter(|(_, value)| *value != "-");
    let mut env = vec![json!({"name": "IS_HA", "value": "true"})];
    env.extend(told.map(|(name, value)| json!({"name": name, "value": value})));
    env.into()
}

fn pod(containers: &Value, init_containers: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers, "initContainers": init_containers}}}})
}

fn judge(object: &Value, facts: &ClusterFacts) -> Vec<Correction> {
    let text = object["spec"]["template"]["spec"].to_string();
    corrections(&PodSpec::read(&mut Members::of(&text)).unwrap(), facts)
}

fn corrected(object: &Value, corrections: &[Correction]) -> Value {
    let mut patch = PatchBuilder::default();
    for correction in corrections {
        correction.apply(&mut patch);
    }
    let mut object = object.clone();
    if let Some(patch) = patch.finish() {
        let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
        json_patch::patch(&mut object, &patch).expect("a patch always applies");
    }
    object
}

/// The Cluster's networks: the nodes overlap the Seed's Pods.
const CLUSTER: [&str; 4] = ["10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16,10.251.0.0/16,10.4.0.0/24"];

/// Another one, whose networks repeat themselves.
const REPEATED: [&str; 4] = [
    "10.0.0.0/8",
    "100.96.0.0/16,100.96.0.0/16,100.97.0.0/16",
    "100.64.0.0/16,100.64.0.0/16,100.65.0.0/16",
    "10.250.0.0/16,10.249.0.0/16,10.249.0.0/16,10.248.0.0/16",
];

/// A name, the Cluster, the variables of `vpn-client-1`, and what they should say; `=` stands for the Cluster's value,
/// or for the present one.
#[test]
fn every_case() {
    let without_overlap = ["172.16.0.0/12", CLUSTER[1], CLUSTER[2], CLUSTER[3]];
    let six = [CLUSTER[0], "100.96.0.0/11,fd00:1::/64", CLUSTER[2], "fd00:2::/64,10.250.0.0/16"];
    let rows: [(&str, [&str; 4], [&str; 4], [&str; 4]); 37] = [
        ("as the Cluster says", CLUSTER, ["="; 4], ["="; 4]),
        ("other order of other sizes", CLUSTER, ["=", "=", "=", "10.4.0.0/24,10.250.0.0/16,10.251.0.0/16"], ["="; 4]),
        (
            "other order of equal sizes",
            CLUSTER,
            ["=", "=", "=", "10.251.0.0/16,10.250.0.0/16,10.4.0.0/24"],
            ["=", "=", "=", CLUSTER[3]],
        ),
        ("host bits", CLUSTER, ["10.1.2.3/8", "100.96.0.1/11", "=", "="], ["="; 4]),
        // A repetition takes a block of its own, at both ends.
        (
            "a repetition that the Cluster does not have",
            CLUSTER,
            ["=", "=", "=", "10.250.0.0/16,10.250.0.0/16,10.251.0.0/16,10.4.0.0/24"],
            ["=", "=", "=", CLUSTER[3]],
        ),
        ("repetitions as the Cluster has them", REPEATED, ["="; 4], ["="; 4]),
        (
            "without the repetitions of the Cluster",
            REPEATED,
            [
                "=",
                "100.96.0.0/16,100.97.0.0/16",
                "100.64.0.0/16,100.65.0.0/16",
                "10.250.0.0/16,10.249.0.0/16,10.248.0.0/16",
            ],
            ["=", REPEATED[1], REPEATED[2], REPEATED[3]],
        ),
        (
            "other repetitions that map alike",
            REPEATED,
            ["=", "=", "=", "10.250.0.0/16,10.248.0.0/16,10.249.0.0/16,10.248.0.0/16"],
            ["="; 4],
        ),
        ("one network less", CLUSTER, ["=", "=", "=", "10.250.0.0/16,10.251.0.0/16"], ["=", "=", "=", CLUSTER[3]]),
        ("one network more", CLUSTER, ["=", "100.96.0.0/11,10.9.0.0/16", "=", "="], ["=", CLUSTER[1], "=", "="]),
        ("another network", CLUSTER, ["=", "=", "100.72.0.0/13", "="], ["=", "=", CLUSTER[2], "="]),
        ("another Seed", CLUSTER, ["172.16.0.0/12", "=", "=", "="], [CLUSTER[0], "=", "=", "="]),
        ("a list of Seeds", CLUSTER, ["10.0.0.0/8,172.16.0.0/12", "=", "=", "="], [CLUSTER[0], "=", "=", "="]),
        ("all wrong", CLUSTER, ["1.0.0.0/8", "1.0.0.0/8", "1.0.0.0/8", "1.0.0.0/8"], CLUSTER),
        ("missing", CLUSTER, ["-"; 4], CLUSTER),
        ("one missing", CLUSTER, ["=", "=", "-", "="], ["=", "=", CLUSTER[2], "="]),
        ("empty", CLUSTER, [""; 4], CLUSTER),
        // vpn2 does not start with such a value.
        ("a space", CLUSTER, ["=", "=", "=", "10.250.0.0/16, 10.251.0.0/16,10.4.0.0/24"], ["=", "=", "=", CLUSTER[3]]),
        // It takes 112 for the prefix length of an IPv4 network, and stops.
        (
            "IPv4 written as IPv6",
            CLUSTER,
            ["::ffff:10.0.0.0/104", "::ffff:100.96.0.0/107", "=", "::ffff:10.250.0.0/112,10.251.0.0/16,10.4.0.0/24"],
            [CLUSTER[0], CLUSTER[1], "=", CLUSTER[3]],
        ),
        (
            "IPv4 written as IPv6 in the Cluster: gardenlet passes on IPv4",
            ["::ffff:10.0.0.0/104", "::ffff:100.96.0.0/107", CLUSTER[2], "::ffff:10.250.0.0/112"],
            ["10.0.0.0/8", "100.96.0.0/11", "=", "10.250.0.0/16"],
            ["="; 4],
        ),
        (
            "no overlap, but a container has one that is written as IPv6",
            without_overlap,
            ["=", "=", "=", "::ffff:172.16.0.0/112"],
            ["=", "=", "=", CLUSTER[3]],
        ),
        ("unreadable", CLUSTER, ["10.0.0.0", "100.96.0.0/33", "nodes", "="], [CLUSTER[0], CLUSTER[1], CLUSTER[2], "="]),
        ("an entry unreadable", CLUSTER, ["=", "100.96.0.0/11,x", "=", "="], ["=", CLUSTER[1], "=", "="]),
        ("does not fit", CLUSTER, ["=", "1.0.0.0/8,2.0.0.0/8", "=", "="], ["=", CLUSTER[1], "=", "="]),
        ("IPv6 as the Cluster says", six, ["="; 4], ["="; 4]),
        ("one family kept back", six, ["=", "100.96.0.0/11", "=", "10.250.0.0/16"], ["="; 4]),
        ("the other family kept back", six, ["=", "fd00:1::/64", "=", "fd00:2::/64"], ["="; 4]),
        ("IPv6 of its own", six, ["=", "fd00:9::/64,100.96.0.0/11", "=", "="], ["="; 4]),
        (
            "IPv4 wrong between IPv6",
            six,
            ["=", "fd00:9::/64,10.9.0.0/16,fd00:8::/64", "=", "10.9.0.0/16,fd00:2::/64"],
            ["=", "fd00:9::/64,fd00:8::/64,100.96.0.0/11", "=", "10.250.0.0/16,fd00:2::/64"],
        ),
        ("IPv6 Seed where IPv4 is known", CLUSTER, ["fd00::/48", "=", "=", "="], ["="; 4]),
        ("no overlap, wrong", without_overlap, ["=", "=", "=", "10.9.0.0/16"], ["="; 4]),
        ("no overlap, missing", without_overlap, ["-"; 4], ["="; 4]),
        (
            "no overlap, but a container has one",
            without_overlap,
            ["=", "=", "=", "172.16.0.0/16"],
            ["=", "=", "=", CLUSTER[3]],
        ),
        (
            "no overlap, but a container has another Seed",
            without_overlap,
            ["10.0.0.0/8", "=", "=", "="],
            [without_overlap[0], "=", "=", "="],
        ),
        ("no Seed", ["", CLUSTER[1], CLUSTER[2], CLUSTER[3]], ["10.0.0.0/8", "x", "-", "10.0.0.0/8"], ["="; 4]),
        (
            "an IPv6 Seed",
            ["fd00::/48", CLUSTER[1], CLUSTER[2], CLUSTER[3]],
            ["10.0.0.0/8", "x", "-", "10.0.0.0/8"],
            ["="; 4],
        ),
        (
            "what the Cluster does not know",
            [CLUSTER[0], CLUSTER[1], "10.9.0.0/16", ""],
            ["=", "=", "=", "10.250.0.0/16"],
            ["="; 4],
        ),
    ];
    for (name, cluster, told, want) in rows {
        let [seed_pods, pods, services, nodes] = cluster;
        let facts = facts(seed_pods, pods, services, nodes);
        let told: Vec<&str> =
            told.iter().zip(cluster).map(|(told, own)| if *told == "=" { own } else { told }).collect();
        let env = env(told.clone().try_into().unwrap());
        let object = pod(&json!([{"name": "kube-apiserver"}, {"name": "vpn-client-1", "env": env}]), &Value::Null);
        let found = judge(&object, &facts);
        let got: Vec<(&str, &str)> = found.iter().map(|found| (found.variable, &*found.wanted)).collect();
        let want: Vec<(&str, &str)> = NAMES.into_iter().zip(want).filter(|(_, want)| *want != "=").collect();
        assert_eq!(got, want, "{name}");

        let after = corrected(&object, &found);
        assert_eq!(judge(&after, &facts), [], "{name}: a second time");
        let env = after["spec"]["template"]["spec"]["containers"][1]["env"].as_array().unwrap();
        for (variable, want) in want {
            assert!(env.contains(&json!({"name": variable, "value": want})), "{name}: {env:?}");
        }
    }
}

#[test]
fn a_cluster_that_fits_no_mapping_corrects_nothing() {
    let facts = facts("10.0.0.0/8", "10.0.0.0/8,11.0.0.0/8", "100.64.0.0/13", "192.168.0.0/16");
    let told = env(["10.0.0.0/8", "10.0.0.0/8", "100.64.0.0/13", "192.168.0.0/16"]);
    assert_eq!(judge(&pod(&json!([{"name": "vpn-client-0", "env": told}]), &Value::Null), &facts), []);
}

#[test]
fn all_containers_of_the_vpn_are_judged_and_no_other() {
    let [seed_pods, pods, services, nodes] = CLUSTER;
    let facts = facts(seed_pods, pods, services, nodes);
    let wrong = env([CLUSTER[0], CLUSTER[1], CLUSTER[2], "10.9.0.0/16"]);
    let named =
        |names: &[&str]| json!(names.iter().map(|name| json!({"name": name, "env": wrong})).collect::<Vec<_>>());
    let object = pod(
        &named(&["kube-apiserver", "vpn-client-0", "vpn-client-2", "vpn-path-controller", "vpn-shoot-s0", "vpn"]),
        &named(&["other", "vpn-client-init", "vpn-shoot-init"]),
    );
    let got: Vec<String> = judge(&object, &facts).iter().map(|found| found.path().to_string()).collect();
    assert_eq!(
        got,
        [
            "spec.template.spec.initContainers[1].env[4].value",
            "spec.template.spec.initContainers[2].env[4].value",
            "spec.template.spec.containers[1].env[4].value",
            "spec.template.spec.containers[2].env[4].value",
            "spec.template.spec.containers[3].env[4].value",
            "spec.template.spec.containers[4].env[4].value",
        ]
    );
}

/// Containers with an environment of another shape, what is said of each, and what they are afterwards.
#[test]
fn any_shape_is_corrected() {
    let facts = facts("10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16");
    let right = env(["10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16"]);
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut env = right.clone();
        change(env.as_array_mut().unwrap());
        json!({"name": "vpn-client-0", "env": env})
    };
    let rows = [
        ("no environment", json!({"name": "vpn-client-0"})),
        ("null", json!({"name": "vpn-client-0", "env": null})),
        ("an empty one", json!({"name": "vpn-client-0", "env": []})),
        ("without a value", with(&|env| env[4] = json!({"name": "SHOOT_NODE_NETWORKS"}))),
        ("twice, the last is right", with(&|env| env.insert(0, json!({"name": "SHOOT_NODE_NETWORKS", "value": "x"})))),
        ("twice, the last is wrong", with(&|env| env.push(json!({"name": "SHOOT_NODE_NETWORKS", "value": "x"})))),
        (
            "from elsewhere",
            with(&|env| {
                env[2] =
                    json!({"name": "SHOOT_POD_NETWORKS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
            }),
        ),
        ("of another variable", with(&|env| env[2] = json!({"name": "SHOOT_POD_NETWORKS", "value": "$(PODS)"}))),
        (
            "of a reference and wrong",
            with(&|env| {
                env[2] = json!({"name": "SHOOT_POD_NETWORKS", "value": "$(PODS)"});
                env[3]["value"] = json!("10.9.0.0/16");
            }),
        ),
        ("a steering value", with(&|env| env[4]["value"] = json!("\u{1b}[2J\n".to_owned() + &"x".repeat(1_000)))),
    ];
    let mut said = Vec::new();
    for (name, container) in rows {
        let object = pod(&json!([container]), &Value::Null);
        let found = judge(&object, &facts);
        let after = corrected(&object, &found);
        let left: Vec<Correction> = judge(&after, &facts);
        assert!(left.iter().all(|left| !left.is_possible()), "{name}: {left:?}");
        said.push(json!({name: {
            "findings": found.iter().map(|found| format!("{}: {found}", found.path())).collect::<Vec<_>>(),
            "env": after["spec"]["template"]["spec"]["containers"][0]["env"],
        }}));
    }
    insta::assert_json_snapshot!("shapes", said);
}

#[test]
fn init_containers_without_the_variables_stay_so() {
    let facts = facts("10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16");
    let init = json!([{"name": "vpn-shoot-init", "env": [{"name": "IS_HA", "value": "true"}]}]);
    assert_eq!(judge(&pod(&json!([]), &init), &facts), []);
}

/// Names of other containers that only begin like the VPN's.
#[test]
fn containers_of_others_are_left() {
    let facts = facts("10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16");
    for (name, count) in [
        ("vpn-client-0", 4),
        ("vpn-client-12", 4),
        ("vpn-shoot-s0", 4),
        ("vpn-path-controller", 4),
        ("vpn-client-", 0),
        ("vpn-client-exporter", 0),
        ("vpn-shoot-exporter", 0),
        ("vpn-shoot-sidecar", 0),
        ("tunnel-controller", 0),
    ] {
        assert_eq!(judge(&pod(&json!([{ "name": name }]), &Value::Null), &facts).len(), count, "{name}");
    }
}

/// A list with more networks than any real Shoot has takes no longer to review than others.
#[test]
fn a_list_without_end_is_wrong() {
    let facts = facts("10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16");
    let list: Vec<String> = (0..60_000u32).map(|i| Cidr::v4(0x0a00_0000 + (i << 4), 28).unwrap().to_string()).collect();
    let env: Vec<Value> = NAMES.iter().map(|name| json!({"name": name, "value": list.join(",")})).collect();
    let containers: Vec<Value> = (0..16).map(|i| json!({"name": format!("vpn-client-{i}"), "env": env})).collect();
    assert_eq!(judge(&pod(&json!(containers), &Value::Null), &facts).len(), 64);
}

/// The next review would find it wrong again.
#[test]
fn nothing_is_written_that_is_too_long_to_be_read() {
    let nodes: Vec<String> = (0..4_000u32).map(|i| Cidr::v4(0x0b00_0000 + i, 32).unwrap().to_string()).collect();
    let facts = facts("10.0.0.0/8", "10.96.0.0/11", "100.64.0.0/13", &nodes.join(","));
    assert_eq!(judge(&pod(&json!([{"name": "vpn-client-0"}]), &Value::Null), &facts).len(), 3, "all but the nodes");
}

/// A repeated network moves the blocks of those after it, so it is wrong wherever the Cluster does not have it: the
/// other end of the tunnel has the Cluster's networks.
#[test]
fn repetitions_count_in_every_container() {
    let facts = facts("10.0.0.0/8", "100.96.0.0/11", "100.64.0.0/13", "10.250.0.0/16,10.249.0.0/16");
    let told = |nodes: [&str; 2]| {
        let container = |(i, nodes): (usize, &&str)| {
            json!({"name": format!("vpn-shoot-s{i}"), "env": [
                {"name": NAMES[0], "value": "10.0.0.0/8"},
                {"name": NAMES[1], "value": "100.96.0.0/11"},
                {"name": NAMES[2], "value": "100.64.0.0/13"},
                {"name": NAMES[3], "value": nodes},
            ]})
        };
        let containers: Vec<Value> = nodes.iter().enumerate().map(container).collect();
        judge(&pod(&json!(containers), &Value::Null), &facts).len()
    };
    let (once, twice) = ("10.250.0.0/16,10.249.0.0/16", "10.250.0.0/16,10.250.0.0/16,10.249.0.0/16");
    assert_eq!((told([once, once]), told([twice, twice]), told([twice, once])), (0, 2, 1));
}
