//! Time of one call without network, of the network mapping, and of a plan of the double NAT.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use network_guard_core::net::{Cidr, Family, NetworkKind, map_networks};
use network_guard_core::vpn::Networks;
use network_guard_core::vpn::nat::{End, Side, plan};
use network_guard_nat::Tables;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let scene = support::Scene::new();
    let mut group = criterion.benchmark_group("handler");
    for (name, body) in [
        ("create", support::create()),
        ("create-lean", support::create_lean()),
        ("update", support::update()),
        ("adversarial", support::adversarial()),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{name} ({} bytes)", body.len()), |b| {
            b.iter(|| scene.call(black_box(body.as_bytes())));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("netmap");
    for count in [1_u32, 16, 1_000] {
        // From the narrowest to the widest, so that there is something to sort.
        let networks: Vec<Cidr> = (0..count)
            .map(|i| Cidr::v4(0x0a00_0000 + (i << 12), 20 + u8::try_from((count - i) % 9).unwrap()).unwrap())
            .collect();
        group.bench_function(format!("{count} networks"), |b| {
            b.iter(|| map_networks(NetworkKind::Nodes, black_box(&networks)).unwrap());
        });
    }
    group.finish();

    // From networks to the input of iptables-restore.
    let mut group = criterion.benchmark_group("nat plan");
    for count in [4_u32, 1_000] {
        let cidrs: Vec<String> = (0..count).map(|i| format!("10.{}.{}.0/24", i / 250, i % 250)).collect();
        let cidrs: Vec<Cidr> = cidrs.iter().map(|text| text.parse().unwrap()).collect();
        let networks = Networks { seed_pods: vec![cidrs[0]], nodes: cidrs, ..Networks::default() };
        let end = End { side: Side::Seed, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6: false };
        group.bench_function(format!("{count} networks"), |b| {
            b.iter(|| plan(black_box(&networks), black_box(&end)).unwrap());
        });
        group.bench_function(format!("{count} networks and the text of their rules"), |b| {
            b.iter(|| {
                let plan = plan(black_box(&networks), black_box(&end)).unwrap();
                Tables::default().transition(&Tables::wanted(&plan, Family::V4)).unwrap()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
