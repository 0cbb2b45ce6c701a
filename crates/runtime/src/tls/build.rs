//! The certificate as it is served: checked, and ready for handshakes.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::source::Contents;
use super::{Pair, TlsError, TlsSources};

/// The served certificate.
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

pub(super) struct Current {
    pub(super) contents: Contents,
    pub(super) served: ServedCertificate,
    pub(super) acceptor: TlsAcceptor,
    /// The same for callers that show no certificate.
    pub(super) to_anyone: TlsAcceptor,
}

pub(super) fn build(sources: &TlsSources, contents: Contents) -> Result<Current, TlsError> {
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
        // API servers keep no sessions, so nobody would use the tickets.
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
