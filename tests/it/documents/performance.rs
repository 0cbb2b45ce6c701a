//! The page of figures: its rows are the list of goals, its figures those that `make bench` and `make counts` wrote.

#[allow(dead_code, unreachable_pub, reason = "the benchmark uses all of it")]
#[path = "../../../benches/performance/goals.rs"]
mod goals;

use goals::{Figures, Goal, Want};

use crate::counts::table;

fn counts() -> table::Table {
    table::read(include_str!("../../../benches/counts.txt")).unwrap()
}

fn goals() -> Vec<Goal> {
    goals::goals(&counts())
}

#[test]
fn rows_are_the_goals() {
    let goals = goals();
    let page = std::fs::read_to_string(format!("{}/{}", env!("CARGO_MANIFEST_DIR"), goals::PAGE)).unwrap_or_default();
    let name = goals::PAGE.strip_prefix("docs/reference/").unwrap();
    let mut figures = Figures::of(&page, &goals);
    figures.put_counts(&counts());
    super::reference::is_made(name, &figures.page(&goals));
}

/// Each goal has a name and a reason of its own, and its aim is beyond its floor.
#[test]
fn goals_make_sense() {
    let goals = goals();
    for (number, goal) in goals.iter().enumerate() {
        let is_same = |other: &&Goal| other.id == goal.id || other.figure == goal.figure;
        assert_eq!(goals[..number].iter().find(is_same).map(|other| &other.id), None, "{}", goal.id);
        assert!(goal.why.len() > 5 && !goal.figure.contains('|') && !goal.why.contains('|'), "{}", goal.id);
        assert!(
            match goal.want {
                Want::AtLeast(floor, aim) => floor < aim,
                Want::AtMost(floor, aim) => floor > aim,
                Want::Seen => true,
            },
            "{}",
            goal.id
        );
    }
}

/// What is written is read back, and says what was reached.
#[test]
fn figures_stay_when_the_page_is_made_again() {
    let goals = goals();
    let mut figures = Figures::new("a machine, 2 cores".to_owned());
    for (id, value) in [("calls/create", 0.5), ("calls/update", 0.7), ("peer/create", 12.34), ("start", 99.96)] {
        figures.put(id, value);
    }
    let page = figures.page(&goals);
    assert_eq!(Figures::of(&page, &goals).page(&goals), page);
    for (figure, cells) in [
        ("a new Deployment: CPU of a fixed answer / ours", "≥ 0.4 | ≥ 0.65 | 0.50 | floor"),
        ("the same, an update with status and old object", "≥ 0.42 | ≥ 0.6 | 0.70 | aim"),
        ("a new Deployment: CPU of the Go peer / ours", "≥ 25 | ≥ 50 | 12.3 | **neither**"),
        ("a download that throws them away", "≤ 3 | ≤ 1.5 | 100.0 | **neither**"),
        ("an update", "≥ 25 | ≥ 50 |  | "),
    ] {
        assert!(page.contains(&format!("{figure} | {cells} |")), "{figure}:\n{page}");
    }
}
