//! A landscape from a folder of manifests: for trying out, tests and demos.
//!
//! All `.yaml`, `.yml` and `.json` files in any depth are read as kubectl reads them ([`yaml`]), each with any number of
//! documents. What is no manifest, or of a kind that we have no use for, is skipped and named. When something of a kind that is
//! read cannot be read, it is reported with its place and the last good state stays: perhaps somebody is writing it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Feed;
use super::manifests::{self, Again, Found as InFile, Remark, Weight};
use crate::gardener::Vpcs;
use crate::landscape::Snapshot;
use crate::yaml;

/// How often the folder is compared with what was read last.
const POLL: Duration = Duration::from_secs(1);

/// What is wrong with a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileProblem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong, with line and column where it is about the content.
    pub problem: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

/// A file as it was found: as long as this stays the same its content is taken to be the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Found {
    path: PathBuf,
    length: u64,
    /// `None` where the file cannot be looked at. Linux has a time for each file, also on file systems that store none.
    modified: Option<SystemTime>,
}

/// A clock that stamps files may stand still for this long: what changed so recently may change again unseen.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// The manifests below a folder, in order of their paths.
pub fn paths(folder: &Path) -> Result<Vec<PathBuf>, FileProblem> {
    Ok(find(folder)?.into_iter().map(|found| found.path).collect())
}

impl FileProblem {
    /// The same as one of the things to say about files: what the file says is unknown.
    pub fn remark(self) -> (PathBuf, Remark) {
        let Self { path, problem: why } = self;
        (path, Remark { line: 1, what: "the file".to_owned(), why, weight: Weight::Broken, kind: None })
    }
}

/// The text of a file of at most [`yaml::MOST_BYTES`], and what there is to say about its encoding.
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
    // Of a file that is too large nothing is read. A pipe has no length; of it no more is kept than is permitted.
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

/// All bytes of an input, which may have so many.
fn up_to(most: u64, from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: u64) -> io::Error {
    let why = format!("is larger than {} MiB, more than is read at once: split it", most >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

/// What a folder says.
#[derive(Debug)]
pub struct Read {
    /// The landscape, as far as it can be read.
    pub snapshot: Snapshot,
    /// What there is to say about the files, in order of their paths.
    pub remarks: Vec<(PathBuf, Remark)>,
}

impl Read {
    /// What of the kinds that are read cannot be read.
    pub fn broken(&self) -> Vec<FileProblem> {
        let broken = self.remarks.iter().filter(|(_, remark)| remark.weight == Weight::Broken);
        broken.map(|(path, remark)| FileProblem { path: path.clone(), problem: remark.to_string() }).collect()
    }
}

/// Reads a folder once; nothing that it says may be broken.
pub fn read(folder: &Path) -> Result<Snapshot, Vec<FileProblem>> {
    let read = load(folder, &Arc::default()).map_err(|problem| vec![problem])?;
    let broken = read.broken();
    if broken.is_empty() { Ok(read.snapshot) } else { Err(broken) }
}

/// Reads a folder once, as far as it can be read, and looks for the VPCs of Shoots as this says.
pub fn load(folder: &Path, vpcs: &Arc<Vpcs>) -> Result<Read, FileProblem> {
    Ok(parse(&find(folder)?, vpcs))
}

/// How many times a folder is looked at that is another one each time, until it is read nevertheless.
const MOST_UNSETTLED: u32 = 5;

/// What was seen of a folder.
#[derive(Clone, Debug, Default)]
struct Seen {
    found: Option<Result<Vec<Found>, FileProblem>>,
    /// Whether it was read since.
    is_read: bool,
    /// How often it was another one than before.
    unsettled: u32,
}

/// Keeps the landscape like the folder, until the task is dropped.
///
/// A change is read when the folder is the same for two looks: a program that writes a file empties it first.
pub async fn follow(folder: PathBuf, feed: Feed) {
    let mut seen = Seen::default();
    let mut said = Vec::new();
    let vpcs = Arc::clone(feed.landscape.snapshot().shoots.vpcs());
    loop {
        // Reading a folder blocks; it gets a thread that may.
        let looked = tokio::task::spawn_blocking({
            let (folder, seen, vpcs) = (folder.clone(), seen.clone(), Arc::clone(&vpcs));
            move || look(&folder, &seen, &vpcs)
        });
        match looked.await {
            Ok((now, read)) => {
                feed.sign();
                seen = now;
                match read {
                    Some(Ok(read)) => {
                        let problems = broken(&read, &feed.landscape.snapshot());
                        // Said once, not each second.
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

/// Why the last good state stays. A Cluster that has lost its `spec` is being written, one that never had it is left out.
fn broken(read: &Read, current: &Snapshot) -> Vec<FileProblem> {
    let mut broken = read.broken();
    let names: HashSet<&str> = current.clusters().map(|(name, _)| name).collect();
    for (path, remark) in &read.remarks {
        let cluster = remark.what.strip_prefix("Cluster ").filter(|_| remark.weight == Weight::Unused);
        // Another file may have it.
        if cluster.is_some_and(|name| names.contains(name) && read.snapshot.cluster(name).is_none()) {
            broken.push(FileProblem { path: path.clone(), problem: remark.to_string() });
        }
    }
    broken
}

type Look = (Seen, Option<Result<Read, FileProblem>>);

/// Reads the folder if it may have changed since it was read last, and does not change now.
fn look(folder: &Path, seen: &Seen, vpcs: &Arc<Vpcs>) -> Look {
    let found = find(folder);
    let now = SystemTime::now();
    // A time that lies further ahead was given by another clock, or by an archive: it is no reason to read all the time.
    let is_recent = |modified: SystemTime| modified + CLOCK_STEP > now && modified < now + CLOCK_STEP;
    let is_recent = |file: &Found| file.modified.is_some_and(is_recent);
    let is_same = seen.found.as_ref() == Some(&found);
    let unsettled = if is_same { 0 } else { seen.unsettled + 1 };
    let is_settled = is_same || seen.found.is_none() || unsettled >= MOST_UNSETTLED;
    let may_have_changed = !is_same || !seen.is_read || found.as_ref().is_ok_and(|files| files.iter().any(is_recent));
    let is_read = is_settled && may_have_changed;
    let read = is_read.then(|| found.as_ref().map_err(Clone::clone).map(|files| parse(files, vpcs)));
    let unsettled = if is_read { 0 } else { unsettled };
    (Seen { found: Some(found), is_read: is_read || is_same && seen.is_read, unsettled }, read)
}

fn complain(problems: &[FileProblem]) {
    for problem in problems {
        tracing::error!(path = %problem.path.display(), problem = %problem.problem, "the last good landscape stays in use");
    }
}

/// Names what is not read, each that matters and the others by their number.
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
        // A mounted ConfigMap has its files twice: beside, and in the hidden folder that they are links into.
        // Other hidden files belong to editors.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if path.is_dir() {
            // A link to a folder may lead back to where we are.
            if !is_link && collect(&path, found).is_err() {
                // Its path is read as that of a file, which says why it cannot be read.
                found.push(Found { path, length: 0, modified: None });
            }
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            match fs::metadata(&path) {
                // A pipe would be read for ever.
                Ok(metadata) if !metadata.is_file() => {}
                Ok(metadata) => found.push(Found { path, length: metadata.len(), modified: metadata.modified().ok() }),
                // A link to nowhere, perhaps. The rest of the folder is read all the same.
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
        // What cannot be read is said by who reads the folder.
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
mod tests {
    use std::sync::Arc;

    use super::super::Landscape;
    use super::*;

    const CLUSTER: &str = "apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Cluster\nmetadata: {name: shoot--a--b}\nspec:\n  seed: {spec: {networks: {pods: 10.0.0.0/8}}}\n  shoot: {spec: {networking: {nodes: 10.1.0.0/16}}}\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn no_more_of_a_pipe_is_kept_than_is_permitted() {
        let most = 3 << 20;
        assert_eq!(up_to(most, io::repeat(b' ').take(most)).unwrap().len() as u64, most);
        let problem = up_to(most, io::repeat(b' ')).unwrap_err();
        assert_eq!(problem.to_string(), "is larger than 3 MiB, more than is read at once: split it");
    }

    #[test]
    fn reads_any_depth_and_several_documents() {
        let two = format!(
            "# a comment\n--- # another\n{CLUSTER}---\n\n---\napiVersion: v1\nkind: Namespace\nspec: {{shoot: not ours}}\n"
        );
        let json = r#"{"apiVersion":"extensions.gardener.cloud/v1alpha1","kind":"Cluster","metadata":{"name":"shoot--a--c"},"spec":{"shoot":{}}}"#;
        let folder = folder(&[("a.yaml", &two), ("deep/er/b.json", json), ("README.md", "# not a manifest")]);
        let snapshot = read(folder.path()).unwrap();
        assert_eq!(snapshot.cluster_count(), 2);
        assert!(snapshot.cluster("shoot--a--b").unwrap().is_ok());
    }

    #[test]
    fn says_where_a_file_is_wrong() {
        for (name, text, want) in [
            ("not YAML", "a: [", "line 1"),
            ("no kind", "apiVersion: v1\n", "needs `apiVersion` and `kind`"),
            ("second document", &format!("{CLUSTER}---\n{}", CLUSTER.replace("spec:\n", "spec: 5\n")), "line "),
            ("twice", &format!("{CLUSTER}---\n{CLUSTER}"), "is there twice"),
        ] {
            let folder = folder(&[("a.yml", text)]);
            let problems = read(folder.path()).unwrap_err();
            assert!(problems.iter().any(|p| p.problem.contains(want)), "{name}: {problems:?}");
            assert!(problems[0].path.ends_with("a.yml"), "{name}");
        }
        assert!(read(Path::new("/nonexistent")).unwrap_err()[0].to_string().starts_with("/nonexistent: "));
    }

    #[test]
    fn a_cluster_that_cannot_be_used_is_known_with_its_reason() {
        let folder = folder(&[("a.yaml", &CLUSTER.replace("10.1.0.0/16", "10.1.0.0/99"))]);
        let snapshot = read(folder.path()).unwrap();
        let errors = snapshot.cluster("shoot--a--b").unwrap().as_ref().clone().unwrap_err();
        assert_eq!(errors[0].path, "spec.shoot.spec.networking.nodes");
    }

    #[test]
    fn links_and_pipes_are_no_trap() {
        let folder = folder(&[("a.yaml", CLUSTER)]);
        std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("a.yaml", folder.path().join("..data.yaml")).unwrap();
        std::os::unix::fs::symlink("somebody@somewhere", folder.path().join(".#a.yaml")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe.yaml")).status().unwrap().success());
        assert_eq!(read(folder.path()).unwrap().cluster_count(), 1);
    }

    /// Whatever somebody has written so far of a manifest, it is not taken for something that does not concern us.
    #[test]
    fn the_beginning_of_a_manifest_is_broken() {
        let shoot = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {name: web, namespace: garden-shop}\nspec: {}\n";
        let json = r#"{"kind": "Shoot", "apiVersion": "core.gardener.cloud/v1beta1", "metadata": {"name": "a", "namespace": "b"}}"#;
        let list = format!("apiVersion: v1\nitems:\n- {}kind: List\n", shoot.trim_end().replace('\n', "\n  ") + "\n");
        for (name, text) in [("Shoot", shoot), ("Cluster", CLUSTER), ("JSON", json), ("List", &list)] {
            for end in 1..text.len() {
                let folder = folder(&[("a.yaml", &text[..end])]);
                let Read { snapshot, remarks } = load(folder.path(), &Arc::default()).unwrap();
                let is_there = snapshot.cluster_count() + snapshot.shoots.len() == 1;
                let is_lost = remarks.iter().any(|(_, remark)| remark.is_loss());
                assert!(is_there || is_lost, "{name}: {:?}: {remarks:?}", &text[..end]);
            }
        }
    }

    /// What cannot be read of a folder is named, and the rest is read.
    #[test]
    fn a_link_to_nowhere_is_named() {
        let folder = folder(&[("a.yaml", CLUSTER)]);
        std::os::unix::fs::symlink("gone.yaml", folder.path().join("b.yaml")).unwrap();
        let Read { snapshot, remarks } = load(folder.path(), &Arc::default()).unwrap();
        assert_eq!((snapshot.cluster_count(), remarks.len()), (1, 1));
        assert!(remarks[0].1.to_string().starts_with("line 1: the file: No such file"), "{remarks:?}");
    }

    /// A Cluster that one file has whole has not lost its `spec` because another one lacks it.
    #[test]
    fn a_cluster_that_is_whole_elsewhere_is_not_lost() {
        let (head, _) = CLUSTER.split_once("spec:").unwrap();
        let whole = folder(&[("a.yaml", CLUSTER), ("b.yaml", head)]);
        let read = load(whole.path(), &Arc::default()).unwrap();
        assert_eq!(broken(&read, &read.snapshot), []);
        let lost = load(folder(&[("b.yaml", head)]).path(), &Arc::default()).unwrap();
        assert_eq!(broken(&lost, &read.snapshot).len(), 1);
    }

    /// The time of a file may lie in the future; it is read again when it changes, and not each second.
    #[test]
    fn a_file_of_the_future_is_read_once() {
        let folder = folder(&[("a.yaml", CLUSTER)]);
        let path = folder.path().join("a.yaml");
        let set = |time: SystemTime| fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let hour = Duration::from_secs(3_600);
        for time in [SystemTime::now() + hour, SystemTime::now() - hour] {
            set(time);
            let (seen, read) = look(folder.path(), &Seen::default(), &Arc::default());
            assert!(read.is_some());
            assert!(look(folder.path(), &seen, &Arc::default()).1.is_none(), "{time:?}");
        }
        set(SystemTime::now());
        let (seen, _) = look(folder.path(), &Seen::default(), &Arc::default());
        assert!(look(folder.path(), &seen, &Arc::default()).1.is_some(), "it may change again unseen");
    }

    /// A Cluster that never had a `spec` stands in nobody's way.
    #[test]
    fn what_cannot_be_used_is_left_out_and_named() {
        let (head, _) = CLUSTER.split_once("spec:").unwrap();
        let old = "apiVersion: core.gardener.cloud/v1alpha1\nkind: Seed\nmetadata: {name: s}\n";
        let folder = folder(&[
            ("a.yaml", CLUSTER),
            ("b.yaml", &head.replace("shoot--a--b", "bare")),
            ("c.yaml", old),
            ("kustomization.yaml", "resources: [a.yaml]\n"),
            ("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: x, a: y}\n"),
            ("template.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {{ .Values.data }}\n  a: b\n"),
        ]);
        let Read { snapshot, remarks } = load(folder.path(), &Arc::default()).unwrap();
        assert_eq!(snapshot.cluster_count(), 1);
        let named: Vec<String> =
            remarks.iter().map(|(path, remark)| format!("{}: {remark}", path.file_name().unwrap().display())).collect();
        for (named, want) in named.iter().zip([
            "b.yaml: line 1: Cluster bare: it has no `spec`",
            "c.yaml: line 1: Seed s: Gardener does not serve core.gardener.cloud/v1alpha1 any more",
            "kustomization.yaml: line 1: a document: is no manifest",
            "secret.yaml: line 1: Secret s: is of a kind that is not read",
            "template.yaml: line 3: a ConfigMap: cannot be read: ",
        ]) {
            assert!(named.starts_with(want), "{named}");
        }
        assert_eq!(named.len(), 5, "{named:?}");
        assert!(read(folder.path()).is_ok(), "nothing of it is broken");
    }

    #[tokio::test]
    async fn follows_changes_and_keeps_the_last_good_state() {
        let folder = folder(&[("a.yaml", CLUSTER)]);
        let landscape = Arc::new(Landscape::new(1));
        let task = tokio::spawn(follow(folder.path().to_owned(), landscape.feed(0)));
        let count = async |want: usize| {
            for _ in 0..900 {
                if landscape.is_synced() && landscape.snapshot().cluster_count() == want {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{} Clusters, not {want}", landscape.snapshot().cluster_count());
        };
        count(1).await;
        fs::write(folder.path().join("b.yaml"), CLUSTER.replace("shoot--a--b", "x")).unwrap();
        count(2).await;
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        // Each look is a sign of life. The first one may have begun before.
        let last_sign = || landscape.feeds[0].last_sign.load(std::sync::atomic::Ordering::Relaxed);
        let (head, _) = CLUSTER.split_once("spec:").unwrap();
        for broken in ["a: [", "apiVersion: extensions.gard", &head.replace("shoot--a--b", "x")] {
            fs::write(folder.path().join("b.yaml"), broken).unwrap();
            for _ in 0..4 {
                let last = last_sign();
                let looked = async {
                    while last_sign() == last {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(90), looked).await.expect("it looks on");
            }
            assert_eq!(landscape.snapshot().cluster_count(), 2, "{broken}");
        }
        fs::remove_file(folder.path().join("b.yaml")).unwrap();
        count(0).await;
        task.abort();
    }
}
