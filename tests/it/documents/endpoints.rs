//! `docs/reference/endpoints.md`: ports from the command line, webhooks from what is registered. A running server serves all of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::CommandFactory as _;
use network_guard_core::webhooks::{
    ADVISE_SHOOT_PATH, KUBE_APISERVER_PATH, MUTATE_SHOOT_PATH, NETWORK_PATH, VALIDATE_SHOOT_PATH, VPN_SHOOT_PATH,
};
use serde_json::Value;

use super::reference::MADE;
use crate::process::Process;

const ABOUT: &str = "\
# Endpoints

Ports and paths of a server. What is refused while it does not answer: [failure
policy](../operations/failure-modes.md#failure-policy).
";

/// What each webhook does.
const WEBHOOKS: [(&str, &str); 6] = [
    (KUBE_APISERVER_PATH, "the sidecar"),
    (NETWORK_PATH, "holds a switch of the overlay"),
    (VPN_SHOOT_PATH, "with `vpn.nat.shootWebhook`: the VPN's end in a Shoot, for its API server"),
    (MUTATE_SHOOT_PATH, "fills in what peerings lack"),
    (VALIDATE_SHOOT_PATH, "judges"),
    (ADVISE_SHOOT_PATH, "warns of deletions and moves"),
];

/// What each plain path says, and on which port.
const PLAIN: [(&str, usize, &str); 3] = [
    (
        "/healthz",
        1,
        "the process is alive: a thread that does nothing else answers. It fails where the runtime that answers calls has not \
         moved for two minutes of that thread, so a busy node, on which both get little CPU, causes no restart. When it fails, \
         kubelet gives the process ten seconds, because a process that hangs does not stop on its own",
    ),
    (
        "/readyz",
        1,
        "Clusters, or Shoots and Seeds, are read, the certificate is valid, no stop is under way, and the runtime that answers \
         calls has moved in the last ten turns of that thread (some ten seconds); says which does not hold",
    ),
    (
        "/metrics",
        2,
        "OpenMetrics, or the older text format of Prometheus where `Accept` says so or nothing: [metrics](metrics.md)",
    ),
];

/// The ports of `serve seed`, which has all of them: for webhooks, for Shoots, for health, for metrics.
fn ports() -> [String; 4] {
    let command = network_guard::cli::Args::command();
    let seed = command.find_subcommand("serve").and_then(|serve| serve.find_subcommand("seed")).unwrap();
    ["bind_address", "shoots_bind_address", "health_bind_address", "metrics_bind_address"].map(|id| {
        let arg = seed.get_arguments().find(|arg| arg.get_id() == id).expect(id);
        let address = arg.get_default_values()[0].to_str().unwrap();
        let flag = arg.get_long().unwrap();
        format!("{} (`--{flag}`)", address.rsplit(':').next().unwrap())
    })
}

/// Path, server, and a row behind these for each webhook that is registered.
fn registered() -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    for (file, server) in [("seed", "seed"), ("shoot", "seed"), ("garden", "garden")] {
        for document in super::file(&format!("webhook-config/{file}.yaml")).split("\n---\n") {
            let configuration: Value = serde_saphyr::from_str(document).unwrap();
            for webhook in configuration["webhooks"].as_array().unwrap() {
                let client = &webhook["clientConfig"];
                let path = client["service"]["path"].as_str().or(client["url"].as_str()).unwrap();
                let path = &path[path.find("/webhooks/").unwrap()..];
                let name = webhook["name"].as_str().unwrap().split('.').next().unwrap();
                let words = |list: &Value| -> Vec<String> {
                    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
                };
                let rules = webhook["rules"].as_array().unwrap().iter().map(|rule| {
                    let (group, kinds) = (&words(&rule["apiGroups"])[0], words(&rule["resources"]).join(", "));
                    format!("{} of {kinds}.{group}", words(&rule["operations"]).join(", "))
                });
                found.push((path.to_owned(), server, format!("`{name}` | {}", rules.collect::<Vec<_>>().join("; "))));
            }
        }
    }
    found
}

pub async fn page(all: &Process) -> String {
    let [webhooks, shoots, health, metrics] = ports();
    let mut out = format!("{MADE}{ABOUT}\n## Webhooks\n\n");
    out.push_str("HTTPS. [webhook-config](../../webhook-config) has the reason for every line of a registration.\n\n");
    out.push_str("| port | path | `serve` | webhook | is called for | |\n|---|---|---|---|---|---|\n");
    let mut documented = BTreeSet::new();
    for (path, server, row) in registered() {
        let of = |(known, _): &&(&str, &str)| path == **known || path.starts_with(&format!("{known}/"));
        let (known, about) = WEBHOOKS.iter().find(of).expect(&path);
        documented.insert(*known);
        let (port, path) = match *known {
            VPN_SHOOT_PATH => (&shoots, format!("{VPN_SHOOT_PATH}/NAMESPACE/UID")),
            path => (&webhooks, path.to_owned()),
        };
        let _ = writeln!(out, "| {port} | `{path}` | `{server}` | {row} | {about} |");
        let answer = all.connect().await.post(&path, "{}").await;
        assert_ne!(answer.status, 404, "{path} is served");
    }
    assert_eq!(documented.len(), WEBHOOKS.len(), "all of them are registered: {documented:?}");
    out.push_str("\n## Health and metrics\n\nHTTP.\n\n| port | path | |\n|---|---|---|\n");
    for (path, port, about) in PLAIN {
        let _ = writeln!(out, "| {} | `{path}` | {about} |", if port == 1 { &health } else { &metrics });
        assert!(all.get(port, path).starts_with("HTTP/1.1 200"), "{path} is served");
    }
    out
}
