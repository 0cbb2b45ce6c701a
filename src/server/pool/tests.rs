//! The laws of the pool, against a list of connections in which everything is looked up.

use proptest::prelude::*;

use super::*;

const PLACES: Places = Places { handshakes: 6, handshakes_of_peer: 3, established: 5 };

fn peer(number: u8) -> Peer {
    IpAddr::from([10, 0, 0, number]).into()
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Arrive(u8),
    /// These are about one of the connections that there ever were.
    Begin(usize),
    End(usize),
    Leave(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Happens::Arrive),
        4 => any::<usize>().prop_map(Happens::Begin),
        2 => any::<usize>().prop_map(Happens::End),
        1 => any::<usize>().prop_map(Happens::Leave),
    ]
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
    Handshake,
    Idle(usize),
    Busy(usize),
}

/// What is open, in the order of arrival.
#[derive(Clone, Default)]
struct Model(Vec<(Ticket, Is)>);

impl Model {
    fn is(&self, ticket: Ticket) -> Option<Is> {
        self.0.iter().find(|(other, _)| *other == ticket).map(|(_, is)| *is)
    }

    fn set(&mut self, ticket: Ticket, is: Is) {
        self.0.iter_mut().find(|(other, _)| *other == ticket).unwrap().1 = is;
    }

    fn remove(&mut self, ticket: Ticket) {
        self.0.retain(|(other, _)| *other != ticket);
    }

    /// Handshakes, or established connections; of all, or of one peer.
    fn of(&self, handshakes: bool, of: Option<Peer>) -> Vec<(Ticket, Is)> {
        let wanted = |(ticket, is): &&(Ticket, Is)| {
            (*is == Is::Handshake) == handshakes && of.is_none_or(|of| of == ticket.peer)
        };
        self.0.iter().filter(wanted).copied().collect()
    }

    fn most(&self, handshakes: bool) -> usize {
        self.0.iter().map(|(ticket, _)| self.of(handshakes, Some(ticket.peer)).len()).max().unwrap_or(0)
    }
}

proptest! {
    #[test]
    fn room_is_shared_fairly(events in prop::collection::vec(happens(), 0..120)) {
        let mut pool = Pool::new(PLACES);
        let (mut model, mut all) = (Model::default(), Vec::<Ticket>::new());
        for (at, event) in events.into_iter().enumerate() {
            let before = model.clone();
            let known = |number: usize| (!all.is_empty()).then(|| all[number % all.len()]);
            match event {
                Happens::Arrive(number) => {
                    let peer = peer(number);
                    let (ticket, evicted) = pool.arrive(peer);
                    // Whoever comes is let in.
                    prop_assert!(before.is(ticket).is_none());
                    let share = before.of(true, Some(peer));
                    let victim = evicted.map(|evicted| { assert_eq!(evicted.was, Was::Handshake); evicted.ticket });
                    if share.len() == PLACES.handshakes_of_peer {
                        prop_assert_eq!(victim, Some(share[0].0), "its own oldest");
                    } else if before.of(true, None).len() == PLACES.handshakes {
                        let victim = victim.expect("there is no room");
                        let its = before.of(true, Some(victim.peer));
                        prop_assert_eq!(its.len(), before.most(true), "of the peer with most");
                        prop_assert_eq!(its[0].0, victim, "the oldest");
                    } else {
                        prop_assert_eq!(victim, None, "nobody goes without need");
                    }
                    if let Some(victim) = victim {
                        model.remove(victim);
                    }
                    model.0.push((ticket, Is::Handshake));
                    all.push(ticket);
                }
                Happens::Begin(number) => {
                    let Some(ticket) = known(number) else { continue };
                    let (mine, most) = (before.of(false, Some(ticket.peer)).len(), before.most(false));
                    let is_full = before.of(false, None).len() == PLACES.established;
                    match (pool.begin(ticket), before.is(ticket)) {
                        (Begun::Gone, None) => continue,
                        (Begun::Yes(None), Some(Is::Idle(_) | Is::Busy(_))) => {}
                        (Begun::Yes(None), Some(Is::Handshake)) => prop_assert!(!is_full),
                        (Begun::Yes(Some(evicted)), Some(Is::Handshake)) => {
                            prop_assert!(is_full, "nobody goes without need");
                            let victim = evicted.ticket;
                            let greedy = |(ticket, _): &(Ticket, Is)| before.of(false, Some(ticket.peer)).len() == most;
                            let established = before.of(false, None);
                            let idle = established.iter().filter(|one| greedy(one)).filter_map(|(ticket, is)| match is {
                                Is::Idle(since) => Some((*since, *ticket)),
                                _ => None,
                            });
                            let busy = established.iter().filter(|one| greedy(one)).filter_map(|(ticket, is)| match is {
                                Is::Busy(since) => Some((*since, *ticket)),
                                _ => None,
                            });
                            match idle.min_by_key(|(since, _)| *since) {
                                Some((_, longest)) => prop_assert_eq!((victim, evicted.was), (longest, Was::Idle)),
                                None => {
                                    prop_assert!(mine + 1 < most, "a call ends only for who has fewer");
                                    let longest = busy.min_by_key(|(since, _)| *since).unwrap().1;
                                    prop_assert_eq!((victim, evicted.was), (longest, Was::Busy));
                                }
                            }
                            model.remove(victim);
                        }
                        (Begun::Full, Some(Is::Handshake)) => {
                            prop_assert!(is_full && mine + 1 >= most, "who has fewer gets in");
                            continue;
                        }
                        (begun, is) => prop_assert!(false, "{:?} {:?}", begun, is),
                    }
                    model.set(ticket, Is::Busy(at));
                }
                Happens::End(number) => {
                    let Some(ticket) = known(number) else { continue };
                    pool.end(ticket);
                    if !matches!(model.is(ticket), None | Some(Is::Handshake)) {
                        model.set(ticket, Is::Idle(at));
                    }
                }
                Happens::Leave(number) => {
                    let Some(ticket) = known(number) else { continue };
                    pool.leave(ticket);
                    model.remove(ticket);
                }
            }
            let (handshakes, established) = (model.of(true, None).len(), model.of(false, None).len());
            prop_assert_eq!(pool.counts(), (handshakes, established));
            prop_assert!(handshakes <= PLACES.handshakes && established <= PLACES.established);
            prop_assert!(model.most(true) <= PLACES.handshakes_of_peer);
            let connected: std::collections::HashSet<Peer> = model.0.iter().map(|(ticket, _)| ticket.peer).collect();
            prop_assert_eq!(pool.peers.len(), connected.len(), "who has no connection is forgotten");
        }
        for ticket in &all {
            pool.leave(*ticket);
        }
        prop_assert_eq!((pool.counts(), pool.peers.len()), ((0, 0), 0));
    }
}

/// A caller that shares the room with others who reconnect without end, whatever they do in between.
#[test]
fn who_has_fewer_loses_nothing() {
    let mut pool = Pool::new(PLACES);
    let flood = || (1..4_u8).cycle().map(peer);
    for at in flood().take(50) {
        let (ticket, _) = pool.arrive(at);
        pool.begin(ticket);
    }
    for at in flood().take(50) {
        pool.arrive(at);
    }
    for _ in 0..50 {
        let (mine, _) = pool.arrive(peer(0));
        let evicted: Vec<_> = flood().take(30).filter_map(|at| pool.arrive(at).1).collect();
        assert!(evicted.iter().all(|evicted| evicted.ticket != mine), "{evicted:?}");
        assert!(matches!(pool.begin(mine), Begun::Yes(_)));
        for at in flood().take(30) {
            let (ticket, _) = pool.arrive(at);
            let begun = pool.begin(ticket);
            assert!(!matches!(begun, Begun::Yes(Some(evicted)) if evicted.ticket == mine), "{begun:?}");
        }
        pool.leave(mine);
    }
}

#[test]
fn who_is_one_peer() {
    for (one, other, want) in [
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("10.0.0.1", "::ffff:10.0.0.1", true),
        ("::ffff:10.0.0.2", "::ffff:10.0.0.1", false),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::1", "0.0.0.1", false),
    ] {
        let [a, b] = [one, other].map(|text| Peer::from(text.parse::<IpAddr>().unwrap()));
        assert_eq!(a == b, want, "{one} and {other}");
    }
    let shown = ["::ffff:10.0.0.1", "2001:db8::1"].map(|text| Peer::from(text.parse::<IpAddr>().unwrap()).to_string());
    assert_eq!(shown, ["10.0.0.1", "2001:db8::/64"]);
}
