//! The source of the certificate, and its errors.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use crate::clock::Clock;

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
    /// The current certificate and key.
    fn read(&self) -> Result<Pair, TlsError>;

    /// The name of the source in errors.
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

/// The sources of TLS.
pub struct TlsSources {
    /// Certificate and key.
    pub pair: Arc<dyn PairSource>,
    /// CAs of clients, PEM. With them only clients with a certificate may call.
    pub client_ca: Option<PathBuf>,
    /// The clock for the validity of certificates.
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
    /// Something is not of its kind.
    #[error("{name} holds no {what} in PEM format")]
    NotPem {
        /// The certificate or the file.
        name: String,
        /// What was expected.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or rustls refuses one of them.
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

/// All texts: certificate and key, and client CAs.
pub(super) type Contents = (Pair, Option<Vec<u8>>);

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

pub(super) fn contents(sources: &TlsSources) -> Result<Contents, TlsError> {
    Ok((sources.pair.read()?, sources.client_ca.as_deref().map(read).transpose()?))
}
