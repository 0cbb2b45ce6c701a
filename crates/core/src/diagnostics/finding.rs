//! A finding: what a rule has to say of an object.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

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
    /// What it is about: what it is recognised by in another version of the object.
    pub subject: Subject,
    /// How much of it there is, in the unit of its message, for a problem that can get worse while it stays the same; 0 for others.
    pub magnitude: u32,
}

/// What a finding is about: what it is recognised by, together with its rule, in another version of the object.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The field and what is said of it. Where in a list the field stands makes no difference.
    #[default]
    Field,
    /// The same, of this entry of a list.
    Entry(Arc<str>),
    /// This alone, whatever is said of it and of which field.
    Alone(Cow<'static, str>),
}

impl Finding {
    /// The same finding with a severity of at most `most`: for a stored problem, or one that cannot be corrected now.
    #[must_use]
    pub fn at_most(mut self, most: Severity) -> Self {
        self.at_most = self.at_most.min(most);
        self.severity = self.severity.min(self.at_most);
        self
    }

    /// The same finding, recognised by its rule and this alone.
    #[must_use]
    pub fn about(self, subject: impl Into<Cow<'static, str>>) -> Self {
        Self { subject: Subject::Alone(subject.into()), ..self }
    }

    /// The same finding, about one entry of a list, wherever it stands there.
    #[must_use]
    pub fn of_entry(self, entry: Arc<str>) -> Self {
        Self { subject: Subject::Entry(entry), ..self }
    }

    /// The same finding, where there is so much of its problem; more than fits is as much as fits.
    #[must_use]
    pub fn magnitude(self, magnitude: u64) -> Self {
        Self { magnitude: u32::try_from(magnitude).unwrap_or(u32::MAX), ..self }
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
