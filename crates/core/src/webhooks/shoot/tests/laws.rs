//! What holds for every garden and every request.

use proptest::prelude::*;

use super::*;

/// Shoots that alice sees, and such that she does not.
const SEEN: [&str; 4] = ["garden-sales/web", "garden-shop/orders", "garden-shop/stock", "garden-shop/mail"];
const UNSEEN: [&str; 3] = ["garden-bank/ledger", "garden-bank/vault", "garden-aa/first"];

/// Few networks, so that overlaps are common.
fn nodes() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!("10.5.0.0/24"),
        json!("10.5.0.0/27"),
        json!("10.5.0.32/27"),
        json!("10.6.0.0/27"),
        json!("fd00::/64"),
        json!("10.5.0.1/27"),
    ])
}

fn seed() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!("eu1-a"), json!("eu1-b"), json!("eu9"), json!(" eu1-a"), json!(""), Value::Null])
}

/// An entry, most often one that names a Shoot.
fn entry() -> impl Strategy<Value = Value> {
    let names: Vec<&str> =
        SEEN.into_iter().chain(UNSEEN).chain([A, "garden-shop/Orders", "shop/x", "garden-x/"]).collect();
    (prop::sample::select(names), seed(), 0u8..12).prop_map(|(name, seed, odd)| {
        let entry = with(peer(name, "x"), "/seed", seed);
        match odd {
            0 => with(entry, "/surprise", json!(1)),
            1 => json!(5),
            2 => {
                let mut entry = entry;
                entry.as_object_mut().unwrap().remove("namespace");
                entry
            }
            _ => entry,
        }
    })
}

/// The Shoot of the request.
fn own() -> impl Strategy<Value = Value> {
    (prop::collection::vec(entry(), 0..6), nodes(), nodes(), 0u8..10).prop_map(|(entries, nodes, status, odd)| {
        let own = with(shoot(A, "10.5.0.0/27", &entries), "/spec/networking", json!({"nodes": nodes}));
        let own = with(
            own,
            "/status",
            json!({"networking": {"nodes": if status.is_null() { json!([]) } else { json!([status]) }}}),
        );
        match odd {
            0 => with(own, "/spec/extensions/0/disabled", json!(true)),
            1 => with(own, "/spec/extensions/0/providerConfig/kind", json!("Other")),
            _ => own,
        }
    })
}

/// Another Shoot, in any state; it lists A or not.
fn other(name: &'static str, lists_a: bool) -> impl Strategy<Value = Option<Value>> {
    let state = (nodes(), prop::sample::select(vec![json!("eu1-a"), json!("eu1-b"), Value::Null]), 0u8..8, 0u8..4);
    prop::option::weighted(0.8, state).prop_map(move |state| {
        state.map(|(nodes, seed, odd, others)| {
            let mut peers = vec![peer("garden-shop/orders", "eu1-a")];
            if lists_a && others > 0 {
                peers.push(peer(A, "eu1-a"));
            }
            let other = with(shoot(name, "10.5.0.0/27", &peers), "/spec/networking", json!({"nodes": nodes}));
            let other = with(other, "/spec/seedName", seed);
            match odd {
                0 => with(other, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
                1 => with(other, "/spec/provider", json!({})),
                2 => with(other, "/spec/extensions/0/disabled", json!(true)),
                3 => with(other, "/status", json!({"seedName": "eu1-b"})),
                _ => other,
            }
        })
    })
}

fn others(names: &[&'static str], lists_a: bool) -> impl Strategy<Value = Vec<Value>> + use<> {
    names
        .iter()
        .map(|name| other(name, lists_a))
        .collect::<Vec<_>>()
        .prop_map(|others| others.into_iter().flatten().collect())
}

fn garden(shoots: &[Value]) -> Garden {
    Garden::of(shoots).hiding(&UNSEEN)
}

fn entries(shoot: &mut Value) -> &mut Vec<Value> {
    shoot.pointer_mut("/spec/extensions/0/providerConfig/shootPeerings").unwrap().as_array_mut().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever Shoots there are that the writer may not see, and that do not list the writer's: bytes and questions are
    /// those of a garden without them.
    #[test]
    fn what_is_not_seen_shapes_nothing(
        old in prop::option::of(own()),
        new in own(),
        seen in others(&SEEN, true),
        unseen in others(&UNSEEN, false),
    ) {
        let answers = |shoots: &[Value]| {
            let garden = garden(shoots);
            let body = garden.request(old.as_ref(), Some(&new));
            let handlers: [&dyn Handler; 2] = [&MutateShoot::default(), &ValidateShoot::default()];
            let written: Vec<Vec<u8>> = handlers.iter().map(|handler| garden.call(*handler, &body).1).collect();
            let deleted = garden.call(&AdviseShoot::default(), &garden.request(Some(&new), None)).1;
            (written, deleted, garden.asked.take())
        };
        let all: Vec<Value> = seen.iter().chain(&unseen).cloned().collect();
        prop_assert_eq!(answers(&all), answers(&seen));
    }

    /// Entries may go and change places, whatever is the matter with any of them.
    #[test]
    fn taking_away_is_never_refused(
        old in own(),
        all in others(&SEEN, true),
        keep in prop::collection::vec(any::<bool>(), 6),
        turn in 0usize..6,
    ) {
        let mut new = old.clone();
        let kept = entries(&mut new);
        let mut keep = keep.into_iter();
        kept.retain(|_| keep.next().unwrap());
        if !kept.is_empty() {
            let turn = turn % kept.len();
            kept.rotate_left(turn);
        }
        let said = garden(&all).update(&old, &new);
        prop_assert!(said.denied.is_empty(), "{:#?}", said);
        let off = with(old.clone(), "/spec/extensions/0/disabled", json!(true));
        prop_assert!(garden(&all).update(&old, &off).denied.is_empty());
        let none = with(old.clone(), "/spec/extensions", json!([]));
        prop_assert!(garden(&all).update(&old, &none).denied.is_empty());
    }

    /// A node network that is nobody else's is always permitted.
    #[test]
    fn moving_away_is_never_refused(old in own(), all in others(&SEEN, true)) {
        let new = with(old.clone(), "/spec/networking/nodes", json!("172.16.0.0/27"));
        let said = garden(&all).update(&old, &new);
        prop_assert!(said.denied.is_empty(), "{:#?}", said);
    }

    /// What nobody looks at passes, unread.
    #[test]
    fn other_edits_ask_nothing(old in own(), all in others(&SEEN, true)) {
        let garden = garden(&all);
        let new = with(with(old.clone(), "/metadata/labels", json!({"a": "b"})), "/spec/hibernation", json!({"enabled": true}));
        prop_assert_eq!(garden.update(&old, &new).decision, "unchanged");
        prop_assert_eq!(garden.asked.take(), Questions::default());
    }

    /// Filled in once, there is nothing left to fill in, and a second application of the same manifest is the first.
    #[test]
    fn filling_in_is_done_once(new in own(), all in others(&SEEN, true)) {
        let garden = garden(&all);
        let filled = garden.mutated(&new);
        prop_assert_eq!(&garden.mutated(&filled), &filled);
        prop_assert_eq!(garden.update(&filled, &filled).decision, "unchanged");
    }

    /// What one configuration filled in, another one leaves alone: replicas that differ do not undo each other.
    #[test]
    fn filling_in_is_not_undone(new in own(), all in others(&SEEN, true), (a, b) in (1usize..5, 1usize..5)) {
        let garden = |max_peers| {
            let mut garden = garden(&all);
            garden.settings.peering.max_peers = max_peers;
            garden
        };
        let (a, b) = (garden(a), garden(b));
        let both = b.mutated(&a.mutated(&new));
        prop_assert_eq!(&a.mutated(&both), &both);
        prop_assert_eq!(&b.mutated(&both), &both);
    }

    /// Nobody is refused because of another Shoot that was not read again, nor while nobody answers.
    #[test]
    fn refusals_rest_on_facts(old in prop::option::of(own()), new in own(), all in others(&SEEN, true)) {
        let garden = garden(&all);
        let said = garden.validate(old.as_ref(), &new);
        let about_others = ["overlap", "identical", "breaks-peer", "peers-overlap", "target-missing", "target-deleting", "target-workerless", "seed-wrong"];
        let is_about_others = said.denied.iter().any(|rule| about_others.contains(rule));
        prop_assert_eq!(is_about_others && garden.asked.take().shoots.is_empty(), false, "{:#?}", said);
        let mut down = super::laws::garden(&all);
        down.is_down = true;
        let said = down.validate(old.as_ref(), &new);
        prop_assert!(!said.denied.iter().any(|rule| about_others.contains(rule)), "{:#?}", said);
    }
}
