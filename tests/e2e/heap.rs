//! An hour of everything at once, in which the live heap of `serve seed` and `serve garden` stays level: reviews of each
//! webhook, objects that come, change and go, bodies that are none, and connections that begin and end.
//!
//! What is measured is what a node has to give: anonymous memory of the process, without pages that the kernel may take back
//! at any time. It is a little more than the live heap of Rust: what the allocator keeps for a moment, and what C libraries
//! allocate. Whatever leaks is in it, and no allocator has to count for that.

mod line;
mod load;

use std::time::{Duration, Instant};

use self::line::{Sample, judge};
use self::load::Load;
use crate::harness::{ControlPlane, Garden, Guard, eventually};
use crate::restarts::is_soak;

/// How long it takes at least, in minutes: `NETWORK_GUARD_SOAK_MINUTES`, or an hour in a soak. Elsewhere it takes as long as a
/// few rounds of everything do.
fn minutes() -> f64 {
    match std::env::var("NETWORK_GUARD_SOAK_MINUTES") {
        Ok(minutes) => minutes.parse().expect("NETWORK_GUARD_SOAK_MINUTES is a number of minutes"),
        Err(_) => {
            if is_soak() {
                60.0
            } else {
                0.0
            }
        }
    }
}

/// From so many minutes memory is judged. Before, pools, caches and lists of free pages fill.
const JUDGED: f64 = 30.0;

/// How much more memory is harmful, in kilobytes, at the end of the last two thirds.
///
/// In 40 minutes: 1 MB, which is 1 GB in a month. A replica runs for about as long between two releases, and begins with 64 MB
/// of request in the charts. So an eviction, or a restart for want of memory, may come before the next release; a slower leak
/// is not distinguished from noise here.
fn most(minutes: f64) -> f64 {
    minutes / 60.0 * 1_000.0
}

/// The anonymous memory of a process in kilobytes, without what was given back.
fn live(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let of = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().trim_end_matches(" kB").parse::<f64>().expect(line) * 1.024
    };
    of("Anonymous:") - of("LazyFree:") + of("Swap:")
}

#[test]
fn the_live_heap_stays_level_soak() {
    let minutes = minutes();
    let control_plane = ControlPlane::start();
    let mut seed = Guard::start_configured(&control_plane, load::SEED_CONFIGURATION);
    seed.wait_until_ready();
    let mut garden = Garden::start();
    let processes = [seed.process().id(), garden.guard.process().id()];
    let load = Load::start(load::on_seed(&control_plane, &seed).into_iter().chain(load::in_garden(&garden)).collect());

    let (begun, mut samples) = (Instant::now(), [const { Vec::new() }; 2]);
    let end = Duration::from_secs_f64(minutes * 60.0);
    let pause = Duration::from_secs(10).min(end / 60);
    let mut sample = || {
        let minute = begun.elapsed().as_secs_f64() / 60.0;
        for (samples, process) in samples.iter_mut().zip(processes) {
            samples.push(Sample { minute, kilobytes: live(process) });
        }
    };
    while begun.elapsed() < end && load.failed().is_none() {
        std::thread::sleep(pause);
        sample();
    }
    eventually("each step is done often enough", || {
        sample();
        load.missing().filter(|_| load.failed().is_none()).map_or(Ok(()), Err)
    });
    let done = load.finish();
    // As many objects as all the time: servers know soon what was deleted.
    let count = |guard: &Guard, name| {
        eventually(&format!("{name} is {} at most", load::MOST), || {
            let count = guard.metric(name);
            if count <= load::MOST.into() { Ok(count) } else { Err(count.to_string()) }
        })
    };
    let objects = [count(&seed, "network_guard_clusters"), count(&garden.guard, "network_guard_shoots")];
    say!("figure: heap: {done}; {} Clusters and {} Shoots at the end", objects[0], objects[1]);

    let mut wrong = Vec::new();
    for (name, samples) in ["seed", "garden"].iter().zip(&samples) {
        let at = |minute: f64| {
            let sample = samples.iter().find(|sample| sample.minute >= minute).or(samples.last());
            sample.map_or(0.0, |sample| sample.kilobytes / 1_000.0)
        };
        let judged = judge(samples, most(minutes));
        if let Some(line) = line::Line::through(line::settled(samples)).filter(|_| minutes > 0.0) {
            say!(
                "figure: heap: {name}: {:.1} kB/min slope, {:.1} MB at minute {:.0}, {:.1} at minute {minutes:.0}; {} samples",
                line.slope,
                at(minutes / 3.0),
                minutes / 3.0,
                at(minutes),
                samples.len()
            );
        }
        wrong.extend(judged.err().map(|error| format!("{name}: {error}")));
    }
    if minutes < JUDGED {
        say!("skipped: {minutes} minutes are too few to judge memory by; make soak takes 60");
        wrong.clear();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for guard in [&seed, &garden.guard] {
        assert!(guard.metric("network_guard_panics_total") < 0.5, "{}", guard.metrics());
    }
}
