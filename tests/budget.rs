//! What memory is promised. One more Shoot costs half a KiB to keep, however many there are; a Shoot in a VPC is in one index more.
//! One more Cluster costs as much.

#![allow(clippy::print_stdout, reason = "figures are for people")]

#[path = "budget/lists.rs"]
mod lists;

use network_guard_core::gardener::{ClusterFacts, Deployment, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::{Grant, Snapshot};
use serde_json::{Value, json};

const SHOOTS: usize = 5_000;

/// A Shoot without an overlay, of a project with twenty, of which two and two share a VPC; one in four peers.
fn shoot(number: usize) -> Value {
    let namespace = |number: usize| format!("garden-project-{}", number / 20);
    let octets = |number: usize| format!("{}.{}", number / 256, number % 256);
    let peers: Vec<usize> = if number.is_multiple_of(4) { vec![number + 4, number + 8] } else { vec![] };
    let entry =
        |number: usize| json!({"name": format!("shoot-{number}"), "namespace": namespace(number), "seed": "eu1-a"});
    json!({
        "metadata": {"name": format!("shoot-{number}"), "namespace": namespace(number)},
        "spec": {
            "seedName": "eu1-a",
            "networking": {
                "type": "calico", "providerConfig": {"overlay": {"enabled": false}},
                "nodes": format!("10.{}.0/24", octets(number)), "pods": format!("11.{}.0/24", octets(number)),
                "services": format!("12.{}.0/24", octets(number)),
            },
            "provider": {
                "type": "aws", "workers": [{"maximum": 3}],
                "infrastructureConfig": {"networks": {"vpc": {"id": format!("vpc-{:017x}", number / 2)}, "zones": ["x".repeat(500)]}},
            },
            "extensions": [{"type": "osc-peering-service", "providerConfig": {
                "shootPeerings": peers.into_iter().map(entry).collect::<Vec<_>>(),
            }}],
        },
    })
}

/// So many Shoots, and what each takes, in bytes.
fn shoots(count: usize) -> (Snapshot, i64) {
    let mut numbers: Vec<usize> = (0..count).collect();
    // In the order in which an API server lists them.
    numbers.sort_unstable_by_key(|number| format!("{}/{number}", number / 20));
    let texts: Vec<String> = numbers.into_iter().map(|number| shoot(number).to_string()).collect();
    let mut snapshot = Snapshot::default();
    let kept = allocation_counter::measure(|| {
        for text in &texts {
            let shoot = Shoot::read(text).unwrap();
            snapshot.shoots.put(&ShootName::new(&shoot.namespace, &shoot.name), ShootFacts::of(&shoot));
        }
    });
    (snapshot, kept.bytes_current / i64::try_from(count).unwrap())
}

#[test]
fn a_shoot_costs_less_than_half_a_kibibyte() {
    for count in [1_000, SHOOTS, 20_000] {
        let (snapshot, each) = shoots(count);
        println!("figure: {count} Shoots: {each} bytes each");
        assert!(each < 512, "{count} Shoots: {each} bytes each");

        // And they are all there.
        let name = ShootName::new("garden-project-0", "shoot-1");
        let network_guard_core::gardener::Vpc::Named(vpc) = snapshot.shoots.get(&name).unwrap().vpc.clone() else {
            panic!()
        };
        let place = Grant::Namespace("garden-project-0".into());
        assert_eq!((snapshot.shoots.len(), snapshot.shoots.in_vpc(&vpc, &place).count()), (count, 2));
    }
}

#[test]
fn a_cluster_costs_less_than_half_a_kibibyte() {
    let cluster: Value = serde_json::from_str(include_str!("fixtures/gardener/ha-overlap/cluster.json")).unwrap();
    let text = cluster["spec"].to_string();
    for count in [1_000, SHOOTS, 20_000] {
        let mut snapshot = Snapshot::default();
        let kept = allocation_counter::measure(|| {
            for number in 0..count {
                snapshot.put_cluster(&format!("shoot--project--{number:06}"), ClusterFacts::parse(&text));
            }
        });
        let each = kept.bytes_current / i64::try_from(count).unwrap();
        println!("figure: {count} Clusters: {each} bytes each");
        assert!(each < 512 && snapshot.cluster_count() == count, "{count} Clusters: {each} bytes each");
    }
}

/// What is kept of a kube-apiserver's Deployment, of which there is one for each Shoot of a Seed.
#[test]
fn what_a_vpn_is_told_costs_less_than_half_a_kibibyte() {
    let text = include_str!("fixtures/gardener/ha-several-nodes/deployment.json");
    let mut snapshot = Snapshot::default();
    let kept = allocation_counter::measure(|| {
        for number in 0..SHOOTS {
            let told = network_guard_core::vpn::nat::told(&Deployment::read(text).unwrap());
            snapshot.put_told(format!("shoot--project--{number}").into(), told);
        }
    });
    let each = kept.bytes_current / i64::try_from(SHOOTS).unwrap();
    assert!(each < 512 && snapshot.told().count() == SHOOTS, "{each} bytes a Shoot");
}
