//! The invariants of the memory for bodies.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const ROOM: usize = 12;
/// The most that one body has.
const BODY: usize = 7;

fn peer(number: u8) -> Peer {
    IpAddr::from([10, 0, 0, number]).into()
}

/// What bodies do, and what they are granted.
struct Bodies {
    ledger: Ledger,
    /// The peer, and what was granted.
    open: BTreeMap<u64, (Peer, usize)>,
    waiting: BTreeMap<u64, usize>,
    arrived: HashSet<u64>,
    ending: HashSet<u64>,
}

impl Bodies {
    fn new(room: usize) -> Self {
        Self {
            ledger: Ledger::new(room),
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            arrived: HashSet::new(),
            ending: HashSet::new(),
        }
    }

    fn enter(&mut self, peer: Peer) -> u64 {
        let id = self.ledger.enter(peer);
        self.open.insert(id, (peer, 0));
        id
    }

    /// Whether it may go on at once.
    fn grow(&mut self, id: u64, units: usize) -> bool {
        self.waiting.insert(id, units);
        let follows = self.ledger.grow(id, units);
        self.follow(follows);
        !self.waiting.contains_key(&id)
    }

    fn leave(&mut self, id: u64) {
        self.open.remove(&id);
        self.waiting.remove(&id);
        self.arrived.remove(&id);
        self.ending.remove(&id);
        let follows = self.ledger.leave(id);
        self.follow(follows);
    }

    fn held(&self, of: Peer) -> usize {
        let its = self.open.iter().filter(|(id, (peer, _))| *peer == of && !self.ending.contains(id));
        its.map(|(_, (_, units))| units).sum()
    }

    fn follow(&mut self, follows: Follows) {
        for id in follows.granted {
            let units = self.waiting.remove(&id).expect("only a waiting body is granted something");
            let (_, has) = self.open.get_mut(&id).unwrap();
            *has = units.max(*has);
        }
        for (id, peer) in follows.ended {
            assert!(!self.arrived.contains(&id) && self.open[&id].0 == peer);
            assert!(self.ending.insert(id), "it is told to end once");
            self.waiting.remove(&id);
        }
    }

    /// Bodies that have to end leave.
    fn end(&mut self) {
        while let Some(id) = self.ending.iter().next().copied() {
            self.leave(id);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Enter(u8),
    /// The index of one of the open bodies.
    Grow(usize, usize),
    Arrived(usize),
    Leave(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Happens::Enter),
        6 => (any::<usize>(), 1..=3_usize).prop_map(|(which, more)| Happens::Grow(which, more)),
        1 => any::<usize>().prop_map(Happens::Arrived),
        2 => any::<usize>().prop_map(Happens::Leave),
    ]
}

proptest! {
    #[test]
    fn room_is_bounded_and_shared_fairly(events in prop::collection::vec(happens(), 0..150)) {
        let mut bodies = Bodies::new(ROOM);
        for event in events {
            let known = |number: usize| bodies.open.keys().nth(number % bodies.open.len().max(1)).copied();
            match event {
                Happens::Enter(number) => _ = bodies.enter(peer(number)),
                Happens::Grow(number, more) => {
                    let Some(id) = known(number) else { continue };
                    let busy = bodies.waiting.contains_key(&id) || bodies.arrived.contains(&id);
                    let units = bodies.open[&id].1 + more;
                    if busy || bodies.ending.contains(&id) || units > BODY {
                        continue;
                    }
                    let (open, before) = (bodies.open.clone(), bodies.ending.clone());
                    let held: BTreeMap<u64, usize> = open.iter().map(|(id, (peer, _))| (*id, bodies.held(*peer))).collect();
                    let mut wants = bodies.waiting.clone();
                    wants.insert(id, units);
                    bodies.grow(id, units);
                    for ended in bodies.ending.difference(&before) {
                        prop_assert!(bodies.open[ended].1 > 0, "a body that holds nothing does not end");
                        // It ends for a body of another peer, also where its own has just got more and holds too much by that.
                        let is_its = |id: &u64| open[id].0 == open[ended].0;
                        let more: usize = wants.iter().filter(|(id, _)| is_its(id)).map(|(id, wants)| wants - open[id].1).sum();
                        let most = held[ended] + more;
                        let for_somebody = wants
                            .iter()
                            .any(|(id, wants)| !is_its(id) && (held[id] + wants - open[id].1) * 2 <= most);
                        prop_assert!(for_somebody, "only for a peer that holds half as much: {:?}", held);
                    }
                }
                Happens::Arrived(number) => {
                    let Some(id) = known(number) else { continue };
                    bodies.ledger.arrived(id);
                    if !bodies.waiting.contains_key(&id) && !bodies.ending.contains(&id) {
                        bodies.arrived.insert(id);
                    }
                }
                Happens::Leave(number) => {
                    let Some(id) = known(number) else { continue };
                    bodies.leave(id);
                }
            }
            let total: usize = bodies.open.values().map(|(_, units)| units).sum();
            prop_assert!(total <= ROOM + BODY, "{total}");
            prop_assert!(bodies.ledger.taken <= ROOM);
        }
        // No body is forgotten, and no memory is lost.
        while let Some(id) = bodies.open.keys().next().copied() {
            bodies.end();
            bodies.leave(id);
        }
        let ledger = &bodies.ledger;
        prop_assert_eq!((ledger.taken, ledger.spare, ledger.bodies.len(), ledger.peers.len()), (0, None, 0, 0));
        prop_assert!(ledger.waiting.is_empty() && bodies.waiting.is_empty());
    }

    /// However many bodies a peer holds, and however it reconnects, a peer that holds little gets its memory.
    #[test]
    fn a_peer_that_holds_little_goes_on(sizes in prop::collection::vec(1..=BODY, 1..40), wants in 1..=3_usize) {
        let mut bodies = Bodies::new(ROOM);
        for (at, size) in sizes.into_iter().enumerate() {
            let hog = bodies.enter(peer(1));
            bodies.grow(hog, size);
            if at % 3 == 0 {
                let mine = bodies.enter(peer(0));
                let goes_on = bodies.grow(mine, wants);
                // Bodies that come back are not faster.
                let hog = bodies.enter(peer(1));
                bodies.grow(hog, size);
                bodies.end();
                prop_assert!(goes_on || !bodies.waiting.contains_key(&mine), "{:?}", bodies.ledger);
                bodies.leave(mine);
            }
        }
    }
}

/// One peer alone fills the shared memory and the spare, and none of its bodies ends for more.
#[test]
fn one_peer_alone_may_fill_it() {
    let mut bodies = Bodies::new(ROOM);
    let (one, two, three) = (bodies.enter(peer(1)), bodies.enter(peer(1)), bodies.enter(peer(1)));
    assert!(bodies.grow(one, BODY) && bodies.grow(two, BODY), "the second one has the spare");
    assert!(!bodies.grow(three, BODY));
    assert!(bodies.ending.is_empty());
    bodies.leave(two);
    assert!(!bodies.waiting.contains_key(&three), "now that one has the spare");
}

/// The spare that comes back is enough for the waiting body, so no second body ends.
#[test]
fn no_more_bodies_end_than_necessary() {
    let mut bodies = Bodies::new(ROOM);
    let [with_spare, large, small] = [(); 3].map(|()| bodies.enter(peer(1)));
    assert!(bodies.grow(with_spare, 1) && bodies.grow(large, 7) && bodies.grow(small, 4), "they fill the room");
    assert!(bodies.grow(with_spare, 3), "there was the spare");
    let mine = bodies.enter(peer(0));
    assert!(!bodies.grow(mine, 2), "it holds one unit of the room, and two are missing");
    assert_eq!(bodies.ending, HashSet::from([with_spare]));
    bodies.end();
    assert!(!bodies.waiting.contains_key(&mine));
}

/// Of the peer that holds most, the body that has been arriving for longest; never one that has arrived.
#[test]
fn who_gives_way() {
    let mut bodies = Bodies::new(ROOM);
    let hogs = [4, 4, 4, 1].map(|units| {
        let hog = bodies.enter(peer(1));
        assert!(bodies.grow(hog, units));
        hog
    });
    bodies.ledger.arrived(hogs[0]);
    let equal = bodies.enter(peer(2));
    assert!(!bodies.grow(equal, 7), "it would hold more than half of what the other one holds");
    assert!(bodies.ending.is_empty());
    bodies.leave(equal);
    let mine = bodies.enter(peer(0));
    assert!(!bodies.grow(mine, 2));
    assert_eq!(bodies.ending, HashSet::from([hogs[1]]));
    let taken = bodies.ledger.taken;
    assert_eq!(taken, ROOM, "its room is free only when it has left");
    bodies.end();
    assert!(!bodies.waiting.contains_key(&mine));
}
