//! JSON Patch (RFC 6902), written from intent.
//!
//! An API server answers its user with a 500 when a patch does not apply, whatever the failure policy is. So there are
//! no `test` operations here, callers create missing parents, and property tests apply the patches of all rules.

use std::fmt::Write as _;

use crate::json::is_plain;

/// A finished patch: the JSON text of at least one operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patch(String);

impl Patch {
    /// The JSON text, an array of operations.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// Room for the pointers that we write, so that they do not grow while they are written.
const LONGEST_USUAL_POINTER: usize = 128;

/// Room for a patch of the usual size: Envoy's configuration is most of it.
const USUAL_PATCH: usize = 12 << 10;

/// A JSON Pointer (RFC 6901) under construction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer to a member that is reached by names, `/`-separated and without characters to escape.
    pub fn to(path: &'static str) -> Self {
        let mut pointer = String::with_capacity(LONGEST_USUAL_POINTER);
        pointer.push_str(path);
        Self(pointer)
    }

    /// Descends to a member by its name.
    #[must_use]
    pub fn field(mut self, name: &str) -> Self {
        self.0.push('/');
        let mut rest = name;
        while let Some(at) = rest.bytes().position(|b| matches!(b, b'~' | b'/')) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(if rest.as_bytes()[at] == b'~' { "~0" } else { "~1" });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        self
    }

    /// Descends to an element of an array.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        let _ = write!(self.0, "/{index}");
        self
    }

    /// The place behind the last element of an array.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.0.push_str("/-");
        self
    }
}

/// Collects operations, in the order in which they will be applied.
#[derive(Debug, Default)]
pub struct PatchBuilder {
    json: String,
    operations: usize,
}

impl PatchBuilder {
    /// Adds a value, given as JSON text: a member that is set, or an element that moves its successors.
    pub fn add(&mut self, at: &Pointer, value: &str) {
        self.push("add", at, Some(value));
    }

    /// Replaces an existing value by this JSON text.
    pub fn replace(&mut self, at: &Pointer, value: &str) {
        self.push("replace", at, Some(value));
    }

    /// Removes an existing value.
    pub fn remove(&mut self, at: &Pointer) {
        self.push("remove", at, None);
    }

    /// The operations so far.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The patch; `None` without operations, because an empty patch must not be sent.
    pub fn finish(mut self) -> Option<Patch> {
        if self.json.is_empty() {
            return None;
        }
        self.json.push(']');
        Some(Patch(self.json))
    }

    fn push(&mut self, op: &str, at: &Pointer, value: Option<&str>) {
        self.operations += 1;
        if self.json.is_empty() {
            self.json.reserve(USUAL_PATCH);
            self.json.push('[');
        } else {
            self.json.push(',');
        }
        for part in [r#"{"op":""#, op, r#"","path":"#] {
            self.json.push_str(part);
        }
        if is_plain(&at.0) {
            self.json.push('"');
            self.json.push_str(&at.0);
            self.json.push('"');
        } else {
            // A pointer may carry any character that a key has.
            self.json.push_str(&serde_json::to_string(&at.0).expect("a string is always valid JSON"));
        }
        if let Some(value) = value {
            self.json.push_str(r#","value":"#);
            self.json.push_str(value);
        }
        self.json.push('}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_operations_in_order() {
        let mut patch = PatchBuilder::default();
        patch.add(&Pointer::to("/spec/containers").index(1), r#"{"name":"x"}"#);
        patch.replace(&Pointer::to("/metadata/annotations").field("a.b/c~d"), r#""v""#);
        patch.remove(&Pointer::to("/spec/volumes").index(3));
        patch.add(&Pointer::to("/spec/volumes").end(), "{}");
        assert_eq!(
            patch.finish().unwrap().json(),
            concat!(
                r#"[{"op":"add","path":"/spec/containers/1","value":{"name":"x"}},"#,
                r#"{"op":"replace","path":"/metadata/annotations/a.b~1c~0d","value":"v"},"#,
                r#"{"op":"remove","path":"/spec/volumes/3"},"#,
                r#"{"op":"add","path":"/spec/volumes/-","value":{}}]"#,
            )
        );
    }

    #[test]
    fn no_operation_is_no_patch() {
        assert_eq!(PatchBuilder::default().finish(), None);
    }

    proptest! {
        #[test]
        fn any_key_is_reached(key in ".{0,12}", value in ".{0,12}") {
            let mut patch = PatchBuilder::default();
            patch.add(&Pointer::to("/m").field(&key), &serde_json::to_string(&value).unwrap());
            let patch: json_patch::Patch = serde_json::from_str(patch.finish().unwrap().json()).unwrap();
            let mut document = serde_json::json!({"m": {}});
            json_patch::patch(&mut document, &patch).unwrap();
            prop_assert_eq!(document["m"][&key].as_str(), Some(value.as_str()));
        }
    }
}
