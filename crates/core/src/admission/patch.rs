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

/// Room for a patch of the usual size: Envoy's configuration is most of it.
const USUAL_PATCH: usize = 12 << 10;

/// A JSON Pointer (RFC 6901) under construction: the steps to a value, which become text with their operation.
#[derive(Clone, Copy, Debug)]
pub struct Pointer<'p> {
    steps: [Step<'p>; MOST_STEPS],
    count: usize,
}

/// The most steps of a pointer. Code takes them, not what is read: six at most, to the value of a container's variable. There is
/// room for more.
const MOST_STEPS: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    /// To a member, by names without characters to escape.
    Path(&'static str),
    Field(&'p str),
    Index(usize),
    /// Behind the last element.
    End,
}

impl<'p> Pointer<'p> {
    /// The pointer to a member that is reached by names, `/`-separated and without characters to escape.
    pub fn to(path: &'static str) -> Self {
        Self { steps: [Step::Path(path); MOST_STEPS], count: 1 }
    }

    /// Descends to a member by its name.
    #[must_use]
    pub fn field(self, name: &'p str) -> Self {
        self.step(Step::Field(name))
    }

    /// Descends to an element of an array.
    #[must_use]
    pub fn index(self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The place behind the last element of an array.
    #[must_use]
    pub fn end(self) -> Self {
        self.step(Step::End)
    }

    fn step(mut self, step: Step<'p>) -> Self {
        self.steps[self.count] = step;
        self.count += 1;
        self
    }

    /// Appends it as a JSON string.
    fn write(&self, json: &mut String) {
        json.push('"');
        for step in &self.steps[..self.count] {
            match step {
                Step::Path(path) => json.push_str(path),
                // A pointer may carry any character that a key has.
                Step::Field(name) if !is_plain(name) => {
                    let quoted = serde_json::to_string(name).expect("a string is always valid JSON");
                    push_field(json, &quoted[1..quoted.len() - 1]);
                }
                Step::Field(name) => push_field(json, name),
                Step::Index(index) => write!(json, "/{index}").expect("a string takes everything"),
                Step::End => json.push_str("/-"),
            }
        }
        json.push('"');
    }
}

/// Appends a name, of which JSON has nothing more to escape.
fn push_field(json: &mut String, name: &str) {
    json.push('/');
    let mut rest = name;
    while let Some(at) = memchr::memchr2(b'~', b'/', rest.as_bytes()) {
        json.push_str(&rest[..at]);
        json.push_str(if rest.as_bytes()[at] == b'~' { "~0" } else { "~1" });
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
}

/// Collects operations, in the order in which they will be applied.
#[derive(Debug, Default)]
pub struct PatchBuilder {
    json: String,
    operations: usize,
}

impl PatchBuilder {
    /// Adds a value, given as JSON text: a member that is set, or an element that moves its successors.
    pub fn add(&mut self, at: &Pointer<'_>, value: &str) {
        self.push("add", at, Some(value));
    }

    /// Replaces an existing value by this JSON text.
    pub fn replace(&mut self, at: &Pointer<'_>, value: &str) {
        self.push("replace", at, Some(value));
    }

    /// Removes an existing value.
    pub fn remove(&mut self, at: &Pointer<'_>) {
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

    fn push(&mut self, op: &str, at: &Pointer<'_>, value: Option<&str>) {
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
        at.write(&mut self.json);
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
        fn any_key_is_reached(key in "[\\PC\\n\"\\\\~/]{0,12}", value in ".{0,12}") {
            let mut patch = PatchBuilder::default();
            patch.add(&Pointer::to("/m").field(&key), &serde_json::to_string(&value).unwrap());
            let patch: json_patch::Patch = serde_json::from_str(patch.finish().unwrap().json()).unwrap();
            let mut document = serde_json::json!({"m": {}});
            json_patch::patch(&mut document, &patch).unwrap();
            prop_assert_eq!(document["m"][&key].as_str(), Some(value.as_str()));
        }
    }
}
