//! Whether the work of a hostile review grows no faster than the review: instructions of the same one in two sizes.
//!
//! This program makes the bodies and runs itself in one valgrind (`counts reviews`), which reads them and reviews them. Callgrind
//! collects inside of [`counted`] only, and writes down at its end what that took. Nothing else is measured, and nothing needs
//! a client request, which would be unsafe code.

use std::io::{BufRead as _, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use network_guard_core::admission::Handler;

use crate::grown::Grown;
use crate::hostile::KINDS;
use crate::scene::{Call, HANDLERS, Scene};

/// The word with which this program reviews what it reads.
pub const REVIEWS: &str = "reviews";

/// Where callgrind collects: in [`counted`], as it calls that symbol; nothing else may match, closures of it neither.
const COLLECTED: &str = "--toggle-collect=*growth::counted";

/// After what callgrind writes down what it collected: the same. A pattern holds one option only, so it is another one.
const WRITTEN: &str = "--dump-after=*::growth::counted";

/// What is put into each object, in bytes. An element has 6 to 100 of them, so there are some thousands or hundreds, and twice as
/// many. To read a byte takes ten to thirty instructions, together a million or two; a double loop over two thousand elements
/// takes four million steps of at least two instructions. It is seen as soon as it takes a third of what the rest takes
/// (`2 + 4/3` against `1 + 1/3` is two and a half). A limit of thousands lies between the two sizes or above; a loop below a
/// smaller one is bounded by that.
const BYTES: usize = 1 << 16;

/// Counts all of them, or those of one kind; `None` without valgrind.
pub fn measure(chosen: Option<&str>) -> Option<Vec<Grown>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut child = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", COLLECTED, WRITTEN])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .arg(REVIEWS)
        .stdin(Stdio::piped())
        .spawn()
        .ok()?;
    let mut bodies = BufWriter::new(child.stdin.take().unwrap());
    let mut all = Vec::new();
    for (number, call) in HANDLERS.iter().enumerate() {
        for kind in KINDS.iter().filter(|kind| chosen.is_none_or(|chosen| chosen == kind.name)) {
            let body = |bytes| kind.body(call, kind.times(bytes));
            let (Some(once), Some(twice)) = (body(BYTES), body(2 * BYTES)) else { continue };
            for body in [&once, &twice] {
                writeln!(bodies, "{number}\n{body}").expect("valgrind reads on");
            }
            all.push((call, kind, [once.len(), twice.len()]));
        }
    }
    drop(bodies);
    assert!(child.wait().unwrap().success(), "valgrind failed");
    let counts: Vec<u64> =
        (1..=2 * all.len()).map(|number| total(&folder.path().join(format!("out.{number}")))).collect();
    let next = folder.path().join(format!("out.{}", counts.len() + 1));
    assert!(!next.exists(), "{WRITTEN} matches something else too");
    let grown = all.into_iter().zip(counts.chunks(2));
    let grown = grown.map(|((call, kind, bytes), counts)| Grown {
        call: call.name,
        kind: kind.name,
        bytes,
        instructions: [counts[0], counts[1]],
    });
    Some(grown.collect())
}

/// The instructions of one dump.
fn total(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.filter(|total| *total > 0).unwrap_or_else(|| panic!("{}: nothing was counted", path.display()))
}

/// Reviews what stands on the standard input: a line with the number of the call, and a line with the body.
pub fn review() {
    let scene = Scene::new();
    let handlers: Vec<_> = HANDLERS.iter().map(|call: &Call| (call.handler)()).collect();
    let mut input = std::io::stdin().lock();
    let (mut number, mut body) = (String::new(), String::new());
    while input.read_line(&mut number).unwrap() > 0 {
        input.read_line(&mut body).unwrap();
        let handler = &handlers[number.trim().parse::<usize>().unwrap()];
        std::hint::black_box(counted(&scene, &**handler, &body));
        number.clear();
        body.clear();
    }
}

/// Exactly what is measured. A function of its own, which stays one, because callgrind knows it by its name.
#[inline(never)]
fn counted(scene: &Scene, handler: &dyn Handler, body: &str) -> usize {
    let (answer, ..) = scene.call(handler, body);
    std::hint::black_box(answer)
}
