//! The table of what one call may cost, and how fast work may grow: what is said when it does not hold.

#[allow(dead_code, unreachable_pub, reason = "the benchmark uses all of it")]
#[path = "../../benches/counts/grown.rs"]
mod grown;
#[allow(dead_code, unreachable_pub, reason = "the benchmark uses all of it")]
#[path = "../../benches/counts/table.rs"]
pub mod table;

use grown::Grown;
use table::{Cost, Table, judge, read, write};

fn costs(rows: &[(&str, u64, u64, Option<u64>)]) -> Table {
    let cost = |(name, bytes, allocations, instructions): &(&str, u64, u64, Option<u64>)| {
        let (bytes, allocations, instructions) = (*bytes, *allocations, *instructions);
        ((*name).to_owned(), Cost { bytes, allocations, instructions })
    };
    rows.iter().map(cost).collect()
}

/// One call, as it is in the table, and what is said of a measurement.
#[test]
fn neither_more_nor_less_passes() {
    let table = costs(&[("a", 100, 50, Some(1_000))]);
    for (name, measured, want) in [
        ("the same", &[("a", 100, 50, Some(1_000))][..], &[][..]),
        ("within a tenth", &[("a", 100, 50, Some(1_100))], &[]),
        ("within a tenth below", &[("a", 100, 50, Some(900))], &[]),
        ("instructions are not counted", &[("a", 100, 50, None)], &[]),
        (
            "an allocation more",
            &[("a", 100, 51, None)],
            &["a: 51 allocations, in the table 50: costs more: make it cheaper, or say why and run `make counts`"],
        ),
        (
            "an allocation less",
            &[("a", 100, 49, None)],
            &["a: 49 allocations, in the table 50: costs less: lower the table, run `make counts`"],
        ),
        (
            "more instructions",
            &[("a", 100, 50, Some(1_101))],
            &["a: 1101 instructions, in the table 1000: costs more: make it cheaper, or say why and run `make counts`"],
        ),
        (
            "fewer instructions",
            &[("a", 100, 50, Some(899))],
            &["a: 899 instructions, in the table 1000: costs less: lower the table, run `make counts`"],
        ),
        (
            "both",
            &[("a", 100, 51, Some(899))],
            &[
                "a: 51 allocations, in the table 50: costs more: make it cheaper, or say why and run `make counts`",
                "a: 899 instructions, in the table 1000: costs less: lower the table, run `make counts`",
            ],
        ),
        (
            "another body",
            &[("a", 101, 51, Some(1))],
            &["a has a body of 101 bytes, in the table 100: another call; run `make counts`"],
        ),
        ("a new call", &[("a", 100, 50, None), ("b", 1, 1, None)], &["b is not in the table: run `make counts`"]),
        ("a call that is gone", &[], &["a is in the table only: run `make counts`"]),
    ] {
        assert_eq!(judge(&table, &costs(measured)), want, "{name}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let table =
        costs(&[("mutate/x/create", 34_822, 128, Some(705_123)), ("validate/y/a-long-name-of-a-call", 1, 2, Some(3))]);
    assert_eq!(read(&write(&table).unwrap()), Ok(table));
    assert_eq!(write(&costs(&[("a", 1, 1, None)])), None, "without instructions there is no table");
    assert_eq!(read("a 1 2\n"), Err("not a row of the table: \"a 1 2\"".to_owned()));
    assert_eq!(read("a 1 2 x\n"), Err("not a row of the table: \"a 1 2 x\"".to_owned()));
}

/// Each webhook has a call in the committed table, so that `make test` compares it.
#[test]
fn every_webhook_is_in_the_table() {
    let table = read(include_str!("../../benches/counts.txt")).unwrap();
    let webhooks = [
        network_guard_core::webhooks::KUBE_APISERVER_PATH,
        network_guard_core::webhooks::NETWORK_PATH,
        network_guard_core::webhooks::VPN_SHOOT_PATH,
        network_guard_core::webhooks::MUTATE_SHOOT_PATH,
        network_guard_core::webhooks::VALIDATE_SHOOT_PATH,
        network_guard_core::webhooks::ADVISE_SHOOT_PATH,
    ];
    for path in webhooks {
        let start = format!("{}/", path.strip_prefix("/webhooks/").unwrap());
        assert!(table.keys().any(|name| name.starts_with(&start)), "{path} has no call in benches/counts.txt");
    }
}

/// The instructions of twice the size, and whether that is too much.
#[test]
fn work_grows_with_its_review() {
    for (once, twice, is_too_much) in [
        (10_000_000, 20_000_000, false),
        (10_000_000, 26_000_000, false),
        (10_000_000, 26_000_001, true),
        (10_000_000, 40_000_000, true),
        // A limit lies between the two.
        (1_000, 1_002_500, false),
        (1_000, 1_002_501, true),
    ] {
        let grown = Grown { call: "a call", kind: "a kind", bytes: [70_000, 140_000], instructions: [once, twice] };
        assert_eq!(grown.judge().is_some(), is_too_much, "{once} {twice}");
    }
    let grown = Grown { call: "a call", kind: "a kind", bytes: [7, 14], instructions: [1_000_000, 4_000_000] };
    let want = "a call, with a kind: 1000000 instructions for 7 bytes, 4000000 for 14, where 3500000 are the most: look for a \
                loop in a loop; for this kind alone: --growth \"a kind\"";
    assert_eq!(grown.judge().as_deref(), Some(want));
}

#[test]
fn a_kind_is_chosen_by_its_name() {
    for (arguments, want) in [
        (&["counts", "--growth"][..], None),
        (&["counts", "--growth", "--bench"], None),
        (&["counts", "--growth", "a kind", "--bench"], Some("a kind")),
        (&["counts", "a kind"], None),
    ] {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        assert_eq!(grown::chosen(&arguments), want, "{arguments:?}");
    }
}
