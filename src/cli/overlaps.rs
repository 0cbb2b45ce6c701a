//! `network-guard overlaps`: which Shoots share addresses with the Pods of their Seed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use futures::StreamExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::columns::{Format, columns};
use crate::wiring::client_config;
use network_guard_core::diagnostics::{counted, printable};
use network_guard_core::gardener::Deployment;
use network_guard_core::landscape::ClusterRecord;
use network_guard_core::vpn::{Help, Survey, survey};
use network_guard_sources::files;
use network_guard_sources::objects::{ClusterObject, Watched as _};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  network-guard overlaps                                  the Seed that kubectl talks to
  network-guard overlaps --landscape examples/landscape   a folder of manifests")]
pub(super) struct Overlaps {
    /// A folder with Clusters, and kube-apiserver Deployments if there are any, instead of a Seed
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    landscape: Option<PathBuf>,
    /// The kubeconfig of the Seed; without it the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// Clusters a page.
const PAGE: u32 = 250;

/// Deployments that are read at the same time.
const AT_ONCE: usize = 8;

/// The report.
#[derive(Default)]
struct Findings {
    /// The number of Shoots.
    shoots: usize,
    /// The Shoots in the report, by control-plane namespace.
    found: Vec<(String, Survey)>,
    /// The number of Clusters that cannot be used.
    unusable: usize,
    /// The number of objects in files that cannot be read.
    unread: usize,
    /// The reasons.
    problems: Vec<String>,
}

impl Overlaps {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut findings = if let Some(folder) = &self.landscape {
            of_folder(folder)?
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(of_seed(self.kubeconfig.as_deref()))?
        };
        findings.found.sort_by(|a, b| a.0.cmp(&b.0));
        findings.problems.sort();
        super::output::print(&match self.output {
            Format::Table => findings.table(),
            Format::Json => findings.json(),
        })?;
        let is_trouble = !findings.problems.is_empty() || findings.found.iter().any(|(_, found)| found.is_trouble());
        Ok(ExitCode::from(if findings.unread > 0 { 2 } else { u8::from(is_trouble) }))
    }
}

// === sources ===

fn of_folder(folder: &Path) -> anyhow::Result<Findings> {
    let unreadable = |problem: files::FileProblem| anyhow!("the landscape cannot be read:\n{problem}");
    let files::Read { snapshot, remarks } = files::load(folder, &Arc::default()).map_err(unreadable)?;
    let deployments = files::deployments(folder, NAME).map_err(unreadable)?;
    let mut findings = Findings::default();
    for (name, record) in snapshot.clusters() {
        findings.look_at(name, record, deployments.get(name).map(String::as_str));
    }
    for (path, remark) in remarks.iter().filter(|(_, remark)| remark.is_loss()) {
        findings.unread += 1;
        findings.problems.push(printable(&format!("{}: {remark}", path.display())));
    }
    Ok(findings)
}

/// The name of the Deployment.
const NAME: &str = "kube-apiserver";

async fn of_seed(kubeconfig: Option<&Path>) -> anyhow::Result<Findings> {
    let client = kube::Client::try_from(client_config(kubeconfig).await?)?;
    let clusters: Api<ClusterObject> = Api::all(client.clone());
    let mut findings = Findings::default();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = clusters.list(&parameters).await.context("the Clusters of the Seed cannot be listed")?;
        let next = page.metadata.continue_.clone().filter(|next| !next.is_empty());
        let records = page.items.into_iter().map(ClusterObject::into_item);
        let mut looked = futures::stream::iter(records)
            .map(|(name, record)| {
                let client = &client;
                async move {
                    // Also without an overlap: parts of network-guard may be left.
                    let deployment = deployment(client, &name).await?;
                    anyhow::Ok((name, record, deployment))
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(looked) = looked.next().await {
            let (name, record, deployment) = looked?;
            findings.look_at(&name, &record, deployment.as_deref());
        }
        match next {
            Some(next) => parameters = parameters.continue_token(&next),
            None => return Ok(findings),
        }
    }
}

/// The text of a Shoot's kube-apiserver Deployment, if there is one.
async fn deployment(client: &kube::Client, namespace: &str) -> anyhow::Result<Option<String>> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{NAME}");
    let request = http::Request::get(path).body(Vec::new())?;
    match client.request_text(request).await {
        Ok(text) => Ok(Some(text)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the Deployment {namespace}/{NAME} cannot be read")),
    }
}

// === output ===

/// Whether its VPN has the right networks, in a word, for a column.
fn told_name(survey: &Survey) -> &'static str {
    match &survey.told {
        None => "-",
        Some(told) if told.is_empty() => "same",
        Some(_) => "OTHER",
    }
}

/// The problems, one per line.
fn lines(survey: &Survey) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(survey.untranslatable.map(|why| format!("its networks cannot be translated: {why}")));
    if let Some(told) = survey.told.as_ref().filter(|told| !told.is_empty()) {
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        lines.push(format!("its kube-apiserver is told other networks: {}", told.join("; ")));
    }
    lines
}

impl Findings {
    fn look_at(&mut self, name: &str, record: &ClusterRecord, deployment: Option<&str>) {
        self.shoots += 1;
        let facts = match record {
            Ok(facts) => facts,
            Err(problems) => {
                self.unusable += 1;
                self.problems.extend(problems.iter().map(|problem| format!("Cluster {name}: {problem}")));
                return;
            }
        };
        let deployment = match deployment.map(Deployment::read).transpose() {
            Ok(deployment) => deployment,
            Err(problem) => {
                self.problems.push(format!("Deployment {name}/{NAME}: {problem}"));
                None
            }
        };
        let found = survey(facts, deployment.as_ref());
        if !found.is_quiet() || found.is_trouble() {
            self.found.push((name.to_owned(), found));
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        if !self.found.is_empty() {
            let head = ["NAMESPACE", "SIDECAR", "TOLD", "NETWORK", "IN THE TUNNEL", "OVERLAPS SEED PODS"];
            let mut rows = vec![head.map(str::to_owned)];
            for (name, survey) in &self.found {
                let mut first = [name.clone(), survey.help.name().to_owned(), told_name(survey).to_owned()];
                let mut row = |network: String, mapped: String, overlap: String| {
                    let [name, help, told] = std::mem::take(&mut first);
                    rows.push([name, help, told, network, mapped, overlap]);
                };
                match &survey.networks {
                    Err(problem) => {
                        let what = format!("{} larger than {}", problem.kind.name(), problem.kind.mapping_range());
                        row(what, "nowhere".to_owned(), String::new());
                    }
                    Ok(networks) => {
                        for (kind, cidr, mapped) in networks {
                            let overlap = survey.overlapped_by(*cidr);
                            row(
                                format!("{} {cidr}", kind.name()),
                                mapped.map_or_else(|| "as it is".to_owned(), |mapped| mapped.to_string()),
                                overlap.map_or_else(|| "-".to_owned(), |seed_pods| seed_pods.to_string()),
                            );
                        }
                    }
                }
            }
            text = columns(&rows) + "\n";
        }
        for (name, survey) in &self.found {
            for line in lines(survey) {
                text += &format!("{name}: {line}\n");
            }
        }
        for problem in &self.problems {
            text += &format!("{problem}\n");
        }
        let count = |is: fn(&Survey) -> bool| self.found.iter().filter(|(_, found)| is(found)).count();
        let overlapping = count(|found| !found.overlaps.is_empty());
        let shoots = counted(self.shoots, "Shoot");
        let overlap = if overlapping == 1 || self.shoots == 1 {
            "overlaps the Pods of its Seed"
        } else {
            "overlap the Pods of their Seed"
        };
        text += &format!("{overlapping} of {shoots} {overlap}");
        if self.unusable > 0 {
            text += &format!("; {} cannot be judged", self.unusable);
        }
        if self.unread > 0 {
            text += &format!("; {} could not be read", self.unread);
        }
        for (is, what) in [
            ((|found| found.help.is_trouble()) as fn(&Survey) -> bool, "without the sidecar that they need"),
            (|found| found.help == Help::Leftover, "with a sidecar that is no longer needed"),
            (Survey::is_told_otherwise, "told other networks than their Clusters have"),
            (|found| found.untranslatable.is_some(), "cannot be translated"),
        ] {
            text += &match count(is) {
                0 => String::new(),
                count => format!("; {count} {what}"),
            };
        }
        text + "\n"
    }

    fn json(&self) -> String {
        let shoots: Vec<_> = self
            .found
            .iter()
            .map(|(name, survey)| {
                let networks = survey.networks.as_ref().map(|networks| {
                    let network = |(kind, cidr, mapped): &(network_guard_core::net::NetworkKind, network_guard_core::net::Cidr, Option<_>)| {
                        let mapped = mapped.as_ref().map(ToString::to_string);
                        json!({"kind": kind.name(), "network": cidr.to_string(), "mapped": mapped, "overlaps": survey.overlapped_by(*cidr).is_some()})
                    };
                    networks.iter().map(network).collect::<Vec<_>>()
                });
                let seed_pods = survey.overlaps.first().map(|pair| pair.seed_pods.to_string());
                let mut shoot = json!({
                    "namespace": name, "sidecar": survey.help.name(), "told": told_name(survey), "seedPods": seed_pods,
                });
                if let Ok(networks) = networks {
                    shoot["networks"] = networks.into();
                }
                let lines = lines(survey);
                if !lines.is_empty() {
                    shoot["problem"] = lines.join("; ").into();
                }
                shoot
            })
            .collect();
        let all = json!({"shoots": shoots, "total": self.shoots, "problems": self.problems});
        serde_json::to_string_pretty(&all).expect("values of our own") + "\n"
    }
}
