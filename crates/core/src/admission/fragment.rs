//! Fragments that we add to an object of somebody else, and edits of its lists.

use std::cmp::Reverse;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::patch::{PatchBuilder, Pointer};

/// A value in the forms that are needed: ready to be written, and ready to be compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fragment {
    json: String,
    value: Value,
}

impl Fragment {
    /// The piece that this serializes to.
    pub fn new(value: &impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("typed structs with string keys always serialize");
        Self { json: value.to_string(), value }
    }

    /// JSON text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The same as a value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether an object has every field of this one with this value. Further fields are an API server's defaults, or
    /// somebody's business.
    pub(crate) fn is_in(&self, actual: &RawValue) -> bool {
        // What is so much longer has more in it than an API server's defaults, and its tree would take a hundred times as much.
        if actual.get().len() > 4 * self.json.len() + DEFAULTS_ROOM {
            return false;
        }
        let (Ok(Value::Object(actual)), Value::Object(desired)) = (serde_json::from_str(actual.get()), &self.value)
        else {
            return false;
        };
        // These change what a container runs, so that they are not there is part of what is desired.
        let is_plain = RUN_BY.into_iter().all(|key| desired.contains_key(key) || !actual.contains_key(key));
        is_plain && desired.iter().all(|(key, value)| actual.get(key) == Some(value))
    }
}

/// Room for what an API server adds to a container or volume, in bytes; it is some hundreds.
const DEFAULTS_ROOM: usize = 8 << 10;

/// Fields of a container by which it runs, beside those that every container of network-guard has.
const RUN_BY: [&str; 15] = [
    "args",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "restartPolicy",
    "startupProbe",
    "stdin",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
    "resizePolicy",
];

/// What moves the elements of a list. Other operations address elements by their original index, so all of this is
/// applied after them, from the end of the list.
#[derive(Debug, Default)]
pub struct ListEdits<'p> {
    edits: Vec<(usize, ListEdit<'p>)>,
}

#[derive(Debug)]
enum ListEdit<'p> {
    Remove,
    Insert(&'p str),
}

impl<'p> ListEdits<'p> {
    /// Puts a value before the element that has this index, or behind the last one, whose index is one less.
    pub fn insert(&mut self, index: usize, value: &'p Fragment) {
        self.edits.push((index, ListEdit::Insert(&value.json)));
    }

    /// Takes an element out.
    pub fn remove(&mut self, index: usize) {
        self.edits.push((index, ListEdit::Remove));
    }

    /// Applies all of it to the list at this place.
    pub fn apply(mut self, at: &Pointer<'_>, patch: &mut PatchBuilder) {
        // At the same place first the removal: what is inserted would be in its way.
        self.edits.sort_by_key(|(index, moved)| (Reverse(*index), matches!(moved, ListEdit::Insert(_))));
        for (index, moved) in self.edits {
            match moved {
                ListEdit::Remove => patch.remove(&at.index(index)),
                ListEdit::Insert(value) => patch.add(&at.index(index), value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moves_are_given_in_original_indices() {
        let [x, y] = [json!("x"), json!("y")].map(|value| Fragment::new(&value));
        for (name, inserted, removed, want) in [
            ("at both ends", vec![(0, &x), (3, &y)], vec![], json!(["x", "a", "b", "c", "y"])),
            ("before one that goes", vec![(1, &x)], vec![1], json!(["a", "x", "c"])),
            ("behind one that goes", vec![(1, &x)], vec![0], json!(["x", "b", "c"])),
            ("all that goes", vec![], vec![0, 2, 1], json!([])),
            ("the last goes, one comes", vec![(3, &y)], vec![2], json!(["a", "b", "y"])),
        ] {
            let (mut edits, mut patch) = (ListEdits::default(), PatchBuilder::default());
            for (index, value) in inserted {
                edits.insert(index, value);
            }
            for index in removed {
                edits.remove(index);
            }
            edits.apply(&Pointer::to("/list"), &mut patch);
            let patch: json_patch::Patch = serde_json::from_str(patch.finish().unwrap().json()).unwrap();
            let mut object = json!({"list": ["a", "b", "c"]});
            json_patch::patch(&mut object, &patch).unwrap();
            assert_eq!(object["list"], want, "{name}");
        }
    }

    #[test]
    fn further_fields_are_somebody_elses_unless_they_change_what_runs() {
        let fragment = Fragment::new(&json!({"name": "x", "command": ["y"]}));
        for (actual, want) in [
            (r#"{"name":"x","command":["y"]}"#, true),
            (r#"{"name":"x","command":["y"],"terminationMessagePath":"/x"}"#, true),
            (r#"{"name":"x","command":["y"],"livenessProbe":{}}"#, false),
            (r#"{"name":"x","command":["z"]}"#, false),
            (r#"{"name":"x"}"#, false),
            (r#"{"name":"x","command":["y"],"args":["z"]}"#, false),
            (r#""x""#, false),
        ] {
            assert_eq!(fragment.is_in(serde_json::from_str(actual).unwrap()), want, "{actual}");
        }
    }
}
