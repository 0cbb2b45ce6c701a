//! A decision.

use super::patch::Patch;
use crate::diagnostics::Finding;

/// A handler's decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Whether the request passes, and how it is changed.
    pub outcome: Outcome,
    /// What was decided, in a word: a label for logs and metrics.
    pub decision: &'static str,
    /// What rules found.
    pub findings: Vec<Finding>,
    /// What the audit log shall say.
    pub audit: Vec<(AuditKey, String)>,
}

/// Whether a request passes. A denial carries no patch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It passes as it came.
    Allowed,
    /// It passes, changed.
    Patched(Patch),
    /// It is refused, because of the findings of severity [`Severity::Deny`](crate::diagnostics::Severity::Deny).
    Denied,
}

impl Outcome {
    /// The word used in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Patched(_) => "patched",
            Self::Denied => "denied",
        }
    }
}

/// A key of an audit annotation. The API server prefixes it with the webhook's name and `/`, and drops annotations
/// whose key has a `/` of its own or is not a qualified name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuditKey(&'static str);

impl AuditKey {
    /// Checks the key; used in constants, a bad key does not compile.
    ///
    /// # Panics
    /// When the key is not 1 to 63 ASCII letters, digits or dashes with a letter or digit at both ends.
    pub const fn new(key: &'static str) -> Self {
        let bytes = key.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 63, "a key has 1 to 63 characters");
        assert!(bytes[0].is_ascii_alphanumeric() && bytes[bytes.len() - 1].is_ascii_alphanumeric());
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i].is_ascii_alphanumeric() || bytes[i] == b'-');
            i += 1;
        }
        Self(key)
    }

    /// The key.
    pub(super) const fn name(self) -> &'static str {
        self.0
    }
}

impl Verdict {
    /// The request passes untouched and there is nothing to say.
    pub fn allow(decision: &'static str) -> Self {
        Self { outcome: Outcome::Allowed, decision, findings: Vec::new(), audit: Vec::new() }
    }
}
