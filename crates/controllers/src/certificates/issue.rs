//! A CA and the leaves that it signs: ECDSA P-256, because one signature costs a server a fraction of RSA's.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use super::pem;
use network_guard_core::certificates::{BACKDATED, CaPair};
use network_guard_core::gardener::LONGEST_NAME;

/// A certificate and its private key, both PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// A CA with its key.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    /// No leaf is valid for longer than this.
    not_after: Timestamp,
}

/// Why a certificate cannot be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name that certificates cannot carry.
    #[error("`{name}` is neither a DNS name nor an IP address")]
    Name {
        /// The name.
        name: String,
    },
    /// Anything else.
    #[error("cannot issue a certificate: {0}")]
    Rcgen(#[from] rcgen::Error),
    /// A date that cannot be written.
    #[error("cannot issue a certificate: its dates are out of range")]
    Dates,
}

/// The longest common name that a certificate may carry (`ub-common-name` of RFC 5280).
const LONGEST_COMMON_NAME: usize = 64;

/// A new CA for self-managed certificates. Its name contains its creation time, so that people can tell two CAs apart.
pub fn issue_ca(now: Timestamp, lifetime: Duration) -> Result<CaPair, IssueError> {
    let authority = Authority::new(&format!("network-guard CA {now:.0}"), now, lifetime)?;
    Ok(pem::ca_pair(authority.certificate(), &authority.key()).expect("it was just issued"))
}

impl Authority {
    /// A new self-signed CA that signs leaves only.
    pub fn new(common_name: &str, now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let mut params = params(common_name, now, lifetime)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let not_after = now.checked_add(lifetime).map_err(|_| IssueError::Dates)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key), not_after })
    }

    /// Loads a CA that was issued before.
    pub fn from_pair(pair: &CaPair) -> Result<Self, IssueError> {
        let issuer = Issuer::from_ca_cert_pem(&pair.ca.pem, KeyPair::from_pem(pair.key())?)?;
        Ok(Self { certificate: pair.ca.pem.clone(), issuer, not_after: pair.ca.not_after })
    }

    /// Its private key, PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The CA's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate for a server with these DNS names and IP addresses.
    pub fn server(&self, names: &[String], now: Timestamp, lifetime: Duration) -> Result<Issued, IssueError> {
        let common_name = names.iter().find(|name| name.len() <= LONGEST_COMMON_NAME).map_or("server", String::as_str);
        let mut params = params(common_name, now, lifetime)?;
        params.subject_alt_names = names.iter().map(|name| subject(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// Issues a certificate for a client: a user name, and the groups that it is in.
    pub fn client(&self, user: &str, group: &str, now: Timestamp, lifetime: Duration) -> Result<Issued, IssueError> {
        let mut params = params(user, now, lifetime)?;
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Issued, IssueError> {
        params.not_after = params.not_after.min(date(self.not_after)?);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

/// rcgen's own defaults are valid from 1975 to 4096, so both dates are always set.
fn params(common_name: &str, now: Timestamp, lifetime: Duration) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now.checked_sub(BACKDATED).map_err(|_| IssueError::Dates)?)?;
    params.not_after = date(now.checked_add(lifetime).map_err(|_| IssueError::Dates)?)?;
    Ok(params)
}

/// The type in which rcgen takes dates.
fn date(at: Timestamp) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(|_| IssueError::Dates)
}

/// Whether this may be a name in a certificate.
pub fn is_name(name: &str) -> bool {
    subject(name).is_ok()
}

fn subject(name: &str) -> Result<SanType, IssueError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let valid = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'*')
        });
    let malformed = || IssueError::Name { name: name.to_owned() };
    if !valid {
        return Err(malformed());
    }
    Ok(SanType::DnsName(name.to_owned().try_into().map_err(|_| malformed())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_leaf_is_valid_for_longer_than_its_ca() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        let at = |hour: i64| Timestamp::from_second(1_800_000_000 + hour * 60 * 60).unwrap();
        let signing = issue_ca(at(0), hours(30)).unwrap();
        let names = ["guard.example".to_owned()];
        let leaf = |hour: i64| {
            let issued = Authority::from_pair(&signing).unwrap().server(&names, at(hour), hours(7)).unwrap();
            pem::leaf(&issued.certificate, signing.ca.fingerprint, &names).unwrap()
        };
        for (hour, until) in [(0, at(7)), (22, at(29)), (27, signing.ca.not_after)] {
            let leaf = leaf(hour);
            assert_eq!(leaf.not_before, at(hour).checked_sub(BACKDATED).unwrap());
            assert_eq!(leaf.not_after, until, "issued in hour {hour}");
        }
        assert_eq!(signing.ca.not_after, at(30));
    }
}
