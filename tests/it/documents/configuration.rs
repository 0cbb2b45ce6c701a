//! `docs/reference/configuration.md`: every field of the configuration. What it takes is from the schema, which comes from the
//! types that read it; its default and what it is for are from `examples/config.yaml`, which has all fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::reference::{MADE, cell};

const ABOUT: &str = "\
# Configuration

Every field of the file that `--config` names, and of `config` in the values of the charts, but for `certificates`, which the
charts write. [examples/config.yaml](../../examples/config.yaml) is the same as a file. Every field may be left out, and unknown
fields are errors. `network-guard serve seed --help` has the flags ([commands](commands.md)).

A field without a default has an example.
";

/// What a field takes, in words.
pub fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`"));
        return values.collect::<Vec<_>>().join(", ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default(),
        name => name.as_str().unwrap_or_default(),
    };
    match name {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", kind(&schema["additionalProperties"]))
        }
        name => name.to_owned(),
    }
}

/// All fields that are not sections, by their paths.
fn fields(schema: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if field["properties"].is_object() {
            fields(field, &path, found);
        }
        found.insert(path, field.clone());
    }
}

/// A field as the example shows it.
#[derive(Debug, Default)]
struct Shown {
    path: String,
    value: String,
    /// What is said of it.
    about: String,
    /// It is not set, or what it stands for may not be.
    is_example: bool,
}

/// A line without the marks of comments, how deep it begins, and how many marks it had.
fn bare(line: &str) -> (usize, usize, &str) {
    let (mut depth, mut marks, mut rest) = (0, 0, line);
    loop {
        let content = rest.trim_start_matches(' ');
        depth += rest.len() - content.len();
        match content.strip_prefix("# ") {
            Some(behind) => (marks, rest) = (marks + 1, behind),
            None => return (depth, marks, content),
        }
    }
}

/// The fields of the example in its order, with the comments above and behind them. A line in a comment is a field where the
/// schema has one of that name there, or in `certificates`, which the schema of the charts leaves out.
fn shown(example: &str, known: &BTreeMap<String, Value>) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut above: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in example.lines() {
        let (depth, marks, content) = bare(line);
        let (content, comment) = content.split_once(" # ").unwrap_or((content, ""));
        let name = content.split_once(':').filter(|(_, value)| value.is_empty() || value.starts_with(' '));
        open.retain(|(other, _)| *other < depth);
        let parent = open.last().map_or("", |(_, path)| path.as_str()).to_owned();
        let path = name.map(|(name, _)| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") });
        let is_field =
            |path: &String| known.contains_key(path) || path.starts_with("certificates") && !path.contains(' ');
        match (name, path.filter(is_field)) {
            (Some((_, value)), Some(path)) => {
                let about = above.drain(..).chain([comment.to_owned()]).filter(|text| !text.is_empty());
                let is_example = marks > usize::from(path.starts_with("certificates"));
                found.push(Shown {
                    path: path.clone(),
                    value: value.trim().to_owned(),
                    about: about.collect::<Vec<_>>().join("; "),
                    is_example,
                });
                open.push((depth, path));
                goes_on = marks > 0 && !comment.is_empty();
            }
            // An entry of a map: its default.
            (Some(_), None) if marks == 0 && !parent.is_empty() => {
                let map = found.last_mut().unwrap();
                let entries = [&*map.value, content].into_iter().filter(|text| !text.is_empty());
                map.value = entries.collect::<Vec<_>>().join(", ");
                map.about =
                    [&*map.about].into_iter().chain(above.iter().map(String::as_str)).collect::<Vec<_>>().join("; ");
                above.clear();
            }
            _ if marks > 0 => {
                let text = bare(line).2;
                if goes_on {
                    let last = found.last_mut().unwrap();
                    let _ = write!(last.about, " {text}");
                } else {
                    above.push(text.to_owned());
                }
            }
            _ => above.clear(),
        }
    }
    found
}

pub fn page() -> String {
    let chart = super::file("charts/gardener-extension-network-guard/values.schema.json");
    let schema: Value = serde_json::from_str(&chart).unwrap();
    let mut known = BTreeMap::new();
    fields(&schema["properties"]["config"], "", &mut known);
    let shown = shown(&super::file("examples/config.yaml"), &known);
    // A field on the line of its section is shown there.
    let is_there = |path: &str| {
        let (section, name) = path.rsplit_once('.').unwrap_or_default();
        shown
            .iter()
            .any(|field| field.path == path || field.path == section && field.value.contains(&format!("{name}: ")))
    };
    let missing: Vec<&String> = known.keys().filter(|path| !is_there(path)).collect();
    assert!(missing.is_empty(), "examples/config.yaml does not show {missing:?}");

    let mut out = format!("{MADE}{ABOUT}");
    for Shown { path, value, about, is_example } in &shown {
        let takes = known.get(path).map(kind).unwrap_or_default();
        let is_section = value.is_empty();
        if !path.contains('.') {
            let _ = write!(out, "\n## {path}\n\n");
            if !about.is_empty() {
                let _ = write!(out, "{}\n\n", cell(about));
            }
            out.push_str("| field | takes | default | |\n|---|---|---|---|\n");
            if is_section {
                continue;
            }
        }
        let value = match (value.as_str(), is_example) {
            ("", _) => String::new(),
            (value, false) => format!("`{value}`"),
            (value, true) => format!("none; for example `{value}`"),
        };
        let takes = if is_section && takes == "object" { String::new() } else { takes };
        let _ = writeln!(out, "| `{path}` | {takes} | {value} | {} |", cell(about));
    }
    out
}

/// What the example has in a comment is accepted too: the section of certificates, with a Service or with a URL.
#[test]
fn certificates_of_the_example_are_accepted() {
    let example = super::file("examples/config.yaml");
    let (head, rest) = example.split_once("\n# certificates:").unwrap();
    let head: Vec<&str> =
        head.lines().filter(|line| line.starts_with("apiVersion") || line.starts_with("kind")).collect();
    let lines: Vec<&str> = rest.lines().skip(1).map_while(|line| line.strip_prefix("# ")).collect();
    for leaves_out in ["# ", "service:"] {
        let section = lines.iter().filter(|line| !line.trim_start().starts_with(leaves_out));
        // Of a line in a second comment its mark goes.
        let bare = |line: &&str| {
            let content = line.trim_start();
            format!("{}{}", &line[..line.len() - content.len()], content.trim_start_matches("# "))
        };
        let section: Vec<String> = section.map(bare).collect();
        let text = format!("{}\ncertificates:\n{}\n", head.join("\n"), section.join("\n"));
        let read = network_guard::config::Configuration::parse(&text);
        assert!(read.is_ok_and(|read| read.certificates.is_some()), "{text}");
    }
}
