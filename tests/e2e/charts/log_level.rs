//! What may be written as `logLevel`: the charts and the server, by a flag and by its environment, say the same.

use std::process::Command;

use serde_json::{Value, json};

use super::{RUNTIME, SEED, VIRTUAL};
use crate::harness::Chart;

/// Words, and whether they are right.
const WORDS: [(&str, bool); 19] = [
    ("info", true),
    ("error", true),
    ("info,network_guard=debug", true),
    ("network_guard=debug,info", true),
    ("warn,network_guard_runtime::tls=trace,kube_client=off", true),
    ("banana", false),
    ("", false),
    ("INFO", false),
    ("off", false),
    ("kube_runtime=off", false),
    ("network_guard=off,tower=off", false),
    ("info,kube_client::client=trace", false),
    ("info,debug", false),
    ("info,", false),
    ("info, network_guard=debug", false),
    ("info,network_gaurd=debug", false),
    ("info,network_guard::sever=debug", false),
    ("info,network_guard", false),
    ("network_guard=verbose", false),
];

#[test]
fn charts_and_server_take_the_same_words() {
    for (words, is_right) in WORDS {
        for (chart, namespace) in [(Chart::SEED, SEED), (Chart::RUNTIME, RUNTIME), (Chart::APPLICATION, VIRTUAL)] {
            match chart.template(namespace, &json!({"logLevel": words})) {
                Ok(_) => assert!(is_right, "{chart:?} takes {words}"),
                Err(error) => assert!(!is_right && error.contains("logLevel"), "{chart:?} {words}: {error}"),
            }
        }
        for (arguments, variables) in
            [(vec!["--log-level", words], vec![]), (vec![], vec![("NETWORK_GUARD_LOG_LEVEL", words)])]
        {
            // One that takes the words ends a little later, because there is no such folder.
            let mut server = Command::new(env!("CARGO_BIN_EXE_network-guard"));
            server.args(["serve", "all", "--landscape", "/nonexistent"]).args(&arguments).envs(variables.clone());
            let output = server.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success());
            assert_eq!(said.contains("--log-level <LEVEL>"), !is_right, "{arguments:?} {variables:?}: {said}");
            assert_eq!(said.contains("/nonexistent: "), is_right, "{arguments:?} {variables:?}: {said}");
        }
    }
}

/// The words of a chart reach the server as they are.
#[test]
fn the_server_is_told_what_is_written() {
    for (chart, namespace) in [(Chart::SEED, SEED), (Chart::RUNTIME, RUNTIME)] {
        let objects = chart.render(namespace, &json!({"logLevel": "warn,kube_runtime=off"}));
        let deployment = crate::harness::only(&objects, "Deployment");
        let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
        assert!(arguments.contains(&Value::from("--log-level=warn,kube_runtime=off")), "{arguments:?}");
    }
}
