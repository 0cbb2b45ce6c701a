//! The CAs of self-managed certificates, as one Secret holds them for all replicas.

use std::time::Duration;

use jiff::Timestamp;

use super::{Ca, CaPair, Fingerprint};

/// A CA that will sign once all API servers trust it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Next {
    /// The CA.
    pub pair: CaPair,
    /// When it was first seen in every webhook configuration; `None` while it is missing in one.
    pub published_at: Option<Timestamp>,
}

/// All CAs in use. There is always one that signs or one that will.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Material {
    /// Signs leaves. `None` after a loss: then replicas keep the leaf that they have until the next one may sign.
    pub signing: Option<CaPair>,
    /// Signs next.
    pub next: Option<Next>,
    /// CAs whose leaves may still be served. Their keys are gone.
    pub retired: Vec<Ca>,
    /// Until when the last of those leaves is valid.
    pub retired_until: Option<Timestamp>,
    /// Whether an operator requested a new CA before it is due.
    pub rotation_requested: bool,
    /// The CA that API servers trust, as the leader last confirmed. A Secret from a backup does not say so, and no
    /// replica signs with its CA before the leader has confirmed it.
    pub confirmed: Option<String>,
}

impl Material {
    /// A first CA, which signs at once: no API server trusts another one.
    pub fn first(pair: CaPair) -> Self {
        let confirmed = Some(pair.ca.fingerprint.to_string());
        Self { signing: Some(pair), confirmed, ..Self::waiting(None) }
    }

    /// A CA that may not sign yet, after a loss.
    pub(super) fn waiting(next: Option<Next>) -> Self {
        Self {
            signing: None,
            next,
            retired: Vec::new(),
            retired_until: None,
            rotation_requested: false,
            confirmed: None,
        }
    }

    /// The certificates that API servers have to trust at this moment, the one that signs first.
    pub fn bundle(&self, now: Timestamp) -> Vec<&Ca> {
        let is_served = self.next.is_some() || self.retired_until.is_none_or(|until| now < until);
        let retired = self.retired.iter().filter(|_| is_served);
        self.signing.iter().chain(self.next.iter().map(|next| &next.pair)).map(|pair| &pair.ca).chain(retired).collect()
    }

    /// The bundle as text.
    pub fn bundle_pem(&self, now: Timestamp) -> String {
        self.bundle(now).into_iter().map(|ca| &*ca.pem).collect()
    }

    /// Whether it has this certificate in any role.
    pub fn knows(&self, fingerprint: Fingerprint) -> bool {
        let pairs = self.signing.iter().chain(self.next.iter().map(|next| &next.pair)).map(|pair| &pair.ca);
        pairs.chain(&self.retired).any(|ca| ca.fingerprint == fingerprint)
    }

    /// The CA that signs, if the leader has confirmed it.
    pub fn confirmed_signing(&self) -> Option<&CaPair> {
        self.signing.as_ref().filter(|pair| self.confirmed.as_deref() == Some(&*pair.ca.fingerprint.to_string()))
    }

    /// Records that API servers trust the CA that signs.
    pub(super) fn confirm_trust(&mut self) {
        self.confirmed = self.signing.as_ref().map(|pair| pair.ca.fingerprint.to_string());
    }

    /// Adds CAs that API servers were configured to trust, because their leaves may still be served.
    pub(super) fn adopt(&mut self, adopted: Vec<Ca>, now: Timestamp, leaf: Duration) {
        for ca in adopted {
            if !self.knows(ca.fingerprint) {
                self.retired.push(ca);
            }
        }
        self.retire_at(now, leaf);
    }

    /// The next CA signs from now on; the key of the old one is deleted.
    pub(super) fn switch(&mut self, now: Timestamp, leaf: Duration) {
        let Some(next) = self.next.take() else { return };
        if let Some(old) = self.signing.replace(next.pair) {
            self.retired.push(old.ca);
        }
        self.confirm_trust();
        self.retire_at(now, leaf);
    }

    /// The last leaf of the old CA may be issued just before all replicas know the new one.
    fn retire_at(&mut self, now: Timestamp, leaf: Duration) {
        // Where leaves live long, rotations may follow each other before the last leaf has expired.
        self.retired.retain(|ca| now <= ca.not_after);
        if !self.retired.is_empty() {
            let until = now.checked_add(leaf).unwrap_or(Timestamp::MAX);
            self.retired_until = self.retired_until.max(Some(until));
        }
    }
}
