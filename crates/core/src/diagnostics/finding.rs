//! A finding: what a rule has to say of an object.

use std::borrow::Cow;
use std::fmt;

use super::weight::{Rank, Severity};

/// One thing that a rule found: where, what is wrong, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The stable name of the rule, such as `vpn/cluster-missing`.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Where it stands among others that weigh as much.
    pub rank: Rank,
    /// The most that it may weigh here, whatever the configuration says of the rule.
    pub at_most: Severity,
    /// The field path in the reviewed object, or in the object that the message names; may be empty.
    pub path: String,
    /// What is wrong, with which value. Lower case, no full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: Cow<'static, str>,
}

impl Finding {
    /// The same finding with a severity of at most `most`: for a stored problem, or one that cannot be corrected now.
    #[must_use]
    pub fn at_most(mut self, most: Severity) -> Self {
        self.at_most = self.at_most.min(most);
        self.severity = self.severity.min(self.at_most);
        self
    }
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

/// The findings of this severity, in the order in which they are shown: by rank, and otherwise as they were found. A
/// caller that shows only some of them shows the first.
pub fn in_order(findings: &[Finding], severity: Severity) -> impl Iterator<Item = &Finding> {
    Rank::ALL.into_iter().flat_map(move |rank| {
        findings.iter().filter(move |finding| finding.severity == severity && finding.rank == rank)
    })
}

/// Findings that were not stored before, or weighed less then. A finding is the same as a stored one if it has its rule, and says
/// the same of the same field, or if `is_same` says so.
pub fn without_stored(
    mut findings: Vec<Finding>,
    mut stored: Vec<Finding>,
    is_same: impl Fn(&Finding, &Finding) -> bool,
) -> Vec<Finding> {
    let says_it = |finding: &Finding, old: &Finding| {
        old.rule == finding.rule
            && finding.severity <= old.severity
            && ((&old.path, &old.message) == (&finding.path, &finding.message) || is_same(finding, old))
    };
    findings.retain(|finding| match stored.iter().position(|old| says_it(finding, old)) {
        Some(at) => {
            stored.swap_remove(at);
            false
        }
        None => true,
    });
    findings
}
