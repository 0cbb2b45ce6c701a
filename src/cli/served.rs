//! The certificate that a server shows, verified as by each API server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use network_guard_controllers::certificates::pem;
use network_guard_core::certificates::Published;

/// The leaf of one server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Served {
    pub(super) server: String,
    /// The number of webhooks whose API servers would trust it.
    pub(super) trusted_by: usize,
    /// The number of all webhooks.
    pub(super) of: usize,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// Connects, and returns the problems.
pub(super) async fn served(
    server: &str,
    published: &[Published],
    server_name: &[Option<String>],
    now: Timestamp,
    patience: Duration,
) -> (Option<Served>, Vec<String>) {
    let chain = match timeout(patience, chain(server)).await.context("it took too long").and_then(|chain| chain) {
        Ok(chain) => chain,
        Err(error) => return (None, vec![format!("{server} shows no certificate: {error:#}")]),
    };
    let Some(leaf) = chain.first().and_then(|leaf| pem::certificate(leaf).ok()) else {
        return (None, vec![format!("{server} shows nothing that can be read")]);
    };
    let mut problems = Vec::new();
    for (published, server_name) in published.iter().zip(server_name) {
        if let Err(error) = judge(&chain, published, server_name.as_deref().unwrap_or_default(), now) {
            problems.push(format!("{server} is not trusted for {}: {error:#}", published.name));
        }
    }
    let (of, from, until) = (published.len(), leaf.not_before, leaf.not_after);
    let shown = Served { server: server.to_owned(), trusted_by: of - problems.len(), of, from, until };
    (Some(shown), problems)
}

/// Verifies as an API server with this configuration does.
fn judge(chain: &[CertificateDer<'_>], published: &Published, server_name: &str, now: Timestamp) -> anyhow::Result<()> {
    let mut roots = RootCertStore::empty();
    for ca in &published.bundle {
        roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes())?)?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(aws_lc_rs::default_provider()))
            .build()?;
    let name = ServerName::try_from(server_name.to_owned()).with_context(|| format!("called as `{server_name}`"))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at)?;
    Ok(())
}

async fn chain(server: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness = Arc::new(Witness { provider: Arc::clone(&provider), seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as _)
        .with_no_client_auth();
    let stream = TcpStream::connect(server).await?;
    // A server that asks for a certificate of the client has shown its own by then.
    let name = ServerName::try_from("localhost")?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let seen = std::mem::take(&mut *witness.seen.lock().unwrap_or_else(PoisonError::into_inner));
    if seen.is_empty() {
        connected?;
    }
    Ok(seen)
}

/// Accepts any certificate. Nothing is sent to the server, so its identity does not matter.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(leaf).chain(intermediates).map(|der| der.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
