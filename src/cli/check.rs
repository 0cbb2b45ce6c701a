//! `network-guard check`: the rules of the garden on manifests, for a pull request or a laptop.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{json, value::RawValue};

use super::Configuration;
use crate::admission::{self, Answers, Handler as _, Severity, Step, UserInfo, Verdict};
use crate::gardener::{Shoot, counted};
use crate::handlers::ValidateShoot;
use crate::landscape::{Access, Snapshot};
use crate::sources::{files, live, manifests};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files with Shoots, YAML or JSON, or folders of them: each Shoot is judged as if it were created now
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder with what else there is: Seeds, other Shoots, and role bindings for --as
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_LANDSCAPE")]
    landscape: Option<PathBuf>,
    /// The configuration file, for what rules weigh
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// In whose name: what this user may not see is not looked at; without it everything is seen
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// A group of that user, once for each
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    groups: Vec<String>,
}

impl Check {
    /// Prints what is found; the exit code says whether anything would be refused.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let configuration = match &self.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        let vpcs = &configuration.shoots.overlay.vpcs;
        let mut snapshot = match &self.landscape {
            Some(folder) => files::read_with(folder, vpcs).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                anyhow!("the landscape cannot be read:\n{}", problems.join("\n"))
            })?,
            None => Snapshot::with_vpcs(Arc::clone(vpcs)),
        };
        let mut shoots: Vec<(PathBuf, String)> = Vec::new();
        for path in &self.files {
            shoots_of(path, &mut shoots)?;
        }
        if shoots.is_empty() {
            bail!("there is no Shoot in {}", list(&self.files));
        }
        // The Shoots of all files come together: each may list the others.
        for (path, text) in &shoots {
            manifests::replace_shoot(text, &mut snapshot)
                .map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
        }
        if self.user.is_none() {
            snapshot.access = Access::default();
        }
        let user = UserInfo { username: self.user.unwrap_or_default(), groups: self.groups, ..UserInfo::default() };

        let handler = ValidateShoot::new(&configuration.shoots);
        let (mut text, mut refused, mut warned) = (String::new(), 0, 0);
        for (path, shoot) in &shoots {
            let (name, verdict) =
                judge(&handler, &snapshot, &user, shoot).with_context(|| path.display().to_string())?;
            let has = |severity| verdict.findings.iter().any(|finding| finding.severity == severity);
            let outcome = match (has(Severity::Deny), has(Severity::Warn)) {
                (true, _) => {
                    refused += 1;
                    "refused"
                }
                (false, true) => {
                    warned += 1;
                    "accepted, with warnings"
                }
                (false, false) => "accepted",
            };
            text += &format!("{}: {name}: {outcome}\n", path.display());
            let in_order = |severity| admission::in_order(&verdict.findings, severity);
            for finding in in_order(Severity::Deny).chain(in_order(Severity::Warn)) {
                text += &format!(
                    "  {} {} ({})\n",
                    finding.severity.name(),
                    admission::printable(&finding.to_string()),
                    finding.rule
                );
            }
        }
        text += &format!("{}: {refused} refused, {warned} with warnings\n", counted(shoots.len(), "Shoot"));
        super::print(&text);
        Ok(ExitCode::from(u8::from(refused > 0)))
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The Shoots of a file, or of all files of a folder.
fn shoots_of(path: &Path, shoots: &mut Vec<(PathBuf, String)>) -> anyhow::Result<()> {
    let found =
        if path.is_dir() { files::paths(path).map_err(|problem| anyhow!("{problem}"))? } else { vec![path.to_owned()] };
    for path in found {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let found = manifests::shoots(&text, is_json).map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
        shoots.extend(found.into_iter().map(|shoot| (path.clone(), shoot)));
    }
    Ok(())
}

/// The verdict on a Shoot, through the same door as that of an API server.
fn judge(
    handler: &ValidateShoot,
    snapshot: &Snapshot,
    user: &UserInfo,
    text: &str,
) -> anyhow::Result<(String, Verdict)> {
    let shoot = Shoot::read(text).map_err(|error| anyhow!("{error}"))?;
    let object: &RawValue = serde_json::from_str(text)?;
    let body = serde_json::to_string(&Review {
        api_version: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: Request {
            uid: "check",
            resource: json!({"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"}),
            name: &shoot.name,
            namespace: &shoot.namespace,
            operation: "CREATE",
            user_info: json!({"username": user.username, "groups": user.groups}),
            object,
        },
    })?;
    let request = admission::decode(body.as_bytes())?;
    let mut answers = Answers::default();
    loop {
        match handler.review(&request, snapshot, &answers) {
            Step::Done(verdict) => return Ok((format!("{}/{}", &*shoot.namespace, &*shoot.name), verdict)),
            Step::Ask(questions) => {
                let questions = questions.without(&answers);
                if questions.is_empty() {
                    bail!("the decision asks without end");
                }
                let given = live::from_snapshot(snapshot, user, &questions);
                answers.add(questions, given);
            }
            Step::Unreadable(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                bail!("{}", errors.join("\n"));
            }
        }
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'a str,
    kind: &'a str,
    request: Request<'a>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: &'a str,
    resource: serde_json::Value,
    name: &'a str,
    namespace: &'a str,
    operation: &'a str,
    user_info: serde_json::Value,
    object: &'a RawValue,
}
