//! How a folder of files is read, followed, and reported.

use std::sync::Arc;

use super::super::LandscapeCache;
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
fn errors_name_their_place() {
    for (name, text, want) in [
        ("not YAML", "a: [", "line 1"),
        ("no kind", "apiVersion: v1\n", "needs `apiVersion` and `kind`"),
        ("second document", &format!("{CLUSTER}---\n{}", CLUSTER.replace("spec:\n", "spec: 5\n")), "line "),
        ("twice", &format!("{CLUSTER}---\n{CLUSTER}"), "is a duplicate"),
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
    assert_eq!(errors[0].path, "spec.shoot.spec.networking.nodes".into());
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

/// The beginning of a manifest, at any length, is not taken for a document of another kind.
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

/// What cannot be read in a folder is named, and the rest is read.
#[test]
fn a_dangling_link_is_named() {
    let folder = folder(&[("a.yaml", CLUSTER)]);
    std::os::unix::fs::symlink("gone.yaml", folder.path().join("b.yaml")).unwrap();
    let Read { snapshot, remarks } = load(folder.path(), &Arc::default()).unwrap();
    assert_eq!((snapshot.cluster_count(), remarks.len()), (1, 1));
    assert!(remarks[0].1.to_string().starts_with("line 1: the file: No such file"), "{remarks:?}");
}

/// A Cluster that is complete in one file has not lost its `spec` because another file lacks it.
#[test]
fn a_cluster_that_is_complete_elsewhere_is_not_lost() {
    let (head, _) = CLUSTER.split_once("spec:").unwrap();
    let whole = folder(&[("a.yaml", CLUSTER), ("b.yaml", head)]);
    let read = load(whole.path(), &Arc::default()).unwrap();
    assert_eq!(broken(&read, &read.snapshot), []);
    let lost = load(folder(&[("b.yaml", head)]).path(), &Arc::default()).unwrap();
    assert_eq!(broken(&lost, &read.snapshot).len(), 1);
}

fn plain(files: &[Found]) -> Read {
    parse(files, &Arc::default())
}

/// A file that is emptied after it was found is not taken for an empty one, unless the folder never comes to rest.
#[test]
fn a_file_that_is_emptied_while_it_is_read_is_waited_for() {
    let folder = folder(&[("a.yaml", CLUSTER)]);
    let path = folder.path().join("a.yaml");
    let clusters = |look: Look| look.1.map(|read| read.unwrap().snapshot.cluster_count());
    let (seen, read) = look(folder.path(), &Seen::default(), |files| {
        fs::write(&path, "").unwrap();
        plain(files)
    });
    assert!(read.is_none(), "it is being written");
    fs::write(&path, CLUSTER).unwrap();
    let (seen, read) = look(folder.path(), &seen, plain);
    assert!(read.is_none(), "it differs from the look before");
    assert_eq!(clusters(look(folder.path(), &seen, plain)), Some(1));

    // Each time it is read, it has another length.
    let mut seen = Seen::default();
    let reads = (1..=MOST_UNSETTLED).map(|length| {
        let (now, read) = look(folder.path(), &seen, |files| {
            fs::write(&path, "#".repeat(length as usize)).unwrap();
            plain(files)
        });
        seen = now;
        read.is_some()
    });
    let reads: Vec<bool> = reads.collect();
    assert!(!reads[0] && reads.contains(&true), "{reads:?}");
}

/// The time of a file may lie in the future; the file is read again when it changes, and not each second.
#[test]
fn a_file_with_a_future_time_is_read_once() {
    let folder = folder(&[("a.yaml", CLUSTER)]);
    let path = folder.path().join("a.yaml");
    let set = |time: SystemTime| fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let hour = Duration::from_secs(3_600);
    for time in [SystemTime::now() + hour, SystemTime::now() - hour] {
        set(time);
        let (seen, read) = look(folder.path(), &Seen::default(), plain);
        assert!(read.is_some());
        assert!(look(folder.path(), &seen, plain).1.is_none(), "{time:?}");
    }
    set(SystemTime::now());
    let (seen, _) = look(folder.path(), &Seen::default(), plain);
    assert!(look(folder.path(), &seen, plain).1.is_some(), "it may change again unseen");
}

/// A Cluster that never had a `spec` blocks nothing.
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
    let landscape = Arc::new(LandscapeCache::new(1));
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
    // Each look is a heartbeat. The first one may have begun before.
    let last_sign = || landscape.feeds[0].last_sign.load(std::sync::atomic::Ordering::Relaxed);
    let (head, _) = CLUSTER.split_once("spec:").unwrap();
    for broken in ["a: [", "apiVersion: extensions.gard", &head.replace("shoot--a--b", "x")] {
        // Neither an empty file nor the good one alone is seen, however long this is interrupted.
        fs::write(folder.path().join("b.new"), broken).unwrap();
        fs::rename(folder.path().join("b.new"), folder.path().join("b.yaml")).unwrap();
        let _ = fs::remove_file(folder.path().join("a.yaml"));
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
