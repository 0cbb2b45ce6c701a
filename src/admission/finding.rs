//! What a rule has to say.

use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The request is refused.
    Deny,
    /// The request passes and its sender is told.
    Warn,
    /// The request passes silently; only logs and metrics know.
    Note,
}

impl Severity {
    /// The word used in logs, metrics and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Note => "note",
        }
    }
}

/// A rule: one thing that can be found, with a name that stays.
#[derive(Debug)]
pub struct Rule {
    /// The stable name, `<room>/<what>`; operators use it in configuration and alerts.
    pub name: &'static str,
    /// How much its findings weigh.
    pub severity: Severity,
    /// What it is about, for the documentation.
    pub summary: &'static str,
    /// What to do about it, for the documentation.
    pub fix: &'static str,
}

impl Rule {
    /// A finding of this rule.
    pub fn finding(&'static self, path: &str, message: String, help: &'static str) -> Finding {
        Finding { rule: self.name, severity: self.severity, path: path.to_owned(), message, help }
    }
}

/// One thing that a rule found: where, what is wrong, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The stable name of the rule, such as `overlap/cluster-missing`.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The field path in the reviewed object, or in the object that the message names; may be empty.
    pub path: String,
    /// What is wrong, with which value. Lower case, no full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}
