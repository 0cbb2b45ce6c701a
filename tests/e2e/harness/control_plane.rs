//! etcd and kube-apiserver, and kubectl to talk to them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use network_guard::tls::{Authority, Issued};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Process, eventually, free_port, tool};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A control plane without any controller: what is written stays as it is.
pub struct ControlPlane {
    // Fields are dropped in this order: first the API server, then etcd, then their data.
    api_server: Process,
    _etcd: Process,
    ca: Authority,
    etcd_url: String,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

/// The result of a kubectl call.
#[derive(Debug)]
pub struct Output {
    /// Whether it succeeded.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error: denials and warnings.
    pub stderr: String,
}

/// kubectl with a kubeconfig.
#[derive(Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Starts both and waits until they are ready, with Gardener's CRDs and the namespaces of Shoots.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments for kube-apiserver.
    pub fn start_with(further: &[String]) -> Self {
        let control_plane = Self::start_bare(further);
        control_plane.set_up();
        control_plane
    }

    /// The same with nothing in it.
    pub fn start_bare(further: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{client}");
        let etcd = Process::start(
            folder.path(),
            "etcd",
            &tool("etcd"),
            &[
                format!("--data-dir={}", path("etcd")),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                // The data does not outlive the test, so it need not survive a crash.
                "--unsafe-no-fsync".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        );

        let ca = Authority::new("test CA", Timestamp::now(), DAY).unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        fs::write(path("ca.crt"), ca.certificate()).unwrap();
        write(folder.path(), "server", &ca.server(&names, Timestamp::now(), DAY).unwrap());
        write(folder.path(), "aggregator", &ca.client("aggregator", "aggregators", Timestamp::now(), DAY).unwrap());
        let mut arguments = vec![
            format!("--etcd-servers={etcd_url}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", path("server.crt")),
            format!("--tls-private-key-file={}", path("server.key")),
            format!("--client-ca-file={}", path("ca.crt")),
            "--authorization-mode=RBAC".to_owned(),
            // As on a Seed: the VPN's init container is privileged.
            "--allow-privileged=true".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", path("server.crt")),
            format!("--service-account-signing-key-file={}", path("server.key")),
            // No controller makes the service accounts and tokens that it waits for.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            // As whom it talks to aggregated API servers, and by which headers it tells them who asks.
            format!("--proxy-client-cert-file={}", path("aggregator.crt")),
            format!("--proxy-client-key-file={}", path("aggregator.key")),
            format!("--requestheader-client-ca-file={}", path("ca.crt")),
            "--requestheader-allowed-names=aggregator".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-uid-headers=X-Remote-Uid".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        ];
        arguments.extend_from_slice(further);
        let api_server = Process::start(folder.path(), "kube-apiserver", &tool("kube-apiserver"), &arguments);
        let mut control_plane = Self { api_server, _etcd: etcd, ca, etcd_url, port, arguments, folder };
        control_plane.wait_until_ready();
        control_plane
    }

    fn wait_until_ready(&mut self) {
        let admin = self.admin();
        eventually("kube-apiserver is ready", || {
            assert!(self.api_server.is_running(), "kube-apiserver ended. {}", self.api_server.last_words());
            let output = admin.run(&["get", "--raw", "/readyz"], None);
            output.ok.then_some(()).ok_or(output.stderr)
        });
    }

    fn set_up(&self) {
        let admin = self.admin();
        let crds = tool("seed-crds");
        for name in ["clusters", "networks"] {
            let crd = crds.join(format!("10-crd-extensions.gardener.cloud_{name}.yaml"));
            admin.ok(&["apply", "-f", &crd.display().to_string()], None);
        }
        admin.ok(
            &["wait", "--for=condition=Established", "crd/clusters.extensions.gardener.cloud", "--timeout=60s"],
            None,
        );
        // Who writes Deployments, and what the webhook may read: the table in docs/operations.md.
        admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "gardenlet"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "gardenlet"}],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "network-guard"},
                "rules": [{"apiGroups": ["extensions.gardener.cloud"], "resources": ["clusters"], "verbs": ["get", "list", "watch"]}],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "network-guard"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "network-guard"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "network-guard"}],
            },
        ]}));
    }

    /// The folder of this control plane.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A kubeconfig for a user in a group.
    pub fn kubeconfig(&self, user: &str, group: &str) -> PathBuf {
        let path = self.folder.path().join(format!("kubeconfig-{user}"));
        if path.exists() {
            return path;
        }
        let (certificate, key) =
            write(self.folder(), &format!("user-{user}"), &self.ca.client(user, group, Timestamp::now(), DAY).unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.folder.path().join("ca.crt"),
            }}],
            "users": [{"name": user, "user": {"client-certificate": certificate, "client-key": key}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        });
        fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }

    /// kubectl as a user who may do everything.
    pub fn admin(&self) -> Kubectl {
        self.kubectl("admin", "system:masters")
    }

    /// kubectl as a user in a group.
    pub fn kubectl(&self, user: &str, group: &str) -> Kubectl {
        Kubectl { kubeconfig: self.kubeconfig(user, group) }
    }

    /// The certificate of the one CA.
    pub fn ca_certificate(&self) -> &str {
        self.ca.certificate()
    }

    /// Certificate and key for a further server.
    pub fn server_certificate(&self, file: &str, names: &[String]) -> (PathBuf, PathBuf) {
        write(self.folder(), file, &self.ca.server(names, Timestamp::now(), DAY).unwrap())
    }

    /// Where etcd is.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// Writes a Deployment as gardenlet does: read, replace labels and spec, send a merge patch. Gives what the
    /// program printed: the result, and the generation before and after.
    pub fn gardenlet_writes(&self, deployment: &Value) -> Output {
        let file = self.folder.path().join("desired.json");
        fs::write(&file, deployment.to_string()).unwrap();
        let kubeconfig = self.kubeconfig("gardenlet", "gardenlets");
        let arguments =
            ["-kubeconfig", &kubeconfig.display().to_string(), "-f", &file.display().to_string()].map(str::to_owned);
        run(Command::new(tool("gardenlet-write")).args(arguments), None)
    }

    /// Applies the fixture Cluster of a case and the namespace of its Shoot.
    pub fn apply_cluster(&self, cluster: &Value) {
        let admin = self.admin();
        admin.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": cluster["metadata"]["name"], "labels": {"gardener.cloud/role": "shoot"}},
        }));
        admin.apply(cluster);
    }

    /// Stops the API server; etcd and its data stay.
    pub fn stop_api_server(&mut self) {
        self.api_server.kill();
    }

    /// Starts the API server again.
    pub fn start_api_server(&mut self) {
        self.api_server =
            Process::start(self.folder.path(), "kube-apiserver", &tool("kube-apiserver"), &self.arguments);
        self.wait_until_ready();
    }

    /// What the API server has logged.
    pub fn log(&self) -> String {
        self.api_server.output()
    }
}

impl Kubectl {
    /// Runs kubectl.
    pub fn run(&self, arguments: &[&str], input: Option<&str>) -> Output {
        let mut command = Command::new(tool("kubectl"));
        run(command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments), input)
    }

    /// Runs kubectl, which has to succeed, and gives its standard output.
    pub fn ok(&self, arguments: &[&str], input: Option<&str>) -> String {
        let output = self.run(arguments, input);
        assert!(output.ok, "kubectl {arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// `kubectl apply` of an object, which has to succeed.
    pub fn apply(&self, object: &Value) {
        self.ok(&["apply", "-f", "-"], Some(&object.to_string()));
    }

    /// An object as it is stored.
    pub fn get(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["get", "-o", "json"].iter().chain(arguments).copied().collect();
        serde_json::from_str(&self.ok(&arguments, None)).unwrap()
    }
}

/// Writes certificate and key as `<name>.crt` and `<name>.key`.
fn write(folder: &Path, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    fs::write(&certificate, &issued.certificate).unwrap();
    fs::write(&key, &issued.key).unwrap();
    (certificate, key)
}

fn run(command: &mut Command, input: Option<&str>) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A child that ends early is reported by its output, not by a broken pipe.
    let _ = child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes());
    let output = child.wait_with_output().unwrap();
    Output {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
