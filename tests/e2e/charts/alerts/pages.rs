//! Every alert has a page, and leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::super::servers;
use crate::harness::only;

/// What each page says, in this order.
const SECTIONS: [&str; 4] = ["## What it means", "## What is harmed", "## How to look", "## What to do"];

/// Where pages are when nobody says it: where the project is published, or, as long as that is a placeholder, in the repository.
/// Nobody is led to a page that is not there.
fn in_the_project() -> String {
    let path = "charts/gardener-extension-network-guard/Chart.yaml";
    let chart = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let field =
        |name: &str| chart.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().trim_matches('"');
    let folder = "docs/operations/alerts";
    match field("home:") {
        placeholder if placeholder.starts_with("https://example.com/") => folder.to_owned(),
        home => format!("{home}/blob/v{}/{folder}", field("appVersion:")),
    }
}

/// The names of Leases in a text.
fn leases_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let is_lease = |word: &&str| {
        word.starts_with("network-guard-") && (word.ends_with("-certificates") || word.ends_with("-overlay"))
    };
    words.filter(is_lease).map(str::to_owned).collect()
}

#[test]
fn every_alert_has_its_page_and_leads_to_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/alerts");
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name =
            path.file_name().unwrap().to_str().unwrap().strip_suffix(".md").expect("pages are Markdown").to_owned();
        pages.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    assert!(
        pages.remove("README").is_some_and(|index| pages.keys().all(|name| index.contains(&format!("({name}.md)"))))
    );

    let mut alerts = BTreeSet::new();
    for (chart, namespace, least, _) in servers() {
        let folders = [
            (in_the_project(), json!({})),
            (
                "https://wiki.example/x".to_owned(),
                json!({"metrics": {"prometheusRule": {"runbookUrl": "https://wiki.example/x/"}}}),
            ),
        ];
        for (folder, values) in folders {
            let objects = chart.render(namespace, &super::super::merged(least.clone(), &values));
            let groups = only(&objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
            let role = only(&objects, "Role")["rules"].to_string();
            let may = leases_in(&role);
            assert!(!may.is_empty(), "{role}");
            for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
                let name = rule["alert"].as_str().unwrap();
                for lease in leases_in(&rule["annotations"].to_string()) {
                    assert!(may.contains(&lease), "{name} names {lease}, which is none of {may:?}");
                }
                assert_eq!(rule["annotations"]["runbook_url"], format!("{folder}/{name}.md"));
                alerts.insert(name.to_owned());
            }
        }
    }
    assert_eq!(pages.keys().cloned().collect::<BTreeSet<_>>(), alerts, "alerts, and pages in docs/operations/alerts");

    for (name, text) in pages {
        assert!(text.starts_with(&format!("# {name}\n")), "{name}: its title");
        let mut rest = &*text;
        for (index, section) in SECTIONS.iter().enumerate() {
            let (_, after) =
                rest.split_once(&format!("\n{section}\n")).unwrap_or_else(|| panic!("{name}: no {section}"));
            let end =
                SECTIONS.get(index + 1).and_then(|next| after.find(&format!("\n{next}\n"))).unwrap_or(after.len());
            assert!(after[..end].trim().len() > 50, "{name}: {section} says too little");
            // Of several Pods kubectl shows ten lines each, whatever else is said.
            for line in after[..end].lines().filter(|line| line.contains("kubectl logs") && line.contains(" -l ")) {
                assert!(line.contains(" --tail="), "{name}: {line}");
            }
            assert!(index != 2 || after[..end].contains("```\n"), "{name}: {section} has no command");
            rest = after;
        }
    }
}
