//! The documentation of rules.

use std::fmt::Write as _;

use super::rule::{Finding, Rule};
use super::weight::Severity;

/// All rules with an example of each, as Markdown behind an introduction. Rules of one family (the part of the name before the
/// slash) follow one another; `preface` is what comes before those of a family.
pub fn markdown(
    introduction: &str,
    rules: Vec<(&'static Rule, Finding)>,
    preface: impl Fn(&str) -> Option<String>,
) -> String {
    let mut text = introduction.to_owned();
    let mut family = "";
    for (rule, example) in rules {
        let (of, _) = rule.name.split_once('/').unwrap_or_default();
        if of != family {
            family = of;
            let _ = write!(text, "\n# {family}\n");
            text.push_str(&preface(family).unwrap_or_default());
        }
        let configurable = match rule.up_to {
            None => "not configurable",
            Some(Severity::Note) => "configurable: off, note",
            Some(Severity::Warn) => "configurable: off, note, warn",
            Some(Severity::Deny) => "configurable: off, note, warn, deny",
        };
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n- By default: {} ({configurable})\n- Rank: {}\n- Says: ``{}``\n- To do: {}\n",
            rule.name,
            rule.summary,
            rule.severity.name(),
            rule.rank.name(),
            example,
            rule.fix
        );
    }
    text
}
