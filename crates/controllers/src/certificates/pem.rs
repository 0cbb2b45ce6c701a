//! Reads certificates and keys from texts: of a CA, alone or with its key, and of a server.

use aws_lc_rs::digest;
use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use network_guard_core::certificates::{Ca, CaPair, Fingerprint, Leaf};

/// Why a text is not the expected certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// No certificate at all, or a broken one.
    #[error("it is no certificate in PEM format")]
    NotPem,
    /// More than one.
    #[error("there is more than one certificate")]
    Several,
    /// The certificate does not belong to a CA.
    #[error("it is not the certificate of a CA")]
    NotCa,
    /// The key is broken.
    #[error("its key is not in PEM format, or of a kind that is not supported")]
    Key,
    /// The key belongs to another certificate.
    #[error("its key does not belong to it")]
    OtherKey,
}

/// Reads the certificate of exactly one CA.
pub fn ca(pem: &str) -> Result<Ca, Unusable> {
    let mut found = certificates(pem.as_bytes())?;
    if found.len() > 1 {
        return Err(Unusable::Several);
    }
    let der = found.pop().ok_or(Unusable::NotPem)?;
    let ca = certificate(&der)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
    if certificate.is_ca() { Ok(ca) } else { Err(Unusable::NotCa) }
}

/// Reads the certificate of a CA and its key, which have to belong together.
pub fn ca_pair(certificate: &str, key: &str) -> Result<CaPair, Unusable> {
    let ca = ca(certificate)?;
    let pair = KeyPair::from_pem(key).map_err(|_| Unusable::Key)?;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| Unusable::NotPem)?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err(Unusable::OtherKey);
    }
    Ok(CaPair::new(ca, key.to_owned()))
}

/// Reads all certificates of a bundle. It is not checked here whether they are trustworthy, or even CAs.
pub fn bundle(pem: &[u8]) -> Result<Vec<Ca>, Unusable> {
    certificates(pem)?.iter().map(|der| certificate(der)).collect()
}

/// Reads those certificates of a bundle that can be read. API servers skip the others too.
pub fn readable(pem: &[u8]) -> Vec<Ca> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates.filter_map(|der| certificate(&der).ok()).collect()
}

/// Whether this text holds certificates in PEM form, all of them intact: what API servers accept as a CA bundle.
pub fn is_ca_bundle(text: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(text).peekable();
    certificates.peek().is_some()
        && certificates
            .all(|certificate| certificate.is_ok_and(|der| x509_parser::parse_x509_certificate(&der).is_ok()))
}

/// Reads any certificate.
pub fn certificate(der: &CertificateDer<'_>) -> Result<Ca, Unusable> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Unusable::NotPem)?;
    let (not_before, not_after) = dates(&certificate);
    Ok(Ca { pem: to_pem(der), fingerprint: fingerprint(der), not_before, not_after })
}

/// Reads the dates of a leaf that was issued for these names by this CA.
pub fn leaf(pem: &str, issuer: Fingerprint, names: &[String]) -> Result<Leaf, Unusable> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Unusable::NotPem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Unusable::NotPem)?;
    let (not_before, not_after) = dates(&certificate);
    Ok(Leaf { issuer, names: names.to_vec(), not_before, not_after })
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    Fingerprint(bytes)
}

/// All certificates of a text, all of them intact; possibly none.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| Unusable::NotPem)
}

/// Certificates may have dates that no clock here can represent, such as the "never" of RFC 5280.
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
    use std::time::Duration;

    use super::super::Authority;
    use super::*;

    #[test]
    fn reads_what_was_issued_and_says_what_is_wrong() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let authority = |name| Authority::new(name, now, day).unwrap();
        let (one, two) = (authority("one"), authority("two"));
        let pair = ca_pair(one.certificate(), &one.key()).unwrap();
        assert_eq!(pair.ca.not_before.to_string(), "2026-11-21T11:55:00Z", "backdated");
        assert_eq!(pair.ca.not_after.to_string(), "2026-11-22T12:00:00Z");
        assert_eq!(ca(&pair.ca.pem).unwrap(), pair.ca, "what is written is read back");
        assert!(!format!("{pair:?}").contains("PRIVATE"), "a key is never printed");

        let leaf = one.server(&["guard.example".to_owned()], now, day).unwrap();
        let both = format!("{}{}", one.certificate(), two.certificate());
        assert_eq!(bundle(both.as_bytes()).unwrap().len(), 2);
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
            assert_eq!(ca_pair(certificate, &key), Err(want), "{name}");
        }
    }
}
