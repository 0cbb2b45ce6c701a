//! A rule: one thing that can be found, as data.

use std::borrow::Cow;

use super::finding::{Finding, Subject};
use super::weight::{Rank, Severity};

/// A rule: one thing that can be found, with a name that stays.
#[derive(Debug)]
pub struct Rule {
    /// The stable name, `<room>/<what>`; operators use it in configuration and alerts.
    pub name: &'static str,
    /// How much its findings weigh.
    pub severity: Severity,
    /// The most that configuration may make of it; `None` when it cannot be configured.
    pub up_to: Option<Severity>,
    /// Where its findings stand among others that weigh as much.
    pub rank: Rank,
    /// What it is about, for the documentation.
    pub summary: &'static str,
    /// What to do about it, for the documentation.
    pub fix: &'static str,
}

impl Rule {
    /// A finding of this rule.
    pub fn finding(&'static self, path: &str, message: String, help: impl Into<Cow<'static, str>>) -> Finding {
        Finding {
            rule: self.name,
            severity: self.severity,
            rank: self.rank,
            at_most: Severity::Deny,
            path: path.to_owned(),
            message,
            help: help.into(),
            subject: Subject::default(),
            magnitude: 0,
        }
    }
}
