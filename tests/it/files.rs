//! Files as people have them: what kubectl reads is judged, and what is not read is named.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

#[allow(dead_code, reason = "Clusters are for the bounds")]
#[path = "../bounds/stored.rs"]
mod stored;

/// What a call prints, its exit code first, and paths as from here.
fn output(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_network-guard"))
        .env_clear()
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files"))
        .args(arguments)
        .output()
        .unwrap();
    format!(
        "exit code {}\n{}{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/fixtures/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What `check` says about a file of this text.
fn check(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.yaml");
    fs::write(&path, text).unwrap();
    output(&["check", path.to_str().unwrap()]).replace(&format!("{}/", folder.path().display()), "")
}

const ACCEPTED: &str = "exit code 0\nfile.yaml: garden-shop/web: accepted\n1 Shoot: 0 refused, 0 with warnings\n";

fn shoot() -> String {
    fixture("folder/shoot.yaml").replace("100.96.0.1/11", "100.96.0.0/11")
}

#[test]
fn what_kubectl_reads_is_judged() {
    let shoot = shoot();
    let comments = |count| "  # an option that is not used\n".repeat(count);
    let json = serde_json::to_string_pretty(&serde_saphyr::from_str::<serde_json::Value>(&shoot).unwrap()).unwrap();
    let aliases = format!("  x:\n{}", "  - *l\n".repeat(100));
    let indented = format!("  {}", shoot.trim_end().replace('\n', "\n  "));
    for (name, text) in [
        ("as it is", shoot.clone()),
        ("33 comments", shoot.replace("spec:\n", &format!("spec:\n{}", comments(33)))),
        ("1,000 comments", shoot.replace("spec:\n", &format!("spec:\n{}", comments(1_000)))),
        ("comments before and behind", format!("{0}{shoot}{0}---\n{0}", comments(200).replace("  ", ""))),
        ("100 aliases", format!("{}{aliases}", shoot.replace("  namespace:", "  labels: &l {a: b}\n  namespace:"))),
        ("on one line", format!("--- {}\n", json.replace('\n', " "))),
        ("a directive", format!("%YAML 1.2\n---\n{shoot}")),
        ("JSON", json),
        ("a list", format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", &indented[2..])),
        ("Windows", format!("\u{feff}{}", shoot.replace('\n', "\r\n"))),
    ] {
        assert_eq!(check(&text), ACCEPTED, "{name}");
    }
    let untidy = check(&fixture("folder/shoot.yaml").replace("spec:\n", &format!("spec:\n{}", comments(33))));
    assert!(untidy.starts_with("exit code 1\n") && untidy.contains("(networks/not-canonical)"), "{untidy}");
    let config = format!(
        "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n{}",
        comments(300)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, config).unwrap();
    let said = output(&["check", "--config", path.to_str().unwrap(), "folder/shoot.yaml"]);
    assert!(said.starts_with("exit code 1\n") && said.contains("(networks/not-canonical)"), "{said}");
}

#[test]
fn a_list_of_many_stored_shoots_is_judged() {
    let list: String = (0..1_000).map(stored::shoot).collect();
    let said = check(&format!("apiVersion: v1\nitems:\n{list}kind: List\nmetadata:\n  resourceVersion: \"\"\n"));
    assert!(said.starts_with("exit code 0\n"), "{}", &said[..said.len().min(2_000)]);
    assert!(
        said.ends_with("\n1000 Shoots: 0 refused, 0 with warnings\n"),
        "{}",
        &said[said.len().saturating_sub(500)..]
    );
}

#[test]
fn what_is_not_read_is_named_and_the_rest_is_judged() {
    insta::assert_snapshot!("files_folder", output(&["check", "folder"]));
    insta::assert_snapshot!("files_no_namespace", output(&["check", "folder/shoot.yaml", "base.yaml"]));
    insta::assert_snapshot!("files_empty_extension", output(&["check", "null-extension.yaml", "folder/shoot.yaml"]));
    insta::assert_snapshot!("files_only_others", output(&["check", "folder/secret.yaml", "folder/values.yaml"]));
    let old = check(&format!("{0}---\n{1}", shoot(), shoot().replace("v1beta1", "v1alpha1").replace("web", "old")));
    assert_eq!(
        old,
        "exit code 2\nfile.yaml: garden-shop/web: accepted\nfile.yaml: line 21: not read: Shoot garden-shop/old: Gardener does \
         not serve core.gardener.cloud/v1alpha1 any more; write core.gardener.cloud/v1beta1\n1 Shoot: 0 refused, 0 with \
         warnings; 1 could not be read\n"
    );
    let twice = check(&shoot().replace("    type: calico\n", "    type: other\n    type: calico\n"));
    assert_eq!(
        twice,
        "exit code 0\nfile.yaml: garden-shop/web: accepted\nfile.yaml: line 9: note: `type`: is a duplicate; the last one counts, \
         as for kubectl\n1 Shoot: 0 refused, 0 with warnings\n"
    );
}

#[test]
fn without_a_landscape_seeds_are_not_verified() {
    insta::assert_snapshot!("files_peers", output(&["check", "peers.yaml"]));
    let seed =
        |name: &str| format!("apiVersion: core.gardener.cloud/v1beta1\nkind: Seed\nmetadata: {{name: {name}}}\n---\n");
    // A Seed in the files counts, and one that is in none may be there all the same.
    for (name, outcome) in
        [("s1", "exit code 0\nfile.yaml: garden-shop/web: accepted\n"), ("s2", "Seed s1 was not verified")]
    {
        let said = check(&format!("{}{}", seed(name), fixture("peers.yaml")));
        assert!(said.starts_with("exit code 0\n") && said.contains(outcome), "{name}: {said}");
    }
    // A landscape says all.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("seed.yaml"), seed("s2")).unwrap();
    let said = output(&["check", "--landscape", folder.path().to_str().unwrap(), "peers.yaml"]);
    assert!(said.starts_with("exit code 1\n") && said.contains("there is no Seed \"s1\""), "{said}");
}

/// Seeds are looked up for peers only, whatever else has the name of their list.
#[test]
fn who_lists_nobody_hears_nothing_of_seeds() {
    let peers = fixture("peers.yaml");
    let (web, _) = peers.split_once("---\n").unwrap();
    let (before, entries) = web.split_once("      shootPeerings:\n").unwrap();
    let (_, after) = entries.split_once("    type: osc").unwrap();
    let list = |list: &str| format!("{before}      shootPeerings: {list}\n    type: osc{after}");
    let named = |shoot: String| shoot.replace("metadata:\n", "metadata:\n  annotations: {shootPeerings: \"[x]\"}\n");
    for (name, text) in [
        ("an empty list", list("[]")),
        ("null", list("null")),
        ("an annotation of that name", named(list("[]"))),
        ("disabled", web.replace("  - providerConfig:", "  - disabled: true\n    providerConfig:")),
    ] {
        let said = check(&text);
        assert!(said.starts_with("exit code 0\n") && !said.contains("not verified"), "{name}: {said}");
    }
    let said = check(&named(web.to_owned()));
    assert_eq!(
        said.matches("was not verified: no landscape was given; give its folder with --landscape").count(),
        2,
        "{said}"
    );
}

/// A file that is larger than the bound is named, and nothing of it is read: it is a hole, which takes no room on a disk.
#[test]
fn a_file_that_is_too_large_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let large = |name: &str| {
        let path = folder.path().join(name);
        fs::File::create(&path).unwrap().set_len(network_guard_sources::yaml::MOST_BYTES + 1).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let why = "is larger than 1024 MiB, more than is read at once: split it";
    let path = large("large.yaml");
    let said = output(&["check", &path, "folder/shoot.yaml"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("garden-shop/web: refused"), "{said}");
    assert!(said.contains(&format!("{path}: line 1: not read: the file: {why}\n")), "{said}");
    let said = output(&["check", "--config", &path, "folder/shoot.yaml"]);
    assert_eq!(said, format!("exit code 2\nerror: cannot read the configuration {path}: {why}\n"));
    // In a folder the rest is judged.
    let landscape = folder.path().to_str().unwrap();
    fs::write(folder.path().join("cluster.yaml"), CLUSTER).unwrap();
    let said = output(&["overlaps", "--landscape", landscape]);
    assert!(said.starts_with("exit code 2\n") && said.contains("shoot--a--b"), "{said}");
    assert!(said.contains(&format!("{path}: line 1: the file: {why}\n")), "{said}");
    let said = output(&["check", "--landscape", landscape, "folder/shoot.yaml"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("garden-shop/web: refused"), "{said}");
    assert!(said.contains(&format!("{path}: line 1: not read: the file: {why}\n")), "{said}");
}

/// What is beside Shoots in people's folders is named, and the Shoots are judged; only what may be one of them, a Seed or a
/// Cluster, makes the exit code 2.
#[test]
fn the_rest_of_a_folder_is_judged_whatever_is_in_it() {
    const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r}\n";
    for (name, text, code, user, said) in [
        ("latin.yaml", &b"# gr\xfc\xdfe\nreplicas: 1\n"[..], 0, false, "note: the file: has a byte that is not UTF-8; it is read as kubectl does"),
        ("base.yaml", RIGHTS.as_bytes(), 0, false, "RoleBinding r: needs `metadata.namespace`"),
        ("base.yaml", RIGHTS.as_bytes(), 2, true, "RoleBinding r: needs `metadata.namespace`"),
        ("null.yaml", b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: r}\nsubjects: null\n", 0, true, ""),
        ("old.yaml", b"apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: d}\n", 0, false, "apps/v1beta1 is not read"),
        ("chart.yaml", b"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n  a: b\n", 0, false, "a Deployment: cannot be read"),
        ("chart.yaml", b"kind: Seed\nmetadata:\n  name: {{ .Release.Name }}\n  a: b\n", 2, false, "a Seed: cannot be read"),
        ("gone.yaml", b"", 2, false, "not read: the file: No such file or directory"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("shoot.yaml"), shoot()).unwrap();
        let path = folder.path().join(name);
        if name == "gone.yaml" {
            std::os::unix::fs::symlink("nowhere.yaml", path).unwrap();
        } else {
            fs::write(path, text).unwrap();
        }
        let mut arguments = vec!["check", folder.path().to_str().unwrap()];
        if user {
            arguments.extend(["--as", "alice"]);
        }
        let got = output(&arguments);
        assert!(got.starts_with(&format!("exit code {code}\n")) && got.contains(said), "{name}: {got}");
        assert!(got.contains("garden-shop/web: accepted\n"), "{name}: {got}");
    }
}

/// A Seed that cannot be read may be the one that is named: nobody is refused for it.
#[test]
fn a_seed_that_cannot_be_read_is_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let seed = "apiVersion: core.gardener.cloud/v1beta1\nkind: Seed\nmetadata: {name: s1}\nspec: [1]\n";
    fs::write(folder.path().join("seed.yaml"), seed).unwrap();
    let said = output(&["check", "--landscape", folder.path().to_str().unwrap(), "peers.yaml"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("2 Shoots: 0 refused"), "{said}");
    assert!(said.contains("Seed s1 was not verified: not all files could be read; correct them"), "{said}");
}

/// What the server fills in is filled in before a Shoot is judged, and a guess is told.
#[test]
fn what_the_server_fills_in_is_filled_in() {
    let peers = fixture("peers.yaml");
    let bare = peers.replace("        namespace: garden-shop\n        seed: s1\n", "");
    let seed = "apiVersion: core.gardener.cloud/v1beta1\nkind: Seed\nmetadata: {name: s1}\n---\n";
    let said = check(&format!("{seed}{bare}"));
    assert!(said.starts_with("exit code 0\nfile.yaml: garden-shop/web: accepted, with warnings\n"), "{said}");
    assert_eq!(said.matches("(peering/namespace-filled-in)").count(), 2, "{said}");
    assert!(said.ends_with("2 Shoots: 0 refused, 2 with warnings\n"), "{said}");
    let without_seed = peers.replace("        seed: s1\n", "");
    assert_eq!(
        check(&format!("{seed}{without_seed}")).lines().next_back(),
        Some("2 Shoots: 0 refused, 0 with warnings")
    );
}

/// As `kubectl get shoots -A -o yaml | network-guard check -`.
#[test]
fn standard_input_is_a_file() {
    let said =
        Command::new(env!("CARGO_BIN_EXE_network-guard")).args(["check", "-"]).write_stdin(shoot()).assert().success();
    let said = String::from_utf8_lossy(&said.get_output().stdout).into_owned();
    assert_eq!(said, "-: garden-shop/web: accepted\n1 Shoot: 0 refused, 0 with warnings\n");
}

/// Of JSON too, a duplicate key is reported, and refused in a configuration.
#[test]
fn keys_of_json_that_are_there_twice_are_told() {
    let json = r#"{"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
        "metadata": {"name": "a", "namespace": "x"}, "spec": {"networking": {"nodes": "10.1.0.0/27"}}, "spec": {}}"#;
    let said = check(json);
    assert!(said.contains("file.yaml: line 1: note: `spec`: is a duplicate; the last one counts"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let version = "config.network-guard.extensions.gardener.cloud/v1alpha1";
    fs::write(
        &path,
        format!(r#"{{"apiVersion": "{version}", "kind": "NetworkGuardConfiguration", "rules": {{}}, "rules": {{}}}}"#),
    )
    .unwrap();
    let said = output(&["check", "--config", path.to_str().unwrap(), "folder/shoot.yaml"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("line 1: the key \"rules\" is a duplicate"), "{said}");
}

const CLUSTER: &str = "apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Cluster\nmetadata: {name: shoot--a--b}\nspec:\n  seed: {spec: {networks: {pods: 10.0.0.0/8}}}\n  shoot: {spec: {networking: {nodes: 10.1.0.0/16}}}\n";

#[test]
fn a_landscape_is_read_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let bare = CLUSTER.split("spec:").next().unwrap().replace("shoot--a--b", "bare");
    fs::write(folder.path().join("a.yaml"), format!("{CLUSTER}---\n{bare}")).unwrap();
    fs::write(folder.path().join("values.yaml"), "replicas: 1\n").unwrap();
    let said = output(&["overlaps", "--landscape", path]);
    assert!(said.starts_with("exit code 2\n"), "{said}");
    assert!(said.contains("a.yaml: line 8: Cluster bare: it has no `spec`\n"), "{said}");
    assert!(said.contains("1 of 1 Shoot overlaps the Pods of its Seed; 1 could not be read\n"), "{said}");
    let said = output(&["check", "--landscape", path, "folder/shoot.yaml"]);
    assert!(said.starts_with("exit code 2\n"), "{said}");
    assert!(
        said.contains("garden-shop/web: refused")
            && said.contains("line 8: not read: Cluster bare: it has no `spec`\n"),
        "{said}"
    );
    assert!(!said.contains("values.yaml"), "{said}");
}
