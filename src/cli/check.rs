//! `network-guard check`: the rules of the garden on manifests, for a pull request or a laptop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use crate::config::Configuration;
use network_guard_core::admission::{AskLoop, Handler, Outcome, Request, UserInfo, Verdict};
use network_guard_core::diagnostics::{self, Finding, Severity, counted};
use network_guard_core::gardener::{Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::{Access, Answer, Answers, Questions, Snapshot};
use network_guard_core::peering::rules::unverified::NOT_VERIFIED;
use network_guard_core::webhooks::{MutateShoot, ValidateShoot};
use network_guard_sources::manifests::{self, Again, Found, Remark, Weight};
use network_guard_sources::{files, live};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files with Shoots, YAML or JSON as kubectl reads them, folders of them, or - for standard input: each Shoot is
    /// checked as if it were created now, after the server has filled in its defaults. Seeds in them count too; other
    /// kinds are skipped and named
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder with the rest of the landscape: Seeds, other Shoots, and role bindings for --as. Without it, Seeds that
    /// are in no file are accepted with a warning
    #[arg(long, value_name = "DIR", env = "NETWORK_GUARD_LANDSCAPE")]
    landscape: Option<PathBuf>,
    /// The configuration file, for the severity of rules
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// The user on whose behalf to check: what this user may not see is ignored; without it everything is visible
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// A group of that user; may be repeated
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    groups: Vec<String>,
}

/// The most documents of other kinds that are named.
const MOST_NAMED: usize = 20;

/// Why it is unknown whether a Seed that is in no file exists.
const NO_LANDSCAPE: &str = "no landscape was given";

/// The same, where a Seed is, or may be, in a file that cannot be read.
const UNREAD: &str = "not all files could be read";

/// The remarks about files, each with its path.
type Remarks = Vec<(PathBuf, Remark)>;

impl Check {
    /// Prints the findings; the exit code shows whether anything would be refused, or could not be checked.
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
                // Remarks about other objects in that folder are not printed.
                remarks.retain(|(_, remark)| remark.weight > Weight::Other);
                (snapshot, remarks)
            }
            None => (Snapshot::with_vpcs(Arc::clone(vpcs)), Vec::new()),
        };
        // The Shoots of all files are read together: each may list the others. So are Seeds and the rest.
        let mut shoots: Vec<(PathBuf, String)> = Vec::new();
        for path in &self.files {
            for path in files_of(path)? {
                add(&path, &mut snapshot, &mut shoots, &mut remarks);
            }
        }
        if shoots.is_empty() {
            let said = said(&remarks);
            let is_folder = self.files.iter().any(|path| path.is_dir());
            bail!(
                "there is no Shoot in {}{}{}{}",
                list(&self.files),
                if is_folder { "; hidden files, and links to folders, are not read" } else { "" },
                if said.is_empty() { "" } else { "\n" },
                said.trim_end()
            );
        }
        if self.user.is_none() {
            snapshot.access = Access::default();
        }
        let user = UserInfo { username: self.user.unwrap_or_default(), groups: self.groups, ..UserInfo::default() };
        let has_user = !user.username.is_empty();
        let judge = Judge {
            no_seed: match &self.landscape {
                None => Some(NO_LANDSCAPE),
                Some(_) if remarks.iter().any(|(_, remark)| may_be_seed(remark)) => Some(UNREAD),
                Some(_) => None,
            },
            user,
        };
        // First the mutating webhook, for all of them: each may list the others.
        let fills = MutateShoot::new(&configuration.shoots);
        let mut filled = Vec::new();
        for (path, shoot) in &mut shoots {
            filled.push(judge.fill(&fills, shoot, &mut snapshot).with_context(|| path.display().to_string())?);
        }

        let validates = ValidateShoot::new(&configuration.shoots);
        let (mut text, mut refused, mut warned) = (String::new(), 0, 0);
        for ((path, shoot), filled) in shoots.iter().zip(filled) {
            let (name, mut verdict) =
                judge.review(&validates, shoot, &snapshot).with_context(|| path.display().to_string())?;
            verdict.findings.extend(filled);
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
            let in_order = |severity| diagnostics::in_order(&verdict.findings, severity);
            for finding in in_order(Severity::Deny).chain(in_order(Severity::Warn)) {
                text += &format!(
                    "  {} {} ({})\n",
                    finding.severity.name(),
                    diagnostics::printable(&finding.to_string()),
                    finding.rule.name
                );
            }
        }
        text += &said(&remarks);
        text += &format!("{}: {refused} refused, {warned} with warnings", counted(shoots.len(), "Shoot"));
        let lost = remarks.iter().filter(|(_, remark)| is_loss(remark, has_user)).count();
        if lost > 0 {
            text += &format!("; {lost} could not be read");
        }
        text.push('\n');
        super::output::print(&text)?;
        Ok(ExitCode::from(if lost > 0 { 2 } else { u8::from(refused > 0) }))
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A line for each remark, except for very many documents of other kinds.
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
        let said = diagnostics::printable(&format!("{what}: {why}"));
        text += &format!("{}: line {line}: {outcome}: {said}\n", path.display());
    }
    if others > MOST_NAMED {
        text += &format!("{} more documents are of kinds that are not read\n", others - MOST_NAMED);
    }
    text
}

/// Whether a Shoot, a Seed or a Cluster is, or may be, missing because of this. A Deployment or a Network decides
/// nothing here, and a role binding only with --as.
fn is_loss(remark: &Remark, has_user: bool) -> bool {
    let kind = remark.kind.as_deref().map(|kind| kind.strip_suffix("List").unwrap_or(kind));
    remark.is_loss()
        && match kind {
            Some("Deployment" | "Network") => false,
            Some("RoleBinding" | "ClusterRoleBinding") => has_user,
            _ => true,
        }
}

/// Whether the missing object may be a Seed.
fn may_be_seed(remark: &Remark) -> bool {
    remark.is_loss() && matches!(remark.kind.as_deref(), None | Some("Seed" | "SeedList" | "List"))
}

/// The file, or all files of a folder.
fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_dir() { files::paths(path).map_err(|problem| anyhow!("{problem}")) } else { Ok(vec![path.to_owned()]) }
}

/// Adds the objects of a file to the landscape, replacing known ones, and its Shoots to those that are checked.
fn add(path: &Path, snapshot: &mut Snapshot, shoots: &mut Vec<(PathBuf, String)>, remarks: &mut Remarks) {
    let read = if path == Path::new("-") { files::standard_input() } else { files::text(path) };
    let text = match read {
        Ok((text, remark)) => {
            remarks.extend(remark.map(|remark| (path.to_owned(), remark)));
            text
        }
        // The others are checked all the same.
        Err(problem) => return remarks.push(problem.remark()),
    };
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
}

/// The user of the reviews, and the landscape.
struct Judge {
    /// Why a Seed that is not in the snapshot may exist all the same; `None` where it does not.
    no_seed: Option<&'static str>,
    user: UserInfo,
}

impl Judge {
    /// Fills in the defaults of the server, in the text and in the landscape, and returns remarks about that.
    fn fill(&self, webhook: &MutateShoot, text: &mut String, snapshot: &mut Snapshot) -> anyhow::Result<Vec<Finding>> {
        let (_, verdict) = self.review(webhook, text, snapshot)?;
        if let Outcome::Patched(patch) = &verdict.outcome {
            let patch: json_patch::Patch = serde_json::from_str(patch.json())?;
            let mut object: serde_json::Value = serde_json::from_str(text)?;
            json_patch::patch(&mut object, &patch)?;
            *text = object.to_string();
            let shoot = Shoot::read(text).map_err(|error| anyhow!("{error}"))?;
            snapshot.shoots.put(&ShootName::new(&shoot.namespace, &shoot.name), ShootFacts::of_new(&shoot));
        }
        Ok(verdict.findings)
    }

    /// The name of a Shoot and its verdict, as an API server would get it.
    fn review(&self, webhook: &impl Handler, text: &str, snapshot: &Snapshot) -> anyhow::Result<(String, Verdict)> {
        let shoot = Shoot::read(text).map_err(|error| anyhow!("{error}"))?;
        let lists_peers = !ShootFacts::of_new(&shoot).peers().is_empty();
        let name = (&*shoot.namespace, &*shoot.name);
        let request = Request::creation(webhook.resource(), name, text, &self.user)?;
        let mut verdict = AskLoop::new(webhook, &request, Some(snapshot))
            .run(|questions| self.answers(questions, snapshot, lists_peers))?;
        for finding in verdict.findings.iter_mut().filter(|finding| is_unverified_seed(finding)) {
            let is_given = self.no_seed != Some(NO_LANDSCAPE);
            finding.help = if is_given { "correct them" } else { "give its folder with --landscape" }.into();
        }
        Ok((format!("{}/{}", shoot.namespace, shoot.name), verdict))
    }

    fn answers(&self, questions: &Questions, snapshot: &Snapshot, lists_peers: bool) -> Answers {
        let mut answers = live::from_snapshot(snapshot, &self.user, questions);
        // The author of a Shoot without peers did not ask about Seeds: with `Absent`, its own is not mentioned.
        if let Some(why) = self.no_seed.filter(|_| lists_peers) {
            for answer in answers.seeds.values_mut().filter(|answer| **answer == Answer::Absent) {
                *answer = Answer::Unanswered(why.to_owned());
            }
        }
        answers
    }
}

/// Whether a finding says that a Seed was not looked up.
fn is_unverified_seed(finding: &Finding) -> bool {
    finding.rule == &NOT_VERIFIED && matches!(finding.path.last_field(), Some("seed" | "seedName"))
}
