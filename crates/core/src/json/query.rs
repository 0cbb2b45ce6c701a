//! Queries on JSON texts without a tree in memory: a tree of a hostile text takes a hundred times its size.

use super::{Members, Text};

/// How deep two texts are compared, far deeper than any real configuration.
const DEEPEST: usize = 8;

/// The text of the member that a path of names leads to. Of a duplicate member the last one counts, as it does for an
/// API server.
pub fn find<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, name| {
        let mut members = Members::of(text);
        members.enter().ok()?;
        let mut found = None;
        while let Some(key) = members.key().ok()? {
            let value = members.skip().ok()?;
            if &*key == *name {
                found = Some(value);
            }
        }
        found
    })
}

/// Whether two texts have the same value, in any order and with any white space and escapes. Numbers are compared as
/// they are written, and so are values that are nested deeper than any real configuration. Takes a small multiple of
/// the texts in memory and time.
pub fn is_same(one: &str, other: &str) -> bool {
    same(one.trim(), other.trim(), 0).unwrap_or(false)
}

/// The same for two optional texts.
pub fn are_same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        _ => one == other,
    }
}

/// `None` where one of them is not JSON.
fn same(one: &str, other: &str, depth: usize) -> Option<bool> {
    if one == other {
        return Some(true);
    }
    match (one.as_bytes().first()?, other.as_bytes().first()?) {
        (b'{' | b'[', b'{' | b'[') if depth == DEEPEST => Some(false),
        (b'{', b'{') => {
            let (one, other) = (sorted(one)?, sorted(other)?);
            if one.len() != other.len() {
                return Some(false);
            }
            for ((key, value), (other_key, other_value)) in one.iter().zip(&other) {
                if **key != **other_key || !same(value, other_value, depth + 1)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        (b'[', b'[') => {
            let (mut one, mut other) = (Members::of(one), Members::of(other));
            one.enter_array().ok()?;
            other.enter_array().ok()?;
            loop {
                match (one.element().ok()?, other.element().ok()?) {
                    (true, true) if same(one.skip().ok()?, other.skip().ok()?, depth + 1)? => {}
                    (is_one, is_other) => return Some(!is_one && !is_other),
                }
            }
        }
        (b'"', b'"') => {
            let text = |text| serde_json::from_str::<Text<'_>>(text).ok();
            Some(text(one)? == text(other)?)
        }
        _ => Some(false),
    }
}

/// The members of an object by name, each once: the last one.
fn sorted(text: &str) -> Option<Vec<(Text<'_>, &str)>> {
    let mut members = Members::of(text);
    let mut found = Vec::new();
    members.enter().ok()?;
    while let Some(key) = members.key().ok()? {
        found.push((key, members.skip().ok()?));
    }
    // Stable, so that the last of a name is the first when it is turned round.
    found.reverse();
    found.sort_by(|(one, _), (other, _)| str::cmp(one, other));
    found.dedup_by(|(later, _), (earlier, _)| **later == **earlier);
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn members_are_found() {
        let text = r#" {"a": {"b": 1, "b": {"c": true}}, "x/y": "z"} "#;
        for (path, want) in [
            (&["a", "b", "c"][..], Some("true")),
            (&["a", "b"], Some(r#"{"c": true}"#)),
            (&["x/y"], Some("\"z\"")),
            (&["a", "c"], None),
            (&["x/y", "z"], None),
            (&["b"], None),
        ] {
            assert_eq!(find(text, path), want, "{path:?}");
        }
        assert_eq!(find("[", &["a"]), None);
    }

    #[test]
    fn texts_are_compared_by_value() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(20), "]".repeat(20));
        for (one, other, want) in [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "a" : 1 } "#, true),
            (r#"{"a":"\u0041"}"#, r#"{"a":"A"}"#, true),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#, true),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, true),
            (r#"{"a":1,"a":2}"#, r#"{"a":1}"#, false),
            (r#"{"a":1}"#, r#"{"b":1}"#, false),
            ("{}", "[]", false),
            ("[1,2]", "[2,1]", false),
            ("[1]", "[1,1]", false),
            ("1.0", "1", false),
            ("null", "null", true),
            ("{", "[", false),
            (&deep("1"), &deep("1"), true),
            (&deep("1"), &deep(" 1"), false),
        ] {
            assert_eq!(is_same(one, other), want, "{one} {other}");
            assert_eq!(is_same(other, one), want, "{other} {one}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            "[a\"]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_tree_says_the_same(one in value(), other in value()) {
            prop_assert_eq!(is_same(&one.to_string(), &other.to_string()), one == other);
            let pretty = serde_json::to_string_pretty(&one).unwrap();
            prop_assert!(is_same(&one.to_string(), &pretty));
        }
    }
}
