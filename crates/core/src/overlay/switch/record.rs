//! The record of a held switch, made from a Network and read for it.

use serde::Deserialize;
use serde_json::Value;

use super::subset::{LONGEST_CONFIG, Subset, held};
use crate::gardener::network::{Record, SwitchStatus, SwitchingNetwork, family, family_name};
use crate::net::Family;

impl Record {
    /// The status of the switch as a message.
    pub fn message(&self) -> String {
        self.status.as_ref().map(SwitchStatus::message).unwrap_or_default()
    }

    /// The members that are held.
    pub(crate) fn subset(&self) -> Subset {
        let held = Some(&self.held).filter(|held| held.len() <= LONGEST_CONFIG);
        Subset::of(held.and_then(|held| serde_json::from_str::<Value>(held).ok()).as_ref())
    }

    /// The IP families that are held, if they were recorded: a member `ipFamilies` beside the others, which versions
    /// that do not know it keep.
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

/// The record of a switch as it should be now, from the stored record and the Network.
pub(super) fn record(network: &SwitchingNetwork, remembered: Option<&Record>) -> Record {
    let requested = network.switch.requested.as_deref().unwrap_or_default();
    let since = network.switch.since.as_deref().unwrap_or_default();
    let remembered = remembered.filter(|record| &*record.since == since);
    Record {
        held: held_text(network),
        requested: requested.to_owned(),
        since: since.into(),
        latched: remembered.map(|record| record.latched.clone()).unwrap_or_default(),
        status: remembered.and_then(|record| record.status.clone()),
        ..Record::default()
    }
}

/// The same as text for the record, with the held families: on another Seed the Network has the families that the Shoot
/// asks for.
fn held_text(network: &SwitchingNetwork) -> String {
    let mut members = held(network).value();
    let names: Vec<&str> = network.families.iter().map(|family| family_name(*family)).collect();
    members["ipFamilies"] = names.into();
    members.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_read_back() {
        for held in [r#"{"overlay":{"enabled":true}}"#, "{}"] {
            let record = Record { held: held.into(), ..Record::default() };
            assert_eq!((record.subset().value().to_string(), record.families()), (record.held, None));
        }
        let record = Record { held: r#"{"ipFamilies":["IPv6","IPv9"],"typha":1}"#.into(), ..Record::default() };
        assert_eq!((record.subset(), record.families()), (Subset::default(), Some(vec![Family::V6])));
    }
}
