//! Fills in what the user omitted in an entry, as Gardener's dashboard does. Nothing else changes, not even the order
//! of keys.

use super::config::tidy;
use super::evaluate::config_path;
use super::rules::entry::namespace_filled_in;
use crate::diagnostics::Finding;
use crate::diagnostics::ratchet::Entries;
use crate::gardener::shoot::Extension;
use crate::gardener::{Shoot, ShootFacts, ShootName, facts, is_dns_label};
use crate::json::{Malformed, Members, Text};

/// An entry with a missing field that can be filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Its index in the list.
    pub index: usize,
    /// The target. Its namespace is the Shoot's own, if the entry has none.
    pub target: ShootName,
    /// Whether the namespace of the target is a guess.
    pub lacks_namespace: bool,
    lacks_seed: bool,
    /// The Seed in the entry, trimmed and in lower case. Empty if the entry has no Seed, or has a namespace.
    seed: String,
}

impl Missing {
    /// What the entry lacks for which target, independent of its index.
    pub(crate) fn lack(&self) -> (&ShootName, bool, bool) {
        (&self.target, self.lacks_namespace, self.lacks_seed)
    }

    /// Whether the target with these facts can be the one that the entry means. A Shoot of this name in the Shoot's own
    /// namespace, but on another Seed than the entry names, is not.
    fn means(&self, facts: &ShootFacts) -> bool {
        let is_seed = |seed: &Option<Box<str>>| seed.as_deref() == Some(&*self.seed);
        !self.lacks_namespace
            || self.lacks_seed
            || facts.seed.is_none()
            || is_seed(&facts.seed)
            || is_seed(&facts.old_seed)
    }
}

/// The entries of a configuration that lack a namespace or a Seed; `namespace` is that of the Shoot. Entries that
/// cannot be parsed are left to the validating webhook.
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

/// A configuration after filling in.
#[derive(Debug)]
pub struct Filled<'m> {
    /// Its text.
    pub config: String,
    /// The entries whose namespace was guessed.
    pub guessed: Vec<&'m Missing>,
}

/// Fills in everything that `facts` knows; `None` when nothing changes. `facts` must return only what the writer may
/// see.
pub fn fill<'f, 'm>(
    config: &str,
    missing: &'m [Missing],
    max_peers: usize,
    facts: impl Fn(&ShootName) -> Option<&'f ShootFacts>,
) -> Option<Filled<'m>> {
    let mut guessed = Vec::new();
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    // Both are sorted by index.
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
            // After the last member. An entry with a name is never empty.
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

/// A field of an entry: its raw text and its position in the configuration.
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
    /// The offset after the last member.
    last: usize,
}

/// Calls `visit` for every entry of a configuration. A duplicate field makes the whole configuration unreadable,
/// because it is unknown which one counts.
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

/// Warnings about guessed namespaces, except for entries that are stored already: their writer was warned when they
/// were new.
pub fn guesses(extension: &Extension<'_>, filled: &Filled<'_>, old: Option<&Shoot<'_>>) -> Vec<Finding> {
    if filled.guessed.is_empty() {
        return Vec::new();
    }
    let stored =
        old.and_then(Shoot::enabled_peering).map_or_else(Box::default, |old| facts::peers(old.provider_config));
    let stored = Entries::stored(stored.iter().map(|peer| (&peer.target, ())));
    let path = |index: usize| config_path(extension).field("shootPeerings").index(index);
    let fresh = filled.guessed.iter().filter(|guess| !stored.has(&&guess.target));
    fresh.map(|guess| namespace_filled_in(path(guess.index), &guess.target)).collect()
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
            // The Seed of the entry decides whether the guess is right.
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
        /// Filling in adds at most two fields to an entry and changes nothing else. It is idempotent.
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
