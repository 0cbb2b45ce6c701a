//! The house: a module uses only what lies below it, and the lower floors are pure.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The floor of every module.
const FLOORS: &[(&str, u8)] = &[
    ("net", 0),
    ("json", 0),
    ("admission", 1),
    ("landscape", 1),
    ("gardener", 1),
    ("diagnostics", 1),
    ("certificates", 2),
    ("networks", 2),
    ("overlay", 2),
    ("peering", 2),
    ("vpn", 2),
    ("handlers", 3),
    ("runtime", 4),
    ("sources", 4),
    ("controllers", 5),
    ("nat", 5),
    ("config", 6),
    ("wiring", 7),
    ("cli", 8),
];

/// Rooms that must not know each other stand on this floor.
const ROOMS: u8 = 2;

/// What floors 0 to 3 must not name: async, I/O, clocks, Kubernetes clients.
const IMPURE: [&str; 15] = [
    "tokio",
    "axum",
    "hyper",
    "tower",
    "kube::",
    "futures",
    "arc_swap",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::thread",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
];

/// All source files below a module, without their tests.
fn sources(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path, code.join("\n")));
        }
    }
}

fn by_module() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = BTreeMap::new();
    for entry in fs::read_dir(src).unwrap() {
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

/// The modules of this crate that a text names.
fn uses(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        Some(&rest[..end])
    })
}

#[test]
fn modules_use_only_what_lies_below() {
    let mut problems = Vec::new();
    for (module, files) in by_module() {
        let Some(own) = floor(&module) else {
            problems.push(format!("src/{module} has no floor: give it one in this file and in the design"));
            continue;
        };
        for (path, code) in files {
            for used in uses(&code).filter(|used| *used != module) {
                let Some(other) = floor(used) else { continue };
                if other > own || (other == own && own == ROOMS) {
                    problems.push(format!("{} (floor {own}) uses {used} (floor {other})", path.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What serves knows nothing of what is served.
#[test]
fn the_runtime_names_no_other_module() {
    let modules = by_module();
    let mut problems = Vec::new();
    for (path, code) in &modules["runtime"] {
        for used in uses(code).filter(|used| *used != "runtime" && modules.contains_key(*used)) {
            problems.push(format!("{} names {used}", path.display()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn lower_floors_are_pure() {
    let mut problems = Vec::new();
    for (module, files) in by_module() {
        if floor(&module).is_some_and(|floor| floor <= 3) {
            for (path, code) in files {
                for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                    problems.push(format!("{} names {word}", path.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn files_stay_short() {
    for (_, files) in by_module() {
        for (path, code) in files {
            assert!(code.lines().count() <= 500, "{}: split it by concept", path.display());
        }
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
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
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
    let patches: std::collections::BTreeSet<&str> = linked
        .lines()
        .filter(|line| line.starts_with("json-patch v"))
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    assert!(patches.len() <= 1, "two versions of json-patch do not mix: {patches:?}");
}
