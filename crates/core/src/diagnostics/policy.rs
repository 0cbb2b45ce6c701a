//! The severities that operators configured.

use std::collections::BTreeMap;

use super::rule::{Finding, Rule};
use super::weight::Severity;

/// The severities that operators configured; `None` switches a rule off.
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

    /// The findings with the configured severities.
    pub fn apply(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        findings.retain_mut(|finding| self.weigh(finding));
        findings
    }

    /// All rules with a configured severity, by name.
    pub fn choices(&self) -> impl Iterator<Item = (&'static str, Option<Severity>)> + '_ {
        self.choices.iter().map(|(rule, choice)| (*rule, *choice))
    }

    /// Whether a rule is off.
    pub(crate) fn is_off(&self, rule: &Rule) -> bool {
        self.choices.get(rule.name) == Some(&None)
    }

    /// Applies the configured severity to one finding; `false` when its rule is off.
    pub(crate) fn weigh(&self, finding: &mut Finding) -> bool {
        match self.choices.get(finding.rule.name) {
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
    use crate::diagnostics::Rank;

    static RULE: Rule = Rule::for_test("a/b", Severity::Warn, Some(Severity::Deny), Rank::Fault);
    static FIXED: Rule = Rule::for_test("a/c", Severity::Deny, None, Rank::Fault);

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
