use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

impl Listed for Value {
    fn heap(&self) -> usize {
        self.to_string().len()
    }
}

const LIMITS: ListLimits = ListLimits { objects: 100, page: 100, pages: 10, arriving: 4 << 20, kept: 1 << 20 };

/// Reads one page that arrives in pieces of such sizes.
fn read(text: &str, sizes: &[usize]) -> Result<(Vec<Value>, Option<String>), ListError> {
    let mut list = List::new(LIMITS);
    let mut rest = text.as_bytes();
    for size in sizes.iter().cycle() {
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        list.read(piece)?;
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    let next = list.end_page()?;
    Ok((list.into_objects(), next))
}

/// A text with all characters that are special in JSON.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("{}[],:".to_owned()),
        Just("\u{0}\n".to_owned()),
        Just("é€😀".to_owned()),
        "[a-z]{0,9}",
    ];
    (prop::collection::vec(part, 0..6), prop_oneof![9 => Just(1_usize), 1 => 50..200_usize])
        .prop_map(|(parts, times)| parts.concat().repeat(times))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = serde_json::Map<String, Value>> {
    prop::collection::vec((prop_oneof![Just("items".to_owned()), "[a-z\"\\\\]{0,5}"], inner), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

/// As an API server may write it: in lines, and with escapes where none is needed.
fn write(value: &Value, is_pretty: bool, is_escaped: bool) -> String {
    let text = if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap();
    if is_escaped { text.replace('é', "\\u00e9").replace('😀', "\\ud83d\\uDE00") } else { text }
}

/// Whether one is the other with its texts cut.
fn is_cut(cut: &Value, whole: &Value, is_escaped: bool) -> bool {
    match (cut, whole) {
        (Value::String(cut), Value::String(whole)) => {
            let written = |text: &str| write(&json!(text), false, is_escaped).len() - 2;
            // At most the bytes of one character are missing.
            let is_full = written(cut) + 12 > TEXT;
            whole.starts_with(&**cut) && written(cut) <= TEXT && (cut == whole || is_full)
        }
        (Value::Array(cut), Value::Array(whole)) => {
            cut.len() == whole.len() && cut.iter().zip(whole).all(|(cut, whole)| is_cut(cut, whole, is_escaped))
        }
        (Value::Object(cut), Value::Object(whole)) => {
            cut.len() == whole.len() && cut.iter().zip(whole).all(|(a, b)| a.0 == b.0 && is_cut(a.1, b.1, is_escaped))
        }
        (cut, whole) => cut == whole,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Wherever the page is split, the objects are read as they were written, except for long texts.
    #[test]
    fn all_objects_are_read(
        objects in prop::collection::vec(object(value()), 0..5),
        others in prop::collection::vec(("[a-h\"\\\\]{1,5}", value()), 0..3),
        sizes in prop::collection::vec(1_usize..40, 1..5),
        (is_pretty, is_first, is_escaped) in any::<(bool, bool, bool)>(),
    ) {
        let objects: Vec<Value> = objects.into_iter().map(Value::Object).collect();
        let write = |value: &Value| write(value, is_pretty, is_escaped);
        let mut members: Vec<String> =
            others.iter().map(|(name, value)| format!("{}: {}", json!(name), write(value))).collect();
        let items = format!("\"items\" : {}", write(&json!(objects)));
        members.insert(if is_first { 0 } else { members.len() }, items);
        members.push(r#""metadata": {"continue": "x"}"#.to_owned());
        let page = format!("{{{}}}", members.join(",\n"));
        let (read, next) = read(&page, &sizes).unwrap();
        prop_assert_eq!(next.as_deref(), Some("x"));
        prop_assert!(is_cut(&json!(read), &json!(objects), is_escaped), "{:?}", read);
    }

    /// A truncated page is an error.
    #[test]
    fn half_a_page_is_no_page(
        objects in prop::collection::vec(object(value()), 0..4), end in any::<prop::sample::Index>(),
    ) {
        let page = json!({"metadata": {}, "items": objects}).to_string();
        let mut end = end.index(page.len());
        while !page.is_char_boundary(end) {
            end -= 1;
        }
        prop_assert!(read(&page[..end], &[7]).is_err());
    }
}

#[test]
fn what_is_no_list_is_not_read() {
    use ListError::{Object, Unreadable};
    let long = "x".repeat(TOKEN + 1);
    let deep = format!(r#"{{"metadata":{{}},"items":[{{"a":{}"#, "[".repeat(OBJECT));
    let many = format!(r#"{{"metadata":{{}},"items":[{{"a":[{}0]}}]}}"#, "0,".repeat(OBJECT / 2));
    let token = format!(r#"{{"metadata":{{"continue":"{long}"}},"items":[]}}"#);
    let others = format!(r#"{{"metadata":{{}},"items":[],"x":"{}"}}"#, "x".repeat(REST));
    for (page, want) in [
        ("", Unreadable),
        ("[]", Unreadable),
        ("{}", Unreadable),
        (r#"{"metadata":{}}"#, Unreadable),
        (r#"{"items":[]}"#, Unreadable),
        (r#"{"metadata":{},"items":null}"#, Unreadable),
        (r#"{"metadata":{},"items":{}}"#, Unreadable),
        (r#"{"metadata":{},"items":[1]}"#, Unreadable),
        (r#"{"metadata":{},"items":["a"]}"#, Unreadable),
        (r#"{"metadata":{},"items":[[]]}"#, Unreadable),
        (r#"{"metadata":{},"items":[{},]}"#, Unreadable),
        (r#"{"metadata":{},"items":[{}{}]}"#, Unreadable),
        (r#"{"metadata":{},"items":[,{}]}"#, Unreadable),
        (r#"{"metadata":{},"items":[{]}]}"#, Unreadable),
        (r#"{"metadata":{},"items":[{"a":}]}"#, Unreadable),
        (r#"{"metadata":{},"items":[]} x"#, Unreadable),
        (r#"{"metadata":{},"items":[]}}"#, Unreadable),
        (r#"{"metadata":{},"items":[{}],"items":[]}"#, Unreadable),
        // These would not have been read.
        (r#"{"metadata":{},"it\u0065ms":[{}]}"#, Unreadable),
        (r#"{"metadata":{},"x\"items":[{}]}"#, Unreadable),
        (&token, Unreadable),
        (&others, Unreadable),
        (&deep, Object),
        (&many, Object),
    ] {
        assert_eq!(read(page, &[1_000]).unwrap_err(), want, "{}", &page[..page.len().min(80)]);
    }
}

#[test]
fn every_limit_is_kept() {
    use ListError::{Arriving, Kept, Objects, Page, Pages};
    let page = |objects: &[Value]| json!({"metadata": {"continue": "x"}, "items": objects}).to_string();
    let limits = ListLimits { objects: 3, page: 2, pages: 2, arriving: 1_000, kept: 300 };
    for (pages, want) in [
        (vec![page(&[json!({})]), page(&[json!({}), json!({})])], Pages(2)),
        (vec![page(&[json!({}), json!({})]), page(&[json!({}), json!({})])], Objects(3)),
        (vec![page(&[json!({}), json!({}), json!({})])], Page(2)),
        (vec![page(&[json!({"a": "x".repeat(400)})])], Kept(300)),
        (vec![format!("{}{}", page(&[]), " ".repeat(1_000))], Arriving(1_000)),
        (vec![page(&[]), format!("{}{}", page(&[]), " ".repeat(950))], Arriving(1_000)),
    ] {
        let mut list: List<Value> = List::new(limits);
        let result =
            pages.iter().try_for_each(|page| list.read(page.as_bytes()).and_then(|()| list.end_page()).map(drop));
        assert_eq!(result, Err(want), "{pages:?}");
    }
}
