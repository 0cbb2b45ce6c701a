//! Filling in what the writer of an entry left out, as Gardener's dashboard does, without touching anything else: not
//! even the order of keys.

use std::sync::Arc;

use super::config::tidy;
use super::evaluate::config_path;
use super::rules::entry::namespace_filled_in;
use crate::diagnostics::Finding;
use crate::gardener::shoot::Extension;
use crate::gardener::{Shoot, ShootFacts, ShootName, facts, is_dns_label};
use crate::json::{Malformed, Members, Text};

/// An entry that lacks something which can be filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Its place in the list.
    pub index: usize,
    /// Whom it names; in the Shoot's own namespace, if it does not say which.
    pub target: ShootName,
    /// Whether that is a guess.
    pub lacks_namespace: bool,
    lacks_seed: bool,
    /// The Seed that it says, without blanks and capitals; empty if it says none, and where its namespace is no guess.
    seed: String,
}

impl Missing {
    /// What is lacking of which target, wherever the entry stands.
    pub(crate) fn lack(&self) -> (&ShootName, bool, bool) {
        (&self.target, self.lacks_namespace, self.lacks_seed)
    }

    /// Whether these can be the facts of whom it means. A Shoot of the name that is in the own namespace, but on another Seed
    /// than the entry says, is not the one that its writer had in mind.
    fn means(&self, facts: &ShootFacts) -> bool {
        let is_seed = |seed: &Option<Arc<str>>| seed.as_deref() == Some(&*self.seed);
        !self.lacks_namespace
            || self.lacks_seed
            || facts.seed.is_none()
            || is_seed(&facts.seed)
            || is_seed(&facts.old_seed)
    }
}

/// The entries of a configuration, in a Shoot of this namespace, that lack a namespace or a Seed. What cannot be read
/// is left to the validation.
pub fn missing(config: &str, namespace: &str, max_peers: usize) -> Vec<Missing> {
    let mut missing = Vec::new();
    let _ = walk(config, max_peers, |index, entry| {
        let name = entry.name.text();
        let own_namespace = entry.namespace.text();
        let (lacks_namespace, lacks_seed) = (own_namespace.is_empty(), entry.seed.text().is_empty());
        let is_readable = entry.namespace.is_text() && entry.seed.is_text();
        let target_namespace: &str = if lacks_namespace { namespace } else { &own_namespace };
        if is_readable && (lacks_namespace || lacks_seed) && is_dns_label(&name) && is_dns_label(target_namespace) {
            let target = ShootName::new(target_namespace, &name);
            let seed = if lacks_namespace { tidy(&entry.seed.text()).into_owned() } else { String::new() };
            missing.push(Missing { index, target, lacks_namespace, lacks_seed, seed });
        }
        Some(())
    });
    missing
}

/// A configuration with everything filled in that is known.
#[derive(Debug)]
pub struct Filled<'m> {
    /// Its text.
    pub config: String,
    /// The entries whose namespace was guessed.
    pub guessed: Vec<&'m Missing>,
}

/// The configuration with everything filled in that `facts` knows of; `None` when that changes nothing. `facts` must
/// only know what the writer may see.
pub fn fill<'f, 'm>(
    config: &str,
    missing: &'m [Missing],
    max_peers: usize,
    facts: impl Fn(&ShootName) -> Option<&'f ShootFacts>,
) -> Option<Filled<'m>> {
    let mut guessed = Vec::new();
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    // Both are in the order of the entries.
    let mut missing = missing.iter().peekable();
    walk(config, max_peers, |index, entry| {
        let Some(lack) = missing.next_if(|lack| lack.index == index) else { return Some(()) };
        let Some(facts) = facts(&lack.target).filter(|facts| lack.means(facts)) else { return Some(()) };
        if lack.lacks_namespace {
            guessed.push(lack);
        }
        let mut appended = String::new();
        let seed = facts.seed.as_deref().filter(|_| lack.lacks_seed);
        let namespace = Some(lack.target.namespace()).filter(|_| lack.lacks_namespace);
        for (field, value, place) in [("namespace", namespace, &entry.namespace), ("seed", seed, &entry.seed)] {
            let Some(value) = value else { continue };
            let value = serde_json::Value::from(value);
            match place.at {
                Some((start, end)) => edits.push((start, end, value.to_string())),
                None => appended.push_str(&format!(",\"{field}\":{value}")),
            }
        }
        if !appended.is_empty() {
            // Behind the last member: an entry with a name is never empty.
            edits.push((entry.last, entry.last, appended));
        }
        Some(())
    })
    .ok()?;
    if edits.is_empty() {
        return None;
    }
    edits.sort_unstable();
    let mut filled = String::with_capacity(config.len() + 64 * edits.len());
    let mut done = 0;
    for (start, end, text) in &edits {
        filled.push_str(&config[done..*start]);
        filled.push_str(text);
        done = *end;
    }
    filled.push_str(&config[done..]);
    Some(Filled { config: filled, guessed })
}

/// A field of an entry: its text, and where that is in the configuration.
#[derive(Default)]
struct Field<'a> {
    raw: Option<&'a str>,
    at: Option<(usize, usize)>,
}

impl<'a> Field<'a> {
    fn text(&self) -> Text<'a> {
        self.raw.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    }

    fn is_text(&self) -> bool {
        self.raw.is_none_or(|raw| raw == "null" || raw.starts_with('"'))
    }
}

#[derive(Default)]
struct Place<'a> {
    name: Field<'a>,
    namespace: Field<'a>,
    seed: Field<'a>,
    /// Behind the last member.
    last: usize,
}

/// Calls `visit` for every entry of a configuration. A field that is there twice makes the whole configuration
/// unreadable: nobody could tell which one to fill.
fn walk<'a>(
    config: &'a str,
    max_peers: usize,
    mut visit: impl FnMut(usize, Place<'a>) -> Option<()>,
) -> Result<(), Malformed> {
    let mut members = Members::of(config);
    let offset = |members: &Members<'_>| config.len() - members.rest().len();
    let mut lists = 0;
    members.enter()?;
    while let Some(key) = members.key()? {
        if &*key != "shootPeerings" || members.is_null() {
            members.skip()?;
            continue;
        }
        lists += 1;
        if lists > 1 {
            return Err(Malformed { at: offset(&members) });
        }
        members.enter_array()?;
        let mut index = 0;
        while members.element()? {
            if index >= max_peers || !members.rest().starts_with('{') {
                members.skip()?;
                index += 1;
                continue;
            }
            let mut place = Place::default();
            members.enter()?;
            while let Some(key) = members.key()? {
                let start = offset(&members);
                let raw = members.skip()?;
                let end = start + raw.len();
                place.last = end;
                let field = match &*key {
                    "name" => &mut place.name,
                    "namespace" => &mut place.namespace,
                    "seed" => &mut place.seed,
                    _ => continue,
                };
                if field.at.is_some() {
                    return Err(Malformed { at: start });
                }
                *field = Field { raw: Some(raw), at: Some((start, end)) };
            }
            if visit(index, place).is_none() {
                return Ok(());
            }
            index += 1;
        }
    }
    members.end()
}

/// The namespaces that were guessed, but for those of entries that are stored: who applies a manifest again was told.
pub fn guesses(extension: &Extension<'_>, filled: &Filled<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    if filled.guessed.is_empty() {
        return Vec::new();
    }
    let stored =
        old.and_then(Shoot::enabled_peering).map_or_else(Box::default, |old| facts::peers(old.provider_config));
    let is_stored = |target: &ShootName| stored.iter().any(|peer| peer.target == *target);
    let path = |index: usize| format!("{}.shootPeerings[{index}]", config_path(extension));
    let fresh = filled.guessed.iter().filter(|guess| !is_stored(&guess.target));
    fresh.map(|guess| namespace_filled_in(&path(guess.index), &guess.target)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn fill_all(config: &str) -> Option<String> {
        let facts = ShootFacts { seed: Some("eu1-a".into()), ..ShootFacts::default() };
        let missing = missing(config, "garden-shop", 100);
        fill(config, &missing, 100, |name| (name.name() != "hidden").then_some(&facts)).map(|filled| filled.config)
    }

    #[test]
    fn fills_in_what_is_missing_and_keeps_the_rest() {
        for (config, want) in [
            (
                r#"{"shootPeerings":[{"name":"crm"}]}"#,
                Some(r#"{"shootPeerings":[{"name":"crm","namespace":"garden-shop","seed":"eu1-a"}]}"#),
            ),
            (
                r#"{ "shootPeerings" : [ {"seed": "" , "z":1, "name":"crm", "namespace" :null } ], "kind": "K" }"#,
                Some(
                    r#"{ "shootPeerings" : [ {"seed": "eu1-a" , "z":1, "name":"crm", "namespace" :"garden-shop" } ], "kind": "K" }"#,
                ),
            ),
            (
                r#"{"shootPeerings":[{"name":"a","namespace":"garden-x","seed":"s"},{"namespace":"garden-x","name":"b"}]}"#,
                Some(
                    r#"{"shootPeerings":[{"name":"a","namespace":"garden-x","seed":"s"},{"namespace":"garden-x","name":"b","seed":"eu1-a"}]}"#,
                ),
            ),
            // Whose Seed it is that the entry says tells whether the guess is right.
            (
                r#"{"shootPeerings":[{"name":"crm","seed":"eu1-a"},{"name":"web","seed":"eu1-b"}]}"#,
                Some(
                    r#"{"shootPeerings":[{"name":"crm","seed":"eu1-a","namespace":"garden-shop"},{"name":"web","seed":"eu1-b"}]}"#,
                ),
            ),
            (r#"{"shootPeerings":[{"name":"hidden"}]}"#, None),
            (r#"{"shootPeerings":[{"name":"a","namespace":"garden-x","seed":"s"}]}"#, None),
            (r#"{"shootPeerings":[{"name":"Not-A-Name"}]}"#, None),
            (r#"{"shootPeerings":[{"name":5},{"name":"a","seed":5},7,null,"x",[]]}"#, None),
            (r#"{"shootPeerings":[{"name":"a","name":"b"}]}"#, None),
            (r#"{"shootPeerings":[{"name":"a"}],"shootPeerings":[{"name":"a"}]}"#, None),
            (r#"{"shootPeerings":null}"#, None),
            (r#"{"shootPeerings":{}}"#, None),
            ("[]", None),
            ("{}", None),
            (r#"{"shootPeerings":[{"name":"crm""#, None),
        ] {
            assert_eq!(fill_all(config).as_deref(), want, "{config}");
        }
    }

    #[test]
    fn a_target_without_a_seed_gives_its_namespace_only() {
        let config = r#"{"shootPeerings":[{"name":"crm"}]}"#;
        let facts = ShootFacts::default();
        let missing = missing(config, "garden-shop", 100);
        let filled = fill(config, &missing, 100, |_| Some(&facts)).unwrap();
        assert_eq!(filled.config, r#"{"shootPeerings":[{"name":"crm","namespace":"garden-shop"}]}"#);
    }

    fn field() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            Just(Some(json!(""))),
            Just(Some(json!("garden-x"))),
            Just(Some(json!("\u{e9}\"\\"))),
            Just(Some(json!(5))),
        ]
    }

    proptest! {
        /// Filling in adds two fields of entries and changes nothing else; a second time it changes nothing.
        #[test]
        fn fills_once(entries in prop::collection::vec((field(), field(), field(), field()), 0..5)) {
            let entries: Vec<Value> = entries
                .into_iter()
                .map(|(name, namespace, seed, other)| {
                    let fields = [("name", name), ("namespace", namespace), ("seed", seed), ("other", other)];
                    Value::Object(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
                })
                .collect();
            let config = json!({"kind": "K", "shootPeerings": entries}).to_string();
            let Some(filled) = fill_all(&config) else { return Ok(()) };
            prop_assert_eq!(fill_all(&filled), None);
            let mut filled: Value = serde_json::from_str(&filled).unwrap();
            for (entry, before) in filled["shootPeerings"].as_array_mut().unwrap().iter_mut().zip(&entries) {
                for field in ["namespace", "seed"] {
                    let was_empty = before.get(field).is_none_or(|value| value.is_null() || value == "");
                    if was_empty {
                        match before.get(field) {
                            Some(value) => entry[field] = value.clone(),
                            None => drop(entry.as_object_mut().unwrap().remove(field)),
                        }
                    }
                }
                prop_assert_eq!(&*entry, before);
            }
        }

        #[test]
        fn any_text_is_answered(config in ".{0,60}") {
            let _ = fill_all(&config);
        }
    }
}
