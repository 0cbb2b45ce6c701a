//! Our own server as a process, registered in a control plane.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use serde_json::Value;

use super::{ControlPlane, Process, eventually, free_port, only, until};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `network-guard serve`.
pub struct Guard {
    process: Process,
    role: &'static str,
    name: String,
    ca: Arc<Authority>,
    arguments: Vec<String>,
    folder: PathBuf,
    ports: [u16; 4],
    /// Further variables of its environment.
    environment: Vec<(String, String)>,
}

impl Guard {
    /// How it is configured where nothing is said of the server. A test need not wait for endpoints to follow, only for a
    /// client on a busy machine; nor for the pool of its API server, unless it is about that.
    pub const CONFIGURATION: &str = "server: {stopPropagationSeconds: 15, stopIdleSeconds: 0}\n";

    /// Starts it with the least rights and waits until it is ready. It is not registered yet.
    pub fn start(control_plane: &ControlPlane) -> Self {
        let guard = Self::start_unready(control_plane);
        guard.wait_until_ready();
        guard
    }

    /// Starts it without waiting.
    pub fn start_unready(control_plane: &ControlPlane) -> Self {
        Self::start_as("seed", control_plane, "")
    }

    /// The same with the webhooks of the virtual garden, and these lines in its configuration.
    pub fn start_garden(control_plane: &ControlPlane, config: &str) -> Self {
        let guard = Self::start_as("garden", control_plane, config);
        guard.wait_until_ready();
        guard
    }

    /// The same for a Seed, started by another program, which gets ours after these arguments, and with another kubeconfig.
    pub fn start_behind(control_plane: &ControlPlane, program: &Path, before: &[&str], kubeconfig: &Path) -> Self {
        let mut guard = Self::start_unready(control_plane);
        guard.kill();
        let own = control_plane.kubeconfig("network-guard", "webhooks").display().to_string();
        let ours = self::program().display().to_string();
        let mut arguments: Vec<String> = before.iter().map(|argument| (*argument).to_owned()).chain([ours]).collect();
        let other =
            |argument: &String| if *argument == own { kubeconfig.display().to_string() } else { argument.clone() };
        arguments.extend(guard.arguments.iter().map(other));
        guard.process = Process::start(&guard.folder, &guard.name, program, &arguments);
        guard
    }

    /// The same for a Seed, with further lines of configuration, without waiting.
    pub fn start_configured(control_plane: &ControlPlane, configuration: &str) -> Self {
        Self::start_as("seed", control_plane, configuration)
    }

    /// A further replica: the same certificate and configuration, and ports of its own.
    pub fn replica(&self, name: &str) -> Self {
        let ports = [free_port(), free_port(), free_port(), free_port()];
        // As a value of its own, or behind the name of the flag.
        let arguments = self.arguments.iter().map(|argument| {
            let of = |port: u16| format!("127.0.0.1:{port}");
            let moved = self.ports.iter().enumerate().find_map(|(index, port)| {
                let before = argument.strip_suffix(&of(*port))?;
                Some(format!("{before}{}", of(ports[index])))
            });
            moved.unwrap_or_else(|| argument.clone())
        });
        Self::spawn(self.role, name, &self.folder, Arc::clone(&self.ca), arguments.collect(), ports)
    }

    fn start_as(role: &'static str, control_plane: &ControlPlane, configuration: &str) -> Self {
        let folder = control_plane.folder().to_owned();
        let certificates = folder.join("guard");
        fs::create_dir_all(&certificates).unwrap();
        let ca = Authority::new("guard CA", Timestamp::now(), DAY).unwrap();
        fs::write(certificates.join("ca.crt"), ca.certificate()).unwrap();
        let ports = [free_port(), free_port(), free_port(), free_port()];
        let mut arguments: Vec<String> = [
            "serve",
            role,
            "--kubeconfig",
            &control_plane.kubeconfig("network-guard", "webhooks").display().to_string(),
            "--bind-address",
            &format!("127.0.0.1:{}", ports[0]),
            "--health-bind-address",
            &format!("127.0.0.1:{}", ports[1]),
            "--metrics-bind-address",
            &format!("127.0.0.1:{}", ports[2]),
            "--log-level",
            "info,network_guard=debug",
            "--config",
            &certificates.join("config.yaml").display().to_string(),
        ]
        .map(str::to_owned)
        .to_vec();
        // Self-managed certificates are no files.
        if !configuration.contains("certificates:") {
            arguments.extend(["--cert-dir".to_owned(), certificates.display().to_string()]);
        }
        if role == "seed" {
            arguments.extend(["--shoots-bind-address".to_owned(), format!("127.0.0.1:{}", ports[3])]);
        }
        let server = if configuration.contains("server:") { "" } else { Self::CONFIGURATION };
        let configuration = format!(
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n\
             {server}{configuration}"
        );
        // Where it is, for who has to be told.
        let configuration = configuration
            .replace("OWN_URL", &format!("https://127.0.0.1:{}", ports[0]))
            .replace("GUARD_URL", &format!("https://127.0.0.1:{}", ports[3]))
            .replace("GUARD_CA", &certificates.join("ca.crt").display().to_string());
        fs::write(certificates.join("config.yaml"), configuration).unwrap();
        replace_certificate(&certificates, &ca);
        Self::spawn(role, "network-guard", &folder, Arc::new(ca), arguments, ports)
    }

    /// Starts it as the Deployment of a chart says, without waiting: its arguments and its ConfigMap, with a certificate
    /// of this CA for these names where it makes none itself. What differs is what differs from Pod to Pod: folders, ports
    /// and the kubeconfigs, which stand for the tokens that are mounted; the second one is for the cluster that it runs in
    /// where that is another one.
    pub fn start_rendered(
        folder: &Path,
        objects: &[Value],
        kubeconfigs: [Option<&Path>; 2],
        tls: Option<(Authority, &[String])>,
        [port, port_for_shoots]: [u16; 2],
    ) -> Self {
        let deployment = only(objects, "Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let mounted = folder.join("mounted");
        let mount = |name: &str| {
            let mounts = container["volumeMounts"].as_array().unwrap();
            let path = mounts.iter().find(|mount| mount["name"] == name).unwrap()["mountPath"].as_str().unwrap();
            let path = mounted.join(path.trim_start_matches('/'));
            fs::create_dir_all(&path).unwrap();
            path
        };
        let volume = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "config").unwrap();
        let is_config = |object: &&Value| object["metadata"]["name"] == volume["configMap"]["name"];
        let config = objects.iter().filter(|object| object["kind"] == "ConfigMap").find(is_config).unwrap();
        for (file, text) in config["data"].as_object().unwrap() {
            let text = text.as_str().unwrap().replace(": /etc/", &format!(": {}/etc/", mounted.display()));
            fs::write(mount("config").join(file), text).unwrap();
        }
        let ca = match tls {
            Some((ca, names)) => {
                let leaf = ca.server(names, Timestamp::now(), DAY).unwrap();
                fs::write(mount("tls").join("tls.crt"), leaf.certificate).unwrap();
                fs::write(mount("tls").join("tls.key"), leaf.key).unwrap();
                ca
            }
            None => Authority::new("nobody's CA", Timestamp::now(), DAY).unwrap(),
        };

        let ports = [port, free_port(), free_port(), port_for_shoots];
        let flags = ["--bind-address=", "--health-bind-address=", "--metrics-bind-address=", "--shoots-bind-address="];
        let mut arguments: Vec<String> = Vec::new();
        for argument in container["args"].as_array().unwrap() {
            let argument = argument.as_str().unwrap();
            arguments.push(match flags.iter().position(|flag| argument.starts_with(flag)) {
                Some(index) => format!("{}127.0.0.1:{}", flags[index], ports[index]),
                None => argument.replace("=/", &format!("={}/", mounted.display())),
            });
        }
        for (flag, kubeconfig) in ["--kubeconfig", "--runtime-kubeconfig"].iter().zip(kubeconfigs) {
            arguments.extend(kubeconfig.map(|path| format!("{flag}={}", path.display())));
        }
        Self::spawn("installed", "installed", folder, Arc::new(ca), arguments, ports)
    }

    fn spawn(
        role: &'static str,
        name: &str,
        folder: &Path,
        ca: Arc<Authority>,
        arguments: Vec<String>,
        ports: [u16; 4],
    ) -> Self {
        let process = Process::start(folder, name, program(), &arguments);
        Self {
            process,
            role,
            name: name.to_owned(),
            ca,
            arguments,
            folder: folder.to_owned(),
            ports,
            environment: Vec::new(),
        }
    }

    /// Waits for `/readyz`.
    pub fn wait_until_ready(&self) {
        until("network-guard is ready", || self.health("/readyz").starts_with("HTTP/1.1 200"));
    }

    /// The webhook configurations that it prints itself.
    pub fn configurations(&self) -> String {
        self.configurations_at(&self.url())
    }

    fn configurations_at(&self, url: &str) -> String {
        let ca = self.certificates().join("ca.crt");
        let printed =
            Command::new(program()).args(["webhooks", self.role, "--url", url, "--ca-file"]).arg(ca).output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        String::from_utf8(printed.stdout).unwrap()
    }

    /// Registers it on a Seed and waits until it is called.
    pub fn register(&self, control_plane: &ControlPlane) {
        self.register_at(&self.url(), control_plane);
    }

    /// The same behind another address.
    pub fn register_at(&self, url: &str, control_plane: &ControlPlane) {
        // One with self-managed certificates does that itself.
        if self.arguments.iter().any(|argument| argument == "--cert-dir") {
            control_plane.admin().ok(&["apply", "-f", "-"], Some(&self.configurations_at(url)));
        }
        self.wait_until_called(control_plane);
    }

    /// Waits until it is called.
    pub fn wait_until_called(&self, control_plane: &ControlPlane) {
        let admin = control_plane.admin();
        // The API server learns of its own configuration by a watch: a probe tells when it has.
        until("the webhook is called", || {
            let probe = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"probe","labels":{"gardener.cloud/role":"shoot"}}}"#;
            admin.ok(&["apply", "-f", "-"], Some(probe));
            let before = self.metric("network_guard_requests_total");
            let mut deployment = super::fixture("non-ha", "deployment");
            deployment["metadata"]["namespace"] = "probe".into();
            // Without something of network-guard it would not be sent. Nobody needs to know a Cluster to take it away.
            deployment["metadata"]["annotations"][network_guard_core::vpn::sidecar::OVERLAPS_ANNOTATION] =
                "probe".into();
            // It fails while the API server calls whom it called before.
            admin.run(&["create", "--dry-run=server", "-f", "-"], Some(&deployment.to_string()));
            self.metric("network_guard_requests_total") > before
        });
    }

    /// Where its webhooks are.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port())
    }

    /// Where API servers of Shoots call.
    pub fn url_for_shoots(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports[3])
    }

    /// The port of its probes.
    pub fn health_port(&self) -> u16 {
        self.ports[1]
    }

    /// The port of its metrics.
    pub fn metrics_port(&self) -> u16 {
        self.ports[2]
    }

    /// The port of its webhooks.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Pauses it.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.process.signal("CONT");
    }

    /// Stops it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again with the same arguments.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_until_ready();
    }

    /// The same without waiting.
    pub fn start_again(&mut self) {
        // One that still runs has the ports.
        self.kill();
        let Self { folder, name, arguments, environment, .. } = self;
        self.process = Process::start_in(folder, name, program(), arguments, environment);
    }

    /// Restarts it with a clock of its own, which is as far from that of this machine as its file says: see
    /// [`set_clock`]. The monotonic clock goes on as it is.
    pub fn restart_with_own_clock(&mut self) {
        let library = glob("/usr/lib", "faketime/libfaketime.so.1").expect("libfaketime: run `make tools`");
        set_clock(&self.folder, "+0");
        self.environment = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.folder.join(CLOCK).display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        self.start_again();
    }

    /// Moves that clock, such as `+3600` or `-10y`.
    pub fn set_clock(&self, by: &str) {
        set_clock(&self.folder, by);
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Issues a new leaf from the same CA and puts it where the server reads it.
    pub fn rotate_certificate(&self) {
        replace_certificate(&self.certificates(), &self.ca);
    }

    /// The folder of certificate and key.
    pub fn certificates(&self) -> PathBuf {
        self.folder.join("guard")
    }

    /// The raw answer of a path on the health port.
    pub fn health(&self, path: &str) -> String {
        http_get(self.ports[1], path)
    }

    /// The sum of all series of a metric.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        self.series(name, "")
    }

    /// The sum of those series of a metric whose labels say this.
    #[track_caller]
    pub fn series(&self, name: &str, labels: &str) -> f64 {
        sum(&self.metrics(), name, labels)
    }

    /// The sum of all series of a metric; none if it does not answer, as one that ends.
    pub fn metric_of_what_may_end(&self, name: &str) -> Option<f64> {
        self.scrape().map(|scraped| sum(&scraped.text, name, ""))
    }

    /// Waits until a task of it has begun and ended this many turns from now on, and looks at something all the time. What
    /// it could do in them it has done. The one that it may be in now does not count.
    #[track_caller]
    pub fn after_turns(&self, task: &str, count: u32, mut each: impl FnMut()) {
        let turns = || self.series("network_guard_task_turns_total", &format!("task=\"{task}\""));
        let begun = turns();
        until(&format!("{count} turns of {task}"), || {
            each();
            turns() > begun + f64::from(count)
        });
        each();
    }

    /// Changes its configuration, which it reads when it starts again.
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        let path = self.certificates().join("config.yaml");
        let mut configuration: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut configuration);
        fs::write(path, configuration.to_string()).unwrap();
    }

    /// All of its metrics. Whoever reads 0 in them knows that it said so: it is asked until it answers.
    #[track_caller]
    pub fn metrics(&self) -> String {
        eventually("its metrics", || {
            let answer = http_get(self.ports[2], "/metrics");
            let (head, text) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
            if head.starts_with("HTTP/1.1 200") { Ok(text.to_owned()) } else { Err(answer) }
        })
    }

    /// What Prometheus gets of it.
    pub fn scrape(&self) -> Option<Scraped> {
        scrape(self.ports[2])
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

fn sum(metrics: &str, name: &str, labels: &str) -> f64 {
    let sum: f64 = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']))
        .filter(|line| line.contains(labels))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    // The sum of nothing is minus zero.
    sum + 0.0
}

/// What a metrics port answers.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scraped {
    /// The header of that name.
    pub content_type: String,
    /// The body.
    pub text: String,
}

/// As Prometheus 3 asks.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// What Prometheus gets of a port; none while nobody answers.
pub fn scrape(port: u16) -> Option<Scraped> {
    scrape_as(port, Some(ACCEPT))
}

/// The same with another `Accept`, or none.
pub fn scrape_as(port: u16, accept: Option<&str>) -> Option<Scraped> {
    let accept = accept.map_or_else(String::new, |accept| format!("Accept: {accept}\r\n"));
    let answer = http_get_with(port, "/metrics", &accept);
    let (head, text) = answer.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 200"))?;
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "))?;
    Some(Scraped { content_type: content_type.to_owned(), text: text.to_owned() })
}

/// The file that says how far the clock is off.
const CLOCK: &str = "clock";

fn set_clock(folder: &Path, by: &str) {
    // As one: it is read at every look at the clock.
    fs::write(folder.join("clock.new"), format!("{by}\n")).unwrap();
    fs::rename(folder.join("clock.new"), folder.join(CLOCK)).unwrap();
}

/// A file of this name in a folder, or in a folder of that.
fn glob(folder: &str, name: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join(name)).find(|path| path.exists())
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_network-guard"))
}

fn replace_certificate(folder: &Path, ca: &Authority) {
    let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), DAY).unwrap();
    fs::write(folder.join("tls.crt"), leaf.certificate).unwrap();
    fs::write(folder.join("tls.key"), leaf.key).unwrap();
}

/// The raw answer of a server on this machine, empty while nobody answers.
pub fn http_get(port: u16, path: &str) -> String {
    http_get_with(port, path, "")
}

fn http_get_with(port: u16, path: &str, headers: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer).map(drop));
    }
    answer
}
