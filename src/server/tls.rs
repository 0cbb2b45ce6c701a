//! The serving certificate: read from files or issued by the replica itself, checked, replaced as one when it changes.
//!
//! A mounted Secret changes by a swap of symbolic links, which a watch on the files does not see; so the contents are
//! compared every second. A pair that is half written, does not match, or is expired never replaces a good one, and
//! connections that are open stay as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Metrics;
use super::accept::Acceptor;
use crate::controllers::certificates::keeper::Keeper;
use crate::sources::clock::Clock;

/// What keeps it fresh is called so where turns and panics are counted.
pub(super) const TASK: &str = "certificate";

/// How often the files are compared with what is served.
const POLL: Duration = Duration::from_secs(1);

/// A certificate chain, leaf first, and its private key, both PEM.
#[derive(Clone, Eq, PartialEq)]
pub struct Pair {
    /// The chain.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// Where certificate and key come from.
pub trait PairSource: Send + Sync {
    /// What is there now.
    fn read(&self) -> Result<Pair, TlsError>;

    /// What they are called in errors.
    fn name(&self) -> String;
}

/// Certificate and key in files: written by hand, or a mounted Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairFiles {
    /// The certificate chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl PairSource for PairFiles {
    fn read(&self) -> Result<Pair, TlsError> {
        Ok(Pair { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    fn name(&self) -> String {
        self.certificate.display().to_string()
    }
}

impl PairSource for Keeper {
    fn read(&self) -> Result<Pair, TlsError> {
        let issued = self.pair().ok_or(TlsError::NotYet)?;
        Ok(Pair { certificate: issued.certificate.clone().into_bytes(), key: issued.key.clone().into_bytes() })
    }

    fn name(&self) -> String {
        "the leaf of this replica".to_owned()
    }
}

/// What TLS is made of.
pub struct TlsSources {
    /// Certificate and key.
    pub pair: Arc<dyn PairSource>,
    /// CAs of clients, PEM; with them only clients with a certificate may call.
    pub client_ca: Option<PathBuf>,
    /// The time by which certificates are judged.
    pub clock: Arc<Clock>,
}

/// Why a certificate is not used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate yet.
    #[error("there is no certificate yet")]
    NotYet,
    /// Something is not what it should be.
    #[error("{name} holds no {what} in PEM format")]
    NotPem {
        /// The certificate or the file.
        name: String,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key are not a pair, or rustls refuses one of them.
    #[error("{certificate} and its key cannot be used: {source}")]
    Refused {
        /// The certificate.
        certificate: String,
        /// Why.
        source: rustls::Error,
    },
    /// The client CAs cannot be used.
    #[error("{path} cannot be used to verify clients: {problem}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The leaf is not valid now.
    #[error("{certificate} is not valid now: from {not_before} to {not_after} (seconds since 1970)")]
    NotValid {
        /// The certificate.
        certificate: String,
        /// Seconds since 1970.
        not_before: i64,
        /// Seconds since 1970.
        not_after: i64,
    },
}

/// The certificate that is served now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServedCertificate {
    /// Valid from, seconds since 1970.
    pub not_before: i64,
    /// Valid until, seconds since 1970.
    pub not_after: i64,
}

impl ServedCertificate {
    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }
}

/// All texts: certificate and key, and client CAs.
type Contents = (Pair, Option<Vec<u8>>);

struct Current {
    contents: Contents,
    served: ServedCertificate,
    acceptor: TlsAcceptor,
    /// The same for callers that show no certificate.
    to_anyone: TlsAcceptor,
}

/// The TLS side of the server.
pub struct Tls {
    sources: TlsSources,
    /// `None` until there is a first certificate.
    current: ArcSwapOption<Current>,
}

impl Tls {
    /// Loads the certificate; a bad pair is an error here, so that a bad mount fails at start. One that is still to come, or
    /// not valid now, is none.
    pub(super) fn load(sources: TlsSources, metrics: &Metrics) -> Result<Self, TlsError> {
        let current = match contents(&sources).and_then(|contents| build(&sources, contents)) {
            Ok(current) => {
                metrics.certificate_served(&current.served);
                Some(Arc::new(current))
            }
            Err(TlsError::NotYet) => None,
            // Perhaps it is our clock that is wrong: the API server will tell.
            Err(error @ TlsError::NotValid { .. }) => {
                tracing::error!(%error, "no certificate is served until that changes");
                metrics.certificate_reloaded("refused");
                metrics.certificate_refused(true);
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { sources, current: ArcSwapOption::new(current) })
    }

    /// The certificate that is served now.
    pub fn served(&self) -> Option<ServedCertificate> {
        self.current.load().as_ref().map(|current| current.served)
    }

    /// Whether one is served that is valid now.
    pub fn is_valid(&self) -> bool {
        self.served().is_some_and(|served| served.is_valid_at(self.sources.clock.now()))
    }

    /// Follows the sources, until the task is dropped.
    pub(super) async fn keep_fresh(&self, metrics: &Metrics) {
        let mut refused = None;
        loop {
            tokio::time::sleep(POLL).await;
            match self.refresh(metrics, refused.as_ref()) {
                Refreshed::AsItWas => {}
                Refreshed::Good => refused = None,
                Refreshed::Refused(attempt) => refused = Some(attempt),
            }
            metrics.tasks().turned(TASK);
        }
    }

    /// Compares what is there with what is served, and replaces that when they are good. What was refused before is not
    /// said again.
    fn refresh(&self, metrics: &Metrics, refused: Option<&Attempt>) -> Refreshed {
        let attempt = match contents(&self.sources) {
            Err(TlsError::NotYet) => return Refreshed::AsItWas,
            attempt => attempt.map_err(|error| error.to_string()),
        };
        let refreshed = self.replace(metrics, attempt, refused);
        // As long as it lies there, and not only when it was put there.
        metrics.certificate_refused(!matches!(refreshed, Refreshed::Good));
        refreshed
    }

    fn replace(&self, metrics: &Metrics, attempt: Attempt, refused: Option<&Attempt>) -> Refreshed {
        let current = self.current.load();
        if attempt.as_ref().is_ok_and(|contents| current.as_ref().is_some_and(|current| *contents == current.contents))
        {
            return Refreshed::Good;
        }
        // Tried again each time: a certificate that is not valid yet becomes so without any change of its file.
        let built =
            attempt.clone().and_then(|contents| build(&self.sources, contents).map_err(|error| error.to_string()));
        match built {
            Ok(current) => {
                tracing::info!(not_after = current.served.not_after, "certificate replaced");
                metrics.certificate_reloaded("replaced");
                metrics.certificate_served(&current.served);
                self.current.store(Some(Arc::new(current)));
                Refreshed::Good
            }
            Err(_) if refused == Some(&attempt) => Refreshed::AsItWas,
            Err(error) => {
                tracing::error!(error, "the last good certificate stays in use");
                metrics.certificate_reloaded("refused");
                Refreshed::Refused(attempt)
            }
        }
    }
}

/// What was read, or why nothing was.
type Attempt = Result<Contents, String>;

enum Refreshed {
    AsItWas,
    Good,
    Refused(Attempt),
}

impl Acceptor for Tls {
    type Stream = TlsStream<TcpStream>;

    fn accept(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        accept(self, |current| &current.acceptor, stream)
    }
}

/// The same certificate for callers that have none, such as API servers of Shoots.
pub(super) struct ToAnyone<'t>(pub(super) &'t Tls);

impl Acceptor for ToAnyone<'_> {
    type Stream = TlsStream<TcpStream>;

    fn accept(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        accept(self.0, |current| &current.to_anyone, stream)
    }
}

/// Before there is a certificate, whoever calls is refused at once.
fn accept(
    tls: &Tls,
    which: fn(&Current) -> &TlsAcceptor,
    stream: TcpStream,
) -> impl Future<Output = io::Result<TlsStream<TcpStream>>> + Send + 'static {
    let current = tls.current.load();
    let accepted = current.as_ref().map(|current| which(current).accept(stream));
    async {
        match accepted {
            Some(accepted) => accepted.await,
            None => Err(io::Error::new(io::ErrorKind::NotConnected, TlsError::NotYet)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

fn contents(sources: &TlsSources) -> Result<Contents, TlsError> {
    Ok((sources.pair.read()?, sources.client_ca.as_deref().map(read).transpose()?))
}

fn build(sources: &TlsSources, contents: Contents) -> Result<Current, TlsError> {
    let (Pair { certificate, key }, client_ca) = &contents;
    let name = sources.pair.name();
    let chain = certificates(certificate, &name)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| TlsError::NotPem { name: format!("the key of {name}"), what: "private key" })?;
    let served = dates(&chain[0]).ok_or_else(|| TlsError::NotPem { name: name.clone(), what: "certificate" })?;
    if !served.is_valid_at(sources.clock.now()) {
        let ServedCertificate { not_before, not_after } = served;
        return Err(TlsError::NotValid { certificate: name, not_before, not_after });
    }

    let refused = |source| TlsError::Refused { certificate: name.clone(), source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = || {
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)
    };
    let verifying = match client_ca.as_deref().zip(sources.client_ca.as_ref()) {
        None => builder()?.with_no_client_auth(),
        Some((pem, path)) => {
            let problem = |problem: String| TlsError::ClientCa { path: path.clone(), problem };
            let mut roots = rustls::RootCertStore::empty();
            for ca in certificates(pem, &path.display().to_string())? {
                roots.add(ca).map_err(|error| problem(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| problem(error.to_string()))?;
            builder()?.with_client_cert_verifier(verifier)
        }
    };
    let acceptor = |builder: rustls::ConfigBuilder<ServerConfig, WantsServerCert>| {
        // Refuses a key that does not belong to the leaf.
        let mut config = builder.with_single_cert(chain.clone(), key.clone_key()).map_err(refused)?;
        // API servers speak nothing else to webhooks, and what is not offered needs no defence.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // API servers keep no sessions, so tickets would be made for nobody.
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    let (acceptor, to_anyone) = (acceptor(verifying)?, acceptor(builder()?.with_no_client_auth())?);
    Ok(Current { contents, served, acceptor, to_anyone })
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::NotPem { name: name.to_owned(), what: "certificate" })
}

fn dates(leaf: &CertificateDer<'_>) -> Option<ServedCertificate> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let validity = certificate.validity();
    Some(ServedCertificate { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}
