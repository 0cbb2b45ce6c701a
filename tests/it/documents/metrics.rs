//! `docs/reference/metrics.md`: what servers show. Names, types, labels and help are those of running servers; what values of labels
//! mean, and when a metric is 0, is said here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::markdown::files;
use super::reference::{MADE, cell};
use crate::ports::free_port;
use crate::process::Process;

const ABOUT: &str = "\
# Metrics

Every metric, on port 8080 under `/metrics` ([endpoints](endpoints.md)): of both servers, or of that of a Seed or of the garden only.

A metric whose value is a time has a name that ends in `_timestamp_seconds`, in seconds since 1970. Every counter that an alert
uses is exported from the start of the server, with all of its labels and 0, so that the first event counts. The charts have
[alerts](../operations/alerts/README.md) and a dashboard for them.

| metric | type | labels | server | |
|---|---|---|---|---|
";

/// What the help does not say.
const NOTES: [(&str, &str); 29] = [
    ("requests_total", "result: allowed, patched, denied, or what was wrong with the call"),
    (
        "request_duration_seconds",
        "the last buckets are 1, 2, 4.5 s, at which live reads end, and 5 s, at which API servers do not wait any longer",
    ),
    (
        "decisions_total",
        "of a Deployment: injected, replaced, updated, removed, unchanged, none, kept, gardenlet, corrected, refused, tolerated, starts-nothing; of a Network: held, released, forced, asleep, cleared, kept, none, unreadable; of a Shoot: accepted, refused, unchanged, deleting, gardener, filled-in, advised; not-concerned",
    ),
    ("lookups_total", "access (visible, hidden, unanswered), shoot, seed, cluster (found, absent, unanswered)"),
    (
        "findings_total",
        "see [the rules](rules.md); severity `note` with a rule of `peering/` is something that gardenlet wrote and that would have been refused; `vpn/ha-vpn-mismatch` counts Shoots on their way to or from high availability",
    ),
    (
        "peering_entries",
        "peers_overlapping: the entry conflicts with another one of the same Shoot, and all three list each other",
    ),
    (
        "overlay_switches",
        "pending, approved, forced; released while Calico's Pods are replaced; failed while the network extension fails over one that was let through",
    ),
    ("overlay_switch_nodes", "routed, missing"),
    ("overlay_switch_releases_total", "routes, hibernated, forced, not-listed, or carried by gardenlet's own write"),
    ("vpn_networks_differ", "0 while one of the two watches is out of date"),
    ("vpn_networks_compared", "[what is compared](../operations/double-nat.md#networks-that-both-ends-are-told)"),
    ("leader", "on a Seed with any certificates"),
    ("registrations_missing", "none of those that another installation has"),
    ("cache_synced", "Clusters, or Shoots and Seeds"),
    ("certificate_reloads_total", "also of self-managed certificates"),
    ("certificate_refused", "1 while they cannot"),
    ("certificate_authority_not_after_timestamp_seconds", "0 while none was seen"),
    ("certificate_failures_total", "looks and steps that came to nothing"),
    ("registration_contested", "[two installations](../operations/security.md#two-installations)"),
    ("configuration_info", "always 1; the log has the digest too"),
    ("connections", "port: webhooks, shoots, health, metrics"),
    ("handshakes", "port: likewise"),
    (
        "connections_refused_total",
        "too-many: answered 429; evicted-handshake, evicted-idle, evicted-busy: closed to make room, see [sizing](../operations/sizing.md); handshake-failed, handshake-timeout",
    ),
    ("bodies_refused_total", "too large, too slow, no room (`busy`, also for those that gave way), wrong type"),
    ("panics_total", "each of which cost one call. Must stay 0"),
    ("task_panics_total", "such a task is restarted after 1 s to 30 s. Must stay 0"),
    (
        "task_turns_total",
        "`overlay-switch` (one look at one held switch), `vpn-shoot`, `certificates`, `certificate-leaf`, `certificate`. While it does not grow, the task hangs; `overlay-switch` rests while no switch is held, and the first three rest where another replica leads",
    ),
    ("log_lines_lost_total", "or for which the reader of standard error was too slow"),
    ("clusters_overlapping", "whether or not they have a sidecar"),
];

/// Families that are not shown before their first event: name, type, labels.
const UNSEEN: [(&str, &str, &str); 1] = [("overlay_switch_releases", "counter", "reason")];

/// A metric as a server shows it.
#[derive(Clone, Debug, Default)]
struct Metric {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn parse(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    let mut last = String::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE"))) => {
                words.next().unwrap().clone_into(&mut last);
                let metric = metrics.entry(last.clone()).or_default();
                let said = words.next().unwrap_or_default().trim_end_matches('.').to_owned();
                *(if what == "HELP" { &mut metric.help } else { &mut metric.kind }) = said;
            }
            _ => {
                let Some((_, labels)) = line.split_once('{') else { continue };
                let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
                let names = names.filter(|name| *name != "le").map(str::to_owned);
                metrics.get_mut(&last).unwrap().labels.extend(names);
            }
        }
    }
    metrics
}

/// What the code registers, with the help where it is written there.
fn registered() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let is_rust = |path: &str| Path::new(path).extension().is_some_and(|extension| extension == "rs");
    let is_product = |path: &str| is_rust(path) && (path.starts_with("src/") || path.starts_with("crates/"));
    for path in files(is_product) {
        let text = super::file(&path);
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let calls = ["register(", "register_with_unit("].into_iter().flat_map(|call| code.split(call).skip(1));
        for call in calls {
            let Some(rest) = call.trim_start().strip_prefix('"') else { continue };
            let (name, rest) = rest.split_once('"').unwrap();
            let help =
                rest.trim_start_matches([',', ' ', '\n']).strip_prefix('"').and_then(|help| help.split('"').next());
            found.push((name.to_owned(), help.unwrap_or_default().to_owned()));
        }
    }
    found
}

/// A server with nothing behind it.
struct Alone(Child, u16);

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Alone {
    fn start(folder: &Path, role: &str) -> Self {
        let kubeconfig = folder.join("kubeconfig");
        let nobody = "{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], \
                      clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: x, user: {}}]}";
        std::fs::write(&kubeconfig, nobody).unwrap();
        let config = folder.join("config.yaml");
        let own = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n\
                   certificates: {namespace: a, registration: {service: {namespace: a, name: b}}}\n\
                   vpn: {nat: {shootWebhook: {url: 'https://x.example'}}}\n";
        std::fs::write(&config, own).unwrap();
        let metrics = free_port();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_network-guard"), "serve", role, "--config"]);
        command.arg(config).arg("--kubeconfig").arg(&kubeconfig);
        let (flag, more) = match role {
            "seed" => ("--shoots-bind-address", format!("127.0.0.1:{}", free_port())),
            _ => ("--runtime-kubeconfig", kubeconfig.display().to_string()),
        };
        command.arg(flag).arg(more);
        for (flag, port) in [
            ("--bind-address", free_port()),
            ("--health-bind-address", free_port()),
            ("--metrics-bind-address", metrics),
        ] {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap(), metrics)
    }

    fn metrics(&self) -> BTreeMap<String, Metric> {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let text = crate::process::get(self.1, "/metrics");
            // A task that waits for its first turn shows none.
            if text.contains("process_threads") && text.contains("network_guard_task_turns_total{") {
                return parse(&text);
            }
            assert!(Instant::now() < deadline, "it does not serve: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The page, from a server that has answered a review, and from one of each kind.
pub fn page(all: &Process) -> String {
    let folder = tempfile::tempdir().unwrap();
    let common = parse(&all.get(2, "/metrics"));
    let [seed, garden] = ["seed", "garden"].map(|role| Alone::start(folder.path(), role).metrics());
    let mut metrics: BTreeMap<String, (Metric, &str)> = BTreeMap::new();
    for (name, metric) in [&seed, &garden, &common].into_iter().flatten() {
        // A server of a folder has what all servers have, and certificates that somebody made.
        let server = match (seed.contains_key(name), garden.contains_key(name)) {
            _ if common.contains_key(name) => "both",
            (true, true) => "both, with self-managed certificates",
            (true, _) => "Seed",
            _ => "garden",
        };
        let (known, _) = metrics.entry(name.clone()).or_insert_with(|| (metric.clone(), server));
        known.labels.extend(metric.labels.iter().cloned());
    }
    for (name, help) in registered() {
        let shown = ["", "_total", "_seconds", "_info"].map(|suffix| format!("network_guard_{name}{suffix}"));
        let unseen = UNSEEN.iter().find(|(unseen, ..)| *unseen == name);
        let is_seen = shown.iter().any(|name| metrics.contains_key(name));
        assert_eq!(is_seen, unseen.is_none(), "{name} is registered, and shown");
        if let Some((_, kind, label)) = unseen {
            let metric = Metric { help, kind: (*kind).to_owned(), labels: BTreeSet::from([(*label).to_owned()]) };
            metrics.insert(format!("network_guard_{name}_total"), (metric, "Seed"));
        }
    }
    for (name, _) in NOTES {
        assert!(metrics.contains_key(&format!("network_guard_{name}")), "there is no {name}");
    }

    let mut out = format!("{MADE}{ABOUT}");
    for (name, (Metric { help, kind, labels }, server)) in &metrics {
        let note = NOTES.iter().find(|(of, _)| name.strip_prefix("network_guard_") == Some(of));
        let about = [help.as_str()].into_iter().chain(note.map(|(_, note)| *note)).collect::<Vec<_>>().join("; ");
        let labels = labels.iter().cloned().collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "| `{name}` | {kind} | {labels} | {server} | {} |", cell(&about));
    }
    out
}
