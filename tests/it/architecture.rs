//! The house, as `docs/architecture.md` draws it: a crate uses only what is below it, and so do the rooms of the core.
//!
//! That the core waits for nothing and reads no clock is for clippy: see `crates/core/clippy.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Which crates each crate may use. `network-guard` is the program, in `src/`.
const CRATES: [(&str, &[&str]); 6] = [
    ("network-guard-core", &[]),
    ("network-guard-runtime", &[]),
    ("network-guard-sources", &["core", "runtime"]),
    ("network-guard-nat", &["core"]),
    ("network-guard-controllers", &["core", "runtime", "sources"]),
    ("network-guard", &["core", "runtime", "sources", "nat", "controllers"]),
];

/// What the core must not depend on: what waits, talks, draws random numbers, or has keys.
const IMPURE: [&str; 14] = [
    "arc-swap",
    "aws-lc-rs",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "kube",
    "moka",
    "rand",
    "rcgen",
    "rustls",
    "tokio",
    "tower",
    "tracing",
];

/// The floor of every room of the core.
const FLOORS: [(&str, u8); 12] = [
    ("net", 0),
    ("json", 0),
    ("gardener", 1),
    ("diagnostics", 1),
    ("landscape", 1),
    ("admission", 1),
    ("certificates", 2),
    ("networks", 2),
    ("overlay", 2),
    ("peering", 2),
    ("vpn", 2),
    ("webhooks", 3),
];

/// The rooms of floor 1 from below: each uses only what is before it.
const FLOOR_ONE: [&str; 4] = ["gardener", "diagnostics", "landscape", "admission"];

/// Rooms that must not know each other are on this floor.
const ROOMS: u8 = 2;

/// What no file of the core names: places, threads and processes. That it reads no clock is for clippy.
const PLACES: [&str; 6] = ["std::fs", "std::env", "std::thread", "std::process", "std::net::Tcp", "std::net::Udp"];

/// The modules of the program from below: each uses only those before it.
const PROGRAM: [&str; 3] = ["config", "wiring", "cli"];

/// The most lines of a file, without its tests.
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files below a module, without their tests.
fn sources(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path, code.join("\n")));
        }
    }
}

/// The files of each room of the core.
fn by_room() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut modules = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates/core/src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let mut found = Vec::new();
            sources(&path, &mut found);
            modules.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), found);
        }
    }
    modules
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Where a module of floor 1 stands among the others of it.
fn place(module: &str) -> Option<usize> {
    FLOOR_ONE.iter().position(|name| *name == module)
}

/// The paths of a tree of names, such as `a::{b, c::d}`.
fn flat(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim().trim_end_matches("::self");
        return if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    };
    let list = &list[..list.rfind('}').unwrap_or(list.len())];
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, byte) in list.bytes().chain([b',']).enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.extend(flat(list[from..at].trim()).iter().map(|path| format!("{}{path}", before.trim())));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.into_iter().map(|path| path.trim_end_matches("::self").to_owned()).collect()
}

/// The `use` declarations of a file, each as whether it gives the name on, and its paths.
fn declared(code: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with("pub") && !line.contains(';') {
            let tree = code[at + 4..].split(';').next().unwrap_or_default().replace('\n', " ");
            found.push((!line.is_empty(), flat(tree.trim())));
        }
    }
    found
}

/// All paths of this crate that a file names: those of its `use` declarations, and those that stand in its code.
fn paths(code: &str) -> Vec<String> {
    let mut found: Vec<String> = declared(code).into_iter().flat_map(|(_, paths)| paths).collect();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            if !code[..at].ends_with(is_name) {
                let end = code[at..].find(|c| !is_name(c)).unwrap_or(code.len() - at);
                found.push(code[at..at + end].trim_end_matches(':').to_owned());
            }
        }
    }
    found
}

/// The modules of this crate that a text names.
fn uses(code: &str) -> BTreeSet<String> {
    let of_crate = |path: String| Some(path.strip_prefix("crate::")?.split("::").next()?.to_owned());
    paths(code).into_iter().filter_map(of_crate).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// A crate that depends on another may use it, so Cargo keeps the walls; this keeps the list.
#[test]
fn crates_depend_only_on_what_is_below() {
    let arguments = ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    let found: BTreeSet<&str> = metadata.packages.iter().map(|package| &*package.name).collect();
    assert_eq!(found, CRATES.map(|(name, _)| name).into(), "each crate has its place in this list");
    for package in &metadata.packages {
        let (_, below) = CRATES.iter().find(|(name, _)| *name == package.name).unwrap();
        for dependency in &package.dependencies {
            if let Some(ours) = dependency.name.strip_prefix("network-guard-") {
                assert!(below.contains(&ours), "{} depends on {}", package.name, dependency.name);
            }
            let is_linked = dependency.kind.is_none();
            let is_impure = is_linked && package.name == "network-guard-core" && IMPURE.contains(&&*dependency.name);
            assert!(!is_impure, "the core depends on {}", dependency.name);
        }
    }
}

#[test]
fn rooms_of_the_core_use_only_what_is_below() {
    let mut problems = Vec::new();
    for (room, files) in by_room() {
        let Some(own) = floor(&room) else {
            problems.push(format!("crates/core/src/{room} has no floor: give it one here and in docs/architecture.md"));
            continue;
        };
        for (path, code) in files {
            for used in uses(&code).iter().filter(|used| **used != room) {
                let Some(other) = floor(used) else { continue };
                if other > own || (other == own && own == ROOMS) {
                    problems.push(format!("{} (floor {own}) uses {used} (floor {other})", path.display()));
                }
                if place(used) > place(&room) && other == own {
                    problems.push(format!("{} uses {used}, which is above it", path.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The files of a room by their module, each with the modules that it needs. What a file says of the modules above it does not
/// count: they show what is below them.
fn needs(room: &str, files: &[(PathBuf, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let src = root().join("crates/core/src");
    let module = |path: &Path| {
        let path = path.strip_prefix(&src).unwrap().with_extension("");
        path.to_str().unwrap().trim_end_matches("/mod").replace('/', "::")
    };
    let modules: BTreeMap<String, &str> = files.iter().map(|(path, code)| (module(path), &**code)).collect();
    // As a path from the root of the crate.
    let absolute = |own: &str, path: &str| -> Option<String> {
        let (mut at, mut rest) = (own.to_owned(), path);
        if let Some(path) = path.strip_prefix("crate::") {
            return Some(path.to_owned());
        }
        rest = rest.strip_prefix("self::").unwrap_or(rest);
        while let Some(above) = rest.strip_prefix("super::") {
            at.truncate(at.rfind("::")?);
            rest = above;
        }
        Some(format!("{at}::{rest}"))
    };
    // Who has what a path names: the file of the longest module in it, or the one that it got the name from.
    let owner = |path: &str| -> Option<String> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let mut module = path.clone();
            while !modules.contains_key(&module) {
                module.truncate(module.rfind("::")?);
            }
            let name = path[module.len()..].trim_start_matches("::").split("::").next().unwrap_or_default();
            let given = declared(modules[&module]).into_iter().filter(|(is_given, _)| *is_given);
            let mut given = given.flat_map(|(_, paths)| paths).filter_map(|path| absolute(&module, &path));
            match given.find(|given| !name.is_empty() && given.rsplit("::").next() == Some(name)) {
                Some(from) if from.starts_with(room) => path = from,
                _ => return Some(module),
            }
        }
        None
    };
    let mut all = BTreeMap::new();
    for (module, code) in &modules {
        let is_above = |other: &String| format!("{module}::").starts_with(&format!("{other}::"));
        let of_room = |path: String| owner(&absolute(module, &path)?).filter(|owner| owner.starts_with(room));
        let mut needed: BTreeSet<String> = paths(code).into_iter().filter_map(of_room).collect();
        // What names a module has all of it.
        needed.extend(
            modules.keys().filter(|child| child.rsplit_once("::").is_some_and(|(up, _)| up == *module)).cloned(),
        );
        needed.retain(|other| !is_above(other));
        all.insert(module.clone(), needed);
    }
    all
}

#[test]
fn files_of_a_room_need_each_other_in_one_direction() {
    let mut problems = Vec::new();
    for (room, files) in by_room() {
        let mut needs = needs(&room, &files);
        // What needs nothing that is left is taken away, again and again; what stays is in a circle, or needs one.
        while let Some(done) = needs.iter().find(|(_, needed)| needed.is_empty()).map(|(module, _)| module.clone()) {
            needs.remove(&done);
            for needed in needs.values_mut() {
                needed.remove(&done);
            }
        }
        // And what nobody needs that is left.
        while let Some(top) =
            needs.keys().find(|module| !needs.values().any(|needed| needed.contains(*module))).cloned()
        {
            needs.remove(&top);
        }
        problems.extend(needs.iter().map(|(module, needed)| format!("{module} is in a circle with {needed:?}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_path_is_read_from_its_tree() {
    assert_eq!(flat("a::{b, c::{self, d}, e as f}"), ["a::b", "a::c", "a::c::d", "a::e"]);
    assert_eq!(flat("crate::x"), ["crate::x"]);
    let code = "pub use a::B;\nuse crate::{c, d::{E,\n F}};\nfn f() { super::g::h() }";
    assert_eq!(
        paths(code),
        ["a::B", "crate::c", "crate::d::E", "crate::d::F", "crate::", "super::g::h"].map(|p| p.trim_end_matches(':'))
    );
}

#[test]
fn the_core_names_no_place() {
    for (path, code) in by_room().into_values().flatten() {
        let named = PLACES.iter().find(|word| code.contains(**word));
        assert_eq!(named, None, "{}", path.display());
    }
}

/// The macro that makes a rule puts it into the list of its file; a list that no room names is an unused one.
#[test]
fn rules_are_made_where_they_are_listed() {
    for (room, files) in by_room() {
        let is_made_by_hand = |code: &str| room != "diagnostics" && code.contains(": Rule = Rule {");
        for (path, code) in files {
            assert!(!is_made_by_hand(&code), "{}: write it in `rules!`", path.display());
        }
    }
}

#[test]
fn modules_of_the_program_use_only_what_is_below() {
    for (at, module) in PROGRAM.iter().enumerate() {
        let mut found = Vec::new();
        sources(&root().join("src").join(module), &mut found);
        assert!(!found.is_empty());
        for (path, code) in found {
            let used = uses(&code);
            let above = PROGRAM[at + 1..].iter().find(|above| used.contains(**above));
            assert_eq!(above, None, "{}", path.display());
        }
    }
}

#[test]
fn files_stay_short() {
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    sources(&root().join("crates"), &mut found);
    assert!(found.len() > 200, "{} files", found.len());
    for (path, code) in found {
        assert!(code.lines().count() <= LONGEST, "{}: split it by concept", path.display());
    }
}

/// Features that any dependency could switch on for all, with an effect on what we do.
#[test]
fn no_dependency_changes_how_json_is_read() {
    assert_eq!(serde_json::json!({"b": 1, "a": 2}).to_string(), r#"{"a":2,"b":1}"#, "serde_json/preserve_order is on");
    let number: serde_json::Value = serde_json::from_str("1.10").unwrap();
    assert_eq!(number.to_string(), "1.1", "serde_json/arbitrary_precision is on");
}

/// What is linked, which is less than what the lock file lists.
#[test]
fn what_is_banned_is_not_linked() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let linked = String::from_utf8(output.stdout).unwrap();
    assert!(linked.contains("aws-lc-rs v"), "the list is there");
    for (banned, why) in [
        ("ring", "two crypto providers panic at first use"),
        ("h2", "we offer HTTP/1.1 only"),
        ("serde_yaml", "it is not maintained any more"),
        ("openssl", "rustls is our TLS"),
    ] {
        assert!(!linked.lines().any(|line| line.starts_with(&format!("{banned} v"))), "{banned}: {why}");
    }
    let patches: BTreeSet<&str> = linked
        .lines()
        .filter(|line| line.starts_with("json-patch v"))
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    assert!(patches.len() <= 1, "two versions of json-patch do not mix: {patches:?}");
}
