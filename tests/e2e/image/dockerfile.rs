//! The Dockerfile, as far as it can be held against the rest without building it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::{PROGRAM, image};
use crate::harness::{Chart, only};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The instructions, each in one line.
fn instructions() -> Vec<(String, String)> {
    let text = file("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).unwrap())
        .collect()
}

#[test]
fn the_build_is_make_image_root() {
    let all = instructions();
    let last = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    let (build, ship) = all.split_at(last);
    let of = |stage: &[(String, String)], word: &str| -> Vec<String> {
        stage.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.clone()).collect()
    };
    // Built as it is built here, by the compiler that Cargo.toml asks for.
    let runs = of(build, "RUN");
    assert_eq!(runs.last().unwrap(), "make image-root");
    let script = file("image/root.sh");
    assert!(script.contains(&runs[1]), "{} is what image/root.sh installs", runs[1]);
    let rust =
        file("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned)).unwrap();
    // By digest, of the very version that is used here: what is linked in of it does not change unseen.
    let [from] = <[String; 1]>::try_from(of(build, "FROM")).unwrap();
    let (name, pin) = from.split_once("@sha256:").expect("a digest");
    assert_eq!(name, format!("docker.io/library/rust:{}.0-bookworm", rust.trim_matches('"')));
    let digest = pin.strip_suffix(" AS build").unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert_eq!(of(build, "WORKDIR"), ["/src"]);

    // All of that folder, and nothing else.
    assert_eq!(of(ship, "FROM"), ["scratch"]);
    assert_eq!(of(ship, "COPY"), ["--from=build /src/.cache/image-root/ /"]);
    assert!(of(ship, "ADD").is_empty() && of(ship, "RUN").is_empty());
    let entrypoint: Vec<String> = serde_json::from_str(&of(ship, "ENTRYPOINT")[0]).unwrap();
    assert_eq!(entrypoint, [PROGRAM]);
    let program = image().join(PROGRAM.trim_start_matches('/'));
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o111, 0o111);
    assert!(of(ship, "CMD").is_empty(), "the charts say what is run");
}

/// Who has the image finds the sources of it.
#[test]
fn labels_say_what_it_is() {
    let all = instructions();
    let last = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    let of = |word: &str| -> Vec<String> {
        all[last..].iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.clone()).collect()
    };
    let labels = of("LABEL");
    let label = |name: &str| {
        let (_, rest) = labels[0].split_once(&format!("org.opencontainers.image.{name}=\"")).expect(name);
        rest.split('"').next().unwrap()
    };
    assert_eq!([label("version"), label("revision"), label("source")], ["$VERSION", "$REVISION", "$SOURCE"]);
    assert_eq!((label("title"), label("licenses")), ("network-guard", "Apache-2.0"));
    assert_eq!(of("ARG"), [concat!("VERSION=", env!("CARGO_PKG_VERSION")), "REVISION=unknown", "SOURCE=unknown"]);
}

/// User, arguments and ports are those of the charts.
#[test]
fn the_charts_run_it_as_it_is() {
    let all = instructions();
    let of = |word: &str| &all.iter().rfind(|(found, _)| found == word).unwrap().1;
    let mut ports = BTreeSet::new();
    let values = json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}}});
    for (chart, namespace, values) in
        [(Chart::SEED, "extension-network-guard", values), (Chart::RUNTIME, "garden", json!({}))]
    {
        let objects = chart.render(namespace, &values);
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        let context = &pod["securityContext"];
        assert_eq!(*of("USER"), format!("{}:{}", context["runAsUser"], context["runAsGroup"]));
        assert!(context["runAsNonRoot"] == true && context["runAsUser"].as_u64().unwrap() > 0);
        let container = &pod["containers"][0];
        assert!(container.get("command").is_none() && container["args"][0] == "serve");
        ports.extend(container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].as_u64().unwrap()));
    }
    let exposed: BTreeSet<u64> = of("EXPOSE").split(' ').map(|port| port.parse().unwrap()).collect();
    assert_eq!(exposed, ports);
}
