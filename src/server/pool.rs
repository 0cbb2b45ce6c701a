//! Which connections are open, and which one has to go when there is no room: counts and their order. No sockets, no clock.
//!
//! A connection is a *handshake* until the head of its first request has arrived, and *established* from then on. Both
//! have room of their own, so that callers who say nothing take none from those who call.
//!
//! - A new handshake is always let in. Where its peer has its whole share, that peer's oldest one goes; where all the
//!   room is taken, the oldest one of the peer that has most of them. So nobody takes anything from a peer that has
//!   fewer, however fast it reconnects.
//! - A handshake becomes established as long as there is room. Then the connection that has been idle for longest goes,
//!   of the peer that has most connections; where that peer has a call on every one of them, the longest call, for a peer
//!   that has fewer. To close an idle connection may cost its client a call that is just on its way, so it is done for no
//!   other reason.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

/// Who is on the other side: an IPv4 address, or the /64 of an IPv6 address, which is the least that a host is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
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

/// How many there may be; each is at least 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Places {
    /// Handshakes.
    pub(super) handshakes: usize,
    /// Handshakes of one peer.
    pub(super) handshakes_of_peer: usize,
    /// Established connections.
    pub(super) established: usize,
}

/// An open connection. A later one has a larger `id`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Ticket {
    /// The other side.
    pub(super) peer: Peer,
    /// Its number.
    pub(super) id: u64,
}

/// A connection that has to be closed. It does not count any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Evicted {
    /// The connection.
    pub(super) ticket: Ticket,
    /// What it was.
    pub(super) was: Was,
}

/// What a connection was that has to be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Was {
    /// It had not sent a request yet.
    Handshake,
    /// None of its requests was being answered.
    Idle,
    /// One of its requests was being answered.
    Busy,
}

impl Was {
    /// The label for metrics.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Handshake => "evicted-handshake",
            Self::Idle => "evicted-idle",
            Self::Busy => "evicted-busy",
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begun {
    /// It is answered, and this connection has to go for it.
    Yes(Option<Evicted>),
    /// There is no room for its connection, which stays a handshake.
    Full,
    /// Its connection had to go.
    Gone,
}

/// All open connections of one port.
#[derive(Debug)]
pub(super) struct Pool {
    places: Places,
    /// The order of everything that happens.
    now: u64,
    handshakes: usize,
    established: usize,
    /// Only those that have a connection.
    peers: HashMap<Peer, Held>,
}

/// What one peer has.
#[derive(Debug, Default)]
struct Held {
    handshakes: BTreeSet<u64>,
    established: HashMap<u64, Activity>,
}

#[derive(Clone, Copy, Debug)]
struct Activity {
    is_busy: bool,
    /// Since when.
    since: u64,
}

impl Held {
    /// The established connection that has been idle, or busy, for longest.
    fn longest(&self, is_busy: bool) -> Option<(u64, u64)> {
        let alike = self.established.iter().filter(|(_, activity)| activity.is_busy == is_busy);
        alike.map(|(id, activity)| (activity.since, *id)).min()
    }
}

impl Pool {
    pub(super) fn new(places: Places) -> Self {
        Self { places, now: 0, handshakes: 0, established: 0, peers: HashMap::new() }
    }

    /// Handshakes and established connections.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.handshakes, self.established)
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Lets a connection in.
    pub(super) fn arrive(&mut self, peer: Peer) -> (Ticket, Option<Evicted>) {
        let has = self.peers.get(&peer).map_or(0, |held| held.handshakes.len());
        let evicted = if has >= self.places.handshakes_of_peer {
            self.evict_handshake(peer)
        } else if self.handshakes >= self.places.handshakes {
            self.evict_oldest()
        } else {
            None
        };
        let id = self.tick();
        self.peers.entry(peer).or_default().handshakes.insert(id);
        self.handshakes += 1;
        (Ticket { peer, id }, evicted)
    }

    /// Makes room where somebody else, such as the kernel, has none: of the peer with most handshakes the oldest one.
    pub(super) fn evict_oldest(&mut self) -> Option<Evicted> {
        let having = self.peers.iter().filter_map(|(peer, held)| Some((*peer, held, held.handshakes.first()?)));
        let greediest = having.max_by_key(|(_, held, oldest)| (held.handshakes.len(), std::cmp::Reverse(**oldest)));
        self.evict_handshake(greediest?.0)
    }

    fn evict_handshake(&mut self, peer: Peer) -> Option<Evicted> {
        let id = *self.peers.get(&peer)?.handshakes.first()?;
        Some(self.evict(Ticket { peer, id }, Was::Handshake))
    }

    fn evict(&mut self, ticket: Ticket, was: Was) -> Evicted {
        self.leave(ticket);
        Evicted { ticket, was }
    }

    /// The head of a request has arrived.
    pub(super) fn begin(&mut self, ticket: Ticket) -> Begun {
        let now = self.tick();
        let Some(held) = self.peers.get_mut(&ticket.peer) else { return Begun::Gone };
        let busy = Activity { is_busy: true, since: now };
        if let Some(activity) = held.established.get_mut(&ticket.id) {
            *activity = busy;
            return Begun::Yes(None);
        }
        if !held.handshakes.contains(&ticket.id) {
            return Begun::Gone;
        }
        let has = held.established.len();
        let evicted = if self.established < self.places.established {
            None
        } else {
            let Some(evicted) = self.evict_established(has) else { return Begun::Full };
            Some(evicted)
        };
        let held = self.peers.get_mut(&ticket.peer).expect("it has this handshake");
        held.handshakes.remove(&ticket.id);
        held.established.insert(ticket.id, busy);
        self.handshakes -= 1;
        self.established += 1;
        Begun::Yes(evicted)
    }

    /// Makes room for an established connection of a peer that has so many.
    fn evict_established(&mut self, has: usize) -> Option<Evicted> {
        let most = self.peers.values().map(|held| held.established.len()).max()?;
        let longest = |is_busy| {
            let greediest = self.peers.iter().filter(|(_, held)| held.established.len() == most);
            let longest = greediest.filter_map(|(peer, held)| Some((held.longest(is_busy)?, *peer)));
            longest.min_by_key(|(longest, _)| *longest).map(|((_, id), peer)| Ticket { peer, id })
        };
        let (ticket, was) = match longest(false) {
            Some(idle) => (idle, Was::Idle),
            // Nor may who has a call on every connection keep others out. Two that have about the same do not push each
            // other out in turn.
            None if has + 1 < most => (longest(true)?, Was::Busy),
            None => return None,
        };
        Some(self.evict(ticket, was))
    }

    /// The answer to its request is there.
    pub(super) fn end(&mut self, ticket: Ticket) {
        let since = self.tick();
        let held = self.peers.get_mut(&ticket.peer);
        if let Some(activity) = held.and_then(|held| held.established.get_mut(&ticket.id)) {
            *activity = Activity { is_busy: false, since };
        }
    }

    /// The connection is closed. It may be gone already.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        let Some(held) = self.peers.get_mut(&ticket.peer) else { return };
        if held.handshakes.remove(&ticket.id) {
            self.handshakes -= 1;
        } else if held.established.remove(&ticket.id).is_some() {
            self.established -= 1;
        }
        if held.handshakes.is_empty() && held.established.is_empty() {
            self.peers.remove(&ticket.peer);
        }
    }
}

#[cfg(test)]
mod tests;
