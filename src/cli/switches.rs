//! `network-guard switches`: the switches that a Seed holds.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::columns::{Format, columns};
use crate::wiring::client_config;
use network_guard_core::gardener::network::{Record, Routes, SwitchStatus, SwitchingNetwork};
use network_guard_core::json::Written;
use network_guard_core::overlay::{Outcome, outcome};
use network_guard_sources::objects::NetworkObject;

#[derive(Debug, Args)]
pub(super) struct Switches {
    /// The kubeconfig of the Seed; without it the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Only this control-plane namespace, such as shoot--shop--orders
    #[arg(short, long)]
    namespace: Option<String>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// Networks a page.
const PAGE: u32 = 500;

/// The width of the bar, in characters.
const BAR: usize = 10;

/// One switch.
struct Row {
    namespace: String,
    name: String,
    network: SwitchingNetwork,
}

impl Switches {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let rows = runtime.block_on(self.rows())?;
        let now = Timestamp::now();
        super::output::print(&match self.output {
            Format::Table => table(&rows, now),
            Format::Json => json(&rows),
        })
    }

    async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let client = kube::Client::try_from(client_config(self.kubeconfig.as_deref()).await?)?;
        let networks: Api<NetworkObject> = match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let mut parameters = ListParams::default().limit(PAGE);
        let mut rows = Vec::new();
        loop {
            let page = networks.list(&parameters).await.context("the Networks of the Seed cannot be listed")?;
            let next = page.metadata.continue_.clone().filter(|next| !next.is_empty());
            for mut network in page {
                if let Some(switch) = network.switch.take() {
                    let (namespace, name) = (network.namespace().unwrap_or_default(), network.name_any());
                    rows.push(Row { namespace, name, network: switch });
                }
            }
            match next {
                Some(next) => parameters = parameters.continue_token(&next),
                None => break,
            }
        }
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(rows)
    }
}

impl Row {
    /// Its record. A failure of a former switch says nothing about this one.
    fn record(&self) -> Option<&Record> {
        let switch = &self.network.switch;
        let is_of_this = |record: &&Record| switch.state.is_none() || switch.since.as_deref() == Some(&*record.since);
        self.network.record().filter(is_of_this)
    }

    /// The longest held first.
    fn order(&self) -> (Option<&str>, &str) {
        (self.network.switch.since.as_deref(), &self.namespace)
    }

    /// The state; without annotations the switch was let through, and Calico's Pods are being replaced.
    fn state(&self) -> &str {
        self.network.switch.state.as_deref().unwrap_or("rolling")
    }

    /// The status of the record: records of the first version had their message in an annotation only. A server of that
    /// version leaves the status of a later one as it was, so a status that differs from the annotation is outdated.
    fn status(&self) -> Option<&SwitchStatus> {
        let status = self.record().filter(|_| self.network.switch.state.is_some())?.status.as_ref();
        status.filter(|status| self.network.switch.message.as_deref() == Some(&*status.message()))
    }

    /// The failure that the extension reports over a switch that was let through.
    fn failure(&self) -> Option<String> {
        let record = self.record()?;
        match outcome(&self.network, record) {
            Outcome::Fails(why) => Some(record.status.clone().unwrap_or_default().failure(&why)),
            Outcome::Open | Outcome::Succeeded => None,
        }
    }

    /// The whole description, with and without the counts.
    fn says(&self) -> (String, String) {
        if self.network.switch.state.is_none() {
            let told = || "the Network was updated; its extension and Calico's Pods follow".to_owned();
            let text = self.failure().unwrap_or_else(told);
            return (text.clone(), text);
        }
        match self.status() {
            Some(status) => (status.message(), status.details()),
            None => {
                let text = self.network.switch.message.as_deref().unwrap_or_default().to_owned();
                (text.clone(), text)
            }
        }
    }

    /// The trouble that needs attention, in a few words.
    fn trouble(&self) -> String {
        if self.failure().is_some() {
            return "extension fails".to_owned();
        }
        match self.status().and_then(|status| status.replacement.as_ref()) {
            Some(replacement) => format!("{} to be replaced", replacement.nodes),
            None => "-".to_owned(),
        }
    }
}

fn table(rows: &[Row], now: Timestamp) -> String {
    if rows.is_empty() {
        return "No switch of the overlay is held.\n".to_owned();
    }
    let head = ["NAMESPACE", "NETWORK", "STATE", "FOR", "ROUTES", "TROUBLE", "WAITS FOR"].map(str::to_owned);
    let mut lines = vec![head];
    for row in rows {
        let age = row.network.switch.since.as_ref().and_then(Written::value);
        let routes = row.status().and_then(|status| status.routes.as_ref());
        lines.push([
            row.namespace.clone(),
            row.name.clone(),
            row.state().to_owned(),
            age.map_or_else(|| "-".to_owned(), |since| span(now.duration_since(since))),
            routes.map_or_else(|| "-".to_owned(), |routes| bar(routes.with_route, routes.nodes)),
            row.trouble(),
            row.says().1,
        ]);
    }
    columns(&lines)
}

fn bar(ready: usize, total: usize) -> String {
    let filled = (ready * BAR).checked_div(total).unwrap_or(BAR).min(BAR);
    format!("[{}{}] {ready}/{total}", "#".repeat(filled), "-".repeat(BAR - filled))
}

/// A duration in its largest unit, as kubectl prints ages.
fn span(duration: SignedDuration) -> String {
    match duration.as_secs().max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// All fields: `null` where the value is unknown.
fn json(rows: &[Row]) -> String {
    let items: Vec<_> = rows
        .iter()
        .map(|row| {
            let status = row.status();
            let routes = status.and_then(|status| status.routes.as_ref());
            json!({
                "namespace": row.namespace, "name": row.name, "state": row.state(), "since": row.network.switch.since,
                "message": row.says().0,
                "recordVersion": row.record().map(|record| record.version),
                "waitsFor": status.map(|status| status.waits_for),
                "nodes": routes.map(|routes| routes.nodes),
                "nodesWithRoute": routes.map(|routes| routes.with_route),
                "nodesWithoutRoute": routes.map(Routes::without_route),
                "missing": routes.map(|routes| &routes.missing),
                "nodesNotReady": routes.map(|routes| routes.not_ready),
                "notReady": routes.map(|routes| &routes.not_ready_nodes),
                "nodesLeaving": routes.map(|routes| routes.leaving),
                "complaint": status.and_then(|status| status.complaint.as_ref()),
                "hints": status.map(|status| &status.hints),
                "replacement": status.and_then(|status| status.replacement.as_ref()),
                "failure": row.failure(),
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&items).expect("values of our own");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A Network as it is stored.
    fn row(namespace: &str, annotations: &[(&str, &str)], status: &Value) -> Row {
        let prefix = "network-guard.extensions.gardener.cloud/overlay-switch";
        let annotations: Value =
            annotations.iter().map(|(key, value)| (format!("{prefix}-{key}"), json!(value))).collect();
        let network = json!({"metadata": {"annotations": annotations}, "spec": {"type": "calico"}, "status": status});
        let network = SwitchingNetwork::read(&network.to_string()).unwrap().unwrap();
        Row { namespace: namespace.to_owned(), name: "orders".to_owned(), network }
    }

    fn held(since: &str, status: &Value) -> Value {
        let record =
            json!({"version": 2, "phase": "held", "held": "{}", "requested": "x", "since": since, "status": status});
        json!({"state": {"networkGuard": record}})
    }

    fn all() -> Vec<Row> {
        let missing = |nodes: &[&str]| -> Value {
            nodes
                .iter()
                .map(|node| json!({"node": node, "reason": "RouteController failed to create a route"}))
                .collect()
        };
        let [minutes, days, seconds] = ["2026-11-20T11:48:00Z", "2026-11-18T09:00:00Z", "2026-11-20T11:59:13Z"];
        let pending = |since| [("state", "pending"), ("since", since), ("message", "not looked at")];
        // As a server of this version writes it: the annotation has the text of the record.
        let told = |namespace: &str, state: &str, since: &str, status: &Value| {
            let message = serde_json::from_value::<SwitchStatus>(status.clone()).unwrap().message();
            row(namespace, &[("state", state), ("since", since), ("message", &message)], &held(since, status))
        };
        let quota = json!({
            "waitsFor": "routes", "complaint": "RouteLimitExceeded",
            "routes": {"nodes": 20, "withRoute": 17, "missing": missing(&["a", "b", "c"]), "leaving": 1},
            "replacement": {"node": "b", "deadline": "2026-11-20T12:03:00Z", "nodes": 2},
        });
        let waits = json!({"waitsFor": "routes", "routes": {
            "nodes": 20, "withRoute": 5, "missing": missing(&["a", "b", "c", "d"]), "notReady": 2, "notReadyNodes": ["y", "z"],
        }});
        let window = json!({"waitsFor": "maintenanceWindow", "routes": {"nodes": 2, "withRoute": 2}});
        let wakes = json!({"waitsFor": "other", "because": "the Shoot is being hibernated or woken up"});
        let mut failed =
            held(days, &json!({"routes": {"nodes": 3, "withRoute": 3, "notReady": 1, "notReadyNodes": ["d"]}}));
        let rolling = json!({"state": {"networkGuard": {
            "version": 2, "phase": "released", "held": "{}", "requested": "x", "since": days, "released": days,
        }}});
        failed["state"]["networkGuard"]["phase"] = json!("released");
        failed["state"]["networkGuard"]["released"] = json!(minutes);
        failed["lastOperation"] = json!({"state": "Error", "lastUpdateTime": seconds});
        failed["lastError"] = json!({"description": "waiting for routes to be created"});
        // As earlier releases stored it: the counts are in the message only, and stay there.
        let old =
            json!({"state": {"networkGuard": {"phase": "held", "held": "{}", "requested": "x", "since": minutes}}});
        let text = "17 of 20 nodes have routes; missing: a, b, c (+0); a: RouteController failed to create a route";
        let by_text = [("state", "pending"), ("since", minutes), ("message", text)];
        vec![
            told("shoot--shop--orders", "pending", minutes, &quota),
            told("shoot--shop--many", "pending", minutes, &waits),
            told("shoot--shop--carts", "approved", days, &window),
            told("shoot--x--y", "pending", seconds, &wakes),
            row("shoot--x--rolls", &[], &rolling),
            row("shoot--x--fails", &[], &failed),
            row("shoot--x--old", &by_text, &old),
            // The same after a rollback: the status of the later version is still there.
            row("shoot--x--back", &by_text, &held(minutes, &waits)),
            row("shoot--x--former", &pending(seconds), &held(days, &window)),
            row("shoot--x--new", &pending(seconds), &json!({})),
        ]
    }

    #[test]
    fn a_table_for_people() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(table(&[], now), "No switch of the overlay is held.\n");
        insta::assert_snapshot!(table(&all(), now));
        insta::assert_snapshot!(json(&all()));
    }

    #[test]
    fn bars_and_ages() {
        for (ready, total, want) in [
            (0, 3, "[----------] 0/3"),
            (1, 3, "[###-------] 1/3"),
            (3, 3, "[##########] 3/3"),
            (0, 0, "[##########] 0/0"),
        ] {
            assert_eq!(bar(ready, total), want);
        }
        for (seconds, want) in [(-5, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), want);
        }
    }
}
