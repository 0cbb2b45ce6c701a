//! Faults of any server. It serves a folder, so no API server is needed; what it shows of these it shows in both places.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use network_guard::wiring::webhook_server::{Addresses, Server, ServerDeps};
use network_guard_controllers::certificates::Authority;
use network_guard_core::admission::{self, Handler, Request, Resource, Verdict};
use network_guard_core::landscape::View;
use network_guard_runtime::health::Pace;
use network_guard_runtime::https::Limits;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::stop::Stop;
use network_guard_runtime::supervise::Supervisor;
use network_guard_runtime::tls::{PairFiles, Tls, TlsSources};
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::LiveReads;
use tokio::sync::Notify;

use super::Place;
use super::play::{Take, Walk, again, monitored, pod};
use crate::harness::{Process, Scraped, free_port, http_get, review, scrape, until};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `network-guard serve all`, with files for its certificate.
pub struct Plain {
    process: Process,
    folder: PathBuf,
    ports: [u16; 3],
}

impl Plain {
    /// With these lines of configuration, and a certificate that was valid from then on for a day.
    pub fn start(folder: &Path, name: &str, lines: &str, valid_from: Timestamp) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let header =
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
        std::fs::write(folder.join("config.yaml"), format!("{header}{lines}\n")).unwrap();
        certify(&folder, valid_from);
        let ports = [free_port(), free_port(), free_port()];
        let mut arguments = vec!["serve".to_owned(), "all".to_owned()];
        let landscape = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/landscape");
        for (flag, path) in
            [("landscape", landscape), ("cert-dir", folder.clone()), ("config", folder.join("config.yaml"))]
        {
            arguments.push(format!("--{flag}={}", path.display()));
        }
        for (flag, port) in ["bind-address", "health-bind-address", "metrics-bind-address"].iter().zip(ports) {
            arguments.push(format!("--{flag}=127.0.0.1:{port}"));
        }
        let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
        let plain = Self { process: Process::start(&folder, "server", program, &arguments), folder, ports };
        until("it answers", || !http_get(plain.ports[1], "/healthz").is_empty());
        plain
    }

    pub fn ready(self) -> Self {
        until("it is ready", || http_get(self.ports[1], "/readyz").starts_with("HTTP/1.1 200"));
        self
    }

    /// The port of its metrics.
    pub fn metrics_port(&self) -> u16 {
        self.ports[2]
    }

    fn scrape(&self) -> Option<Scraped> {
        scrape(self.metrics_port())
    }

    /// The value of the series that begins like this.
    fn value(&self, series: &str) -> f64 {
        let text = self.scrape().unwrap().text;
        let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series}: {text}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Sends a body.
    fn post(&self, path: &str, body: &str) {
        post(self.ports[0], path, body);
    }
}

/// A new certificate for a server's folder.
fn certify(folder: &Path, valid_from: Timestamp) {
    let ca = Authority::new("CA", valid_from, DAY).unwrap();
    let leaf = ca.server(&["127.0.0.1".to_owned()], valid_from, DAY).unwrap();
    std::fs::write(folder.join("tls.crt"), leaf.certificate).unwrap();
    std::fs::write(folder.join("tls.key"), leaf.key).unwrap();
}

fn post(port: u16, path: &str, body: &str) {
    let url = format!("https://127.0.0.1:{port}{path}");
    let arguments = ["-s", "-k", "-m", "90", "-H", "Content-Type: application/json", "-d", body, &url];
    assert!(Command::new("curl").args(arguments).output().unwrap().status.success());
}

/// Errors, overload, configurations, certificates, and the end of one replica and of all.
#[test]
fn alerts_of_any_server_fire() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let now = Timestamp::now();
    let mut walk = Walk::new(Place::Any, monitored());
    let mut first = Plain::start(folder.path(), "first", "", now).ready();
    let mut second = Plain::start(folder.path(), "second", "", now).ready();
    let take = |first: &Plain, second: &Plain| -> Take { vec![pod("a", first.scrape()), pod("b", second.scrape())] };
    let healthy = take(&first, &second);

    let errors = again(|| {
        first.post("/webhooks/mutate/kube-apiserver", "no review");
        take(&first, &second)
    });
    let labels = [("handler", "kube-apiserver"), ("result", "bad-review")];
    walk.fires("NetworkGuardErrors", &labels, &healthy, &errors);

    // A peer that opens more connections and says nothing on them loses the oldest.
    let crowded = "server: {maxHandshakes: 2, maxHandshakesPerAddress: 2}";
    let third = Plain::start(folder.path(), "third", crowded, now).ready();
    let before = vec![pod("a", third.scrape())];
    let evicted = "network_guard_connections_refused_total{reason=\"evicted-handshake\"}";
    let mut open = Vec::new();
    let overload = again(|| {
        let count = third.value(evicted);
        until("one is closed", || {
            open.push(TcpStream::connect(("127.0.0.1", third.ports[0])).unwrap());
            third.value(evicted) > count
        });
        vec![pod("a", third.scrape())]
    });
    walk.fires("NetworkGuardOverloaded", &[("reason", "evicted-handshake")], &before, &overload);
    walk.fires("NetworkGuardConfigurationsDiffer", &[], &healthy, &[take(&first, &third)]);

    // A tenth of its life is left.
    certify(&third.folder, now - HOUR * 22);
    let end = (now + HOUR * 2).as_duration().as_secs_f64();
    let is_near = |value: f64| (value - end).abs() < 600.0;
    until("it is served", || is_near(third.value("network_guard_certificate_not_after_timestamp_seconds")));
    walk.fires("NetworkGuardCertificateExpires", &[], &before, &[vec![pod("a", third.scrape())]]);

    // A key that is not the certificate's. Once is enough, and it goes on as long as that lies there.
    let other = Authority::new("other", now, DAY).unwrap().server(&["x".to_owned()], now, DAY).unwrap();
    std::fs::write(second.folder.join("tls.key"), other.key).unwrap();
    let refused = "network_guard_certificate_refused";
    until("it is refused", || second.value(refused) > 0.0);
    let lies_there = take(&first, &second);
    walk.fires("NetworkGuardCertificateRefused", &[("pod", "b")], &healthy, std::slice::from_ref(&lies_there));
    walk.goes_on("NetworkGuardCertificateRefused", &lies_there);

    second.process.kill();
    let one = take(&first, &second);
    walk.fires("NetworkGuardOneReplica", &[], &healthy, std::slice::from_ref(&one));
    first.process.kill();
    walk.fires("NetworkGuardDown", &[], &healthy, &[take(&first, &second)]);
    // The same where all answer, and none is ready: here because its certificate has run out.
    let unready = Plain::start(folder.path(), "unready", "", now - DAY * 2);
    let never = vec![pod("a", unready.scrape())];
    walk.fires("NetworkGuardDown", &[], &healthy, std::slice::from_ref(&never));
    // It never had one that could end.
    walk.goes_on("NetworkGuardCertificateRefused", &never);
    walk.fires_not("NetworkGuardCertificateExpires", &healthy, &[never]);

    let [before, call, task] = panics(folder.path());
    walk.fires("NetworkGuardPanic", &[], &before, std::slice::from_ref(&call));
    walk.fires("NetworkGuardPanic", &[], &call, &[task]);
    walk.end();
}

/// A handler with a bug: a stand-in for one that we do not know of.
struct Buggy;

impl Handler for Buggy {
    fn name(&self) -> &'static str {
        "buggy"
    }

    fn path(&self) -> &'static str {
        "/buggy"
    }

    fn resource(&self) -> Resource {
        Resource { group: "apps", plural: "deployments" }
    }

    fn review(&self, _: &Request<'_>, _: &mut View<'_>) -> Result<Verdict, admission::Stop> {
        panic!("a planted bug")
    }
}

/// The server in this process with that handler, and a task with a bug: before all of it, after a call, and after a turn of
/// the task.
fn panics(folder: &Path) -> [Take; 3] {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    certify(folder, Timestamp::now());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _there = runtime.enter();
    let landscape = Arc::new(LandscapeCache::new(1));
    landscape.feed(0).set_synced();
    let tasks = Supervisor::default();
    let metrics = Arc::new(Metrics::new(&tasks));
    let turn = Arc::new(Notify::new());
    runtime.spawn({
        let (tasks, turn) = (tasks.clone(), Arc::clone(&turn));
        async move {
            let buggy = async || {
                turn.notified().await;
                panic!("a planted bug")
            };
            tasks.run("buggy", buggy).await
        }
    });
    let pair = Arc::new(PairFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") });
    let tls = TlsSources { pair, client_ca: None, clock: Arc::default() };
    let deps = ServerDeps {
        handlers: vec![Arc::new(Buggy)],
        shoot_handlers: vec![],
        live: LiveReads::Folder(Arc::clone(&landscape)),
        landscape,
        tls: Tls::load(tls, &metrics).unwrap(),
        limits: Limits::default(),
        metrics,
        stop: Stop::default(),
        pace: Pace::default(),
    };
    let any = "127.0.0.1:0".parse().unwrap();
    let addresses = Addresses { webhooks: any, shoots: None, health: any, metrics: any };
    let server = runtime.block_on(async { Server::bind(addresses, deps) }).unwrap();
    let addresses = server.addresses().unwrap();
    runtime.spawn(server.run());
    let take = || vec![pod("a", scrape(addresses.metrics.port()))];
    let panics = |count: u32| {
        let line = format!("network_guard_task_panics_total{{task=\"buggy\"}} {count}\n");
        scrape(addresses.metrics.port()).is_some_and(|scraped| scraped.text.contains(&line))
    };
    until("the task has begun", || panics(0));
    let before = take();
    post(addresses.webhooks.port(), "/buggy", &review("shoot--local--ha"));
    let call = take();
    turn.notify_one();
    until("the task has panicked", || panics(1));
    [before, call, take()]
}
