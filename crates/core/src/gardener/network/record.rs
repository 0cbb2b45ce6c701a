//! The record of a held switch in `status.state` of its Network. It survives restarts, and Gardener copies it when the
//! control plane moves to another Seed.
//!
//! Other versions of this program read and write it too. A record without a version is of the first format. One of a
//! later version is read as far as this version knows its members, and unknown members are kept: a write is a merge
//! patch of the members that changed.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::status::SwitchStatus;
use crate::json::Written;

/// The version of records that this program writes. The first one had no number.
const VERSION: u32 = 2;

/// The record of one switch.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of its format.
    pub version: u32,
    /// Whether the switch is held, or was released.
    pub phase: Phase,
    /// The JSON text of the members that are held, as they were before. Text, because a merge patch would mix an object
    /// with the one before it.
    pub held: String,
    /// The digest of what was asked for.
    pub requested: String,
    /// Since when the switch is held, RFC 3339.
    pub since: Written<String, Timestamp>,
    /// When it was released, RFC 3339; empty before.
    pub released: Written<String, Timestamp>,
    /// When the network extension first reported that it had carried the switch out, RFC 3339; empty before.
    pub carried_out: Written<String, Timestamp>,
    /// The nodes whose route was reported: a digest of each UID.
    pub latched: BTreeSet<String>,
    /// Its status; `None` in records of the first version.
    pub status: Option<SwitchStatus>,
}

/// The phase of a switch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// Calico still has the overlay.
    #[default]
    Held,
    /// The Network asks for native routing, and the rollout of Calico's Pods may not be finished.
    Released,
}

impl Phase {
    /// The word in the record, and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
        }
    }
}

impl FromStr for Phase {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Held, Self::Released].into_iter().find(|phase| phase.name() == word).ok_or(())
    }
}

impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A record as it was found. It is read once; its text is kept, because a write changes only the members that differ,
/// and there may be members that this version does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRecord {
    text: Box<str>,
    /// Shared: the record of a large Shoot has many nodes, and each turn of the controller has a copy of the Network.
    record: Option<Arc<Record>>,
}

impl From<&str> for StoredRecord {
    fn from(text: &str) -> Self {
        Self { text: text.into(), record: Record::read(text).map(Arc::new) }
    }
}

impl StoredRecord {
    /// The record; `None` for one that is not network-guard's, or cannot be read.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            phase: Phase::default(),
            held: String::new(),
            requested: String::new(),
            since: Written::default(),
            released: Written::default(),
            carried_out: Written::default(),
            latched: BTreeSet::new(),
            status: None,
        }
    }
}

/// A record as it is stored. A member that no decision needs may be unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default = "first")]
    version: u32,
    phase: Written<String, Phase>,
    held: String,
    requested: String,
    #[serde(default, deserialize_with = "as_far_as_possible")]
    since: Written<String, Timestamp>,
    #[serde(default, deserialize_with = "as_far_as_possible")]
    released: Written<String, Timestamp>,
    #[serde(default, deserialize_with = "as_far_as_possible")]
    carried_out: Written<String, Timestamp>,
    #[serde(default, deserialize_with = "as_far_as_possible")]
    latched: BTreeSet<String>,
    #[serde(default, deserialize_with = "as_far_as_possible")]
    status: Option<SwitchStatus>,
}

fn first() -> u32 {
    1
}

fn as_far_as_possible<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

impl Record {
    /// Reads a record; `None` for one that is not network-guard's, or cannot be read.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Wire { version, phase, held, requested, since, released, carried_out, latched, status } =
            serde_json::from_str(text).ok()?;
        let phase = match phase.value() {
            Some(phase) => phase,
            // In doubt it is held: then it waits for routes, while one that is mistaken for released may cut Pods off.
            None if version > VERSION => Phase::Held,
            None => return None,
        };
        Some(Self { version, phase, held, requested, since, released, carried_out, latched, status })
    }

    /// How many nodes the Shoot had, with or without routes, as far as it is known.
    pub fn nodes(&self) -> usize {
        let seen = self.status.as_ref().and_then(|status| status.routes.as_ref());
        self.latched.len().max(seen.map_or(0, |routes| routes.nodes + routes.not_ready + routes.leaving))
    }

    /// Whether this has the same content as the stored record, which may be in the format of a later version.
    pub fn is_stored(&self, stored: &Self) -> bool {
        let version = if stored.version > VERSION { stored.version } else { self.version };
        let Self { phase, held, requested, since, released, carried_out, latched, status, .. } = self;
        version == stored.version
            && (phase, held, requested, since) == (&stored.phase, &stored.held, &stored.requested, &stored.since)
            && (released, carried_out, latched, status)
                == (&stored.released, &stored.carried_out, &stored.latched, &stored.status)
    }

    /// The merge patch that makes this of the stored record: the members that differ. Unknown members are kept.
    pub fn patch(&self, stored: Option<&StoredRecord>) -> Map<String, Value> {
        let Ok(Value::Object(mut patch)) = serde_json::to_value(self) else { return Map::new() };
        // The text, because a later version may have written a known member in a form that was read as another one.
        if let Some(Value::Object(stored)) = stored.and_then(|stored| serde_json::from_str(stored.text()).ok()) {
            patch.retain(|key, value| stored.get(key).unwrap_or(&Value::Null) != value);
        }
        patch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::status::{MissingRoute, Replacement, Routes, WaitsFor};
    use super::*;

    fn record() -> Record {
        Record {
            held: r#"{"overlay":{"enabled":true}}"#.into(),
            requested: "ab".into(),
            since: "2026-11-20T10:00:00Z".into(),
            latched: ["0123456789ab".to_owned()].into(),
            ..Record::default()
        }
    }

    #[test]
    fn is_read_back_as_it_was_written() {
        let status = SwitchStatus { waits_for: WaitsFor::Gardenlet, ..SwitchStatus::waits("forced") };
        let record = Record { status: Some(status), ..record() };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            r#"{"version":2,"phase":"held","held":"{\"overlay\":{\"enabled\":true}}","requested":"ab","since":"2026-11-20T10:00:00Z","released":"","carriedOut":"","latched":["0123456789ab"],"status":{"waitsFor":"gardenlet","because":"forced","routes":null,"complaint":null,"hints":[],"replacement":null}}"#
        );
        assert_eq!(Record::read(&text), Some(record));
        for text in ["{}", "null", "5", r#"{"phase":"lost","held":"","requested":""}"#] {
            assert_eq!(Record::read(text), None, "{text}");
        }
    }

    /// A record of an earlier release.
    #[test]
    fn an_older_one_is_read() {
        let text = r#"{"phase":"held","held":"{\"overlay\":{\"enabled\":true}}","requested":"ab","since":"2026-11-20T10:00:00Z","released":"","latched":["0123456789ab"]}"#;
        let old = Record::read(text).unwrap();
        assert_eq!(old, Record { version: 1, ..record() });
        assert!(!record().is_stored(&old), "it is brought up to date");
        assert_eq!(Value::Object(record().patch(Some(&text.into()))), json!({"version": 2, "carriedOut": ""}));
        let least = Record::read(r#"{"phase":"released","held":"{}","requested":"x"}"#).unwrap();
        assert_eq!((least.phase, least.status), (Phase::Released, None));
    }

    /// A record of a later version is read as far as it is known, and not written as long as nothing changes.
    #[test]
    fn a_later_one_is_kept() {
        let stored = json!({
            "version": 9, "phase": "verifying", "held": record().held, "requested": "ab", "since": record().since,
            "released": "", "latched": record().latched, "status": {"routes": "by table"}, "tables": [1],
        });
        let text = stored.to_string();
        let later = Record::read(&text).unwrap();
        assert_eq!((later.phase, &later.status), (Phase::Held, &None), "it waits on");
        assert!(record().is_stored(&later));
        let changed = Record { latched: BTreeSet::new(), ..record() };
        assert!(!changed.is_stored(&later));
        let mut merged = stored.clone();
        json_patch::merge(&mut merged, &Value::Object(changed.patch(Some(&(&*text).into()))));
        assert_eq!((&merged["tables"], &merged["version"], &merged["phase"]), (&json!([1]), &json!(2), &json!("held")));
        assert_eq!(Record::read(&merged.to_string()), Some(changed));
    }

    proptest! {
        /// The patch makes any status of any other: nothing of the former status is left.
        #[test]
        fn the_patch_makes_any_status(from in statuses(), to in statuses()) {
            let of = |status| Record { status, ..record() };
            let (from, to) = (of(from), of(to));
            let mut stored = serde_json::to_value(&from).unwrap();
            let patch = to.patch(Some(&(&*stored.to_string()).into()));
            json_patch::merge(&mut stored, &Value::Object(patch));
            prop_assert_eq!(Record::read(&stored.to_string()), Some(to));
        }
    }

    fn statuses() -> impl Strategy<Value = Option<SwitchStatus>> {
        let text = || prop_oneof![Just(String::new()), Just("a".to_owned()), Just("b".to_owned())];
        let names = || prop::collection::vec(text(), 0..3);
        let missing = prop::collection::vec((text(), text()), 0..3);
        let missing = missing.prop_map(|all| {
            all.into_iter().map(|(node, reason)| MissingRoute { node, reason }).collect::<Vec<MissingRoute>>()
        });
        let routes = (0..3_usize, 0..3_usize, missing, 0..3_usize, names(), 0..3_usize);
        let routes = routes.prop_map(|(nodes, with_route, missing, not_ready, not_ready_nodes, leaving)| Routes {
            nodes,
            with_route,
            missing,
            not_ready,
            not_ready_nodes,
            leaving,
        });
        let replacement = (text(), 0..3_i64, 0..3_usize, any::<(bool, bool)>());
        let replacement = replacement.prop_map(|(node, deadline, nodes, (has_ipv6, routes_stay))| Replacement {
            node,
            deadline: Timestamp::from_second(deadline).unwrap(),
            nodes,
            has_ipv6,
            routes_stay,
        });
        let waits = prop_oneof![Just(WaitsFor::Routes), Just(WaitsFor::Gardenlet), Just(WaitsFor::Other)];
        let optional = (prop::option::of(routes), prop::option::of(text()), prop::option::of(replacement));
        let status = (waits, text(), optional, names()).prop_map(
            |(waits_for, because, (routes, complaint, replacement), hints)| SwitchStatus {
                waits_for,
                because: because.into(),
                routes,
                complaint,
                hints,
                replacement,
            },
        );
        prop::option::of(status)
    }

    /// Whatever is stored, the patch makes the record of it, and has no more members than needed.
    #[test]
    fn the_patch_makes_the_record() {
        let with = |change: fn(&mut Record)| {
            let mut record = record();
            change(&mut record);
            record
        };
        let records = [
            record(),
            with(|record| record.phase = Phase::Released),
            with(|record| record.latched = BTreeSet::new()),
            with(|record| record.status = Some(SwitchStatus::waits("x"))),
            with(|record| {
                let routes = Some(Routes { nodes: 3, ..Default::default() });
                record.status = Some(SwitchStatus { routes, complaint: Some("c".into()), ..SwitchStatus::default() });
            }),
        ];
        for from in &records {
            for to in &records {
                let mut stored = serde_json::to_value(from).unwrap();
                let patch = to.patch(Some(&(&*stored.to_string()).into()));
                assert!(patch.len() <= 2 && (from == to) == patch.is_empty(), "{patch:?}");
                json_patch::merge(&mut stored, &Value::Object(patch));
                assert_eq!(Record::read(&stored.to_string()).as_ref(), Some(to));
            }
        }
    }
}
