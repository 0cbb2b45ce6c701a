//! Certificates with only the dates of real ones: decisions depend on nothing else.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;

use super::ca::later;
use super::{BACKDATED, Ca, CaPair, Fingerprint, Leaf};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// A CA that differs from all others.
#[expect(clippy::unnecessary_wraps, reason = "a real one may not be issued")]
pub(super) fn issue(now: Timestamp, lifetime: Duration) -> Result<CaPair, Infallible> {
    let number = COUNT.replace(COUNT.get() + 1);
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&number.to_be_bytes());
    let ca = Ca {
        pem: format!("certificate {number}\n"),
        fingerprint: Fingerprint(fingerprint),
        not_before: now.checked_sub(BACKDATED).unwrap(),
        not_after: later(now, lifetime),
    };
    Ok(CaPair::new(ca, format!("key {number}\n")))
}

/// A leaf of this CA, valid no longer than the CA.
pub(super) fn leaf(signing: &CaPair, names: &[String], now: Timestamp, lifetime: Duration) -> Leaf {
    Leaf {
        issuer: signing.ca.fingerprint,
        names: names.to_vec(),
        not_before: now.checked_sub(BACKDATED).unwrap(),
        not_after: later(now, lifetime).min(signing.ca.not_after),
    }
}
