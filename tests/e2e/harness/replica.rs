//! Our server in this process, whose watch can be led through any trouble, and whose patience is short.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Request;
use jiff::Timestamp;
use network_guard::wiring::webhook_server::{Addresses, Server, ServerDeps};
use network_guard_controllers::certificates::Authority;
use network_guard_core::admission::Handler;
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::landscape::ClusterRecord;
use network_guard_core::vpn::nat::Mode;
use network_guard_core::vpn::sidecar::Settings;
use network_guard_core::webhooks::{KUBE_APISERVER_PATH, KubeApiserver};
use network_guard_runtime::health::Pace;
use network_guard_runtime::https::Limits;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::stop::Stop;
use network_guard_runtime::tls::{PairFiles, Tls, TlsSources};
use network_guard_sources::live::{LiveReads, Reader};
use network_guard_sources::objects::ClusterObject;
use network_guard_sources::{LandscapeCache, watch};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Faults, fixture};

/// A server that watches Clusters.
pub struct Replica {
    /// What it knows.
    pub landscape: Arc<LandscapeCache>,
    client: kube::Client,
    stop: Stop,
    _folder: TempDir,
}

/// What it decided about the kube-apiserver of a Shoot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It gets the sidecar.
    Injected,
    /// It stays as it is.
    Untouched,
    /// It is refused, or the call fails.
    Refused,
}

impl Replica {
    /// Starts one that asks an API server through a proxy, and trusts what it knows for this long.
    pub fn start(runtime: &Runtime, faults: &Faults, stale_after: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let ca = Authority::new("guard CA", Timestamp::now(), day).unwrap();
        let leaf = ca.server(&["127.0.0.1".to_owned()], Timestamp::now(), day).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certificate = file("tls.crt", &leaf.certificate);
        let pair = Arc::new(PairFiles { certificate, key: file("tls.key", &leaf.key) });
        let tls = TlsSources { pair, client_ca: None, clock: Arc::default() };

        let _there = runtime.enter();
        let landscape = Arc::new(LandscapeCache::new(1).stale_after(stale_after));
        runtime.spawn(watch::follow::<ClusterObject>(faults.config(), landscape.feed(0)));
        let metrics = Arc::new(Metrics::default());
        let stop = Stop::default();
        let handler: Arc<dyn Handler> = Arc::new(KubeApiserver::new(&Settings::default(), &Mode::default()));
        let deps = ServerDeps {
            handlers: vec![handler],
            shoot_handlers: vec![],
            live: LiveReads::ApiServer(Reader::new(kube::Client::try_from(faults.config()).unwrap())),
            landscape: Arc::clone(&landscape),
            tls: Tls::load(tls, &metrics).unwrap(),
            limits: Limits::default(),
            metrics,
            stop: stop.clone(),
            pace: Pace::default(),
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let addresses = Addresses { webhooks: any, shoots: None, health: any, metrics: any };
        let server = runtime.block_on(async { Server::bind(addresses, deps) }).unwrap();
        let port = server.addresses().unwrap().webhooks.port();
        runtime.spawn(server.run());

        let mut config = kube::Config::new(format!("https://127.0.0.1:{port}").parse().unwrap());
        config.root_cert = Some(vec![CertificateDer::from_pem_slice(ca.certificate().as_bytes()).unwrap().to_vec()]);
        Self { landscape, client: kube::Client::try_from(config).unwrap(), stop, _folder: folder }
    }

    /// Lets it decide about the Deployment of a Shoot, as an API server that waits for a few seconds.
    pub async fn decide(&self, namespace: &str) -> Decision {
        let request =
            Request::post(format!("{KUBE_APISERVER_PATH}?timeout=2s")).header("Content-Type", "application/json");
        let call = self.client.request::<Value>(request.body(review(namespace).into_bytes()).unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(90), call).await.expect("every call is answered");
        let Ok(answer) = answer else { return Decision::Refused };
        match (&answer["response"]["allowed"], &answer["response"]["patch"]) {
            (Value::Bool(true), Value::String(_)) => Decision::Injected,
            (Value::Bool(true), _) => Decision::Untouched,
            _ => Decision::Refused,
        }
    }

    /// Whether it knows exactly these Clusters, as they are, and trusts that.
    pub fn knows(&self, truth: &BTreeMap<String, ClusterRecord>) -> bool {
        let snapshot = self.landscape.snapshot();
        let is_equal = |(name, record): (&str, &ClusterRecord)| {
            truth.get(name).is_some_and(|true_record| match (true_record, record) {
                (Ok(one), Ok(other)) => format!("{one:?}") == format!("{other:?}"),
                _ => false,
            })
        };
        let is_current = self.landscape.is_synced() && !self.landscape.is_stale();
        is_current && snapshot.cluster_count() == truth.len() && snapshot.clusters().all(is_equal)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.abort();
    }
}

/// A review of gardenlet's first write of a kube-apiserver.
pub fn review(namespace: &str) -> String {
    static DEPLOYMENT: LazyLock<Value> = LazyLock::new(|| fixture("ha", "deployment"));
    let mut deployment = DEPLOYMENT.clone();
    deployment["metadata"]["namespace"] = namespace.into();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "CREATE", "namespace": namespace, "name": "kube-apiserver",
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"}, "object": deployment,
        },
    })
    .to_string()
}

/// What an API server has, as we read it.
pub fn truth(clusters: &[Value]) -> BTreeMap<String, ClusterRecord> {
    let record = |cluster: &Value| {
        (cluster["metadata"]["name"].as_str().unwrap().to_owned(), ClusterFacts::parse(&cluster["spec"].to_string()))
    };
    clusters.iter().map(record).collect()
}
