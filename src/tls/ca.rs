//! Certificates as they are read back: of a CA, alone or with its key, and of a server.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{Authority, IssueError};

/// The SHA-256 of a certificate, by which it is told from all others.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Self(bytes)
    }
}

/// The first 16 of 64 digits: enough for people to tell a handful of certificates apart.
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

/// Why something is not the certificate that it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// No certificate at all, or a broken one.
    #[error("it is no certificate in PEM format")]
    NotPem,
    /// More than one.
    #[error("there is more than one certificate")]
    Several,
    /// The certificate of somebody who signs nothing.
    #[error("it is not the certificate of a CA")]
    NotCa,
    /// The key is broken.
    #[error("its key is not in PEM format, or of a kind that is not supported")]
    Key,
    /// The key is another's.
    #[error("its key does not belong to it")]
    OtherKey,
}

/// The certificate of a CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ca {
    pem: String,
    /// Which one it is.
    pub fingerprint: Fingerprint,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Ca {
    /// Reads exactly one.
    pub fn parse(pem: &str) -> Result<Self, Unusable> {
        let mut found = certificates(pem.as_bytes())?;
        if found.len() > 1 {
            return Err(Unusable::Several);
        }
        let der = found.pop().ok_or(Unusable::NotPem)?;
        let ca = Self::read(&der)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
        if certificate.is_ca() { Ok(ca) } else { Err(Unusable::NotCa) }
    }

    /// All certificates of a bundle. What a bundle trusts is not judged here, not even whether it is a CA.
    pub fn parse_bundle(pem: &[u8]) -> Result<Vec<Self>, Unusable> {
        certificates(pem)?.iter().map(|der| Self::read(der)).collect()
    }

    /// Those certificates of a bundle that can be read. API servers skip the others too.
    pub fn readable(pem: &[u8]) -> Vec<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        certificates.filter_map(|der| Self::read(&der).ok()).collect()
    }

    /// Reads any certificate.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, Unusable> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Unusable::NotPem)?;
        let (not_before, not_after) = dates(&certificate);
        Ok(Self { pem: to_pem(der), fingerprint: Fingerprint::of(der), not_before, not_after })
    }

    /// As PEM, always in the same way.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// The certificate of a CA and its key.
#[derive(Clone, Eq, PartialEq)]
pub struct CaPair {
    /// The certificate.
    pub ca: Ca,
    key: String,
}

/// Never the key.
impl fmt::Debug for CaPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaPair").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl CaPair {
    /// Reads both, which have to belong together.
    pub fn parse(certificate: &str, key: &str) -> Result<Self, Unusable> {
        let ca = Ca::parse(certificate)?;
        let pair = KeyPair::from_pem(key).map_err(|_| Unusable::Key)?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| Unusable::NotPem)?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
        if parsed.public_key().raw != pair.subject_public_key_info() {
            return Err(Unusable::OtherKey);
        }
        Ok(Self { ca, key: key.to_owned() })
    }

    /// A new one. Its name says when it was made, so that people can tell two of them apart.
    pub fn issue(now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let authority = Authority::new(&format!("network-guard CA {now:.0}"), now, lifetime)?;
        Ok(Self::parse(authority.certificate(), &authority.key()).expect("it was just issued"))
    }

    /// The key, PEM.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What is known of a leaf without the connection that shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// The CA that signed it.
    pub issuer: Fingerprint,
    /// For whom it is.
    pub names: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Leaf {
    /// Reads the dates of a leaf that was issued for these names by this CA.
    pub fn read(pem: &str, issuer: Fingerprint, names: &[String]) -> Result<Self, Unusable> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Unusable::NotPem)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
        let (not_before, not_after) = dates(&certificate);
        Ok(Self { issuer, names: names.to_vec(), not_before, not_after })
    }
}

/// All certificates of a text, none of them broken. None is fine too.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| Unusable::NotPem)
}

/// Certificates may have dates that no clock here can show, such as the one that RFC 5280 has for "never".
fn dates(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let at = |seconds: i64| Timestamp::from_second(seconds.clamp(first, last)).expect("it is within bounds");
    let validity = certificate.validity();
    (at(validity.not_before.timestamp()), at(validity.not_after.timestamp()))
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_issued_and_says_what_is_wrong() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let authority = |name| Authority::new(name, now, day).unwrap();
        let (one, two) = (authority("one"), authority("two"));
        let pair = CaPair::parse(one.certificate(), &one.key()).unwrap();
        assert_eq!(pair.ca.not_before.to_string(), "2026-11-21T11:55:00Z", "backdated");
        assert_eq!(pair.ca.not_after.to_string(), "2026-11-22T12:00:00Z");
        assert_eq!(Ca::parse(pair.ca.pem()).unwrap(), pair.ca, "what is written is read back");
        assert!(!format!("{pair:?}").contains("PRIVATE"), "a key is never printed");

        let leaf = one.server(&["guard.example".to_owned()], now, day).unwrap();
        let both = format!("{}{}", one.certificate(), two.certificate());
        assert_eq!(Ca::parse_bundle(both.as_bytes()).unwrap().len(), 2);
        let half = &one.certificate()[..200];
        for (name, certificate, key, want) in [
            ("empty", "", one.key(), Unusable::NotPem),
            ("half", half, one.key(), Unusable::NotPem),
            ("two", &both, one.key(), Unusable::Several),
            ("a leaf", &leaf.certificate, leaf.key.clone(), Unusable::NotCa),
            ("no key", one.certificate(), String::new(), Unusable::Key),
            ("half a key", one.certificate(), one.key()[..80].to_owned(), Unusable::Key),
            ("another's key", one.certificate(), two.key(), Unusable::OtherKey),
        ] {
            assert_eq!(CaPair::parse(certificate, &key), Err(want), "{name}");
        }
    }
}
