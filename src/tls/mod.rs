//! Certificates as data: how they are issued, and the lifecycle of those that nobody else looks after.
//!
//! ```text
//! Secret ── read ──> Material ─┬─ bundle ──────────> webhook configurations
//!                              ├─ is_leaf_due ─────> each replica's own leaf, in memory
//!                     clock ───┴─ next_step ── carried_out ──> the next Material
//! ```

mod ca;
mod issue;
mod lifecycle;
mod material;
mod secret;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use ca::{Ca, CaPair, Fingerprint, Leaf, Unusable};
pub use issue::{Authority, IssueError, Issued, is_name};
pub use lifecycle::{Lifetimes, Published, Reason, Step, Waiting, carried_out, is_leaf_due, next_step};
pub use material::{Material, Next};
pub use secret::{BadSecret, read, write};

/// Whether this text holds certificates in PEM form, and nothing of them is broken: what API servers take as a CA bundle.
pub fn is_ca_bundle(text: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(text).peekable();
    certificates.peek().is_some()
        && certificates
            .all(|certificate| certificate.is_ok_and(|der| x509_parser::parse_x509_certificate(&der).is_ok()))
}
