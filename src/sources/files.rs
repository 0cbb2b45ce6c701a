//! A landscape from a folder of manifests: for trying out, tests and demos.
//!
//! All `.yaml`, `.yml` and `.json` files in any depth are read, each with any number of documents. Kinds that we have
//! no use for are skipped. When any file cannot be read or parsed, the problem is reported with its place and the
//! last good state stays.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Feed, manifests};
use crate::gardener::Vpcs;
use crate::landscape::Snapshot;

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
    modified: Option<SystemTime>,
}

/// A clock that stamps files may stand still for this long: what changed so recently may change again unseen.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// The manifests below a folder, in order of their paths.
pub fn paths(folder: &Path) -> Result<Vec<PathBuf>, FileProblem> {
    Ok(find(folder)?.into_iter().map(|found| found.path).collect())
}

/// Reads a folder once.
pub fn read(folder: &Path) -> Result<Snapshot, Vec<FileProblem>> {
    read_with(folder, &Arc::default())
}

/// Reads a folder once, and looks for the VPCs of Shoots as this says.
pub fn read_with(folder: &Path, vpcs: &Arc<Vpcs>) -> Result<Snapshot, Vec<FileProblem>> {
    parse(&find(folder).map_err(|problem| vec![problem])?, vpcs)
}

/// Keeps the landscape like the folder, until the task is dropped.
pub async fn follow(folder: PathBuf, feed: Feed) {
    let mut last: Option<Result<Vec<Found>, FileProblem>> = None;
    let vpcs = Arc::clone(feed.landscape.snapshot().shoots.vpcs());
    loop {
        // Reading a folder blocks; it gets a thread that may.
        let looked = tokio::task::spawn_blocking({
            let (folder, last, vpcs) = (folder.clone(), last.clone(), Arc::clone(&vpcs));
            move || look(&folder, last.as_ref(), &vpcs)
        });
        match looked.await {
            Ok((found, read)) => {
                feed.sign();
                match read {
                    Some(Ok(snapshot)) => {
                        tracing::info!(
                            clusters = snapshot.cluster_count(),
                            shoots = snapshot.shoots.len(),
                            seeds = snapshot.seed_count(),
                            "landscape read from its folder"
                        );
                        feed.update(|current| *current = snapshot);
                        feed.set_synced();
                    }
                    // Said once, not each second.
                    Some(Err(problems)) if last.as_ref() != Some(&found) => report(&problems),
                    Some(Err(_)) | None => {}
                }
                last = Some(found);
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

type Look = (Result<Vec<Found>, FileProblem>, Option<Result<Snapshot, Vec<FileProblem>>>);

/// Reads the folder if it may have changed since the last look.
fn look(folder: &Path, last: Option<&Result<Vec<Found>, FileProblem>>, vpcs: &Arc<Vpcs>) -> Look {
    let found = find(folder);
    let now = SystemTime::now();
    let is_recent = |file: &Found| file.modified.is_none_or(|modified| modified + CLOCK_STEP > now);
    let may_have_changed = last != Some(&found) || found.as_ref().is_ok_and(|files| files.iter().any(is_recent));
    let read = may_have_changed
        .then(|| found.as_ref().map_err(|problem| vec![problem.clone()]).map(|files| parse(files, vpcs)));
    (found, read.map(|read| read.and_then(|snapshot| snapshot)))
}

fn report(problems: &[FileProblem]) {
    for problem in problems {
        tracing::error!(path = %problem.path.display(), problem = %problem.problem, "the last good landscape stays in use");
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
            if !is_link {
                collect(&path, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            let metadata = fs::metadata(&path).map_err(|error| problem(&path, &error))?;
            // A pipe would be read for ever.
            if !metadata.is_file() {
                continue;
            }
            found.push(Found { path, length: metadata.len(), modified: metadata.modified().ok() });
        }
    }
    Ok(())
}

/// Reads all files, in order of their paths.
fn parse(files: &[Found], vpcs: &Arc<Vpcs>) -> Result<Snapshot, Vec<FileProblem>> {
    let mut snapshot = Snapshot::with_vpcs(Arc::clone(vpcs));
    let mut problems = Vec::new();
    for Found { path, .. } in files {
        match fs::read_to_string(path) {
            Ok(text) => {
                let read = if path.extension().is_some_and(|extension| extension == "json") {
                    manifests::read_json(&text, &mut snapshot).map_err(|problem| vec![problem])
                } else {
                    manifests::read_yaml(&text, &mut snapshot)
                };
                let found = read.err().unwrap_or_default();
                problems.extend(found.into_iter().map(|problem| FileProblem { path: path.clone(), problem }));
            }
            Err(error) => problems.push(problem(path, &error)),
        }
    }
    if problems.is_empty() { Ok(snapshot) } else { Err(problems) }
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
        fs::write(folder.path().join("b.yaml"), "a: [").unwrap();
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        // Each look is a sign of life. The first one may have begun before.
        let last_sign = || landscape.feeds[0].last_sign.load(std::sync::atomic::Ordering::Relaxed);
        for _ in 0..3 {
            let last = last_sign();
            let looked = async {
                while last_sign() == last {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(90), looked).await.expect("it looks on");
        }
        count(2).await;
        fs::remove_file(folder.path().join("b.yaml")).unwrap();
        count(0).await;
        task.abort();
    }
}
