//! etcd and kube-apiserver, and kubectl to talk to them.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use network_guard_controllers::certificates::{Authority, Issued};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Api, Process, Saved, eventually, free_port, tool};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A control plane without any controller: what is written stays as it is.
pub struct ControlPlane {
    // Fields are dropped in this order: first the API server, then etcd, then their data.
    api_server: Process,
    etcd: Process,
    ca: Authority,
    etcd_url: String,
    host: Ipv4Addr,
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
    /// Starts both and waits until they are ready, with Gardener's CRDs, the namespace `garden` and the rights on a Seed.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments for kube-apiserver.
    pub fn start_with(further: &[String]) -> Self {
        let mut control_plane = Self::launch(Ipv4Addr::LOCALHOST, free_port(), further, Some(seed()));
        control_plane.wait_until_ready();
        control_plane
    }

    /// A Seed, with further arguments, and a Shoot at these addresses, which start at the same time.
    pub fn start_seed_and_shoots(further: &[String], shoots: &[(Ipv4Addr, u16)]) -> (Self, Vec<Self>) {
        let mut seed = Self::launch(Ipv4Addr::LOCALHOST, free_port(), further, Some(seed()));
        // The audience of tokens that gardener-resource-manager requests, as gardenlet configures it.
        let audiences = ["--api-audiences=kubernetes,gardener".to_owned()];
        let launch = |(host, port): &(Ipv4Addr, u16)| Self::launch(*host, *port, &audiences, None);
        let mut shoots: Vec<Self> = shoots.iter().map(launch).collect();
        seed.wait_until_ready();
        shoots.iter_mut().for_each(Self::wait_until_ready);
        (seed, shoots)
    }

    /// The same with nothing in it.
    pub fn start_bare(further: &[String]) -> Self {
        let mut control_plane = Self::launch(Ipv4Addr::LOCALHOST, free_port(), further, None);
        control_plane.wait_until_ready();
        control_plane
    }

    /// The same at this address, which also the names of the certificate know, with what was saved, without waiting.
    fn launch(host: Ipv4Addr, port: u16, further: &[String], saved: Option<&Saved>) -> Self {
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        if let Some(saved) = saved {
            saved.restore(&folder.path().join("etcd"));
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (client, peer) = (free_port(), free_port());
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
                // It reserves as much address space as it may store, which is 10 GiB if nobody says so.
                "--quota-backend-bytes=1073741824".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        );

        let ca = Authority::new("test CA", Timestamp::now(), DAY).unwrap();
        let names = [host.to_string(), address_as_name(host), "localhost".to_owned()];
        fs::write(path("ca.crt"), ca.certificate()).unwrap();
        write(folder.path(), "server", &ca.server(&names, Timestamp::now(), DAY).unwrap());
        write(folder.path(), "aggregator", &ca.client("aggregator", "aggregators", Timestamp::now(), DAY).unwrap());
        let mut arguments = vec![
            format!("--etcd-servers={etcd_url}"),
            format!("--bind-address={host}"),
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
        Self { api_server, etcd, ca, etcd_url, host, port, arguments, folder }
    }

    fn wait_until_ready(&mut self) {
        let api = Api::new(&self.kubeconfig("admin", "system:masters"));
        eventually("kube-apiserver is ready", || {
            assert!(self.api_server.is_running(), "kube-apiserver ended. {}", self.api_server.last_words());
            api.is_ready()
        });
    }

    fn set_up(&self) {
        let admin = self.admin();
        let crds = tool("seed-crds");
        let files = [
            "extensions.gardener.cloud_clusters",
            "extensions.gardener.cloud_networks",
            "resources.gardener.cloud_managedresources",
        ]
        .map(|name| crds.join(format!("10-crd-{name}.yaml")).display().to_string());
        let mut apply = vec!["apply"];
        apply.extend(files.iter().flat_map(|file| ["-f", file]));
        admin.ok(&apply, None);
        admin.ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"], None);
        // Who writes Deployments and Networks, and what our server may do: the tables in docs/operations/rights.md.
        admin.apply(&seed_rights());
        // The API server itself learns of CRDs by a watch, and serves what they define a moment after they are established.
        let kinds = "clusters.extensions.gardener.cloud,networks.extensions.gardener.cloud,managedresources.resources.gardener.cloud";
        eventually("Gardener's resources are served", || {
            let output = admin.run(&["get", kinds, "-A"], None);
            output.ok.then_some(()).ok_or(output.stderr)
        });
    }

    /// Stops both and gives what they have stored.
    fn save(mut self) -> Saved {
        self.api_server.kill();
        self.etcd.signal("TERM");
        self.etcd.wait();
        Saved::of(&self.folder().join("etcd"))
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
        // All of it in one file, as Gardener wants it: its servers do not follow the names of other files.
        let inline = |file: &Path| STANDARD.encode(fs::read(file).unwrap());
        let credentials = json!({
            "client-certificate-data": inline(&certificate), "client-key-data": inline(&key),
        });
        self.write_kubeconfig(&path, user, &credentials);
        path
    }

    /// A kubeconfig with a token of a ServiceAccount.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.admin().ok(&["create", "token", name, "-n", namespace, "--duration=2h"], None);
        let path = self.folder.path().join(format!("kubeconfig-{namespace}-{name}"));
        self.write_kubeconfig(&path, name, &json!({"token": token.trim()}));
        path
    }

    /// kubectl with a token of a ServiceAccount.
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Kubectl {
        Kubectl { kubeconfig: self.service_account(namespace, name) }
    }

    fn write_kubeconfig(&self, path: &Path, user: &str, credentials: &Value) {
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.url(),
                "certificate-authority-data": STANDARD.encode(self.ca.certificate()),
            }}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        });
        fs::write(path, kubeconfig.to_string()).unwrap();
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

    /// Where the API server is.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.port)
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

    /// Pauses the API server: it takes connections, and answers nothing.
    pub fn pause_api_server(&self) {
        self.api_server.signal("STOP");
    }

    /// What the API server has logged.
    pub fn log(&self) -> String {
        self.api_server.output()
    }
}

/// The store of a Seed before a test writes to it. To make one takes longer than to start from it: it is made once.
fn seed() -> &'static Saved {
    static SEED: OnceLock<Saved> = OnceLock::new();
    SEED.get_or_init(|| {
        let control_plane = ControlPlane::start_bare(&[]);
        control_plane.set_up();
        control_plane.save()
    })
}

/// The folder outlives a test that fails: what all of its servers said explains it.
impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            say!("the logs are in {}", self.folder.path().display());
        }
    }
}

impl Kubectl {
    /// Runs kubectl.
    pub fn run(&self, arguments: &[&str], input: Option<&str>) -> Output {
        let mut command = Command::new(tool("kubectl"));
        run(command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments), input)
    }

    /// Runs kubectl, which has to succeed, and gives its standard output.
    ///
    /// An API server that takes longer for a request than it may, which is a minute, says so. What may be repeated is asked once
    /// more then, and where the API server was is printed. It was seen in one of some thousand starts.
    pub fn ok(&self, arguments: &[&str], input: Option<&str>) -> String {
        let mut output = self.run(arguments, input);
        let may_be_repeated = matches!(arguments, ["apply" | "get" | "wait", ..]);
        if may_be_repeated && output.stderr.contains("Error from server (Timeout)") {
            say!("kubectl {arguments:?}, which is repeated: {}{}", output.stderr, self.stuck());
            output = self.run(arguments, input);
        }
        assert!(output.ok, "kubectl {arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// Where requests of custom resources are in the API server.
    fn stuck(&self) -> String {
        let all = self.run(&["get", "--raw", "/debug/pprof/goroutine?debug=2"], None).stdout;
        let stuck: Vec<&str> = all.split("\n\n").filter(|stack| stack.contains("crdHandler")).take(4).collect();
        stuck.join("\n\n")
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

/// The address written as one name without dots, which resolves to it: 0x7f000002 is 127.0.0.2. So a namespace can be
/// an address.
pub fn address_as_name(address: Ipv4Addr) -> String {
    format!("{:#010x}", u32::from(address))
}

/// What the webhooks and the controller of `serve seed` may do, and gardenlet, who may do everything.
pub fn seed_rights() -> Value {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let bind = |kind: &str, name: &str, role: &str, namespace: Option<&str>| {
        json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": format!("{kind}Binding"),
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": name}],
        })
    };
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let named = |group: &str, resource: &str, names: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": verbs});
    let (extensions, resources) = ("extensions.gardener.cloud", "resources.gardener.cloud");
    let own = ["get", "patch", "delete"];
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "garden"}},
        bind("ClusterRole", "gardenlet", "cluster-admin", None),
        bind("ClusterRole", "network-guard", "network-guard", None),
        bind("Role", "network-guard", "network-guard", Some("garden")),
        {
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": {"name": "network-guard"},
            "rules": [
                rule(extensions, "clusters", &["get", "list", "watch"]),
                named("apps", "deployments", &["kube-apiserver"], &["list", "watch"]),
                // What follows is for overlay switches alone. The Networks that are held:
                rule(extensions, "networks", &["get", "list", "watch", "patch"]),
                rule(extensions, "networks/status", &["patch"]),
                rule("events.k8s.io", "events", &["create", "patch"]),
                // The way to the API server of the Shoot. A name cannot restrict a creation.
                named("", "secrets", &["shoot-access-network-guard", "managedresource-network-guard-overlay"], &own),
                // The registration of the webhook in Shoots.
                named("", "secrets", &["managedresource-network-guard-vpn-shoot"], &own),
                named(resources, "managedresources", &["network-guard-vpn-shoot"], &["get", "list", "patch", "delete"]),
                named(resources, "managedresources", &["shoot-core-vpn-shoot"], &["patch"]),
                named("", "secrets", &["gardener-internal"], &["get"]),
                rule("", "secrets", &["create"]),
                named(resources, "managedresources", &["network-guard-overlay"], &["patch", "delete"]),
                rule(resources, "managedresources", &["create"]),
                // Self-managed certificates: the registration, which goes with its owner.
                rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", &["create"]),
                named("admissionregistration.k8s.io", "mutatingwebhookconfigurations", &["gardener-extension-network-guard"], &["get", "update", "delete"]),
                named(GROUP, "clusterroles", &["network-guard"], &["get"]),
            ],
        },
        {
            "apiVersion": format!("{GROUP}/v1"), "kind": "Role",
            "metadata": {"name": "network-guard", "namespace": "garden"},
            "rules": [
                // The second one with self-managed certificates.
                named("coordination.k8s.io", "leases", &["network-guard-overlay", "network-guard-certificates"], &["get", "update"]),
                rule("coordination.k8s.io", "leases", &["create"]),
                named("", "secrets", &["network-guard-certificates"], &["get", "update"]),
            ],
        },
    ]})
}

/// Writes certificate and key as `<name>.crt` and `<name>.key`.
fn write(folder: &Path, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    fs::write(&certificate, &issued.certificate).unwrap();
    fs::write(&key, &issued.key).unwrap();
    (certificate, key)
}

/// Runs a program to its end.
pub fn run(command: &mut Command, input: Option<&str>) -> Output {
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
