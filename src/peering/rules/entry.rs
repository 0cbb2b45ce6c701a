//! What is wrong with an entry in itself, whatever it names.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::admission::{Finding, Rule, Severity};
use crate::gardener::{ShootName, Text, excerpt, is_dns_label};

use super::super::Entry;
use super::super::config::{Own, about};

/// An entry for the Shoot itself.
pub static SELF: Rule = Rule {
    name: "peering/self",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "An entry names the Shoot itself.",
    fix: "Remove the entry.",
};

/// Two entries for the same Shoot.
pub static DUPLICATE: Rule = Rule {
    name: "peering/duplicate",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "Two entries name the same Shoot, whatever Seeds they say.",
    fix: "Remove one of them.",
};

/// No name that a Shoot can have.
pub static NAME: Rule = Rule {
    name: "peering/name",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "The name of the target is missing, or no Shoot can have it: Shoot names are DNS labels without `--`.",
    fix: "Write the metadata.name of the target.",
};

/// No namespace.
pub static NAMESPACE_MISSING: Rule = Rule {
    name: "peering/namespace-missing",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "The namespace of the target is missing. It is filled in where a Shoot of this name is in the Shoot's own namespace and its writer may see it.",
    fix: "Write the project namespace of the target.",
};

/// No namespace that a project can have.
pub static NAMESPACE: Rule = Rule {
    name: "peering/namespace",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "The namespace can be no project's: those are `garden` or begin with `garden-`.",
    fix: "Write the project namespace of the target. It need not be `garden-` and the project's name.",
};

/// Blanks or capitals.
pub static UNTIDY: Rule = Rule {
    name: "peering/untidy",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    summary: "A field has blanks around it or capitals in it, so it would silently match nothing.",
    fix: "Write it as the message says.",
};

/// Findings of all entries, and which entries name a Shoot that can be looked at.
pub fn check<'a>(path: &str, subject: Option<&ShootName>, entries: Vec<Entry<'a>>) -> (Vec<Own>, Vec<Entry<'a>>) {
    let mut all: Vec<Own> = Vec::new();
    let mut usable: Vec<Entry<'_>> = Vec::new();
    let mut seen = HashSet::new();
    for mut entry in entries {
        // Built only where there is something to say.
        let index = entry.index;
        let path = || format!("{path}.shootPeerings[{index}]");
        let mut findings: Vec<Finding> = Vec::new();
        findings.extend(untidy(path, "name", &entry.name).or_else(|| name(path, &entry.name)));
        findings.extend(
            untidy(path, "namespace", &entry.namespace)
                .or_else(|| namespace_missing(path, &entry.namespace))
                .or_else(|| namespace(path, &entry.namespace)),
        );
        let names_a_shoot = findings.is_empty();
        if let Some(finding) = untidy(path, "seed", &entry.seed) {
            findings.push(finding);
            // Whatever else there is to say is said of what was meant.
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
            all.extend(findings.into_iter().map(|finding| Own { about: about.clone(), finding }));
        }
        if is_usable {
            usable.push(entry);
        }
    }
    (all, usable)
}

fn is_self(path: impl Fn() -> String, target: &ShootName, subject: Option<&ShootName>) -> Option<Finding> {
    (subject == Some(target))
        .then(|| SELF.finding(&path(), format!("names this Shoot itself, {target}"), "remove the entry"))
}

fn duplicate(path: impl Fn() -> String, target: &ShootName) -> Finding {
    DUPLICATE.finding(&path(), format!("{target} is listed above already"), "remove one of them")
}

fn name(path: impl Fn() -> String, name: &Text<'_>) -> Option<Finding> {
    let message = if name.is_empty() {
        "is missing".to_owned()
    } else if !is_dns_label(name) || name.contains("--") {
        format!("{:?} can be no Shoot's name", excerpt(name))
    } else {
        return None;
    };
    Some(NAME.finding(&format!("{}.name", path()), message, "write the metadata.name of the target"))
}

fn namespace_missing(path: impl Fn() -> String, namespace: &Text<'_>) -> Option<Finding> {
    namespace.is_empty().then(|| {
        let path = format!("{}.namespace", path());
        NAMESPACE_MISSING.finding(&path, "is missing".to_owned(), "write the project namespace of the target")
    })
}

fn namespace(path: impl Fn() -> String, namespace: &Text<'_>) -> Option<Finding> {
    let is_project = is_dns_label(namespace) && (&**namespace == "garden" || namespace.starts_with("garden-"));
    (!is_project).then(|| {
        NAMESPACE.finding(
            &format!("{}.namespace", path()),
            format!("{:?} is no project namespace", excerpt(namespace)),
            "write `garden` or one that begins with `garden-`",
        )
    })
}

/// A value without blanks around it and without capitals.
pub fn tidy(value: &str) -> Cow<'_, str> {
    let trimmed = value.trim();
    if trimmed.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(trimmed)
    } else {
        Cow::Owned(trimmed.to_lowercase())
    }
}

fn untidy(path: impl Fn() -> String, field: &str, value: &Text<'_>) -> Option<Finding> {
    let tidy = tidy(value);
    (tidy != **value).then(|| {
        UNTIDY.finding(
            &format!("{}.{field}", path()),
            format!("{:?} has blanks around it or capitals", excerpt(value)),
            format!("write {:?}", excerpt(&tidy)),
        )
    })
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = || "spec.extensions[0].providerConfig.shootPeerings[1]".to_owned();
    let target = ShootName::new("garden-shop", "orders");
    let example = |finding: Option<Finding>| finding.expect("an example of what is wrong");
    vec![
        (&SELF, example(is_self(path, &target, Some(&target)))),
        (&DUPLICATE, duplicate(path, &target)),
        (&NAME, example(name(path, &"my--shoot".into()))),
        (&NAMESPACE_MISSING, example(namespace_missing(path, &"".into()))),
        (&NAMESPACE, example(namespace(path, &"shop".into()))),
        (&UNTIDY, example(untidy(path, "seed", &" EU1-a".into()))),
    ]
}
