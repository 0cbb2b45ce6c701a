//! What the double NAT needs in the Pod: vpn2's variables as the Cluster says, or network-guard's own containers.

use std::borrow::Cow;

use super::{Containers, Correction, Found, Mode, Side, corrections};
use crate::admission::PatchBuilder;
use crate::diagnostics::{Finding, Severity};
use crate::gardener::ClusterFacts;
use crate::gardener::deployment::PodSpec;
use crate::vpn::mapping::fit;
use crate::vpn::{Change, Networks, Overlap, cannot_translate, rules};

/// Facts about a Cluster, and whether they are current.
#[derive(Debug)]
pub struct KnownFacts<'s> {
    /// The facts.
    pub facts: &'s ClusterFacts,
    /// Why they may be older than what the writer used; `None` where the Cluster was just read.
    pub why_old: Option<Cow<'static, str>>,
}

/// What the Pod should have.
#[derive(Debug, Default)]
pub struct Translation {
    /// network-guard's containers.
    pub(in crate::vpn) containers: Containers,
    /// Wrong variables that can be corrected. Where network-guard's containers translate, only those that show that
    /// gardenlet knew other networks.
    wrong: Vec<Correction>,
    /// Variables whose value is not known before the Pod starts.
    references: Vec<Correction>,
    /// Why nothing is corrected.
    why_left: Option<Cow<'static, str>>,
    /// Why vpn2 cannot translate, whatever its variables say.
    untranslatable: Option<Finding>,
}

impl Translation {
    /// What the stored Pod has.
    pub fn kept(containers: Containers) -> Self {
        Self { containers, ..Self::default() }
    }

    /// What the Pod should have by these facts; the error says why nothing can translate.
    pub fn of(
        mode: &Mode,
        side: Side,
        pod: &PodSpec<'_>,
        known: &KnownFacts<'_>,
        overlaps: Option<&[Overlap]>,
    ) -> Result<Self, Finding> {
        let why_left = known.why_old.clone();
        let (mut wrong, mut references): (Vec<_>, Vec<_>) =
            corrections(pod, known.facts).into_iter().partition(Correction::is_possible);
        let (mut containers, mut untranslatable) = (Containers::default(), None);
        if let (Mode::VpnClient, Some(overlaps)) = (mode, overlaps) {
            // It does not work with a proxy or without one, so the write passes with a warning.
            untranslatable = cannot_translate(known.facts)
                .map(|why| rules::cannot_translate(overlaps, &why.to_string()).at_most(Severity::Warn));
        }
        if let Mode::Own(own) = mode {
            // A vpn2 that needs network-guard's containers translates nothing by its variables.
            references.clear();
            wrong.retain(|wrong| why_left.is_some() && matches!(wrong.found, Found::Value(_, Some(_))));
            if let Some(overlaps) = overlaps {
                let networks = Networks::of(known.facts);
                fit(&networks).map_err(|error| rules::cannot_translate(overlaps, &error.to_string()))?;
                containers = Containers::new(own, side, &networks);
            }
        }
        Ok(Self { containers, wrong, references, why_left, untranslatable })
    }

    /// Whether the stored containers that translate have the same configuration as these.
    pub(crate) fn is_configured_as(&self, stored: &Containers) -> bool {
        self.containers.is_configured_as(stored)
    }

    /// Whether the Cluster has to be read live: gardenlet writes it just before the Deployment, and a stale cache must
    /// not undo what gardenlet knows.
    pub(crate) fn depends_on_now(&self) -> bool {
        !self.wrong.is_empty() && self.why_left.is_some()
    }

    /// Whether anything is corrected.
    pub(crate) fn corrects(&self) -> bool {
        !self.wrong.is_empty() && self.why_left.is_none()
    }

    /// Corrects what can be corrected.
    pub(in crate::vpn) fn correct(&self, patch: &mut PatchBuilder) {
        for correction in self.wrong.iter().filter(|_| self.corrects()) {
            correction.apply(patch);
        }
    }

    /// The findings for the writer.
    pub fn findings(&self, containers: Change) -> Vec<Finding> {
        let path = |all: &[Correction]| all.first().map(Correction::path).unwrap_or_default();
        let mut findings: Vec<Finding> = self.untranslatable.iter().cloned().collect();
        match &self.why_left {
            _ if self.wrong.is_empty() => {}
            Some(why) => findings.push(rules::variables_left(path(&self.wrong), &self.wrong, why)),
            None => findings.push(rules::variables_corrected(path(&self.wrong), &self.wrong)),
        }
        if !self.references.is_empty() {
            findings.push(rules::variables_unknown(path(&self.references), &self.references));
        }
        findings.extend(rules::nat_containers(containers));
        findings
    }

    /// The audit record of the variables that are corrected.
    pub fn audit(&self) -> Option<String> {
        self.corrects().then(|| self.wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}
