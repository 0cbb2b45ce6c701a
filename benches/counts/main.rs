//! What does not depend on the machine's mood: allocations and instructions of one call.
//!
//! Instructions are counted by callgrind, as the difference between runs with more and fewer calls of this same
//! program (`counts calls BODY NUMBER`).

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod support;

use std::process::Command;

const CALLS: [u64; 2] = [10, 110];

fn body(name: &str) -> String {
    match name {
        "create" => support::create(),
        "create-lean" => support::create_lean(),
        "update" => support::update(),
        "adversarial" => support::adversarial(),
        other => panic!("no body `{other}`"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, number] = arguments.as_slice()
        && mode == "calls"
    {
        let (scene, body) = (support::Scene::new(), body(name));
        for _ in 0..number.parse::<u64>().unwrap() {
            std::hint::black_box(scene.call(body.as_bytes()));
        }
        return;
    }

    println!("{:<14}{:>10}{:>14}{:>18}{:>14}", "one call", "bytes", "allocations", "allocated bytes", "instructions");
    for name in ["create", "create-lean", "update", "adversarial"] {
        let (scene, body) = (support::Scene::new(), body(name));
        scene.call(body.as_bytes());
        let allocated = allocation_counter::measure(|| {
            std::hint::black_box(scene.call(body.as_bytes()));
        });
        println!(
            "{name:<14}{:>10}{:>14}{:>18}{:>14}",
            body.len(),
            allocated.count_total,
            allocated.bytes_total,
            instructions(name).map_or_else(|| "no valgrind".to_owned(), |count| count.to_string()),
        );
    }
}

fn instructions(name: &str) -> Option<u64> {
    // The large body would take valgrind minutes.
    let calls = if name == "adversarial" { [1, 3] } else { CALLS };
    let [few, many] = calls.map(|number| total_instructions(name, number));
    Some((many? - few?) / (calls[1] - calls[0]))
}

fn total_instructions(name: &str, number: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["calls", name, &number.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok())
}
