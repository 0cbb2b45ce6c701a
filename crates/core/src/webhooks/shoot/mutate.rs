//! `/webhooks/mutate/shoot`: fills in the namespace and the Seed of peering entries that lack them.

use std::collections::HashMap;

use super::{Exempt, MUTATE_SHOOT_PATH, SHOOTS, ShootSettings, read, review_written};
use crate::admission::{Handler, Outcome, PatchBuilder, Pointer, Request, Resource, Stop, Verdict};
use crate::diagnostics::Policy;
use crate::diagnostics::ratchet::{Entries, Scope};
use crate::gardener::{FieldError, Shoot};
use crate::landscape::{Target, View};
use crate::peering;

/// The webhook. It never refuses: what it cannot fill in, the validation names.
#[derive(Debug)]
pub struct MutateShoot {
    max_peers: usize,
    policy: Policy,
}

impl Default for MutateShoot {
    fn default() -> Self {
        Self::new(&ShootSettings::default())
    }
}

impl MutateShoot {
    /// With these settings.
    pub fn new(settings: &ShootSettings) -> Self {
        Self { max_peers: settings.peering.looked_up(), policy: settings.policy.clone() }
    }

    fn review_shoot(&self, request: &Request<'_>, text: &str, view: &mut View<'_>) -> Result<Verdict, Stop> {
        let new = read(request, text, "request.object")?;
        let old = request.old_object.map(|old| read(request, old, "request.oldObject")).transpose()?;
        let scope = Scope { new: &new, old: old.as_ref() };
        let exempt = || Ok::<_, FieldError>(Exempt::of(&request.user_info()?, scope));
        if new.is_being_deleted || !scope.touches_more_than_nodes() || exempt()? == Exempt::All {
            return Ok(Verdict::allow("unchanged"));
        }
        let Some((extension, config)) =
            new.enabled_peering().and_then(|extension| Some((extension, extension.provider_config?)))
        else {
            return Ok(Verdict::allow("unchanged"));
        };

        // What is stored is left as it is: filled in, it would be an edit that nobody made.
        let stored = old.as_ref().and_then(Shoot::enabled_peering).and_then(|extension| extension.provider_config);
        let stored =
            stored.map_or_else(Vec::new, |config| peering::missing(config, &new.namespace, peering::STORED_LIMIT));
        let stored = Entries::stored(stored.iter().map(|stored| (stored.lack(), ())));
        let mut missing = peering::missing(config, &new.namespace, self.max_peers);
        missing.retain(|lack| !stored.has(&lack.lack()));
        let mut targets = HashMap::new();
        for lack in &missing {
            // Only what the writer may see is filled in; that it is not filled in tells nobody why.
            if let Some(Target::Visible(facts)) = view.target(&lack.target, None) {
                targets.insert(&lack.target, facts);
            }
        }
        view.settle()?;
        let filled = peering::fill(config, &missing, self.max_peers, |name| targets.get(name).map(|facts| &**facts));
        let Some(filled) = filled else { return Ok(Verdict::allow("unchanged")) };
        // Replaced as a whole: an API server that descends into an object to add a member sorts its keys.
        let mut patch = PatchBuilder::default();
        patch.replace(&Pointer::to("/spec/extensions").index(extension.index).field("providerConfig"), &filled.config);
        let outcome = patch.finish().map_or(Outcome::Allowed, Outcome::Patched);
        let findings = self.policy.apply(peering::guesses(extension, &filled, old.as_ref()));
        Ok(Verdict { outcome, findings, ..Verdict::allow("filled-in") })
    }
}

impl Handler for MutateShoot {
    fn name(&self) -> &'static str {
        "mutate-shoot"
    }

    fn path(&self) -> &'static str {
        MUTATE_SHOOT_PATH
    }

    fn resource(&self) -> Resource {
        SHOOTS
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        review_written(request, |text| self.review_shoot(request, text, view))
    }
}
