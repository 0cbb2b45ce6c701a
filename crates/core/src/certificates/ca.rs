//! Certificates as data: of a CA, alone or with its key, and of a server.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// How far before the moment of its issue a certificate becomes valid, so that a peer whose clock is behind accepts it.
pub const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// The SHA-256 of a certificate, which identifies it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub [u8; 32]);

/// The first 16 of 64 digits: enough to distinguish a handful of certificates.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The certificate of a CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ca {
    /// As PEM, always written in the same way.
    pub pem: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Ca {
    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// When it is due for renewal.
    pub fn renewal_at(&self) -> Timestamp {
        two_thirds(self.not_before, self.not_after)
    }
}

/// The certificate of a CA and its key.
#[derive(Clone, Eq, PartialEq)]
pub struct CaPair {
    /// The certificate.
    pub ca: Ca,
    /// The key, PEM.
    key: String,
}

/// Never the key.
impl fmt::Debug for CaPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaPair").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl CaPair {
    /// From a certificate and its key, PEM. The caller guarantees that they belong together.
    pub fn new(ca: Ca, key: String) -> Self {
        Self { ca, key }
    }

    /// The key, PEM.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The facts about a leaf that decisions need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// The CA that signed it.
    pub issuer: Fingerprint,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// The moment at two thirds of a certificate's life, not counting the backdating.
pub(super) fn two_thirds(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let issued = later(not_before, BACKDATED);
    let seconds = not_after.as_second().saturating_sub(issued.as_second()).max(0);
    Timestamp::from_second(issued.as_second() + seconds / 3 * 2 + seconds % 3 * 2 / 3).unwrap_or(not_after)
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
