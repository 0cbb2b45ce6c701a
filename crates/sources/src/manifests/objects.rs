//! The objects of a file, and the parts of it that are no objects, or cannot be read.

use std::fmt;

use crate::yaml::{self, Document, Unreadable};
use network_guard_core::json::{Members, find};

use super::KINDS;

/// An object of a file.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// The line where it begins, from 1.
    pub line: usize,
    /// `apiVersion`.
    pub version: String,
    /// `kind`.
    pub kind: String,
    /// Its text as JSON.
    pub json: &'a str,
}

/// A remark about a part of a file that is not read as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remark {
    /// The line of that part, from 1.
    pub line: usize,
    /// The subject, such as `Shoot garden-shop/web`.
    pub what: String,
    /// The text.
    pub why: String,
    /// Its importance.
    pub weight: Weight,
    /// The kind of the object, where it is known.
    pub kind: Option<String>,
}

/// The importance of a [`Remark`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Skipped, because it is of no kind that is read.
    Other,
    /// Read, with a possible surprise.
    Note,
    /// Skipped although it is of a kind that is read: no edit in progress would look like it.
    Unused,
    /// It is, or may be, of a kind that is read, and cannot be read: the file may be in the middle of an edit.
    Broken,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, what, why, .. } = self;
        write!(f, "line {line}: {what}: {why}")
    }
}

impl Remark {
    /// Whether an object of a kind that is read is missing because of it.
    pub fn is_loss(&self) -> bool {
        self.weight >= Weight::Unused
    }
}

/// A part of a file.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// An object of any kind.
    Object(Object<'a>),
    /// A remark.
    Remark(Remark),
}

/// Lists of kinds that are read; other kinds may end in `List` too.
const LISTS: [&str; 8] = [
    "List",
    "ClusterList",
    "NetworkList",
    "ShootList",
    "SeedList",
    "RoleBindingList",
    "ClusterRoleBindingList",
    "DeploymentList",
];

/// The kinds that contain Deployments.
const DEPLOYMENTS: [&str; 2] = ["Deployment", "DeploymentList"];

/// The deepest nesting of lists.
const DEPTH: usize = 4;

/// Finds all objects of a text, YAML or JSON, including those of lists.
pub fn each(text: &str, visit: &mut dyn FnMut(Found<'_>)) {
    for document in yaml::documents(text) {
        match document {
            Ok(document) => {
                remark(&document, visit);
                let list = Place { line: document.line, lines: &document.items, depth: 0 };
                one(&document.json, &list, None, visit);
            }
            Err(unreadable) => visit(Found::Remark(broken(&unreadable))),
        }
    }
}

/// The origin of a text.
struct Place<'a> {
    line: usize,
    /// The lines of the elements of its `items`.
    lines: &'a [usize],
    depth: usize,
}

fn remark(document: &Document, visit: &mut dyn FnMut(Found<'_>)) {
    // For skipped documents this remark is enough.
    let is_read = text_at(&document.json, &["kind"]).is_some_and(|kind| is_ours(&kind));
    for (line, key) in document.twice.iter().filter(|_| is_read) {
        let why = "is a duplicate; the last one counts, as for kubectl".to_owned();
        let what = format!("`{key}`");
        visit(Found::Remark(Remark { line: *line, what, why, weight: Weight::Note, kind: None }));
    }
    if let Some(line) = document.rest {
        let why = "is behind the end of its document; kubectl does not read it either".to_owned();
        let what = "what follows".to_owned();
        visit(Found::Remark(Remark { line, what, why, weight: Weight::Unused, kind: None }));
    }
}

fn one(json: &str, place: &Place<'_>, of_list: Option<(&str, &str)>, visit: &mut dyn FnMut(Found<'_>)) {
    let Place { line, lines, depth } = *place;
    let mut say = |what: &str, why: &str, weight| {
        visit(Found::Remark(Remark { line, what: what.to_owned(), why: why.to_owned(), weight, kind: None }));
    };
    if !json.starts_with('{') {
        if depth > 0 {
            return say("an item", if json == "null" { "is empty" } else { "is no object" }, Weight::Broken);
        }
        let (why, weight) = if is_cut(json) { (NEEDS, Weight::Broken) } else { (NO_MANIFEST, Weight::Other) };
        return say("a document", why, weight);
    }
    let (version, kind) = match (text_at(json, &["apiVersion"]), text_at(json, &["kind"]), of_list) {
        (Some(version), Some(kind), _) => (version, kind),
        // API servers leave both out in lists of one kind.
        (None, None, Some((version, list))) if list != "List" => {
            (version.to_owned(), list.strip_suffix("List").unwrap_or(list).to_owned())
        }
        (_, kind, _) => {
            let may_be_ours = depth > 0
                || kind.as_deref().is_some_and(is_ours)
                || kind.is_none() && find(json, &["apiVersion"]).is_some() && has_only_members_of_manifests(json);
            let what = if depth > 0 { "an item" } else { "a document" };
            let (why, weight) = if may_be_ours { (NEEDS, Weight::Broken) } else { (NO_MANIFEST, Weight::Other) };
            return say(what, why, weight);
        }
    };
    if LISTS.contains(&&*kind) {
        if depth == DEPTH {
            return say("a list", &format!("is the {DEPTH}th inside another, which is refused"), Weight::Broken);
        }
        let Some(items) = find(json, &["items"]).filter(|items| *items != "null") else { return };
        let mut members = Members::of(items);
        if members.enter_array().is_err() {
            return say(&kind, "its `items` are no list", Weight::Broken);
        }
        let mut at = 0;
        // network-guard wrote this text itself: it is well formed.
        while let (Ok(true), Ok(item)) = (members.element(), members.skip()) {
            let line = lines.get(at).copied().unwrap_or(line);
            one(item, &Place { line, lines: &[], depth: depth + 1 }, Some((&version, &kind)), visit);
            at += 1;
        }
        return;
    }
    if let Some((weight, why)) = not_served(&version, &kind) {
        let what = name(&kind, json);
        return visit(Found::Remark(Remark { line, what, why, weight, kind: Some(kind) }));
    }
    visit(Found::Object(Object { line, version, kind, json }));
}

const NEEDS: &str = "a manifest needs `apiVersion` and `kind`";
const NO_MANIFEST: &str = "is no manifest: it has no `apiVersion` and `kind`";

/// The kind, and the name with its namespace if it has one.
pub fn name(kind: &str, json: &str) -> String {
    let part = |part| text_at(json, &["metadata", part]).filter(|text| !text.is_empty());
    match (part("namespace"), part("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (_, None) => format!("{kind} without a name"),
    }
}

/// The member at this path, if it is a text.
pub(super) fn text_at(json: &str, path: &[&str]) -> Option<String> {
    find(json, path).and_then(|text| serde_json::from_str(text).ok())
}

fn is_ours(kind: &str) -> bool {
    LISTS.contains(&kind) || KINDS.iter().any(|(_, ours)| *ours == kind)
}

/// The remark about an object with the kind of one that is read, and another version.
fn not_served(version: &str, kind: &str) -> Option<(Weight, String)> {
    let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
    if KINDS.contains(&(version, kind)) {
        return None;
    }
    // The version or the kind may be in the middle of an edit.
    let is_begun = |(ours, of_ours): &(&str, &str)| {
        (*of_ours == kind && ours.starts_with(version))
            || (*ours == version
                && !["Role", "ClusterRole"].contains(&kind)
                && (of_ours.starts_with(kind) || format!("{of_ours}List").starts_with(kind)))
    };
    if KINDS.iter().any(is_begun) || version == "v1" && "List".starts_with(kind) {
        return Some((Weight::Broken, format!("there is no kind `{kind}` in `{version}`")));
    }
    let (ours, _) = KINDS.iter().find(|(ours, of_ours)| *of_ours == kind && group(ours) == group(version))?;
    let why = if version == "core.gardener.cloud/v1alpha1" {
        format!("Gardener does not serve {version} any more; write {ours}")
    } else {
        format!("{version} is not read; write {ours}")
    };
    Some((Weight::Unused, why))
}

/// Whether a document that is a single word may be the beginning of a manifest.
fn is_cut(json: &str) -> bool {
    let Ok(word) = serde_json::from_str::<String>(json) else { return false };
    !word.is_empty() && ["apiVersion", "kind", "metadata"].iter().any(|key| key.starts_with(&word))
}

/// Whether a mapping may be the beginning of a manifest of a kind that is read.
fn has_only_members_of_manifests(json: &str) -> bool {
    const MEMBERS: [&str; 8] = ["apiVersion", "items", "metadata", "spec", "status", "subjects", "roleRef", "kind"];
    let mut members = Members::of(json);
    if members.enter().is_err() {
        return false;
    }
    while let Ok(Some(key)) = members.key() {
        if !MEMBERS.contains(&&*key) || members.skip().is_err() {
            return false;
        }
    }
    true
}

/// A document that cannot be read is assumed to be of a kind that is read, unless it names another.
fn broken(unreadable: &Unreadable<'_>) -> Remark {
    let kinds: Vec<&str> = kinds(unreadable.text).collect();
    let is_other = |kind: &&str| !is_ours(kind) && kind.chars().all(char::is_alphanumeric) && kind.len() > 2;
    let weight = if kinds.is_empty() {
        Weight::Broken
    } else if kinds.iter().all(is_other) {
        Weight::Other
    } else if kinds.iter().all(|kind| is_other(kind) || DEPLOYMENTS.contains(kind)) {
        // Only readers of Deployments miss it. Charts have many, as templates.
        Weight::Unused
    } else {
        Weight::Broken
    };
    let kind = kinds.iter().find(|kind| is_ours(kind)).or(kinds.first().filter(|kind| is_other(kind)));
    let what = kind.map_or_else(|| "a document".to_owned(), |kind| format!("a {kind}"));
    let why = format!("cannot be read: {}", unreadable.problem.problem);
    Remark { line: unreadable.problem.line, what, why, weight, kind: kind.map(|kind| (*kind).to_owned()) }
}

/// The word after `kind:` in a text that cannot be parsed.
fn kinds(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("kind").filter_map(|(at, key)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            return None;
        }
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
        let value = rest.strip_prefix(':')?.trim_start_matches([' ', '\t', '"', '\'']);
        // A word at the very end may be the beginning of another.
        let end = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}')).unwrap_or_default();
        Some(&value[..end])
    })
}
