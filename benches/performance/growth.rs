//! How work grows with the landscape, without network: each figure is the time of the larger input by that of the smaller one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use network_guard_core::gardener::SeedFacts;
use network_guard_core::gardener::list::{List, ListLimits};
use network_guard_core::gardener::node::NodeFacts;
use network_guard_core::landscape::Snapshot;
use network_guard_core::net::{Cidr, Family};
use network_guard_core::overlay::{RouteTracker, RouteTrackerSettings};
use network_guard_core::vpn::Networks;
use network_guard_core::vpn::nat::{End, Side, plan};
use network_guard_core::webhooks::ValidateShoot;
use network_guard_nat::Tables;
use network_guard_sources::LandscapeCache;

use crate::goals::Figures;
use crate::median;
use crate::objects::{Shoots, node};
use crate::support::Scene;

/// The median of the ratios of both, in turns.
fn growth(rounds: usize, mut small: impl FnMut(), mut large: impl FnMut()) -> f64 {
    let time = |run: &mut dyn FnMut()| {
        let started = Instant::now();
        run();
        started.elapsed().as_secs_f64()
    };
    small();
    large();
    median((0..rounds).map(|_| [time(&mut small), time(&mut large)]).map(|[small, large]| large / small))
}

fn landscape(shoots: &Shoots, count: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..40 {
        let facts = SeedFacts { pods: "192.168.0.0/16".parse().ok(), ..SeedFacts::default() };
        snapshot.put_seed(&format!("eu1-{number}"), facts);
    }
    for number in 0..count {
        let (name, facts) = shoots.facts(number);
        snapshot.shoots.put(&name, facts);
    }
    snapshot
}

pub fn measure(figures: &mut Figures) {
    let sizes = [1_000, 100_000];
    let [small, large] = sizes.map(|count| {
        let shoots = Shoots::new(count);
        let snapshot = landscape(&shoots, count);
        (shoots, Scene::of(ValidateShoot::default(), snapshot))
    });
    for operation in ["create", "update"] {
        let [small, large] = [&small, &large].map(|(shoots, scene)| {
            let body = shoots.review(operation, 10);
            assert!(String::from_utf8(scene.call(body.as_bytes())).unwrap().contains(r#""allowed":true"#));
            // A single call is too short to be told from a hiccup of the machine.
            move || (0..20).for_each(|_| drop(black_box(scene.call(black_box(body.as_bytes())))))
        });
        figures.put(&format!("growth/shoot-{operation}"), growth(51, small, large));
    }

    let [small, large] = [small, large].map(|(shoots, scene)| {
        let cache = Arc::new(LandscapeCache::new(1));
        cache.feed(0).update(|current| *current = scene.snapshot);
        let mut events = (0..52 * 20).map(|i| shoots.facts(i * 3 % 1_000)).collect::<Vec<_>>().into_iter();
        let mut is_being_deleted = true;
        move || {
            for _ in 0..20 {
                let (name, mut facts) = events.next().expect("one for each round");
                is_being_deleted = !is_being_deleted;
                facts.is_being_deleted = is_being_deleted;
                cache.feed(0).update(|snapshot| snapshot.shoots.put(&name, facts));
            }
        }
    });
    figures.put("growth/event", growth(51, small, large));

    let [small, large] = [100_u32, 1_000].map(|count| {
        let network = |i: u32| Cidr::v4(0x0a00_0000 + (i << 8), 24).unwrap();
        let nodes: Vec<Cidr> = (0..count).map(network).collect();
        let networks = Networks { seed_pods: vec![nodes[0]], nodes, ..Networks::default() };
        let end = End { side: Side::Seed, tunnel: "bond0+".parse().unwrap(), has_ipv4: true, has_ipv6: false };
        move || {
            let plan = plan(black_box(&networks), black_box(&end)).unwrap();
            drop(black_box(Tables::default().transition(&Tables::wanted(&plan, Family::V4)).unwrap()));
        }
    });
    figures.put("growth/nat", growth(31, small, large));

    let [small, large] = [500, 5_000].map(|count| {
        let items: Vec<String> = (0..count).map(node).collect();
        let metadata = r#""metadata":{"resourceVersion":"1"}"#;
        let text = format!(r#"{{"kind":"NodeList","apiVersion":"v1",{metadata},"items":[{}]}}"#, items.join(","));
        let mut tracker = RouteTracker::default();
        move || {
            let nodes = read(&text);
            assert_eq!(nodes.len(), count);
            black_box(tracker.observe(&nodes, Timestamp::now(), &RouteTrackerSettings::default()));
        }
    });
    figures.put("growth/nodes", growth(5, small, large));
}

fn read(text: &str) -> Vec<NodeFacts> {
    let limits = ListLimits { objects: 50_000, page: 50_000, pages: 1, arriving: 256 << 20, kept: 16 << 20 };
    let mut list = List::new(limits);
    // In pieces such as hyper reads.
    text.as_bytes().chunks(64 << 10).for_each(|piece| list.read(piece).unwrap());
    list.end_page().unwrap();
    list.into_objects()
}
