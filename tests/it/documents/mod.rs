//! Documents and examples that come from code stay what the code makes of them.

mod blocks;
mod chart_values;
mod command_line;
mod configuration;
mod endpoints;
mod links;
mod markdown;
mod metrics;
mod performance;
mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

#[test]
fn the_configuration_example_is_read_and_complete() {
    let text = file("examples/config.yaml");
    let configuration = network_guard::config::Configuration::parse(&text).unwrap();
    assert_eq!(configuration, network_guard::config::Configuration::default(), "the example shows the defaults");
}

/// The examples are Gardener's own Deployments in other namespaces, with the networks of the Clusters there.
#[test]
fn examples_are_what_gardener_writes() {
    let deployment = |path: &str| -> Value { serde_json::from_str(&file(path)).expect(path) };
    let moved = |case: &str, namespace: &str| {
        let text = file(&format!("tests/fixtures/gardener/{case}/deployment.json"));
        let text = match namespace {
            "shoot--garden--overlap" => text.replace("\"10.64.0.0/11\"", "\"10.0.0.0/8\""),
            "shoot--garden--grown" => text.replace("\"10.250.0.0/16\"", "\"10.250.0.0/16,10.65.0.0/16\""),
            _ => text,
        };
        let mut object: Value = serde_json::from_str(&text).expect(case);
        object["metadata"]["namespace"] = namespace.into();
        object
    };
    for (name, case) in [("overlap", "ha"), ("disjoint", "ha"), ("grown", "ha"), ("single", "non-ha")] {
        let example = deployment(&format!("examples/landscape/deployments/{name}.json"));
        assert_eq!(example, moved(case, &format!("shoot--garden--{name}")), "{name}");
    }
    let review = deployment("examples/admission-review.json");
    assert_eq!(review["request"]["object"], moved("ha", "shoot--garden--overlap"));
}

#[test]
fn the_example_landscape_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/landscape");
    let snapshot = network_guard_sources::files::read(&folder).unwrap();
    let unreadable: Vec<&str> =
        snapshot.clusters().filter(|(_, record)| record.is_err()).map(|(name, _)| name).collect();
    assert_eq!((snapshot.cluster_count(), unreadable), (9, vec!["shoot--garden--unreadable"]));
    assert!(snapshot.switch_facts("shoot--garden--switch").unwrap().config.is_some());
}

/// The text after a heading, up to the next one.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect(heading);
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// The rows of the tables in a text, each as its cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let is_row = |line: &&str| line.starts_with("| ");
    text.lines().filter(is_row).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What the table of failure policies says is what is registered.
#[test]
fn failure_policies_are_documented() {
    let mut registered = BTreeSet::new();
    for name in ["seed", "shoot", "garden"] {
        for document in file(&format!("webhook-config/{name}.yaml")).split("\n---\n") {
            let configuration: Value = serde_saphyr::from_str(document).unwrap();
            for webhook in configuration["webhooks"].as_array().unwrap() {
                let name = webhook["name"].as_str().unwrap().split('.').next().unwrap();
                let policy = webhook["failurePolicy"].as_str().unwrap();
                registered.insert((name.to_owned(), policy.to_owned(), webhook["timeoutSeconds"].to_string()));
            }
        }
    }
    let page = file("docs/operations/failure-modes.md");
    let name = |cell: &str| quoted(cell).next().unwrap().to_owned();
    let rows = rows(section(&page, "## Failure policy"));
    let documented: BTreeSet<_> =
        rows.iter().skip(1).map(|row| (name(row[0]), name(row[1]), row[2].to_owned())).collect();
    assert_eq!(documented, registered);
}

/// Who follows the documentation in making another CA makes one that is taken.
#[test]
fn the_ca_that_is_made_by_hand_is_one() {
    // Only the CA: tests/e2e/commands.rs runs all of it.
    let page = file("docs/operations/certificates.md").replace("\\\n", " ");
    let command = page.lines().find(|line| line.trim_start().starts_with("openssl ")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh").args(["-c", command]).env("dir", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let pair = network_guard_controllers::certificates::pem::ca_pair(&read("ca.crt"), &read("ca.key")).unwrap();
    let days = pair.ca.not_after.duration_since(pair.ca.not_before).as_hours() / 24;
    assert_eq!(days, 30);
    network_guard_controllers::certificates::Authority::from_pair(&pair).unwrap();
}

/// Each test that `make flaky` repeats exists: `tests/flaky.txt` has its suite and its path, which leads to a file.
#[test]
fn tests_that_are_repeated_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for line in file("tests/flaky.txt").lines() {
        let Some((suite, path)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        let folder = match suite {
            "lib" => root.join("src"),
            "it" | "budget" | "bounds" | "e2e" | "datapath" => root.join("tests").join(suite),
            of_crate => root.join("crates").join(of_crate).join("src"),
        };
        let (modules, name) = path.rsplit_once("::").unwrap_or(("", path));
        // Tests are in a file of their own, or at the end of the file of their module.
        let places = [modules, modules.strip_suffix("tests").unwrap_or(modules).trim_end_matches(':')];
        let files = places.into_iter().flat_map(|module| {
            let place = folder.join(module.replace("::", "/"));
            [place.with_extension("rs"), place.join("mod.rs"), place.join("lib.rs"), place.join("main.rs")]
        });
        let has = |text: String| text.contains(&format!("fn {name}("));
        if !files.into_iter().any(|file| fs::read_to_string(file).is_ok_and(has)) {
            missing.push(line.to_owned());
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
