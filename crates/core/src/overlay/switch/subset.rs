//! The members of a `NetworkConfig` on which encapsulation depends.
//!
//! A held switch restores these, each one present or absent exactly as it was, and lets all others pass. Only JSON
//! values are handled, never a typed configuration: unknown members must survive.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::gardener::FieldError;
use crate::gardener::network::{SwitchingNetwork, family_name};
use crate::net::Family;

/// The longest configuration that is parsed, in bytes; a real one has less than one KiB. Parsed, it takes a hundred
/// times as much.
pub(super) const LONGEST_CONFIG: usize = 16 << 10;

/// The error about one that is longer.
pub(super) fn too_long(length: usize) -> FieldError {
    let problem =
        format!("has {length} bytes, far more than any configuration of Calico; at most {LONGEST_CONFIG} are read");
    FieldError::new("", problem)
}

/// Parses a configuration; an error for one that is too long.
pub(super) fn tree(text: Option<&str>) -> Option<Value> {
    text.filter(|text| text.len() <= LONGEST_CONFIG).and_then(|text| serde_json::from_str(text).ok())
}

/// Members that count as a whole.
const WHOLE: [&str; 5] = ["overlay", "backend", "vxlan", "ipip", "ipam"];

/// Members of which only [`POOL_MEMBERS`] count.
const POOLS: [&str; 2] = ["ipv4", IPV6];

/// The section of the second family.
pub(super) const IPV6: &str = "ipv6";

/// The members of a pool that count.
const POOL_MEMBERS: [&str; 2] = ["mode", "pool"];

/// The members that count, and nothing else.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subset(Map<String, Value>);

impl Subset {
    /// The members of a configuration that count; none for one that is absent, or not an object.
    pub fn of(config: Option<&Value>) -> Self {
        let mut subset = Map::new();
        let Some(Value::Object(config)) = config else { return Self(subset) };
        for key in WHOLE {
            if let Some(value) = config.get(key) {
                subset.insert(key.to_owned(), value.clone());
            }
        }
        for key in POOLS {
            if let Some(Value::Object(pool)) = config.get(key) {
                let counting: Map<_, _> = POOL_MEMBERS
                    .iter()
                    .filter_map(|member| Some(((*member).to_owned(), pool.get(*member)?.clone())))
                    .collect();
                if !counting.is_empty() {
                    subset.insert(key.to_owned(), Value::Object(counting));
                }
            }
        }
        Self(subset)
    }

    /// As JSON.
    pub fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The same configuration with exactly these of the members that count. Objects that become empty are removed, and
    /// so is the configuration if nothing is left of it, unless they were there before, in `stored`.
    pub(crate) fn put_into(&self, config: Option<Value>, stored: Option<&Value>) -> Option<Value> {
        let mut config = match config {
            Some(Value::Object(config)) => config,
            _ => Map::new(),
        };
        let is_stored = |key: &str| stored.and_then(|stored| stored.get(key)).is_some_and(Value::is_object);
        for key in WHOLE {
            match self.0.get(key) {
                Some(value) => drop(config.insert(key.to_owned(), value.clone())),
                None => drop(config.remove(key)),
            }
        }
        for key in POOLS {
            let mut pool = match config.remove(key) {
                Some(Value::Object(pool)) => pool,
                Some(other) if !self.0.contains_key(key) => {
                    config.insert(key.to_owned(), other);
                    continue;
                }
                _ => Map::new(),
            };
            pool.retain(|member, _| !POOL_MEMBERS.contains(&member.as_str()));
            if let Some(Value::Object(counting)) = self.0.get(key) {
                pool.extend(counting.clone());
            }
            if !pool.is_empty() || is_stored(key) {
                config.insert(key.to_owned(), Value::Object(pool));
            }
        }
        let stays = !config.is_empty() || stored.is_some_and(Value::is_object);
        stays.then_some(Value::Object(config))
    }

    /// Removes the section of IPv6 from a configuration. If nothing is left of it, it is removed, unless it was there
    /// before, in `stored`.
    pub(crate) fn without_ipv6(config: Option<Value>, stored: Option<&Value>) -> Option<Value> {
        let mut config = config?;
        if config.as_object_mut().and_then(|members| members.remove(IPV6)).is_none() {
            return Some(config);
        }
        let stays =
            config.as_object().is_none_or(|members| !members.is_empty()) || stored.is_some_and(Value::is_object);
        stays.then_some(config)
    }

    /// Whether it sets `overlay`.
    pub(crate) fn says_overlay(&self) -> bool {
        self.0.get("overlay").is_some_and(|value| !value.is_null())
    }

    /// Whether Pods get addresses of Calico's own blocks, to which no route of the infrastructure leads.
    pub(crate) fn has_blocks(&self) -> bool {
        let member = |key, member| self.0.get(key).and_then(|value| value.get(member));
        member("vxlan", "enabled") == Some(&Value::Bool(true))
            || member("ipam", "type").and_then(Value::as_str) == Some("calico-ipam")
    }

    /// A digest that is the same for the same members, whatever their order: SHA-256, in hexadecimal.
    pub fn digest(&self) -> String {
        sha256(&self.value())
    }

    /// The digest of these members together with IP families. No configuration alone has that digest: `ipFamilies` is
    /// not one of the members that count.
    pub(crate) fn digest_with(&self, families: &[Family]) -> String {
        let mut members = self.0.clone();
        let names: Vec<&str> = families.iter().map(|family| family_name(*family)).collect();
        members.insert("ipFamilies".to_owned(), json!(names));
        sha256(&Value::Object(members))
    }
}

fn sha256(value: &Value) -> String {
    // `serde_json` sorts members.
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The members that are held, as the Network has them.
pub fn held(network: &SwitchingNetwork) -> Subset {
    Subset::of(tree(network.config.as_deref()).as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn held(old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
        Subset::of(old).put_into(new.cloned(), old)
    }

    #[test]
    fn a_held_configuration_keeps_what_counts_and_takes_the_rest() {
        let table = [
            ("absent to off", json!(null), json!({"overlay": {"enabled": false}}), None),
            (
                "absent to off, with a version",
                json!(null),
                json!({"apiVersion": "x", "kind": "NetworkConfig", "overlay": {"enabled": false}}),
                Some(json!({"apiVersion": "x", "kind": "NetworkConfig"})),
            ),
            (
                "on to off, typha changes",
                json!({"overlay": {"enabled": true}, "typha": {"enabled": true}}),
                json!({"overlay": {"enabled": false}, "typha": {"enabled": false}, "vethMTU": "1400"}),
                Some(json!({"overlay": {"enabled": true}, "typha": {"enabled": false}, "vethMTU": "1400"})),
            ),
            (
                "pods of routes come with it",
                json!({"overlay": {"enabled": true, "later": [1]}}),
                json!({"overlay": {"enabled": false, "createPodRoutes": true}}),
                Some(json!({"overlay": {"enabled": true, "later": [1]}})),
            ),
            (
                "off by backend and mode",
                json!({"backend": "bird", "ipv4": {"mode": "Always", "autoDetectionMethod": "a"}}),
                json!({"backend": "none", "ipv4": {"mode": "Never", "pool": "ipip", "autoDetectionMethod": "b"}}),
                Some(json!({"backend": "bird", "ipv4": {"mode": "Always", "autoDetectionMethod": "b"}})),
            ),
            (
                "a pool that is new",
                json!({"backend": "bird"}),
                json!({"ipv4": {"mode": "Never"}}),
                Some(json!({"backend": "bird"})),
            ),
            (
                "a pool that is gone",
                json!({"ipv6": {"pool": "vxlan"}}),
                json!({"overlay": {"enabled": false}}),
                Some(json!({"ipv6": {"pool": "vxlan"}})),
            ),
            ("an empty one stays", json!({}), json!({"overlay": {}}), Some(json!({}))),
            ("an empty pool stays", json!({"ipv4": {}}), json!({"overlay": {}}), Some(json!({"ipv4": {}}))),
            ("null is not absent", json!({"overlay": null}), json!({"overlay": {}}), Some(json!({"overlay": null}))),
            ("unknown members", json!({"x": 1}), json!({"x": 2, "overlay": {}}), Some(json!({"x": 2}))),
        ];
        for (what, old, new, want) in table {
            let (old, new) = (Some(&old).filter(|old| !old.is_null()), Some(&new));
            let got = held(old, new);
            assert_eq!(got, want, "{what}");
            assert_eq!(held(got.as_ref(), new), got, "{what}: again");
        }
    }

    #[test]
    fn digests_ignore_what_does_not_count() {
        let digest = |config: Value| Subset::of(Some(&config)).digest();
        let one = digest(json!({"overlay": {"enabled": false}, "typha": 1}));
        assert_eq!(one, digest(json!({"overlay": {"enabled": false}, "ipv4": {"autoDetectionMethod": "x"}})));
        assert_eq!(one.len(), 64);
        assert_ne!(one, digest(json!({"overlay": {"enabled": false, "createPodRoutes": true}})));
        assert_ne!(one, digest(json!({"overlay": {}})));
    }

    #[test]
    fn blocks() {
        for (config, want) in [
            (json!({"vxlan": {"enabled": true}}), true),
            (json!({"ipam": {"type": "calico-ipam"}}), true),
            (json!({"vxlan": {"enabled": false}, "ipam": {"type": "host-local"}}), false),
            (json!({"vxlan": "x", "ipam": null}), false),
        ] {
            assert_eq!(Subset::of(Some(&config)).has_blocks(), want, "{config}");
        }
    }

    /// Configurations of members that count, members that do not, and values of any kind.
    pub(in crate::overlay) fn configs() -> impl Strategy<Value = Option<Value>> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(true)),
            Just(json!(false)),
            Just(json!("Never")),
            Just(json!("none")),
            Just(json!({})),
            Just(json!({"enabled": true})),
            Just(json!({"enabled": false})),
            Just(json!({"mode": "Never"})),
            Just(json!({"mode": "Always", "pool": "ipip", "autoDetectionMethod": "x"})),
            Just(json!({"type": "calico-ipam"})),
        ];
        let keys = prop::sample::select(vec![
            "overlay", "backend", "vxlan", "ipip", "ipam", "ipv4", "ipv6", "typha", "kind", "x",
        ]);
        prop::option::of(prop::collection::btree_map(keys, leaf, 0..6).prop_map(|members| {
            Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        }))
    }

    /// What does not count, without pools, which are mixed.
    fn others(config: Option<&Value>) -> Map<String, Value> {
        let mut config = config.and_then(Value::as_object).cloned().unwrap_or_default();
        config.retain(|key, _| !WHOLE.contains(&key.as_str()) && !POOLS.contains(&key.as_str()));
        config
    }

    proptest! {
        #[test]
        fn laws_of_holding(old in configs(), new in configs()) {
            let held = held(old.as_ref(), new.as_ref());
            prop_assert_eq!(Subset::of(held.as_ref()), Subset::of(old.as_ref()), "what counts is the old");
            prop_assert_eq!(others(held.as_ref()), others(new.as_ref()), "the rest is the new");
            prop_assert_eq!(super::tests::held(old.as_ref(), old.as_ref()), old.clone(), "the same stays the same");
            prop_assert_eq!(super::tests::held(held.as_ref(), new.as_ref()), held.clone(), "again changes nothing");
            prop_assert_eq!(super::tests::held(new.as_ref(), held.as_ref()).map(|c| Subset::of(Some(&c))).unwrap_or_default(), Subset::of(new.as_ref()), "and it can be released");
        }
    }
}
