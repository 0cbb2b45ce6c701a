//! The list of goals, and the page that shows them: `docs/reference/performance.md`. Its rows are this list, which a test
//! sees to; its figures are what the last `make bench` wrote.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::Table;

/// The page, in the repository.
pub const PAGE: &str = "docs/reference/performance.md";

/// What is wanted of a figure: first the floor, which it may not cross, then the aim.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    AtLeast(f64, f64),
    AtMost(f64, f64),
    /// No goal: it is there to be seen.
    Seen,
}

use Want::{AtLeast, AtMost, Seen};

/// One row.
#[derive(Debug)]
pub struct Goal {
    /// What benchmarks call it.
    pub id: String,
    pub section: &'static str,
    pub figure: String,
    pub want: Want,
    /// Where the goal comes from.
    pub why: &'static str,
}

const CALLS: &str = "Calls, against a fixed answer";
const PEER: &str = "Calls, against Go";
const GROWTH: &str = "Growth";
const MEMORY: &str = "Memory and size";
const LOAD: &str = "Load";
const COUNTS: &str = "Counts of one call, and of one event among so many objects";

const FIRST: &str = "The first version that copied nothing out of a review had the floor; the aim is what reading the bytes once costs.";
const GO: &str = "The peer does the same with Gardener's own extension library. Kubernetes' codecs and a diff alone cost it 50 times a direct patch; half of that is left when HTTP and TLS are counted on both sides.";
const RECORD: &str =
    "Half a KiB of facts and 100 bytes of index make 6 MB of ten thousand Shoots; the floor is twice that.";
const CLUSTERS: &str = "A Cluster is kept as what its VPN is told and a Shoot's facts: half a KiB of each is what the page on sizing promises, in bytes that are asked for; what the system gives for them is up to half more.";
const LINEAR: &str = "The work grows as its input does: ten times the input, ten times the work, and some for caches.";
const NO_SCAN: &str = "A decision looks at the peers of a Shoot and never at all Shoots, so only caches may notice a hundred times as many.";

/// The rows whose figures are measured by `make bench` itself.
const MEASURED: [(&str, &str, &str, Want, &str); 28] = [
    (
        "calls/create",
        CALLS,
        "`mutate/kube-apiserver`, a new Deployment: CPU of a fixed answer / ours",
        AtLeast(0.40, 0.65),
        FIRST,
    ),
    ("calls/create-lean", CALLS, "the same without managed fields", AtLeast(0.40, 0.65), FIRST),
    ("calls/update", CALLS, "the same, an update with status and old object", AtLeast(0.42, 0.60), FIRST),
    (
        "calls/other",
        CALLS,
        "the same, a Deployment that does not concern us",
        AtLeast(0.70, 0.87),
        "What does not concern us may take 15 % more than a fixed answer: nearly all Deployments of a Seed are such.",
    ),
    (
        "calls/network",
        CALLS,
        "`mutate/network`, a switch that is held",
        AtLeast(0.20, 0.40),
        "A call of 2 kB whose answer is a record of the switch; at best it has the floor of larger calls.",
    ),
    (
        "calls/shoot",
        CALLS,
        "`validate/shoot`, 10 peers among 100,000 Shoots",
        AtLeast(0.10, 0.20),
        "Every peer is a rule's work, and a Shoot is written by people: a few times a fixed answer is not noticed.",
    ),
    ("peer/create", PEER, "a new Deployment: CPU of the Go peer / ours", AtLeast(25.0, 50.0), GO),
    ("peer/update", PEER, "an update", AtLeast(25.0, 50.0), GO),
    (
        "peer/memory",
        PEER,
        "resident memory after all calls: ours / the Go peer's",
        AtMost(0.67, 0.50),
        "A Go server that keeps nothing holds 15 to 19 MB, a Rust one half of it.",
    ),
    (
        "growth/shoot-create",
        GROWTH,
        "`validate/shoot`, a new Shoot with 10 peers: time among 100,000 Shoots / 1,000",
        AtMost(2.0, 1.2),
        NO_SCAN,
    ),
    ("growth/shoot-update", GROWTH, "the same, a peer more", AtMost(2.0, 1.2), NO_SCAN),
    (
        "growth/event",
        GROWTH,
        "an event of a Shoot, from its facts to the published snapshot: among 100,000 / 1,000",
        AtMost(4.0, 2.0),
        "A persistent map changes in the depth of its tree, which a hundred times the entries double at most.",
    ),
    ("growth/nat", GROWTH, "plan and rules of the double NAT: 1,000 networks / 100", AtMost(20.0, 11.0), LINEAR),
    ("growth/nodes", GROWTH, "a look at nodes, with reading their list: 5,000 nodes / 500", AtMost(20.0, 11.0), LINEAR),
    ("growth/start", GROWTH, "start to ready: with 100,000 Clusters / 10,000", AtMost(20.0, 11.0), LINEAR),
    ("memory/shoots-10k", MEMORY, "MB that 10,000 Shoots of 20 kB add to `serve garden`", AtMost(12.0, 6.0), RECORD),
    ("memory/shoots-100k", MEMORY, "MB that 100,000 Shoots add", AtMost(120.0, 60.0), RECORD),
    (
        "memory/clusters-10k",
        MEMORY,
        "MB that 10,000 Clusters of 20 kB add to `serve seed`",
        AtMost(15.0, 6.0),
        CLUSTERS,
    ),
    ("memory/clusters-100k", MEMORY, "MB that 100,000 Clusters add", AtMost(150.0, 60.0), CLUSTERS),
    (
        "memory/peak-stream",
        MEMORY,
        "MB at the peak, while 10,000 Clusters come as a stream",
        AtMost(60.0, 30.0),
        "Objects may not pile up while they are read: a few pages of 10 MB at most.",
    ),
    ("memory/peak-pages", MEMORY, "MB at the peak, while they come in pages", AtMost(60.0, 30.0), "The same."),
    (
        "memory/switches",
        MEMORY,
        "MB that 200 held switches of 100 nodes each add",
        AtMost(20.0, 8.0),
        "Of nodes a state each is kept, and a connection for each Shoot: 40 kB a switch at best.",
    ),
    ("size", MEMORY, "MB of the program", AtMost(15.0, 8.0), "It is pulled with an image wherever a replica starts."),
    (
        "start",
        LOAD,
        "start to ready with 10,000 Clusters / a download that throws them away",
        AtMost(3.0, 1.5),
        "Reading may not take longer than the bytes take to arrive; half as much is left to start.",
    ),
    (
        "burst",
        LOAD,
        "25 new connections at once after a silence, the slowest call: ours / a fixed answer",
        AtMost(3.0, 1.5),
        "An API server keeps 25 connections, and closes them when it has nothing to ask: then handshakes count, and hardly the call.",
    ),
    (
        "load/half",
        LOAD,
        "`validate/shoot` at half of its saturation, 99th percentile: ours / a fixed answer at the same rate",
        AtMost(4.0, 2.0),
        "As many calls wait for as many others on both sides, so a call may take its share of CPU more, and no lock.",
    ),
    (
        "load/goodput",
        LOAD,
        "`validate/shoot` at five times the saturation: answered well / at saturation",
        AtLeast(0.80, 0.95),
        "Who is turned away may cost those who are served a twentieth.",
    ),
    (
        "load/memory",
        LOAD,
        "MB that this adds at its peak",
        AtMost(134.0, 67.0),
        "The 64 MiB that bodies in flight may hold (`server.maxBodiesInFlightBytes`), and as much again for connections at worst.",
    ),
];

/// All rows. The last ones are those of `benches/counts.txt`.
pub fn goals(counts: &Table) -> Vec<Goal> {
    let mut goals: Vec<Goal> = MEASURED
        .into_iter()
        .map(|(id, section, figure, want, why)| Goal { id: id.into(), section, figure: figure.into(), want, why })
        .collect();
    for name in counts.keys() {
        let (allocations, why) = if name.starts_with("mutate/kube-apiserver/") {
            (AtMost(100.0, 40.0), "A patch that is written directly takes some dozens, a typed decoder thousands.")
        } else {
            (Seen, "`make test` compares it with `benches/counts.txt`, exactly.")
        };
        let instructions = "`make test` compares it with `benches/counts.txt`, within a tenth.";
        for (what, want, why) in [("allocations", allocations, why), ("instructions", Seen, instructions)] {
            let (id, figure) = (format!("{what}/{name}"), format!("`{name}`: {what}"));
            goals.push(Goal { id, section: COUNTS, figure, want, why });
        }
    }
    goals
}

/// Figures by the ids of their goals, as they are shown.
#[derive(Debug, Default)]
pub struct Figures {
    pub machine: String,
    shown: BTreeMap<String, String>,
}

impl Figures {
    /// None yet, of this machine.
    pub fn new(machine: String) -> Self {
        Self { machine, shown: BTreeMap::new() }
    }

    /// Adds a figure.
    pub fn put(&mut self, id: &str, value: f64) {
        let digits = match value.abs() {
            100.0.. => 0,
            10.0.. => 1,
            _ => 2,
        };
        self.shown.insert(id.to_owned(), format!("{value:.digits$}"));
    }

    /// Adds those of the table, whatever was there of them before.
    pub fn put_counts(&mut self, counts: &Table) {
        for (name, cost) in counts {
            self.shown.insert(format!("allocations/{name}"), cost.allocations.to_string());
            self.shown.insert(format!("instructions/{name}"), cost.instructions.unwrap_or_default().to_string());
        }
    }

    /// Reads those of a page.
    pub fn of(page: &str, goals: &[Goal]) -> Self {
        let mut figures = Self::default();
        for line in page.lines() {
            if let Some(machine) = line.strip_prefix(MACHINE) {
                machine.trim_end_matches('.').clone_into(&mut figures.machine);
            }
            let cells: Vec<&str> = line.split(" | ").collect();
            let [figure, _, _, now, ..] = cells.as_slice() else { continue };
            let goal = goals.iter().find(|goal| Some(&*goal.figure) == figure.strip_prefix("| "));
            if let (Some(goal), true) = (goal, now.parse::<f64>().is_ok()) {
                figures.shown.insert(goal.id.clone(), (*now).to_owned());
            }
        }
        figures
    }

    fn row(&self, goal: &Goal) -> [String; 4] {
        let now = self.shown.get(&goal.id);
        let value = now.and_then(|text| text.parse::<f64>().ok());
        let (sign, floor, aim) = match goal.want {
            AtLeast(floor, aim) => ("≥ ", floor, aim),
            AtMost(floor, aim) => ("≤ ", floor, aim),
            Seen => ("", f64::NAN, f64::NAN),
        };
        let reaches = |goal: f64| value.is_some_and(|value| if sign == "≥ " { value >= goal } else { value <= goal });
        let said = match () {
            () if value.is_none() || sign.is_empty() => "",
            () if reaches(aim) => "aim",
            () if reaches(floor) => "floor",
            () => "**neither**",
        };
        let goal = |value: f64| if sign.is_empty() { String::new() } else { format!("{sign}{value}") };
        [goal(floor), goal(aim), now.cloned().unwrap_or_default(), said.to_owned()]
    }

    /// What a terminal shows: the rows that have a figure.
    pub fn summary(&self, goals: &[Goal]) -> String {
        let mut text = format!("{:<100}{:>9}{:>9}{:>12}  reached\n", "figure", "floor", "aim", "now");
        for goal in goals.iter().filter(|goal| self.shown.contains_key(&goal.id)) {
            let [floor, aim, now, reached] = self.row(goal);
            let figure = goal.figure.replace('`', "");
            let _ = writeln!(text, "{figure:<100}{floor:>9}{aim:>9}{now:>12}  {}", reached.replace('*', ""));
        }
        text
    }

    /// The page.
    pub fn page(&self, goals: &[Goal]) -> String {
        let mut text = String::from(INTRODUCTION);
        let _ = writeln!(text, "\n{MACHINE}{}.", self.machine);
        let mut section = "";
        for goal in goals {
            if goal.section != section {
                section = goal.section;
                let _ = write!(
                    text,
                    "\n## {section}\n\n| figure | floor | aim | now | reached | why this goal |\n|---|---|---|---|---|---|\n"
                );
            }
            let _ = writeln!(text, "| {} | {} | {} |", goal.figure, self.row(goal).join(" | "), goal.why);
        }
        text
    }
}

const MACHINE: &str = "Measured on ";

const INTRODUCTION: &str = "\
<!-- Generated by `make bench`, which measures; `NETWORK_GUARD_WRITE_DOCS=1 cargo test --test it documents` keeps the figures. -->

# Performance

What network-guard is to reach, and what it reached in the last `make bench`. A figure should not cross its floor; the aim is
where it should get to. Nothing fails when it does not: machines differ, and are busy. Where there is no goal, the figure is there to
be seen.

There are no times here, which are the machine's: only ratios, counts and sizes. Both sides of a ratio are measured in turns, a
ratio is taken within each turn, and the median is shown. The server has a core for itself, and what calls it another one.
CPU is that of the server, with TLS and HTTP. A fixed answer is one of the same server that reads the body and does nothing with
it. The program is a release with thin LTO and with these fixed answers. What a call
spends its instructions on is in [what a call costs](../concepts/cost.md).
";
