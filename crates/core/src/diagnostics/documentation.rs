//! The documentation of rules.

use std::fmt::Write as _;

use super::rule::Rule;
use super::weight::Severity;

/// All rules as Markdown behind an introduction, each with what it says of its example. Rules of one family (the part of the name
/// before the slash) follow one another; `preface` is what comes before those of a family.
pub fn markdown(
    introduction: &str,
    rules: impl Iterator<Item = &'static Rule>,
    preface: impl Fn(&str) -> Option<String>,
) -> String {
    let mut text = introduction.to_owned();
    let mut family = "";
    for rule in rules {
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
            rule.example().map(|finding| finding.to_string()).unwrap_or_default(),
            rule.fix
        );
    }
    text
}
