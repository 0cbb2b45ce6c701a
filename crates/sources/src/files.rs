//! A landscape from a folder of manifests: for trying out, tests and demos.
//!
//! All `.yaml`, `.yml` and `.json` files at any depth are read as kubectl reads them ([`yaml`]), each with any number
//! of documents. Documents that are no manifests, or of other kinds, are skipped and named. When an object of a kind
//! that is read cannot be read, it is reported with its place and the last valid state stays: the file may be in the
//! middle of an edit.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fmt, fs};

use super::Feed;
use super::manifests::{self, Again, Found as InFile, Remark, Weight};
use crate::yaml;
use network_guard_core::gardener::Vpcs;
use network_guard_core::landscape::Snapshot;

/// How often the folder is compared with what was read last.
const POLL: Duration = Duration::from_secs(1);

/// An error in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileProblem {
    /// The file or folder.
    pub path: PathBuf,
    /// The error, with line and column where it is about the content.
    pub problem: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

/// A file as it was found: while this stays the same, its content is assumed to be the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Found {
    path: PathBuf,
    length: u64,
    /// `None` where the metadata of the file cannot be read. Linux has a time of change for each file, also on file
    /// systems that store none.
    modified: Option<SystemTime>,
}

/// The clock of file times may stand still for this long: a file that changed so recently may change again unseen.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// The manifests below a folder, in order of their paths.
pub fn paths(folder: &Path) -> Result<Vec<PathBuf>, FileProblem> {
    Ok(find(folder)?.into_iter().map(|found| found.path).collect())
}

impl FileProblem {
    /// The error as a remark about the file: what the file contains is unknown.
    pub fn remark(self) -> (PathBuf, Remark) {
        let Self { path, problem: why } = self;
        (path, Remark { line: 1, what: "the file".to_owned(), why, weight: Weight::Broken, kind: None })
    }
}

/// The text of a file of at most [`yaml::MOST_BYTES`], and the remarks about its encoding.
pub fn text(path: &Path) -> Result<(String, Option<Remark>), FileProblem> {
    Ok(decode(bytes(path).map_err(|error| problem(path, &error))?))
}

fn decode(bytes: Vec<u8>) -> (String, Option<Remark>) {
    let (text, replaced) = yaml::decode(bytes);
    let remark = replaced.map(|line| Remark {
        line,
        what: "the file".to_owned(),
        why: format!("{}; it is read as kubectl does, with U+FFFD in its place", yaml::NOT_UTF8),
        weight: Weight::Note,
        kind: None,
    });
    (text, remark)
}

/// The bytes of a file: at most [`yaml::MOST_BYTES`].
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    // A file that is too large is not read at all. A pipe has no length; no more of it is kept than is permitted.
    if file.metadata()?.len() > yaml::MOST_BYTES {
        return Err(too_large(yaml::MOST_BYTES));
    }
    up_to(yaml::MOST_BYTES, file)
}

/// The same of standard input.
pub fn standard_input() -> Result<(String, Option<Remark>), FileProblem> {
    let bytes = up_to(yaml::MOST_BYTES, io::stdin());
    Ok(decode(bytes.map_err(|error| problem(Path::new("standard input"), &error))?))
}

/// All bytes of an input, up to a limit.
fn up_to(most: u64, from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: u64) -> io::Error {
    let why = format!("is larger than {} MiB, more than is read at once: split it", most >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

/// The content of a folder.
#[derive(Debug)]
pub struct Read {
    /// The landscape, as far as it can be read.
    pub snapshot: Snapshot,
    /// The remarks about the files, in order of their paths.
    pub remarks: Vec<(PathBuf, Remark)>,
}

impl Read {
    /// The errors about kinds that are read.
    pub fn broken(&self) -> Vec<FileProblem> {
        let broken = self.remarks.iter().filter(|(_, remark)| remark.weight == Weight::Broken);
        broken.map(|(path, remark)| FileProblem { path: path.clone(), problem: remark.to_string() }).collect()
    }
}

/// Reads a folder once, without any error.
pub fn read(folder: &Path) -> Result<Snapshot, Vec<FileProblem>> {
    let read = load(folder, &Arc::default()).map_err(|problem| vec![problem])?;
    let broken = read.broken();
    if broken.is_empty() { Ok(read.snapshot) } else { Err(broken) }
}

/// Reads a folder once, as far as it can be read, with the paths at which Shoots name their VPC.
pub fn load(folder: &Path, vpcs: &Arc<Vpcs>) -> Result<Read, FileProblem> {
    Ok(parse(&find(folder)?, vpcs))
}

/// How often the folder may change at a look, or since the look before, until it is read nevertheless.
const MOST_UNSETTLED: u32 = 5;

/// What was seen of a folder.
#[derive(Clone, Debug, Default)]
struct Seen {
    found: Option<Result<Vec<Found>, FileProblem>>,
    /// Whether it was read since.
    is_read: bool,
    /// How often it differed from the look before, or changed while it was read, since it was last read.
    unsettled: u32,
}

/// Keeps the landscape equal to the folder, until the task is dropped.
///
/// A change is read when the folder is the same for two looks, and still is when it has been read: a program that writes
/// a file empties it first.
pub async fn follow(folder: PathBuf, feed: Feed) {
    let mut seen = Seen::default();
    let mut said = Vec::new();
    let vpcs = Arc::clone(feed.landscape.snapshot().shoots.vpcs());
    loop {
        // Reading a folder blocks, so it gets a thread for blocking work.
        let looked = tokio::task::spawn_blocking({
            let (folder, seen, vpcs) = (folder.clone(), seen.clone(), Arc::clone(&vpcs));
            move || look(&folder, &seen, |files| parse(files, &vpcs))
        });
        match looked.await {
            Ok((now, read)) => {
                feed.heartbeat();
                seen = now;
                match read {
                    Some(Ok(read)) => {
                        let problems = broken(&read, &feed.landscape.snapshot());
                        // Logged once, not each second.
                        let is_new = said != read.remarks;
                        if is_new {
                            report(&read.remarks, problems.is_empty());
                        }
                        said.clone_from(&read.remarks);
                        if problems.is_empty() {
                            take(read.snapshot, &feed);
                        } else if is_new {
                            complain(&problems);
                        }
                    }
                    Some(Err(problem)) => complain(&[problem]),
                    None => {}
                }
            }
            // A panic is this task's own; anything else is the end of the process.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

fn take(snapshot: Snapshot, feed: &Feed) {
    tracing::info!(
        clusters = snapshot.cluster_count(),
        shoots = snapshot.shoots.len(),
        seeds = snapshot.seed_count(),
        "landscape read from its folder"
    );
    feed.update(|current| *current = snapshot);
    feed.set_synced();
}

/// Why the last valid state stays. A Cluster that has lost its `spec` is being edited; one that never had it is left
/// out.
fn broken(read: &Read, current: &Snapshot) -> Vec<FileProblem> {
    let mut broken = read.broken();
    let names: HashSet<&str> = current.clusters().map(|(name, _)| name).collect();
    for (path, remark) in &read.remarks {
        let cluster = remark.what.strip_prefix("Cluster ").filter(|_| remark.weight == Weight::Unused);
        // Another file may contain it.
        if cluster.is_some_and(|name| names.contains(name) && read.snapshot.cluster(name).is_none()) {
            broken.push(FileProblem { path: path.clone(), problem: remark.to_string() });
        }
    }
    broken
}

type Look = (Seen, Option<Result<Read, FileProblem>>);

/// Reads the folder if it may have changed since it was last read, and is not changing now.
fn look(folder: &Path, seen: &Seen, parse: impl FnOnce(&[Found]) -> Read) -> Look {
    let found = find(folder);
    let now = SystemTime::now();
    // A time in the future comes from another clock, or from an archive: it is no reason to read all the time.
    let is_recent = |modified: SystemTime| modified + CLOCK_STEP > now && modified < now + CLOCK_STEP;
    let is_recent = |file: &Found| file.modified.is_some_and(is_recent);
    let is_same = seen.found.as_ref() == Some(&found);
    let unsettled = seen.unsettled + u32::from(!is_same);
    let is_settled = is_same || seen.found.is_none() || unsettled >= MOST_UNSETTLED;
    let may_have_changed = !is_same || !seen.is_read || found.as_ref().is_ok_and(|files| files.iter().any(is_recent));
    let is_read = is_settled && may_have_changed;
    let read = is_read.then(|| found.as_ref().map_err(Clone::clone).map(|files| parse(files)));
    // Since it was found, a file may have been emptied, to be written next.
    if is_read && unsettled < MOST_UNSETTLED && find(folder) != found {
        tracing::info!(
            "the folder of the landscape changed while it was read; what was read before stays until the next look"
        );
        return (Seen { found: Some(found), is_read: false, unsettled: unsettled + 1 }, None);
    }
    let unsettled = if is_read { 0 } else { unsettled };
    (Seen { found: Some(found), is_read: is_read || is_same && seen.is_read, unsettled }, read)
}

fn complain(problems: &[FileProblem]) {
    for problem in problems {
        tracing::error!(path = %problem.path.display(), problem = %problem.problem, "the last valid landscape stays in use");
    }
}

/// Logs what is not read: important remarks each, the others by their number.
fn report(remarks: &[(PathBuf, Remark)], is_used: bool) {
    let mut skipped = 0;
    for (path, remark) in remarks {
        match remark.weight {
            Weight::Other => {
                skipped += 1;
                tracing::debug!(path = %path.display(), remark = %remark, "skipped");
            }
            Weight::Broken if !is_used => {}
            Weight::Note | Weight::Unused | Weight::Broken => {
                tracing::warn!(path = %path.display(), remark = %remark, "about a file of the landscape");
            }
        }
    }
    if skipped > 0 {
        tracing::info!(
            skipped,
            "documents of the landscape that are of no kind that is read; --log-level debug names them"
        );
    }
}

fn find(folder: &Path) -> Result<Vec<Found>, FileProblem> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    found.sort();
    Ok(found)
}

fn problem(path: &Path, error: &io::Error) -> FileProblem {
    FileProblem { path: path.to_owned(), problem: error.to_string() }
}

fn collect(folder: &Path, found: &mut Vec<Found>) -> Result<(), FileProblem> {
    for entry in fs::read_dir(folder).map_err(|error| problem(folder, &error))? {
        let entry = entry.map_err(|error| problem(folder, &error))?;
        let path = entry.path();
        // A mounted ConfigMap has its files twice: directly, and in the hidden folder to which they are links.
        // Other hidden files belong to editors.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if path.is_dir() {
            // A link to a folder may lead back to where we are.
            if !is_link && collect(&path, found).is_err() {
                // Its path is read as that of a file, which yields the reason why it cannot be read.
                found.push(Found { path, length: 0, modified: None });
            }
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            match fs::metadata(&path) {
                // A pipe would be read forever.
                Ok(metadata) if !metadata.is_file() => {}
                Ok(metadata) => found.push(Found { path, length: metadata.len(), modified: metadata.modified().ok() }),
                // Possibly a dangling link. The rest of the folder is read all the same.
                Err(_) => found.push(Found { path, length: 0, modified: None }),
            }
        }
    }
    Ok(())
}

/// Reads all files, in order of their paths, as far as they can be read.
fn parse(files: &[Found], vpcs: &Arc<Vpcs>) -> Read {
    let mut snapshot = Snapshot::with_vpcs(Arc::clone(vpcs));
    let mut remarks = Vec::new();
    for Found { path, .. } in files {
        let found = match text(path) {
            Ok((text, remark)) => {
                let mut found = manifests::read(&text, Again::Refuse, &mut snapshot);
                found.splice(0..0, remark);
                found
            }
            Err(problem) => vec![problem.remark().1],
        };
        remarks.extend(found.into_iter().map(|remark| (path.clone(), remark)));
    }
    Read { snapshot, remarks }
}

/// The texts of all Deployments of this name below a folder, by namespace.
pub fn deployments(folder: &Path, wanted: &str) -> Result<HashMap<String, String>, FileProblem> {
    let mut deployments = HashMap::new();
    for path in paths(folder)? {
        // Errors are reported by the reader of the folder.
        let Ok((text, _)) = text(&path) else { continue };
        manifests::each(&text, &mut |found| {
            if let InFile::Object(object) = found
                && let Some((namespace, _)) = object.deployment().filter(|(_, name)| name == wanted)
            {
                deployments.insert(namespace, object.json.to_owned());
            }
        });
    }
    Ok(deployments)
}

#[cfg(test)]
mod tests;
