//! `/webhooks/mutate/network`: holds a switch from Calico's overlay to native routing until every node has its route.

use serde_json::Value;

use crate::admission::{AuditKey, Handler, Outcome, Patch, PatchBuilder, Pointer, Request, Resource, Stop, Verdict};
use crate::gardener::network::{
    Reason, SWITCH_MESSAGE, SWITCH_PASSED, SWITCH_REQUESTED, SWITCH_SINCE, SWITCH_STATE, SwitchAnnotations,
    SwitchState, family_name,
};
use crate::gardener::{FieldError, Network};
use crate::json::{self, Text, Written};
use crate::landscape::{Cluster, Freshness, View, switch_facts};
use crate::overlay::rules::held as rules;
use crate::overlay::{Decision, Held, HoldSettings, Passed, decide};

/// The path of this webhook.
pub const NETWORK_PATH: &str = "/webhooks/mutate/network";

const AUDIT_DECISION: AuditKey = AuditKey::new("decision");
const AUDIT_REQUESTED: AuditKey = AuditKey::new("overlay-switch-requested");

/// What a held switch says before the controller has looked at the nodes.
const NOT_LOOKED_YET: &str = "the nodes have not been looked at yet";

/// The webhook.
#[derive(Debug, Default)]
pub struct HoldNetwork {
    settings: HoldSettings,
}

impl HoldNetwork {
    /// Holds on these infrastructures.
    pub fn new(settings: &HoldSettings) -> Self {
        Self { settings: settings.clone() }
    }

    fn decide(&self, request: &Request<'_>, raw: &str, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let read = |raw, whose| Network::read(raw).map_err(|error| error.within(whose));
        let new = read(raw, "request.object")?;
        let old = request.old_object.map(|raw| read(raw, "request.oldObject")).transpose()?;
        let shoot = match view.cluster(&request.namespace, Freshness::Known)? {
            Cluster::Record(record, _) => switch_facts(record),
            Cluster::Absent | Cluster::Unanswered(_) | Cluster::Unknown => None,
        };
        let decision = decide(&new, old.as_ref(), shoot, &self.settings);
        if matches!(decision, Ok(Decision::Hold(_))) {
            view.cluster(&request.namespace, Freshness::Present)?;
        }
        Ok(verdict(decision, &new))
    }
}

impl Handler for HoldNetwork {
    fn name(&self) -> &'static str {
        "network"
    }

    fn path(&self) -> &'static str {
        NETWORK_PATH
    }

    fn resource(&self) -> Resource {
        Resource { group: "extensions.gardener.cloud", plural: "networks" }
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let Some(raw) = request.written() else { return Ok(Verdict::allow("not-concerned")) };
        self.decide(request, raw, view)
    }
}

fn verdict(decision: Result<Decision, FieldError>, new: &Network<'_>) -> Verdict {
    let decision = match decision {
        Ok(decision) => decision,
        Err(error) => {
            let findings = vec![rules::unreadable(&error)];
            return Verdict { outcome: Outcome::Denied, findings, ..Verdict::allow("unreadable") };
        }
    };
    let (word, patch) = match &decision {
        Decision::NotConcerned => ("not-concerned", None),
        Decision::Keep => ("kept", None),
        Decision::Clear if new.switch.is_empty() => ("none", None),
        Decision::Clear => ("cleared", without_annotations(&new.switch).finish()),
        Decision::Release { why, is_unknown } => {
            let word = match why {
                Reason::Routes | Reason::NotListed => "released",
                Reason::Forced => "forced",
                Reason::Hibernated => "asleep",
            };
            (word, release_patch(*why, *is_unknown, new))
        }
        Decision::Hold(held) => ("held", hold_patch(held, new)),
    };
    let mut verdict = Verdict {
        outcome: patch.map_or(Outcome::Allowed, Outcome::Patched),
        audit: vec![(AUDIT_DECISION, word.to_owned())],
        ..Verdict::allow(word)
    };
    if let Decision::Hold(held) = decision {
        verdict.findings.push(rules::held(&held.since, held.obstacle));
        verdict.audit.push((AUDIT_REQUESTED, held.requested.clone()));
    }
    verdict
}

fn without_annotations(switch: &SwitchAnnotations<Text<'_>>) -> PatchBuilder {
    let mut patch = PatchBuilder::default();
    for (key, value) in switch.pairs() {
        if value.is_some() {
            patch.remove(&Pointer::to("/metadata/annotations").field(key));
        }
    }
    patch
}

/// Takes the annotations of a hold away, and leaves a trace where nothing else tells that there was a switch: then the leader
/// begins its record by it.
fn release_patch(why: Reason, is_unknown: bool, new: &Network<'_>) -> Option<Patch> {
    let mut patch = without_annotations(&new.switch);
    let written = new.timestamp.as_ref().and_then(Written::value);
    let trace = Passed { reason: why, written }.to_string();
    if is_unknown && new.passed.as_deref() != Some(&*trace) {
        let (annotations, word) = (Pointer::to("/metadata/annotations"), Value::from(trace));
        if new.has_annotations {
            patch.add(&annotations.field(SWITCH_PASSED), &word.to_string());
        } else {
            let wanted: Value = [(SWITCH_PASSED, word)].into_iter().collect();
            patch.add(&annotations, &wanted.to_string());
        }
    }
    patch.finish()
}

/// Puts the old encapsulation back, and says so in annotations. What is as it should be is not written again.
fn hold_patch(held: &Held, new: &Network<'_>) -> Option<Patch> {
    let mut patch = PatchBuilder::default();
    let stays = |config: &Value| new.provider_config.is_some_and(|text| json::is_same(text, &config.to_string()));
    let at = Pointer::to("/spec/providerConfig");
    match &held.config {
        Some(config) if stays(config) => {}
        Some(config) => patch.add(&at, &config.to_string()),
        None if new.provider_config.is_some() => patch.remove(&at),
        None => {}
    }
    if let Some(families) = &held.families {
        let at = Pointer::to("/spec/ipFamilies");
        if families.is_empty() {
            patch.remove(&at);
        } else {
            let names: Vec<&str> = families.iter().map(|family| family_name(*family)).collect();
            patch.add(&at, &Value::from(names).to_string());
        }
    }
    let message = match &new.switch.message {
        Some(message) if held.is_known => &**message,
        _ => NOT_LOOKED_YET,
    };
    let wanted = [
        (SWITCH_STATE, SwitchState::Pending.name()),
        (SWITCH_SINCE, &*held.since),
        (SWITCH_REQUESTED, &*held.requested),
        (SWITCH_MESSAGE, message),
    ];
    if new.passed.is_some() {
        // It is about a former switch.
        patch.remove(&Pointer::to("/metadata/annotations").field(SWITCH_PASSED));
    }
    if new.has_annotations {
        for ((key, want), (_, is)) in wanted.into_iter().zip(new.switch.pairs()) {
            if is != Some(want) && !want.is_empty() {
                patch.add(&Pointer::to("/metadata/annotations").field(key), &Value::from(want).to_string());
            }
        }
    } else {
        let wanted: Value = wanted.into_iter().filter(|(_, want)| !want.is_empty()).collect();
        patch.add(&Pointer::to("/metadata/annotations"), &wanted.to_string());
    }
    patch.finish()
}

#[cfg(test)]
mod tests;
