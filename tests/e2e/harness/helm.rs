//! The charts, linted and rendered by Helm.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Output, control_plane, tool};

/// A chart, by its folder in `charts/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chart(&'static str);

impl Chart {
    /// Everything on a Seed.
    pub const SEED: Self = Self("gardener-extension-network-guard");
    /// Both charts of the garden.
    pub const ADMISSION: Self = Self("gardener-extension-admission-network-guard");
    /// The server, in the garden's runtime cluster.
    pub const RUNTIME: Self = Self("gardener-extension-admission-network-guard/charts/runtime");
    /// Rights and registration, in the virtual garden.
    pub const APPLICATION: Self = Self("gardener-extension-admission-network-guard/charts/application");

    /// All of them.
    pub const ALL: [Self; 4] = [Self::SEED, Self::ADMISSION, Self::RUNTIME, Self::APPLICATION];

    /// Its folder.
    pub fn folder(self) -> PathBuf {
        charts().join(self.0)
    }

    /// The text of one of its files.
    pub fn file(self, name: &str) -> String {
        let path = self.folder().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// `helm lint --strict`.
    pub fn lint(self, values: &Value) -> Output {
        self.helm(&["lint", "--strict"], &[], values)
    }

    /// `helm template` of a release with the name of the component; what Helm says when it refuses.
    pub fn template(self, namespace: &str, values: &Value) -> Result<String, String> {
        self.template_for(&["monitoring.coreos.com/v1", "autoscaling.k8s.io/v1"], namespace, values)
    }

    /// The same for a cluster that has these kinds besides those of Kubernetes.
    pub fn template_for(self, apis: &[&str], namespace: &str, values: &Value) -> Result<String, String> {
        let mut flags = vec!["--namespace", namespace, "--kube-version", "1.36.0"];
        flags.extend(apis.iter().flat_map(|api| ["--api-versions", api]));
        let output = self.helm(&["template", "network-guard"], &flags, values);
        if output.ok { Ok(output.stdout) } else { Err(output.stderr) }
    }

    /// The rendered objects.
    #[track_caller]
    pub fn render(self, namespace: &str, values: &Value) -> Vec<Value> {
        let text = self.template(namespace, values).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        documents(&text)
    }

    /// `helm package`; gives the file.
    pub fn package(self, folder: &Path) -> PathBuf {
        let mut helm = Command::new(tool("helm"));
        helm.arg("package").arg(self.folder()).arg("--destination").arg(folder);
        let output = control_plane::run(&mut helm, None);
        assert!(output.ok, "{output:?}");
        PathBuf::from(output.stdout.trim().rsplit(": ").next().unwrap())
    }

    /// The same without any values.
    pub fn template_without_values(self, namespace: &str) -> Output {
        let mut helm = Command::new(tool("helm"));
        helm.args(["template", "network-guard", "--kube-version", "1.36.0", "--namespace", namespace])
            .arg(self.folder());
        control_plane::run(&mut helm, None)
    }

    /// What nobody can leave out: where the image is.
    pub fn least(self) -> Value {
        let image = json!({"image": {"repository": "registry.example.com/network-guard"}});
        if self == Self::ADMISSION { json!({"runtime": image}) } else { image }
    }

    /// Any command of Helm that takes a chart and values, beside those that nobody can leave out.
    pub fn helm(self, command: &[&str], flags: &[&str], values: &Value) -> Output {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut helm = Command::new(tool("helm"));
        helm.args(command).arg(self.folder()).args(flags);
        for (name, values) in [("least", &self.least()), ("values", values)] {
            let file = folder.path().join(name);
            std::fs::write(&file, values.to_string()).unwrap();
            helm.arg("--values").arg(&file);
        }
        // Nothing of the user who runs the tests counts, and nothing is left behind.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HELM_")) {
            helm.env_remove(name);
        }
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(name, folder.path());
        }
        control_plane::run(&mut helm, None)
    }
}

/// The folder of all charts.
pub fn charts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts")
}

/// The objects of a text with several documents.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let mut found = vec![String::new()];
    for line in text.lines() {
        if line == "---" {
            found.push(String::new());
        } else {
            writeln!(found.last_mut().unwrap(), "{line}").unwrap();
        }
    }
    let parse =
        |text: &String| serde_saphyr::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    found.iter().map(parse).filter(|object| !object.is_null()).collect()
}

/// The only object of a kind.
#[track_caller]
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "objects of kind {kind}");
    found[0]
}
