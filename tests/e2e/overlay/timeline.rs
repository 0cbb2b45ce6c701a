//! One switch from beginning to end, as `docs/concepts/overlay-switch.md` tells it.

#![allow(clippy::print_stdout, reason = "people may want to see the run")]

use std::time::Instant;

use serde_json::{Value, json};

use super::{native, overlay, released};
use crate::harness::{Switch, eventually};

/// What happened, and when.
struct Timeline {
    started: Instant,
    lines: Vec<String>,
}

impl Timeline {
    fn note(&mut self, what: &str) {
        let line = format!("{:>5.1} s  {what}", self.started.elapsed().as_secs_f64());
        say!("{line}");
        self.lines.push(line);
    }
}

/// The lines of the page's timeline are those of this run, but for the times.
#[test]
fn the_page_tells_a_real_run() {
    // A look whose write is in vain says nothing. There is time for another one before the window is over.
    let switch = Switch::start_with(&json!({"windowSeconds": 5}));
    let shoot = &switch.shoot;
    for node in ["a", "b", "c"] {
        shoot.add_node(node);
        shoot.node_condition(node, "False", "CalicoIsUp");
    }
    shoot.reconcile(&overlay()).ok();

    say!("\nswitching off the overlay:\n");
    let mut timeline = Timeline { started: Instant::now(), lines: Vec::new() };
    // By its log: what is written onto the Network may be gone with the hold before somebody reads it.
    let says = |timeline: &mut Timeline, want: &[&str]| {
        let said = eventually(&format!("it says {want:?}"), || {
            let log = switch.guard().log();
            // The last line may be half written.
            let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let said = lines.find_map(|line| {
                if !line.contains("a switch is held") {
                    return None;
                }
                let line: Value = serde_json::from_str(line).unwrap();
                let words = line["says"].as_str().unwrap();
                want.iter().all(|want| words.contains(want)).then(|| words.to_owned())
            });
            said.ok_or_else(|| shoot.held("message"))
        });
        timeline.note(&format!("network-guard: {said}"));
    };
    let report = shoot.reconcile(&native()).ok();
    assert_eq!((report.grew(), shoot.calico()), (0, overlay()));
    timeline.note("gardenlet writes overlay: {enabled: false} and succeeds; Calico keeps its overlay");
    says(&mut timeline, &["0 of 3 nodes have routes"]);
    shoot.route_created("a");
    timeline.note("the route controller reports a route for node a");
    says(&mut timeline, &["1 of 3 nodes have routes"]);
    shoot.route_controller_warns("RouteLimitExceeded: The maximum number of routes has been reached.");
    shoot.node_condition("c", "True", "NoRouteCreated");
    shoot.route_created("b");
    timeline.note("... and one for b; c exceeds the quota of the route table");
    says(&mut timeline, &["2 of 3 nodes have routes", "RouteLimitExceeded"]);
    assert_eq!(shoot.reconcile(&native()).ok().grew(), 0);
    timeline.note("gardenlet reconciles again and succeeds; nothing changes");
    shoot.route_created("c");
    timeline.note("the quota is raised, and c gets its route");
    says(&mut timeline, &["3 of 3 nodes have routes"]);
    released(shoot);
    assert_eq!(shoot.calico(), native());
    timeline.note("Calico is told overlay: {enabled: false}");
    assert_eq!(shoot.reconcile(&native()).ok().grew(), 0);
    timeline.note("gardenlet reconciles again and succeeds; nothing changes");

    let page = include_str!("../../../docs/concepts/overlay-switch.md");
    for line in &timeline.lines {
        let (_, what) = line.split_once(" s  ").unwrap();
        assert!(page.contains(what), "docs/concepts/overlay-switch.md does not tell of: {what}");
    }
}
