//! What does not depend on the machine's mood: allocations and instructions of one call of each webhook, and of one event of a
//! watch.
//!
//! Without flags they are shown. `--check` compares them with `benches/counts.txt` and fails when they are others; `make
//! test` does that, with the profile `quick`. `--write` writes the table.
//!
//! Instructions are counted by callgrind, as the difference between runs with more and fewer calls of this same program
//! (`counts calls NAME NUMBER`).
//!
//! `--growth` sends hostile reviews, those of `tests/bounds`, in two sizes, and fails where twice the size takes far more than
//! twice the instructions. `--growth "volumes of ours"` sends those of one kind only (`tests/bounds/hostile.rs` has the names).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are what a benchmark is for")]
#![allow(unreachable_pub, reason = "a benchmark has no outside")]

mod calls;
mod events;
mod grown;
mod growth;
#[path = "../../tests/bounds/hostile.rs"]
#[allow(dead_code, reason = "the changes are for properties")]
mod hostile;
#[path = "../../tests/bounds/scene.rs"]
#[allow(dead_code, reason = "allocations are for properties")]
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::process::{Child, Command, ExitCode, Stdio};

use calls::Call;
use events::Events;
use table::{Cost, Table};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// With one of these set, a check without valgrind fails.
const REQUIRED_BY: [&str; 2] = ["CI", "NETWORK_GUARD_REQUIRE_VALGRIND"];

/// Instructions of other processors are others than those of the table.
const IS_COUNTED: bool = cfg!(target_arch = "x86_64");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, number] = arguments.as_slice()
        && mode == "calls"
    {
        let number = number.parse::<u64>().unwrap();
        if let Some(events) = Events::of(name) {
            (0..number).for_each(|_| events.next());
        } else {
            let call = Call::of(name);
            (0..number).for_each(|_| drop(call.run()));
        }
        return ExitCode::SUCCESS;
    }
    if let [_, mode] = arguments.as_slice()
        && mode == growth::REVIEWS
    {
        growth::review();
        return ExitCode::SUCCESS;
    }

    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--growth") {
        return grow(grown::chosen(&arguments));
    }
    let is_shown = !has("--check") && !has("--write");
    println!("{:<36}{:>10}{:>14}{:>18}{:>14}", "one call", "bytes", "allocations", "allocated bytes", "instructions");
    let mut measured = Table::new();
    for (name, _) in calls::ALL.into_iter().filter(|(name, _)| is_shown || *name != calls::ADVERSARIAL) {
        measured.insert(name.to_owned(), measure(name));
    }
    for (name, ..) in events::ALL {
        measured.insert(name.to_owned(), measure_event(name));
    }
    match (has("--check"), has("--write")) {
        (true, _) => check(&measured),
        (_, true) => write(&measured),
        _ => ExitCode::SUCCESS,
    }
}

fn measure(name: &str) -> Cost {
    let call = Call::of(name);
    // The first one fills what is made once, and shows that it is the call that it says.
    let answer = String::from_utf8(call.run()).unwrap();
    assert!(answer.contains(r#""allowed":true"#), "{name}: {answer}");
    assert_eq!(answer.contains(r#""patch":"#), name.starts_with("mutate/"), "{name}: {answer}");
    let allocated = allocation_counter::measure(|| drop(call.run()));
    cost(name, call.body.len(), &allocated)
}

fn measure_event(name: &str) -> Cost {
    let events = Events::of(name).unwrap();
    events.next();
    let allocated = allocation_counter::measure(|| events.next());
    cost(name, events.size(), &allocated)
}

fn cost(name: &str, bytes: usize, allocated: &allocation_counter::AllocationInfo) -> Cost {
    let instructions = instructions(name);
    let shown = instructions.map_or_else(|| "not counted".to_owned(), |count| count.to_string());
    println!("{name:<36}{bytes:>10}{:>14}{:>18}{shown:>14}", allocated.count_total, allocated.bytes_total);
    Cost { bytes: bytes as u64, allocations: allocated.count_total, instructions }
}

fn check(measured: &Table) -> ExitCode {
    let text = std::fs::read_to_string(PATH).unwrap_or_default();
    let table = table::read(&text).unwrap_or_else(|error| panic!("{PATH}: {error}"));
    let mut wrong = table::judge(&table, measured);
    if measured.values().any(|cost| cost.instructions.is_none()) {
        wrong.extend(uncounted());
    }
    if wrong.is_empty() {
        println!("as in benches/counts.txt");
        return ExitCode::SUCCESS;
    }
    eprintln!("not as in benches/counts.txt:\n  {}", wrong.join("\n  "));
    ExitCode::FAILURE
}

/// Says that nothing was counted; a failure where it has to be.
fn uncounted() -> Option<String> {
    let what = if IS_COUNTED { "install valgrind" } else { "that takes an x86-64 machine" };
    eprintln!("INSTRUCTIONS ARE NOT COMPARED: {what}");
    let is_required = IS_COUNTED && REQUIRED_BY.iter().any(|name| std::env::var_os(name).is_some());
    is_required.then(|| format!("instructions are not compared: {what}"))
}

fn grow(chosen: Option<&str>) -> ExitCode {
    let counted = if IS_COUNTED { growth::measure(chosen) } else { None };
    let wrong = match &counted {
        Some(grown) if grown.is_empty() => vec![format!("there is no kind {:?}", chosen.unwrap_or_default())],
        Some(grown) => grown.iter().filter_map(grown::Grown::judge).collect(),
        None => Vec::from_iter(uncounted()),
    };
    if wrong.is_empty() {
        println!("{} kinds of hostile reviews cost what they are long", counted.map_or(0, |grown| grown.len()));
        return ExitCode::SUCCESS;
    }
    eprintln!("the work grows faster than the review:\n  {}", wrong.join("\n  "));
    ExitCode::FAILURE
}

fn write(measured: &Table) -> ExitCode {
    let Some(text) = table::write(measured) else {
        eprintln!(
            "the table is not written: instructions take an x86-64 machine with valgrind (`apt-get install valgrind`)"
        );
        return ExitCode::FAILURE;
    };
    std::fs::write(PATH, text).unwrap();
    println!("written to benches/counts.txt");
    ExitCode::SUCCESS
}

/// Instructions of one call; `None` without valgrind, and where instructions are others than those of the table.
fn instructions(name: &str) -> Option<u64> {
    if !IS_COUNTED {
        return None;
    }
    // The large body would take valgrind minutes.
    let calls: [u64; 2] = if name == calls::ADVERSARIAL { [1, 3] } else { [10, 60] };
    let [few, many] = calls.map(|number| callgrind(name, number));
    let [few, many] = [total(few?), total(many?)];
    Some((many - few) / (calls[1] - calls[0]))
}

fn callgrind(name: &str, number: u64) -> Option<Child> {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["calls", name, &number.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()
}

fn total(child: Child) -> u64 {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("valgrind counted nothing: {said}"))
}
