//! What examples of rules run on: `garden-sales/crm` on the Seed eu1-b, which lists `garden-shop/orders`.

use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::diagnostics::ratchet::Scope;
use crate::gardener::facts::{Networks, Peer, PeeringFacts};
use crate::gardener::{Shoot, ShootFacts, ShootName};
use crate::landscape::Target;

use super::super::config::{Config, Entry};
use super::super::settings::Settings;
use super::super::subject::Subject;
use super::example_config;
use super::pair::{Check, Pair};

/// The Shoot, and what is stored of it.
pub(super) struct Scene {
    /// Its `spec.networking`.
    pub(super) networking: &'static str,
    /// The stored `spec.networking`; `None` for a new Shoot.
    pub(super) stored: Option<&'static str>,
    /// Whether the entries were stored before.
    pub(super) are_entries_stored: bool,
    /// The Seed that the entry names.
    pub(super) seed: &'static str,
    /// The name of another Shoot that it lists; empty for none.
    pub(super) also: &'static str,
}

/// A new Shoot without a node network.
pub(super) const SCENE: Scene =
    Scene { networking: "{}", stored: None, are_entries_stored: false, seed: "eu1-a", also: "" };

impl Scene {
    /// What a check finds in the Shoot.
    pub(super) fn of<T>(&self, check: impl FnOnce(&Subject<'_>) -> T) -> T {
        let text = |networking| {
            format!(
                r#"{{"metadata": {{"namespace": "garden-sales", "name": "crm"}}, "spec": {{"seedName": "eu1-b",
                    "networking": {networking}, "provider": {{"workers": [{{}}]}}}}}}"#
            )
        };
        let (new, old) = (text(self.networking), self.stored.map(text));
        let read = |text| Shoot::read(text).expect("a constant");
        let (new, old) = (read(&new), old.as_deref().map(read));
        let names = ["orders", self.also].into_iter().filter(|name| !name.is_empty());
        let entry = |(index, name): (usize, &'static str)| Entry {
            index,
            name: name.into(),
            namespace: shoot(name).namespace().to_owned().into(),
            seed: self.seed.into(),
            written_seed: self.seed.into(),
        };
        let entries: Vec<Entry<'_>> = names.enumerate().map(entry).collect();
        let config = Config { entries: entries.clone(), ..Config::default() };
        let stored = self.are_entries_stored.then_some(&config);
        let scope = Scope { new: &new, old: old.as_ref() };
        check(&Subject::new(scope, example_config(), entries, Some(&config), stored))
    }

    /// What a check finds in its first entry.
    pub(super) fn pair(&self, check: Check, target: &Target) -> Vec<Finding> {
        let settings = Settings::default();
        let found = self.of(|subject| {
            let listed = &subject.peers[0];
            check(&Pair { subject, listed, target, settings: &settings, tells_stored: false })
        });
        found.into_iter().collect()
    }
}

/// The Shoots of the examples.
pub(super) fn shoot(name: &str) -> ShootName {
    let namespace = match name {
        "crm" => "garden-sales",
        "leads" => "garden-crm",
        _ => "garden-shop",
    };
    ShootName::new(namespace, name)
}

/// That a Shoot lists these.
pub(super) fn lists(names: &[&str]) -> PeeringFacts {
    PeeringFacts::Enabled(names.iter().map(|name| Peer { target: shoot(name), seed: "eu1-b".into() }).collect())
}

/// A node network.
pub(super) fn nodes(cidr: &str) -> Networks {
    Networks::new(Vec::new(), Vec::new(), cidr.parse().into_iter().collect())
}

/// A peer without a fault.
pub(super) fn peer() -> ShootFacts {
    ShootFacts {
        seed: Some("eu1-a".into()),
        networks: nodes("10.5.0.32/27"),
        peering: lists(&["crm"]),
        has_peer_list: true,
        ..ShootFacts::default()
    }
}

/// A target that the writer may see.
pub(super) fn visible(facts: ShootFacts) -> Target {
    Target::Visible(Arc::new(facts))
}
