//! The invariants of the pool, checked against a list of connections in which everything is searched.

use proptest::prelude::*;

use super::*;

/// A share is less than half of the places: otherwise a peer with a whole share never meets a peer that has more.
const PLACES: Places = Places { handshakes: 6, handshakes_of_peer: 2, established: 5 };

fn peer(number: u8) -> Peer {
    IpAddr::from([10, 0, 0, number]).into()
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Arrive(u8),
    Speak(usize),
    /// The index of one of the connections that were ever opened.
    Begin(usize),
    Received(usize),
    End(usize),
    Leave(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..4_u8).prop_map(Happens::Arrive),
        3 => any::<usize>().prop_map(Happens::Speak),
        4 => any::<usize>().prop_map(Happens::Begin),
        2 => any::<usize>().prop_map(Happens::Received),
        2 => any::<usize>().prop_map(Happens::End),
        1 => any::<usize>().prop_map(Happens::Leave),
    ]
}

/// The time that passes before each event.
fn pauses() -> impl Strategy<Value = Duration> {
    prop_oneof![3 => Just(1), 1 => Just(60), 1 => Just(400), 1 => Just(20_000)].prop_map(Duration::from_millis)
}

/// When each connection entered its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
    Waiting,
    /// Whether its client has spoken.
    Handshake(Instant, bool),
    Idle(Instant),
    Receiving(Instant),
    Answering(Instant),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Waiting,
    Handshake,
    Established,
}

impl Is {
    fn kind(self) -> Kind {
        match self {
            Self::Waiting => Kind::Waiting,
            Self::Handshake(..) => Kind::Handshake,
            Self::Idle(_) | Self::Receiving(_) | Self::Answering(_) => Kind::Established,
        }
    }
}

/// The open connections, in the order of arrival.
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

    /// Connections of a kind; of all, or of one peer.
    fn of(&self, kind: Kind, of: Option<Peer>) -> Vec<(Ticket, Is)> {
        let wanted = |(ticket, is): &&(Ticket, Is)| is.kind() == kind && of.is_none_or(|of| of == ticket.peer);
        self.0.iter().filter(wanted).copied().collect()
    }
}

proptest! {
    #[test]
    fn room_is_shared_fairly(events in prop::collection::vec((happens(), pauses()), 0..120)) {
        let mut pool = Pool::new(PLACES);
        let (mut model, mut all) = (Model::default(), Vec::<Ticket>::new());
        let mut now = Instant::now();
        for (event, pause) in events {
            now += pause;
            let before = model.clone();
            let known = |number: usize| (!all.is_empty()).then(|| all[number % all.len()]);
            match event {
                Happens::Arrive(number) => {
                    let waiting = before.of(Kind::Waiting, None);
                    let (ticket, evicted) = pool.arrive(peer(number));
                    prop_assert!(before.is(ticket).is_none());
                    prop_assert_eq!(evicted.is_some(), waiting.len() == PLACES.handshakes, "nothing is closed without need");
                    if let Some(Evicted { ticket, was }) = evicted {
                        prop_assert_eq!((was, ticket), (Was::Handshake, before.waits_too_long()));
                        model.remove(ticket);
                    }
                    model.0.push((ticket, Is::Waiting));
                    all.push(ticket);
                }
                Happens::Speak(number) => {
                    let Some(ticket) = known(number) else { continue };
                    pool.speak(ticket);
                    if let Some(Is::Handshake(at, _)) = model.is(ticket) {
                        model.set(ticket, Is::Handshake(at, true));
                    }
                }
                Happens::Begin(number) => {
                    let Some(ticket) = known(number) else { continue };
                    let is_full = before.of(Kind::Established, None).len() == PLACES.established;
                    let goes = before.established_for(ticket.peer, now);
                    match (pool.begin(ticket, now), before.is(ticket)) {
                        (Begun::Gone, None | Some(Is::Waiting)) => continue,
                        (Begun::Yes(None), Some(Is::Idle(_) | Is::Receiving(_) | Is::Answering(_))) => {}
                        (Begun::Yes(None), Some(Is::Handshake(..))) => prop_assert!(!is_full),
                        (Begun::Yes(Some(evicted)), Some(Is::Handshake(..))) => {
                            prop_assert!(is_full, "nothing is closed without need");
                            prop_assert_eq!(Some((evicted.ticket, evicted.was)), goes);
                            model.remove(evicted.ticket);
                        }
                        (Begun::Full, Some(Is::Handshake(..))) => {
                            prop_assert!(is_full && goes.is_none());
                            continue;
                        }
                        (begun, is) => prop_assert!(false, "{:?} {:?}", begun, is),
                    }
                    model.set(ticket, Is::Receiving(now));
                }
                Happens::Received(number) | Happens::End(number) => {
                    let Some(ticket) = known(number) else { continue };
                    let is = if matches!(event, Happens::End(_)) {
                        pool.end(ticket, now);
                        Is::Idle(now)
                    } else {
                        pool.received(ticket, now);
                        Is::Answering(now)
                    };
                    if !matches!(model.is(ticket), None | Some(Is::Waiting | Is::Handshake(..))) {
                        model.set(ticket, is);
                    }
                }
                Happens::Leave(number) => {
                    let Some(ticket) = known(number) else { continue };
                    pool.leave(ticket);
                    model.remove(ticket);
                }
            }
            // As after every event.
            loop {
                let (next, victim) = (model.next(), model.next().and_then(|next| model.handshake_for(next.peer, now)));
                let is_full = model.of(Kind::Handshake, None).len() == PLACES.handshakes;
                let Some((ticket, evicted)) = pool.admit(now) else {
                    prop_assert!(next.is_none() || is_full && victim.is_none(), "a place is free, and {:?} waits", next);
                    break;
                };
                prop_assert_eq!(Some(ticket), next);
                prop_assert_eq!(evicted.map(|evicted| evicted.ticket), victim.filter(|_| is_full));
                if let Some(evicted) = evicted {
                    model.remove(evicted.ticket);
                }
                model.set(ticket, Is::Handshake(now, false));
            }
            let [waiting, handshakes, established] =
                [Kind::Waiting, Kind::Handshake, Kind::Established].map(|kind| model.of(kind, None).len());
            prop_assert_eq!(pool.counts(), (waiting + handshakes, established));
            prop_assert!(waiting.max(handshakes) <= PLACES.handshakes && established <= PLACES.established);
            let connected: std::collections::BTreeSet<Peer> = model.0.iter().map(|(ticket, _)| ticket.peer).collect();
            prop_assert_eq!(pool.peers.len(), connected.len(), "a peer without a connection is forgotten");
        }
        // The server may ask for as many as it needs.
        while let Some(evicted) = pool.make_room(now) {
            let young = matches!(model.is(evicted.ticket), Some(Is::Answering(at)) if now - at <= STUCK);
            prop_assert!(!young, "a call is not ended");
            model.remove(evicted.ticket);
        }
        prop_assert!(model.0.iter().all(|(_, is)| matches!(is, Is::Receiving(_) | Is::Answering(_))));
        for (ticket, _) in model.0 {
            pool.leave(ticket);
        }
        prop_assert_eq!((pool.counts(), pool.peers.len()), ((0, 0), 0));
    }
}

impl Model {
    /// The longest-waiting one of the peer of which most wait.
    fn waits_too_long(&self) -> Ticket {
        let waiting = self.of(Kind::Waiting, None);
        let most = waiting
            .iter()
            .max_by_key(|(ticket, _)| (self.of(Kind::Waiting, Some(ticket.peer)).len(), std::cmp::Reverse(ticket.id)));
        most.unwrap().0
    }

    /// The longest-waiting one of the peer that has fewest handshakes.
    fn next(&self) -> Option<Ticket> {
        let waiting = self.of(Kind::Waiting, None).into_iter().map(|(ticket, _)| ticket);
        waiting.min_by_key(|ticket| (self.of(Kind::Handshake, Some(ticket.peer)).len(), ticket.id))
    }

    /// The handshake to close for one more of this peer.
    fn handshake_for(&self, new: Peer, now: Instant) -> Option<Ticket> {
        let count = |peer| self.of(Kind::Handshake, Some(peer)).len();
        let all = self.of(Kind::Handshake, None);
        let peers: std::collections::BTreeSet<Peer> = all.iter().map(|(ticket, _)| ticket.peer).chain([new]).collect();
        let (has, share) = (count(new), PLACES.handshakes / peers.len());
        let might = |(ticket, is): &(Ticket, Is)| {
            let Is::Handshake(at, has_spoken) = *is else { unreachable!("only handshakes are listed") };
            let (is_own, its, is_over) = (ticket.peer == new, count(ticket.peer), now - at >= SLOW);
            let is_others = has < PLACES.handshakes_of_peer && its > has;
            // Never for the same peer: its newest would end its oldest, and so on.
            let is_silent = !has_spoken && now - at >= FIRST_WORDS;
            let may = is_over || is_silent || !is_own && has < share && its > share;
            let order = (!is_over, std::cmp::Reverse(its), !is_over && !is_silent, ticket.id);
            ((is_own || is_others) && may).then_some((order, *ticket))
        };
        all.iter().filter_map(might).min_by_key(|(order, _)| *order).map(|(_, ticket)| ticket)
    }

    /// The established connection to close for one more of this peer.
    fn established_for(&self, new: Peer, now: Instant) -> Option<(Ticket, Was)> {
        let count = |peer| self.of(Kind::Established, Some(peer)).len();
        let has = count(new);
        let orders: [&dyn Fn(Is, Peer) -> bool; 5] = [
            &|is, peer| match is {
                Is::Idle(at) => now - at >= SLOW && (peer == new || count(peer) > has),
                Is::Receiving(at) => now - at >= SLOW && count(peer) > has + 1,
                _ => false,
            },
            &|is, peer| matches!(is, Is::Idle(_)) && (peer == new || count(peer) > has + 1),
            &|is, peer| matches!(is, Is::Receiving(_)) && count(peer) > has + 1,
            &|is, peer| matches!(is, Is::Idle(_)) && count(peer) > has,
            &|is, peer| matches!(is, Is::Answering(at) if now - at > STUCK) && count(peer) > has + 1,
        ];
        let longest = |may: &dyn Fn(Is, Peer) -> bool| {
            let might = self.of(Kind::Established, None).into_iter().filter(|(ticket, is)| may(*is, ticket.peer));
            might.min_by_key(|(ticket, is)| {
                let (Is::Idle(at) | Is::Receiving(at) | Is::Answering(at)) = *is else {
                    unreachable!("it is established")
                };
                (std::cmp::Reverse(count(ticket.peer)), at, ticket.id)
            })
        };
        let (ticket, is) = orders.iter().find_map(|may| longest(*may))?;
        Some((ticket, if matches!(is, Is::Idle(_)) { Was::Idle } else { Was::Busy }))
    }
}

/// A connection, whether it waits or not, and what is closed.
fn arrive(pool: &mut Pool, peer: Peer, now: Instant) -> (Ticket, Option<Evicted>) {
    let (ticket, evicted) = pool.arrive(peer);
    (ticket, pool.admit(now).and_then(|(_, evicted)| evicted).or(evicted))
}

/// So many connections of a peer that have sent a request.
fn establish(pool: &mut Pool, peer: Peer, count: usize, now: Instant) -> Vec<Ticket> {
    let begin = |_| {
        let (ticket, _) = arrive(pool, peer, now);
        assert!(matches!(pool.begin(ticket, now), Begun::Yes(None)));
        pool.received(ticket, now);
        ticket
    };
    (0..count).map(begin).collect()
}

/// The API server has most connections, with a call on each, and others have idle ones.
#[test]
fn calls_do_not_end_for_peers_with_idle_connections() {
    let mut pool = Pool::new(Places { handshakes: 8, handshakes_of_peer: 8, established: 1_024 });
    let now = Instant::now();
    establish(&mut pool, peer(0), 200, now);
    for (number, count) in [(1, 165), (2, 165), (3, 165), (4, 165), (5, 164)] {
        for ticket in establish(&mut pool, peer(number), count, now) {
            pool.end(ticket, now);
        }
    }
    for _ in 0..500 {
        let (ticket, _) = arrive(&mut pool, peer(6), now);
        match pool.begin(ticket, now) {
            Begun::Yes(Some(evicted)) => {
                assert_eq!(evicted.was, Was::Idle);
                pool.end(ticket, now);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The state of a call, since when, and whether the call ends for a peer without connections.
#[test]
fn which_calls_end() {
    for (has_arrived, millis, ends) in [
        (false, 0, true),
        (false, 2_000, true),
        (true, 0, false),
        (true, 2_000, false),
        (true, 29_999, false),
        (true, 30_001, true),
    ] {
        let mut pool = Pool::new(PLACES);
        let start = Instant::now();
        for ticket in establish(&mut pool, peer(1), PLACES.established, start) {
            if !has_arrived {
                pool.begin(ticket, start);
            }
        }
        let now = start + Duration::from_millis(millis);
        let (ticket, _) = arrive(&mut pool, peer(0), now);
        let begun = pool.begin(ticket, now);
        let want = if ends { Some(Was::Busy) } else { None };
        let was = if let Begun::Yes(Some(evicted)) = begun { Some(evicted.was) } else { None };
        assert_eq!(was, want, "{has_arrived} {millis}: {begun:?}");
        assert_eq!(begun == Begun::Full, !ends);
    }
}

/// Of the bodies that do not arrive those end first that have had time for it; the API server's have not.
#[test]
fn slow_bodies_go_first() {
    let mut pool = Pool::new(PLACES);
    let start = Instant::now();
    let slow = establish(&mut pool, peer(1), 2, start);
    pool.begin(slow[0], start);
    let now = start + SLOW;
    for ticket in establish(&mut pool, peer(0), 3, now) {
        pool.begin(ticket, now);
    }
    let (ticket, _) = arrive(&mut pool, peer(2), now);
    assert_eq!(pool.begin(ticket, now), Begun::Yes(Some(Evicted { ticket: slow[0], was: Was::Busy })));
}

/// The last idle connection of the API server is not taken while others hold many.
#[test]
fn a_single_connection_stays_where_others_have_many() {
    let mut pool = Pool::new(PLACES);
    let now = Instant::now();
    let mine = establish(&mut pool, peer(0), 1, now)[0];
    pool.end(mine, now);
    for ticket in establish(&mut pool, peer(1), PLACES.established - 1, now) {
        pool.begin(ticket, now);
    }
    let (ticket, _) = arrive(&mut pool, peer(2), now);
    let Begun::Yes(Some(evicted)) = pool.begin(ticket, now) else { panic!("it is let in") };
    assert_eq!((evicted.ticket.peer, evicted.was), (peer(1), Was::Busy));
}

/// So many handshakes, all of whose clients talk, of these peers in turn.
fn talk(pool: &mut Pool, peers: &[Peer], now: Instant) -> Vec<Ticket> {
    let talks = |peer: &Peer| {
        let (ticket, evicted) = arrive(pool, *peer, now);
        assert_eq!(evicted, None);
        pool.speak(ticket);
        ticket
    };
    peers.iter().cycle().take(PLACES.handshakes).map(talks).collect()
}

/// More at once than there are places, of one API server and of several: those that came first come to their end, and then the others.
#[test]
fn many_at_once_wait_for_each_other() {
    for peers in [vec![peer(1)], vec![peer(1), peer(2)], vec![peer(1), peer(2), peer(3)]] {
        let mut pool = Pool::new(PLACES);
        let start = Instant::now();
        let first = talk(&mut pool, &peers, start);
        let waiting: Vec<Ticket> = peers.iter().map(|peer| pool.arrive(*peer).0).collect();
        assert_eq!(pool.admit(start), None, "{peers:?}");
        let mut admitted = Vec::new();
        for ticket in &first {
            assert_eq!(pool.begin(*ticket, start), Begun::Yes(None), "{peers:?}");
            pool.leave(*ticket);
            admitted.extend(pool.admit(start));
        }
        let want: Vec<_> = waiting.iter().map(|ticket| (*ticket, None)).collect();
        assert_eq!(admitted, want, "{peers:?}");
    }
}

/// Who has a single connection, and has had no time to say anything, keeps it while peers that all talk take whatever they can get.
#[test]
fn the_first_words_are_waited_for() {
    let mut pool = Pool::new(PLACES);
    let now = Instant::now();
    talk(&mut pool, &[peer(1), peer(2), peer(1)], now);
    let (mine, evicted) = arrive(&mut pool, peer(0), now);
    assert!(evicted.is_some());
    for number in (1..5_u8).cycle().take(50) {
        let (ticket, evicted) = arrive(&mut pool, peer(number), now);
        assert!(evicted.is_none_or(|evicted| evicted.ticket != mine), "{number}: {evicted:?}");
        pool.speak(ticket);
    }
}

/// A place that becomes free is for one of those that wait. It has had no time to say anything, and so does not give way to the next.
#[test]
fn a_free_place_goes_to_one() {
    let mut pool = Pool::new(PLACES);
    let now = Instant::now();
    let first = talk(&mut pool, &[peer(1)], now);
    let waiting = [(); 3].map(|()| pool.arrive(peer(1)).0);
    pool.leave(first[0]);
    let admitted: Vec<_> = std::iter::from_fn(|| pool.admit(now)).collect();
    assert_eq!(admitted, [(waiting[0], None)]);
    let late = std::iter::from_fn(|| pool.admit(now + FIRST_WORDS)).next();
    assert_eq!(late, Some((waiting[1], Some(Evicted { ticket: waiting[0], was: Was::Handshake }))), "it is silent");
}

/// Clients that begin to talk and then say no more keep others waiting for a second, and an address that has none not at all.
#[test]
fn who_stops_talking_gives_way() {
    let mut pool = Pool::new(PLACES);
    let start = Instant::now();
    let first = talk(&mut pool, &[peer(1)], start);
    let (same, _) = pool.arrive(peer(1));
    assert_eq!(pool.admit(start), None);
    let closed = |number: usize| Some(Evicted { ticket: first[number], was: Was::Handshake });
    let (other, evicted) = arrive(&mut pool, peer(2), start);
    assert_eq!(evicted, closed(0));
    pool.speak(other);
    assert_eq!(pool.admit(start), None);
    assert_eq!(pool.admit(start + SLOW), Some((same, closed(1))));
}

/// A share counts only while others need the places.
#[test]
fn one_peer_alone_may_take_all_places() {
    let mut pool = Pool::new(PLACES);
    let now = Instant::now();
    let evicted: Vec<_> = (0..PLACES.handshakes).filter_map(|_| arrive(&mut pool, peer(1), now).1).collect();
    assert_eq!(evicted, []);
    let now = now + FIRST_WORDS;
    assert_eq!(arrive(&mut pool, peer(1), now).1.map(|evicted| evicted.ticket.peer), Some(peer(1)));
}

/// Many addresses with one silent connection each: the API server has more, and has just connected.
#[test]
fn young_handshakes_stay_where_others_are_slow() {
    let mut pool = Pool::new(Places { handshakes: 202, handshakes_of_peer: 100, established: 1 });
    let start = Instant::now();
    for number in 1..=200 {
        arrive(&mut pool, peer(number), start);
    }
    let now = start + SLOW;
    let mine = [(); 2].map(|()| arrive(&mut pool, peer(0), now).0);
    for number in 1..=200 {
        let evicted = arrive(&mut pool, peer(number), now).1.expect("there is no room");
        assert!(!mine.contains(&evicted.ticket), "{number}");
    }
}

/// The API server shares the places with peers that reconnect endlessly, whatever they do in between.
#[test]
fn a_peer_with_fewer_connections_loses_nothing() {
    let mut pool = Pool::new(PLACES);
    let mut now = Instant::now();
    let flood = || (1..4_u8).cycle().map(peer);
    for at in flood().take(50) {
        let (ticket, _) = arrive(&mut pool, at, now);
        pool.begin(ticket, now);
    }
    for at in flood().take(50) {
        arrive(&mut pool, at, now);
    }
    for _ in 0..50 {
        now += Duration::from_millis(10);
        let (mine, _) = arrive(&mut pool, peer(0), now);
        let evicted: Vec<_> = flood().take(30).filter_map(|at| arrive(&mut pool, at, now).1).collect();
        assert!(evicted.iter().all(|evicted| evicted.ticket != mine), "{evicted:?}");
        assert!(matches!(pool.begin(mine, now), Begun::Yes(_)));
        for at in flood().take(30) {
            let (ticket, _) = arrive(&mut pool, at, now);
            let begun = pool.begin(ticket, now);
            assert!(!matches!(begun, Begun::Yes(Some(evicted)) if evicted.ticket == mine), "{begun:?}");
        }
        pool.leave(mine);
    }
}

#[test]
fn addresses_of_one_peer() {
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
