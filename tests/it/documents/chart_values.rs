//! `docs/reference/chart-values.md`: every value of the charts. What it takes and what it is for are from
//! `values.schema.json`, its default is from `values.yaml`.

use std::fmt::Write as _;

use serde_json::Value;

use super::configuration::kind;
use super::reference::{MADE, cell};

const ABOUT: &str = "\
# Values of the charts

Every value of the charts. Helm refuses values that are not here. `config` is the [configuration](configuration.md), without
`apiVersion` and `kind`, and without `certificates`, which the charts write.
";

const SEED: &str = "\n## gardener-extension-network-guard\n\nFor a Seed.\n\n";

const GARDEN: &str = "
## gardener-extension-admission-network-guard

For the garden: `runtime` for its runtime cluster, `application` for the virtual garden. gardener-operator renders both with
the same values, so each accepts those of the other. A default is there in the chart that uses the value.

";

/// A chart by its folder.
fn read(chart: &str, file: &str) -> Value {
    let text = super::file(&format!("charts/{chart}/{file}"));
    serde_saphyr::from_str(&text).expect(chart)
}

/// The value at a path.
fn default<'v>(values: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(values, |value, name| &value[name])
}

/// A row for each value, and for each group of values that something is said of.
fn rows(schema: &Value, path: &str, defaults: &[Value], out: &mut String) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let about = field["description"].as_str().unwrap_or_default();
        let is_group = field["properties"].is_object() && path != "config";
        if !is_group || !about.is_empty() {
            let takes = if is_group { String::new() } else { kind(field) };
            let _ = write!(out, "| `{path}` | {takes} |");
            for values in defaults {
                let _ = match default(values, &path) {
                    Value::Null => write!(out, " |"),
                    _ if is_group => write!(out, " |"),
                    Value::String(text) if text.is_empty() => write!(out, " `\"\"` |"),
                    Value::String(text) => write!(out, " `{text}` |"),
                    value => write!(out, " `{value}` |"),
                };
            }
            let _ = writeln!(out, " {} |", cell(about));
        }
        if is_group {
            rows(field, &path, defaults, out);
        }
    }
}

pub fn page() -> String {
    let mut out = format!("{MADE}{ABOUT}");
    let seed = "gardener-extension-network-guard";
    out.push_str(SEED);
    out.push_str("| value | takes | default | |\n|---|---|---|---|\n");
    rows(&read(seed, "values.schema.json"), "", &[read(seed, "values.yaml")], &mut out);
    let [runtime, application] =
        ["runtime", "application"].map(|chart| format!("gardener-extension-admission-network-guard/charts/{chart}"));
    out.push_str(GARDEN);
    out.push_str("| value | takes | default in `runtime` | in `application` | |\n|---|---|---|---|---|\n");
    let defaults = [read(&runtime, "values.yaml"), read(&application, "values.yaml")];
    rows(&read(&runtime, "values.schema.json"), "", &defaults, &mut out);
    out
}
