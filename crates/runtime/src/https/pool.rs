//! The open connections, and which one is closed when there is no place for another: counters and their order. No
//! sockets, no clock.
//!
//! A connection *waits* until there is a place for it, is a *handshake* until the head of its first request has arrived, and
//! *established* from then on. All three have places of their own, so that silent clients take none from those that call.
//!
//! - A new connection always waits for a moment. Where as many wait as may, the longest-waiting one of the peer that has most of
//!   them is closed: its caller has most likely found another connection meanwhile.
//! - A place for a handshake is given to the peer that has fewest. Where all are taken, a handshake is closed for it that has been
//!   lasting for a second, or else one of the peer that has most: one whose client has said nothing in a tenth of a second, of its own, or
//!   of a peer that has more. One whose client has just begun to talk, or may be about to, is closed only of a peer that has more than an equal share, for one that has
//!   less: otherwise many that come at once would end each other, and none would come to its end. A peer that has its whole share
//!   takes nothing from others. So no peer takes a place from a peer that has fewer, however fast it reconnects.
//! - A handshake becomes established while there are places. When all are taken, an established connection is closed:
//!   first one that has been idle, or whose body has been arriving, for at least a second, the longest one of the peer
//!   with most; then one that has just become idle; then one whose body has just begun to arrive, of a peer with
//!   clearly more; and last one whose call takes longer than any webhook may. It is never a connection of a peer that
//!   has no more than the new peer. A call that is being answered ends for no other reason. Closing an idle connection
//!   may break a call that is just being sent, so it happens for no other reason either.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The age from which a silent connection is closed before a new one: many times the duration of a handshake or of a
/// body.
const SLOW: Duration = Duration::from_secs(1);

/// The time that a client has for its first words. Until then it may be talking.
pub(super) const FIRST_WORDS: Duration = Duration::from_millis(100);

/// Longer than any call: an API server waits for a webhook for 30 s at most.
const STUCK: Duration = Duration::from_secs(30);

/// The client: an IPv4 address, or the /64 of an IPv6 address, which is the smallest network that a host is given.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        // A socket that serves both families shows IPv4 as `::ffff:a.b.c.d`.
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        if self.0.is_ipv6() { f.write_str("/64") } else { Ok(()) }
    }
}

/// The limits; each is at least 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Places {
    /// Handshakes, and as many that wait to be one.
    pub(super) handshakes: usize,
    /// Handshakes of one peer while all places are taken.
    pub(super) handshakes_of_peer: usize,
    /// Established connections.
    pub(super) established: usize,
}

/// An open connection. A later one has a larger `id`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Ticket {
    /// The other side.
    pub(super) peer: Peer,
    /// Its number.
    pub(super) id: u64,
}

/// A connection that has to be closed. It is not counted any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Evicted {
    /// The connection.
    pub(super) ticket: Ticket,
    /// Its state.
    pub(super) was: Was,
}

/// The state of a connection that has to be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Was {
    /// It had not sent a request yet, or had not even been listened to.
    Handshake,
    /// None of its requests was being answered.
    Idle,
    /// One of its requests was arriving, or being answered.
    Busy,
}

impl Was {
    /// Its label in metrics.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Handshake => "evicted-handshake",
            Self::Idle => "evicted-idle",
            Self::Busy => "evicted-busy",
        }
    }
}

/// The result for a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begun {
    /// It is answered, and this connection has to be closed for it.
    Yes(Option<Evicted>),
    /// There is no place for its connection, which stays a handshake.
    Full,
    /// Its connection had to be closed.
    Gone,
}

/// All open connections of one port.
#[derive(Debug)]
pub(super) struct Pool {
    places: Places,
    /// The number of the newest connection.
    last: u64,
    waiting: usize,
    handshakes: usize,
    established: usize,
    /// Only peers that have a connection.
    peers: BTreeMap<Peer, Held>,
}

/// The connections of one peer.
#[derive(Debug, Default)]
struct Held {
    waiting: BTreeSet<u64>,
    handshakes: BTreeMap<u64, Handshake>,
    established: BTreeMap<u64, Activity>,
}

#[derive(Clone, Copy, Debug)]
struct Handshake {
    since: Instant,
    /// Whether anything has come from the client.
    has_spoken: bool,
}

/// The order in which handshakes are closed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Patience {
    /// It has lasted for a second.
    Over,
    /// Its client had time to say something, and did not.
    Silent,
    /// Its client has just begun to talk, or may be about to.
    Talks,
}

impl Handshake {
    fn patience(self, now: Instant) -> Patience {
        let lasts = now.saturating_duration_since(self.since);
        if lasts >= SLOW {
            Patience::Over
        } else if self.has_spoken || lasts < FIRST_WORDS {
            Patience::Talks
        } else {
            Patience::Silent
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Activity {
    does: Does,
    since: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Does {
    Nothing,
    /// The head of a request has arrived, its body has not.
    Receive,
    Answer,
}

/// The order in which established connections are closed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    /// It has been idle, or its body has been arriving, for at least a second.
    Rests,
    /// It has just become idle, and its peer has clearly more than the new peer, or is the same.
    Idle,
    /// The body of its request has just begun to arrive.
    Receiving,
    /// It has just become idle, and its peer would then have no more than the new one.
    LastIdle,
    /// Its call takes longer than any may.
    Stuck,
}

impl Activity {
    /// Whether and when it is closed for a peer with so many connections, given those of its own peer.
    fn rank(self, is_own: bool, its: usize, has: usize, now: Instant) -> Option<Rank> {
        let lasts = now.saturating_duration_since(self.since);
        // Two peers with about the same number must not end each other's calls in turn.
        let has_clearly_more = its > has + 1;
        match self.does {
            Does::Nothing if !is_own && its <= has => None,
            Does::Nothing if lasts >= SLOW => Some(Rank::Rests),
            Does::Nothing if is_own || has_clearly_more => Some(Rank::Idle),
            Does::Nothing => Some(Rank::LastIdle),
            _ if !has_clearly_more => None,
            Does::Receive if lasts >= SLOW => Some(Rank::Rests),
            Does::Receive => Some(Rank::Receiving),
            Does::Answer => (lasts > STUCK).then_some(Rank::Stuck),
        }
    }

    /// Its state, if it is to be closed.
    fn was(self) -> Was {
        if self.does == Does::Nothing { Was::Idle } else { Was::Busy }
    }
}

impl Pool {
    pub(super) fn new(places: Places) -> Self {
        Self { places, last: 0, waiting: 0, handshakes: 0, established: 0, peers: BTreeMap::new() }
    }

    /// Those that have sent no request yet, and established connections.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.waiting + self.handshakes, self.established)
    }

    /// Takes a connection, which waits; and the connection to close for it.
    pub(super) fn arrive(&mut self, peer: Peer) -> (Ticket, Option<Evicted>) {
        let evicted = if self.waiting < self.places.handshakes { None } else { self.waits_too_long() };
        if let Some(evicted) = evicted {
            self.leave(evicted.ticket);
        }
        self.last += 1;
        let id = self.last;
        self.peers.entry(peer).or_default().waiting.insert(id);
        self.waiting += 1;
        (Ticket { peer, id }, evicted)
    }

    /// The longest-waiting connection of the peer of which most wait.
    fn waits_too_long(&self) -> Option<Evicted> {
        let oldest =
            self.peers.iter().filter_map(|(peer, held)| Some((held.waiting.len(), held.waiting.first()?, *peer)));
        let (_, id, peer) = oldest.max_by_key(|(count, id, _)| (*count, Reverse(*id)))?;
        Some(Evicted { ticket: Ticket { peer, id: *id }, was: Was::Handshake })
    }

    /// The next connection whose handshake may begin, and the one to close for it.
    pub(super) fn admit(&mut self, now: Instant) -> Option<(Ticket, Option<Evicted>)> {
        if self.waiting == 0 {
            return None;
        }
        let oldest =
            self.peers.iter().filter_map(|(peer, held)| Some((held.handshakes.len(), *held.waiting.first()?, *peer)));
        let (_, id, peer) = oldest.min_by_key(|(count, id, _)| (*count, *id))?;
        let evicted = if self.handshakes < self.places.handshakes {
            None
        } else {
            let (_, ticket) = self.handshake_for(Some(peer), now)?;
            self.leave(ticket);
            Some(Evicted { ticket, was: Was::Handshake })
        };
        let held = self.peers.get_mut(&peer).expect("one of its connections waits");
        held.waiting.remove(&id);
        held.handshakes.insert(id, Handshake { since: now, has_spoken: false });
        self.waiting -= 1;
        self.handshakes += 1;
        Some((Ticket { peer, id }, evicted))
    }

    /// The first bytes have arrived.
    pub(super) fn speak(&mut self, ticket: Ticket) {
        let held = self.peers.get_mut(&ticket.peer);
        if let Some(handshake) = held.and_then(|held| held.handshakes.get_mut(&ticket.id)) {
            handshake.has_spoken = true;
        }
    }

    /// The handshake to close for another one of this peer, or for anything else if there is none.
    fn handshake_for(&self, peer: Option<Peer>, now: Instant) -> Option<(Patience, Ticket)> {
        let has = peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |held| held.handshakes.len());
        let takes_its_own = has >= self.places.handshakes_of_peer;
        // What each peer would have if all had the same, the new one among them.
        let others = self.peers.iter().filter(|(of, held)| Some(**of) != peer && !held.handshakes.is_empty());
        let share = self.places.handshakes / (others.count() + 1);
        let may_go = |of: Peer, its: usize, patience: Patience| {
            let is_own = Some(of) == peer;
            let takes = is_own || !takes_its_own && its > has;
            takes && (patience < Patience::Talks || peer.is_none() || !is_own && has < share && share < its)
        };
        let all = self.peers.iter().flat_map(|(of, held)| {
            let its = held.handshakes.len();
            let all = held.handshakes.iter().map(move |(id, handshake)| (its, *id, *of, handshake.patience(now)));
            all.filter(move |(its, _, of, patience)| may_go(*of, *its, *patience))
        });
        let order = |(its, id, _, patience): &(usize, u64, Peer, Patience)| {
            // Who has few, and has had no time to say anything, stays where others have more.
            (*patience != Patience::Over, Reverse(*its), *patience, *id)
        };
        let (_, id, peer, patience) = all.min_by_key(order)?;
        Some((patience, Ticket { peer, id }))
    }

    /// The established connection to close for another one of this peer, or of a peer that has none.
    fn established_for(&self, peer: Option<Peer>, now: Instant) -> Option<(Rank, Evicted)> {
        let has = peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |held| held.established.len());
        let all = self.peers.iter().flat_map(|(of, held)| {
            let its = held.established.len();
            held.established.iter().filter_map(move |(id, activity)| {
                let rank = activity.rank(Some(*of) == peer, its, has, now)?;
                let evicted = Evicted { ticket: Ticket { peer: *of, id: *id }, was: activity.was() };
                Some(((rank, Reverse(its), activity.since, *id), evicted))
            })
        });
        all.min_by_key(|(order, _)| *order).map(|((rank, ..), evicted)| (rank, evicted))
    }

    /// Closes a connection where something else has run out, such as file descriptors: silent ones first.
    pub(super) fn make_room(&mut self, now: Instant) -> Option<Evicted> {
        let handshake = self.handshake_for(None, now);
        let handshake = handshake.map(|(patience, ticket)| (patience, Evicted { ticket, was: Was::Handshake }));
        let evicted = match (handshake, self.established_for(None, now), self.waits_too_long()) {
            (Some((Patience::Over, handshake)), ..) => handshake,
            (_, Some((Rank::Rests, established)), _) => established,
            (.., Some(waiting)) => waiting,
            (Some((_, handshake)), ..) => handshake,
            (None, established, None) => established?.1,
        };
        self.leave(evicted.ticket);
        Some(evicted)
    }

    /// The head of a request has arrived.
    pub(super) fn begin(&mut self, ticket: Ticket, now: Instant) -> Begun {
        let Some(held) = self.peers.get_mut(&ticket.peer) else { return Begun::Gone };
        let receiving = Activity { does: Does::Receive, since: now };
        if let Some(activity) = held.established.get_mut(&ticket.id) {
            *activity = receiving;
            return Begun::Yes(None);
        }
        if !held.handshakes.contains_key(&ticket.id) {
            return Begun::Gone;
        }
        let evicted = if self.established < self.places.established {
            None
        } else {
            let Some((_, evicted)) = self.established_for(Some(ticket.peer), now) else { return Begun::Full };
            self.leave(evicted.ticket);
            Some(evicted)
        };
        let held = self.peers.get_mut(&ticket.peer).expect("it has this handshake");
        held.handshakes.remove(&ticket.id);
        held.established.insert(ticket.id, receiving);
        self.handshakes -= 1;
        self.established += 1;
        Begun::Yes(evicted)
    }

    /// The whole request has arrived.
    pub(super) fn received(&mut self, ticket: Ticket, now: Instant) {
        self.set(ticket, Activity { does: Does::Answer, since: now });
    }

    /// The answer to its request is written.
    pub(super) fn end(&mut self, ticket: Ticket, now: Instant) {
        self.set(ticket, Activity { does: Does::Nothing, since: now });
    }

    fn set(&mut self, ticket: Ticket, to: Activity) {
        let held = self.peers.get_mut(&ticket.peer);
        if let Some(activity) = held.and_then(|held| held.established.get_mut(&ticket.id)) {
            *activity = to;
        }
    }

    /// The connection is closed. It may have been removed already.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        let Some(held) = self.peers.get_mut(&ticket.peer) else { return };
        if held.waiting.remove(&ticket.id) {
            self.waiting -= 1;
        } else if held.handshakes.remove(&ticket.id).is_some() {
            self.handshakes -= 1;
        } else if held.established.remove(&ticket.id).is_some() {
            self.established -= 1;
        }
        if held.waiting.is_empty() && held.handshakes.is_empty() && held.established.is_empty() {
            self.peers.remove(&ticket.peer);
        }
    }
}

#[cfg(test)]
mod tests;
