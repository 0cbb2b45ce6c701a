//! A file of YAML or JSON, as any bytes.

use network_guard_sources::yaml::{MOST_ALIASED, decode, documents};
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) fn law(bytes: &[u8]) {
    let (text, _) = decode(bytes.to_vec());
    // To YAML a carriage return alone ends a line, too. A problem may be at the end, behind the last line.
    let (is_plain, lines) = (!text.contains('\r'), text.matches(['\n', '\r']).count() + 2);
    let mut last = 0;
    for document in documents(&text) {
        let line = match document {
            Ok(document) => {
                let json = document.json;
                // Each character of a text is at most six in JSON, and quotes, commas and colons are added.
                assert!(json.len() <= MOST_ALIASED + 16 * (text.len() + 16), "{} bytes", json.len());
                serde_json::from_str::<&RawValue>(&json).expect("a document is JSON");
                // A number may be too large for a value.
                if let Ok(value) = serde_json::from_str(&json) {
                    again(&json, &value);
                }
                document.line
            }
            Err(unreadable) => unreadable.problem.line,
        };
        assert!(line <= lines, "it is in the file: {line} of {lines}");
        assert!(last <= line || !is_plain, "documents come in order: {last}, {line}");
        last = line;
    }
    if let Ok(value) = serde_json::from_str(&text) {
        again(&text, &value);
    }
}

/// JSON is what it was, where kubectl takes it for JSON.
fn again(json: &str, value: &Value) {
    if !value.is_object() {
        return;
    }
    let mut documents = documents(json);
    let document = documents.next().expect("there is one").expect("it is JSON");
    assert_eq!(serde_json::from_str::<Value>(&document.json).as_ref().ok(), Some(value));
    assert!(documents.next().is_none(), "there is no second one");
}
