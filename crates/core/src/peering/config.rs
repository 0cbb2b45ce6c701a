//! Strict parsing of a `PeeringConfig`: everything that cannot be parsed is reported with its path.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::json::{FieldPath, Members, Text, excerpt};

use super::rules::shape;

/// A parsed peering configuration. What could not be parsed is missing here and is among the findings.
#[derive(Clone, Debug, Default)]
pub(super) struct Config<'a> {
    /// The entries of `shootPeerings`, up to the limit.
    pub entries: Vec<Entry<'a>>,
    /// The number of entries, including those beyond the limit.
    pub count: usize,
    /// The number of entries beyond the limit, which were not read.
    pub unread: usize,
}

/// An entry of `shootPeerings`. A field that is absent, `null` or empty is empty here.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    /// Its index in the list.
    pub index: usize,
    /// The name of the target.
    pub name: Text<'a>,
    /// The namespace of the target.
    pub namespace: Text<'a>,
    /// The name of the target's Seed; trimmed and in lower case once the entry was checked.
    pub seed: Text<'a>,
    /// The name of the Seed as the user wrote it.
    pub written_seed: Text<'a>,
}

/// The fields of a configuration.
const CONFIG_FIELDS: [&str; 3] = ["apiVersion", "kind", "shootPeerings"];

/// The fields of an entry.
const ENTRY_FIELDS: [&str; 3] = ["name", "namespace", "seed"];

/// How much of a configuration is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The maximum number of entries that is permitted.
    pub permitted: usize,
    /// The maximum number of entries that is read.
    pub entries: usize,
    /// The maximum number of findings: a body of several megabytes must not become an answer of several megabytes.
    pub findings: usize,
}

/// Collects findings below a path.
struct Decoder {
    path: FieldPath,
    findings: Vec<Finding>,
    limits: Limits,
}

/// Which entry a finding is about. Entries move when others are removed, so an index does not identify a stored one.
pub(super) fn about(namespace: &str, name: &str) -> Arc<str> {
    format!("{}/{}", tidy(namespace), tidy(name)).into()
}

/// A value without surrounding whitespace and in lower case. Only ASCII letters are changed: no valid name has other
/// letters, so their meaning is unknown.
pub(super) fn tidy(value: &str) -> Cow<'_, str> {
    let trimmed = value.trim();
    if trimmed.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(trimmed.to_ascii_lowercase())
    } else {
        Cow::Borrowed(trimmed)
    }
}

/// Parses the text of the providerConfig at this path.
pub(super) fn decode<'a>(text: Option<&'a str>, path: &FieldPath, limits: Limits) -> (Config<'a>, Vec<Finding>) {
    let mut decoder = Decoder { path: path.clone(), findings: Vec::new(), limits };
    let config = match text {
        None => {
            decoder.report(|_| Some(shape::no_config(path.clone())));
            Config::default()
        }
        Some(text) => decoder.config(text.trim_start()),
    };
    (config, decoder.findings)
}

impl Decoder {
    /// Records a finding while the limit permits it; beyond the limit its message is not even built.
    fn report(&mut self, finding: impl FnOnce(&Self) -> Option<Finding>) {
        if self.findings.len() < self.limits.findings
            && let Some(finding) = finding(self)
        {
            self.findings.push(finding);
        }
    }

    fn config<'a>(&mut self, text: &'a str) -> Config<'a> {
        let path = self.path.clone();
        let [api_version, kind, peerings] = self.members(text, None, &CONFIG_FIELDS).unwrap_or_default();
        if text.starts_with('{') {
            let (api_version, kind) = (self.text(api_version, None, "apiVersion"), self.text(kind, None, "kind"));
            self.report(|_| api_version.and_then(|version| shape::api_version(path.clone(), &version)));
            self.report(|_| kind.and_then(|kind| shape::kind(path.clone(), &kind)));
        }
        let path = path.clone().field("shootPeerings");
        let mut config = Config::default();
        let Some(list) = peerings.filter(|list| *list != "null") else { return config };
        let mut elements = Members::of(list);
        if elements.enter_array().is_err() {
            self.report(|_| Some(shape::malformed(path.clone(), list, "a list")));
            return config;
        }
        let mut count = 0;
        while let Ok(true) = elements.element() {
            let Ok(element) = elements.skip() else { break };
            if count < self.limits.entries
                && let Some(entry) = self.entry(element, count)
            {
                config.entries.push(entry);
            }
            count += 1;
        }
        config.count = count;
        config.unread = count.saturating_sub(self.limits.entries);
        // This finding is about the whole list, so the limit does not apply to it.
        if let Some(finding) = shape::too_many(path.clone(), count, self.limits.permitted) {
            self.findings.push(finding);
        }
        config
    }

    fn entry<'a>(&mut self, text: &'a str, index: usize) -> Option<Entry<'a>> {
        let at = Some(index);
        let before = self.findings.len();
        let [name, namespace, seed] = self.members(text, at, &ENTRY_FIELDS)?;
        let name = self.text(name, at, "name");
        let namespace = self.text(namespace, at, "namespace");
        let seed = self.text(seed, at, "seed");
        if self.findings.len() > before {
            let about = about(namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default());
            let of_entry =
                self.findings.split_off(before).into_iter().map(|finding| finding.of_entry(Arc::clone(&about)));
            self.findings.extend(of_entry);
        }
        let seed = seed?;
        Some(Entry { index, name: name?, namespace: namespace?, written_seed: seed.clone(), seed })
    }

    /// The raw values of an object's fields. Unknown and duplicate fields are reported.
    fn members<'a, const N: usize>(
        &mut self,
        text: &'a str,
        entry: Option<usize>,
        fields: &[&str; N],
    ) -> Option<[Option<&'a str>; N]> {
        let mut found = [None; N];
        let mut members = Members::of(text);
        if members.enter().is_err() {
            self.report(|decoder| Some(shape::malformed(decoder.at(entry), text, "an object")));
            return None;
        }
        while let Ok(key) = members.key() {
            let Some(key) = key else { return Some(found) };
            let Ok(value) = members.skip() else { break };
            match fields.iter().position(|field| *field == &*key) {
                Some(at) if found[at].replace(value).is_some() => {
                    self.report(|decoder| Some(shape::duplicate_field(decoder.at(entry), &key)));
                }
                Some(_) => {}
                None => self.report(|decoder| Some(shape::unknown_field(decoder.at(entry), &key, fields))),
            }
        }
        self.report(|decoder| Some(shape::malformed(decoder.at(entry), text, "an object")));
        None
    }

    /// The path of an entry, or of the configuration. Built only when there is a finding.
    fn at(&self, entry: Option<usize>) -> FieldPath {
        match entry {
            Some(index) => self.path.clone().field("shootPeerings").index(index),
            None => self.path.clone(),
        }
    }

    /// A string field: empty when it is missing, `None` when it is not a string.
    fn text<'a>(&mut self, value: Option<&'a str>, entry: Option<usize>, field: &'static str) -> Option<Text<'a>> {
        match value {
            None | Some("null") => Some(Text::default()),
            Some(value) => match serde_json::from_str(value) {
                Ok(text) => Some(text),
                Err(_) => {
                    self.report(|decoder| {
                        Some(shape::malformed(decoder.at(entry).field(field), &excerpt(value), "a string"))
                    });
                    None
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { permitted: 3, entries: 5, findings: 4 };

    /// Fragments of a configuration that is almost valid.
    fn almost() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"shootPeerings\"",
            "\"name\"",
            "\"na\\u006de\"",
            "\"namespace\"",
            "\"seed\"",
            "\"kind\"",
            "\"x\"",
            "\"\\ud800\"",
            "null",
            "5",
            "true",
            " ",
            "\n",
            "\"",
            "\\",
            "\u{e9}",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Any text is parsed without a panic and within the limits.
        #[test]
        fn any_text_is_answered(text in prop_oneof![almost(), ".{0,80}", almost().prop_map(|text| format!("{{\"shootPeerings\":[{{{text}}}]}}"))]) {
            let (config, findings) = decode(Some(&text), &"p".into(), LIMITS);
            prop_assert!(config.entries.len() <= LIMITS.entries);
            prop_assert!(findings.len() <= LIMITS.findings + 1, "and that there are too many");
            prop_assert!(!findings.is_empty(), "it has no apiVersion");
        }
    }

    #[test]
    fn blanks_before_a_configuration_do_not_hide_what_it_lacks() {
        for text in ["{}", " {}", "\n\t{}"] {
            let (_, findings) = decode(Some(text), &"p".into(), LIMITS);
            assert_eq!(findings.len(), 2, "{text:?}: no apiVersion and no kind: {findings:?}");
        }
    }

    #[test]
    fn keys_are_read_with_their_escapes() {
        let text = r#"{"apiVersion":"service.peering.extensions.osc.t-systems.com/v1","kind":"PeeringConfig",
            "shootPeerings":[{"na\u006de":"orders","namespace":"garden-shop","seed":"eu1-a"}]}"#;
        let (config, findings) = decode(Some(text), &"p".into(), LIMITS);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(&*config.entries[0].name, "orders");
    }
}
