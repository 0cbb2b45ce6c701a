//! Certificates as data.

mod issue;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use issue::{Authority, IssueError, Issued};

/// Whether this text holds certificates in PEM form, and nothing of them is broken: what API servers take as a CA bundle.
pub fn is_ca_bundle(text: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(text).peekable();
    certificates.peek().is_some()
        && certificates
            .all(|certificate| certificate.is_ok_and(|der| x509_parser::parse_x509_certificate(&der).is_ok()))
}
