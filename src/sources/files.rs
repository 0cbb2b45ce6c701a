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
use std::time::Duration;

use serde::Deserialize;

use super::Landscape;
use crate::gardener::{ClusterFacts, ClusterSpec};
use crate::landscape::Snapshot;

/// How often the folder is compared with what was read last.
const POLL: Duration = Duration::from_secs(1);

/// What is wrong with a folder.
#[derive(Debug, Eq, PartialEq)]
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

/// The texts of all files of a folder, in order of their paths.
type Texts = Vec<(PathBuf, String)>;

/// Reads a folder once.
pub fn read(folder: &Path) -> Result<Snapshot, Vec<FileProblem>> {
    parse(&texts(folder).map_err(|problem| vec![problem])?)
}

/// Keeps the landscape like the folder, until the task is dropped.
pub async fn follow(folder: PathBuf, landscape: Arc<Landscape>) {
    let mut last: Option<Result<Texts, FileProblem>> = None;
    loop {
        let folder = folder.clone();
        // Reading a folder blocks; it gets a thread that may.
        let read = tokio::task::spawn_blocking(move || texts(&folder)).await;
        if let Ok(texts) = read {
            landscape.sign();
            if last.as_ref() != Some(&texts) {
                match texts.as_ref().map_err(|problem| vec![problem]).map(parse) {
                    Ok(Ok(snapshot)) => {
                        tracing::info!(clusters = snapshot.cluster_count(), "landscape read from its folder");
                        landscape.update(|current| *current = snapshot);
                        landscape.set_synced();
                    }
                    Ok(Err(problems)) => report(&problems.iter().collect::<Vec<_>>()),
                    Err(problems) => report(&problems),
                }
                last = Some(texts);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

fn report(problems: &[&FileProblem]) {
    for problem in problems {
        tracing::error!(path = %problem.path.display(), problem = %problem.problem, "the last good landscape stays in use");
    }
}

fn texts(folder: &Path) -> Result<Texts, FileProblem> {
    let mut texts = Vec::new();
    collect(folder, &mut texts)?;
    texts.sort();
    Ok(texts)
}

fn collect(folder: &Path, texts: &mut Texts) -> Result<(), FileProblem> {
    let problem = |path: &Path, error: &io::Error| FileProblem { path: path.to_owned(), problem: error.to_string() };
    for entry in fs::read_dir(folder).map_err(|error| problem(folder, &error))? {
        let entry = entry.map_err(|error| problem(folder, &error))?;
        let path = entry.path();
        // A mounted ConfigMap has its files twice: beside, and in the hidden folder that they are links into.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        if path.is_dir() {
            collect(&path, texts)?;
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            let text = fs::read_to_string(&path).map_err(|error| problem(&path, &error))?;
            texts.push((path, text));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    metadata: Metadata,
    spec: ClusterSpec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

fn parse(texts: &Texts) -> Result<Snapshot, Vec<FileProblem>> {
    let mut snapshot = Snapshot::default();
    let mut problems = Vec::new();
    for (path, text) in texts {
        for document in documents(text) {
            if let Err(problem) = parse_document(&document, &mut snapshot) {
                problems.push(FileProblem { path: path.clone(), problem });
            }
        }
    }
    if problems.is_empty() { Ok(snapshot) } else { Err(problems) }
}

fn parse_document(document: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let header: Option<Header> = serde_saphyr::from_str(document).map_err(|error| error.to_string())?;
    let Some(header) = header else { return Ok(()) };
    match (header.api_version.as_deref(), header.kind.as_deref()) {
        (Some("extensions.gardener.cloud/v1alpha1"), Some("Cluster")) => {
            let cluster: Cluster = serde_saphyr::from_str(document).map_err(|error| error.to_string())?;
            if snapshot.cluster(&cluster.metadata.name).is_some() {
                return Err(format!("Cluster `{}` is there twice", cluster.metadata.name));
            }
            snapshot.put_cluster(&cluster.metadata.name, ClusterFacts::from_spec(cluster.spec));
            Ok(())
        }
        (None, _) | (_, None) => Err("a manifest needs `apiVersion` and `kind`".to_owned()),
        _ => Ok(()),
    }
}

/// Splits a file at its document markers. Each document is preceded by as many empty lines as stand before it in the
/// file, so that places in errors are those of the file.
fn documents(text: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut document = String::new();
    let mut has_content = false;
    for (number, line) in text.lines().enumerate() {
        if line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#')) {
            if has_content {
                documents.push(std::mem::take(&mut document));
            }
            document = "\n".repeat(number + 1);
            has_content = false;
            continue;
        }
        has_content |= !line.trim().is_empty() && !line.trim_start().starts_with('#');
        document.push_str(line);
        document.push('\n');
    }
    if has_content {
        documents.push(document);
    }
    documents
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn follows_changes_and_keeps_the_last_good_state() {
        let folder = folder(&[("a.yaml", CLUSTER)]);
        let landscape = Arc::new(Landscape::default());
        let task = tokio::spawn(follow(folder.path().to_owned(), Arc::clone(&landscape)));
        let count = async |want: usize| {
            for _ in 0..100 {
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
        tokio::time::sleep(POLL * 2).await;
        count(2).await;
        fs::remove_file(folder.path().join("b.yaml")).unwrap();
        count(0).await;
        task.abort();
    }
}
