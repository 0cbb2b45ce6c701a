//! One event of a watch, from its facts to the published snapshot, in a small and in a large landscape: how many others there
//! are must make next to no difference.

use std::cell::Cell;
use std::sync::Arc;

use network_guard_core::gardener::facts::{Networks, Peer, PeeringFacts};
use network_guard_core::gardener::{ClusterFacts, ShootFacts, ShootName};
use network_guard_core::landscape::Snapshot;
use network_guard_core::net::Cidr;
use network_guard_sources::{Feed, LandscapeCache};

use crate::support;

/// All events by name: what arrives, and how many there are of it.
pub const ALL: [(&str, usize, Kind); 4] = [
    ("event/cluster/1000", 1_000, Kind::Cluster),
    ("event/cluster/100000", 100_000, Kind::Cluster),
    ("event/shoot/1000", 1_000, Kind::Shoot),
    ("event/shoot/100000", 100_000, Kind::Shoot),
];

/// What arrives.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Kind {
    /// A Cluster whose Shoot leaves.
    Cluster,
    /// A Shoot with two peers that has a smaller node network now, so that it is compared with those of its peers.
    Shoot,
}

/// Events that can arrive again and again, each of another object.
pub struct Events {
    feed: Feed,
    size: usize,
    kind: Kind,
    cluster: ClusterFacts,
    arrived: Cell<usize>,
}

impl Events {
    /// The events of this name, if there are any.
    pub fn of(name: &str) -> Option<Self> {
        let (_, size, kind) = ALL.into_iter().find(|(known, ..)| *known == name)?;
        let mut snapshot = Snapshot::default();
        let cluster = cluster();
        for number in 0..size {
            if kind == Kind::Cluster {
                snapshot.put_cluster(&cluster_name(number), Ok(cluster.clone()));
            } else {
                snapshot.shoots.put(&shoot_name(number), shoot(number, size));
            }
        }
        let feed = Arc::new(LandscapeCache::new(1)).feed(0);
        feed.update(|current| *current = snapshot);
        Some(Self { feed, size, kind, cluster, arrived: Cell::new(0) })
    }

    /// How many objects there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The next one arrives.
    pub fn next(&self) {
        // One Shoot in four has peers. The next ones are elsewhere in the maps.
        let number = self.arrived.get() * 4 * 7 % self.size;
        self.arrived.set(self.arrived.get() + 1);
        if self.kind == Kind::Cluster {
            let facts = ClusterFacts { is_leaving: true, ..self.cluster.clone() };
            self.feed.update(|snapshot| snapshot.put_cluster(&cluster_name(number), Ok(facts)));
        } else {
            let facts = ShootFacts { networks: nodes(number, 28), ..shoot(number, self.size) };
            self.feed.update(|snapshot| snapshot.shoots.put(&shoot_name(number), facts));
        }
    }
}

fn cluster() -> ClusterFacts {
    let cluster: serde_json::Value = serde_json::from_str(&support::file("gardener/ha-overlap/cluster.json")).unwrap();
    ClusterFacts::parse(&cluster["spec"].to_string()).unwrap()
}

fn cluster_name(number: usize) -> String {
    format!("shoot--project-{}--shoot-{number}", number / 20)
}

fn shoot_name(number: usize) -> ShootName {
    ShootName::new(&format!("garden-project-{}", number / 20), &format!("shoot-{number}"))
}

/// A node network of its own.
fn nodes(number: usize, prefix_len: u8) -> Networks {
    let nodes = Cidr::v4(0x0a00_0000 + u32::try_from(number * 32).unwrap(), prefix_len).unwrap();
    Networks::new(Vec::new(), Vec::new(), vec![nodes])
}

/// As `benches/performance/objects.rs` has them: one in four peers, with two others that list it back.
fn shoot(number: usize, size: usize) -> ShootFacts {
    let seed = |number: usize| format!("eu1-{}", number % 40).into();
    let peer = |number: usize| Peer { target: shoot_name(number), seed: seed(number) };
    let peers = if number.is_multiple_of(4) {
        vec![peer((number + 4) % size), peer((number + size - 4) % size)]
    } else {
        vec![]
    };
    ShootFacts {
        seed: Some(seed(number)),
        networks: nodes(number, 27),
        peering: PeeringFacts::Enabled(peers.into()),
        has_peer_list: true,
        ..ShootFacts::default()
    }
}
