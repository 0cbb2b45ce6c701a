//! What fuzzing has found so far, held against the laws again: see `fuzz`, a workspace of its own that nothing here needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/laws/mod.rs"]
mod laws;

#[test]
fn every_input_found_so_far_obeys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (target, law) in laws::TARGETS {
        let files = fs::read_dir(root.join(target)).unwrap();
        let inputs: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{target} has no inputs");
        for path in inputs {
            let input = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| law(&input));
            assert!(outcome.is_ok(), "{} breaks the law of {target}", path.display());
        }
    }
}

/// What is fuzzed is what is released, also in its dependencies.
#[test]
fn dependencies_have_the_versions_of_the_product() {
    let (ours, fuzzed) = (versions("Cargo.lock"), versions("fuzz/Cargo.lock"));
    let differ: Vec<&String> = (fuzzed.iter())
        .filter(|(name, fuzzed)| ours.get(*name).is_some_and(|ours| fuzzed.iter().any(|one| !ours.contains(one))))
        .map(|(name, _)| name)
        .collect();
    assert!(
        differ.is_empty(),
        "{differ:?}: cp Cargo.lock fuzz/Cargo.lock && cargo metadata --format-version 1 --manifest-path fuzz/Cargo.toml"
    );
}

/// The versions of each package in a lock file.
fn versions(lock: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(lock)).unwrap();
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)).expect(key).to_owned();
        versions.entry(value("name = ")).or_default().push(value("version = "));
    }
    versions
}
