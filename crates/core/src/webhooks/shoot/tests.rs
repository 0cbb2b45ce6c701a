//! The webhooks of the garden: which writes are judged, the shape of their answers, and what they disclose. What each rule finds
//! is tested beside the rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admission::{AskLoop, Handler, Outcome, Verdict, decode, encode};
use crate::diagnostics::Severity;
use crate::gardener::shoot::{CONFIRMATION, PEERING_TYPE};
use crate::gardener::{SeedFacts, ShootFacts, ShootName};
use crate::landscape::garden::{self, Said, facts_of, with};
use crate::landscape::{Answer, Grant, Questions, Snapshot};
use crate::peering::rules::tests::{A, B, a, b, config, listing, peer, shoot};

mod answers;
mod disclosure;
mod filled_in;
mod hidden;
mod laws;
mod lifecycle;
mod overlay;
mod vpc_hidden;

type Garden = garden::Garden<ShootSettings>;

impl Garden {
    /// The answer of a handler, as the server would fetch and encode it.
    fn call(&self, handler: &dyn Handler, request: &Value) -> (Verdict, Vec<u8>) {
        let body =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
        self.call_text(handler, &body)
    }

    fn call_text(&self, handler: &dyn Handler, body: &str) -> (Verdict, Vec<u8>) {
        let request = decode(body.as_bytes()).unwrap();
        let verdict = AskLoop::new(handler, &request, self.cache()).run(|questions| self.answer(questions)).unwrap();
        let bytes = encode(&request, &verdict);
        (verdict, bytes)
    }

    fn request(&self, old: Option<&Value>, new: Option<&Value>) -> Value {
        let object = new.or(old).unwrap();
        json!({
            "uid": "u",
            "resource": {"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots"},
            "namespace": object.pointer("/metadata/namespace"),
            "name": object.pointer("/metadata/name"),
            "operation": match (old, new) { (None, _) => "CREATE", (_, None) => "DELETE", _ => "UPDATE" },
            "userInfo": {"username": "alice", "groups": self.groups},
            "object": new,
            "oldObject": old,
        })
    }

    fn validate(&self, old: Option<&Value>, new: &Value) -> Said {
        let (verdict, _) = self.call(&ValidateShoot::new(&self.settings), &self.request(old, Some(new)));
        said(&verdict)
    }

    fn create(&self, new: &Value) -> Said {
        self.validate(None, new)
    }

    fn update(&self, old: &Value, new: &Value) -> Said {
        self.validate(Some(old), new)
    }

    fn advise(&self, request: &Value) -> Said {
        let (verdict, _) = self.call(&AdviseShoot::new(&self.settings), request);
        said(&verdict)
    }

    /// What the mutating webhook makes of a new Shoot.
    fn mutated(&self, new: &Value) -> Value {
        let (verdict, _) = self.call(&MutateShoot::new(&self.settings), &self.request(None, Some(new)));
        let mut new = new.clone();
        if let Outcome::Patched(patch) = &verdict.outcome {
            let patch: json_patch::Patch = serde_json::from_str(patch.json()).unwrap();
            json_patch::patch(&mut new, &patch).unwrap();
        }
        new
    }
}

/// What came of a request.
fn said(verdict: &Verdict) -> Said {
    let said = Said::of(&verdict.findings, verdict.decision);
    assert_eq!(verdict.outcome == Outcome::Denied, !said.denied.is_empty(), "{said:?}");
    said
}
