//! Every alert has a page, and leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::super::servers;
use crate::harness::only;

/// What each page says, in this order.
const SECTIONS: [&str; 4] = ["## What it means", "## What is harmed", "## How to look", "## What to do"];

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
        for (folder, values) in [
            ("https://github.com/network-guard/network-guard/blob/v0.1.0/docs/operations/alerts", json!({})),
            (
                "https://wiki.example/x",
                json!({"metrics": {"prometheusRule": {"runbookUrl": "https://wiki.example/x/"}}}),
            ),
        ] {
            let objects = chart.render(namespace, &super::super::merged(least.clone(), &values));
            let groups = only(&objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
            for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
                let name = rule["alert"].as_str().unwrap();
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
            assert!(index != 2 || after[..end].contains("```\n"), "{name}: {section} has no command");
            rest = after;
        }
    }
}
