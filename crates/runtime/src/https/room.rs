//! The memory of all bodies in flight, and which body ends when there is none left: counters and their order. No
//! sockets, no memory, no clock.
//!
//! Memory is counted for what has arrived. Besides the memory that all share there is *the spare*: one further body,
//! which needs no share. Without it, bodies that have arrived in part could hold all the memory, each waiting for what
//! the others hold, until all of them have waited too long.
//!
//! A body that finds no memory waits. Of the waiting bodies the one whose peer holds least goes on first. If its peer
//! would then hold at most half of what the peer with most holds, a body of that peer ends for it, the one that has
//! been arriving for longest. So a few callers cannot hold all the memory against others, while one caller alone may
//! fill it. A body that has arrived is never ended: it is being answered, which takes a bounded time.

use std::collections::{BTreeMap, BTreeSet};

use super::pool::Peer;

/// What all bodies hold, in units that the caller chooses.
#[derive(Debug)]
pub(super) struct Ledger {
    room: usize,
    taken: usize,
    /// The body that has the spare.
    spare: Option<u64>,
    last: u64,
    /// In the order of arrival.
    bodies: BTreeMap<u64, Share>,
    waiting: BTreeSet<u64>,
    /// What each peer holds, without bodies that have to end. Only peers that hold something.
    peers: BTreeMap<Peer, usize>,
}

/// What one body holds.
#[derive(Clone, Copy, Debug)]
struct Share {
    peer: Peer,
    /// In all.
    units: usize,
    /// Of the shared memory: less than `all` only for the body with the spare.
    shared: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Arriving,
    /// It waits until it may hold so much.
    Waiting(usize),
    Arrived,
    /// It was told to end, and has not left yet.
    Ending,
}

/// The consequences of a change.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Follows {
    /// These have been granted what they waited for.
    pub(super) granted: Vec<u64>,
    /// These have to end, and then to leave.
    pub(super) ended: Vec<(u64, Peer)>,
}

impl Ledger {
    /// Creates it with so many units.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            taken: 0,
            spare: None,
            last: 0,
            bodies: BTreeMap::new(),
            waiting: BTreeSet::new(),
            peers: BTreeMap::new(),
        }
    }

    /// A body begins to arrive.
    pub(super) fn enter(&mut self, peer: Peer) -> u64 {
        self.last += 1;
        self.bodies.insert(self.last, Share { peer, units: 0, shared: 0, stage: Stage::Arriving });
        self.last
    }

    /// A body needs so many units in all. It waits unless it is among those that are granted it.
    pub(super) fn grow(&mut self, id: u64, units: usize) -> Follows {
        let Some(share) = self.bodies.get_mut(&id).filter(|share| share.stage == Stage::Arriving) else {
            return Follows::default();
        };
        share.stage = Stage::Waiting(units);
        self.waiting.insert(id);
        let needs_nothing = self.spare == Some(id) || units <= share.units;
        if needs_nothing {
            self.grant(id);
            return Follows { granted: vec![id], ended: Vec::new() };
        }
        self.settle()
    }

    /// The whole body has arrived.
    pub(super) fn arrived(&mut self, id: u64) {
        if let Some(share) = self.bodies.get_mut(&id).filter(|share| share.stage == Stage::Arriving) {
            share.stage = Stage::Arrived;
        }
    }

    /// A body has left, and what it held is free.
    pub(super) fn leave(&mut self, id: u64) -> Follows {
        let Some(share) = self.bodies.remove(&id) else { return Follows::default() };
        if share.stage != Stage::Ending {
            self.forget(share);
        }
        self.waiting.remove(&id);
        self.taken -= share.shared;
        self.spare = self.spare.filter(|spare| *spare != id);
        self.settle()
    }

    /// Grants memory to waiting bodies, in their order.
    fn settle(&mut self) -> Follows {
        let mut follows = Follows::default();
        while let Some((id, wants)) = self.first() {
            let share = self.bodies[&id];
            let missing = wants - share.shared;
            if self.taken + missing <= self.room || self.spare.is_none() {
                if self.taken + missing > self.room {
                    self.spare = Some(id);
                }
                self.grant(id);
                follows.granted.push(id);
                continue;
            }
            let ending = self.bodies.iter().filter(|(_, share)| share.stage == Stage::Ending);
            let (coming, is_spare_coming) = ending.fold((0, false), |(coming, is_spare_coming), (id, share)| {
                (coming + share.shared, is_spare_coming || self.spare == Some(*id))
            });
            if is_spare_coming || self.taken - coming + missing <= self.room {
                break;
            }
            let Some(victim) = self.victim(self.held(share.peer) + wants - share.units) else { break };
            let share = self.bodies.get_mut(&victim).expect("it has just been found");
            share.stage = Stage::Ending;
            let share = *share;
            self.waiting.remove(&victim);
            self.forget(share);
            follows.ended.push((victim, share.peer));
        }
        follows
    }

    /// Of the waiting bodies, the one whose peer holds least, and what it wants.
    fn first(&self) -> Option<(u64, usize)> {
        let first = *self.waiting.iter().min_by_key(|id| (self.held(self.bodies[id].peer), **id))?;
        match self.bodies[&first].stage {
            Stage::Waiting(wants) => Some((first, wants)),
            _ => None,
        }
    }

    /// The body to end for a peer that would hold so much.
    fn victim(&self, holds: usize) -> Option<u64> {
        let may_end = |share: &Share| share.units > 0 && matches!(share.stage, Stage::Arriving | Stage::Waiting(_));
        let bodies = self.bodies.iter().filter(|(_, share)| may_end(share) && holds * 2 <= self.held(share.peer));
        bodies.max_by_key(|(id, share)| (self.held(share.peer), std::cmp::Reverse(**id))).map(|(id, _)| *id)
    }

    fn held(&self, peer: Peer) -> usize {
        self.peers.get(&peer).copied().unwrap_or(0)
    }

    /// Grants a body what it waits for.
    fn grant(&mut self, id: u64) {
        let has_spare = self.spare == Some(id);
        self.waiting.remove(&id);
        let Some(share) = self.bodies.get_mut(&id) else { return };
        let Stage::Waiting(wants) = share.stage else { return };
        share.stage = Stage::Arriving;
        let more = wants.saturating_sub(share.units);
        share.units += more;
        if !has_spare {
            share.shared += more;
            self.taken += more;
        }
        if more > 0 {
            *self.peers.entry(share.peer).or_default() += more;
        }
    }

    /// Stops counting what a body holds for its peer.
    fn forget(&mut self, share: Share) {
        if let Some(held) = self.peers.get_mut(&share.peer) {
            *held -= share.units;
            if *held == 0 {
                self.peers.remove(&share.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
