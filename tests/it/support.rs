//! A server in this process, and a client that controls every byte.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use network_guard::wiring::webhook_server::{Addresses, Server, ServerDeps};
use network_guard_controllers::certificates::{Authority, Issued};
use network_guard_core::admission::{self, Handler, Request, Resource, Verdict};
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::landscape::View;
use network_guard_core::vpn::nat::Mode;
use network_guard_core::vpn::sidecar::Settings;
use network_guard_core::webhooks::{
    AdviseShoot, KUBE_APISERVER_PATH, KubeApiserver, MutateShoot, ValidateShoot, VpnShoot,
};
use network_guard_runtime::health::Pace;
use network_guard_runtime::https::Limits;
use network_guard_runtime::metrics::Metrics;
use network_guard_runtime::stop::Stop;
use network_guard_runtime::tls::{Pair, PairFiles, PairSource, Tls, TlsError, TlsSources};
use network_guard_sources::live::LiveReads;
use network_guard_sources::{LandscapeCache, files};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const PATH: &str = KUBE_APISERVER_PATH;
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A handler with a bug, to see what it costs; it counts its calls.
#[derive(Default)]
struct Broken(AtomicUsize);

impl Handler for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn path(&self) -> &'static str {
        "/broken"
    }

    fn resource(&self) -> Resource {
        Resource { group: "apps", plural: "deployments" }
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, admission::Stop> {
        match &*request.name {
            "panic" => panic!("a planted bug"),
            // Always about something new.
            "ask" => drop(view.seed(&format!("s{}", self.0.fetch_add(1, Ordering::Relaxed)))),
            _ => {}
        }
        Ok(Verdict::allow("fine"))
    }
}

/// How a server differs from the usual.
pub struct Setup {
    pub limits: Limits,
    pub synced: bool,
    pub client_ca: Option<String>,
    /// The age from which on the landscape is not trusted any more.
    pub stale_after: Duration,
    /// When this is set, the next look at the certificate's files panics.
    pub bug: Arc<AtomicBool>,
    pub pace: Pace,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            synced: true,
            client_ca: None,
            stale_after: DAY,
            bug: Arc::default(),
            pace: Pace::default(),
        }
    }
}

/// Files whose reader has a bug.
struct Buggy {
    pair: PairFiles,
    bug: Arc<AtomicBool>,
}

impl PairSource for Buggy {
    fn read(&self) -> Result<Pair, TlsError> {
        assert!(!self.bug.swap(false, Ordering::Relaxed), "a planted bug");
        self.pair.read()
    }

    fn name(&self) -> String {
        self.pair.name()
    }
}

/// A running server. It ends with the test.
pub struct TestServer {
    pub addresses: Addresses,
    pub stop: Stop,
    pub ca: Authority,
    pub folder: TempDir,
    pub running: tokio::task::JoinHandle<()>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    #[expect(clippy::unused_async, reason = "it needs a runtime, as who waits for it has")]
    pub async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Authority::new("CA", Timestamp::now(), DAY).unwrap();
        let pair = PairFiles { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let tls = TlsSources {
            pair: Arc::new(Buggy { pair, bug: setup.bug }),
            client_ca: setup.client_ca.as_ref().map(|_| folder.path().join("client-ca.crt")),
            clock: Arc::default(),
        };
        write_pair(&folder, &ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap());
        if let Some(pem) = &setup.client_ca {
            std::fs::write(folder.path().join("client-ca.crt"), pem).unwrap();
        }

        let landscape = Arc::new(LandscapeCache::new(1).stale_after(setup.stale_after));
        let cluster = fixture("ha-overlap", "cluster");
        let record = ClusterFacts::parse(&cluster["spec"].to_string());
        let garden = files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/landscape/garden")).unwrap();
        landscape.feed(0).update(|snapshot| {
            *snapshot = garden;
            snapshot.put_cluster("shoot--local--ha", record);
        });
        if setup.synced {
            landscape.feed(0).set_synced();
        }
        let metrics = Arc::new(Metrics::default());
        let stop = Stop::default();
        let deps = ServerDeps {
            handlers: vec![
                Arc::new(KubeApiserver::new(&Settings::default(), &Mode::default())),
                Arc::new(MutateShoot::default()),
                Arc::new(ValidateShoot::default()),
                Arc::new(AdviseShoot::default()),
                Arc::<Broken>::default(),
            ],
            shoot_handlers: vec![Arc::new(VpnShoot::new(&network_guard_core::vpn::nat::Mode::VpnClient))],
            live: LiveReads::Folder(Arc::clone(&landscape)),
            landscape,
            tls: Tls::load(tls, &metrics).unwrap(),
            limits: setup.limits,
            metrics,
            stop: stop.clone(),
            pace: setup.pace,
        };
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let addresses = Addresses { webhooks: any, shoots: Some(any), health: any, metrics: any };
        let server = Server::bind(addresses, deps).unwrap();
        let addresses = server.addresses().unwrap();
        let running = tokio::spawn(server.run());
        Self { addresses, stop, ca, folder, running }
    }

    /// A connection as an API server makes it.
    pub async fn connect(&self) -> Client {
        self.try_connect(&client_config(&self.ca, None)).await.unwrap()
    }

    /// A connection as the API server of a Shoot makes it.
    pub async fn connect_from_shoot(&self) -> Client {
        let address = self.addresses.shoots.expect("it is served");
        self.try_connect_to(address, &client_config(&self.ca, None)).await.unwrap()
    }

    pub async fn try_connect(&self, config: &rustls::ClientConfig) -> std::io::Result<Client> {
        self.try_connect_to(self.addresses.webhooks, config).await
    }

    async fn try_connect_to(&self, address: SocketAddr, config: &rustls::ClientConfig) -> std::io::Result<Client> {
        Self::shake_hands(TcpStream::connect(address).await?, config).await
    }

    /// Makes an encrypted connection of one that is open.
    pub async fn shake_hands(tcp: TcpStream, config: &rustls::ClientConfig) -> std::io::Result<Client> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config.clone())).connect(name, tcp).await?;
        Ok(Client { stream })
    }

    /// The answer of a path on a plain port.
    pub async fn get(&self, address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub async fn metrics(&self) -> String {
        self.get(self.addresses.metrics, "/metrics").await
    }

    /// Waits until the metrics have this line.
    pub async fn until(&self, line: &str) {
        let said = async {
            while !self.metrics().await.lines().any(|said| said == line) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let is_said = tokio::time::timeout(Duration::from_secs(60), said).await.is_ok();
        assert!(is_said, "never: {line}\n{}", self.metrics().await);
    }
}

/// A TLS client that trusts a CA and may show a certificate.
pub fn client_config(ca: &Authority, certificate: Option<&Issued>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.certificate().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some(issued) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

pub fn write_pair(folder: &TempDir, issued: &Issued) {
    std::fs::write(folder.path().join("tls.crt"), &issued.certificate).unwrap();
    std::fs::write(folder.path().join("tls.key"), &issued.key).unwrap();
}

/// One connection.
pub struct Client {
    pub stream: TlsStream<TcpStream>,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    /// Sends a review and reads the answer.
    pub async fn post(&mut self, path: &str, body: &str) -> Response {
        let head = format!(
            "POST {path}?timeout=5s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&format!("{head}{body}")).await.unwrap()
    }

    /// Sends bytes and reads one answer.
    pub async fn send(&mut self, bytes: &str) -> std::io::Result<Response> {
        // A server that refuses early may close while we still write; what it said is what counts.
        let _ = self.stream.write_all(bytes.as_bytes()).await;
        let _ = self.stream.flush().await;
        self.read().await
    }

    /// Reads one answer.
    pub async fn read(&mut self) -> std::io::Result<Response> {
        self.read_on(Vec::new()).await
    }

    /// The same where an answer may not have begun yet; none if it does not begin within this time. One that has begun
    /// is read to its end, so that nothing of it is lost.
    pub async fn read_within(&mut self, time: Duration) -> Option<std::io::Result<Response>> {
        let first = tokio::time::timeout(time, self.stream.read_u8()).await.ok()?;
        Some(match first {
            Ok(first) => self.read_on(vec![first]).await,
            Err(error) => Err(error),
        })
    }

    async fn read_on(&mut self, mut head: Vec<u8>) -> std::io::Result<Response> {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Response { status, head, body: String::from_utf8(body).unwrap() })
    }
}

/// A Deployment or Cluster as Gardener's own code wrote it.
pub fn fixture(case: &str, file: &str) -> Value {
    let path = format!("{}/tests/fixtures/gardener/{case}/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// A review of a Deployment.
pub fn review(deployment: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "name": deployment["metadata"]["name"],
            "namespace": deployment["metadata"]["namespace"],
            "operation": "CREATE",
            "object": deployment,
        },
    })
}

/// A review that gets the sidecar.
pub fn overlapping() -> Value {
    review(&fixture("ha", "deployment"))
}

/// A review for the handler with a bug.
pub fn broken(name: &str) -> String {
    review(&json!({"metadata": {"name": name, "namespace": "x"}})).to_string()
}
