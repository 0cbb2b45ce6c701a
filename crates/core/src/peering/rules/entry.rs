//! Rules about an entry by itself, independent of its target.

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{ShootName, is_dns_label, is_dns_subdomain};
use crate::json::{FieldPath, Text, excerpt};

use super::super::config::{Entry, about, tidy};
use super::{example_config, example_entry};

rules! {
    /// An entry names the Shoot itself.
    pub static SELF = {
        name: "peering/self",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove the entry.",
        example: || found(Some(&ShootName::new("garden-shop", "orders")), [LEADS, ORDERS]),
    };

    /// Two entries name the same Shoot, with the same Seed or different ones.
    pub static DUPLICATE = {
        name: "peering/duplicate",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove one of them.",
        example: || found(None, [ORDERS, ORDERS]),
    };

    /// The name of the target is missing or not a valid Shoot name: Shoot names are DNS labels without `--`.
    pub static NAME = {
        name: "peering/name",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the metadata.name of the target.",
        example: || found(None, [LEADS, ["my--shoot", "garden-shop", "eu1-a"]]),
    };

    /// The namespace of the target is missing. It is filled in where a Shoot of this name is in the Shoot's own
    /// namespace, its writer may see it, and the entry does not name another Seed.
    pub static NAMESPACE_MISSING = {
        name: "peering/namespace-missing",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the project namespace of the target.",
        example: || found(None, [LEADS, ["orders", "", "eu1-a"]]),
    };

    /// An entry had no namespace, and the webhook filled in the Shoot's own: a Shoot of this name exists there, the
    /// writer may see it, and it is on the Seed that the entry names, if it names one. The warning is given when the
    /// entry is new, not each time it is applied again.
    pub static NAMESPACE_FILLED_IN = {
        name: "peering/namespace-filled-in",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Write the namespace into the manifest, and check that it is the Shoot that you mean.",
        example: || vec![namespace_filled_in(example_entry(1), &ShootName::new("garden-shop", "orders"))],
    };

    /// The namespace is not a project namespace: those are `garden` or begin with `garden-`.
    pub static NAMESPACE = {
        name: "peering/namespace",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the project namespace of the target. It is not always `garden-` and the project's name.",
        example: || found(None, [LEADS, ["orders", "shop", "eu1-a"]]),
    };

    /// A field has surrounding whitespace or capitals, so it would silently match nothing.
    pub static UNTIDY = {
        name: "peering/untidy",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write it as the message says.",
        example: || found(None, [LEADS, ["orders", "garden-shop", " EU1-a"]]),
    };
}

/// The findings of all entries, and the entries that name a Shoot which can be looked up.
pub fn check<'a>(
    path: &FieldPath,
    subject: Option<&ShootName>,
    entries: Vec<Entry<'a>>,
) -> (Vec<Finding>, Vec<Entry<'a>>) {
    let mut all: Vec<Finding> = Vec::new();
    let mut usable: Vec<Entry<'_>> = Vec::new();
    let mut seen = HashSet::new();
    for mut entry in entries {
        // Built only when there is a finding.
        let index = entry.index;
        let path = || path.clone().field("shootPeerings").index(index);
        let mut findings: Vec<Finding> = Vec::new();
        findings.extend(untidy(path, "name", &entry.name, is_name).or_else(|| name(path, &entry.name)));
        findings.extend(
            untidy(path, "namespace", &entry.namespace, is_namespace)
                .or_else(|| namespace_missing(path, &entry.namespace))
                .or_else(|| namespace(path, &entry.namespace)),
        );
        let names_a_shoot = findings.is_empty();
        findings.extend(untidy(path, "seed", &entry.seed, is_dns_subdomain));
        if tidy(&entry.seed) != *entry.seed {
            // All other rules use the intended value.
            entry.seed = tidy(&entry.seed).into_owned().into();
        }
        let target = names_a_shoot.then(|| ShootName::new(&entry.namespace, &entry.name));
        let is_usable = target.is_some_and(|target| {
            if let Some(finding) = is_self(path, &target, subject) {
                findings.push(finding);
                false
            } else if seen.insert(target.clone()) {
                true
            } else {
                findings.push(duplicate(path, &target));
                false
            }
        });
        if !findings.is_empty() {
            let about = about(&entry.namespace, &entry.name);
            all.extend(findings.into_iter().map(|finding| finding.of_entry(Arc::clone(&about))));
        }
        if is_usable {
            usable.push(entry);
        }
    }
    (all, usable)
}

fn is_self(path: impl Fn() -> FieldPath, target: &ShootName, subject: Option<&ShootName>) -> Option<Finding> {
    (subject == Some(target))
        .then(|| SELF.finding(path(), format!("names this Shoot itself, {target}"), "remove the entry"))
}

fn duplicate(path: impl Fn() -> FieldPath, target: &ShootName) -> Finding {
    DUPLICATE.finding(path(), format!("{target} is listed above already"), "remove one of them")
}

/// Whether a Shoot can have this name.
fn is_name(name: &str) -> bool {
    is_dns_label(name) && !name.contains("--")
}

/// Whether a project can have this namespace.
fn is_namespace(namespace: &str) -> bool {
    is_dns_label(namespace) && (namespace == "garden" || namespace.starts_with("garden-"))
}

fn name(path: impl Fn() -> FieldPath, name: &Text<'_>) -> Option<Finding> {
    let message = if name.is_empty() {
        "is missing".to_owned()
    } else if !is_name(name) {
        format!("{:?} is not a valid Shoot name", excerpt(name))
    } else {
        return None;
    };
    Some(NAME.finding(path().field("name"), message, "write the metadata.name of the target"))
}

fn namespace_missing(path: impl Fn() -> FieldPath, namespace: &Text<'_>) -> Option<Finding> {
    namespace.is_empty().then(|| {
        NAMESPACE_MISSING.finding(
            path().field("namespace"),
            "is missing".to_owned(),
            "write the project namespace of the target",
        )
    })
}

/// The namespace of an entry was filled in.
pub fn namespace_filled_in(path: FieldPath, target: &ShootName) -> Finding {
    let message = format!("was missing, {} was filled in: the peer is {target}", target.namespace());
    NAMESPACE_FILLED_IN.finding(path.field("namespace"), message, "write it into the manifest")
}

fn namespace(path: impl Fn() -> FieldPath, namespace: &Text<'_>) -> Option<Finding> {
    (!is_namespace(namespace)).then(|| {
        NAMESPACE.finding(
            path().field("namespace"),
            format!("{:?} is not a project namespace", excerpt(namespace)),
            "write `garden` or one that begins with `garden-`",
        )
    })
}

/// A value that is wrong only by its whitespace and capitals. A value that is invalid without them too is left to other
/// rules, so every suggestion is valid.
fn untidy(
    path: impl Fn() -> FieldPath,
    field: &'static str,
    value: &Text<'_>,
    can_be: fn(&str) -> bool,
) -> Option<Finding> {
    let tidy = tidy(value);
    (tidy != **value && can_be(&tidy)).then(|| {
        UNTIDY.finding(
            path().field(field),
            format!("{:?} has surrounding whitespace or capitals", excerpt(value)),
            format!("write {tidy:?}"),
        )
    })
}

const LEADS: [&str; 3] = ["leads", "garden-crm", "eu1-a"];
const ORDERS: [&str; 3] = ["orders", "garden-shop", "eu1-a"];

/// What is found in these two entries of a Shoot, for examples: name, namespace and Seed.
fn found(subject: Option<&ShootName>, entries: [[&'static str; 3]; 2]) -> Vec<Finding> {
    let entry = |(index, [name, namespace, seed]): (usize, [&'static str; 3])| Entry {
        index,
        name: name.into(),
        namespace: namespace.into(),
        seed: seed.into(),
        written_seed: seed.into(),
    };
    let entries = entries.into_iter().enumerate().map(entry).collect();
    check(&example_config(), subject, entries).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ \u{3000}]{0,2}(garden-)?[a-zA-Z0-9-]{0,6}[ \n]?",
            "[ ]?[\u{ff21}-\u{ff5a}]{1,4}[A-Z]{0,2}[ ]?",
            ".{0,6}",
            Just("garden-Shop".to_owned()),
        ]
    }

    proptest! {
        /// A suggested value is accepted when the user writes it.
        #[test]
        fn what_is_suggested_is_accepted((name, namespace, seed) in (field(), field(), field())) {
            let judge = |fields: [&str; 3]| {
                let [name, namespace, seed] = fields.map(|field| Text::from(field.to_owned()));
                let entry = Entry { name, namespace, seed, ..Entry::default() };
                check(&"p".into(), None, vec![entry]).0
            };
            let mut fields = [name, namespace, seed];
            for own in judge(fields.each_ref().map(String::as_str)) {
                if own.rule == &UNTIDY {
                    let field = ["name", "namespace", "seed"].iter().position(|f| own.path.last_field() == Some(f)).unwrap();
                    let suggested = own.help.strip_prefix("write \"").unwrap().strip_suffix('"').unwrap();
                    prop_assert!(suggested.is_ascii(), "{}", suggested);
                    fields[field] = suggested.to_owned();
                    let again = judge(fields.each_ref().map(String::as_str));
                    let is_there = |own: &&Finding| own.path.last_field() == Some(["name", "namespace", "seed"][field]);
                    prop_assert!(!again.iter().any(|own| is_there(&own)), "{:?}", again);
                }
            }
        }
    }

    #[test]
    fn letters_of_other_alphabets_are_not_guessed() {
        let judge = |name: &str| {
            let entry = Entry { name: name.to_owned().into(), namespace: "garden-shop".into(), ..Entry::default() };
            check(&"p".into(), None, vec![entry]).0.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (name, want) in [
            ("\u{ff2f}rders", "\"\u{ff2f}rders\" is not a valid Shoot name; write the metadata.name of the target"),
            (" ", "\" \" is not a valid Shoot name; write the metadata.name of the target"),
            ("My--Shoot", "\"My--Shoot\" is not a valid Shoot name; write the metadata.name of the target"),
            (" Orders", "\" Orders\" has surrounding whitespace or capitals; write \"orders\""),
        ] {
            assert_eq!(judge(name), [format!("p.shootPeerings[0].name: {want}")], "{name:?}");
        }
    }
}
