//! What the controller writes to a Network, as data: the controller sends it to an API server, the model test to its own.
//!
//! Each write requires the version that the turn has read, or that its previous write made: a concurrent writer wins,
//! and the next turn starts from there.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::act::Act;
use super::desired::desired;
use super::passed::{Passed, carried};
use super::record::record;
use super::released::{release_word, released_config, released_families};
use super::route_tracker::{Progress, RouteTracker};
use super::time::seconds;
use crate::gardener::SwitchFacts;
use crate::gardener::network::{
    OPERATION, Phase, Reason, Record, Routes, STATE_MEMBER, SWITCH_APPROVED, SWITCH_PASSED, SwitchAnnotations,
    SwitchState, SwitchStatus, SwitchingNetwork, family_name,
};
use crate::json::Written;

/// The age at which an approval is confirmed: well within the time for which it is valid.
const CONFIRM: SignedDuration = SignedDuration::from_mins(2);

/// What a turn has seen when it writes.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The Network.
    pub network: &'s SwitchingNetwork,
    /// The facts of its Shoot, if they are known.
    pub shoot: Option<&'s SwitchFacts>,
    /// The nodes whose route was reported.
    pub tracker: &'s RouteTracker,
    /// The progress of the nodes, if they were observed in this turn.
    pub progress: Option<&'s Progress>,
    /// The time, by the wall clock.
    pub now: Timestamp,
}

/// One write to a Network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// What is written.
    pub target: Target,
    /// When it applies.
    pub precondition: Precondition,
    /// The change, without the version that it requires.
    pub patch: Patch,
}

/// What is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// The object: metadata and `spec`. This write passes through the webhook.
    Network,
    /// Its status, a subresource of its own.
    Status,
}

/// When a write applies. Otherwise the API server answers with a conflict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// The Network still has this resource version, which was read.
    Seen(Box<str>),
    /// Nobody has written since the previous write.
    Previous,
}

/// A change of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Patch {
    /// A JSON Merge Patch, RFC 7386.
    Merge(Value),
    /// A JSON Patch, RFC 6902.
    Json(Vec<Value>),
}

impl Write {
    /// The patch as it is sent. `previous` is the resource version after the previous write.
    pub fn patch(&self, previous: &str) -> Patch {
        let version = match &self.precondition {
            Precondition::Seen(version) => version,
            Precondition::Previous => previous,
        };
        match self.patch.clone() {
            Patch::Merge(mut patch) => {
                patch["metadata"]["resourceVersion"] = json!(version);
                Patch::Merge(patch)
            }
            Patch::Json(mut operations) => {
                operations.insert(0, json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
                Patch::Json(operations)
            }
        }
    }
}

/// The writes of an action, in their order; those that would change nothing are left out.
pub fn writes(act: &Act, seen: &Seen<'_>) -> Vec<Write> {
    let changes = match act {
        Act::Look | Act::Nothing(_) | Act::AwaitRollout => Vec::new(),
        Act::Say { state, status } => say(*state, status.as_deref(), seen),
        Act::Release(reason) => release(*reason, seen),
        Act::Begin(passed) => begin(*passed, seen),
        Act::Carry => carry(seen).into_iter().collect(),
        Act::Remember(record) => remember(record, seen.network).into_iter().collect(),
        Act::Clear | Act::Forget => forget(seen.network),
    };
    let first = Precondition::Seen(seen.network.resource_version.clone());
    let preconditions = std::iter::once(first).chain(std::iter::repeat(Precondition::Previous));
    changes
        .into_iter()
        .zip(preconditions)
        .map(|((target, patch), precondition)| Write { target, precondition, patch })
        .collect()
}

type Change = (Target, Patch);

/// The observation, in the record and in the annotations that people read. First what must not be lost.
fn say(state: SwitchState, status: Option<&SwitchStatus>, seen: &Seen<'_>) -> Vec<Change> {
    let mut said = seen.network.clone();
    let switch = &mut said.switch;
    switch.state = Some(state.name().into());
    let message = switch.message.take();
    switch.message = Some(status.map_or_else(|| message.unwrap_or_default(), |status| status.message().into()));
    switch.since.get_or_insert_with(|| seconds(seen.now).into());
    // The operator's force applies to the change that was held then.
    if (state == SwitchState::Approved || switch.requested.is_none())
        && let Some(desired) = seen.shoot.and_then(desired)
    {
        switch.requested = Some(desired.digest().into());
    }
    if state == SwitchState::Approved {
        let confirmed = switch.approved.as_ref().and_then(Written::value);
        if confirmed.is_none_or(|confirmed| seen.now.duration_since(confirmed) > CONFIRM) {
            switch.approved = Some(seconds(seen.now).into());
        }
    }
    let mut remembered = record(&said, seen.network.record());
    remembered.latched = seen.tracker.latched();
    remembered.status = status.cloned().or(remembered.status);
    remember(&remembered, seen.network).into_iter().chain(annotate(seen.network, &said)).collect()
}

/// Record, approval, and the requested configuration. Approval and configuration are two writes: when other webhooks
/// change the second one, the API server calls network-guard again, which then still finds the approval in the stored
/// object.
fn release(reason: Reason, seen: &Seen<'_>) -> Vec<Change> {
    let network = seen.network;
    let Some(desired) = seen.shoot.and_then(desired) else { return Vec::new() };
    // A control plane that is being migrated must not be held again on the other Seed: all routes are known to exist.
    let held = record(network, network.record());
    let status = match seen.progress {
        Some(progress) => SwitchStatus { routes: Some(Routes::from(progress)), ..SwitchStatus::default() },
        // The last state of the nodes, and why they were not waited for.
        None => {
            let routes = held.status.as_ref().and_then(|status| status.routes.clone());
            SwitchStatus { routes, ..SwitchStatus::waits(reason.name()) }
        }
    };
    let released = Record { phase: Phase::Released, released: seconds(seen.now).into(), status: Some(status), ..held };
    // Without routes, an approval from before must not count again when this release does not end, and its reason goes
    // away. The last write has a time of its own.
    let approved = network.switch.approved.clone().filter(|_| reason == Reason::Routes);
    let approval = SwitchAnnotations {
        state: Some(release_word(network, &desired, reason).name().into()),
        requested: Some(desired.digest().into()),
        approved,
        ..network.switch.clone()
    };
    let approved = SwitchingNetwork { switch: approval, ..network.clone() };
    let at = |key: &str| format!("/metadata/annotations/{}", key.replace('/', "~1"));
    let mut operations = vec![
        json!({"op": "add", "path": at(OPERATION), "value": "reconcile"}),
        // To the nanosecond: a value that was never written before shows that the leader approves in this very write.
        json!({"op": "add", "path": at(SWITCH_APPROVED), "value": seen.now.to_string()}),
    ];
    operations.extend(match released_config(network, &desired) {
        Some(config) => Some(json!({"op": "add", "path": "/spec/providerConfig", "value": config})),
        None => network.config.is_some().then(|| json!({"op": "remove", "path": "/spec/providerConfig"})),
    });
    if let Some(families) = released_families(network, &desired) {
        let names: Vec<&str> = families.iter().map(|family| family_name(*family)).collect();
        operations.push(json!({"op": "add", "path": "/spec/ipFamilies", "value": names}));
    }
    let mut changes: Vec<Change> = remember(&released, network).into_iter().collect();
    changes.extend(annotate(network, &approved));
    changes.push((Target::Network, Patch::Json(operations)));
    changes
}

/// The record of a switch that passed with gardenlet's write before anything was recorded. If the record has been
/// started already, only the trace is removed: another write came in between, or another leader ended there.
fn begin(passed: Passed, seen: &Seen<'_>) -> Vec<Change> {
    let network = seen.network;
    let is_begun = network.record().is_some_and(|stored| passed.has_begun(stored));
    let begun = (!is_begun).then(|| passed.begin(record(network, None), written(seen), seen.now));
    let untraced = SwitchingNetwork { passed: None, ..network.clone() };
    begun.and_then(|begun| remember(&begun, network)).into_iter().chain(annotate(network, &untraced)).collect()
}

/// The record of a held switch that gardenlet's own write carried.
fn carry(seen: &Seen<'_>) -> Option<Change> {
    let mut record = seen.network.record()?.clone();
    // The hold is over.
    let reason = carried(record.status.as_ref(), seen.shoot);
    let routes = record.status.take().and_then(|status| status.routes);
    let because = if reason == Reason::Routes { "" } else { reason.name() };
    record.status = Some(SwitchStatus { routes, ..SwitchStatus::waits(because) });
    record.phase = Phase::Released;
    record.released = seconds(written(seen).min(seen.now)).into();
    remember(&record, seen.network)
}

/// Nothing of the switch is left.
fn forget(network: &SwitchingNetwork) -> Vec<Change> {
    let nothing = SwitchingNetwork { switch: SwitchAnnotations::default(), passed: None, ..network.clone() };
    let member = if network.has_other_state { json!({STATE_MEMBER: null}) } else { Value::Null };
    let record = network.stored.is_some().then(|| status(&member));
    record.into_iter().chain(annotate(network, &nothing)).collect()
}

/// When gardenlet wrote last: Calico's Pods are replaced after that, whenever this turn runs.
fn written(seen: &Seen<'_>) -> Timestamp {
    seen.network.timestamp.unwrap_or(seen.now)
}

/// The members of the record that differ from the stored one.
fn remember(record: &Record, network: &SwitchingNetwork) -> Option<Change> {
    if network.record().is_some_and(|stored| record.is_stored(stored)) {
        return None;
    }
    Some(status(&json!({STATE_MEMBER: record.patch(network.stored.as_ref())})))
}

fn status(state: &Value) -> Change {
    (Target::Status, Patch::Merge(json!({"status": {"state": state}})))
}

/// The annotations that differ.
fn annotate(from: &SwitchingNetwork, to: &SwitchingNetwork) -> Option<Change> {
    let pairs = annotations(from).zip(annotations(to));
    let differing = pairs.filter(|(is, want)| is != want);
    let wanted: Map<String, Value> = differing.map(|(_, (key, want))| (key.to_owned(), json!(want))).collect();
    (!wanted.is_empty()).then(|| (Target::Network, Patch::Merge(json!({"metadata": {"annotations": wanted}}))))
}

fn annotations(network: &SwitchingNetwork) -> impl Iterator<Item = (&'static str, Option<&str>)> {
    network.switch.pairs().into_iter().chain([(SWITCH_PASSED, network.passed.as_deref())])
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{network, shoot};
    use super::*;

    /// The Network after these writes, as an API server stores it.
    fn stored(network: &SwitchingNetwork, writes: &[Write]) -> SwitchingNetwork {
        let mut object = json!({
            "metadata": {"resourceVersion": "5", "annotations": {}},
            "spec": {"ipFamilies": ["IPv4"]}, "status": {"lastOperation": {"state": "Succeeded"}},
        });
        for (key, value) in annotations(network) {
            object["metadata"]["annotations"][key] = json!(value);
        }
        object["spec"]["providerConfig"] = serde_json::from_str(network.config.as_deref().unwrap()).unwrap();
        for write in writes {
            match write.patch("6") {
                Patch::Merge(patch) => json_patch::merge(&mut object, &patch),
                Patch::Json(operations) => {
                    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
                    json_patch::patch(&mut object, &patch).unwrap();
                }
            }
        }
        SwitchingNetwork::read(&object.to_string()).unwrap().unwrap_or_default()
    }

    #[test]
    fn each_write_requires_the_one_before_and_nothing_is_written_twice() {
        let network = SwitchingNetwork {
            resource_version: "5".into(),
            switch: SwitchAnnotations { since: Some("2026-11-20T10:00:00Z".into()), ..SwitchAnnotations::default() },
            passed: Some("forced".into()),
            ..network()
        };
        let (shoot, tracker) = (shoot(), RouteTracker::default());
        let passed = Passed { reason: Reason::Forced, written: None };
        let table: [(Act, &[Target]); 8] = [
            (Act::Look, &[]),
            (Act::Nothing("x"), &[]),
            (Act::AwaitRollout, &[]),
            (
                Act::Say { state: SwitchState::Approved, status: Some(Box::new(SwitchStatus::waits("x"))) },
                &[Target::Status, Target::Network],
            ),
            (Act::Release(Reason::Routes), &[Target::Status, Target::Network, Target::Network]),
            (Act::Begin(passed), &[Target::Status, Target::Network]),
            (Act::Remember(Box::default()), &[Target::Status]),
            (Act::Forget, &[Target::Network]),
        ];
        for (act, want) in table {
            let seen = Seen {
                network: &network,
                shoot: Some(&shoot),
                tracker: &tracker,
                progress: None,
                now: Timestamp::UNIX_EPOCH,
            };
            let first = writes(&act, &seen);
            let targets: Vec<Target> = first.iter().map(|write| write.target).collect();
            assert_eq!(targets, want, "{act:?}");
            for (i, write) in first.iter().enumerate() {
                let want = if i == 0 { Precondition::Seen("5".into()) } else { Precondition::Previous };
                assert_eq!(write.precondition, want, "{act:?}");
            }
            if !matches!(act, Act::Release(_)) {
                let network = &stored(&network, &first);
                assert_eq!(writes(&act, &Seen { network, ..seen }), [], "{act:?}");
            }
        }
    }
}
