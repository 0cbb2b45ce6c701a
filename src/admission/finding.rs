//! What a rule has to say, and how much it weighs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The request passes silently; only logs and metrics know.
    Note,
    /// The request passes and its sender is told.
    Warn,
    /// The request is refused.
    Deny,
}

impl Severity {
    /// The word used in configuration, logs, metrics and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

/// What a finding asks of people, and so how soon they should read it: the first comes first, and is the last to be left out
/// where there is no room for all.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// Something does not work, or breaks something else, until it is corrected.
    Fault,
    /// Something may break.
    Risk,
    /// Something is not known, or was not looked at: there may be a fault in it.
    Unverified,
    /// Something happened, or follows.
    Notice,
    /// It is somebody else's turn, as it has to be at first.
    Awaited,
}

impl Rank {
    /// All ranks, in the order in which they are read.
    pub const ALL: [Self; 5] = [Self::Fault, Self::Risk, Self::Unverified, Self::Notice, Self::Awaited];

    /// The word used in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Risk => "risk",
            Self::Unverified => "unverified",
            Self::Notice => "notice",
            Self::Awaited => "awaited",
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
        }
    }
}

/// One thing that a rule found: where, what is wrong, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The stable name of the rule, such as `overlap/cluster-missing`.
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
    /// The same finding where it must not weigh more than this: a stored problem, or one that nobody can mend now.
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

/// The findings that weigh this much, in the order in which people should read them: by their rank, and otherwise as they were
/// found. Whoever shows some of them only shows the first.
pub fn in_order(findings: &[Finding], severity: Severity) -> impl Iterator<Item = &Finding> {
    Rank::ALL.into_iter().flat_map(move |rank| {
        findings.iter().filter(move |finding| finding.severity == severity && finding.rank == rank)
    })
}

/// What operators made of rules: a severity, or nothing at all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    choices: BTreeMap<&'static str, Option<Severity>>,
}

impl Policy {
    /// Gives a rule another severity; `None` switches it off. Answers `false` when the rule does not permit that.
    pub fn set(&mut self, rule: &'static Rule, choice: Option<Severity>) -> bool {
        let permitted = rule.up_to.is_some_and(|most| choice.is_none_or(|choice| choice <= most));
        if permitted {
            self.choices.insert(rule.name, choice);
        }
        permitted
    }

    /// The findings as operators weigh them.
    pub fn apply(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        findings.retain_mut(|finding| self.weigh(finding));
        findings
    }

    /// All rules that weigh otherwise than by themselves, by name.
    pub fn choices(&self) -> impl Iterator<Item = (&'static str, Option<Severity>)> + '_ {
        self.choices.iter().map(|(rule, choice)| (*rule, *choice))
    }

    /// Whether a rule is off.
    pub fn is_off(&self, rule: &Rule) -> bool {
        self.choices.get(rule.name) == Some(&None)
    }

    /// Weighs one finding anew; `false` when its rule is off.
    pub fn weigh(&self, finding: &mut Finding) -> bool {
        match self.choices.get(finding.rule) {
            None => true,
            Some(None) => false,
            Some(Some(choice)) => {
                finding.severity = (*choice).min(finding.at_most);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static RULE: Rule = Rule {
        name: "a/b",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        summary: "",
        fix: "",
    };
    static FIXED: Rule =
        Rule { name: "a/c", severity: Severity::Deny, up_to: None, rank: Rank::Fault, summary: "", fix: "" };

    #[test]
    fn operators_weigh_but_not_beyond_what_fits() {
        let finding = || RULE.finding("x", "is wrong".to_owned(), "");
        for (choice, at_most, want) in [
            (None, Severity::Deny, vec![Severity::Warn]),
            (Some(Some(Severity::Deny)), Severity::Deny, vec![Severity::Deny]),
            (Some(Some(Severity::Deny)), Severity::Warn, vec![Severity::Warn]),
            (Some(Some(Severity::Note)), Severity::Deny, vec![Severity::Note]),
            (Some(None), Severity::Deny, vec![]),
        ] {
            let mut policy = Policy::default();
            if let Some(choice) = choice {
                assert!(policy.set(&RULE, choice));
            }
            let weighed: Vec<_> =
                policy.apply(vec![finding().at_most(at_most)]).iter().map(|finding| finding.severity).collect();
            assert_eq!(weighed, want);
        }
        assert!(!Policy::default().set(&FIXED, Some(Severity::Warn)), "a fixed rule stays as it is");
        assert!(!Policy::default().set(&FIXED, None));
    }
}
