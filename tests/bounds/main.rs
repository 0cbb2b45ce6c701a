//! What one review may cost, whatever is in it: the answer and the memory are no larger than a constant and a small multiple of the
//! request, the work grows no faster than the request, and only so much is looked up.
//!
//! A program of its own, because it counts allocations.

mod files;
mod hostile;
mod lookups;
mod scene;
mod stored;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use hostile::KINDS;
use scene::{Cost, HANDLERS, Scene};

/// What any request may cost, in bytes: Envoy's configuration, a full denial, the findings about two thousand entries.
const MEMORY: u64 = 8 << 20;

/// What each byte of a request may cost in memory. A JSON list of empty texts takes three bytes for each, and the list that is
/// read from it 24, and as much again while it grows.
const MEMORY_PER_BYTE: u64 = 32;

/// What any answer may have, in bytes.
const ANSWER: usize = 256 << 10;

/// What each byte of a request may add to the answer: an object that is filled in is written whole, as base64.
const ANSWER_PER_BYTE: usize = 2;

#[track_caller]
fn assert_bounded(what: &str, cost: &Cost) {
    assert!(
        cost.answer <= ANSWER + ANSWER_PER_BYTE * cost.request,
        "{what}: an answer of {} bytes for a request of {}",
        cost.answer,
        cost.request
    );
    assert!(
        cost.peak <= MEMORY + MEMORY_PER_BYTE * cost.request as u64,
        "{what}: {} bytes of memory for a request of {}",
        cost.peak,
        cost.request
    );
    assert!(cost.lookups <= cost.most_lookups, "{what}: {} look-ups", cost.lookups);
}

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

/// Each kind at each place of each request. Twice as much of it takes twice the work, and not four times: counted are allocations
/// and their bytes. What crosses a limit is read once more to say where, with an allocation for each element at most.
#[test]
fn much_of_anything_costs_little_and_twice_as_much_costs_twice() {
    let sizes = [1 << 17, 1 << 18];
    let mut fitting = BTreeSet::new();
    for call in HANDLERS {
        for kind in KINDS {
            let what = format!("{} {}", call.name, kind.name);
            let costs: Vec<Cost> = sizes
                .iter()
                .filter_map(|size| Some(SCENE.cost(call, &kind.body(call, kind.times(*size))?)))
                .inspect(|cost| assert_bounded(&what, cost))
                .collect();
            let [once, twice] = &*costs else { continue };
            fitting.insert(kind.name);
            assert!(
                twice.allocated <= 2 * once.allocated + once.allocated / 2 + MEMORY / 8,
                "{what}: {} and {} bytes allocated",
                once.allocated,
                twice.allocated
            );
            assert!(
                twice.allocations <= 2 * once.allocations + 1_000 + twice.request as u64 / 32,
                "{what}: {} and {} allocations",
                once.allocations,
                twice.allocations
            );
        }
    }
    for kind in KINDS {
        assert!(fitting.contains(kind.name), "{}: its places are in no request", kind.name);
    }
}

/// The megabyte that made an answer of 44.
#[test]
fn a_megabyte_of_clients_is_refused_in_a_few_words() {
    for call in HANDLERS.iter().filter(|call| call.name.starts_with("kube-apiserver")) {
        let kind = KINDS.iter().find(|kind| kind.name == "clients of the VPN").unwrap();
        let cost = SCENE.cost(call, &kind.body(call, 40_000).unwrap());
        assert!(!cost.is_decided && cost.answer < 1_000 && cost.peak < MEMORY, "{}: {cost:?}", call.name);
    }
}

fn change() -> impl Strategy<Value = hostile::Change> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..3, 1usize..4_000)
        .prop_map(|(place, filling, both, times)| hostile::Change { place, filling, both, times })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Any value of any request, in the new object, the old one or both, repeated, filled or stretched thousands of times.
    #[test]
    fn no_review_costs_more_than_its_size(
        call in 0..HANDLERS.len(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let call = &HANDLERS[call];
        let body = hostile::changed(call, &changes);
        assert_bounded(&format!("{} {changes:?}", call.name), &SCENE.cost(call, &body));
    }
}

/// What a real Pod has is far from any limit.
#[test]
fn real_objects_are_read() {
    for call in HANDLERS {
        let cost = SCENE.cost(call, &call.body());
        assert!(cost.is_decided, "{}", call.name);
    }
}
