//! The schema of the configuration in the charts, generated from the types that read it. A test writes or compares it.

use std::borrow::Cow;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::File;
use super::rules::Choice;

/// By its name, or `off`, which without quotes is a boolean in YAML.
impl JsonSchema for Choice {
    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["off", "note", "warn", "deny", false]})
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The schema of `config` in the values of a chart.
fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    strip(&mut schema);
    nullable(&mut schema);
    // The chart sets these two, and reports errors in the third itself.
    let fields = schema["properties"].as_object_mut().unwrap();
    fields.retain(|name, _| !["apiVersion", "kind"].contains(&name.as_str()));
    fields.insert("certificates".to_owned(), json!({"description": "Written by the chart; not to be written here."}));
    // The chart knows the address.
    fields["vpn"]["properties"]["nat"]["properties"]["shootWebhook"].as_object_mut().unwrap().remove("required");
    let mut whole = json!({
        "type": "object",
        "description": "The NetworkGuardConfiguration, without apiVersion and kind. Made from the types that read it.",
    });
    let members = schema.as_object_mut().unwrap();
    members.remove("required");
    for name in ["properties", "additionalProperties"] {
        whole[name] = members.remove(name).unwrap();
    }
    assert!(members.keys().all(|key| ["type", "description"].contains(&key.as_str())), "{members:?}");
    whole
}

/// Removes what does not help people who write values.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, _| !["format", "title", "$schema", "default"].contains(&name.as_str()));
            members.values_mut().for_each(strip);
            // One list of values: Helm's message names all of them.
            if let Some(values) = members.get("oneOf").and_then(constants) {
                members.remove("oneOf");
                members.insert("enum".to_owned(), json!(values));
            }
            if let Some([Value::Object(only), null]) =
                members.get("anyOf").and_then(|any| any.as_array().map(Vec::as_slice))
                && null == &json!({"type": "null"})
                && let Some(Value::Array(values)) = only.get("enum")
            {
                let (values, only) = ([values.as_slice(), &[Value::Null]].concat(), only.clone());
                members.remove("anyOf");
                members.extend(only);
                members.insert("enum".to_owned(), json!(values));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A section or list whose lines are all commented out is empty: in YAML it is null.
fn nullable(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, field) in fields {
        if let Some(Value::String(kind)) = field.get("type")
            && ["object", "array"].contains(&kind.as_str())
            && !required.contains(&json!(name))
        {
            field["type"] = json!([kind, "null"]);
        }
        nullable(field);
    }
}

/// The values of alternatives that consist of one value each.
fn constants(alternatives: &Value) -> Option<Vec<Value>> {
    alternatives.as_array()?.iter().map(|alternative| alternative.get("const").cloned()).collect()
}

/// The schema allows null for exactly those fields for which the server does.
#[test]
fn what_is_left_empty_is_as_the_server_takes_it() {
    fn judge(schema: &Value, path: &[&str], count: &mut usize) {
        let is_null = |value: &Value| value == "null" || value.is_null();
        let takes = match (&schema["type"], &schema["enum"]) {
            (_, Value::Array(values)) => values.iter().any(is_null),
            (Value::Array(kinds), _) => kinds.iter().any(is_null),
            (kind, _) => is_null(kind),
        };
        if !path.is_empty() {
            let mut document = Value::Null;
            for name in path.iter().rev() {
                document = json!({*name: document});
            }
            document["apiVersion"] = json!(super::API_VERSION);
            document["kind"] = json!(super::KIND);
            let read = super::Configuration::parse(&document.to_string());
            assert_eq!(read.is_ok(), takes, "{path:?}: {read:?}");
            *count += 1;
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            // The chart writes the one, and completes the other.
            if !["certificates", "shootWebhook"].contains(&name.as_str()) {
                judge(field, &[path, &[name]].concat(), count);
            }
        }
    }
    let mut count = 0;
    judge(&schema(), &[], &mut count);
    assert!(count > 40, "{count} fields");
}

const CHARTS: [&str; 3] = [
    "gardener-extension-network-guard",
    "gardener-extension-admission-network-guard/charts/runtime",
    "gardener-extension-admission-network-guard/charts/application",
];

/// With `NETWORK_GUARD_WRITE_SCHEMAS` set it writes the files, and otherwise it compares.
#[test]
fn the_charts_have_it() {
    let schema = schema();
    for chart in CHARTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(chart).join("values.schema.json");
        let mut file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if std::env::var_os("NETWORK_GUARD_WRITE_SCHEMAS").is_some() {
            file["properties"]["config"] = schema.clone();
            std::fs::write(&path, serde_json::to_string_pretty(&file).unwrap() + "\n").unwrap();
        }
        assert_eq!(
            serde_json::to_string_pretty(&file["properties"]["config"]).unwrap(),
            serde_json::to_string_pretty(&schema).unwrap(),
            "{}: run `NETWORK_GUARD_WRITE_SCHEMAS=1 cargo test --lib config::schema`",
            path.display()
        );
    }
}
