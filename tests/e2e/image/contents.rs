//! What the image holds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{PROGRAM, image};
use crate::harness::run;

const DOCUMENTS: &str = "/usr/share/doc/network-guard";

fn all(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all(&path, found);
        }
        found.push(path);
    }
}

#[test]
fn one_program_and_its_papers() {
    let root = image();
    let mut found = Vec::new();
    all(&root, &mut found);
    let mut files: Vec<(String, u32)> = Vec::new();
    for path in &found {
        let metadata = path.symlink_metadata().unwrap();
        // The same bytes whenever it is made, for anyone who compares layers.
        assert_eq!(metadata.mtime(), 0, "{}", path.display());
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            assert_eq!(mode, 0o755, "{}", path.display());
        } else {
            files.push((format!("/{}", path.strip_prefix(&root).unwrap().display()), mode));
        }
    }
    files.sort();
    let document = |name: &str| (format!("{DOCUMENTS}/{name}"), 0o444);
    let want = [(PROGRAM.to_owned(), 0o555), document("LICENSE"), document("LICENSES"), document("sbom.cdx.json")];
    assert_eq!(files, want);
}

/// The program asks for no loader and no library (ELF: System V ABI, chapter 5).
#[test]
fn the_program_is_static() {
    let program = fs::read(image().join(PROGRAM.trim_start_matches('/'))).unwrap();
    assert_eq!(&program[..5], b"\x7fELF\x02", "64 bits");
    let number = |at: usize, bytes: usize| {
        program[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let headers: Vec<usize> = (0..count).map(|index| first + index * size).collect();
    let kinds: Vec<usize> = headers.iter().map(|at| number(*at, 4)).collect();
    let (load, dynamic, interpreter) = (1, 2, 3);
    assert!(kinds.contains(&load) && !kinds.contains(&interpreter), "{kinds:?}");
    if let Some(at) = headers.iter().find(|at| number(**at, 4) == dynamic) {
        let (start, length) = (number(at + 8, 8), number(at + 32, 8));
        let needed = 1;
        let tags: Vec<usize> = (start..start + length).step_by(16).map(|at| number(at, 8)).collect();
        assert!(tags.contains(&0) && !tags.contains(&needed), "{tags:?}");
    }
}

#[test]
fn the_sbom_lists_what_is_linked_in() {
    let text = fs::read_to_string(image().join(DOCUMENTS.trim_start_matches('/')).join("sbom.cdx.json")).unwrap();
    let bom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let own = &bom["metadata"]["component"];
    assert_eq!((&own["name"], &own["version"]), (&"network-guard".into(), &env!("CARGO_PKG_VERSION").into()));

    // What cargo says itself, for the system that this image is for.
    let triple = bom["metadata"]["properties"][0]["value"].as_str().unwrap();
    assert!(triple.ends_with("-unknown-linux-gnu"), "{triple}");
    let tree = run(
        Command::new(env!("CARGO"))
            .args(["tree", "--locked", "-e", "normal", "--target", triple, "--prefix", "none", "-f", "{p}"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
        None,
    );
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.trim_start_matches('v')))
    };
    let mut want: BTreeSet<String> = tree.stdout.lines().filter_map(package).collect();
    assert!(want.len() > 100 && want.remove(concat!("network-guard ", env!("CARGO_PKG_VERSION"))), "{tree:?}");
    let components = bom["components"].as_array().unwrap();
    let name = |component: &Value| {
        format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
    };
    let mut listed: BTreeSet<String> = components.iter().map(name).collect();
    assert_eq!(listed.len(), components.len(), "none twice");
    // Scanners match crates by this package URL, and the others by those of tests/it/sbom.rs.
    let (crates, others): (Vec<&Value>, Vec<&Value>) =
        components.iter().partition(|component| component["purl"].as_str().unwrap().starts_with("pkg:cargo/"));
    for component in &crates {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        // A `+` may stand as it is, or as URLs have it.
        let purl = component["purl"].as_str().unwrap().replace("%2B", "+");
        assert_eq!(purl, format!("pkg:cargo/{name}@{version}"));
    }
    assert_eq!(others.len(), 3, "{others:#?}");
    for other in others {
        listed.remove(&name(other));
    }
    assert_eq!(listed, want);
    for component in components {
        let licence = &component["licenses"][0];
        assert!(licence["expression"].is_string() || licence["license"].is_object(), "{component}");
    }
    let references: BTreeSet<&str> =
        components.iter().chain([own]).map(|component| component["bom-ref"].as_str().unwrap()).collect();
    for dependency in bom["dependencies"].as_array().unwrap() {
        let on = dependency["dependsOn"].as_array().into_iter().flatten();
        assert!([&dependency["ref"]].into_iter().chain(on).all(|one| references.contains(one.as_str().unwrap())));
    }

    // Nothing of the machine that made it.
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    for place in [env!("CARGO_MANIFEST_DIR"), &*format!("{home}/"), "file:", "path+", "registry+"] {
        assert!(!text.contains(place), "{place} is in the SBOM");
    }
}

#[test]
fn licences_come_along() {
    let documents = image().join(DOCUMENTS.trim_start_matches('/'));
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE")).unwrap();
    assert_eq!(fs::read_to_string(documents.join("LICENSE")).unwrap(), own);
    let all = fs::read_to_string(documents.join("LICENSES")).unwrap();
    let bom: Value = serde_json::from_str(&fs::read_to_string(documents.join("sbom.cdx.json")).unwrap()).unwrap();
    for component in bom["components"].as_array().unwrap() {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        // Crates of network-guard itself are under its own licence.
        let is_own = name.starts_with("network-guard-");
        if component["purl"].as_str().unwrap().starts_with("pkg:cargo/") && !is_own {
            assert!(all.contains(&format!("\n{name} {version} (")), "{name} {version}");
        }
    }
    assert!(all.contains("Permission is hereby granted") && all.contains("Mozilla Public License"));
}
