//! `network-guard check`: the rules of the garden on manifests, for a pull request or a laptop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{json, value::RawValue};

use super::Configuration;
use crate::admission::{self, Answer, Answers, Finding, Handler as _, Questions, Severity, Step, UserInfo, Verdict};
use crate::gardener::{Shoot, ShootFacts, counted};
use crate::handlers::ValidateShoot;
use crate::landscape::{Access, Snapshot};
use crate::peering::rules::target::NOT_VERIFIED;
use crate::sources::manifests::{self, Again, Found, Remark, Weight};
use crate::sources::{files, live};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files with Shoots, YAML or JSON as kubectl reads them, or folders of them: each Shoot is judged as if it were created now.
    /// Seeds in them count too; other kinds are skipped and named
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder with what else there is: Seeds, other Shoots, and role bindings for --as. Without it, Seeds that are in no
    /// file are accepted with a warning
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

/// The most documents of other kinds that are named.
const MOST_NAMED: usize = 20;

/// Why it is unknown whether a Seed that is in no file exists.
const NO_LANDSCAPE: &str = "no landscape was given";

/// What there is to say about files, each with its path.
type Remarks = Vec<(PathBuf, Remark)>;

impl Check {
    /// Prints what is found; the exit code says whether anything would be refused, or could not be judged.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let configuration = match &self.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        let vpcs = &configuration.shoots.overlay.vpcs;
        let (mut snapshot, mut remarks) = match &self.landscape {
            Some(folder) => {
                let files::Read { snapshot, mut remarks } =
                    files::load(folder, vpcs).map_err(|problem| anyhow!("the landscape cannot be read:\n{problem}"))?;
                // What else is in that folder is nobody's question here.
                remarks.retain(|(_, remark)| remark.weight > Weight::Other);
                (snapshot, remarks)
            }
            None => (Snapshot::with_vpcs(Arc::clone(vpcs)), Vec::new()),
        };
        // The Shoots of all files come together: each may list the others. So do Seeds, and whatever else is read.
        let mut shoots: Vec<(PathBuf, String)> = Vec::new();
        for path in &self.files {
            for path in files_of(path)? {
                add(&path, &mut snapshot, &mut shoots, &mut remarks)?;
            }
        }
        if shoots.is_empty() {
            let said = said(&remarks);
            bail!(
                "there is no Shoot in {}{}{}",
                list(&self.files),
                if said.is_empty() { "" } else { "\n" },
                said.trim_end()
            );
        }
        if self.user.is_none() {
            snapshot.access = Access::default();
        }
        let user = UserInfo { username: self.user.unwrap_or_default(), groups: self.groups, ..UserInfo::default() };
        let judge = Judge {
            handler: ValidateShoot::new(&configuration.shoots),
            snapshot: &snapshot,
            has_landscape: self.landscape.is_some(),
            user: &user,
        };

        let (mut text, mut refused, mut warned) = (String::new(), 0, 0);
        for (path, shoot) in &shoots {
            let (name, verdict) = judge.judge(shoot).with_context(|| path.display().to_string())?;
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
        text += &said(&remarks);
        text += &format!("{}: {refused} refused, {warned} with warnings", counted(shoots.len(), "Shoot"));
        let lost = remarks.iter().filter(|(_, remark)| remark.is_loss()).count();
        if lost > 0 {
            text += &format!("; {lost} could not be read");
        }
        text.push('\n');
        super::print(&text);
        Ok(ExitCode::from(if lost > 0 { 2 } else { u8::from(refused > 0) }))
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A line for each remark, but not for very many documents of other kinds.
fn said(remarks: &[(PathBuf, Remark)]) -> String {
    let mut text = String::new();
    let mut others = 0;
    for (path, remark) in remarks {
        let outcome = match remark.weight {
            Weight::Other => {
                others += 1;
                if others > MOST_NAMED {
                    continue;
                }
                "skipped"
            }
            Weight::Note => "note",
            Weight::Unused | Weight::Broken => "not read",
        };
        let Remark { line, what, why, .. } = remark;
        let said = admission::printable(&format!("{what}: {why}"));
        text += &format!("{}: line {line}: {outcome}: {said}\n", path.display());
    }
    if others > MOST_NAMED {
        text += &format!("{} more documents are of kinds that are not read\n", others - MOST_NAMED);
    }
    text
}

/// The file, or all files of a folder.
fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_dir() { files::paths(path).map_err(|problem| anyhow!("{problem}")) } else { Ok(vec![path.to_owned()]) }
}

/// Adds what a file says to the landscape, in the place of what was known, and its Shoots to those that are judged.
fn add(
    path: &Path,
    snapshot: &mut Snapshot,
    shoots: &mut Vec<(PathBuf, String)>,
    remarks: &mut Remarks,
) -> anyhow::Result<()> {
    let text = files::text(path).map_err(|problem| anyhow!("cannot read {problem}"))?;
    manifests::each(&text, &mut |found| match found {
        Found::Remark(remark) => remarks.push((path.to_owned(), remark)),
        Found::Object(object) => match manifests::put(&object, Again::Replace, snapshot) {
            Ok(()) if object.is_shoot() => shoots.push((path.to_owned(), object.json.to_owned())),
            Ok(()) if object.deployment().is_some() => {
                remarks.push((path.to_owned(), object.remark(manifests::NOT_READ, Weight::Other)));
            }
            Ok(()) => {}
            Err(remark) => remarks.push((path.to_owned(), remark)),
        },
    });
    Ok(())
}

/// Who judges.
struct Judge<'a> {
    handler: ValidateShoot,
    snapshot: &'a Snapshot,
    /// Whether a Seed that is not in the snapshot does not exist.
    has_landscape: bool,
    user: &'a UserInfo,
}

impl Judge<'_> {
    /// The verdict on a Shoot, through the same door as that of an API server.
    fn judge(&self, text: &str) -> anyhow::Result<(String, Verdict)> {
        let shoot = Shoot::read(text).map_err(|error| anyhow!("{error}"))?;
        let lists_peers = !ShootFacts::of_new(&shoot).peers().is_empty();
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
                user_info: json!({"username": self.user.username, "groups": self.user.groups}),
                object,
            },
        })?;
        let request = admission::decode(body.as_bytes())?;
        let mut answers = Answers::default();
        loop {
            match self.handler.review(&request, self.snapshot, &answers) {
                Step::Done(mut verdict) => {
                    for finding in verdict.findings.iter_mut().filter(|finding| is_unverified_seed(finding)) {
                        finding.help = "give its folder with --landscape".into();
                    }
                    return Ok((format!("{}/{}", &*shoot.namespace, &*shoot.name), verdict));
                }
                Step::Ask(questions) => {
                    let questions = questions.without(&answers);
                    if questions.is_empty() {
                        bail!("the decision asks without end");
                    }
                    let given = self.answers(&questions, lists_peers);
                    answers.add(questions, given);
                }
                Step::Unreadable(errors) => {
                    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    bail!("{}", errors.join("\n"));
                }
            }
        }
    }

    fn answers(&self, questions: &Questions, lists_peers: bool) -> Answers {
        let mut answers = live::from_snapshot(self.snapshot, self.user, questions);
        // The author of a Shoot without peers did not ask about Seeds: with `Absent`, its own is not mentioned.
        if !self.has_landscape && lists_peers {
            for answer in answers.seeds.values_mut().filter(|answer| **answer == Answer::Absent) {
                *answer = Answer::Unanswered(NO_LANDSCAPE.to_owned());
            }
        }
        answers
    }
}

/// Whether a finding says that a Seed was not looked up. Here that has one reason: [`NO_LANDSCAPE`].
fn is_unverified_seed(finding: &Finding) -> bool {
    let is_of_seed = finding.path == "spec.seedName" || finding.path.ends_with(".seed");
    is_of_seed && finding.rule == NOT_VERIFIED.name
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
