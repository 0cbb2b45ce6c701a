//! Documents and examples that come from code stay what the code makes of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

#[test]
fn rules_are_documented() {
    assert_eq!(
        file("docs/rules.md"),
        network_guard::handlers::rules_markdown(),
        "run `cargo run -- rules > docs/rules.md`"
    );
}

#[test]
fn the_configuration_example_is_read_and_complete() {
    let text = file("examples/config.yaml");
    let configuration = network_guard::cli::Configuration::parse(&text).unwrap();
    assert_eq!(configuration, network_guard::cli::Configuration::default(), "the example shows the defaults");
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
    let snapshot = network_guard::sources::files::read(&folder).unwrap();
    let unreadable: Vec<&str> =
        snapshot.clusters().filter(|(_, record)| record.is_err()).map(|(name, _)| name).collect();
    assert_eq!((snapshot.cluster_count(), unreadable), (9, vec!["shoot--garden--unreadable"]));
    assert!(snapshot.switch_facts("shoot--garden--switch").unwrap().config.is_some());
}
