//! The Pod of the kube-apiserver, from the Deployment that the webhook made: its annotations become files, its command
//! lines processes, with the users and groups that it names.
//!
//! The files lie at the very paths that the Deployment says, in a mount namespace of the Pod, so nothing is rewritten.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::basics::{eventually, tool};
use crate::lab::{DAY, Lab, POD};
use crate::peer::{self, Task};
use crate::process::Process;
use crate::space::{Output, must, run};

/// Where etcd is: an address of the Seed that the Shoot has too.
pub const ETCD: &str = "10.1.7.7";

/// What stands for the arguments of gardenlet that name files of its Secrets, and for those that cannot be had here.
const OF_THE_LAB: [&str; 6] = [
    "--etcd-servers",
    "--etcd-servers-overrides",
    "--service-cluster-ip-range",
    "--external-hostname",
    "--shutdown-delay-duration",
    "--feature-gates",
];

/// Makes the Pod's own mounts: programs where images have them, and nothing of this machine in the folders that hold the
/// Pod's files.
const SANDBOX: &str = r#"
mount --bind "$2" /usr/local/bin
mount -t tmpfs tmpfs /mnt
mkdir /mnt/lab && mount --bind "$1" /mnt/lab
cp -L /etc/hosts /etc/nsswitch.conf /etc/passwd /etc/group /etc/ld.so.cache /mnt/
mount -t tmpfs tmpfs /etc
cp /mnt/hosts /mnt/nsswitch.conf /mnt/passwd /mnt/group /mnt/ld.so.cache /etc/
mount -t tmpfs tmpfs "$(readlink -f /var/run)"
echo ready
exec sleep infinity
"#;

/// The Pod.
pub struct Pod<'a> {
    lab: &'a Lab,
    deployment: Value,
    sandbox: Process,
    arguments: Vec<String>,
}

impl<'a> Pod<'a> {
    /// The Pod without its processes. Further arguments of the kube-apiserver replace those of the Deployment.
    pub fn new(lab: &'a Lab, deployment: Value, further: &[&str]) -> Self {
        let tools = tool("kube-apiserver").parent().unwrap().display().to_string();
        let words = ["-ec", SANDBOX, "sandbox", &lab.folder().display().to_string(), &tools].map(str::to_owned);
        let sandbox = lab.seed.start(lab.folder(), "sandbox", Path::new("sh"), &words);
        eventually("the sandbox is ready", || {
            sandbox.output().contains("ready").then_some(()).ok_or_else(|| sandbox.last_words())
        });
        let arguments = further.iter().map(|argument| (*argument).to_owned()).collect();
        let pod = Self { lab, deployment, sandbox, arguments };
        pod.mount_volumes();
        pod
    }

    /// The patched Deployment.
    pub fn spec(&self) -> &Value {
        &self.deployment["spec"]["template"]["spec"]
    }

    /// A container of the Deployment.
    pub fn container(&self, name: &str) -> Option<&Value> {
        self.spec()["containers"].as_array().unwrap().iter().find(|container| container["name"] == name)
    }

    /// Makes the volumes that we inject as kubelet makes them. Those of gardenlet hold its Secrets.
    fn mount_volumes(&self) {
        let group = self.id("fsGroup");
        let annotations = &self.deployment["spec"]["template"]["metadata"]["annotations"];
        let mounts = ["kube-apiserver", "envoy-proxy"].into_iter().filter_map(|name| self.container(name));
        for mount in mounts.flat_map(|container| container["volumeMounts"].as_array().unwrap()) {
            let volumes = self.spec()["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            let folder = mount["mountPath"].as_str().unwrap();
            if volume["emptyDir"]["medium"] == "Memory" {
                self.as_root(&format!("install -d -g {group} -m 2777 {folder}"), "");
            }
            for item in volume["downwardAPI"]["items"].as_array().into_iter().flatten() {
                let field = item["fieldRef"]["fieldPath"].as_str().unwrap();
                let key = field.strip_prefix("metadata.annotations['").unwrap().strip_suffix("']").unwrap();
                let file = format!("{folder}/{}", item["path"].as_str().unwrap());
                let mode = volume["downwardAPI"]["defaultMode"].as_u64().unwrap();
                let text = annotations[key].as_str().unwrap();
                self.as_root(&format!("mkdir -p {folder} && cat > {file} && chmod {mode:o} {file}"), text);
            }
        }
    }

    /// Runs a script in the Pod, as kubelet would do it from outside.
    #[track_caller]
    pub fn as_root(&self, script: &str, input: &str) -> String {
        let id = self.sandbox.id().to_string();
        must(Command::new("nsenter").args(["-t", &id, "-n", "-m", "--", "sh", "-ec", script]), input)
    }

    /// The words that lead a command into the Pod, as a user and a group, without any right of root.
    fn enter(&self, user: u64, group: u64, read_only: bool) -> Vec<String> {
        let supplementary = &self.spec()["securityContext"]["fsGroup"];
        let remount = if read_only { "mount -o remount,bind,ro / && " } else { "" };
        let script = format!(
            "ulimit -n 16384 && {remount}exec setpriv --reuid {user} --regid {group} --groups {supplementary} \
             --bounding-set -all --no-new-privs --pdeathsig KILL -- \"$@\""
        );
        let id = self.sandbox.id().to_string();
        let words = ["-t", &id, "-n", "-m", "--", "unshare", "-m", "sh", "-c", &script, "container"];
        words.map(str::to_owned).to_vec()
    }

    /// A command in the Pod, as the user of its containers and this group.
    pub fn command(&self, group: u64, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(self.enter(self.id("runAsUser"), group, false)).args(words);
        command
    }

    /// Starts a command in the Pod, as the user of its containers and this group.
    pub fn start_command(&self, name: &str, group: u64, command: &[&str]) -> Process {
        let words = command.iter().map(|word| (*word).to_owned());
        let words: Vec<String> = self.enter(self.id("runAsUser"), group, false).into_iter().chain(words).collect();
        Process::start(self.lab.folder(), name, Path::new("nsenter"), &words)
    }

    /// Starts a process of [`peer`] in the Pod, as this group.
    pub fn start_peer(&self, name: &str, group: u64, task: &Task) -> Process {
        let id = self.sandbox.id().to_string();
        // The Pod's user may not be let into the folder that this binary is in, and root may.
        let enter = ["-t", &id, "-n", "-m", "--", "setpriv", "--regid", &group.to_string(), "--clear-groups"];
        let enter = enter.into_iter().chain(["--pdeathsig", "KILL", "--", "sh"]).map(str::to_owned);
        let words = enter.chain(peer::command_line(&std::env::current_exe().unwrap(), task));
        Process::start(self.lab.folder(), name, Path::new("nsenter"), &words.collect::<Vec<_>>())
    }

    fn id(&self, field: &str) -> u64 {
        self.spec()["securityContext"][field].as_u64().unwrap()
    }

    /// Starts a container with its user, group and file system.
    fn start(&self, name: &str, arguments: &[String]) -> Process {
        let container = self.container(name).unwrap();
        let own = &container["securityContext"];
        let id = |field: &str| own[field].as_u64().unwrap_or_else(|| self.id(field));
        let read_only = own["readOnlyRootFilesystem"] == true;
        let mut words = self.enter(id("runAsUser"), id("runAsGroup"), read_only);
        words.extend(container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()));
        words.extend_from_slice(arguments);
        Process::start(self.lab.folder(), name, Path::new("nsenter"), &words)
    }

    /// Starts the sidecar.
    pub fn start_envoy(&self) -> Process {
        let mut envoy = self.start("envoy-proxy", &[]);
        let probe = &self.container("envoy-proxy").unwrap()["readinessProbe"]["httpGet"];
        let url = format!("http://127.0.0.1:{}{}", probe["port"], probe["path"].as_str().unwrap());
        eventually("Envoy is ready", || {
            assert!(envoy.is_running(), "Envoy ended. {}", envoy.last_words());
            let output = run(self.lab.seed.command("curl").args(["-sf", &url]), "");
            output.ok.then_some(()).ok_or(output.stderr)
        });
        envoy
    }

    /// Starts etcd in the Seed, and kube-apiserver in the Pod.
    pub fn start_api_server(&self) {
        let lab = self.lab;
        let url = format!("http://{ETCD}:2379");
        lab.other.place(&[ETCD]);
        let etcd = [
            format!("--data-dir={}", lab.path("etcd").display()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        lab.keep(lab.other.start(lab.folder(), "etcd", &tool("etcd"), &etcd));

        let file = |name: &str| format!("/mnt/lab/{name}");
        let write = |name: &str, text: &str| fs::write(lab.path(name), text).unwrap();
        let server = lab.ca.server(&[POD.to_owned()], Timestamp::now(), DAY).unwrap();
        let aggregator = lab.ca.client("aggregator", "aggregators", Timestamp::now(), DAY).unwrap();
        let admin = lab.ca.client("admin", "system:masters", Timestamp::now(), DAY).unwrap();
        write("ca.crt", lab.ca.certificate());
        for (name, issued) in [("server", &server), ("aggregator", &aggregator), ("admin", &admin)] {
            write(&format!("{name}.crt"), &issued.certificate);
            write(&format!("{name}.key"), &issued.key);
        }
        let mut arguments = vec![
            format!("--etcd-servers={url}"),
            format!("--service-cluster-ip-range={}", lab.networks.services.join(",")),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--service-account-key-file={}", file("server.crt")),
            format!("--service-account-signing-key-file={}", file("server.key")),
            format!("--proxy-client-cert-file={}", file("aggregator.crt")),
            format!("--proxy-client-key-file={}", file("aggregator.key")),
            format!("--requestheader-client-ca-file={}", file("ca.crt")),
            "--requestheader-allowed-names=aggregator".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            // No controller makes the service accounts and tokens that it waits for.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        arguments.extend_from_slice(&self.arguments);
        let flag = |argument: &str| argument.split('=').next().unwrap().to_owned();
        let own: Vec<String> =
            arguments.iter().map(|argument| flag(argument)).chain(OF_THE_LAB.map(str::to_owned)).collect();
        let container = self.container("kube-apiserver").unwrap();
        let gardenlets = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let gardenlets = gardenlets.filter(|argument| {
            let of_a_secret = argument.contains("/srv/kubernetes/") || argument.contains("/etc/kubernetes/");
            !of_a_secret && !own.contains(&flag(argument))
        });
        arguments.extend(gardenlets.map(str::to_owned));

        let mut api_server = self.start("kube-apiserver", &arguments);
        self.write_kubeconfig();
        eventually("kube-apiserver is ready", || {
            assert!(api_server.is_running(), "kube-apiserver ended. {}", api_server.last_words());
            let output = self.try_kubectl(&["get", "--raw", "/readyz"], "");
            output.ok.then_some(()).ok_or(output.stderr)
        });
        // It makes the namespace, and learns of the addresses that Services may have, a moment after it is ready.
        eventually("a Service can be made", || {
            let service =
                ["create", "service", "clusterip", "probe", "--tcp=80:80", "--dry-run=server", "-n", "default"];
            let output = self.try_kubectl(&service, "");
            output.ok.then_some(()).ok_or(output.stderr)
        });
        lab.keep(api_server);
    }

    fn write_kubeconfig(&self) {
        let path = |name: &str| self.lab.path(name).display().to_string();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {
                "server": format!("https://{POD}"), "certificate-authority": path("ca.crt"),
            }}],
            "users": [{"name": "admin", "user": {
                "client-certificate": path("admin.crt"), "client-key": path("admin.key"),
            }}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        });
        fs::write(self.lab.path("kubeconfig"), kubeconfig.to_string()).unwrap();
    }

    /// Runs kubectl, somewhere in the Seed.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.lab.other.command(tool("kubectl"));
        run(command.arg("--kubeconfig").arg(self.lab.path("kubeconfig")).args(arguments), input)
    }

    /// The same, which has to succeed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        assert!(output.ok, "kubectl {arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// `kubectl get --raw`, and what a server of these tests answered.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.kubectl(&["get", "--raw", path], "");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// The CA that signed the certificates of all servers, as configurations hold it.
    pub fn ca_bundle(&self) -> String {
        STANDARD.encode(self.lab.ca.certificate())
    }

    /// Creates an object, and its status, which kubelet would write.
    #[track_caller]
    pub fn create(&self, object: &Value) {
        self.kubectl(&["create", "-f", "-"], &object.to_string());
        if let Some(status) = object.get("status") {
            let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
            let patch = json!({"status": status}).to_string();
            self.kubectl(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch], "");
        }
    }

    /// A number of Envoy's own, summed over its series.
    pub fn envoy_metric(&self, name: &str, labels: &str) -> u64 {
        let url = "http://127.0.0.1:15000/metrics";
        let text = run(self.lab.seed.command("curl").args(["-sf", url]), "").stdout;
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
        let numbers: Vec<u64> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!numbers.is_empty(), "Envoy has no metric {name} with {labels}");
        numbers.iter().sum()
    }
}
