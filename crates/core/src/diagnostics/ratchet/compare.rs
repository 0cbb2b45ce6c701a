//! The comparison of findings: what is wrong with an object that is written, and what was wrong with it before.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use super::super::rule::{Finding, Subject};
use super::super::weight::Severity;
use crate::json::FieldPath;

/// Findings about what is written, each with whether it was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compared(Vec<(Finding, bool)>);

/// How bad a problem is. It got worse if this is greater than before.
type Weight = (Severity, u32);

/// What a problem is recognised by: its rule, its subject, the fields of its path and its message. The last two are empty where the
/// subject alone says what it is.
type Problem<'f> = (&'static str, &'f Subject, Option<Fields<'f>>, &'f str);

/// A path without places in lists: what moves is still the same.
struct Fields<'f>(&'f FieldPath);

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.fields().eq(other.0.fields())
    }
}

impl Eq for Fields<'_> {}

impl Hash for Fields<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.fields().for_each(|field| field.hash(state));
    }
}

/// Compares the findings about what is written with those about what was stored. Where the same is said of the same field more
/// often than before, the others are new; a subject that stands alone is one problem, however often it is found.
pub fn compare(found: impl IntoIterator<Item = Finding>, stored: &[Finding]) -> Compared {
    let found: Vec<Finding> = found.into_iter().collect();
    let mut left: HashMap<Problem<'_>, BTreeMap<Weight, usize>> = HashMap::new();
    for finding in stored {
        *left.entry(problem(finding)).or_default().entry(weight(finding)).or_default() += 1;
    }
    let mut are_stored = Vec::with_capacity(found.len());
    for finding in &found {
        let as_bad = left.get_mut(&problem(finding)).map(|weights| weights.range_mut(weight(finding)..));
        // The least that is as bad, so that the order of findings makes no difference.
        let least = as_bad.into_iter().flatten().find(|(_, count)| **count > 0);
        are_stored.push(least.is_some());
        if let Some((_, count)) = least.filter(|_| !matches!(finding.subject, Subject::Alone(_))) {
            *count -= 1;
        }
    }
    Compared(found.into_iter().zip(are_stored).collect())
}

/// A stored problem where it is told: a warning at most.
pub fn as_stored(finding: Finding) -> Finding {
    finding.at_most(Severity::Warn)
}

impl Compared {
    /// If a limit cut what was stored, anything may have been: only what has a magnitude, which no limit leaves out, is new.
    #[must_use]
    pub fn cut(mut self, is_cut: bool) -> Self {
        for (finding, is_stored) in &mut self.0 {
            *is_stored |= is_cut && finding.magnitude == 0;
        }
        self
    }

    /// The new findings, and those that were stored.
    pub fn split(self) -> (Vec<Finding>, Vec<Finding>) {
        let (stored, new): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(_, is_stored)| *is_stored);
        let findings = |some: Vec<(Finding, bool)>| some.into_iter().map(|(finding, _)| finding).collect();
        (findings(new), findings(stored))
    }

    /// The new findings only.
    pub fn new_only(self) -> Vec<Finding> {
        self.0.into_iter().filter(|(_, is_stored)| !is_stored).map(|(finding, _)| finding).collect()
    }

    /// All findings as they were found, where what was stored is a warning at most.
    pub fn all(self) -> Vec<Finding> {
        self.0.into_iter().map(|(finding, is_stored)| if is_stored { as_stored(finding) } else { finding }).collect()
    }

    /// The first that is new, or else the first that was stored, as a warning at most: for a rule that says one thing.
    pub fn first(self) -> Option<Finding> {
        let (new, old) = self.split();
        new.into_iter().next().or_else(|| old.into_iter().next().map(as_stored))
    }
}

fn weight(finding: &Finding) -> Weight {
    (finding.severity, finding.magnitude)
}

fn problem(finding: &Finding) -> Problem<'_> {
    match &finding.subject {
        alone @ Subject::Alone(_) => (finding.rule.name, alone, None, ""),
        subject => (finding.rule.name, subject, Some(Fields(&finding.path)), &finding.message),
    }
}
