//! The environment of a container, read only on demand.

use super::deployment::Container;
use crate::json::{Malformed, Members, Text};

/// The value of a variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EnvValue<'a> {
    /// There is no member `value`: the variable is empty.
    Missing,
    /// This text.
    Text(Text<'a>),
    /// `valueFrom`: the value is not known before the Pod starts.
    Elsewhere,
}

impl EnvValue<'_> {
    /// The same with owned text.
    pub fn into_owned(self) -> EnvValue<'static> {
        match self {
            Self::Missing => EnvValue::Missing,
            Self::Text(text) => EnvValue::Text(text.to_string().into()),
            Self::Elsewhere => EnvValue::Elsewhere,
        }
    }
}

impl<'a> Container<'a> {
    /// The last variable of each of these names, which is the one that counts, and its place in `env`. Values of other
    /// names are skipped unread. An API server writes names without escapes, so they are compared as they are.
    pub fn variables<const N: usize>(&self, names: [&str; N]) -> [Option<(usize, EnvValue<'a>)>; N] {
        let mut found = [const { None }; N];
        // The API server refuses anything but a list of objects, so that has no variables.
        let _ = self.env.map(|env| {
            each(env, |index, name, value| {
                if let Some(at) = names.iter().position(|wanted| *wanted == name) {
                    found[at] = Some((index, value()));
                }
            })
        });
        found
    }
}

fn each<'a>(env: &'a str, mut see: impl FnMut(usize, &str, &dyn Fn() -> EnvValue<'a>)) -> Result<(), Malformed> {
    let mut members = Members::of(env);
    members.enter_array()?;
    let mut index = 0;
    while members.element()? {
        let (mut name, mut value, mut source) = ("", "null", "null");
        members.enter()?;
        while let Some(key) = members.key()? {
            let text = members.skip()?;
            match &*key {
                "name" => name = text.trim_matches('"'),
                "value" => value = text,
                "valueFrom" => source = text,
                _ => {}
            }
        }
        see(index, name, &|| match (source, value) {
            ("null", "null") => EnvValue::Missing,
            ("null", text) => serde_json::from_str(text).map_or(EnvValue::Missing, EnvValue::Text),
            _ => EnvValue::Elsewhere,
        });
        index += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts() {
        let text = |value: &'static str| EnvValue::Text(value.into());
        for (env, want) in [
            (None, [None, None]),
            (Some("[]"), [None, None]),
            (Some("5"), [None, None]),
            (Some(r#"[{"name":"A","value":"1"}]"#), [Some((0, text("1"))), None]),
            (
                Some(r#"[{"value":"1","name":"A"},{"name":"C","value":"x"},{"name":"A","value":"2"},{"name":"B"}]"#),
                [Some((2, text("2"))), Some((3, EnvValue::Missing))],
            ),
            (
                Some(r#"[ {"name": "B", "value": "", "valueFrom": {"fieldRef": {"fieldPath": "x"}}} ]"#),
                [None, Some((0, EnvValue::Elsewhere))],
            ),
            (
                Some(r#"[{"name":"B","value":"\"\\u0031","valueFrom":null}]"#),
                [None, Some((0, EnvValue::Text("\"\\u0031".to_owned().into())))],
            ),
        ] {
            let container = Container { env, ..Container::default() };
            assert_eq!(container.variables(["A", "B"]), want, "{env:?}");
        }
    }
}
