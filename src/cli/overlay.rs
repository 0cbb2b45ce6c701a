//! `network-guard overlay`: the switches that a Seed holds.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::columns::{Format, columns};
use crate::gardener::network::SwitchingNetwork;
use crate::sources::objects::NetworkObject;

#[derive(Debug, Subcommand)]
pub(super) enum Overlay {
    /// Print a table of all held switches: since when, how many nodes have their routes, and what is missing
    ///
    /// A switch is held from when a Shoot asks for native routing until every node has its route. To let one through at
    /// once, annotate the Shoot: network-guard.extensions.gardener.cloud/overlay-switch=force
    Status(Status),
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// The kubeconfig of the Seed; without it the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Only this control-plane namespace, such as shoot--shop--orders
    #[arg(short, long)]
    namespace: Option<String>,
    /// How it is printed
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

impl Overlay {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self::Status(status) = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let rows = runtime.block_on(status.rows())?;
        let now = Timestamp::now();
        super::print(&match status.output {
            Format::Table => table(&rows, now),
            Format::Json => json(&rows),
        });
        Ok(())
    }
}

impl Status {
    async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let client = kube::Client::try_from(super::client_config(self.kubeconfig.as_deref()).await?)?;
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
        rows.sort_by(|a, b| a.network.since.cmp(&b.network.since).then_with(|| a.namespace.cmp(&b.namespace)));
        Ok(rows)
    }
}

impl Row {
    /// The state; without annotations the switch was let through, and Calico's Pods are on their way.
    fn state(&self) -> &str {
        self.network.state.as_deref().unwrap_or("rolling")
    }

    fn message(&self) -> &str {
        self.network.message.as_deref().unwrap_or("Calico was told; its Pods are being replaced")
    }

    /// Nodes with a route, and all: what the controller's message begins with.
    fn progress(&self) -> Option<(usize, usize)> {
        let (ready, rest) = self.network.message.as_deref()?.split_once(" of ")?;
        let (total, _) = rest.split_once(" nodes have routes")?;
        Some((ready.parse().ok()?, total.parse().ok()?))
    }

    /// What the message says besides.
    fn details(&self) -> &str {
        match self.progress() {
            Some(_) => self.message().split_once("; ").map_or("", |(_, details)| details),
            None => self.message(),
        }
    }
}

fn table(rows: &[Row], now: Timestamp) -> String {
    if rows.is_empty() {
        return "No switch of the overlay is held.\n".to_owned();
    }
    let head = ["NAMESPACE", "NETWORK", "STATE", "FOR", "ROUTES", "WAITS FOR"].map(str::to_owned);
    let mut lines = vec![head];
    for row in rows {
        let age = row.network.since.as_deref().and_then(|since| since.parse::<Timestamp>().ok());
        let routes = row.progress().map_or_else(|| "-".to_owned(), |(ready, total)| bar(ready, total));
        lines.push([
            row.namespace.clone(),
            row.name.clone(),
            row.state().to_owned(),
            age.map_or_else(|| "-".to_owned(), |since| span(now.duration_since(since))),
            routes,
            row.details().to_owned(),
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

fn json(rows: &[Row]) -> String {
    let items: Vec<_> = rows
        .iter()
        .map(|row| {
            let progress = row.progress();
            json!({
                "namespace": row.namespace, "name": row.name, "state": row.state(), "since": row.network.since,
                "nodesWithRoute": progress.map(|(ready, _)| ready), "nodes": progress.map(|(_, total)| total),
                "message": row.message(),
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&items).expect("values of our own");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(namespace: &str, state: Option<&str>, since: Option<&str>, message: Option<&str>) -> Row {
        Row {
            namespace: namespace.to_owned(),
            name: "orders".to_owned(),
            network: SwitchingNetwork {
                state: state.map(Box::from),
                since: since.map(Box::from),
                message: message.map(Box::from),
                ..SwitchingNetwork::default()
            },
        }
    }

    #[test]
    fn a_table_for_people() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(table(&[], now), "No switch of the overlay is held.\n");
        let rows = [
            row(
                "shoot--shop--orders",
                Some("pending"),
                Some("2026-11-20T11:48:00Z"),
                Some("17 of 20 nodes have routes; missing: a, b, c (+0); a: RouteController failed to create a route"),
            ),
            row(
                "shoot--shop--carts",
                Some("approved"),
                Some("2026-11-18T09:00:00Z"),
                Some("2 of 2 nodes have routes; it passes in the next maintenance window"),
            ),
            row(
                "shoot--x--y",
                Some("pending"),
                Some("2026-11-20T11:59:13Z"),
                Some("the Shoot is falling asleep or waking up"),
            ),
            row("shoot--x--z", None, None, None),
        ];
        insta::assert_snapshot!(table(&rows, now));
        insta::assert_snapshot!(json(&rows));
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
