//! The serving certificate: loaded from files, checked, replaced as one when the files change.
//!
//! A mounted Secret changes by a swap of symbolic links, which a watch on the files does not see; so the contents are
//! compared every second. A pair that is half written, does not match, or is expired never replaces a good one, and
//! connections that are open stay as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
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

/// How often the files are compared with what is served.
const POLL: Duration = Duration::from_secs(1);

/// Where certificate and key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// CAs of clients, PEM; with them only clients with a certificate may call.
    pub client_ca: Option<PathBuf>,
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
    /// A file is not what it should be.
    #[error("{path} holds no {what} in PEM format")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key are not a pair, or rustls refuses one of them.
    #[error("{certificate} and its key cannot be used: {source}")]
    Refused {
        /// The file of the certificate.
        certificate: PathBuf,
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
        /// The file of the certificate.
        certificate: PathBuf,
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
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// The texts of the files: certificate, key, client CAs.
type Contents = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

struct Current {
    contents: Contents,
    served: ServedCertificate,
    acceptor: TlsAcceptor,
    /// The same for callers that show no certificate.
    to_anyone: TlsAcceptor,
}

/// The TLS side of the server.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<Current>,
}

impl Tls {
    /// Loads the files; a bad pair is an error here, so that a bad mount fails at start.
    pub(super) fn load(files: TlsFiles, metrics: &Metrics) -> Result<Self, TlsError> {
        let current = build(&files, contents(&files)?)?;
        metrics.certificate_served(&current.served);
        Ok(Self { files, current: ArcSwap::from_pointee(current) })
    }

    /// The certificate that is served now.
    pub fn served(&self) -> ServedCertificate {
        self.current.load().served
    }

    /// Follows the files, until the task is dropped.
    pub(super) async fn keep_fresh(&self, metrics: &Metrics) {
        let mut refused = None;
        loop {
            tokio::time::sleep(POLL).await;
            match self.refresh(metrics, refused.as_ref()) {
                Refreshed::AsItWas => {}
                Refreshed::Good => refused = None,
                Refreshed::Refused(attempt) => refused = Some(attempt),
            }
        }
    }

    /// Compares the files with what is served, and replaces that when they are good. What was refused before is not
    /// said again.
    fn refresh(&self, metrics: &Metrics, refused: Option<&Attempt>) -> Refreshed {
        let attempt = contents(&self.files).map_err(|error| error.to_string());
        if attempt.as_ref().is_ok_and(|contents| *contents == self.current.load().contents) {
            return Refreshed::Good;
        }
        // Tried again each time: a certificate that is not valid yet becomes so without any change of its file.
        let built =
            attempt.clone().and_then(|contents| build(&self.files, contents).map_err(|error| error.to_string()));
        match built {
            Ok(current) => {
                tracing::info!(not_after = current.served.not_after, "certificate replaced");
                metrics.certificate_reloaded("replaced");
                metrics.certificate_served(&current.served);
                self.current.store(Arc::new(current));
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
        self.current.load().acceptor.accept(stream)
    }
}

/// The same certificate for callers that have none, such as API servers of Shoots.
pub(super) struct ToAnyone<'t>(pub(super) &'t Tls);

impl Acceptor for ToAnyone<'_> {
    type Stream = TlsStream<TcpStream>;

    fn accept(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        self.0.current.load().to_anyone.accept(stream)
    }
}

fn contents(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    Ok((read(&files.certificate)?, read(&files.key)?, files.client_ca.as_deref().map(read).transpose()?))
}

fn build(files: &TlsFiles, contents: Contents) -> Result<Current, TlsError> {
    let (certificate, key, client_ca) = &contents;
    let chain = certificates(certificate, &files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| TlsError::NotPem { path: files.key.clone(), what: "private key" })?;
    let served =
        dates(&chain[0]).ok_or_else(|| TlsError::NotPem { path: files.certificate.clone(), what: "certificate" })?;
    if !served.is_valid_at(SystemTime::now()) {
        let ServedCertificate { not_before, not_after } = served;
        return Err(TlsError::NotValid { certificate: files.certificate.clone(), not_before, not_after });
    }

    let refused = |source| TlsError::Refused { certificate: files.certificate.clone(), source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = || {
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)
    };
    let verifying = match client_ca.as_deref().zip(files.client_ca.as_ref()) {
        None => builder()?.with_no_client_auth(),
        Some((pem, path)) => {
            let problem = |problem: String| TlsError::ClientCa { path: path.clone(), problem };
            let mut roots = rustls::RootCertStore::empty();
            for ca in certificates(pem, path)? {
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

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::NotPem { path: path.to_owned(), what: "certificate" })
}

fn dates(leaf: &CertificateDer<'_>) -> Option<ServedCertificate> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let validity = certificate.validity();
    Some(ServedCertificate { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}
