//! All figures that have a goal (`goals.rs`), in one run: `make bench` writes `docs/reference/performance.md` and prints it,
//! `make bench-quick` (`--quick`) prints a few of them, and with names of sections (`calls`, `load`, `growth`, `memory`) only those are
//! measured.
//!
//! No timing is asserted: machines are shared and noisy. Both sides of a ratio are measured in turns.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are what a benchmark is for")]
#![allow(unreachable_pub, reason = "a benchmark has no outside")]

mod api;
mod calls;
#[allow(dead_code, reason = "the page is read by its test")]
mod goals;
mod growth;
mod load;
mod memory;
mod objects;
mod overload;
mod server;
#[path = "../support/mod.rs"]
mod support;
#[path = "../counts/table.rs"]
#[allow(dead_code, reason = "it is only read here")]
mod table;

use std::process::Command;
use std::time::{Duration, Instant};

use goals::{Figures, PAGE};

/// How thoroughly is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Turns, of which the median is taken.
    pub rounds: usize,
    /// Calls in each.
    pub calls: usize,
    /// How long calls become due.
    pub span: Duration,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What is measured on, without names.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let field = |name: &str| cpu.lines().find(|line| line.starts_with(name))?.split(": ").nth(1);
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let model = field("model name").unwrap_or(std::env::consts::ARCH);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let rust = said("rustc", &["--version"]);
    let rust = rust.split(' ').nth(1).unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}, Rust {rust}", said("uname", &["-r"]))
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    // `cargo test --benches` only wants to see that it is built.
    if !has("--bench") {
        return;
    }
    let is_quick = has("--quick");
    let size = if is_quick {
        Size { rounds: 3, calls: 1_000, span: Duration::from_secs(2) }
    } else {
        Size { rounds: 9, calls: 2_000, span: Duration::from_secs(3) }
    };
    let counts = table::read(include_str!("../counts.txt")).expect("`make test` reads it, too");
    let goals = goals::goals(&counts);
    let mut figures = Figures::new(machine());
    figures.put_counts(&counts);
    let started = Instant::now();
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut section = |name: &str, run: &mut dyn FnMut(&mut Figures)| {
        let is_wanted = if chosen.is_empty() {
            !is_quick || ["calls", "load"].contains(&name)
        } else {
            chosen.iter().any(|other| other == name)
        };
        if is_wanted {
            eprintln!("{:>4} s  {name}", started.elapsed().as_secs());
            run(&mut figures);
        }
    };

    // The servers and what calls them have a core each.
    server::pin(server::CALLER);
    let folder = server::Folder::new();
    let load = load::Load::new(&folder);
    section("calls", &mut |figures| calls::measure(figures, &folder, &load, size));
    section("load", &mut |figures| {
        let (server, body) = calls::garden(&folder);
        let server = calls::measure_garden(figures, &load, server, &body, size);
        overload::measure(figures, &load, &server, &body, size);
    });
    section("growth", &mut growth::measure);
    section("memory", &mut |figures| memory::measure(figures, &folder));
    println!("\n{}\n\n{}", figures.machine, figures.summary(&goals));
    if chosen.is_empty() && !is_quick {
        std::fs::write(format!("{}/{PAGE}", env!("CARGO_MANIFEST_DIR")), figures.page(&goals)).unwrap();
        println!("written to {PAGE}");
    }
}
