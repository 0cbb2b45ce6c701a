//! A rule, one thing that can be found, and a finding, what it has to say of an object.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::weight::{Rank, Severity};
use crate::json::FieldPath;

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
    /// What it is about, for the documentation: the comment of the rule.
    pub summary: &'static str,
    /// What to do about it, for the documentation.
    pub fix: &'static str,
    /// What is found in a small input that breaks the rule, for the documentation. Other rules may find something in it too.
    pub example: fn() -> Vec<Finding>,
}

impl Rule {
    /// What it says of its example; `None` where the example does not break the rule, which a test prevents.
    pub fn example(&self) -> Option<Finding> {
        (self.example)().into_iter().find(|finding| finding.rule == self)
    }

    /// A finding of this rule.
    pub fn finding(
        &'static self,
        path: impl Into<FieldPath>,
        message: String,
        help: impl Into<Cow<'static, str>>,
    ) -> Finding {
        Finding {
            rule: self,
            severity: self.severity,
            at_most: Severity::Deny,
            path: path.into(),
            message,
            help: help.into(),
            subject: Subject::default(),
            magnitude: 0,
        }
    }
}

#[cfg(test)]
impl Rule {
    /// A rule for a test, with nothing to read and no example.
    pub(crate) const fn for_test(name: &'static str, severity: Severity, up_to: Option<Severity>, rank: Rank) -> Self {
        Self { name, severity, up_to, rank, summary: "", fix: "", example: Vec::new }
    }
}

/// Rules with the same name are the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rule {}

/// One thing that a rule found: where, what is wrong, what to do. For programs it is JSON with `rule` (its name), `severity`,
/// `field` (the path as text), `message` and `help`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    #[serde(serialize_with = "name")]
    pub rule: &'static Rule,
    /// How much it weighs.
    pub severity: Severity,
    /// The most that it may weigh here, whatever the configuration says of the rule.
    #[serde(skip)]
    pub at_most: Severity,
    /// The field in the reviewed object, or in the object that the message names; may be empty.
    #[serde(rename = "field")]
    pub path: FieldPath,
    /// What is wrong, with which value. Lower case, no full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: Cow<'static, str>,
    /// What it is about: what it is recognised by in another version of the object.
    #[serde(skip)]
    pub subject: Subject,
    /// How much of it there is, in the unit of its message, for a problem that can get worse while it stays the same; 0 for others.
    #[serde(skip)]
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

    /// What is wrong and what to do, without the path.
    pub fn text(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            f.write_str(&self.message)?;
            if !self.help.is_empty() {
                write!(f, "; {}", self.help)?;
            }
            Ok(())
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.text().fmt(f)
    }
}

fn name<S: Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.name)
}

/// The rules of one file: each is a static, and its comment is the summary. All of them are in the list `RULES` of the file. A room
/// lists its files; the compiler says which list is missing there, because nothing uses it.
macro_rules! rules {
    ($($(#[doc = $summary:literal])+ $visibility:vis static $rule:ident = { $($field:ident: $value:expr),+ $(,)? };)+) => {
        $(
            $(#[doc = $summary])+
            $visibility static $rule: $crate::diagnostics::Rule = $crate::diagnostics::Rule {
                summary: concat!($($summary),+).trim_ascii_start(),
                $($field: $value),+
            };
        )+

        /// The rules of this file, in the order of the documentation.
        pub(crate) const RULES: &[&$crate::diagnostics::Rule] = &[$(&$rule),+];
    };
}

pub(crate) use rules;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static RULE: Rule = Rule::for_test("a/b", Severity::Warn, None, Rank::Fault);

    /// Programs read it: fields may be added, and none may change.
    #[test]
    fn what_programs_read() {
        let finding = RULE.finding(FieldPath::from("spec.peers").index(2), "is wrong".to_owned(), "mend it");
        let want = json!({
            "rule": "a/b",
            "severity": "warn",
            "field": "spec.peers[2]",
            "message": "is wrong",
            "help": "mend it",
        });
        assert_eq!(serde_json::to_value(&finding).unwrap(), want);
        assert_eq!(finding.to_string(), "spec.peers[2]: is wrong; mend it");
    }
}
