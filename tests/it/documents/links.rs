//! Links lead to files and headings that exist, and so do the paths of pages that code, charts and messages name.

use std::collections::BTreeMap;
use std::path::Path;

use super::markdown::{Page, files, pages};

/// The path of a target as seen from a page, without `.` and `..`.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages: BTreeMap<String, Page> = pages().into_iter().map(|page| (page.path.clone(), page)).collect();
    let (mut found, mut dead) = (0, Vec::new());
    for page in pages.values() {
        let prose = page.prose.join("\n");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() { page.path.clone() } else { resolve(&page.path, path) };
            let has = |there: &Page| there.anchors().iter().any(|anchor| anchor == heading);
            if target.is_empty()
                || !root.join(&there).exists()
                || !heading.is_empty() && !pages.get(&there).is_some_and(has)
            {
                dead.push(format!("{}: {target}", page.path));
            }
            found += 1;
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(found > 150, "{found}");
}

/// The paths below `docs/` that a line names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let part_of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    line.match_indices("docs/").filter_map(move |(start, _)| {
        let is_below_another = line[..start].ends_with(part_of_path);
        let end = line[start..].find(|c| !part_of_path(c)).map_or(line.len(), |length| start + length);
        (!is_below_another).then(|| line[start..end].trim_end_matches(['.', '/']))
    })
}

/// Comments, messages, charts and scripts name pages that are there.
#[test]
fn paths_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A changelog tells of the past. Where facts about providers were read is in other repositories.
    let is_read = |path: &str| {
        let elsewhere = ["CHANGELOG.md", "crates/core/src/gardener/providers.rs", "docs/reference/rules.md"];
        !elsewhere.contains(&path) && !path.starts_with("tests/fixtures/")
    };
    let (mut found, mut missing) = (0, Vec::new());
    for path in files(is_read) {
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        for name in text.lines().flat_map(named) {
            found += 1;
            if !root.join(name).exists() {
                missing.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 20, "{found}");
}

/// The rules that pages name are there. A changelog tells of former names.
#[test]
fn rules_that_are_named_exist() {
    let reference = super::file("docs/reference/rules.md");
    let known: Vec<&str> = reference.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let (mut found, mut missing) = (0, Vec::new());
    for page in pages().iter().filter(|page| page.path != "CHANGELOG.md") {
        for code in page.inline_code() {
            let Some((family, name)) = code.split_once('/') else { continue };
            let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_name = !name.is_empty() && name.chars().all(of_name);
            // A subresource has such a name too.
            if !["vpn", "peering", "networks", "overlay"].contains(&family) || !is_name || code == "networks/status" {
                continue;
            }
            found += 1;
            if !known.contains(&code.as_str()) {
                missing.push(format!("{}: {code}", page.path));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 25, "{found}");
}
