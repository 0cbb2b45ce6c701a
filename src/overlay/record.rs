//! What is remembered of a held switch in `status.state` of its Network: it survives restarts of ours, and Gardener takes
//! it along when the control plane moves to another Seed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Subset;
use super::subset::LONGEST_CONFIG;
use crate::gardener::network::family;
use crate::net::Family;

/// The record of one switch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Whether the switch is held, or was let through.
    pub phase: Phase,
    /// The JSON text of the members that are held, as they were before. Text, because a merge patch would mix an object
    /// with the one before it.
    pub held: String,
    /// The digest of what was asked for.
    pub requested: String,
    /// Since when it is held, RFC 3339.
    #[serde(default)]
    pub since: String,
    /// When it was let through, RFC 3339; empty before.
    #[serde(default)]
    pub released: String,
    /// The nodes whose route was seen: a digest of each UID.
    #[serde(default)]
    pub latched: BTreeSet<String>,
}

/// How far a switch is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Calico still has the overlay.
    Held,
    /// Calico was told, and its Pods may still be on their way.
    Released,
}

impl Record {
    /// Reads a record; one that is not ours, or cannot be read, is none.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The members that are held.
    pub fn subset(&self) -> Subset {
        let held = Some(&self.held).filter(|held| held.len() <= LONGEST_CONFIG);
        Subset::of(held.and_then(|held| serde_json::from_str::<Value>(held).ok()).as_ref())
    }

    /// The IP families that are held, where they were remembered: a member `ipFamilies` beside the others, which whoever
    /// does not know it leaves alone.
    pub fn families(&self) -> Option<Vec<Family>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Held {
            ip_families: Option<Vec<String>>,
        }
        let held = Some(&self.held).filter(|held| held.len() <= LONGEST_CONFIG)?;
        let names = serde_json::from_str::<Held>(held).ok()?.ip_families?;
        Some(names.iter().filter_map(|name| family(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_as_it_was_written() {
        let record = Record {
            phase: Phase::Held,
            held: r#"{"overlay":{"enabled":true}}"#.into(),
            requested: "ab".into(),
            since: "2026-11-20T10:00:00Z".into(),
            released: String::new(),
            latched: ["0123456789ab".to_owned()].into(),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            r#"{"phase":"held","held":"{\"overlay\":{\"enabled\":true}}","requested":"ab","since":"2026-11-20T10:00:00Z","released":"","latched":["0123456789ab"]}"#
        );
        assert_eq!(record.subset().value().to_string(), record.held);
        assert_eq!(Record::read(&text), Some(record));
        for text in ["{}", "null", "5", r#"{"phase":"lost","held":"","requested":""}"#] {
            assert_eq!(Record::read(text), None, "{text}");
        }
    }
}
